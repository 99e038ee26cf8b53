"""Scenarios over real ports, processes and time: one half; `.ci/run` runs the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.outcomes import Outcome, load_tasks, outcomes
from rig.replay import replay
from rig.scenario import SHIPPED
from tests.model_runs import bench, scenario
from tests.scenario_marks import speaking

NAMES = (
    "clean_by_time",
    "dark_frame",
    "door_opens_in_expose",
    "emergency_stop",
    "generator_silent_in_beam",
    "no_receptor",
    "off_lost_once",
    "press_with_door_open",
    "released_in_expose",
    "released_in_interlock_check",
    "switch_held_at_power_up",
    "unit_killed_in_beam",
    "unit_stopped_in_beam",
)
pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """All of them, two at a time."""
    files = [SHIPPED / f"{name}.toml" for name in NAMES]
    out = tmp_path_factory.mktemp("wire")
    tasks = load_tasks(files, [bench()], rung="wire", seed=None, out=out)
    return {outcome.name: outcome for outcome in outcomes(tasks, jobs=1)}


@pytest.mark.parametrize("name", speaking(NAMES))
def test_it_sees_on_real_ports_what_it_expects(name: str, seen: dict[str, Outcome]) -> None:
    assert (seen[name].error, seen[name].problems) == (None, ())
    react = scenario(name).expect.react
    assert [text.partition(":")[0] for text in seen[name].skipped] == ["react"] * (
        react is not None
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_was_recorded_of_real_ports_replays_equal(name: str, seen: dict[str, Outcome]) -> None:
    folder = seen[name].folder
    assert folder is not None
    found = replay(Path(folder))
    assert (found.differences, found.trace_sha256) == ((), seen[name].trace_sha256)
