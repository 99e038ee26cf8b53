"""A device: a model joined to its protocol's desk over a link. Reachable only through its wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hal.now import Now
from hal.ports import ByteLink, Desk, FrameLink


class Part(Protocol):
    """Something in the world that has events of its own."""

    def due_us(self) -> int: ...

    def poll(self, now: Now) -> None: ...

    def poke(self, t_us: int) -> None:
        """Something outside changed: look again at `t_us`."""


class _Timed:
    """Remembers its next event; `poke` moves it forward."""

    def __init__(self) -> None:
        self._next_us = 0

    def poke(self, t_us: int) -> None:
        self._next_us = min(self._next_us, t_us)


class Mechanism(_Timed):
    """A part without a wire: relays, timers."""

    def __init__(self, *advance: Callable[[Now], None]) -> None:
        super().__init__()
        self._advance = advance

    def due_us(self) -> int:
        return self._next_us

    def poll(self, now: Now) -> None:
        for advance in self._advance:
            advance(now)
        self._next_us = now.next_us


class WireDevice(_Timed):
    """A device on a byte link."""

    def __init__(self, link: ByteLink, desk: Desk, advance: Callable[[Now], None]) -> None:
        super().__init__()
        self.link = link
        self._desk = desk
        self._advance = advance
        self.silent = False  # a fault: it hears nothing and says nothing
        self.heard_us: int | None = None  # when bytes last came in
        self.lose_once = b""  # a fault: the next read that holds this is lost on the line

    def due_us(self) -> int:
        return min(self._next_us, self.link.arrival_us())

    def poll(self, now: Now) -> None:
        self._advance(now)
        data = self._hear(now)
        if data:
            self._desk.receive(now, data)
            self._advance(now)  # a command may have set a timer
        while reply := self._desk.poll(now):
            if not self.silent:
                self.link.write(now.t_us, reply)
        self._next_us = now.next_us

    def _hear(self, now: Now) -> bytes:
        data = self.link.read(now.t_us)
        if self.lose_once and self.lose_once in data:
            self.lose_once = b""
            return b""
        if self.silent or not data:
            return b""
        self.heard_us = now.t_us
        return data


class FrameOutlet(FrameLink, Protocol):
    """Where frames leave; it knows whether anybody takes them."""

    @property
    def has_peer(self) -> bool: ...


class MessageDesk(Protocol):
    """The device side of a panel: control messages both ways, frames out."""

    consumer_present: bool

    def receive(self, now: Now, message: list[bytes]) -> None: ...

    def poll(self, now: Now) -> list[list[bytes]]: ...

    def frames(self, now: Now) -> list[list[bytes]]: ...


class PanelDevice(_Timed):
    """A panel: control on one message link, frames on another."""

    def __init__(
        self,
        control: FrameLink,
        data: FrameOutlet,
        desk: MessageDesk,
        advance: Callable[[Now], None],
    ) -> None:
        super().__init__()
        self.control, self.data = control, data
        self._desk = desk
        self._advance = advance
        self.silent = False
        self.heard_us: int | None = None  # when a message last came in

    def due_us(self) -> int:
        return min(self._next_us, self.control.arrival_us())

    def poll(self, now: Now) -> None:
        self._advance(now)
        self.data.read(now.t_us)  # lets a consumer in
        self._desk.consumer_present = self.data.has_peer
        for message in self.control.read(now.t_us):
            if not self.silent:
                self.heard_us = now.t_us
                self._desk.receive(now, message)
        for reply in self._desk.poll(now):
            if not self.silent:
                self.control.write(now.t_us, reply)
        self._advance(now)
        for frame in self._desk.frames(now):
            self.data.write(now.t_us, frame)
        self._next_us = now.next_us
