"""A device: a model joined to its protocol's desk over a link. Reachable only through its wire."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from hal.frame_codec import is_image
from hal.now import NEVER_US, Now
from hal.ports import ByteLink, Desk, FrameLink
from sim.injection import Injection, fresh

LINE = {
    "silent": Injection("it hears nothing and says nothing: cable out, half-open connection (F60)"),
    "deaf": Injection("it hears nothing; what it has to say still leaves"),
    "mute": Injection("it hears and obeys; nothing that it says arrives (F68)"),
    "delay_ms": Injection(
        "each answer leaves so much later (F62)", 0.0, between=(0.0, 60_000.0
    )),
    "wrong_baud": Injection("both directions arrive as other bytes (F58); serial lines only"),
    "flood_per_s": Injection(
        "so many unasked frames of 8 bytes a second (F65); 9600 baud carries 120",
        0, between=(0, 20_000),
    ),
}  # fmt: skip
FRAMES = {
    "damaged_frames": Injection("one bit of each frame's pixels flips on the way (F35)"),
    "repeated_frames": Injection("each frame arrives twice (F36)"),
    "link_lost": Injection(
        "its radio or cable: nothing passes, and a frame on its way is lost; its memory keeps it"
    ),
    "link_mbit_per_s": Injection(
        "frames take the time that they need at this rate, as by a weak radio; 0: none",
        0.0,
        between=(0.0, 100_000.0),
    ),
}
NOISE = bytes.fromhex("00ff55aa020d3031")  # holds a start and an end of text
T = TypeVar("T")


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


class _Line(_Timed, Generic[T]):
    """What can be wrong between a device and its unit; `T` is what one answer is."""

    silent: bool
    deaf: bool
    mute: bool
    delay_ms: float
    wrong_baud: bool
    flood_per_s: int

    def __init__(self) -> None:
        super().__init__()
        fresh(self, LINE)
        self.powered = True
        self.heard_us: int | None = None  # when something last came in
        self.lose_answer: bytes | None = None  # a fault: the next answer that holds this is lost
        self._late: deque[tuple[int, T]] = deque()  # (leaves, answer)
        self._flood = (0, 0, 0)  # (frames a second, since, how many so far)

    def power(self, on: bool) -> None:
        """Off: what was to be answered is forgotten."""
        self.powered = on
        self._late.clear()

    def hears(self) -> bool:
        return self.powered and not self.silent and not self.deaf

    def says(self) -> bool:
        return self.powered and not self.silent and not self.mute

    def _answer(self, now: Now, answer: T) -> None:
        self._late.append((now.t_us + round(self.delay_ms * 1000), answer))

    def _leaving(self, now: Now) -> list[T]:
        """What leaves now, in order, less what is lost."""
        found = []
        while self._late and now.reached(self._late[0][0]):
            answer = self._late.popleft()[1]
            if self.says() and not self._lost(answer):
                found.append(answer)
        return found

    def _lost(self, answer: T) -> bool:
        if self.lose_answer is None or self.lose_answer not in self._bytes(answer):
            return False
        self.lose_answer = None
        return True

    def _bytes(self, answer: T) -> bytes:
        raise NotImplementedError

    def _noise_count(self, now: Now) -> int:
        """How many unasked frames leave now."""
        per_s, since_us, sent_count = self._flood
        if per_s != self.flood_per_s:
            per_s, since_us, sent_count = self.flood_per_s, now.t_us, 0
        before_count = sent_count
        while per_s and now.reached(since_us + sent_count * 1_000_000 // per_s):
            sent_count += 1
        self._flood = (per_s, since_us, sent_count)
        return sent_count - before_count if self.says() else 0


class WireDevice(_Line[bytes]):
    """A device on a byte link."""

    def __init__(self, link: ByteLink, desk: Desk, advance: Callable[[Now], None]) -> None:
        super().__init__()
        self.link = link
        self.desk = desk
        self._advance = advance
        self.lose_once = b""  # a fault: the next read that holds this is lost on the line
        self._never_sent = b""  # a fault: heard with the next poll, though nobody sent it

    def due_us(self) -> int:
        return min(self._next_us, self.link.arrival_us())

    def power(self, on: bool) -> None:
        super().power(on)
        self.desk.poll(Now(NEVER_US))  # takes out whatever was still to be answered

    def hear(self, data: bytes) -> None:
        """Bytes that the unit did not send: an old command again, an echo of the line."""
        self._never_sent += data

    def garbage(self, t_us: int, count_bytes: int, seed: int) -> None:
        """Bytes that nobody asked for, at once."""
        if self.says():
            self.link.write(t_us, random.Random(f"garbage-{seed}").randbytes(count_bytes))

    def poll(self, now: Now) -> None:
        self._advance(now)
        data = self._hear(now)
        if data:
            self.desk.receive(now, data)
            self._advance(now)  # a command may have set a timer
        while reply := self.desk.poll(now):
            self._answer(now, reply)
        for reply in self._leaving(now):
            self.link.write(now.t_us, self._on_the_line(reply))
        if noise := NOISE * self._noise_count(now):
            self.link.write(now.t_us, noise)
        self._next_us = now.next_us

    def _hear(self, now: Now) -> bytes:
        never_sent, self._never_sent = self._never_sent, b""
        data = self.link.read(now.t_us)
        if self.lose_once and self.lose_once in data:
            self.lose_once = b""
            data = b""
        if not self.hears():
            return b""
        if data:
            self.heard_us = now.t_us
        return never_sent + self._on_the_line(data)

    def _on_the_line(self, data: bytes) -> bytes:
        """Read at half the speed, a byte's bits are seen twice or not at all."""
        return bytes((byte * 0x1D + 0x83) & 0xFF for byte in data) if self.wrong_baud else data

    def _bytes(self, answer: bytes) -> bytes:
        return answer


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


