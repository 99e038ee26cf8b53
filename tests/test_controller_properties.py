"""What holds for `step` whatever happens: thousands of scans with devices that go wrong.

The same bench is driven by a seeded generator (many scans) and by Hypothesis (short
stories that shrink). Every scan is judged by `Judge`; the ghost of "one press, one beam"
is the plant's own switch.
"""

from __future__ import annotations

import copy
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_py.decide import states, supervisor
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from firmware_py.decide.states import Row, build_machine
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.decide.view import View
from hal.now import NEVER_US, Now
from hal.types import GeneratorState, Inputs, Outputs, PanelSample, PanelState, Shot, ShotKind
from tests.plant import HAND, SPOILS, Plant, act, helping
from tests.project import ROOT
from tests.samples import LIMITS

S = State
WITHOUT_HV = (S.BOOT, S.STANDBY, S.RELEASE_WAIT, S.FAULT, S.LOCKED)
KINDS = tuple(ShotKind)


class Judge:
    """Runs the controller over a plant and looks at every scan."""

    def __init__(self, seed: int = 0) -> None:
        self.plant = Plant()
        self.memory = Memory(limits=LIMITS)
        self.outputs = Outputs()
        self.visited: Counter[State] = Counter()
        self.shot_ids: list[str] = []  # of the beams, in order
        self.kinds: Counter[ShotKind] = Counter()  # of beams, and of dark frames
        self._dice = random.Random(f"judge {seed}")
        self._opened_since_beam = True  # the ghost: the plant's switch, as it really was

    def scan(self) -> None:
        inputs = self.plant.inputs()
        self._follow_ghost()
        before = self.memory
        self.memory, outputs = step(before, inputs)
        self.visited[before.state] += 1
        self._judge(before, inputs, outputs)
        self.outputs = outputs
        self.plant.obey(outputs)

    def _judge(self, before: Memory, inputs: Inputs, outputs: Outputs) -> None:
        assert step(before, inputs) == (self.memory, outputs), "not pure"
        judge_outputs(self.memory, outputs)
        judge_kind(self.memory, outputs)
        if self.memory.state is S.READOUT and before.state is S.PREP:
            self.kinds[ShotKind.DARK] += 1
        if outputs.expose_from_us is not None and before.state is not S.EXPOSE:
            judge_start(before, self.memory, inputs, outputs)
            self._judge_ghost()
        judge_horizon(self.memory, inputs, outputs, self._dice)

    def _follow_ghost(self) -> None:
        if not (self.plant.stage_1 or self.plant.stage_2):
            self._opened_since_beam = True

    def _judge_ghost(self) -> None:
        assert self._opened_since_beam, "a second beam without a release of the switch"
        assert self.plant.stage_1
        assert self.plant.stage_2
        self._opened_since_beam = False
        assert self.memory.shot is not None
        assert self.memory.shot.shot_id not in self.shot_ids, "one programmed shot, two beams"
        self.shot_ids.append(self.memory.shot.shot_id)
        self.kinds[self.memory.shot.kind] += 1


def judge_outputs(memory: Memory, outputs: Outputs) -> None:
    exposing = memory.state is S.EXPOSE
    assert (outputs.expose_from_us is not None) == exposing
    assert outputs.expose_line == exposing
    assert outputs.enable is False or memory.state in (S.INTERLOCK_CHECK, S.EXPOSE, S.SELF_TEST)
    if memory.state in WITHOUT_HV:
        hv = (outputs.enable, outputs.enable_lapse, outputs.contactor, outputs.prep_line)
        assert hv == (False, False, False, False)
        assert (outputs.window_from_us, outputs.technique, outputs.intent) == (None, None, None)


def judge_kind(memory: Memory, outputs: Outputs) -> None:
    """Never a beam for a dark frame, or a window for a beam without a receptor."""
    if memory.state not in IN_SEQUENCE:
        return
    shot = memory.shot
    assert shot is not None
    if not shot.has_beam:
        assert memory.state in (S.PREP, S.READOUT)
        assert (outputs.enable, outputs.enable_lapse, outputs.contactor) == (False, False, False)
        assert (outputs.prep_line, outputs.ready_lamp, outputs.technique) == (False, False, None)
    if not shot.has_frame:
        assert (outputs.prepare_panel, outputs.window_from_us) == (False, None)


