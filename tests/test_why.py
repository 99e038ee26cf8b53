"""`dxrig why`: the one sentence, over the golden traces of every scenario that ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hal.faults import FAULTS
from rig.bench import load_bench
from rig.cli import main
from rig.service.attempts import attempts
from rig.service.cause import _MOVED, Cause, cause_of, place_of, refused_now
from rig.service.layers import COIL_OF, CONTACT_OF, LAYERS, ends_by_wire

GOLDEN = Path(__file__).parent / "golden"
PLACE = place_of(load_bench("portable"))


def why(name: str, index: int = -1) -> Cause:
    text = (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8")
    return cause_of(attempts([json.loads(line) for line in text.splitlines()])[index], PLACE)


def line(t_us: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"t_us": t_us, "kind": kind, **data}


@pytest.mark.parametrize(
    ("scenario", "layer", "sentence"),
    [
        ("door_opens_in_expose", "interlock contact",
         "Door (input 2, X1:3) opened 545 ms after beam on: the hard-wired chain ended the beam "
         "after 0.321 mAs, the unit dropped enable, too."),
        ("door_opens_in_ready", "interlock contact",
         "Door (input 2, X1:3) opened in READY: the unit ended the sequence before any beam."),
        ("emergency_stop", "interlock contact",
         "Emergency stop (input 3, X1:4) was pressed or is not reset 545 ms after beam on: the "
         "hard-wired chain ended the beam after 0.321 mAs, the unit dropped enable, too."),
        ("press_with_door_open", "interlock contact",
         "PREP refused: the door is open (input 2, X1:3) (and CHAIN_OPEN)."),
        ("released_in_expose", "person",
         "Handswitch stage 2 (input 1, X1:2) opened 545 ms after beam on: the person ended the "
         "beam after 0.321 mAs."),
        ("released_in_prep", "person",
         "Handswitch stage 1 (input 0, X1:1) opened in PREP: the person ended the sequence "
         "before any beam."),
        ("generator_refuses", "generator",
         "The generator refused to start the beam before the generator had said that its beam "
         "was on: the unit, on the generator's word, ended the attempt (ON had left); dose "
         "unknown, at most 0.0275 mAs."),
        ("generator_silent_in_beam", "supervisor",
         "The generator's status is too old during the beam 770 ms after beam on: the unit's "
         "supervisor ended the beam; dose unknown, at most 1.75 mAs."),
        ("panel_never_ready", "panel",
         "The panel did not become ready in time in PREP: the unit, on the panel's word, ended "
         "the sequence before any beam."),
        ("clean_by_mas", "timer",
         "Planned end: the unit's count of mAs ended the beam 905 ms after beam on after 0.501 "
         "mAs."),
        ("clean_by_time", "timer",
         "Planned end: the generator's own timer ended the beam 670 ms after beam on after 0.286 "
         "mAs."),
        ("dark_frame", "timer",
         "Planned end: a dark frame was read out; it needs no press and no beam."),
        ("enable_relay_welded", "interlock contact",
         "Enable relay (coil 3, X2:4) is open, and the interlock pair is closed all the same in "
         "READY: the unit ended the sequence before any beam."),
        ("generator_ignores_off", "supervisor",
         "The beam may still be on in READOUT: enable and contactor are dropped, and nothing "
         "proves that the beam is off."),
        ("switch_stuck_after_the_end", "person",
         "The handswitch was not released in time: the unit latched it in RELEASE_WAIT, no beam "
         "was on."),
        ("unit_stopped_in_beam", "unit",
         "The unit's scan was too late during the beam (and ROOM_IO_LOST, PANEL_LINK_LOST, "
         "GENERATOR_STATUS_OLD, WINDOW_ENDED) 1690 ms after beam on: the unit ended the beam; "
         "dose unknown, at most 1.75 mAs."),
    ],
)  # fmt: skip
def test_each_scenario_is_told_in_one_sentence(scenario: str, layer: str, sentence: str) -> None:
    cause = why(scenario)
    assert (cause.layer, cause.sentence) == (layer, sentence)
    if cause.codes and scenario != "unit_stopped_in_beam":
        assert cause.next == FAULTS[cause.codes[0]].action


def test_the_moment_is_that_of_the_contact_and_not_of_the_scan_that_decided() -> None:
    """An e-stop loop that drops the chain first: the contact's own change is told."""
    lines = [
        line(0, "room", door=True, chain=True, stage_1=True, stage_2=True),
        line(1_000, "state", **{"from": "READY", "to": "PREP"}, why="pressed"),
        line(2_000, "state", **{"from": "INTERLOCK_CHECK", "to": "EXPOSE"}, why="x"),
        line(10_000, "generator", beam_on=True),
        line(15_000, "generator", beam_on=None),
        line(20_000, "generator", beam_on=True),  # asked again; the beam began before
        line(22_000, "room", door=False),
        line(30_000, "state", **{"from": "EXPOSE", "to": "FAULT"}, why="fault_that_trips",
             faults=["DOOR_OPEN"]),
        line(40_000, "report", shot="x-1", reason="fault", fault="DOOR_OPEN", beam=True, mas=0.01,
             maximum_mas=0.02),
    ]  # fmt: skip
    cause = cause_of(attempts(lines)[-1], PLACE)
    assert cause.sentence.startswith("Door (input 2, X1:3) opened 12 ms after beam on: ")
    assert (cause.shot, cause.t_ms, cause.after_on_ms) == ("x-1", 30.0, 20.0)