class PanelDevice(_Line[list[bytes]]):
    """A panel: control on one message link, frames on another."""

    damaged_frames: bool
    repeated_frames: bool
    link_lost: bool
    link_mbit_per_s: float

    def __init__(
        self,
        control: FrameLink,
        data: FrameOutlet,
        desk: MessageDesk,
        advance: Callable[[Now], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """`alive`: False when its battery is empty; then it has no power."""
        super().__init__()
        fresh(self, FRAMES)
        self.control, self.data = control, data
        self.desk = desk
        self._advance, self._alive = advance, alive
        self._on_the_way: deque[tuple[int, list[bytes]]] = deque()  # (arrives, frame message)

    def due_us(self) -> int:
        return min(self._next_us, self.control.arrival_us())

    def power(self, on: bool) -> None:
        super().power(on)
        self._on_the_way.clear()

    def hears(self) -> bool:
        return super().hears() and not self.link_lost

    def says(self) -> bool:
        return super().says() and not self.link_lost

    def garbage(self, t_us: int, count_bytes: int, seed: int) -> None:
        """A control message that nobody asked for, at once."""
        if self.says():
            self.control.write(t_us, [random.Random(f"garbage-{seed}").randbytes(count_bytes)])

    def poll(self, now: Now) -> None:
        self._advance(now)
        if self.powered and not self._alive():
            self.power(False)
        self.data.read(now.t_us)  # lets a consumer in
        self.desk.consumer_present = self.data.has_peer
        for message in self.control.read(now.t_us):
            if self.hears():
                self.heard_us = now.t_us
                self.desk.receive(now, message)
        for reply in self.desk.poll(now):
            self._answer(now, reply)
        for reply in self._leaving(now):
            self.control.write(now.t_us, reply)
        for _ in range(self._noise_count(now)):
            self.control.write(now.t_us, [NOISE])
        self._advance(now)
        self._send_frames(now)
        self._next_us = now.next_us

    def _send_frames(self, now: Now) -> None:
        for message in self.desk.frames(now):
            image = is_image(message)
            sent = _damaged(message) if image and self.damaged_frames else message
            for _ in range(2 if image and self.repeated_frames else 1):
                self._on_the_way.append((self._arrives_us(now, sent), sent))
        if not self.powered or self.link_lost:
            self._on_the_way.clear()
        while self._on_the_way and now.reached(self._on_the_way[0][0]):
            self.data.write(now.t_us, self._on_the_way.popleft()[1])

    def _arrives_us(self, now: Now, message: list[bytes]) -> int:
        """One after the other."""
        free_us = self._on_the_way[-1][0] if self._on_the_way else now.t_us
        if not self.link_mbit_per_s:
            return free_us
        bits_count = 8 * sum(map(len, message))
        return free_us + round(bits_count / self.link_mbit_per_s)  # a Mbit/s is a bit a us

    def _bytes(self, answer: list[bytes]) -> bytes:
        return b"".join(answer)


def _damaged(message: list[bytes]) -> list[bytes]:
    """One bit of the pixels flips: of the first, or of one in the middle where all is one part."""
    which = 2 if len(message) > 2 else 0
    part = bytearray(message[which])
    part[0 if which else len(part) // 2] ^= 1
    return [*message[:which], bytes(part), *message[which + 1 :]]
