"""How long the tube has rested, whether it counts as warm, and how long to warm it up.

Dates are handed in, aware of their zone. A tube is warm from the end of a warm-up as long
as no rest between two beams needs one by the tube's table. What is not known counts as
the longest rest: no date, or a clock that runs behind what was recorded (SR-16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from firmware_py.config import WarmupConfig

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """`idle_s`: since the tube was last warm; None = not known."""

    idle_s: float | None
    minutes: float  # of warm-up; 0 = none is needed
    why: str

    @property
    def warm(self) -> bool:
        return self.minutes == 0.0


def minutes_after(table: WarmupConfig, idle_s: float | None, ambient_c: float | None) -> float:
    """What the tube's table asks for; the coldest part where the temperature is not known."""
    cold = table.cold_c is not None and (ambient_c is None or ambient_c <= table.cold_c)
    rows = table.cold_minutes if cold else table.minutes
    if idle_s is None:
        return max((minutes for _, minutes in rows), default=0.0)
    due = [minutes for hours, minutes in rows if idle_s >= hours * HOUR_S]
    return due[-1] if due else 0.0


def warmth(
    table: WarmupConfig,
    *,
    warmed_at: datetime | None,
    beams: Sequence[datetime],
    at: datetime,
    ambient_c: float | None,
) -> Warmth:
    """`warmed_at`: the end of the last complete warm-up; `beams`: when beams ended, any order."""
    newest = max((*beams, *([warmed_at] if warmed_at else [])), default=None)
    if newest is not None and at < newest:
        why = f"the clock is behind what was recorded ({newest:%Y-%m-%d %H:%M})"
        return Warmth(idle_s=None, minutes=minutes_after(table, None, ambient_c), why=why)
    if warmed_at is None:
        why = "no warm-up of this tube is recorded"
        return Warmth(idle_s=None, minutes=minutes_after(table, None, ambient_c), why=why)
    idle_s = (at - _last_warm(table, warmed_at, beams, ambient_c)).total_seconds()
    return Warmth(
        idle_s=idle_s, minutes=_due(table, idle_s, ambient_c), why="since the tube was last warm"
    )


def _last_warm(
    table: WarmupConfig, warmed_at: datetime, beams: Sequence[datetime], ambient_c: float | None
) -> datetime:
    """The newest beam that a warm tube made: a beam of a cold one warms nothing."""
    last = warmed_at
    for beam in sorted(beam for beam in beams if beam > warmed_at):
        if _due(table, (beam - last).total_seconds(), ambient_c):
            break
        last = beam
    return last


def _due(table: WarmupConfig, idle_s: float, ambient_c: float | None) -> float:
    if timedelta(seconds=idle_s) <= timedelta(hours=table.stays_warm_h):
        return 0.0
    return minutes_after(table, idle_s, ambient_c)
