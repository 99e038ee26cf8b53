"""A routine stepped scan by scan: what it programmes, what it waits for, what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide.memory import Memory, State
from firmware_py.routines.engine import LAST_LOOK_US, Engine, Stamp
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import (
    Ask,
    Charge,
    Done,
    Fire,
    Fired,
    Pause,
    ReplayError,
    Result,
    Routine,
    Step,
    Verdict,
    result_from_dict,
)
from firmware_py.routines.warmup import CLEAR, WarmupPlan, pulse
from hal.now import Now
from hal.types import EndReason, ExposureReport, Shot, ShotKind, Technique
from tests import samples

STAMP = Stamp(run_id="r-1", panel_id="P1")
OPEN = Ask(key="open field", text="")
REST = Pause(seconds=15.0, why="")
SCAN_US = 5_000
ONE = pulse(40.0, 0.5, 15.0, "")
DARK = Fire(technique=Technique(kv=30.0, ma=0.2, ms=1000.0), kind=ShotKind.DARK, note="", raw=True)


def script(*steps: Step, got: list[Result] | None = None) -> Routine:
    """These steps in this order, whatever comes of them."""
    for step in steps:
        result = yield step
        if got is not None:
            got.append(result)
    return Verdict(passed=True, text="done")


class Desk:
    """An engine and the memory and inputs that a test hands it, scan by scan."""

    def __init__(self, *steps: Step, stamp: Stamp = STAMP, results: Sequence[Result] = ()) -> None:
        self.engine = Engine(script(*steps), stamp, results)
        self.t_us = samples.T_US
        self.memory = samples.memory(State.STANDBY, shot=None)
        self.recorder = samples.recorder()
        self.generator_faults: tuple[str, ...] = ()

    def scan(
        self, state: State | None = None, after_us: int = SCAN_US, **changes: Any
    ) -> Shot | None:
        self.t_us += after_us
        state = state or self.memory.state
        self.memory = replace(self.memory, state=state, **changes)
        inputs = samples.inputs(
            self.t_us,
            recorder=self.recorder,
            generator=samples.generator(self.t_us, faults=self.generator_faults),
        )
        return self.engine.shot(Now(self.t_us), self.memory, inputs)

    def beam(self, shot: Shot, **facts: Any) -> None:
        """The whole sequence up to STANDBY, with its dose saved."""
        for state in (State.PREP, State.READY, State.EXPOSE):
            self.scan(state, shot=shot)
        self.scan(State.READOUT, report=report(shot, **facts))
        self.scan(State.RELEASE_WAIT)
        self.scan(State.RELEASE_WAIT, report=None)
        self.scan(State.STANDBY)

    def made(self, **facts: Any) -> None:
        """The shot that is programmed, and the last look at the fault list."""
        shot = self.scan()
        assert shot is not None
        self.beam(shot, **facts)
        self.scan(after_us=LAST_LOOK_US)

    @property
    def results(self) -> list[Result]:
        return self.engine.results


def report(shot: Shot, **facts: Any) -> ExposureReport:
    values: dict[str, Any] = {
        "shot": shot, "reason": EndReason.PLANNED, "beam": True, "mas": 7.4, "maximum_mas": 7.5,
        "kv": 40.1, "ma": 0.5, "beam_ms": 14_850.0,
    }  # fmt: skip
    return ExposureReport(**(values | facts))


# --- programming


def test_in_standby_a_shot_is_programmed_as_the_step_says() -> None:
    shot = Desk(ONE).scan()
    assert shot == Shot(
        shot_id="r-1-001", technique=ONE.technique, exam_id="TEST", panel_id="P1",
        kind=ShotKind.NO_RECEPTOR, warms=True,
    )  # fmt: skip


@pytest.mark.parametrize("state", [state for state in State if state is not State.STANDBY])
def test_nothing_is_programmed_in_any_other_state(state: State) -> None:
    desk = Desk(ONE)
    assert desk.scan(state) is None
    assert desk.scan(State.STANDBY) is not None


def test_what_is_programmed_stays_the_same_until_it_is_made() -> None:
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    for state in (State.STANDBY, State.PREP, State.READY, State.INTERLOCK_CHECK, State.EXPOSE):
        assert desk.scan(state, shot=shot if state is not State.STANDBY else None) == shot


def test_a_shot_is_of_the_kind_that_its_step_says_and_defers_nothing() -> None:
    shot = Desk(DARK).scan()
    assert shot is not None
    assert (shot.deferred, shot.raw, shot.kind) == (None, True, ShotKind.DARK)


# --- results


def test_a_result_comes_after_dose_saved_and_standby_and_half_a_second() -> None:
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    desk.beam(shot)
    saved_us = desk.t_us
    while desk.t_us < saved_us + LAST_LOOK_US - SCAN_US:
        desk.scan()
        assert desk.results == []
    desk.scan()
    assert desk.t_us == saved_us + LAST_LOOK_US
    assert desk.results == [
        Fired(shot_id="r-1-001", reason="planned end", beam=True, mas=7.4, beam_ms=14_850.0,
              kv=40.1, ma=0.5)
    ]  # fmt: skip
    assert desk.engine.verdict == Verdict(passed=True, text="done")


def test_there_is_no_result_while_the_recorder_has_not_the_dose() -> None:
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    desk.scan(State.PREP, shot=shot)
    desk.scan(State.READOUT, report=report(shot))
    desk.scan(State.STANDBY)
    desk.scan(after_us=60_000_000)
    assert desk.results == []
    desk.scan(report=None)
    desk.scan(after_us=LAST_LOOK_US)
    assert len(desk.results) == 1


def test_there_is_no_result_while_the_handswitch_is_held() -> None:
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    desk.scan(State.READOUT, shot=shot, report=report(shot))
    desk.scan(State.RELEASE_WAIT, report=None)
    desk.scan(after_us=60_000_000)
    assert desk.results == []


def test_the_report_of_an_earlier_shot_is_no_result() -> None:
    desk = Desk(ONE)
    desk.scan()
    desk.scan(State.READOUT, report=report(samples.SHOT))
    desk.scan(State.STANDBY, report=None)
    desk.scan(after_us=60_000_000)
    assert desk.results == []


def test_a_dark_frame_needs_no_last_look() -> None:
    desk = Desk(DARK)
    shot = desk.scan()
    assert shot is not None
    desk.recorder = samples.recorder(image_saved=shot.shot_id, level_counts=305)
    desk.beam(shot, beam=False, mas=None, reason=EndReason.DARK)
    assert desk.results == [
        Fired(shot_id="r-1-001", reason="dark frame", kv=40.1, ma=0.5, beam_ms=14_850.0,
              level_counts=305)
    ]  # fmt: skip


def test_the_level_of_another_frame_is_not_taken() -> None:
    desk = Desk(DARK)
    shot = desk.scan()
    assert shot is not None
    desk.recorder = samples.recorder(image_saved="r-0-009", level_counts=305)
    desk.beam(shot, beam=False, mas=None, reason=EndReason.DARK)
    (result,) = desk.results
    assert isinstance(result, Fired)
    assert result.level_counts is None


def fired(desk: Desk) -> Fired:
    (result,) = desk.results
    assert isinstance(result, Fired)
    return result


def test_an_arc_that_only_the_generator_told_is_in_the_result() -> None:
    """The beam had its planned end; its list of faults is read afterwards."""
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    desk.beam(shot)
    desk.generator_faults = ("ARC",)
    desk.scan()
    desk.generator_faults = ()
    desk.scan(after_us=LAST_LOOK_US)
    assert (fired(desk).reason, fired(desk).faults) == ("planned end", ("ARC",))


def test_an_arc_of_before_the_beam_is_none_of_it() -> None:
    desk = Desk(ONE)
    desk.generator_faults = ("ARC",)
    shot = desk.scan()
    assert shot is not None
    desk.scan(State.PREP, shot=shot)
    desk.generator_faults = ()
    desk.beam(shot)
    desk.scan(after_us=LAST_LOOK_US)
    assert fired(desk).faults == ()


def test_other_words_of_the_generator_are_no_faults_of_the_shot() -> None:
    desk = Desk(ONE)
    desk.generator_faults = ("BATTERY_LOW",)
    desk.made()
    assert fired(desk).faults == ()


def test_what_latched_is_in_the_result_once_and_in_order() -> None:
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    desk.scan(State.EXPOSE, shot=shot)
    faults = ("DOOR_OPEN", "CHAIN_OPEN")
    desk.scan(State.FAULT, report=report(shot, reason=EndReason.FAULT, fault="DOOR_OPEN"),
              faults=faults)  # fmt: skip
    desk.scan(State.FAULT, report=None)
    desk.scan(after_us=60_000_000)
    assert desk.results == []  # nobody has reset it
    desk.scan(State.STANDBY, faults=())
    desk.scan(after_us=LAST_LOOK_US)
    assert (fired(desk).reason, fired(desk).faults) == ("fault", faults)


def test_a_fault_that_only_the_report_names_is_in_the_result() -> None:
    desk = Desk(ONE)
    desk.made(reason=EndReason.FAULT, fault="MAS_EXCESS")
    assert fired(desk).faults == ("MAS_EXCESS",)


def test_an_attempt_without_a_beam_is_programmed_again_under_a_new_id() -> None:
    desk = Desk(ONE)
    desk.made(beam=False, mas=None, beam_ms=None, reason=EndReason.NO_BEAM)
    assert desk.results == []
    again = desk.scan()
    assert again is not None
    assert (again.shot_id, again.technique) == ("r-1-002", ONE.technique)
    desk.made()
    assert fired(desk).shot_id == "r-1-002"


def test_a_dark_frame_that_was_cut_short_is_made_again() -> None:
    desk = Desk(DARK)
    desk.made(beam=False, mas=0.0, beam_ms=None, reason=EndReason.NO_BEAM)
    assert desk.results == []
    again = desk.scan()
    assert again is not None
    assert again.shot_id == "r-1-002"
    desk.made(beam=False, mas=0.0, beam_ms=None, reason=EndReason.DARK)
    assert fired(desk).reason == "dark frame"


def test_an_attempt_that_a_fault_ended_is_a_result_without_a_beam() -> None:
    desk = Desk(ONE)
    desk.made(beam=False, mas=None, beam_ms=None, reason=EndReason.FAULT, fault="DOOR_OPEN")
    assert (fired(desk).beam, fired(desk).faults) == (False, ("DOOR_OPEN",))


def test_an_id_is_used_once_in_all_lives() -> None:
    ids = []
    for run_id in ("r-1", "r-2"):
        desk = Desk(ONE, ONE, ONE, stamp=replace(STAMP, run_id=run_id))
        for attempt in range(4):
            shot = desk.scan()
            assert shot is not None
            ids.append(shot.shot_id)
            gone = {"beam": False, "mas": None, "reason": EndReason.NO_BEAM} if attempt == 1 else {}
            desk.made(**gone)
    assert ids == [f"r-{life}-00{number}" for life in (1, 2) for number in (1, 2, 3, 4)]


# --- questions, pauses, charges


def test_a_question_waits_for_its_own_key_and_a_name() -> None:
    desk = Desk(CLEAR, ONE)
    assert desk.scan(after_us=3_600_000_000) is None
    for key, who in (("open field", "A. Meier"), ("no receptor", ""), ("no receptor", " ")):
        assert not desk.engine.confirm(key, who)
        assert desk.scan() is None
    assert desk.engine.confirm("no receptor", "A. Meier")
    assert desk.scan() is not None
    assert desk.results == [Done(who="A. Meier")]
    assert not desk.engine.confirm("no receptor", "A. Meier")


def test_who_confirmed_that_no_receptor_is_there_stands_in_each_shot() -> None:
    desk = Desk(CLEAR, ONE, ONE, OPEN, DARK)
    desk.engine.confirm("no receptor", "A. Meier")
    for _ in range(2):
        shot = desk.scan()
        assert shot is not None
        assert shot.clear_by == "A. Meier"
        desk.made()
    desk.engine.confirm("open field", "B. Kaya")
    shot = desk.scan()
    assert shot is not None
    assert shot.clear_by is None


def test_a_pause_ends_at_its_very_microsecond() -> None:
    desk = Desk(REST, ONE)
    assert desk.scan() is None
    begun_us = desk.t_us
    assert desk.scan(after_us=14_999_999) is None
    assert desk.scan(after_us=1) is not None
    assert desk.t_us == begun_us + 15_000_000
    assert desk.results == [Done()]


def test_a_pause_asks_to_be_woken_at_its_end() -> None:
    desk = Desk(REST, ONE)
    now = Now(desk.t_us)
    desk.engine.shot(now, desk.memory, samples.inputs(desk.t_us))
    assert now.next_us == desk.t_us + 15_000_000


def test_a_pause_follows_a_shot_in_the_same_scan() -> None:
    desk = Desk(ONE, REST)
    desk.made()
    assert desk.engine.step == REST
    assert desk.engine.status()["since_us"] == desk.t_us


def test_a_charge_suspends_and_programmes_nothing() -> None:
    charge = Charge(hours=2.0, text="charge it")
    desk = Desk(charge, ONE)
    assert desk.scan() is None
    assert (desk.engine.suspended, desk.engine.over) == (charge, True)
    assert desk.scan(after_us=7_200_000_000) is None
    assert desk.results == []
    assert desk.engine.status()["suspended"] == {"hours": 2.0, "text": "charge it"}


# --- the end by a person


def test_interrupted_in_standby_it_takes_its_shot_back() -> None:
    desk = Desk(ONE)
    assert desk.scan() is not None
    desk.engine.interrupt()
    assert desk.scan() is None
    assert desk.scan(after_us=60_000_000) is None
    assert desk.engine.over


@pytest.mark.parametrize("step", [CLEAR, REST])
def test_interrupted_between_shots_it_programmes_nothing_more(step: Step) -> None:
    desk = Desk(step, ONE)
    desk.scan()
    desk.engine.interrupt()
    desk.engine.confirm("no receptor", "A. Meier")
    assert desk.scan(after_us=60_000_000) is None
    assert desk.results == []


def test_interrupted_in_a_beam_its_result_is_kept_and_nothing_follows() -> None:
    desk = Desk(ONE, ONE)
    shot = desk.scan()
    assert shot is not None
    desk.scan(State.EXPOSE, shot=shot)
    desk.engine.interrupt()
    desk.beam(shot, reason=EndReason.STOPPED, beam_ms=3000.0)
    desk.scan(after_us=LAST_LOOK_US)
    assert (fired(desk).reason, fired(desk).beam_ms) == ("stop requested", 3000.0)
    assert desk.scan(after_us=60_000_000) is None


def test_interrupted_before_the_beam_it_is_not_programmed_again() -> None:
    desk = Desk(ONE)
    shot = desk.scan()
    assert shot is not None
    desk.scan(State.READY, shot=shot)
    desk.engine.interrupt()
    desk.beam(shot, beam=False, mas=None, reason=EndReason.STOPPED)
    desk.scan(after_us=LAST_LOOK_US)
    assert (desk.scan(), desk.results) == (None, [])


# --- going on after a crash

SPEC = Spec(
    kind="warmup", plan=WarmupPlan(kv=(40.0, 60.0), ma=0.5, pulses=4, on_s=15.0, off_s=15.0)
)
KEPT: list[Result] = [
    Done(who="A. Meier"),
    Fired(shot_id="r-1-001", reason="planned end", beam=True, beam_ms=15_000.0),
    Done(),
    Fired(shot_id="r-1-002", reason="handswitch released", beam=True, beam_ms=6_000.0),
    Done(),
]


def resumed(results: Sequence[Result]) -> Desk:
    desk = Desk()
    desk.engine = Engine(SPEC.routine(), replace(STAMP, run_id="r-2"), results)
    return desk


def test_results_that_were_kept_lead_to_the_same_step() -> None:
    desk = resumed(KEPT)
    assert desk.results == KEPT
    desk.scan()
    desk.engine.confirm("no receptor", "B. Kaya")
    shot = desk.scan()
    assert shot is not None
    assert (shot.shot_id, shot.technique.kv, shot.technique.ms) == ("r-2-001", 40, 9000)


def test_results_come_back_from_their_plain_values() -> None:
    plain = resumed(KEPT).engine.results_since(0)
    assert [result_from_dict(one) for one in plain] == KEPT
    assert resumed(KEPT).engine.results_since(3) == plain[3:]


@pytest.mark.req("SR-16")
def test_a_confirmation_of_an_earlier_life_is_asked_for_again() -> None:
    """Somebody may have put the panel back meanwhile."""
    desk = resumed(KEPT)
    assert desk.scan(after_us=60_000_000) is None
    assert desk.engine.step == CLEAR
    assert desk.engine.status()["step_index"] == len(KEPT)
    assert desk.engine.confirm("no receptor", "B. Kaya")
    shot = desk.scan()
    assert shot is not None
    assert shot.clear_by == "B. Kaya"
    assert desk.results == KEPT


def test_the_last_question_is_the_one_that_is_asked_again() -> None:
    done = Done(who="A. Meier")
    desk = Desk(CLEAR, OPEN, ONE, results=[done, done])
    assert desk.engine.step == OPEN
    desk.engine.confirm("open field", "B. Kaya")
    shot = desk.scan()
    assert shot is not None
    assert (shot.clear_by, desk.results) == (None, [done, done])


def test_a_question_that_was_not_answered_is_asked_once() -> None:
    desk = Desk(CLEAR, OPEN, ONE, results=[Done(who="A. Meier")])
    assert desk.engine.step == OPEN
    desk.engine.confirm("open field", "B. Kaya")
    assert desk.scan() is not None
    assert desk.results == [Done(who="A. Meier"), Done(who="B. Kaya")]


def test_nothing_is_asked_again_before_a_charge_or_after_the_end() -> None:
    charge = Charge(hours=2.0, text="")
    desk = Desk(CLEAR, charge, ONE, results=[Done(who="A. Meier")])
    desk.scan()
    assert desk.engine.suspended == charge
    assert Desk(CLEAR, results=[Done(who="A. Meier")]).engine.verdict is not None


def test_an_interrupted_run_asks_nothing_again() -> None:
    desk = resumed(KEPT)
    desk.engine.interrupt()
    desk.engine.confirm("no receptor", "B. Kaya")
    assert desk.scan(after_us=60_000_000) is None


@pytest.mark.parametrize(
    "results",
    [
        KEPT[1:],
        [KEPT[0], KEPT[0]],
        [*KEPT, KEPT[0]],
    ],
)
def test_results_of_another_plan_are_refused(results: list[Result]) -> None:
    with pytest.raises(ReplayError, match="not of this plan"):
        resumed(results)


def test_more_results_than_the_plan_has_steps_are_refused() -> None:
    with pytest.raises(ReplayError):
        Desk(CLEAR, results=[Done(who="A. Meier"), Done()])


def test_the_status_names_step_shot_and_verdict() -> None:
    desk = Desk(ONE)
    desk.scan()
    status = desk.engine.status()
    assert (status["run_id"], status["step_index"], status["shot"]) == ("r-1", 0, "r-1-001")
    assert status["busy"]
    assert status["step"]["is"] == "Fire"
    desk.made()
    status = desk.engine.status()
    assert (status["step"], status["shot"], status["busy"]) == (None, None, False)
    assert status["verdict"] == {"passed": True, "text": "done"}


def test_memory_of_the_unit_is_only_looked_at() -> None:
    """The engine is handed values; it has no outputs but the shot."""
    desk = Desk(ONE)
    before: Memory = desk.memory
    desk.engine.shot(Now(desk.t_us), desk.memory, samples.inputs(desk.t_us))
    assert desk.memory is before
