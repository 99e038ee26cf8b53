"""What a run leaves unfinished is counted, and what a rung can't judge is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hal.types import ShotKind
from rig.judge import problems, skipped
from rig.scenario import Scenario, StepSection, UntilSection
from tests.model_runs import NAMES, run, scenario, shipped


def _changed(name: str, *, drop_steps: tuple[str, ...] = (), **changes: Any) -> Scenario:
    """A shipped scenario without some steps, and with other sections."""
    found = scenario(name)
    steps = [step for step in found.step if step.do not in drop_steps]
    return found.model_copy(update={"step": steps} | changes)


def test_an_exposure_that_nobody_finished_is_counted_though_its_unit_is_dead() -> None:
    cut = _changed("unit_killed_in_beam", drop_steps=("start unit",), deadline_s=8.0)
    made, seen = run(cut)
    assert (made.rung.unit, seen.incomplete_count) == (None, 1)
    wanted = made.scenario.expect.model_copy(update={"incomplete": 0})
    assert "1 incomplete exposures, expected 0" in problems(wanted, seen)


def test_an_exposure_is_incomplete_while_its_beam_is_on() -> None:
    ends = UntilSection(event="EXPOSE", nth=1, after_ms=700.0)
    _, seen = run(_changed("clean_by_mas", until=ends))
    assert (seen.states()[-1], seen.incomplete_count) == ("EXPOSE", 1)


def test_a_beam_whose_image_was_lost_is_incomplete() -> None:
    lost = StepSection(event="start", do="panel", args={"drop_frame": True})
    clean = scenario("clean_by_mas")
    ends = UntilSection(event="FAULT", nth=1)
    _, seen = run(clean.model_copy(update={"step": [lost, *clean.step], "until": ends}))
    assert (seen.faults(), seen.image_count, seen.incomplete_count) == (["FRAME_MISSING"], 0, 1)


# --- what holds whatever is expected


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("clean_by_mas", ShotKind.NO_RECEPTOR, "without a panel that is not armed"),
        ("clean_by_mas", ShotKind.DARK, "for a dark frame"),
        ("no_receptor", ShotKind.IMAGING, "without panel.state"),
    ],
)
def test_a_beam_that_its_kind_of_shot_may_not_have_is_a_problem(
    name: str, kind: ShotKind, told: str
) -> None:
    made, seen = shipped(name)
    found = problems(made.scenario.expect, replace(seen, kind=kind))
    assert found[0].startswith("ON at ")
    assert found[0].endswith(told)


# --- what a rung can't judge


def test_with_two_clocks_a_reaction_time_is_skipped_and_said() -> None:
    made, seen = shipped("released_in_prep")
    expect, apart = made.scenario.expect, replace(seen, same_clock=False)
    told = ["react: the unit's trace and the room's actions have clocks of their own here"]
    assert (skipped(expect, seen), skipped(expect, apart)) == ([], told)
    assert problems(expect, apart) == []


@pytest.mark.parametrize("name", NAMES)
def test_only_reaction_times_need_one_clock(name: str) -> None:
    made, seen = shipped(name)
    found = skipped(made.scenario.expect, replace(seen, same_clock=False))
    assert len(found) == (made.scenario.expect.react is not None)
