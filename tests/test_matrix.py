"""The fault matrix: rows in states, judged; and planted controllers that it must not pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from firmware_py.decide import interlocks, states, supervisor
from firmware_py.decide.memory import State
from rig.cli import main
from rig.injections import InjectionSection, known_injection, shipped_injections
from rig.matrix.cell import Result
from rig.matrix.fork import Fork
from rig.matrix.page import page
from rig.matrix.places import PLACES, Place, brought_to
from rig.matrix.run import SHOT, Matrix, run_matrix
from rig.run_model import shot_of
from rig.unit_states import STATES
from tests.model_runs import bench, pixels
from tests.planted_bugs import (
    Patch,
    always,
    deaf_to,
    instead,
    no_deadline,
    reset_with_the_switch_held,
    says,
    stage_1_alone,
    trips_but_for_a_beam,
    without,
)

S = State
EVERYWHERE = ("F31", "F40", "F54", "F60", "F69", "F75")
# All of them in all states is `dxrig matrix`, which CI runs as well.
SOME = (*EVERYWHERE, "F01", "F04", "F06", "F15", "F29", "F43", "F46", "F48", "F68", "F74")
RUNNING = tuple(row for row in shipped_injections().values() if row.runs)
TRIED = tuple(row for row in RUNNING if row.id in SOME or "DXRIG_LONG" in os.environ)


def matrix_of(ids: tuple[str, ...], wanted: tuple[str, ...] = STATES) -> Matrix:
    return run_matrix(bench(), {name: known_injection(name) for name in ids}, wanted)


@cache
def in_two_states() -> Matrix:
    """Every row where it matters most: ready for a beam, and in it."""
    return matrix_of(tuple(row.id for row in TRIED), ("READY", "EXPOSE"))


# --- the rows


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", [pytest.param(r, marks=pytest.mark.req(r.id)) for r in TRIED],
                         ids=lambda row: row.id)  # fmt: skip
def test_each_injection_is_answered_in_ready_and_in_every_moment_of_the_beam(
    row: InjectionSection,
) -> None:
    results = [result for result in in_two_states().results if result.id == row.id]
    places = [place for place in PLACES if place.state in ("READY", "EXPOSE")]
    wanted = [p.name for p in places if row.reason_not_in(p.state) is None]
    assert [f"{r.state} {r.moment}".strip() for r in results] == wanted
    assert [(r.state, r.moment, r.wrong) for r in results if r.wrong] == []


@pytest.mark.parametrize(("own_waits", "ms"), [(False, 2_500.0), (True, 20_000.0)])
def test_a_stuck_switch_is_waited_for_as_long_as_on_the_bench_only_when_asked(
    own_waits: bool, ms: float
) -> None:
    rows = {"F43": known_injection("F43")}
    matrix = run_matrix(bench(), rows, ("BOOT",), own_waits=own_waits)
    assert [result.wrong for result in matrix.results] == [[]]
    assert [t.took_us / 1000 for t in matrix.results[0].took if t.letter == "T"] == [ms]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.req(*EVERYWHERE)
def test_a_handful_is_answered_in_all_eleven_states() -> None:
    matrix = matrix_of(EVERYWHERE)
    assert {result.state for result in matrix.results} == set(STATES)
    assert [(r.id, r.state, r.moment, r.wrong) for r in matrix.failures] == []
    applicable = sum(
        known_injection(name).reason_not_in(place.state) is None
        for name in EVERYWHERE
        for place in PLACES
    )
    assert len(matrix.results) == applicable
    assert [took.letter for _, took in matrix.slowest()] == list("PERTL")
    assert all(0 <= took.share <= 1 for _, took in matrix.slowest())


def test_at_least_sixty_injections_run_in_every_state_in_which_they_can_occur() -> None:
    for state in STATES:
        assert sum(row.reason_not_in(state) is None for row in RUNNING) >= 50, state
    assert len(RUNNING) >= 60


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_every_state_is_reached_and_nothing_is_wrong_there(place: Place) -> None:
    technique = shot_of(bench(), SHOT, "shot").technique
    room, person = brought_to(place, bench(), technique, pixels())
    assert room.state == place.state
    assert person.looked == []


def test_the_early_moment_of_the_beam_is_one_scan_after_the_first_one_that_has_hv() -> None:
    technique = shot_of(bench(), SHOT, "shot").technique
    early = next(place for place in PLACES if place.name == "EXPOSE early")
    room, _ = brought_to(early, bench(), technique, pixels())
    course = room.world.generator.courses[-1]
    assert course.off_us is None
    assert room.world.t_us - course.on_us in range(5_000, 10_000)


@pytest.mark.req("F54", "SR-18")
def test_two_runs_of_a_cell_are_the_same_to_the_microsecond() -> None:
    first, second = (matrix_of(("F54",), ("EXPOSE",)).results for _ in range(2))
    assert first == second
    assert [result.left_scans for result in first] == [1, 1, 1]


# --- planted controllers


@dataclass(frozen=True)
class Planted:
    name: str
    plant: Callable[[Patch], None]
    id: str
    state: str
    told: str  # a part of what the matrix says


def no_durable_intent(patch: Patch) -> None:
    patch.setattr(states, "_recorder_ready", lambda view: True)


PLANTED = (
    Planted("a window that closes does not end the beam",
            deaf_to(supervisor, "_exposing", "WINDOW_ENDED"), "F31", "INTERLOCK_CHECK",
            "expected WINDOW_ENDED"),
    Planted("a press is never refused", says(interlocks, "inhibits", ()), "F40", "STANDBY",
            "expected PANEL_WRONG"),
    Planted("stage 2 does not end the beam",
            instead(S.EXPOSE, "handswitch_released", stage_1_alone), "F46", "EXPOSE", "told"),
    Planted("a fault heals by itself",
            instead(S.FAULT, "reset_with_cause_gone", states._switch_open), "F54", "READY",
            "healed by itself"),
    Planted("a reset does not ask for an open switch",
            instead(S.FAULT, "reset_with_cause_gone", reset_with_the_switch_held), "F43", "FAULT",
            "expected held"),
    Planted("kV out of band is not seen", deaf_to(supervisor, "_bands", "KV_OUT_OF_BAND"),
            "F06", "EXPOSE", "expected KV_OUT_OF_BAND"),
    Planted("the back-up time is not kept", deaf_to(supervisor, "_feedback", "BACKUP_TIME"),
            "F04", "EXPOSE", "expected BACKUP_TIME"),
    Planted("a silent room is not seen", deaf_to(interlocks, "room_causes", "ROOM_IO_LOST"),
            "F60", "EXPOSE", "expected ROOM_IO_LOST"),
    Planted("no intent is asked for", no_durable_intent, "F84", "STANDBY",
            "without recorder.intent_durable"),
    Planted("an edited shot is made", without(S.INTERLOCK_CHECK, "shot_changed"), "F50",
            "INTERLOCK_CHECK", "expected SHOT_CHANGED"),
    Planted("PREP has no deadline", no_deadline(S.PREP), "F30", "STANDBY",
            "expected PANEL_NOT_READY"),
    Planted("the release after a beam is not waited for",
            instead(S.RELEASE_WAIT, "both_stages_open", always), "F44", "EXPOSE", "told"),
    Planted("a fault does not end the beam",
            instead(S.EXPOSE, "fault_that_trips", trips_but_for_a_beam), "F31", "EXPOSE",
            "class E took"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_controller_fails_the_matrix(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = matrix_of((planted.id,), (planted.state,))
    assert [(r.state, r.wrong) for r in honest.failures] == []
    planted.plant(monkeypatch)
    broken = matrix_of((planted.id,), (planted.state,))
    found = [text for result in broken.failures for text in result.wrong]
    assert any(planted.told in text for text in found), found


def test_a_row_that_expects_another_code_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    row = known_injection("F40").model_copy(update={"expect": {"default": "DISK"}})
    matrix = run_matrix(bench(), {"F40": row}, ("STANDBY",))
    assert [r.wrong[0] for r in matrix.failures] == ["told PANEL_WRONG, expected DISK"]


def test_a_bound_that_is_too_short_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from rig.matrix import bounds

    monkeypatch.setitem(bounds.BOUNDS, "chain", (1_000, lambda parts, technique: 2_000))
    found = matrix_of(("F53",), ("EXPOSE",)).failures
    assert any("bound 2 ms, goal 1 ms" in text for result in found for text in result.wrong)


# --- the processes


def test_a_child_that_breaks_is_told_and_not_lost() -> None:
    def broken() -> dict[str, object]:
        raise ValueError("planted")

    with Fork(2) as fork:
        answers = [*fork.run("one", broken), *fork.run("two", lambda: {"n": 2}), *fork.rest()]
    assert sum("ValueError: planted" in str(answer.get("error")) for answer in answers) == 1
    assert {"n": 2} in answers


def test_no_more_children_than_jobs_run_at_a_time() -> None:
    def answers() -> Iterator[dict[str, object]]:
        with Fork(1) as fork:
            for n in range(3):
                yield from fork.run(str(n), lambda n=n: {"n": n})  # type: ignore[misc]
            yield from fork.rest()

    assert list(answers()) == [{"n": 0}, {"n": 1}, {"n": 2}]


# --- the command


def invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["matrix", "--bench", "portable", *words])
    return done.exit_code, done.output


def test_json_is_one_object_with_counts_and_the_slowest_of_each_class(tmp_path: Path) -> None:
    html = tmp_path / "matrix.html"
    words = ("--only", "F40,F13", "--state", "standby", "--json", "--html", str(html))
    code, said = invoke(*words)
    answer = json.loads(said)
    assert (code, answer["schema"], answer["run"], answer["failures"]) == (0, 1, 1, [])
    absent = {"id": "F13", "state": "STANDBY"}
    assert answer["not_applicable"] == [
        absent | {"reason": "no rotor: the source has a stationary anode"}
    ]
    assert [one["class"] for one in answer["slowest"]] == ["P", "T"]
    assert "Another panel answers" in html.read_text()


def test_the_table_has_a_word_for_each_cell() -> None:
    code, said = invoke("--only", "F40", "--state", "STANDBY")
    assert code == 0
    row = next(line for line in said.splitlines() if line.startswith("F40"))
    assert row.split()[4:] == [".", ".", "ok", *["."] * 8]
    assert "1 run, 0 not applicable, 0 not as their row says" in said


def test_a_failure_is_told_in_full_with_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says(interlocks, "inhibits", ())(monkeypatch)
    code, said = invoke("--only", "F40", "--state", "STANDBY")
    assert code == 1
    assert "F40 in STANDBY: Another panel answers\n" in said
    assert "expected PANEL_WRONG" in said
    assert "again: dxrig matrix --only F40 --state STANDBY" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "F4O"), "no injection 'F4O'; did you mean 'F"),
        (("--state", "STANBY"), "no state 'STANBY'; did you mean 'STANDBY'?"),
    ],
)
def test_an_unknown_word_is_a_usage_error(words: tuple[str, ...], told: str) -> None:
    code, said = invoke(*words)
    assert (code, told in said) == (2, True), said


def test_the_page_escapes_what_it_shows_and_needs_nothing_from_elsewhere() -> None:
    row = known_injection("F40").model_copy(update={"title": "<script>alert(1)</script>"})
    result = Result(id="F40", state="STANDBY", moment="", told="none", expected="none", beams=0)
    text = page(
        Matrix(results=[replace(result)]), {"F40": row}, bench_name="portable", software="dxrig"
    )
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "://" not in text
