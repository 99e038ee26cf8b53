"""Warm-up by the tube's table, and the kV ladder of conditioning with its arcs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_py.config import WarmupConfig
from firmware_py.routines.conditioning import ConditioningPlan, conditioning, ladder
from firmware_py.routines.idle import minutes_after
from firmware_py.routines.steps import Ask, Fire, Fired, Pause
from firmware_py.routines.warmup import WarmupPlan, plan_for, pulses_kv, warmup
from hal.types import ShotKind
from rig.exit_codes import UsageError
from rig.routines.tube import conditioning_spec, warmup_spec
from tests.model_runs import bench
from tests.routines import Played, at, grouped, planned, released, tripped

HOUR_S, DAY_S = 3600.0, 86_400.0


def table() -> WarmupConfig:
    """The shipped bench's."""
    found = bench().unit.warmup
    assert found is not None
    return found


# --- the table of protocols.md 2.6, row by row

WARM_ROOM = [(0, 0), (71.99, 0), (72, 5), (29.99 * 24, 5), (30 * 24, 10), (89.99 * 24, 10),
             (90 * 24, 50), (1000 * 24, 50)]  # fmt: skip
COLD_ROOM = [(0, 5), (23.99, 5), (24, 10), (29.99 * 24, 10), (30 * 24, 50), (1000 * 24, 50)]


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(("idle_h", "minutes"), WARM_ROOM)
def test_above_5_degrees_the_minutes_are_those_of_the_manual(idle_h: float, minutes: float) -> None:
    for ambient_c in (5.1, 20.0, 40.0):
        assert minutes_after(table(), idle_h * HOUR_S, ambient_c) == minutes


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(("idle_h", "minutes"), COLD_ROOM)
def test_at_5_degrees_and_below_the_minutes_are_those_of_the_manual(
    idle_h: float, minutes: float
) -> None:
    for ambient_c in (5.0, -20.0):
        assert minutes_after(table(), idle_h * HOUR_S, ambient_c) == minutes


@pytest.mark.parametrize(("idle_h", "minutes"), COLD_ROOM)
def test_an_unknown_temperature_is_a_cold_one(idle_h: float, minutes: float) -> None:
    assert minutes_after(table(), idle_h * HOUR_S, None) == minutes


@pytest.mark.parametrize("ambient_c", [20.0, 0.0, None])
def test_an_unknown_rest_is_the_longest(ambient_c: float | None) -> None:
    assert minutes_after(table(), None, ambient_c) == 50


def test_a_table_without_a_cold_part_asks_for_no_temperature() -> None:
    plain = table().model_copy(update={"cold_c": None, "cold_minutes": ()})
    for ambient_c in (-10.0, 20.0, None):
        assert minutes_after(plain, 3 * DAY_S, ambient_c) == 5


# --- the plan of a warm-up

PLAN = WarmupPlan(kv=(40.0, 50.0, 60.0), ma=0.5, pulses=3, on_s=15.0, off_s=15.0)


@pytest.mark.parametrize(("minutes", "pulses"), [(5, 10), (10, 20), (50, 100), (5.1, 11), (0, 3)])
def test_the_minutes_count_pulses_and_pauses(minutes: float, pulses: int) -> None:
    plan = plan_for(minutes, kv=(40.0, 50.0, 60.0), ma=0.5, on_s=15.0, off_s=15.0)
    assert plan.pulses == pulses


def test_every_kv_has_its_share_and_the_highest_what_is_left() -> None:
    assert grouped(pulses_kv(replace(PLAN, pulses=11))) == [(40, 3), (50, 3), (60, 5)]
    assert grouped(pulses_kv(replace(PLAN, pulses=3))) == [(40, 1), (50, 1), (60, 1)]


def test_a_bench_makes_the_plan_of_its_own_table() -> None:
    plan = warmup_spec(bench().unit, 5).plan
    assert plan == replace(PLAN, pulses=10)


def test_a_bench_without_a_table_has_no_warm_up_and_no_conditioning() -> None:
    unit = bench().unit.model_copy(update={"warmup": None, "conditioning": None})
    with pytest.raises(UsageError, match=r"no \[warmup\] section"):
        warmup_spec(unit, 5)
    with pytest.raises(UsageError, match=r"no \[conditioning\] section"):
        conditioning_spec(unit)


# --- a warm-up


def test_a_warm_up_asks_for_no_receptor_and_rests_between_its_pulses() -> None:
    played = Played(warmup(PLAN))
    assert [type(step) for step in played.steps] == [Ask, Fire, Pause, Fire, Pause, Fire]
    assert played.all(Ask)[0].key == "no receptor"
    assert [pause.seconds for pause in played.all(Pause)] == [15.0, 15.0]
    assert played.kvs == [40, 50, 60]
    assert played.verdict is not None
    assert (played.verdict.passed, played.text) == (True, "warmed up to 60 kV")


def test_every_shot_of_a_warm_up_warms_and_makes_no_frame() -> None:
    for shot in Played(warmup(PLAN)).shots:
        assert (shot.kind, shot.warms, shot.raw) == (ShotKind.NO_RECEPTOR, True, False)
        assert (shot.technique.ma, shot.technique.ms, shot.technique.mas) == (0.5, 15_000, None)


