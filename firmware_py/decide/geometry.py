"""Where tube, collimator and receptor stand: asked for, allowed, and, where it is sensed, true.

A beam of which more than a fifth misses the receptor, or whose distance is not the one that was
planned, is none that anybody wanted (F27, recall Z-1685-2021). Unknown and stale count as open
(SR-09). A field has no say in a shot that shall overfill its panel (raw) or meet none.
"""

from __future__ import annotations

from firmware_py.decide.memory import Limits, Memory, State
from hal.now import Now, latest_us
from hal.types import GeometryData, GeometrySample, Inputs, Shot, ShotKind

SID_PCT = 2.0  # SID indication: <= 2 % of it, qc-and-physics.md
CODES = ("COLLIMATOR_LOST", "SID_WRONG", "FIELD_OFF_PANEL")
_ASKED_OFTEN = (State.PREP, State.READY, State.INTERLOCK_CHECK, State.EXPOSE)
MOST_OFF_PCT = 20.0  # of the field, beside the receptor


def sid_mm(shot: Shot, limits: Limits) -> float | None:
    """Source to detector, as asked for; None: nobody says."""
    if shot.sid_mm is not None or limits.geometry is None:
        return shot.sid_mm
    return limits.geometry.sid_mm


def permitted(shot: Shot, limits: Limits) -> bool:
    """A shot that names no distance has the bench's own, which its file has checked."""
    if shot.sid_mm is None:
        return True
    own = limits.geometry
    if own is None or isinstance(shot.sid_mm, bool) or not isinstance(shot.sid_mm, int | float):
        return False
    return own.sid_mm_min <= shot.sid_mm <= own.sid_mm_max


def causes(memory: Memory, inputs: Inputs, now: Now, shot: Shot | None) -> list[str]:
    """What keeps a beam of this shot off, or ends it; nothing where nothing is sensed."""
    own, seen = memory.limits.geometry, inputs.geometry
    if own is None or not own.sensed or shot is None or shot.kind is not ShotKind.IMAGING:
        return []
    if seen is None or not seen.link_ok or now.reached(_old_us(memory, seen, own)):
        return ["COLLIMATOR_LOST"]
    if not _distance_right(seen, sid_mm(shot, memory.limits)):
        return ["SID_WRONG"]
    return [] if shot.raw or _field_right(seen, own) else ["FIELD_OFF_PANEL"]


def _old_us(memory: Memory, seen: GeometrySample, own: GeometryData) -> int:
    """At rest it is asked seldom: an older sample has its whole age limit once more in PREP."""
    if memory.state not in _ASKED_OFTEN:
        return seen.taken_us + 4 * own.age_us
    newest_us = seen.taken_us
    if memory.state is State.PREP:
        newest_us = latest_us(newest_us, memory.since_us)
    return newest_us + own.age_us


def _distance_right(seen: GeometrySample, asked_mm: float | None) -> bool:
    if seen.sid_mm is None or asked_mm is None:
        return False
    width_mm = asked_mm * SID_PCT / 100
    return asked_mm - width_mm <= seen.sid_mm <= asked_mm + width_mm


def _field_right(seen: GeometrySample, own: GeometryData) -> bool:
    rows_mm, columns_mm = seen.field_rows_mm, seen.field_columns_mm
    if rows_mm is None or columns_mm is None or seen.moving:
        return False
    met = min(rows_mm, own.rows_mm) * min(columns_mm, own.columns_mm)
    return 0 < rows_mm * columns_mm * (100 - MOST_OFF_PCT) / 100 <= met
