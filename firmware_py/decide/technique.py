"""Is this technique inside what bench and tube may do? Guards accept if inside: NaN never is."""

from __future__ import annotations

from firmware_py.decide.memory import Limits
from hal.types import Shot, ShotKind, Technique, TubeData


def timer_us(technique: Technique, limits: Limits) -> int:
    """What the generator's own timer is set to: rounded up, for a charge with the ramp on top.

    Where it has none this is the unit's own back-up time, and the ramp is on top for both.
    """
    step_us = limits.time_step_us
    asked_us = -(-round(technique.planned_ms * 1000) // step_us) * step_us
    with_ramp = technique.ms is None or not limits.has_own_timer
    return asked_us + (limits.ramp_us if with_ramp else 0)


def ends_alone(technique: Technique, limits: Limits) -> bool:
    """The generator ends the beam at a charge that only it knows: its mAs, or its chambers'."""
    return technique.aec is not None or (technique.mas is not None and limits.ends_mas)


def flowing_us(technique: Technique, limits: Limits) -> int:
    """At most, from ON to HV off: the timer; without one the unit's, and the relay's pulse."""
    return timer_us(technique, limits) + limits.overrun_us


def maximum_mas(technique: Technique, limits: Limits) -> float:
    """The bound on an unknown dose: full current for as long as the generator's timer allows.

    What flows in the fall comes on top: what cables hold, but no more than full current until HV
    is gone.
    """
    falling_mas = min(limits.held_mas, technique.ma * limits.fall_us / 1e6)
    return technique.ma * flowing_us(technique, limits) / 1e6 + falling_mas


def permitted(technique: Technique, limits: Limits, kind: ShotKind) -> bool:
    tube = limits.tube
    return (
        not technique.problems()
        and tube.kv_min <= technique.kv <= tube.kv_max
        and tube.ma_min <= technique.ma <= tube.ma_max
        and technique.kv * technique.ma <= tube.power_max_w * 1.000001  # 120 kV x 1 mA = 120 W
        and tube.time_min_ms <= technique.planned_ms <= time_max_ms(tube, kind)
    )


def time_max_ms(tube: TubeData, kind: ShotKind) -> float:
    """Without a receptor there is no window that the beam must fit into."""
    if kind is ShotKind.NO_RECEPTOR and tube.time_max_no_receptor_ms is not None:
        return tube.time_max_no_receptor_ms
    return tube.time_max_ms


def too_cold(shot: Shot, limits: Limits) -> bool:
    """A tube that is not warmed up: high kV waits, but for an emergency's capped shot (SR-16)."""
    tube, technique = limits.tube, shot.technique
    warms = shot.warms and shot.kind is ShotKind.NO_RECEPTOR  # never onto a panel
    if not shot.has_beam or warms or tube.cold_kv_max is None:
        return False
    if technique.kv <= tube.cold_kv_max:
        return False
    if not shot.deferred or tube.deferred_kv_max is None or tube.deferred_ma_max is None:
        return True
    return not (technique.kv <= tube.deferred_kv_max and technique.ma <= tube.deferred_ma_max)