def test_a_trace_that_ends_in_the_beam_says_so() -> None:
    lines = [
        line(0, "state", **{"from": "STANDBY", "to": "PREP"}, why="pressed"),
        line(9, "state", **{"from": "INTERLOCK_CHECK", "to": "EXPOSE"}, why="x"),
    ]
    cause = cause_of(attempts(lines)[-1], PLACE)
    assert (cause.layer, cause.verdict) == ("unit", "cut off")
    assert cause.sentence == (
        "The trace ends in EXPOSE: the unit was killed or died there, in a beam that its wires "
        "and the generator's timer end."
    )


def test_a_ready_that_was_held_too_long_is_the_timers_and_told_once() -> None:
    lines = [
        line(0, "state", **{"from": "PREP", "to": "READY"}, why="all_prepared"),
        line(9, "state", **{"from": "READY", "to": "RELEASE_WAIT"}, why="ready_held_too_long"),
        line(9, "refused", because=["READY_TIMEOUT"]),
        line(9, "report", shot="x-1", reason="ended before the beam", fault=None, beam=False),
    ]
    (attempt,) = attempts(lines)
    assert cause_of(attempt, PLACE).layer == "timer"


def test_a_stage_2_that_never_closed_is_named_with_its_pin() -> None:
    """ "It stops after PREP": nobody pressed on, or the contact does not close."""
    lines = [
        line(0, "room", door=True, stage_1=True, stage_2=False),
        line(1, "state", **{"from": "PREP", "to": "READY"}, why="all_prepared"),
        line(9, "state", **{"from": "READY", "to": "RELEASE_WAIT"}, why="ready_held_too_long"),
    ]
    cause = cause_of(attempts(lines)[-1], PLACE)
    assert (cause.layer, cause.sentence) == (
        "person",
        "Handswitch stage 2 (input 1, X1:2) never closed in READY: the unit ended READY before "
        "any beam.",
    )


CLOSED = dict.fromkeys(("door", "estop", "chain", "stage_1", "stage_2"), True)


def pair_open(**contacts: bool) -> Cause:
    lines = [
        line(0, "room", **(CLOSED | contacts)),
        line(1, "state", **{"from": "READY", "to": "INTERLOCK_CHECK"}, why="x"),
        line(9, "state", **{"from": "INTERLOCK_CHECK", "to": "FAULT"}, why="fault_that_trips",
             faults=["INTERLOCK_OPEN"]),
    ]  # fmt: skip
    return cause_of(attempts(lines)[-1], PLACE)


