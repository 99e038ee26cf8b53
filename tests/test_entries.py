"""Every way into the unit, in every state: none begins a beam without the held local switch.

The ways are listed by the program itself (the runner's handlers, the fields of `Requests`, the
public names of `Unit`, the kinds of recorder and simulator, the shipped scenarios); one that is
not known here fails its test. Beams are the simulator's count, ON is looked for on the wire.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from firmware_py import runner as runners
from firmware_py.decide import states
from firmware_py.decide.controller import step
from firmware_py.decide.memory import State
from firmware_py.recorder import process
from firmware_py.runner import Runner
from firmware_py.trace import Line
from firmware_py.unit import Unit
from hal.bus import Client
from hal.types import EndReason, PanelState, RecorderSample, Requests, Shot, ShotKind
from rig.bench import load_bench
from rig.scenario import ShotSection
from rig.sim_server import SimServer
from sim.script import UNIT_VERBS, VERBS, arguments
from tests.model_runs import NAMES, run, scenario
from tests.samples import SHOT, T_US, held, kept, panel, ready_generator
from tests.state_table import START
from tests.test_runner import Clock
from tests.whole_unit import OFF, ON, SCAN_US, Whole, a_shot, brought_to

S = State
AFTER_US = 1_200_000  # READY would long have been reached, and a beam have begun
SHORT = a_shot(ShotSection(kv=80.0, ma=0.5, mas=0.15))
OTHER = a_shot(ShotSection(kv=60.0, ma=1.0, ms=300.0), "shot-2")
LIES = {  # beside what a kind asks for: whatever might be taken for a press
    "stage_1": True, "stage_2": True, "state": "EXPOSE", "expose": True, "expose_from_us": 1,
    "room": {"stage_1": True, "stage_2": True}, "reset": True, "key": "on", "role": "service",
}  # fmt: skip
WARMUP = {"kv": (40.0, 60.0), "ma": 0.5, "pulses": 4, "on_s": 15.0, "off_s": 15.0}
SPEC = {"kind": "warmup", "plan": WARMUP}
STAMP = {"run_id": "W", "panel_id": OTHER.panel_id}
# Kind of the unit's bus -> the questions that a client may ask with it.
BUS: dict[str, list[dict[str, Any]]] = {
    "program": [
        {"shot": asdict(OTHER)},
        {"shot": asdict(replace(OTHER, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist"))},
        {"shot": asdict(replace(OTHER, raw=True))},
    ],
    "routine": [{"spec": SPEC, "stamp": STAMP}],
    "confirm": [{"key": "no receptor", "who": "A. Physicist"}],
    "results": [{"first": 0}],
    "stop": [{}],
    "reset": [{}],
    "status": [{}],
    "quit": [{}],
}
QUESTIONS = [(kind, facts) for kind, asked in BUS.items() for facts in asked]


class OneBus:
    """A client that says one thing; the answers."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.answers: list[Mapping[str, Any]] = []

    def poll(self) -> list[tuple[Client, dict[str, Any]]]:
        found, self.waiting = self.waiting, []
        return [(Client(b"somebody", 1), message) for message in found]

    def reply(self, client: Client, message: Mapping[str, Any]) -> None:
        self.answers.append(message)

    def publish(self, message: Mapping[str, Any]) -> None:
        """Nobody listens."""


class Served:
    """A whole unit under its runner, as in its own process: scan, then what was asked."""

    def __init__(self, state: State) -> None:
        self.whole, self.bus = brought_to(state, shot=SHORT), OneBus()
        if state is S.EXPOSE:
            self.whole.pass_us(100_000)  # the beam has begun
        self.runner = Runner(self.whole.unit, Clock(), self.bus, io.StringIO(), scan_us=SCAN_US)
        take = self.whole.rung.on_lines

        def after_scan(lines: Sequence[Line]) -> None:
            take(lines)
            self.runner._settle_requests()
            self.runner._answer()

        self.whole.rung.on_lines = after_scan

    def ask(self, kind: str, **facts: Any) -> Mapping[str, Any]:
        self.bus.waiting.append({"schema": 1, "kind": kind, **facts})
        self.runner._answer()
        return self.bus.answers[-1]


def no_further_beam(whole: Whole, for_us: int = AFTER_US) -> None:
    before, ordered = whole.beams, len(whole.sent(ON))
    whole.pass_us(for_us)
    assert (whole.beams, len(whole.sent(ON))) == (before, ordered), whole.path()


# --- the unit's bus


