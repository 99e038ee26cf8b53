"""A routine as plain values, there and back: between processes, and across a crash."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from firmware_py.routines.calibration import PanelPlan
from firmware_py.routines.conditioning import ConditioningPlan
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import (
    Done,
    Fired,
    Result,
    result_from_dict,
    result_to_dict,
)
from firmware_py.routines.supply import Supply
from firmware_py.routines.warmup import WarmupPlan
from tests.routines import Played

WARMUP = WarmupPlan(kv=(40.0, 60.0), ma=0.5, pulses=4, on_s=15.0, off_s=15.0)
LADDER = ConditioningPlan(
    kv=(40.0, 60.0), ma=0.5, on_s=5.0, pause_s=20.0, shots=2, most_arcs_at_kv=2, most_arcs=4
)
PANEL = PanelPlan(
    kv=70.0, ma=1.0, start_ms=500.0, ms_min=200.0, ms_max=4500.0, step_ms=10.0, full_scale=16383,
    dark_kv=30.0, dark_ma=0.2, window_ms=1000.0, flats=16,
)  # fmt: skip
SUPPLY = Supply(capacity_j=1e4, efficiency=0.5, standby_w=1.0, reserve=0.1, charge_h=2, charge=0.4)
SPECS = [
    Spec(kind="warmup", plan=WARMUP),
    Spec(kind="warmup", plan=WARMUP, supply=SUPPLY),
    Spec(kind="conditioning", plan=LADDER, supply=SUPPLY),
    *(Spec(kind=kind, plan=PANEL) for kind in ("offset", "gain", "defects", "lag")),
]
RESULTS: list[Result] = [
    Done(),
    Done(who="A. Meier"),
    Fired(shot_id="r-1-001", reason="planned end", beam=True, mas=7.5, beam_ms=15_000.0, kv=40.0,
          ma=0.5, faults=("ARC",), level_counts=3000),
    Fired(shot_id="r-1-002", reason="fault"),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_a_spec_survives_a_file(spec: Spec) -> None:
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_what_comes_back_is_the_same_routine(spec: Spec) -> None:
    again = Spec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert Played(again.routine()).steps == Played(spec.routine()).steps


def test_every_call_begins_at_the_beginning() -> None:
    spec = SPECS[0]
    assert Played(spec.routine()).steps == Played(spec.routine()).steps


def test_each_panel_kind_is_a_routine_of_its_own() -> None:
    beginnings = {spec.kind: len(Played(spec.routine()).shots) for spec in SPECS[3:]}
    assert beginnings["offset"] == 32
    assert len(beginnings) == 4


def test_an_unknown_kind_is_refused_with_what_there_is() -> None:
    data = SPECS[0].to_dict() | {"kind": "tango"}
    with pytest.raises(ValueError, match="no routine 'tango'; there are warmup, conditioning, off"):
        Spec.from_dict(data)


@pytest.mark.parametrize("missing", ["kind", "plan"])
def test_a_spec_without_kind_or_plan_is_refused(missing: str) -> None:
    data = {name: value for name, value in SPECS[0].to_dict().items() if name != missing}
    with pytest.raises(KeyError):
        Spec.from_dict(data)


def test_a_plan_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError):
        Spec.from_dict(SPECS[2].to_dict() | {"kind": "warmup"})


def test_without_a_supply_nothing_is_split() -> None:
    hungry = replace(SUPPLY, charge=0.0)
    split, whole = (Played(replace(SPECS[0], supply=one).routine()) for one in (hungry, None))
    assert len(split.steps) == len(whole.steps) + 1


@pytest.mark.parametrize("result", RESULTS, ids=str)
def test_a_result_survives_a_file(result: Result) -> None:
    assert result_from_dict(json.loads(json.dumps(result_to_dict(result)))) == result


@pytest.mark.parametrize(
    "data", [{}, {"result": "fired"}, {"result": "done", "mas": 1}, {"result": "x", "who": ""}]
)
def test_what_is_no_result_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no result of a step"):
        result_from_dict(data)