def test_an_open_pair_whose_contacts_read_closed_leaves_the_relay_and_the_wire() -> None:
    """The room reads no contact of the enable relay: only a meter finds it open."""
    cause = pair_open()
    assert (cause.layer, cause.pin) == ("interlock contact", None)
    assert cause.next == (
        "These read closed: door (input 2, X1:3), emergency stop (input 3, X1:4), handswitch "
        "stage 2 (input 1, X1:2), safety chain (input 4, X1:5). Measure the pair at the generator "
        "(J3-7 to J3-8): open is the contact of the enable relay (coil 3, X2:4), a wire or the "
        "plug."
    )


def test_an_open_pair_with_a_contact_that_reads_open_names_that_contact() -> None:
    cause = pair_open(stage_2=False)
    assert cause.pin == PLACE.pins["stage_2"]
    assert cause.next == (
        "Look at handswitch stage 2 (input 1, X1:2): its switch, its wire, and the pair "
        "(J3-7 to J3-8)."
    )


def test_the_plug_of_one_maker_is_not_told_of_another() -> None:
    mobile = place_of(load_bench("mobile"))
    assert (PLACE.plug, mobile.plug) == ("J3-7 to J3-8", "")


@pytest.mark.parametrize(
    ("row", "who"),
    [
        ("generator_charge_ended", "the generator, at its mAs or by its chambers, ended the beam"),
        ("planned_time_reached", "the unit, at the planned time, ended the beam"),
    ],
)
def test_a_planned_end_names_who_counted(row: str, who: str) -> None:
    """And no moment after a beam on where the generator shows none, as R2CP."""
    lines = [
        line(0, "state", **{"from": "INTERLOCK_CHECK", "to": "EXPOSE"}, why="x"),
        line(9, "state", **{"from": "EXPOSE", "to": "READOUT"}, why=row),
        line(20, "report", shot="x-1", reason="planned end", fault=None, beam=True, mas=1.0),
        line(30, "state", **{"from": "READOUT", "to": "RELEASE_WAIT"}, why="everything_saved"),
    ]
    cause = cause_of(attempts(lines)[-1], PLACE)
    assert (cause.layer, cause.sentence) == ("timer", f"Planned end: {who} after 1 mAs.")


def test_a_fault_of_another_version_is_told_by_its_code() -> None:
    (attempt,) = attempts([line(0, "refused", because=["TEAPOT"])])
    assert cause_of(attempt, PLACE).sentence == (
        "TEAPOT: this version of dxrig does not know that fault."
    )


def test_every_fault_has_a_layer_and_every_contact_among_them_a_pin_and_a_word() -> None:
    assert set(LAYERS) == set(FAULTS)
    assert set(CONTACT_OF) | set(COIL_OF) == set(_MOVED)
    for code, name in {**CONTACT_OF, **COIL_OF}.items():
        assert PLACE.pins[name].terminal, code
        cause = refused_now([code], PLACE)
        assert f"({PLACE.pins[name].place}, {PLACE.pins[name].terminal})" in cause.sentence


@pytest.mark.parametrize(
    ("contact", "pair", "by_wire"),
    [
        ("door", ("door", "estop"), True),
        ("door", ("safety_relay",), True),
        ("key", ("door", "safety_relay"), False),
        ("chain", ("safety_relay",), True),
        ("chain", ("door",), False),
        ("door", ("estop",), False),
    ],
)
def test_the_chain_ends_a_beam_only_where_the_bench_is_wired_so(
    contact: str, pair: tuple[str, ...], by_wire: bool
) -> None:
    assert ends_by_wire(contact, pair, ("door", "estop")) is by_wire


def test_a_door_that_is_not_in_the_pair_is_the_units_to_act_on() -> None:
    text = (GOLDEN / "door_opens_in_expose.jsonl").read_text(encoding="utf-8")
    attempt = attempts([json.loads(one) for one in text.splitlines()])[-1]
    bare = type(PLACE)(pins=PLACE.pins, pair=("estop", "stage_2", "enable"), relay=("estop",))
    assert cause_of(attempt, bare).sentence.endswith(
        "545 ms after beam on: the unit ended the beam after 0.321 mAs."
    )


