"""Calibration: which frames are asked for, in which order, and the search for a flat's level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from firmware_py.routines import calibration
from firmware_py.routines.calibration import OPEN, PanelPlan
from firmware_py.routines.steps import Ask, Fire, Fired
from hal.generators import r2cp_ratings
from hal.types import ShotKind, Technique
from rig.bench import load_bench
from rig.routines.panel_plan import SHORTEST_MS, panel_spec
from tests.model_runs import bench
from tests.routines import Played, grouped, planned, released, tripped

FULL_SCALE, DARK_COUNTS = 16383, 300
PLAN = PanelPlan(
    kv=70.0, ma=1.0, start_ms=500.0, ms_min=200.0, ms_max=4500.0, step_ms=10.0,
    full_scale=FULL_SCALE, dark_kv=30.0, dark_ma=0.2, window_ms=1000.0, flats=16,
)  # fmt: skip
KINDS = {
    "offset": calibration.offset,
    "gain": calibration.gain,
    "defects": calibration.defects,
    "lag": calibration.lag,
}


def panel(pct_per_s: float = 40.0) -> Callable[[int, Fire], Fired]:
    """A panel that shows so much of its full scale for each second of a flat, and no more."""

    def made(_: int, shot: Fire) -> Fired:
        signal = min(100.0, pct_per_s * shot.technique.planned_ms / 1000) / 100 * FULL_SCALE
        counts = DARK_COUNTS + (0 if shot.kind is ShotKind.DARK else round(signal))
        return planned(shot, level_counts=min(counts, FULL_SCALE))

    return made


def run(
    kind: str, answer: Callable[[int, Fire], Fired | None] | None = None, plan: PanelPlan = PLAN
) -> Played:
    return Played(KINDS[kind](plan), answer or panel())


def parts(played: Played) -> list[tuple[str, int]]:
    return grouped(shot.part for shot in played.shots)


def level_ms(played: Played) -> list[float]:
    return [shot.technique.planned_ms for shot in played.shots if shot.part == "level"]


# --- order and counts


def test_an_offset_is_32_dark_frames_and_no_question() -> None:
    played = run("offset")
    assert parts(played) == [("dark", 32)]
    assert len(played.steps) == 32
    assert played.text == "32 dark frames"


def test_a_gain_begins_with_an_offset_and_every_series_with_a_panel_that_forgot() -> None:
    played = run("gain")
    assert parts(played) == [
        ("dark", 32), ("level", 1),
        ("clear", 4), ("level 10 %", 1), ("clear", 4), ("level 15 %", 1),
        ("clear", 4), ("level 25 %", 1), ("clear", 4), ("level 40 %", 1),
        ("clear", 4), ("level 55 %", 1), ("clear", 4), ("level 70 %", 1),
        ("clear", 4), ("flat", 16), ("clear", 4), ("judge", 16),
    ]  # fmt: skip
    assert played.text == "32 dark frames, 16 flats and as many to judge by"


def test_defects_are_found_in_bright_flats_and_the_frame_after_them() -> None:
    played = run("defects")
    assert parts(played) == [
        ("dark", 32), ("level", 1), ("clear", 4), ("bright", 16), ("before", 1), ("after 1", 1),
    ]  # fmt: skip


def test_lag_is_four_flats_with_four_frames_after_each() -> None:
    one = [("before", 1), ("after 1", 1), ("after 2", 1), ("after 3", 1), ("after 4", 1)]
    assert parts(run("lag")) == [("dark", 32), ("level", 1), ("clear", 4), *(one * 4)]


@pytest.mark.parametrize("kind", ["gain", "defects", "lag"])
def test_the_open_field_is_asked_for_once_after_the_dark_frames(kind: str) -> None:
    steps = run(kind).steps
    assert [index for index, step in enumerate(steps) if isinstance(step, Ask)] == [32]
    assert steps[32] == OPEN


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_frame_is_kept_as_it_came(kind: str) -> None:
    for shot in run(kind).shots:
        assert (shot.raw, shot.warms) == (True, False)
        assert shot.kind in (ShotKind.DARK, ShotKind.IMAGING)


def test_dark_frames_have_the_window_of_the_bench_and_the_least_of_the_tube() -> None:
    for shot in run("offset").shots:
        technique = shot.technique
        assert (technique.kv, technique.ma, technique.ms, technique.mas) == (30, 0.2, 1000, None)


def test_flats_are_ended_by_the_generators_timer_at_one_quality() -> None:
    for shot in run("gain").shots:
        if shot.kind is ShotKind.IMAGING:
            assert (shot.technique.kv, shot.technique.ma, shot.technique.mas) == (70, 1, None)


def test_levels_are_reached_by_time_in_steps_of_the_timer() -> None:
    """500 ms are 20 %; 10 to 70 % from there."""
    played = run("gain")
    times_ms = {shot.part: shot.technique.ms for shot in played.shots}
    assert [times_ms[f"level {pct} %"] for pct in (10, 15, 25, 40, 55, 70)] == [
        250, 370, 620, 1000, 1370, 1750,
    ]  # fmt: skip
    assert (times_ms["flat"], times_ms["judge"]) == (500, 1000)


def test_the_shipped_bench_stays_within_window_and_tube() -> None:
    plan = panel_spec("gain", bench().unit).plan
    assert isinstance(plan, PanelPlan)
    assert (plan.kv, plan.ma, plan.start_ms) == (70.0, 1.0, 500.0)
    assert (plan.ms_min, plan.ms_max) == (SHORTEST_MS, 4500.0)
    assert (plan.full_scale, plan.flats, plan.window_ms) == (FULL_SCALE, 16, 1000.0)
    assert (plan.dark_kv, plan.dark_ma, plan.step_ms) == (30.0, 0.2, 10.0)


# --- the search for a level


@pytest.mark.parametrize(
    ("pct_per_s", "times_ms"),
    [
        (40.0, [500]),  # 20 % at once
        (24.0, [500]),  # 12 %, the least
        (50.0, [500]),  # 25 %, the most
        (10.0, [500, 2000]),  # too dark
        (80.0, [500, 250]),  # too bright
        (400.0, [500, 200]),  # at its end, shown as 98 % of full scale and more
    ],
)
def test_the_level_is_found_from_what_the_first_flat_showed(
    pct_per_s: float, times_ms: list[float]
) -> None:
    assert level_ms(run("defects", panel(pct_per_s)))[: len(times_ms)] == times_ms


def test_a_panel_with_no_signal_is_told_with_what_would_be_needed() -> None:
    played = run("gain", panel(0.0))
    assert level_ms(played) == [500, 4500]
    assert played.text == (
        "level 0.0 % of full scale after 4500 ms, wanted 12 to 25 %: "
        "180000 ms needed, 4500 allowed; is something in the beam?"
    )
    assert played.verdict is not None
    assert not played.verdict.passed


def test_a_panel_too_close_to_the_tube_is_told_to_use_a_longer_distance() -> None:
    played = run("gain", panel(200.0))
    assert level_ms(played) == [500, 200]
    assert played.text.startswith("level 40.0 % of full scale after 200 ms, wanted 12 to 25 %: ")
    assert played.text.endswith("200 is the least; use a longer distance")


def test_a_level_that_never_settles_ends_the_search() -> None:
    """Every flat is four times too dark, or too bright: something moves in the beam."""
    levels = iter([5.0, 80.0] * 10)

    def wild(_: int, shot: Fire) -> Fired:
        dark = shot.kind is ShotKind.DARK
        return planned(shot, level_counts=0 if dark else round(next(levels) / 100 * FULL_SCALE))

    played = run("gain", wild)
    assert len(level_ms(played)) == 6
    assert played.text == "no stable level in 6 tries: is something in the beam?"


def test_a_flat_without_a_level_ends_it() -> None:
    played = run("gain", lambda _, shot: planned(shot, level_counts=None))
    assert played.text == "the recorder did not tell the level of the flat"


def test_a_first_time_beyond_the_range_begins_within_it() -> None:
    assert level_ms(run("defects", plan=replace(PLAN, start_ms=50.0)))[0] == 200
    assert level_ms(run("defects", plan=replace(PLAN, start_ms=9000.0)))[0] == 4500


def test_no_time_is_asked_for_beyond_what_the_bench_allows() -> None:
    """The range need not end on a step of the timer."""
    odd = replace(PLAN, ms_min=203.0, ms_max=1006.0)
    played = run("gain", plan=odd)
    times_ms = [s.technique.planned_ms for s in played.shots if s.kind is ShotKind.IMAGING]
    assert (min(times_ms), max(times_ms)) == (250, 1000)
    assert level_ms(run("gain", panel(200.0), plan=odd))[-1] == 210


# --- what was not made as planned


@pytest.mark.parametrize("reason", ["handswitch released", "stop requested"])
@pytest.mark.parametrize("number", [1, 33, 40])
def test_a_frame_that_was_ended_early_is_made_again(number: int, reason: str) -> None:
    good = panel()

    def once(count: int, shot: Fire) -> Fired:
        early = replace(released(shot, 0.1), reason=reason)
        return early if count == number else good(count, shot)

    played, whole = run("defects", once), run("defects")
    assert played.shots[number - 1] == played.shots[number]
    assert played.shots[:number] + played.shots[number + 1 :] == whole.shots
    assert played.verdict == whole.verdict


def test_three_failed_tries_of_a_frame_are_borne() -> None:
    good = panel()
    played = run("offset", lambda n, shot: tripped(shot) if n in (1, 2, 3) else good(n, shot))
    assert len(played.shots) == 35
    assert played.text == "32 dark frames"


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda shot: tripped(shot, "PANEL_ERROR", "ARC"), "PANEL_ERROR, ARC"),
        (lambda shot: released(shot, 0.1), "the handswitch was released too early"),
    ],
)
def test_the_fourth_failed_try_of_a_frame_ends_the_routine(
    act: Callable[[Fire], Fired], why: str
) -> None:
    played = run("offset", lambda n, shot: act(shot))
    assert played.text == f"dark frame, 1 of 32: not made in 4 tries ({why})"
    assert len(played.shots) == 4
    assert played.verdict is not None
    assert not played.verdict.passed


def test_the_tries_are_counted_for_each_frame() -> None:
    good = panel()
    played = run("offset", lambda n, shot: tripped(shot) if n % 2 else good(n, shot))
    assert len(played.shots) == 64
    assert played.text == "32 dark frames"


@pytest.mark.parametrize("ms", [549.93, 0.07 + 200.0, 1234.567, 333.3333])
def test_a_time_in_steps_is_the_number_that_the_generator_makes_of_it(ms: float) -> None:
    """Steps of 0.01 ms are no sum of binary numbers: n x 0.01 was a hair beside n / 100."""
    fine = replace(PLAN, step_ms=0.01)
    within_ms = calibration._within(fine, ms)
    asked = Technique(kv=70.0, ma=10.0, ms=within_ms)
    assert r2cp_ratings.effective(asked).ms == within_ms == round(ms * 100) / 100


def test_a_generator_that_tells_its_ma_after_the_beam_may_make_short_flats() -> None:
    kept = panel_spec("gain", bench().unit).plan
    short = panel_spec("gain", load_bench("mobile").unit).plan
    assert isinstance(kept, PanelPlan)
    assert isinstance(short, PanelPlan)
    assert (kept.ms_min, short.ms_min) == (SHORTEST_MS, 1.0)
