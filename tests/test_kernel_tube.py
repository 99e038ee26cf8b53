"""Heat, power and pauses of the tube at their very limit: what is just inside is permitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import duty, technique, tube_load
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Memory, State
from hal.now import Now
from hal.types import EndReason, ExposureReport, ShotKind, Technique
from tests.samples import LIMITS, SHOT, T_US, TUBE, inputs, memory, recorder

S = 1_000_000
ONE_SECOND = Technique(kv=80.0, ma=0.5, ms=1000.0)


def with_tube(**changes: Any) -> Memory:
    values = {key: changes.pop(key) for key in ("beams_us", "beam", "heat_j") if key in changes}
    return memory(State.STANDBY, limits=replace(LIMITS, tube=replace(TUBE, **changes)), **values)


# --- heat and power


@pytest.mark.req("SR-14")
def test_heat_falls_to_its_eth_part_in_one_time_constant() -> None:
    hot = with_tube(heat_j=10_000.0)
    later_us = hot.heat_us + round(TUBE.cooling_tau_s * S)
    assert tube_load.heat_j(hot, hot.heat_us) == 10_000.0
    assert tube_load.heat_j(hot, later_us) == pytest.approx(3678.7944117144233, rel=1e-12)


@pytest.mark.req("SR-14")
def test_an_exposure_that_just_fills_the_tube_fits_and_a_joule_more_does_not() -> None:
    asked = Technique(kv=100.0, ma=1.0, mas=10.0)  # 1000 J
    now = Now(5 * S)
    full, short = with_tube(heat_max_j=1000.0), with_tube(heat_max_j=999.0)
    assert tube_load.fits(full, asked, now, full.limits)
    assert not tube_load.fits(short, asked, now, short.limits)


@pytest.mark.req("SR-14")
@pytest.mark.parametrize(("ma", "is_permitted"), [(1.000001, True), (1.000002, False)])
def test_the_power_limit_includes_its_tolerance_of_one_in_a_million(
    ma: float, is_permitted: bool
) -> None:
    limits = replace(LIMITS, tube=replace(TUBE, power_max_w=100.0, ma_max=2.0))
    asked = Technique(kv=100.0, ma=ma, ms=100.0)
    assert technique.permitted(asked, limits, ShotKind.IMAGING) is is_permitted


@pytest.mark.req("SR-16")
def test_a_frame_without_a_beam_needs_no_warm_tube() -> None:
    cold = with_tube(cold_kv_max=60.0).limits
    assert technique.too_cold(SHOT, cold)
    assert not technique.too_cold(replace(SHOT, kind=ShotKind.DARK), cold)


# --- pauses


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(
    "half_a_rule",
    [
        {"duty_window_us": 10 * S, "duty_beam_us": None},
        {"duty_window_us": None, "duty_beam_us": 2 * S},
    ],
)
def test_a_tube_whose_sheet_names_half_a_rule_has_none(half_a_rule: dict[str, Any]) -> None:
    used = with_tube(**half_a_rule, beams_us=((S, 4 * S),))
    assert duty.rested(used, ONE_SECOND, Now(5 * S))


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(("beam_us", "is_rested"), [(S, True), (S - 1, False)])
def test_a_beam_before_the_window_counts_nothing_neither_for_nor_against(
    beam_us: int, is_rested: bool
) -> None:
    used = with_tube(duty_window_us=10 * S, duty_beam_us=beam_us, beams_us=((S, 2 * S),))
    assert duty.rested(used, ONE_SECOND, Now(30 * S)) is is_rested


@pytest.mark.req("SR-16")
def test_a_beam_that_reaches_into_the_window_counts_with_what_lies_in_it() -> None:
    used = with_tube(duty_window_us=10 * S, duty_beam_us=2 * S, beams_us=((S, 4 * S),))
    now_us = 12 * S  # the window begins at 3 s: 1 s of the old beam, 1 s of the new one
    assert duty.rested(used, ONE_SECOND, Now(now_us))
    assert not duty.rested(used, ONE_SECOND, Now(now_us - 1))


@pytest.mark.req("SR-16")
def test_the_first_beam_of_all_needs_no_gap_before_it() -> None:
    assert duty.rested(with_tube(gap_us=60 * S), ONE_SECOND, Now(S))


@pytest.mark.req("SR-43")
@pytest.mark.parametrize(
    ("state", "found"),
    [(State.FAULT, ["RESETS"]), (State.STANDBY, []), (State.LOCKED, [])],
)
def test_many_resets_lock_when_the_next_fault_comes_not_while_all_is_well(
    state: State, found: list[str]
) -> None:
    before = memory(state, resets_us=(1, 2, 3, 4, 5))
    assert duty.causes(before, Now(S)) == found


@pytest.mark.req("SR-16")
def test_for_a_gap_alone_the_newest_beam_is_kept_and_no_older_one() -> None:
    before = with_tube(gap_us=S, beam=Beam(ordered_us=S, sent_us=2 * S), beams_us=((S, 3 * S - 1),))
    assert duty.note_beam(before, 3 * S).beams_us == ((2 * S, 3 * S),)
    windowed = replace(before, limits=with_tube(duty_window_us=S, duty_beam_us=S).limits)
    assert duty.note_beam(windowed, 3 * S).beams_us == ((S, 3 * S - 1), (2 * S, 3 * S))


@pytest.mark.req("SR-14", "SR-53")
@pytest.mark.parametrize(
    ("mas", "beam", "added_j"),
    [
        (0.5, True, 40.0),  # 80 kV x 0.5 mAs
        (None, True, 80.0),  # not known: its bound
        (0.5, False, 0.0),
    ],
)
def test_a_beam_whose_dose_is_saved_heats_the_tube_on_top_of_what_is_left(
    mas: float | None, beam: bool, added_j: float
) -> None:
    told = ExposureReport(shot=SHOT, reason=EndReason.PLANNED, beam=beam, mas=mas, maximum_mas=1.0)
    before = memory(State.RELEASE_WAIT, report=told, heat_j=1000.0, heat_us=T_US - 90 * S)
    after, _ = step(before, inputs(recorder=recorder(dose_saved=SHOT.shot_id)))
    assert after.report is None
    assert after.heat_us == T_US
    assert after.heat_j == pytest.approx(1000.0 * 0.9048374180359595 + added_j, rel=1e-12)