# --- the command

SCENARIO = """\
title = "The door stays open, nobody presses"
covers = ["F53"]
[shot]
kv = 80.0
ma = 0.5
mas = 1.0
[[step]]
event = "STANDBY"
after_ms = 100.0
do = "open door"
[expect]
path = ["BOOT", "SELF_TEST", "RELEASE_WAIT", "STANDBY"]
beams = 0
images = 0
"""


def dxrig(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="dxrig")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "dxrig" / "portable"


def kept(state: Path, scenario: str, name: str) -> Path:
    folder = state / "runs" / name
    folder.mkdir(parents=True)
    text = (GOLDEN / f"{scenario}.jsonl").read_text(encoding="utf-8")
    (folder / "trace.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_the_newest_run_of_the_bench_is_meant_when_nothing_is_named(state: Path) -> None:
    kept(state, "clean_by_mas", "20260101T000000Z-portable-aaaaaa")
    newest = kept(state, "door_opens_in_expose", "20260102T000000Z-portable-bbbbbb")
    done = dxrig("why")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "interlock contact: Door (input 2, X1:3) opened 545 ms after beam on: the hard-wired chain "
        "ended the beam after 0.321 mAs, the unit dropped enable, too.",
        "-> Close the door. Contact: room input 2 (door), 1 = closed.",
        f"run {newest}",
    ]


def test_a_run_is_named_by_its_folder_its_last_word_or_one_of_its_shots(state: Path) -> None:
    first = kept(state, "clean_by_mas", "20260101T000000Z-portable-aaaaaa")
    kept(state, "door_opens_in_expose", "20260102T000000Z-portable-bbbbbb")
    for named in (first, first.name, "aaaaaa", "clean_by_mas-1"):
        found = json.loads(dxrig("why", named, "--json").stdout)
        assert (found["schema"], found["run"], found["layer"]) == (1, str(first), "timer")
        assert (found["shot"], found["pin"]) == ("clean_by_mas-1", None)


def test_a_name_that_nothing_has_is_told_with_where_names_stand(state: Path) -> None:
    kept(state, "clean_by_mas", "20260101T000000Z-portable-aaaaaa")
    done = dxrig("why", "x-0")
    assert done.exit_code == 2
    assert done.stderr == (
        "dxrig: no run or shot 'x-0' of bench portable; `dxrig exposures list` names the shots, "
        "and a run is named by its folder\n"
    )


def test_a_bench_without_runs_and_a_folder_that_is_none_are_usage(
    state: Path, tmp_path: Path
) -> None:
    assert dxrig("why").exit_code == 2
    assert dxrig("why", tmp_path).exit_code == 2


def test_a_damaged_trace_is_told_with_its_line(state: Path) -> None:
    folder = kept(state, "clean_by_mas", "20260101T000000Z-portable-aaaaaa")
    with (folder / "trace.jsonl").open("a") as file:
        file.write("nonsense\n")
    done = dxrig("why")
    assert done.exit_code == 1
    assert done.stderr.endswith("trace.jsonl:69: no line of a trace; damaged\n"), done.stderr


def test_where_nobody_pressed_the_record_runs_again_to_tell_what_a_press_would_have_met(
    tmp_path: Path,
) -> None:
    (tmp_path / "waits.toml").write_text(SCENARIO, encoding="utf-8")
    dxrig("run", tmp_path / "waits.toml", "--out", tmp_path / "out")
    found = json.loads(dxrig("why", tmp_path / "out" / "waits", "--json").stdout)
    assert found["codes"] == ["DOOR_OPEN", "CHAIN_OPEN"]
    assert found["pin"] == {"name": "door", "kind": "input", "address": 2, "terminal": "X1:3"}
    assert found["sentence"] == (
        "Nobody pressed; a press would have been refused: the door is open (input 2, X1:3) "
        "(and CHAIN_OPEN)."
    )
