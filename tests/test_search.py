"""The search over the real `step` finds nothing, and finds each bug that is planted."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from firmware_py.decide import supervisor
from firmware_py.decide.memory import State
from rig.cli import main
from rig.search.explore import Found, Search
from rig.search.properties import layers
from rig.search.words import NOW_US, SCAN_US
from rig.search.world import World
from tests.planted_bugs import BUGS, EQUIVALENT, Bug, deaf_to, without


@pytest.mark.slow
@pytest.mark.req(
    "SR-01", "SR-02", "SR-03", "SR-04", "SR-09", "SR-10", "SR-12", "SR-45", "SR-48", "SR-52"
)
def test_with_one_fault_at_a_time_every_state_and_row_is_reached_and_nothing_broken() -> None:
    found = Search(1).run()
    assert found.complete
    assert found.violations == []
    assert set(found.reached) == {state.value for state in State}
    # BOOT lasts with one device silent, so what locks there is a second fault.
    # The generator that is searched here has a timer; the next search's has none.
    assert found.not_taken == [
        "BOOT > LOCKED: fault_that_locks", "EXPOSE > READOUT: planned_time_reached",
    ]  # fmt: skip
    assert set(found.beams) == {"imaging", "no receptor"}


@pytest.mark.slow
@pytest.mark.req("SR-01", "SR-02", "SR-04", "SR-09", "SR-12", "SR-21", "SR-45", "SR-48", "SR-52")
def test_without_a_timer_the_unit_ends_each_beam_and_nothing_is_broken() -> None:
    found = Search(1, has_timer=False).run()
    assert found.complete
    assert found.violations == []
    assert set(found.reached) == {state.value for state in State}
    assert found.not_taken == [
        "BOOT > LOCKED: fault_that_locks",
        "EXPOSE > READOUT: generator_timer_ended",
        "EXPOSE > READOUT: generator_charge_ended",
    ]


def test_without_a_timer_a_beam_whose_end_is_forgotten_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(State.EXPOSE, "planned_time_reached")(monkeypatch)
    deaf_to(supervisor, "_feedback", "BACKUP_TIME")(monkeypatch)
    told = until("EXPOSE outlasts its deadline", 0, has_timer=False)
    assert told[0] == "power up (BOOT)"
    assert "a shot is programmed: no receptor" in " ".join(told)


def test_more_faults_at_a_time_reach_more() -> None:
    counts = [Search(budget, most_states=3_000).run().states for budget in (0, 1)]
    assert counts[0] < counts[1]


def marked(bug: Bug) -> object:
    marks = [pytest.mark.slow] if bug.faults > 1 else []
    return pytest.param(bug, id=bug.name, marks=marks)


@pytest.mark.parametrize("bug", [marked(bug) for bug in BUGS])
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    told = until(bug.found_as, bug.faults)
    assert told, "not found"
    assert told[0] == "power up (BOOT)"


def until(words: str, faults: int, *, has_timer: bool = True) -> tuple[str, ...]:
    """The path to the first broken property that has these words."""
    found: Found = Search(faults, until=words, has_timer=has_timer).run()
    return next((v.path for v in found.violations if words in v.what), ())


def test_a_beam_that_neither_pulse_nor_timer_would_end_is_told() -> None:
    beam = World(hv=True, relay_until_us=NOW_US + SCAN_US, timer_end_us=NOW_US + SCAN_US)
    untimed = beam._replace(timer_end_us=None)
    bare = beam._replace(timer_end_us=None, has_timer=False)
    welded = frozenset({"relay welded"})
    assert list(layers(beam)) == list(layers(untimed)) == []
    assert list(layers(beam._replace(faults=welded))) == []
    assert len(list(layers(untimed._replace(faults=welded)))) == 1
    assert len(list(layers(bare._replace(relay_until_us=NOW_US + 9 * SCAN_US)))) == 1
    assert (
        list(layers(bare)) == list(layers(bare._replace(faults=welded))) == []
    )  # the hand is left


def test_the_command_takes_a_generator_without_a_timer() -> None:
    done = CliRunner().invoke(main, ["check", "search", "--faults", "0", "--no-timer", "--json"])
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["has_timer"], answer["violations"]) == (0, False, [])
    assert answer["rows"]["EXPOSE > READOUT: planned_time_reached"] == 1
    assert not any("generator_timer_ended" in row for row in answer["rows"])


@pytest.mark.parametrize("bug", EQUIVALENT, ids=lambda bug: bug.name)
def test_an_equivalent_bug_changes_nothing(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Search(0).run()
    bug.plant(monkeypatch)
    planted = Search(0).run()
    assert planted.violations == []
    assert (planted.states, planted.transitions) == (honest.states, honest.transitions)
    assert set(planted.reached) == set(honest.reached)


def test_the_command_answers_as_json() -> None:
    done = CliRunner().invoke(main, ["check", "search", "--faults", "0", "--json"])
    answer = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (answer["schema"], answer["violations"], answer["complete"]) == (1, [], True)
    assert set(answer["reached"]) == {state.value for state in State} - {"LOCKED"}


def test_a_broken_property_is_told_with_its_path_and_code_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    next(bug for bug in BUGS if bug.name == "OFF is not told").plant(monkeypatch)
    done = CliRunner().invoke(main, ["check", "search", "--faults", "0"])
    assert done.exit_code == 1
    assert "power up (BOOT)\n" in done.stdout
    assert "the release did not end the beam in its scan\n" in done.stdout