def test_each_kind_that_the_unit_answers_is_asked_here() -> None:
    assert set(BUS) == set(runners._HANDLERS), "a new kind: say in BUS what may be asked with it"


@pytest.mark.req("SR-01", "SR-12", "F48")
@pytest.mark.parametrize("hand", ["nobody", "stage 1"])
@pytest.mark.parametrize("state", State)
def test_no_question_to_the_unit_begins_a_beam_in_any_state(state: State, hand: str) -> None:
    """Both stages are let go of, or stage 2 alone, in the instant in which it is asked."""
    for kind, facts in QUESTIONS:
        served = Served(state)
        pressed = hand == "stage 1" and served.whole.world.wiring.contacts["stage_1"]
        served.whole.do("release", stage=2 if pressed else 1)
        answer = served.ask(kind, **LIES | facts)
        assert answer["kind"] == f"{kind}.answer"
        no_further_beam(served.whole)


@pytest.mark.req("SR-12")
@pytest.mark.parametrize("state", State)
def test_stop_is_answered_in_every_state_and_ends_the_sequence_in_the_next_scan(
    state: State,
) -> None:
    served = Served(state)
    whole, asked_us = served.whole, served.whole.t_us
    answer = served.ask("stop")
    assert "error" not in answer
    assert answer["state"] == state.value
    whole.scan()
    ended = {S.PREP: S.RELEASE_WAIT, S.READY: S.RELEASE_WAIT, S.INTERLOCK_CHECK: S.RELEASE_WAIT,
             S.EXPOSE: S.READOUT}  # fmt: skip
    assert whole.state is ended.get(state, state)
    if state in ended:
        assert whole.unit.memory.why == "stop_requested"
        assert whole.entered_us(ended[state]) == asked_us + SCAN_US
    if state is S.EXPOSE:
        assert whole.sent(OFF)[-1] == asked_us + SCAN_US
    no_further_beam(whole)  # the switch is still held where it was


