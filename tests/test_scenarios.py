"""The shipped scenarios in virtual time: seen as expected, traces as reviewed, edges listed."""

from __future__ import annotations

import difflib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_py.decide.states import SEQUENCE, TABLE, TRIPS
from hal.now import Now
from hal.types import ShotKind
from rig.bench import Bench
from rig.exit_codes import ConfigError, UsageError
from rig.judge import problems
from rig.run_model import shot_of
from rig.scenario import SHIPPED, ShotSection, find_scenarios, load_scenario
from rig.unit_states import STATES
from rig.why import WORDS
from tests.model_runs import NAMES, bench, run, scenario, shipped, trace_of
from tests.scenario_marks import speaking

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", speaking(NAMES))
def test_a_shipped_scenario_sees_what_it_expects(name: str) -> None:
    made, seen = shipped(name)
    assert problems(made.scenario.expect, seen) == []


@pytest.mark.parametrize("name", NAMES)
def test_its_trace_is_the_reviewed_one(name: str, update_golden: bool) -> None:
    """Renew with `pytest tests/test_scenarios.py --update-golden`, and review the difference."""
    file = GOLDEN / f"{name}.jsonl"
    trace = trace_of(shipped(name)[0])
    if update_golden:
        file.write_text(trace, encoding="utf-8", newline="\n")
    golden = file.read_text(encoding="utf-8") if file.exists() else ""
    assert trace == golden, "\n".join(
        difflib.unified_diff(golden.splitlines(), trace.splitlines(), "golden", "now", n=2)
    )


