"""Sensed geometry and the meter in the beam, as the unit decides on them: to the sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import account, dap
from firmware_py.decide.controller import step
from firmware_py.decide.dap import SETTLE_US, calculated_dgycm2, hold, output_ugy_per_mas
from firmware_py.decide.geometry import causes
from firmware_py.decide.interlocks import inhibits
from firmware_py.decide.memory import Ending, Limits, Memory, State, Unread
from firmware_py.decide.outputs import outputs_for
from hal.now import Now
from hal.types import (
    DapData,
    DoseSample,
    EndReason,
    ExposureReport,
    GeometryData,
    GeometrySample,
    Inputs,
    Requests,
    ShotKind,
)
from tests import samples
from tests.samples import SHOT, T_US

PLACE = GeometryData(
    sid_mm=1150.0, sid_mm_min=1000.0, sid_mm_max=1150.0, rows_mm=360.0, columns_mm=360.0,
    field_rows_mm=350.0, field_columns_mm=350.0, sensed=True, age_us=250_000,
)  # fmt: skip
DAP = DapData(
    output_ugy_per_mas=((40.0, 20.0), (80.0, 80.0), (160.0, 160.0)), deviation_pct=20.0,
    deviation_dgycm2=0.02, wait_us=1_000_000, required=False,
)  # fmt: skip
LIMITS = replace(Limits(tube=samples.TUBE), geometry=PLACE, dap=DAP)
GOOD = GeometrySample(
    taken_us=T_US, link_ok=True, sid_mm=1150.0, field_rows_mm=350.0, field_columns_mm=350.0
)
IN_USE = (State.PREP, State.READY, State.INTERLOCK_CHECK, State.EXPOSE)


def found(state: State = State.READY, shot: Any = SHOT, place: Any = PLACE, **seen: Any) -> Any:
    memory = samples.memory(state, limits=replace(LIMITS, geometry=place))
    inputs = samples.inputs(geometry=replace(GOOD, **seen))
    return causes(memory, inputs, Now(T_US), shot)


# --- the distance that is asked for


FREE = replace(PLACE, sid_mm=1200.0, sid_mm_max=1800.0, sensed=False)


def blocked(sid_mm: Any, place: GeometryData | None = FREE) -> bool:
    limits = replace(Limits(tube=samples.TUBE), geometry=place)
    memory = samples.memory(State.STANDBY, limits=limits)
    shot = replace(samples.SHOT, sid_mm=sid_mm)
    found = inhibits(memory, samples.inputs(requests=Requests(shot=shot)), Now(samples.T_US))
    assert set(found) <= {"SID"}
    return bool(found)


@pytest.mark.req("SR-05")
@pytest.mark.parametrize(
    ("sid_mm", "refused"),
    [(None, False), (1000.0, False), (1800, False), (999.9, True), (1800.1, True),
     (float("nan"), True), (True, True), ("1200", True)],
)  # fmt: skip
def test_a_press_counts_at_a_distance_that_the_place_has(sid_mm: Any, refused: bool) -> None:
    assert blocked(sid_mm) is refused


@pytest.mark.req("SR-05")
def test_a_unit_that_knows_no_place_takes_no_distance() -> None:
    assert blocked(1200.0, None)
    assert not blocked(None, None)


# --- geometry


@pytest.mark.req("SR-09", "F27")
@pytest.mark.parametrize("state", IN_USE)
@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({}, []),
        ({"sid_mm": 1127.0}, []),  # 2 % of 1150 are 23 mm
        ({"sid_mm": 1173.0}, []),
        ({"sid_mm": 1126.9}, ["SID_WRONG"]),
        ({"sid_mm": 1173.1}, ["SID_WRONG"]),
        ({"sid_mm": None}, ["SID_WRONG"]),
        ({"sid_mm": float("nan")}, ["SID_WRONG"]),
        ({"field_rows_mm": 450.0}, []),  # 360 of 450 mm meet the panel: four fifths
        ({"field_rows_mm": 450.1}, ["FIELD_OFF_PANEL"]),
        ({"field_rows_mm": 402.4, "field_columns_mm": 402.4}, []),
        ({"field_rows_mm": 402.6, "field_columns_mm": 402.6}, ["FIELD_OFF_PANEL"]),
        ({"field_columns_mm": None}, ["FIELD_OFF_PANEL"]),
        ({"field_columns_mm": 0.0}, ["FIELD_OFF_PANEL"]),
        ({"field_rows_mm": float("nan")}, ["FIELD_OFF_PANEL"]),
        ({"moving": True}, ["FIELD_OFF_PANEL"]),
        ({"link_ok": False}, ["COLLIMATOR_LOST"]),
        ({"field_rows_mm": 50.0, "field_columns_mm": 20.0}, []),
    ],
)  # fmt: skip
def test_a_beam_needs_the_planned_distance_and_four_fifths_of_its_field_on_the_panel(
    state: State, seen: dict[str, Any], code: list[str]
) -> None:
    assert found(state, **seen) == code


@pytest.mark.req("SR-09")
def test_the_distance_that_this_shot_asks_for_is_the_one_that_counts() -> None:
    shot = replace(SHOT, sid_mm=1000.0)
    assert found(shot=shot, sid_mm=1000.0) == []
    assert found(shot=shot) == ["SID_WRONG"]


@pytest.mark.req("SR-09")
def test_an_old_sample_is_none() -> None:
    old_us = T_US - PLACE.age_us
    assert found(State.EXPOSE, taken_us=old_us + 1) == []
    assert found(State.EXPOSE, taken_us=old_us) == ["COLLIMATOR_LOST"]


def test_at_rest_it_is_asked_seldom_and_may_be_four_times_as_old() -> None:
    oldest_us = T_US - 4 * PLACE.age_us
    assert found(State.STANDBY, taken_us=oldest_us + 1) == []
    assert found(State.STANDBY, taken_us=oldest_us) == ["COLLIMATOR_LOST"]
    assert found(State.PREP, taken_us=oldest_us) == []  # PREP has lasted 10 ms


def test_a_bench_that_senses_nothing_is_judged_by_nothing() -> None:
    assert found(place=replace(PLACE, sensed=False), link_ok=False) == []
    assert found(place=None, link_ok=False) == []
    memory = samples.memory(State.READY, limits=LIMITS)
    assert causes(memory, samples.inputs(), Now(T_US), SHOT) == ["COLLIMATOR_LOST"]


def test_a_flat_may_overfill_its_panel_and_a_shot_onto_none_has_no_field() -> None:
    wide: dict[str, Any] = {"field_rows_mm": 600.0, "field_columns_mm": 600.0}
    assert found(shot=replace(SHOT, raw=True), **wide) == []
    assert found(shot=replace(SHOT, raw=True), **wide, sid_mm=1000.0) == ["SID_WRONG"]
    for kind in (ShotKind.NO_RECEPTOR, ShotKind.DARK):
        assert found(shot=replace(SHOT, kind=kind), **wide, sid_mm=1000.0) == []


@pytest.mark.req("SR-09", "F27")
def test_a_press_is_refused_before_anything_turns() -> None:
    memory = samples.memory(State.STANDBY, limits=LIMITS)
    inputs = samples.inputs(geometry=replace(GOOD, sid_mm=1000.0))
    assert inhibits(memory, inputs, Now(T_US)) == ("SID_WRONG",)
    assert inhibits(memory, replace(inputs, geometry=GOOD), Now(T_US)) == ()


@pytest.mark.req("SR-09", "F27")
def test_blades_that_open_in_the_beam_end_it_in_that_scan() -> None:
    memory = samples.exposing(limits=LIMITS, placed=GOOD)
    after, outputs = step(memory, samples.in_beam(geometry=GOOD))
    assert (after.state, outputs.expose_from_us is None) == (State.EXPOSE, False)
    after, outputs = step(memory, samples.in_beam(geometry=replace(GOOD, field_rows_mm=600.0)))
    assert (after.state, after.faults) == (State.FAULT, ("FIELD_OFF_PANEL",))
    assert (outputs.expose_from_us, outputs.enable) == (None, False)


@pytest.mark.req("SR-53", "F27")
def test_the_report_has_where_the_tube_stood_but_not_if_that_ended_the_beam() -> None:
    memory = samples.exposing(limits=LIMITS, placed=GOOD)
    ending = Ending(ordered_us=T_US, reason=EndReason.FAULT, fault="DOOR_OPEN")
    known = account._unproved(memory, ending, T_US)
    assert (known.sid_mm, known.field_rows_mm, known.field_columns_mm) == (1150.0, 350.0, 350.0)
    moved = account._unproved(memory, replace(ending, fault="SID_WRONG"), T_US)
    assert (moved.sid_mm, moved.field_rows_mm, moved.field_columns_mm) == (None, None, None)


def test_people_may_move_the_tube_away_while_the_image_is_read_out() -> None:
    memory = samples.memory(State.READOUT, limits=LIMITS, beam=samples.BEAM)
    after, _ = step(memory, samples.inputs(geometry=replace(GOOD, sid_mm=None)))
    assert after.faults == ()


@pytest.mark.req("SR-41")
def test_no_reset_while_the_geometry_that_tripped_is_still_wrong() -> None:
    memory = samples.memory(
        State.FAULT, limits=LIMITS, faults=("SID_WRONG",), open_since_us=0, reset_since_us=0
    )
    wrong = samples.inputs(
        geometry=replace(GOOD, sid_mm=900.0), room=samples.room(reset=True),
        generator=samples.generator(beam_on=False, beam_taken_us=T_US),
    )  # fmt: skip
    assert step(memory, wrong)[0].state is State.FAULT
    assert step(memory, replace(wrong, geometry=GOOD))[0].state is State.RELEASE_WAIT


# --- the meter in the beam


def report(**changes: Any) -> ExposureReport:
    values: dict[str, Any] = {
        "shot": SHOT, "reason": EndReason.PLANNED, "beam": True, "mas": 2.0, "maximum_mas": 3.0,
        "kv": 80.0, "sid_mm": 1000.0, "field_rows_mm": 500.0, "field_columns_mm": 400.0,
    }  # fmt: skip
    return ExposureReport(**(values | changes))


def dose(**changes: Any) -> DoseSample:
    sample = DoseSample(taken_us=T_US, link_ok=True, shot_id=SHOT.shot_id, dap_dgycm2=3.2)
    return replace(sample, **changes)


def waiting(of: ExposureReport | None = None, proved_us: int = T_US - 100_000) -> Memory:
    unread = Unread(report=of or report(), proved_us=proved_us)
    return samples.memory(State.READOUT, limits=LIMITS, unread=unread)


def told(memory: Memory, sample: DoseSample | None, t_us: int = T_US) -> ExposureReport | None:
    inputs: Inputs = samples.inputs(t_us, dose=sample)
    return step(memory, inputs)[0].report


def test_what_is_computed_is_output_times_charge_times_field() -> None:
    """80 uGy/mAs x 2 mAs x 0.5 m x 0.4 m at 1 m = 32 uGy m2 = 3.2 dGy cm2."""
    assert calculated_dgycm2(report(), LIMITS, DAP) == pytest.approx(3.2)


def test_the_same_field_farther_away_took_less_through_the_blades() -> None:
    assert calculated_dgycm2(report(sid_mm=2000.0), LIMITS, DAP) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("kv", "output"),
    [(40.0, 20.0), (80.0, 80.0), (60.0, 40.0), (160.0, 160.0), (39.9, None), (160.1, None),
     (float("nan"), None)],
)  # fmt: skip
def test_the_output_lies_between_its_rows_by_equal_factors(kv: float, output: float) -> None:
    assert output_ugy_per_mas(kv, DAP) == (output and pytest.approx(output))


@pytest.mark.parametrize("unknown", [{"mas": None}, {"kv": 10.0}, {"field_rows_mm": None}])
def test_nothing_is_computed_from_what_is_not_known(unknown: dict[str, Any]) -> None:
    assert calculated_dgycm2(report(**unknown), LIMITS, DAP) is None


def test_where_nothing_is_sensed_the_light_field_and_the_distance_asked_for_count() -> None:
    entered = replace(LIMITS, geometry=replace(PLACE, sensed=False))
    bare = report(sid_mm=None, field_rows_mm=None, field_columns_mm=None)
    assert calculated_dgycm2(bare, entered, DAP) == pytest.approx(16.0 * (0.35 / 1.15) ** 2)
    asked = replace(bare, shot=replace(SHOT, sid_mm=1000.0))
    assert calculated_dgycm2(asked, entered, DAP) == pytest.approx(16.0 * 0.35**2)


@pytest.mark.req("SR-53")
def test_a_report_waits_for_a_value_that_was_asked_for_after_the_beam() -> None:
    memory = waiting()
    soonest_us = T_US - 100_000 + SETTLE_US
    assert told(memory, dose(taken_us=soonest_us - 1)) is None
    made = told(memory, dose(taken_us=soonest_us))
    assert made is not None
    assert (made.dap_dgycm2, made.dap_doubt) == (3.2, None)
    assert made.calculated_dap_dgycm2 == pytest.approx(3.2)


@pytest.mark.req("SR-53")
def test_a_new_report_of_a_beam_waits_and_one_without_a_beam_does_not() -> None:
    before = samples.memory(State.READOUT, limits=LIMITS)
    after = hold(before, replace(before, report=report()), samples.inputs())
    assert (after.report, after.unread) == (None, Unread(report=report(), proved_us=T_US))
    without = replace(before, report=report(beam=False))
    assert hold(before, without, samples.inputs()) is without
    known = replace(before, report=report())
    assert hold(known, known, samples.inputs()) is known


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("sample", [None, dose(link_ok=False), dose(taken_us=0)])
def test_a_lost_meter_is_told_after_its_time_and_the_computed_value_stays(
    sample: DoseSample | None,
) -> None:
    proved_us = T_US - DAP.wait_us
    assert told(waiting(proved_us=proved_us + 1), sample) is None
    made = told(waiting(proved_us=proved_us), sample)
    assert made is not None
    assert (made.dap_dgycm2, made.dap_doubt) == (None, "DAP_LOST")
    assert made.calculated_dap_dgycm2 == pytest.approx(3.2)


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("other", [{"shot_id": None}, {"shot_id": "another"}, {"dap_dgycm2": None}])
def test_a_value_that_is_not_of_this_shot_is_none(other: dict[str, Any]) -> None:
    made = told(waiting(), dose(**other))
    assert made is not None
    assert (made.dap_dgycm2, made.dap_doubt) == (None, "DAP_LOST")


@pytest.mark.parametrize(
    ("measured", "doubt"),
    [(3.2, None), (2.57, None), (3.83, None), (2.55, "DAP_DEVIATES"), (3.85, "DAP_DEVIATES"),
     (0.0, "DAP_DEVIATES"), (float("nan"), "DAP_DEVIATES")],
)  # fmt: skip
def test_a_fifth_between_measured_and_computed_is_told(measured: float, doubt: str | None) -> None:
    made = told(waiting(), dose(dap_dgycm2=measured))
    assert made is not None
    assert made.dap_doubt == doubt


def test_the_ends_of_the_band_still_agree() -> None:
    own = replace(DAP, deviation_pct=25.0, deviation_dgycm2=0.25)
    for field in ({}, {"field_rows_mm": None, "field_columns_mm": None}):
        assert dap._agree(0.75, 1.0, report(**field), own)
        assert dap._agree(1.25, 1.0, report(**field), own)
        assert not dap._agree(1.2501, 1.0, report(**field), own)
    assert not dap._agree(0.7499, 1.0, report(), own)


def test_of_a_small_beam_two_steps_of_the_meter_are_no_deviation() -> None:
    small = report(mas=0.02)  # 0.032 dGy cm2
    assert told(waiting(small), dose(dap_dgycm2=0.013)).dap_doubt is None  # type: ignore[union-attr]
    assert told(waiting(small), dose(dap_dgycm2=0.011)).dap_doubt == "DAP_DEVIATES"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("measured", "doubt"),
    [(0.5, None), (1.4, None), (0.02, None), (0.0, "DAP_DEVIATES"), (1.8, "DAP_DEVIATES")],
)
def test_a_field_that_nobody_senses_may_be_smaller_but_not_nothing(
    measured: float, doubt: str | None
) -> None:
    """Computed with the whole light field: 1.482 dGy cm2."""
    entered = replace(LIMITS, geometry=replace(PLACE, sensed=False))
    bare = report(sid_mm=None, field_rows_mm=None, field_columns_mm=None)
    memory = replace(waiting(bare), limits=entered)
    made = told(memory, dose(dap_dgycm2=measured))
    assert made is not None
    assert made.dap_doubt == doubt


@pytest.mark.req("SR-53")
def test_an_unknown_charge_still_has_its_measured_product() -> None:
    made = told(waiting(report(mas=None)), dose(dap_dgycm2=1.25))
    assert made is not None
    assert (made.dap_dgycm2, made.calculated_dap_dgycm2, made.dap_doubt) == (1.25, None, None)


def beaming() -> Memory:
    return samples.exposing(limits=LIMITS, placed=GOOD)


@pytest.mark.req("SR-17", "SR-53")
@pytest.mark.parametrize("sample", [None, dose(link_ok=False), dose(taken_us=T_US)])
def test_no_state_of_the_meter_holds_off_back_or_ends_a_beam(sample: DoseSample | None) -> None:
    on = samples.in_beam(geometry=GOOD, dose=sample)
    assert step(beaming(), on)[0].state is State.EXPOSE
    released = replace(on, room=samples.room())
    after, outputs = step(beaming(), released)
    assert (after.state, outputs.expose_from_us) == (State.READOUT, None)


def test_the_meter_is_reset_before_and_wanted_until_the_report_is_made() -> None:
    def wanted(memory: Memory, inputs: Inputs) -> tuple[str | None, bool]:
        outputs = step(memory, inputs)[1]
        return outputs.dose_shot_id, outputs.dose_reset

    inputs = samples.inputs(geometry=GOOD, room=samples.held(stage_2=False))
    assert wanted(samples.memory(State.PREP, limits=LIMITS), inputs) == ("shot-1", True)
    assert wanted(samples.memory(State.READY, limits=LIMITS), inputs) == ("shot-1", True)
    assert wanted(beaming(), samples.in_beam(geometry=GOOD)) == ("shot-1", False)
    assert wanted(waiting(), samples.inputs()) == ("shot-1", False)
    nobody = samples.inputs(geometry=GOOD)
    assert wanted(samples.memory(State.STANDBY, limits=LIMITS), nobody) == (None, False)
    without = replace(LIMITS, dap=None)
    assert wanted(samples.memory(State.PREP, limits=without), inputs) == (None, False)


@pytest.mark.parametrize(
    ("kind", "shot_id"),
    [(ShotKind.IMAGING, "shot-1"), (ShotKind.NO_RECEPTOR, "shot-1"), (ShotKind.DARK, None)],
)
def test_the_meter_is_wanted_for_a_beam_alone(kind: ShotKind, shot_id: str | None) -> None:
    before = samples.memory(State.PREP, limits=LIMITS, shot=replace(SHOT, kind=kind))
    assert outputs_for(before, samples.inputs(), Now(T_US)).dose_shot_id == shot_id


@pytest.mark.parametrize(("made", "shot_id"), [(None, "shot-1"), (report(), None)])
def test_the_meter_is_wanted_no_more_in_the_scan_that_makes_the_report(
    made: ExposureReport | None, shot_id: str | None
) -> None:
    before = replace(waiting(), report=made)
    assert outputs_for(before, samples.inputs(), Now(T_US)).dose_shot_id == shot_id


@pytest.mark.parametrize(
    ("required", "sample", "refused"),
    [
        (False, None, ()),
        (True, dose(), ()),
        (True, None, ("DAP_METER",)),
        (True, dose(link_ok=False), ("DAP_METER",)),
        (True, dose(trouble="its chamber has no voltage"), ("DAP_METER",)),
    ],
)
def test_a_bench_may_want_its_meter_before_each_exposure(
    required: bool,
    sample: DoseSample | None,
    refused: tuple[str, ...],
) -> None:
    limits = replace(LIMITS, dap=replace(DAP, required=required))
    memory = samples.memory(State.STANDBY, limits=limits)
    assert inhibits(memory, samples.inputs(geometry=GOOD, dose=sample), Now(T_US)) == refused


@pytest.mark.req("SR-41")
def test_no_reset_before_the_report_is_made() -> None:
    memory = replace(
        waiting(), state=State.FAULT, faults=("DOOR_OPEN",), open_since_us=0, reset_since_us=0
    )
    pressed = samples.inputs(
        geometry=GOOD, room=samples.room(reset=True),
        generator=samples.generator(beam_on=False, beam_taken_us=T_US),
    )  # fmt: skip
    assert step(memory, pressed)[0].state is State.FAULT
    assert step(replace(memory, unread=None), pressed)[0].state is State.RELEASE_WAIT
