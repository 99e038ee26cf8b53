"""The distance of one exposure, source to detector: what a bench's place allows, and what follows.

A bench file says where the receptor stands and between which distances it may (`[receptors]`);
`--sid-mm` chooses one for this exposure.
"""

from __future__ import annotations

import math

from firmware_py.bounds import geometry_data
from firmware_py.config import UnitConfig


def sid_problems(unit: UnitConfig, sid_mm: float | None) -> list[str]:
    """As the unit will judge the press; value, allowed range and the nearest that is allowed."""
    own = geometry_data(unit)
    if sid_mm is None or own.sid_mm_min <= sid_mm <= own.sid_mm_max:
        return []
    if not math.isfinite(sid_mm):
        return [f"sid-mm must be a number, got {sid_mm!r}"]
    place = f"receptors.{unit.geometry.receptor}"
    if unit.receptor is None:
        only = f"the bench file has no [{place}], so only its own {own.sid_mm:g} mm"
        return [f"sid-mm = {sid_mm:g} mm: {only}"]
    nearest_mm = min(max(sid_mm, own.sid_mm_min), own.sid_mm_max)
    allowed = f"{own.sid_mm_min:g} to {own.sid_mm_max:g} mm ({place})"
    return [f"sid-mm = {sid_mm:g} mm is outside {allowed}; nearest: {nearest_mm:g}"]


def sid_of(unit: UnitConfig, sid_mm: float | None) -> float:
    return unit.geometry.sid_mm if sid_mm is None else sid_mm


def inverse_square(unit: UnitConfig, sid_mm: float | None) -> float:
    """How much more charge than at the bench's own distance reaches the receptor's dose."""
    return (sid_of(unit, sid_mm) / unit.geometry.sid_mm) ** 2
