"""Where the receptor stands: a distance that this place has, for each shot (SR-05)."""

from __future__ import annotations

from firmware_py.decide.memory import Limits
from hal.types import Shot


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
