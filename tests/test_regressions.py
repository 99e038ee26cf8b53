"""Stories that broke a property once, shrunk to what matters; found by the rule machine.

Each is a plain script over the simulated bench, so that it stays when the rules change.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from hal.types import ShotKind
from tests.rule_bench import MS, RuleBench
from tests.rule_judge import RuleJudge


def in_standby(wiring: str = "chain") -> tuple[RuleBench, RuleJudge]:
    bench = RuleBench(wiring)
    judge = RuleJudge(bench)
    assert bench.wait_for_state("STANDBY", 1_000)
    return bench, judge


@pytest.mark.req("SR-53", "F10")
def test_a_beam_that_the_generator_cut_short_before_the_first_read_has_no_charge_of_zero() -> None:
    """The first monitor read of this beam is asked for after the trip, and shows 0 mA."""
    bench, _ = in_standby()
    bench.program(ShotKind.NO_RECEPTOR, mas=0.25)
    bench.do("press")
    assert bench.wait_for_state("EXPOSE", 3_000)
    bench.wait(180)
    bench.do("trip generator", bit="arc")
    bench.wait(1_500)
    (course,) = bench.world.generator.courses
    (row,) = bench.exposures()
    really_mas = course.charge_mas(course.on_us, bench.t_us)
    assert (row.beam, row.reason) == (True, "fault")
    assert 0.04 < really_mas < 0.06
    assert row.mas is None or row.mas > 0.5 * really_mas


@pytest.mark.req("SR-27", "SR-53")
def test_a_dose_is_never_more_than_its_own_bound_when_the_generator_fell_silent() -> None:
    """It ends the beam by its timer, unheard; the release comes 115 ms later."""
    bench, _ = in_standby()
    bench.program(ShotKind.NO_RECEPTOR, ms=400.0)
    bench.do("press")
    assert bench.wait_for_state("EXPOSE", 3_000)
    bench.wait(215)
    bench.do("line", device="generator", silent=True)
    bench.wait(305)
    bench.do("release")
    bench.wait(100)
    bench.do("line", device="generator", silent=False)
    bench.wait(2_000)
    (row,) = bench.exposures()
    (course,) = bench.world.generator.courses
    assert course.off_us == course.on_us + 400 * MS
    assert (row.beam, row.reason) == (True, "handswitch released")
    assert row.maximum_mas == pytest.approx(0.2)
    assert row.mas is None or row.mas <= row.maximum_mas


@pytest.mark.req("SR-38")
def test_a_beam_lamp_that_was_replaced_is_believed_again_without_a_restart() -> None:
    bench, _ = in_standby()
    bench.do("press")
    assert bench.wait_for(bench.beam_on, 3_000)
    bench.do("wiring", lamp_intact=False)
    bench.wait(2_500)
    bench.do("release")
    bench.wait(200)
    bench.do("wiring", lamp_intact=True)  # the new lamp
    for verb in ("press reset", "release reset"):
        bench.do(verb)
        bench.wait(200)
    bench.program()
    bench.do("press")
    assert bench.wait_for(bench.beam_on, 3_000)


@pytest.mark.req("SR-34", "SR-46")
def test_a_welded_enable_relay_locks_at_the_next_press_and_again_after_a_restart() -> None:
    """Killing the unit is no way around LOCKED: the new one finds the same at its first press."""
    bench, judge = in_standby()
    bench.do("press")
    assert bench.wait_for(bench.beam_on, 3_000)
    bench.do("weld", relay="enable")
    bench.wait(2_000)
    bench.do("release")
    bench.wait(200)
    for _ in range(2):
        bench.program()
        bench.do("press")
        assert bench.wait_for_state("LOCKED", 3_000)
        bench.do("release")
        bench.kill_unit()
        bench.start_unit()
        assert bench.wait_for_state("STANDBY", 3_000)
    assert len(bench.world.generator.courses) == 1
    assert judge.problems() == []


@pytest.mark.req("SR-28", "SR-53")
def test_a_killed_unit_leaves_an_intent_whose_bound_covers_the_beam() -> None:
    bench, judge = in_standby("bare")
    bench.do("press")
    assert bench.wait_for(bench.beam_on, 3_000)
    bench.wait(100)
    killed_us = bench.t_us
    bench.kill_unit()
    bench.wait(1_000)
    (course,) = bench.world.generator.courses
    (row,) = bench.exposures()
    gone_us = course.gone_us()
    assert gone_us is not None
    assert killed_us + 150 * MS <= gone_us <= killed_us + 270 * MS
    assert (row.missing, row.mas) == ("dose", None)
    assert row.maximum_mas >= course.charge_mas(course.on_us, bench.t_us)
    assert judge.problems() == []


@pytest.mark.req("SR-53")
def test_the_judge_takes_the_generators_timer_without_what_flows_in_the_fall() -> None:
    bench, judge = in_standby()
    unit = bench.rung.unit
    assert unit is not None
    holds = replace(bench.limits, held_mas=0.06)
    unit.memory = replace(unit.memory, limits=holds)
    bench.program(ShotKind.NO_RECEPTOR, ms=400.0)
    bench.do("press")
    assert bench.wait_for_state("EXPOSE", 3_000)
    bench.wait(200)
    (row,), (beam,) = bench.exposures(), judge.beams
    assert row.maximum_mas > 0.2
    assert beam.timer_us == 400 * MS