def test_every_golden_trace_belongs_to_a_scenario() -> None:
    assert {path.stem for path in GOLDEN.glob("*.jsonl")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_its_trace_is_the_same_without_jumping_and_with_every_device_polled(name: str) -> None:
    jumped, every_scan = shipped(name)[0], run(name, jump=False, poll_all=True)[0]
    assert every_scan.rung.scan_count > jumped.rung.scan_count
    assert trace_of(every_scan) == trace_of(jumped)


def test_a_release_is_a_release_whichever_wire_tells_it_first() -> None:
    """Stage 2 stands in the interlock pair: the generator may see it before the room I/O."""
    released = scenario("released_in_expose")
    at = next(index for index, step in enumerate(released.step) if step.event == "beam_on")
    for after_ms in range(720, 745):
        steps = list(released.step)
        steps[at] = steps[at].model_copy(update={"after_ms": float(after_ms)})
        made, seen = run(released.model_copy(update={"step": steps, "deadline_s": 5.0}))
        found = problems(made.scenario.expect.model_copy(update={"true_mas": None}), seen)
        assert found == [], after_ms


def _coprime() -> Bench:
    """Poll periods that meet no deadline: round ones hide a forgotten deadline completely."""
    unit = bench().unit
    polls = {"status_poll_ms": 23, "monitor_poll_ms": 103, "standby_poll_ms": 487}
    generator = unit.generator.model_copy(update=polls)
    room = unit.room.model_copy(update={"active_poll_ms": 37, "standby_poll_ms": 53})
    return replace(bench(), unit=unit.model_copy(update={"generator": generator, "room": room}))


@pytest.mark.parametrize(
    "name",
    [
        "clean_by_mas",
        "generator_silent_in_beam",  # no reply at all
        "off_lost_once",
        "panel_never_ready",
        "unit_stopped_in_beam",  # every reply late
        "window_ends_early",
    ],
)
def test_neither_does_it_change_with_poll_periods_that_meet_no_deadline(name: str) -> None:
    jumped = run(name, on=_coprime())[0]
    every_scan = run(name, on=_coprime(), jump=False, poll_all=True)[0]
    assert trace_of(every_scan) == trace_of(jumped)
    assert trace_of(jumped) != trace_of(shipped(name)[0])


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("overdue", "generator_silent_in_beam"),
        ("_buzzer", "clean_by_time"),
        ("_beam_lamp", "off_lost_once"),
        ("_pulse_is_due", "switch_stuck_after_the_end"),
    ],
)
def test_one_forgotten_deadline_shows(
    where: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above is able to fail: this deadline is asked for, but nobody is woken for it."""
    reached = Now.reached

    def forgetful(now: Now, deadline_us: int) -> bool:
        if sys._getframe(1).f_code.co_name == where:
            return now.t_us >= deadline_us
        return reached(now, deadline_us)

    monkeypatch.setattr(Now, "reached", forgetful)
    jumped = run(name, on=_coprime())[0]
    every_scan = run(name, on=_coprime(), jump=False, poll_all=True)[0]
    assert trace_of(every_scan) != trace_of(jumped)


# Rows that no scenario takes; tests/test_sequence_table.py takes each of them alone.
# These lists may only get shorter.
ROWS_WITHOUT_SCENARIO = {
    ("EXPOSE", "READOUT", "planned_time_reached"),  # a generator without a timer: industrial
    ("STANDBY", "SELF_TEST", "self_test_due"),  # a day long
    ("PREP", "RELEASE_WAIT", "stop_requested"),
    ("PREP", "RELEASE_WAIT", "shot_changed"),
    ("READY", "RELEASE_WAIT", "stop_requested"),
    ("READY", "RELEASE_WAIT", "shot_changed"),
    ("READY", "RELEASE_WAIT", "ready_held_too_long"),
    ("INTERLOCK_CHECK", "RELEASE_WAIT", "stop_requested"),
    ("INTERLOCK_CHECK", "RELEASE_WAIT", "shot_changed"),
    ("EXPOSE", "READOUT", "stop_requested"),
    ("LOCKED", "RELEASE_WAIT", "key_turned_and_reset"),
}
TRIPS_WITHOUT_SCENARIO = {
    *((state, "LOCKED") for state in STATES if state not in ("READY", "LOCKED")),
    ("BOOT", "FAULT"),
    ("SELF_TEST", "FAULT"),
    ("STANDBY", "FAULT"),
    ("INTERLOCK_CHECK", "FAULT"),
}


def test_every_row_of_the_sequence_is_taken_by_a_scenario_or_listed_here() -> None:
    lines = [line for name in NAMES for line in shipped(name)[1].of("state")]
    taken = {(line["from"], line["to"], line["why"]) for line in lines}
    rows = {(row.source.value, row.dest.value, row.when.__name__) for row in SEQUENCE}
    assert rows - taken == ROWS_WITHOUT_SCENARIO
    trips = {(row.source.value, row.dest.value) for row in TRIPS}
    assert trips - {(source, dest) for source, dest, _ in taken} == TRIPS_WITHOUT_SCENARIO


def test_every_reason_of_the_table_has_plain_words() -> None:
    assert {row.when.__name__ for row in TABLE} == set(WORDS) - {"power up"}


def test_the_readme_lists_every_scenario_as_its_file_has_it() -> None:
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ")[:3] for line in text.splitlines()
            if line.startswith("| `") and line.count("|") == 5]  # fmt: skip
    wanted = [[f"`{n}`", scenario(n).title, ", ".join(scenario(n).covers)] for n in NAMES]
    assert rows == wanted


# --- what the files may say


def _mistakes(tmp_path: Path, old: str, new: str) -> list[str]:
    text = (SHIPPED / "clean_by_mas.toml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(file)
    return [message.partition("mine.toml:")[2] for message in caught.value.messages]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'event = "READY"',
            'event = "REDY"',
            "14: step[1].event: unknown word 'REDY'; did you mean 'READY'?",
        ),
        (
            'do = "release"',
            'do = "relese"',
            "22: step[2].do: unknown word 'relese'; did you mean 'release'?",
        ),
        (
            "args = { stage = 1 }",
            "args = { stge = 1 }",
            "11: step[0].args: press has no 'stge'; there are stage",
        ),
        (
            'reason = "planned end"',
            'reason = "planed end"',
            "29: expect.reason: unknown word 'planed end'; did you mean 'planned end'?",
        ),
        (
            "true_s = 1.0",
            'fault = "DOOR_OPNE"',
            "30: expect.fault: unknown word 'DOOR_OPNE'; did you mean 'DOOR_OPEN'?",
        ),
        (
            "true_s = 1.0",
            'off = { after = "relase", ms = 1.0 }',
            "30: expect.off.after: no step does 'relase'; did you mean 'release'?",
        ),
        (
            "beam_s = 1.0",
            'beam_s = 1.0\nkind = "drak"',
            "6: shot.kind: \"drak\" is not one of imaging, no receptor, dark; did you mean 'dark'?",
        ),
        ("beam_s = 1.0", "mAs = 0.5", "5: shot.mAs: unknown key; did you mean 'mas'?"),
    ],
)
def test_a_word_that_does_not_exist_is_named_with_its_line_and_the_nearest_one(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert _mistakes(tmp_path, old, new) == [message]


def test_the_shot_of_a_scenario_has_every_kind_and_what_goes_with_it() -> None:
    for kind in ShotKind:
        asked = ShotSection(kv=70.0, ma=0.4, ms=500.0, kind=kind.value, raw=True, clear_by="A")
        shot = shot_of(bench(), asked, "S1")
        assert (shot.kind, shot.raw, shot.clear_by, shot.exam_id) == (kind, True, "A", "TEST")


def test_scenarios_are_found_as_files_folders_and_shipped_names(tmp_path: Path) -> None:
    folder = SHIPPED
    clean = folder / "clean_by_mas.toml"
    assert [path.stem for path in find_scenarios([str(folder)])] == list(NAMES)
    assert find_scenarios(["clean_by_mas", str(clean)]) == [clean]
    with pytest.raises(UsageError, match="no scenario 'clean_by_ms'; did you mean 'clean_by_mas'"):
        find_scenarios(["clean_by_ms"])
    with pytest.raises(UsageError, match="no scenario in this folder"):
        find_scenarios([str(tmp_path)])
    with pytest.raises(UsageError, match="no such file or folder"):
        find_scenarios(["nowhere/mine.toml"])
    copy = tmp_path / clean.name
    copy.write_bytes(clean.read_bytes())
    with pytest.raises(UsageError, match="2 scenarios are called 'clean_by_mas'"):
        find_scenarios([str(folder), str(copy)])
