"""What stands on a bench's links, frame by frame, by the codecs' own listeners; and the counts.

Nothing here sends. A link whose driver has no listener is told byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from firmware_py.config import UnitConfig
from hal import collimators, generators, meters, room_io
from hal.now import since
from hal.ports import Direction, Heard, Kind, Listener

FRAMES = "frames"  # the panel's data, beside its control
OPTIONAL = ("collimator", "dap")  # where a bench has them
LINKS = ("generator", "room", "panel", FRAMES, *OPTIONAL)
ERRORS = (Kind.NOISE, Kind.UNKNOWN)
SILENCE_US = 500_000  # a frame that has not ended by then never will
MESSAGE_CHARACTERS = 120


@dataclass(slots=True)
class Counts:
    to_device: int = 0  # frames
    from_device: int = 0
    errors: int = 0  # frames that are none, or that no table has
    lost: int = 0  # how often the port was gone
    longest_reply_us: int | None = None
    slowest: str = ""  # the question that waited for it

    def as_dict(self) -> dict[str, Any]:
        longest_us = self.longest_reply_us
        return {
            "frames_to_device": self.to_device,
            "frames_from_device": self.from_device,
            "errors": self.errors,
            "port_lost": self.lost,
            "longest_reply_ms": None if longest_us is None else longest_us / 1000,
            "slowest": self.slowest,
        }


@dataclass(slots=True)
class _Line:
    listener: Listener | None
    counts: Counts = field(default_factory=Counts)
    asked: Heard | None = None  # the newest question without a reply
    fed_us: int | None = None  # when the newest byte came; None = nothing waits for its end


class Hearing:
    def __init__(self, unit: UnitConfig) -> None:
        self._lines = {name: _Line(listener_of(unit, name)) for name in LINKS if has(unit, name)}
        self._panel = f"hal.detectors.{unit.panel.driver}_heard"

    @property
    def counts(self) -> dict[str, Counts]:
        return {name: line.counts for name, line in self._lines.items()}

    def take(self, link: str, direction: Direction, t_us: int, data: bytes) -> list[Heard]:
        line = self._lines[link]
        if line.listener is None:
            return self._noted(line, [raw(direction, t_us, data)])
        line.fed_us = t_us
        return self._noted(line, line.listener.feed(direction, t_us, data))

    def message(self, link: str, direction: Direction, t_us: int, parts: list[bytes]) -> Heard:
        """One of a panel's control messages, or of its frames; pixels are never shown."""
        told = import_module(self._panel) if find_spec(self._panel) else None
        if told is None:
            heard = plain(direction, t_us, parts)
        else:
            heard = (told.frames if link == FRAMES else told.control)(direction, t_us, parts)
        return self._noted(self._lines[link], [heard])[0]

    def rest(self, t_us: int, *, ended: bool = False) -> list[tuple[str, Heard]]:
        """What was cut off: given up after a silence, or (`ended`) now."""
        found = []
        for name, line in self._lines.items():
            if line.listener is None or line.fed_us is None:
                continue
            if ended or since(t_us, line.fed_us + SILENCE_US):
                line.fed_us = None
                found += [(name, one) for one in self._noted(line, line.listener.rest(t_us))]
        return found

    def _noted(self, line: _Line, heard: list[Heard]) -> list[Heard]:
        for one in heard:
            self._count(line, one)
        return heard

    def _count(self, line: _Line, heard: Heard) -> None:
        counts = line.counts
        counts.errors += heard.kind in ERRORS
        if heard.direction is Direction.TO_DEVICE:
            counts.to_device += 1
            line.asked = None if heard.kind in ERRORS else heard
            return
        counts.from_device += 1
        if heard.kind is Kind.REPLY and line.asked is not None:
            took_us = heard.t_us - line.asked.t_us
            longest_us = counts.longest_reply_us
            if longest_us is None or took_us > longest_us:  # us-compare: two durations
                counts.longest_reply_us, counts.slowest = took_us, line.asked.text
            line.asked = None


def raw(direction: Direction, t_us: int, data: bytes) -> Heard:
    return Heard(
        t_us=t_us, direction=direction, raw=data, kind=Kind.UNKNOWN, text=data.hex(" ")
    )  # fmt: skip


def plain(direction: Direction, t_us: int, parts: list[bytes]) -> Heard:
    """Of a panel whose driver has no words: the beginning of the message as it is."""
    text = " ".join(part[:MESSAGE_CHARACTERS].decode("utf-8", "backslashreplace") for part in parts)
    kind = Kind.ACT if direction is Direction.TO_DEVICE else Kind.REPLY
    return Heard(
        t_us=t_us, direction=direction, raw=b"", kind=kind, text=text[:MESSAGE_CHARACTERS]
    )  # fmt: skip


def has(unit: UnitConfig, link: str) -> bool:
    return link not in OPTIONAL or getattr(unit, link) is not None


def listener_of(unit: UnitConfig, link: str) -> Listener | None:
    """None: the panel's messages need none."""
    if link == "generator":
        return generators.open_listener(unit.generator.driver, **unit.generator.wire_options())
    if link == "room":
        rtu = room_io.speaks_rtu(unit.room.url)
        return room_io.open_listener(unit.room.driver, unit.room.map, rtu=rtu)
    if link == "collimator" and unit.collimator is not None:
        return collimators.open_listener(unit.collimator.driver)
    if link == "dap" and unit.dap is not None:
        return meters.open_listener(unit.dap.driver)
    return None
