"""Conditioning of a new or long-idle tube: a ladder of kV, with rules for arcs.

Rules, from the sources in qc-and-physics.md 2.5: a series of shots at each kV, some 20 s
apart, and two extra series at the top (Varian 5929); after an arc one step back
(Oxford Instruments), then three more clean shots at the kV that arced before it goes on
(Philips Optimus). How many arcs are too many is our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from firmware_py.routines.steps import Fired, Pause, Routine, Verdict
from firmware_py.routines.warmup import CLEAR, pulse

ARC_FAULTS = frozenset({"ARC"})
CLEAN_AFTER_ARC = 3
EXTRA_SERIES = 2  # more of the last step


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditioningPlan:
    kv: tuple[float, ...]  # the ladder, from low to high
    ma: float
    on_s: float
    pause_s: float
    shots: int  # clean ones at each kV
    most_arcs_at_kv: int
    most_arcs: int
    most_faults: int = 3  # other ones


@dataclass(slots=True)
class _Ladder:
    index: int = 0
    clean: int = 0
    needed: int = 0
    arcs: int = 0
    faults: int = 0
    arcs_at: dict[float, int] = field(default_factory=dict)


def ladder(kv_from: float, kv_to: float, step_kv: float) -> tuple[float, ...]:
    """Both ends included, the last step as short as need be."""
    count = math.ceil((kv_to - kv_from) / step_kv - 1e-9)
    return (*(round(kv_from + step_kv * index, 3) for index in range(count)), kv_to)


def conditioning(plan: ConditioningPlan) -> Routine:
    yield CLEAR
    at = _Ladder()
    at.needed = _shots_at(at, plan)
    while at.index < len(plan.kv):
        kv = plan.kv[at.index]
        result = yield pulse(kv, plan.ma, plan.on_s, f"{kv:g} kV, {at.clean + 1} of {at.needed}")
        assert isinstance(result, Fired)
        verdict = _learn(at, plan, kv, result)
        if verdict is not None:
            return verdict
        if at.index < len(plan.kv):
            yield Pause(seconds=plan.pause_s, why="rest: release the handswitch")
    told = f"conditioned to {plan.kv[-1]:g} kV, {at.arcs} arc{'' if at.arcs == 1 else 's'}"
    return Verdict(passed=True, text=told)


def _learn(at: _Ladder, plan: ConditioningPlan, kv: float, result: Fired) -> Verdict | None:
    """Where to go on after this shot; a verdict when it must not go on."""
    if ARC_FAULTS.intersection(result.faults):
        return _arced(at, plan, kv)
    if result.faults:
        at.faults += 1
        if at.faults > plan.most_faults:
            return Verdict(passed=False, text=f"{at.faults} faults: {', '.join(result.faults)}")
        return None
    if result.released:
        return None  # it counts for nothing, and is made again
    at.clean += 1
    if at.clean >= at.needed:
        at.index += 1
        at.clean, at.needed = 0, _shots_at(at, plan)
    return None


def _arced(at: _Ladder, plan: ConditioningPlan, kv: float) -> Verdict | None:
    at.arcs += 1
    at.arcs_at[kv] = at.arcs_at.get(kv, 0) + 1
    if at.arcs_at[kv] > plan.most_arcs_at_kv:
        return Verdict(passed=False, text=f"{at.arcs_at[kv]} arcs at {kv:g} kV: call service")
    if at.arcs > plan.most_arcs:
        return Verdict(passed=False, text=f"{at.arcs} arcs in all: call service")
    at.clean = 0
    if at.index:
        at.index, at.needed = at.index - 1, 1
    else:
        at.needed = _shots_at(at, plan)
    return None


def _shots_at(at: _Ladder, plan: ConditioningPlan) -> int:
    """At a kV that has arced three clean shots, at the top two series more."""
    if at.index >= len(plan.kv):
        return 0
    kv = plan.kv[at.index]
    shots = plan.shots * (1 + EXTRA_SERIES if at.index == len(plan.kv) - 1 else 1)
    return max(shots, CLEAN_AFTER_ARC) if kv in at.arcs_at else shots
