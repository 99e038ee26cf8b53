"""A generator that dxrig only watches: any maker's, set and pressed by a person. **Observe only.**

Most makers publish no wire. What can still be known is a contact that closes while there are
X-rays: the maker's own X-ray-on lamp or its current, led to an input of the room's I/O. That is
all that stands here; nothing in this file can be sent to anybody.

Such a contact says *when*, never what: kV, mA and mAs are what a person says was set. It is a
lamp's, not the tube's: how long it lags behind the beam is the maker's, and not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.listener import WireListener
from hal.now import Now
from hal.ports import Direction, Kind, WireError
from hal.types import RoomSample

SOURCE = "none: no wire; a contact of the room's I/O, as the bench file names it"
VERIFIED = "synthetic: never checked against a device"
DRIVES_BEAM = False
OBSERVE_ONLY = "a person sets the technique and presses the maker's own switch; see `dxrig observe`"

GAP_US = 50_000  # chosen: a lamp's relay bounces, and lamps on the mains have zero crossings


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """One beam as the contact showed it. None: it was closed before anybody looked."""

    start_us: int | None  # asked for in the first sample that showed it
    not_before_us: int | None  # ... and in the last one that did not
    end_us: int  # asked for in the first sample without it
    not_after_us: int  # ... and when that came

    @property
    def seen_us(self) -> int | None:
        return None if self.start_us is None else self.end_us - self.start_us

    @property
    def at_most_us(self) -> int | None:
        """It can't have lasted longer."""
        return None if self.not_before_us is None else self.not_after_us - self.not_before_us


class BeamWatch:
    """Fed with every sample of the room; tells a beam when it has ended.

    A pause shorter than `gap_us` belongs to the beam. A room that can't be read says nothing:
    whoever feeds this decides what that means.
    """

    def __init__(self, contact: str = "lamp_current", gap_us: int = GAP_US) -> None:
        """`contact`: the field of RoomSample that is closed while there are X-rays."""
        self._contact, self._gap_us = contact, gap_us
        self._off_us: int | None = None  # the newest sample without a beam
        self._taken_us: int | None = None
        self._start: tuple[int | None, int | None] = (None, None)
        self._end: tuple[int, int] | None = None  # its first sample without, not yet believed
        self.on = False

    @property
    def began_us(self) -> int | None:
        """Of the beam that is on: not earlier than this; None: nobody knows."""
        return self._start[1]

    def take(self, now: Now, sample: RoomSample) -> Beam | None:
        if not sample.link_ok or sample.taken_us == self._taken_us:
            return None
        is_first, self._taken_us = self._taken_us is None, sample.taken_us
        if getattr(sample, self._contact):
            if not self.on:
                self.on = True
                self._start = (None if is_first else sample.taken_us, self._off_us)
            self._end = None
        elif not self.on:
            self._off_us = sample.taken_us
        elif self._end is None:
            self._end = (sample.taken_us, now.t_us)
        return self._ended()

    def _ended(self) -> Beam | None:
        """A newer sample must have said so again: silence proves nothing."""
        if self._end is None or self._taken_us is None:
            return None
        end_us, not_after_us = self._end
        if not Now(self._taken_us).reached(end_us + self._gap_us):
            return None
        start_us, not_before_us = self._start
        self.on, self._end, self._off_us = False, None, self._taken_us
        return Beam(
            start_us=start_us, not_before_us=not_before_us, end_us=end_us, not_after_us=not_after_us
        )


class _NoWire:
    """Whatever stands on a line is not this generator's."""

    def take(self, direction: Direction, buffer: bytearray) -> str | None:
        noise = bytes(buffer)
        buffer.clear()
        raise WireError(f"this generator has no wire: {noise.hex(' ')}")

    def tell(self, direction: Direction, frame: str) -> tuple[Kind, str]:
        raise WireError(frame)


def listener() -> WireListener[str]:
    return WireListener(_NoWire())