def test_what_is_missing_after_an_early_release_is_added() -> None:
    played = Played(warmup(PLAN), at(2, act=lambda shot: released(shot, 4.5)))
    assert played.kvs == [40, 50, 50, 60]
    assert [shot.technique.ms for shot in played.shots] == [15_000, 15_000, 10_500, 15_000]
    assert len(played.all(Pause)) == 3


def test_a_beam_that_a_stop_ended_early_counts_for_as_long_as_it_was() -> None:
    """Ctrl-C in the middle of a pulse; the routine is resumed later."""

    def stopped(shot: Fire) -> Fired:
        return replace(released(shot, 4.5), reason="stop requested")

    played = Played(warmup(PLAN), at(2, act=stopped))
    assert [shot.technique.ms for shot in played.shots] == [15_000, 15_000, 10_500, 15_000]
    played = Played(conditioning(RULES), at(2, act=stopped))
    assert grouped(played.kvs) == [(40, 3), (60, 2), (80, 6)]


def test_what_is_missing_is_added_after_the_last_pulse_too() -> None:
    played = Played(warmup(PLAN), at(3, act=lambda shot: released(shot, 10.0)))
    assert [shot.technique.ms for shot in played.shots[2:]] == [15_000, 5_000]
    assert isinstance(played.steps[-2], Pause)


def test_less_than_a_second_is_not_worth_a_press() -> None:
    played = Played(warmup(PLAN), at(3, act=lambda shot: released(shot, 14.1)))
    assert len(played.shots) == 3


def test_an_early_release_of_unknown_length_counts_for_nothing() -> None:
    played = Played(
        warmup(PLAN), at(1, act=lambda shot: replace(released(shot, 0), beam_ms=None, mas=None))
    )
    assert played.kvs == [40, 40, 50, 60]
    assert {shot.technique.ms for shot in played.shots} == {15_000}


def test_a_pulse_that_tripped_is_made_again_in_full() -> None:
    played = Played(warmup(PLAN), at(1, act=lambda shot: tripped(shot, "ARC")))
    assert played.kvs == [40, 40, 50, 60]
    assert played.verdict is not None
    assert played.verdict.passed


def test_three_faults_are_borne_and_the_fourth_ends_the_warm_up() -> None:
    assert Played(warmup(PLAN), at(1, 3, 5, act=tripped)).text == "warmed up to 60 kV"
    played = Played(warmup(PLAN), at(1, 3, 5, 6, act=tripped))
    assert played.verdict is not None
    assert (played.verdict.passed, len(played.shots)) == (False, 6)
    assert played.text == "4 faults: GENERATOR_OVERCURRENT"


@given(st.integers(1, 1200))
def test_a_pulse_is_asked_for_in_steps_that_a_generator_has(tenths: int) -> None:
    """16.1 * 1000 is 16100.000000000002 to a computer, and no timer can be set to that."""
    plan = replace(PLAN, kv=(40.0,), pulses=1, on_s=120.0)
    left_s = 120.0 - tenths / 10
    played = Played(warmup(plan), at(1, act=lambda shot: released(shot, tenths / 10)))
    assert [shot.technique.ms for shot in played.shots[1:]] == (
        [round(left_s * 10) * 100] if left_s >= 1.0 else []
    )


# --- the ladder of kV


def test_the_ladder_has_both_ends_and_a_short_last_step() -> None:
    assert ladder(40, 120, 10) == (40, 50, 60, 70, 80, 90, 100, 110, 120)
    assert ladder(40, 65, 10) == (40, 50, 60, 65)
    assert ladder(40, 45, 10) == (40, 45)
    assert ladder(40, 40, 10) == (40,)


@given(st.integers(300, 1200), st.integers(0, 900), st.integers(1, 200))
def test_the_ladder_ends_exactly_at_its_upper_end(start: int, height: int, step: int) -> None:
    """In tenths of a kV; a computer's 0.1 is none."""
    kvs = ladder(start / 10, (start + height) / 10, step / 10)
    assert (kvs[0], kvs[-1]) == (start / 10, (start + height) / 10)
    assert len(kvs) == 1 + math.ceil(height / step)
    gaps = [high - low for low, high in pairwise(kvs)]
    assert all(0 < gap < step / 10 + 1e-9 for gap in gaps)


def test_the_shipped_benchs_ladder_is_the_tubes_whole_range() -> None:
    plan = conditioning_spec(bench().unit).plan
    assert isinstance(plan, ConditioningPlan)
    assert plan.kv == (40, 50, 60, 70, 80, 90, 100, 110, 120)
    assert (plan.shots, plan.pause_s, plan.most_arcs_at_kv, plan.most_arcs) == (2, 20, 4, 12)


# --- conditioning

RULES = ConditioningPlan(
    kv=(40.0, 60.0, 80.0), ma=0.5, on_s=5.0, pause_s=20.0, shots=2, most_arcs_at_kv=2, most_arcs=4,
)  # fmt: skip


