"""The daily warm-up: low kV, long, onto no receptor; as long as the tube's table says.

    Ask "no receptor" - 40 kV 15 s - 15 s rest - ... - 50 kV ... - 60 kV ...

The dead-man duty is what a hand can bear and what the source allows (IXS: 15 s on, 15 s
off). A switch that is let go early is no fault: what is missing of that step is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from firmware_py.routines.steps import Ask, Fire, Fired, Pause, Routine, Verdict
from hal.types import ShotKind, Technique

CLEAR = Ask(
    key="no receptor",
    text="Take the panel out of the beam, or close the collimator. Nobody in the room.",
)
SHORTEST_S = 1.0  # what is missing and shorter is not worth a press
MOST_FAULTS = 3  # a tube that trips more often is not warmed, it is ill


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupPlan:
    """`kv`: steps of equal length, the lowest first; `pulses`: in all."""

    kv: tuple[float, ...]
    ma: float
    pulses: int
    on_s: float
    off_s: float


def plan_for(
    minutes: float, *, kv: tuple[float, ...], ma: float, on_s: float, off_s: float
) -> WarmupPlan:
    """`minutes`: the table's, pauses included: it does not say whether they count."""
    pulses = math.ceil(minutes * 60 / (on_s + off_s))
    return WarmupPlan(kv=kv, ma=ma, pulses=max(pulses, len(kv)), on_s=on_s, off_s=off_s)


def pulses_kv(plan: WarmupPlan) -> list[float]:
    """The kV of each pulse; what does not divide evenly goes to the highest."""
    each = plan.pulses // len(plan.kv)
    low = [kv for kv in plan.kv[:-1] for _ in range(each)]
    return low + [plan.kv[-1]] * (plan.pulses - len(low))


def warmup(plan: WarmupPlan) -> Routine:
    yield CLEAR
    faults = 0
    kvs = pulses_kv(plan)
    for number, kv in enumerate(kvs, 1):
        left_s = plan.on_s
        while left_s >= SHORTEST_S:
            result = yield pulse(kv, plan.ma, left_s, f"{kv:g} kV, {number} of {len(kvs)}")
            assert isinstance(result, Fired)
            faults += bool(result.faults)
            if faults > MOST_FAULTS:
                return Verdict(passed=False, text=f"{faults} faults: {', '.join(result.faults)}")
            left_s -= (result.beam_ms or 0.0) / 1000 if result.released else plan.on_s
            left_s = plan.on_s if result.faults else left_s
            if number < len(kvs) or left_s >= SHORTEST_S:
                yield Pause(seconds=plan.off_s, why="rest: release the handswitch")
    return Verdict(passed=True, text=f"warmed up to {plan.kv[-1]:g} kV")


def pulse(kv: float, ma: float, seconds: float, note: str) -> Fire:
    return Fire(
        technique=Technique(kv=kv, ma=ma, ms=round(seconds * 10) * 100.0),
        kind=ShotKind.NO_RECEPTOR,
        note=note,
        part=f"{kv:g} kV",
        warms=True,
    )
