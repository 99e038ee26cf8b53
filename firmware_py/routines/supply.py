"""What a routine takes from the battery, and where it must be split for charging.

Two numbers of a bench file describe the source (`efficiency`, `standby_w`); for the IXS
both follow from the two times that its data sheet gives (config.py, BatteryConfig).
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_py.routines.steps import Charge, Fire, Pause, Result, Routine, Step, Verdict
from hal.types import ShotKind

SHOT_OVERHEAD_S = 4.0  # PREP, window, read-out and a hand, beside the beam


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """`charge`: 0..1 when the routine begins; below `reserve` nothing is started."""

    capacity_j: float
    efficiency: float
    standby_w: float
    reserve: float
    charge_h: float
    charge: float = 1.0

    def taken_j(self, step: Step) -> float:
        if not isinstance(step, Fire):
            return self.standby_w * seconds_of(step)
        technique = step.technique
        tube_j = technique.kv * technique.planned_mas if step.kind is not ShotKind.DARK else 0.0
        return tube_j / self.efficiency + self.standby_w * seconds_of(step)

    def usable_j(self, charge: float) -> float:
        return max(0.0, charge - self.reserve) * self.capacity_j


def seconds_of(step: Step) -> float:
    """How long a step takes, a person's time estimated."""
    if isinstance(step, Pause):
        return step.seconds
    if isinstance(step, Fire):
        return step.technique.planned_ms / 1000 + SHOT_OVERHEAD_S
    return step.hours * 3600 if isinstance(step, Charge) else 30.0


def split(routine: Routine, supply: Supply) -> Routine:
    """The same routine, with a `Charge` before each step that the battery would not bear."""
    left_j = supply.usable_j(supply.charge)
    try:
        step = next(routine)
        while True:
            needed_j = supply.taken_j(step)
            if needed_j > left_j:
                if needed_j > supply.usable_j(1.0):
                    return Verdict(passed=False, text="a full battery does not last for one step")
                yield Charge(hours=supply.charge_h, text=_told(supply))
                left_j = supply.usable_j(1.0)
            left_j -= needed_j
            result: Result = yield step
            step = routine.send(result)
    except StopIteration as end:
        verdict = end.value
        assert isinstance(verdict, Verdict)
        return verdict


def _told(supply: Supply) -> str:
    return f"The battery does not last: charge it for {supply.charge_h:g} h, then resume."