def arc(shot: Fire) -> Fired:
    return tripped(shot, "ARC")


def test_each_kv_has_its_series_and_the_top_two_more() -> None:
    played = Played(conditioning(RULES))
    assert grouped(played.kvs) == [(40, 2), (60, 2), (80, 6)]
    assert [type(step) for step in played.steps[:4]] == [Ask, Fire, Pause, Fire]
    assert len(played.all(Pause)) == len(played.shots) - 1
    assert {pause.seconds for pause in played.all(Pause)} == {20.0}
    assert played.text == "conditioned to 80 kV, 0 arcs"


def test_after_an_arc_one_step_back_one_shot_there_then_three_clean_ones() -> None:
    played = Played(conditioning(replace(RULES, kv=(40.0, 50.0, 60.0, 80.0))), at(5, act=arc))
    assert grouped(played.kvs) == [(40, 2), (50, 2), (60, 1), (50, 1), (60, 3), (80, 6)]
    assert played.text == "conditioned to 80 kV, 1 arc"


def test_one_step_above_the_first_an_arc_costs_one_shot_at_the_first() -> None:
    played = Played(conditioning(RULES), at(3, act=arc))
    assert grouped(played.kvs) == [(40, 2), (60, 1), (40, 1), (60, 3), (80, 6)]


def test_at_the_first_step_there_is_none_to_go_back_to() -> None:
    played = Played(conditioning(RULES), at(1, act=arc))
    assert grouped(played.kvs) == [(40, 1 + 3), (60, 2), (80, 6)]


def test_an_arc_never_shortens_a_series() -> None:
    long = replace(RULES, shots=5)
    assert grouped(Played(conditioning(long), at(1, act=arc)).kvs)[0] == (40, 1 + 5)
    assert grouped(Played(conditioning(long), at(6, act=arc)).kvs)[:4] == [
        (40, 5), (60, 1), (40, 1), (60, 5),
    ]  # fmt: skip


def test_after_an_arc_at_the_top_the_whole_top_series_is_made_again() -> None:
    played = Played(conditioning(RULES), at(9, act=arc))
    assert grouped(played.kvs) == [(40, 2), (60, 2), (80, 5), (60, 1), (80, 6)]


def test_an_arc_on_the_way_back_goes_back_further() -> None:
    plan = replace(RULES, kv=(40.0, 50.0, 60.0, 80.0))
    played = Played(conditioning(plan), at(5, 6, act=arc))
    assert grouped(played.kvs) == [
        (40, 2), (50, 2), (60, 1), (50, 1), (40, 1), (50, 3), (60, 3), (80, 6),
    ]  # fmt: skip


def test_a_ladder_of_one_step_has_the_series_of_a_top() -> None:
    played = Played(conditioning(replace(RULES, kv=(80.0,))))
    assert grouped(played.kvs) == [(80, 6)]


def test_too_many_arcs_at_one_kv_end_it() -> None:
    def always_at_60(_: int, shot: Fire) -> Fired | None:
        return arc(shot) if shot.technique.kv == 60 else None

    played = Played(conditioning(RULES), always_at_60)
    assert grouped(played.kvs) == [(40, 2), (60, 1), (40, 1), (60, 1), (40, 1), (60, 1)]
    assert played.text == "3 arcs at 60 kV: call service"
    assert played.verdict is not None
    assert not played.verdict.passed


def test_too_many_arcs_in_all_end_it() -> None:
    seen: list[float] = []

    def twice_at_each(_: int, shot: Fire) -> Fired | None:
        seen.append(shot.technique.kv)
        return arc(shot) if seen.count(shot.technique.kv) <= 2 else None

    played = Played(conditioning(RULES), twice_at_each)
    assert grouped(played.kvs) == [
        (40, 2 + 3),
        (60, 1),
        (40, 1),
        (60, 1),
        (40, 1),
        (60, 3),
        (80, 1),
    ]
    assert played.text == "5 arcs in all: call service"


def test_another_fault_has_its_shot_made_again_and_the_fourth_ends_it() -> None:
    played = Played(conditioning(RULES), at(1, 2, 3, act=tripped))
    assert grouped(played.kvs) == [(40, 5), (60, 2), (80, 6)]
    played = Played(conditioning(RULES), at(1, 2, 3, 4, act=tripped))
    assert (played.text, len(played.shots)) == ("4 faults: GENERATOR_OVERCURRENT", 4)


def test_a_shot_that_was_let_go_early_counts_for_nothing() -> None:
    played = Played(conditioning(RULES), at(2, act=lambda shot: released(shot, 4.9)))
    assert grouped(played.kvs) == [(40, 3), (60, 2), (80, 6)]


def test_an_arc_that_went_out_by_itself_is_an_arc_all_the_same() -> None:
    """The beam had its planned end; only the generator's fault list told of it."""
    played = Played(conditioning(RULES), at(3, act=lambda shot: planned(shot, faults=("ARC",))))
    assert grouped(played.kvs)[:4] == [(40, 2), (60, 1), (40, 1), (60, 3)]
