"""The devices' ends of bad lines: transparent until somebody makes mischief on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from hal.now import NEVER_US, Now, earliest_us
from hal.ports import ByteLink, FrameLink
from sim.device import FrameOutlet
from sim.mischief import (
    DELAY_MAX_US,
    DELAY_US,
    KINDS,
    TOWARD,
    Attack,
    ByteChunks,
    Chunks,
    Lane,
    MessageChunks,
    Mischief,
    is_number,
)
from sim.world import World

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class _Line(Protocol[T_contra]):
    def write(self, t_us: int, chunk: T_contra, /) -> None: ...

    def arrival_us(self) -> int: ...

    def close(self) -> None: ...


class _Bad(Generic[T]):
    """What it holds back counts as under way, so nobody jumps past it."""

    def __init__(self, line: _Line[T], chunks: Chunks[T]) -> None:
        self.counts: Counter[str] = Counter()  # what was done, by kind
        self._line = line
        self._inbound = Lane("device", chunks, self.counts)
        self._outbound = Lane("unit", chunks, self.counts)
        self._bad = False

    def follow(self, t_us: int, mischief: Mischief | None, toward: str = "both") -> None:
        """`toward`: unit, device or both; the direction that is not meant becomes good again."""
        self._bad = True
        self._inbound.follow(t_us, mischief if toward != "unit" else None)
        self._outbound.follow(t_us, mischief if toward != "device" else None)

    def write(self, t_us: int, chunk: T) -> None:
        if not self._bad:
            self._line.write(t_us, chunk)
            return
        self._outbound.put(t_us, chunk)
        self.flush(t_us)

    def flush(self, t_us: int) -> None:
        for chunk in self._outbound.take(t_us):
            self._line.write(t_us, chunk)

    def arrival_us(self) -> int:
        if not self._bad:
            return self._line.arrival_us()
        return earliest_us(self._line.arrival_us(), self._inbound.due_us, self._outbound.due_us)

    def close(self) -> None:
        self._line.close()


class MischiefLink(_Bad[bytes]):
    def __init__(self, link: ByteLink) -> None:
        super().__init__(link, ByteChunks())
        self._link = link

    def read(self, t_us: int) -> bytes:
        if not self._bad:
            return self._link.read(t_us)
        self.flush(t_us)
        if _whole_chunk(self._link, t_us) and (data := self._link.read(t_us)):
            self._inbound.put(t_us, data)
        return b"".join(self._inbound.take(t_us))


class MischiefFrames(_Bad[list[bytes]]):
    def __init__(self, link: FrameLink) -> None:
        super().__init__(link, MessageChunks())
        self._link = link

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        if not self._bad:
            return self._link.read(t_us)
        self.flush(t_us)
        for message in self._link.read(t_us):
            self._inbound.put(t_us, message)
        return self._inbound.take(t_us)


class MischiefOutlet(MischiefFrames):
    """Where frames leave. A part of the world: a panel looks only at its control's arrivals."""

    def __init__(self, outlet: FrameOutlet) -> None:
        super().__init__(outlet)
        self._outlet = outlet

    @property
    def has_peer(self) -> bool:
        return self._outlet.has_peer

    def due_us(self) -> int:
        return self._outbound.due_us if self._bad else NEVER_US

    def poll(self, now: Now) -> None:
        self.flush(now.t_us)

    def poke(self, t_us: int) -> None:
        return None


def _whole_chunk(link: ByteLink, t_us: int) -> bool:
    """A pipe knows when a chunk is complete; real ports don't, and give what they have."""
    arrival_us = link.arrival_us()
    return arrival_us == NEVER_US or Now(t_us).reached(arrival_us)


# --- the verb


def links_of(world: World) -> dict[str, MischiefLink | MischiefFrames]:
    """By the names that the verb knows. `build_world` made them so."""
    ends = {
        "generator": world.generator_device.link,
        "room": world.room_device.link,
        "panel": world.panel_device.control,
        "frames": world.panel_device.data,
        **{name: device.link for name, device in world.beside.items()},
    }
    return {
        name: end for name, end in ends.items() if isinstance(end, MischiefLink | MischiefFrames)
    }


def make_mischief(
    world: World,
    device: str,
    seed: int = 1,
    toward: str = "both",
    delay_ms: float = DELAY_US / 1000,
    drop: float = 0.0,
    lose: float = 0.0,
    flip: float = 0.0,
    insert: float = 0.0,
    split: float = 0.0,
    duplicate: float = 0.0,
    replay: float = 0.0,
    delay: float = 0.0,
    merge: float = 0.0,
    reorder: float = 0.0,
    once: str | None = None,
    chunk: int = 0,
    byte: int = 0,
    value: int = 0,
) -> None:
    """Instead of what was done on this line before; without a rate and `once` it is good again.

    Raises ValueError with what is allowed.
    """
    given = locals()
    links = links_of(world)
    _among("device", device, links)
    _among("toward", toward, ("both", *TOWARD))
    if once is not None and toward not in TOWARD:
        raise ValueError("once needs a direction: toward = unit or device")
    most_ms = DELAY_MAX_US / 1000
    if not is_number(delay_ms) or not 0 <= delay_ms <= most_ms:
        raise ValueError(f"delay_ms = {delay_ms!r}: must be a number from 0 to {most_ms:g}")
    mischief = Mischief(
        seed=seed,
        rates={kind: given[kind] for kind in KINDS},
        delay_us=round(delay_ms * 1000),
        attacks=() if once is None else (_attack(once, chunk, byte, value),),
    )
    links[device].follow(world.t_us, mischief, toward)


def _attack(kind: str, chunk: int, byte: int, value: int) -> Attack:
    return Attack(kind=kind, chunk_index=chunk, byte_index=byte, value_code=value)


def _among(name: str, value: object, allowed: Iterable[str]) -> None:
    if value not in tuple(allowed):
        raise ValueError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")
