"""Each step of a routine passes the ordinary rating check before anything runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py.routines.conditioning import ConditioningPlan
from firmware_py.routines.spec import Spec
from firmware_py.routines.warmup import WarmupPlan
from rig.bench import load_bench
from rig.exit_codes import UsageError
from rig.routines.check import checked
from rig.routines.panel_plan import panel_spec
from rig.routines.tube import conditioning_spec, supply_of, warmup_spec

UNIT = load_bench("portable").unit
WARMUP = WarmupPlan(kv=(40.0, 60.0), ma=0.5, pulses=4, on_s=15.0, off_s=15.0)
LADDER = ConditioningPlan(
    kv=(40.0, 60.0), ma=0.5, on_s=5.0, pause_s=20.0, shots=2, most_arcs_at_kv=4, most_arcs=12
)


def refusal(spec: Spec) -> str:
    with pytest.raises(UsageError) as told:
        checked(UNIT, spec)
    return str(told.value)


def test_the_shipped_benchs_routines_are_permitted() -> None:
    assert checked(UNIT, warmup_spec(UNIT, 10.0)).kv_max == 60.0
    assert checked(UNIT, conditioning_spec(UNIT)).kv_max == 120.0
    for kind in ("offset", "gain", "defects", "lag"):
        assert checked(UNIT, panel_spec(kind, UNIT), level_counts=3277).verdict.passed


def test_each_mistake_is_told_with_the_step_and_the_range() -> None:
    told = refusal(Spec(kind="warmup", plan=replace(WARMUP, ma=2.0)))
    assert "40 kV, 1 of 4: ma = 2 mA is outside 0.2 to 1 mA" in told
    told = refusal(Spec(kind="warmup", plan=replace(WARMUP, kv=(40.0, 130.0))))
    assert told.splitlines()[0] == "130 kV, 3 of 4: kvp = 130 kV is outside 30 to 120 kV"
    told = refusal(Spec(kind="warmup", plan=replace(WARMUP, on_s=30.0)))
    assert "ms = 30000 ms is outside 10 to 20000 ms" in told


def test_a_set_point_between_the_generators_steps_is_refused_and_not_rounded() -> None:
    told = refusal(Spec(kind="conditioning", plan=replace(LADDER, kv=(40.0, 40.05))))
    assert "kv = 40.05 is between the generator's steps; it makes 40" in told


def test_a_battery_that_bears_no_step_is_told_beforehand() -> None:
    assert UNIT.battery is not None
    tiny = UNIT.battery.model_copy(update={"capacity_wh": 0.5})
    told = refusal(Spec(kind="warmup", plan=WARMUP, supply=supply_of(tiny, 1.0)))
    assert told == "warmup can't be done here: a full battery does not last for one step"


def test_one_shot_that_is_too_much_for_the_tube_is_told() -> None:
    hot = UNIT.model_copy(update={"tube": UNIT.tube.model_copy(update={"heat_max_j": 200.0})})
    with pytest.raises(UsageError, match="one shot of 300 J is above the tube's 200 J"):
        checked(hot, Spec(kind="warmup", plan=WARMUP))
