"""Is this technique inside what bench and tube may do? Guards accept if inside: NaN never is."""

from __future__ import annotations

from firmware_py.decide.memory import Limits
from hal.types import Technique


def timer_us(technique: Technique, limits: Limits) -> int:
    """What the generator's own timer is set to: its step rounded up, the ramp on top for mAs."""
    step_us = limits.time_step_us
    asked_us = -(-round(technique.planned_ms * 1000) // step_us) * step_us
    return asked_us + (limits.ramp_us if technique.mas is not None else 0)


def maximum_mas(technique: Technique, limits: Limits) -> float:
    """The bound on an unknown dose: full current for as long as the generator's timer allows."""
    return technique.ma * timer_us(technique, limits) / 1e6


def permitted(technique: Technique, limits: Limits) -> bool:
    tube = limits.tube
    return (
        not technique.problems()
        and tube.kv_min <= technique.kv <= tube.kv_max
        and tube.ma_min <= technique.ma <= tube.ma_max
        and technique.kv * technique.ma <= tube.power_max_w * 1.000001  # 120 kV x 1 mA = 120 W
        and tube.time_min_ms <= technique.planned_ms <= tube.time_max_ms
    )