def judge_start(before: Memory, after: Memory, inputs: Inputs, outputs: Outputs) -> None:
    """SR-01, 02, 05, 06, 09, 10, 52: everything true in this very scan."""
    room, generator, panel, shot = inputs.room, inputs.generator, inputs.panel, after.shot
    assert (before.state, after.state) == (S.INTERLOCK_CHECK, S.EXPOSE)
    assert outputs.expose_from_us == inputs.t_us
    assert shot is not None
    assert shot == inputs.requests.shot
    assert outputs.technique == shot.technique == generator.confirmed
    assert after.faults == ()
    assert not inputs.requests.stop
    assert room.link_ok
    assert inputs.t_us - room.taken_us < LIMITS.room_age_us
    assert all((room.stage_1, room.stage_2, room.door, room.estop, room.chain, room.key))
    assert generator.state is GeneratorState.READY
    assert generator.interlock_closed
    assert set(generator.faults) <= {"UNDER_TEMPERATURE"}
    judge_receptor(shot, panel, before.since_us)
    assert inputs.recorder.intent_durable == shot.shot_id


def judge_receptor(shot: Shot, panel: PanelSample, since_us: int) -> None:
    """No imaging beam without an open window, no other one onto a panel or unconfirmed."""
    assert shot.has_beam, "a beam for a dark frame"
    if shot.kind is ShotKind.NO_RECEPTOR:
        assert panel.state is not PanelState.INTEGRATING
        assert (shot.clear_by, shot.exam_id) == ("A. Physicist", "TEST")
        return
    assert panel.state is PanelState.INTEGRATING
    assert (panel.panel_id, panel.window_us) == (shot.panel_id, 5_000_000)
    assert panel.window_open_us is not None
    assert panel.window_open_us >= since_us


def judge_horizon(memory: Memory, inputs: Inputs, outputs: Outputs, dice: random.Random) -> None:
    """Nothing arrives, so nothing changes before `next_us`."""
    if outputs.next_us <= inputs.t_us:
        return
    last_us = min(outputs.next_us - 1, inputs.t_us + 40_000_000)
    for t_us in {last_us, dice.randint(inputs.t_us, last_us)}:
        again = step(memory, replace(inputs, t_us=t_us))
        assert again == (memory, outputs), f"changed {outputs.next_us - t_us} us too early"


def drive(scan_count: int, seed: int) -> Judge:
    """A sensible operator, a clumsy one, and devices that go wrong and come back."""
    dice = random.Random(f"drive {seed}")
    judge = Judge(seed)
    for _ in range(scan_count):
        judge.scan()
        plant = judge.plant
        wishes = helping(plant, judge.memory.state)
        if wishes and dice.random() < 0.2:
            act(plant, dice.choice(wishes))
        if judge.memory.state is S.RELEASE_WAIT and judge.memory.report is None:
            used = judge.memory.used_shot_id == getattr(plant.inputs().requests.shot, "shot_id", "")
            if used and dice.random() < 0.5:
                plant.program(dice.choice(KINDS))
        if dice.random() < 0.02:
            act(plant, dice.choice(SPOILS))
        if dice.random() < 0.03:
            act(plant, dice.choice(["heal", "heal", *HAND]))
        if dice.random() < 0.03 and judge.outputs.next_us != NEVER_US:
            plant.pass_to(judge.outputs.next_us)
        else:
            plant.pass_scans(dice.choice((1, 1, 1, 1, 2, 3, 11)))
    return judge


@pytest.mark.req("SR-01", "SR-03", "SR-04", "SR-09", "SR-45")
def test_thousands_of_scans_with_devices_that_go_wrong() -> None:
    judges = [drive(3_000, seed) for seed in range(4)]
    visited = sum((judge.visited for judge in judges), Counter())
    assert set(visited) == set(S), "the generator no longer reaches every state"
    assert min(visited[state] for state in (S.EXPOSE, S.READOUT, S.FAULT)) >= 100
    assert sum(len(judge.shot_ids) for judge in judges) >= 40
    kinds = sum((judge.kinds for judge in judges), Counter())
    assert min(kinds[kind] for kind in ShotKind) >= 40