@pytest.mark.req("SR-12")
def test_the_question_that_would_start_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: a handler that closes the contact of stage 2."""
    served = Served(S.READY)

    def press(runner: Runner, message: Mapping[str, Any]) -> dict[str, Any]:
        served.whole.do("press")
        return {}

    monkeypatch.setitem(runners._HANDLERS, "reset", press)
    served.ask("reset")
    with pytest.raises(AssertionError, match=r"\(1, 1\) == \(0, 0\)"):
        no_further_beam(served.whole)


# --- what the scan is handed


SHOTS: dict[str, Shot | None] = {
    "none": None,
    "the same": SHOT,
    "the next": replace(SHOT, shot_id="shot-2"),
    "edited": replace(SHOT, technique=replace(SHOT.technique, kv=90.0)),
    "another's": replace(SHOT, exam_id="E-7"),
    "dark": replace(SHOT, shot_id="shot-2", kind=ShotKind.DARK),
    "no receptor": replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist"),
}
RECORDERS: dict[str, RecorderSample] = {
    "dead": RecorderSample(taken_us=T_US),
    "durable": kept(),
    "all saved": kept(dose_saved=SHOT.shot_id, image_saved=SHOT.shot_id),
    "failed": kept(image_failed=SHOT.shot_id),
    "frames": kept(frames_safe=("shot-0",), frames_wanted=(SHOT.shot_id,)),
}


def test_the_fields_of_a_request_are_those_that_are_combined_here() -> None:
    assert [field.name for field in fields(Requests)] == ["shot", "stop", "reset"]


@pytest.mark.req("SR-01", "SR-12")
def test_no_combination_of_requests_and_acknowledgements_begins_a_beam_without_stage_2() -> None:
    """All else as good as it can be: devices ready, pair closed, window open, chain closed."""
    count = 0
    shots, recorders = SHOTS.values(), RECORDERS.values()
    for (_, (before, now)), shot, kept_so, stop, reset, stage_1 in itertools.product(
        START.values(), shots, recorders, (False, True), (False, True), (False, True)
    ):
        good = replace(
            now,
            room=held(stage_1=stage_1, stage_2=False),
            generator=ready_generator(),
            panel=panel(state=PanelState.INTEGRATING, window_open_us=T_US),
            recorder=kept_so,
            requests=Requests(shot=shot, stop=stop, reset=reset),
        )
        after, outputs = step(before, good)
        count += 1
        assert outputs.expose_from_us is None, (before.state, good.requests)
        assert not outputs.expose_line
        assert after.state is not S.EXPOSE
    assert count == len(State) * len(SHOTS) * len(RECORDERS) * 8


def test_what_may_be_called_on_a_unit_is_known() -> None:
    """A new one belongs into `BUS`, or is shown to begin nothing."""
    public = {name for name in vars(Unit) if not name.startswith("_")}
    assert public == {
        "request", "follow", "requests", "record_trouble", "effective", "next_us", "scan",
        "make_safe", "is_safe",
    }  # fmt: skip


@pytest.mark.req("SR-01")
def test_the_machine_has_no_function_that_enters_a_state() -> None:
    assert [name for name in dir(states._sequence) if name.startswith("to_")] == []
    assert set(states._machine.events) == {"scan"}


# --- other ends of other buses


@pytest.mark.req("SR-12")
def test_the_recorder_takes_five_kinds_and_none_of_them_reaches_a_device() -> None:
    """It can only acknowledge; what that can do is combined above."""
    assert set(process._ANSWERS) == {"intent", "report", "kept", "incomplete", "acknowledge"}
    acknowledged = {field.name for field in fields(RecorderSample)}
    assert acknowledged == {
        "taken_us", "alive", "disk_ok", "panel_set_ok", "incomplete_count", "intent_durable",
        "dose_saved", "image_saved", "image_failed", "level_counts", "frames_safe",
        "frames_wanted",
    }  # fmt: skip


HANDS = {"press", "script", "do"}  # the simulated hand: it presses the switch itself
LOOKS = {"announcement", "show", "event"}


@pytest.mark.req("SR-12")
def test_the_kinds_of_the_simulator_are_its_hand_and_those_that_only_look() -> None:
    kinds = {name.removeprefix("_do_") for name in vars(SimServer) if name.startswith("_do_")}
    assert kinds == HANDS | LOOKS, "a new kind of the simulator: hand, or look?"


ARGUMENTS: dict[str, dict[str, Any]] = {
    "generator": {"refuse_start": False},
    "panel": {},
    "phantom": {"name": "none"},
    "geometry": {"sid_mm": 1500.0, "rows_mm": 100.0},
    "optics": {"lift_mm": 50.0},
    "collimator": {"sensor_failed": True},
    "dap": {"dap_dead": True},
    "wiring": {"lamp_intact": False},
    "weld": {"relay": "enable"},
    "room": {"pulse_timer_dead": True},
    "line": {"device": "panel", "silent": True},
    "trip generator": {"bit": "arc"},
    "battery": {"volts": 30.0},
    "lose answer": {"device": "generator"},
    "garbage": {"device": "room"},
    "power off": {"device": "panel"},
    "power on": {"device": "panel"},
    "reboot": {"device": "generator"},
    "stick": {"contact": "door", "closed": False},
    "free": {"contact": "door"},
    "bounce": {"contact": "door", "at_ms": [1.0, 3.0, 8.0]},
    "glitch": {"contact": "estop", "ms": 1.0},
    "heal": {"what": "generator"},
    "mischief": {"device": "room", "insert": 0.5, "replay": 0.5},
}
PRESSES = {"press", "press often"}
OF_THE_ROOM = {"collimator", "dap"}  # the portable has neither


@pytest.mark.req("SR-01")
@pytest.mark.parametrize("verb", sorted(set(VERBS) - PRESSES))
def test_no_other_verb_of_the_simulated_room_presses_the_switch_or_begins_a_beam(
    verb: str,
) -> None:
    assert verb in ARGUMENTS or not arguments(verb)[1], (
        "a new verb: say in ARGUMENTS how it is done"
    )
    whole = brought_to(S.STANDBY, on=load_bench("room") if verb in OF_THE_ROOM else None)
    whole.do(verb, **ARGUMENTS.get(verb, {}))
    contacts = whole.world.wiring.contacts
    assert (contacts["stage_1"], contacts["stage_2"]) == (False, False)
    no_further_beam(whole)
    assert whole.beams == 0


# --- files that are read at the start


@pytest.mark.req("SR-01")
@pytest.mark.parametrize("name", NAMES)
def test_no_shipped_scenario_makes_a_beam_when_its_presses_are_taken_out(name: str) -> None:
    whole = scenario(name)
    steps = [one for one in whole.step if one.do not in (*PRESSES, *UNIT_VERBS)]
    nobody = whole.model_copy(update={"step": steps, "deadline_s": 5.0})
    made, seen = run(nobody)
    assert seen.beams == []
    assert "EXPOSE" not in [line["to"] for line in seen.of("state")]
    reports = [line.data["reason"] for line in made.lines if line.kind == "report"]
    assert set(reports) <= {EndReason.DARK.value}