stories = st.lists(
    st.tuples(st.sampled_from((*HAND, *SPOILS)), st.integers(0, 30), st.booleans()), max_size=12
)


@pytest.mark.req("SR-01", "SR-04")
@settings(max_examples=60)
@given(story=stories)
def test_no_story_of_a_press_and_what_goes_wrong_breaks_a_property(
    story: list[tuple[str, int, bool]],
) -> None:
    """Each chapter: something happens, some scans pass, and perhaps a deadline is waited for."""
    judge = in_standby()
    judge.plant.press()
    for name, scan_count, to_deadline in story:
        for _ in range(scan_count):
            judge.scan()
            judge.plant.pass_scans()
        act(judge.plant, name)
        judge.scan()
        if to_deadline and judge.outputs.next_us != NEVER_US:
            judge.plant.pass_to(judge.outputs.next_us)
        else:
            judge.plant.pass_scans()


def run_to(state: State, judge: Judge) -> Judge:
    for _ in range(400):
        if judge.memory.state is state:
            return judge
        judge.scan()
        judge.plant.pass_scans()
    raise AssertionError(f"{state} was not reached")


def in_standby() -> Judge:
    return run_to(S.STANDBY, Judge())


def test_the_bench_of_these_tests_makes_a_whole_exposure() -> None:
    judge = in_standby()
    judge.plant.press()
    seen: list[State] = []
    for _ in range(100):
        judge.scan()
        judge.plant.pass_scans()
        if judge.memory.state not in seen[-1:]:
            seen.append(judge.memory.state)
    assert seen == [S.PREP, S.READY, S.INTERLOCK_CHECK, S.EXPOSE, S.READOUT, S.RELEASE_WAIT]
    assert judge.shot_ids == ["shot-1"]


@pytest.mark.req("SR-04")
def test_a_shot_that_was_made_is_not_made_again() -> None:
    judge = in_standby()
    judge.plant.press()
    run_to(S.RELEASE_WAIT, run_to(S.EXPOSE, judge)).plant.release()
    run_to(S.STANDBY, judge).plant.press()
    run_to(S.RELEASE_WAIT, judge)
    assert judge.memory.refused == ("SHOT_USED",)
    assert judge.shot_ids == ["shot-1"]


@pytest.mark.req("SR-04")
def test_a_switch_that_stays_pressed_makes_one_beam_however_long() -> None:
    judge = in_standby()
    judge.plant.press()
    for _ in range(6_000):
        judge.scan()
        judge.plant.pass_scans()
        judge.plant.program()
    assert len(judge.shot_ids) <= 1
    assert judge.memory.state is S.FAULT


def test_step_leaves_memory_and_inputs_as_they_were() -> None:
    judge = in_standby()
    judge.plant.press()
    for _ in range(100):
        memory, inputs = judge.memory, judge.plant.inputs()
        copies = copy.deepcopy((memory, inputs))
        step(memory, inputs)
        assert (memory, inputs) == copies
        judge.scan()
        judge.plant.pass_scans()


# --- the checks can fail


def held_too_long_by_hand(view: View) -> bool:
    age_us = view.inputs.t_us - view.memory.since_us
    return age_us >= view.memory.limits.ready_us


def prep_overdue_by_hand(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    over = inputs.t_us - memory.since_us >= memory.limits.prep_us
    return ["GENERATOR_NOT_READY"] if over else []


def plant_row(monkeypatch: pytest.MonkeyPatch, name: str, planted: Row) -> None:
    table = tuple(planted if row.when.__name__ == name else row for row in states.TABLE)
    assert table != states.TABLE
    model = states._Sequence()
    monkeypatch.setattr(states, "_machine", build_machine(model, table))
    monkeypatch.setattr(states, "_sequence", model)


def shortly_before(limit_us: int, judge: Judge) -> Judge:
    """20 ms before the deadline of its state: nearer than the age limits of the samples."""
    judge.plant.pass_to(judge.memory.since_us + limit_us - 20_000)
    return judge


def held_in_ready() -> Judge:
    judge = in_standby()
    judge.plant.press_stage_1()
    return shortly_before(LIMITS.ready_us, run_to(S.READY, judge))


def held_in_prep() -> Judge:
    judge = in_standby()
    judge.plant.spoil("generator slow")
    judge.plant.press()
    return shortly_before(LIMITS.prep_us, run_to(S.PREP, judge))


def test_a_deadline_of_a_row_that_is_compared_by_hand_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_hand = Row(S.READY, S.RELEASE_WAIT, held_too_long_by_hand)
    plant_row(monkeypatch, "ready_held_too_long", by_hand)
    judge = held_in_ready()
    with pytest.raises(AssertionError, match="too early"):
        judge.scan()


def test_a_deadline_of_the_supervisor_that_is_compared_by_hand_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(supervisor._OVERDUE, S.PREP, prep_overdue_by_hand)
    judge = held_in_prep()
    with pytest.raises(AssertionError, match="too early"):
        judge.scan()


@pytest.mark.parametrize("held", [held_in_ready, held_in_prep])
def test_honest_deadlines_pass_the_same_scan(held: Callable[[], Judge]) -> None:
    held().scan()


def test_a_start_with_one_condition_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = Row(S.INTERLOCK_CHECK, S.EXPOSE, lambda view: view.inputs.room.stage_2)
    forgetful.when.__name__ = "everything_true_in_this_scan"
    plant_row(monkeypatch, "everything_true_in_this_scan", forgetful)
    judge = in_standby()
    judge.plant.spoil("no window")
    judge.plant.press()
    with pytest.raises(AssertionError, match=r"PanelState\.READY"):
        run_to(S.EXPOSE, judge)


def test_a_beam_onto_a_panel_that_shall_not_be_there_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(states, "_window_open", lambda view: True)
    judge = in_standby()
    judge.plant.program(ShotKind.NO_RECEPTOR)
    judge.plant.press_stage_1()
    run_to(S.READY, judge)
    judge.plant.spoil("panel integrates")
    judge.plant.press()
    with pytest.raises(AssertionError, match=r"is not .*PanelState\.INTEGRATING"):
        run_to(S.EXPOSE, judge)


def test_a_dark_frame_that_goes_the_way_of_a_beam_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    astray = Row(S.PREP, S.READY, states.dark_frame_prepared)
    plant_row(monkeypatch, "dark_frame_prepared", astray)
    judge = in_standby()
    judge.plant.program(ShotKind.DARK)
    with pytest.raises(AssertionError, match="READY"):
        run_to(S.READY, judge)


def test_a_release_that_is_not_waited_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = Row(S.RELEASE_WAIT, S.STANDBY, lambda view: view.memory.report is None)
    hasty.when.__name__ = "both_stages_open"
    plant_row(monkeypatch, "both_stages_open", hasty)
    judge = in_standby()
    judge.plant.press()
    run_to(S.RELEASE_WAIT, run_to(S.EXPOSE, judge)).plant.program()
    with pytest.raises(AssertionError, match="without a release"):
        run_to(S.EXPOSE, judge)


# --- plain enough to be read


def complaints(folder: Path) -> str:
    command = [
        sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901",
        "--config", "lint.mccabe.max-complexity=8", "--output-format", "concise", str(folder),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_no_function_of_decide_has_more_than_eight_paths() -> None:
    assert complaints(ROOT / "firmware_py/decide") == "All checks passed!\n"


def test_a_function_with_nine_paths_is_found(tmp_path: Path) -> None:
    branches = "".join(f"    if a == {n}:\n        return {n}\n" for n in range(8))
    (tmp_path / "planted.py").write_text(f"def f(a):\n{branches}    return 9\n")
    assert "C901 `f` is too complex (9 > 8)" in complaints(tmp_path)
