"""Where a sequence waits: nothing goes on before it is kept, proved and saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Ending, Memory, State
from firmware_py.decide.states import (
    all_prepared,
    dark_frame_asked,
    everything_saved,
    everything_true_in_this_scan,
    generator_charge_ended,
    generator_timer_ended,
    planned_charge_reached,
    planned_time_reached,
    reset_with_cause_gone,
    trips,
)
from firmware_py.decide.view import View
from hal.now import Now
from hal.types import (
    EndReason,
    PanelState,
    RecorderSample,
    Requests,
    Shot,
    ShotKind,
    Technique,
)
from tests.samples import (
    INTEGRATING,
    LIMITS,
    ON,
    READ,
    SHOT,
    T_US,
    exposing,
    held,
    in_beam,
    inputs,
    kept,
    memory,
    panel,
    ready_generator,
    recorder,
    room,
)

S = State
READY_PANEL = panel(state=PanelState.READY)
BY_TIME = Technique(kv=80.0, ma=0.5, ms=1000.0)
DARK = replace(SHOT, kind=ShotKind.DARK, technique=BY_TIME)
CLEAR = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist")
NOT_KEPT = {
    "nothing is written down": recorder(),
    "another shot is": kept(intent_durable="shot-0"),
    "the recorder is gone": kept(alive=False),
    "the disk is full": kept(disk_ok=False),
}


@pytest.mark.req("SR-52")
@pytest.mark.parametrize("shot", [SHOT, CLEAR, DARK], ids=lambda shot: shot.kind.value)
@pytest.mark.parametrize("why", NOT_KEPT)
def test_nothing_is_ready_before_its_intent_is_kept(why: str, shot: Shot) -> None:
    def after(kept_by: RecorderSample) -> State:
        now = inputs(
            room=room(stage_1=shot.has_beam),
            generator=ready_generator(confirmed=shot.technique),
            panel=READY_PANEL if shot.has_frame else panel(),
            recorder=kept_by,
            requests=Requests(shot=shot),
        )
        return step(memory(S.PREP, shot=shot), now)[0].state

    assert after(NOT_KEPT[why]) is S.PREP
    assert after(kept()) is (S.READY if shot.has_beam else S.READOUT)


@pytest.mark.req("SR-52")
@pytest.mark.parametrize("why", NOT_KEPT)
def test_a_check_that_waits_for_the_recorder_only_says_so_at_its_deadline(why: str) -> None:
    before = memory(S.INTERLOCK_CHECK, since_us=T_US - LIMITS.interlock_check_us)
    now = inputs(
        room=held(), generator=ready_generator(), panel=INTEGRATING, recorder=NOT_KEPT[why]
    )
    after, _ = step(before, now)
    assert (after.state, after.faults) == (S.FAULT, ("INTENT_NOT_DURABLE",))


@pytest.mark.req("SR-08")
@pytest.mark.parametrize(
    ("state", "long_us", "code"),
    [
        (S.PREP, LIMITS.prep_us, "GENERATOR_NOT_READY"),
        (S.INTERLOCK_CHECK, LIMITS.interlock_check_us, "INTERLOCK_OPEN"),
    ],
)
def test_a_shot_without_a_receptor_never_waits_for_a_panel(
    state: State, long_us: int, code: str
) -> None:
    before = memory(state, shot=CLEAR, since_us=T_US - long_us)
    now = inputs(room=held(), recorder=kept(), requests=Requests(shot=CLEAR))
    assert step(before, now)[0].faults == (code,)


@pytest.mark.req("SR-33", "SR-53")
def test_a_readout_is_not_over_before_the_beam_is_proved_off_whatever_is_saved() -> None:
    ending = Ending(ordered_us=T_US, reason=EndReason.PLANNED)
    saved = in_beam(
        room=room(),
        generator=replace(ON, beam_taken_us=T_US - 10_000),
        recorder=kept(dose_saved=SHOT.shot_id, image_saved=SHOT.shot_id),
    )
    waiting = memory(S.READOUT, since_us=T_US, beam=READ, ending=ending)
    assert step(waiting, saved)[0].state is S.READOUT
    proved = replace(saved, generator=replace(saved.generator, beam_on=False))
    assert step(replace(waiting, ending=None), proved)[0].state is S.RELEASE_WAIT


# --- what ends or completes an exposure says no where there is none


@pytest.mark.parametrize("missing", [{"beam": None}, {"shot": None}])
@pytest.mark.parametrize(
    "rule",
    [
        planned_charge_reached,
        planned_time_reached,
        generator_timer_ended,
        generator_charge_ended,
    ],
)
def test_no_beam_has_no_end(rule: Any, missing: dict[str, Any]) -> None:
    limits = replace(LIMITS, has_own_timer=rule is not planned_time_reached)
    shot = replace(SHOT, technique=BY_TIME)
    timed: Memory = replace(exposing(shot=shot, limits=limits), **missing)
    view = View(timed, in_beam(T_US + 60_000_000), Now(T_US + 60_000_000))
    assert rule(view) is False


@pytest.mark.req("SR-02", "SR-52")
@pytest.mark.parametrize(
    "wrong",
    [
        {"room": held(stage_1=False)},
        {"room": held(stage_2=False)},
        {"generator": ready_generator(interlock_closed=False)},
        {"generator": ready_generator(interlock_closed=None)},
        {"generator": ready_generator(interlock_taken_us=T_US - 10_001)},
        {"generator": ready_generator(beam_on=None)},
        {"generator": ready_generator(beam_taken_us=T_US - 10_001)},
        {"generator": ready_generator(confirmed=BY_TIME)},
        {"panel": panel(state=PanelState.READY)},
        {"recorder": recorder()},
    ],
)
def test_the_one_way_to_a_beam_asks_for_each_thing_itself_whatever_rows_stand_before_it(
    wrong: dict[str, Any],
) -> None:
    values: dict[str, Any] = {
        "room": held(),
        "generator": ready_generator(),
        "panel": INTEGRATING,
        "recorder": kept(),
    }
    before = memory(S.INTERLOCK_CHECK)
    assert everything_true_in_this_scan(View(before, inputs(**values), Now(T_US))) is True
    assert (
        everything_true_in_this_scan(View(before, inputs(**(values | wrong)), Now(T_US))) is False
    )


def test_a_row_that_leads_to_a_beam_is_never_taken_for_a_dark_frame_nor_the_other_way() -> None:
    values: dict[str, Any] = {
        "generator": ready_generator(confirmed=BY_TIME),
        "panel": READY_PANEL,
        "recorder": kept(),
        "requests": Requests(shot=DARK),
    }
    dark = memory(S.PREP, shot=DARK)
    assert all_prepared(View(dark, inputs(**values), Now(T_US))) is False
    standby = memory(S.STANDBY, used_shot_id="shot-0")
    values = {"requests": Requests(shot=DARK)}
    assert dark_frame_asked(View(standby, inputs(**values), Now(T_US))) is True
    pressed = inputs(room=room(stage_1=True), **values)
    assert dark_frame_asked(View(standby, pressed, Now(T_US))) is False


@pytest.mark.req("SR-41")
@pytest.mark.parametrize(
    ("contacts", "state"),
    [({}, S.RELEASE_WAIT), ({"key": False}, S.LOCKED), ({"stage_1": True}, S.LOCKED)],
)
def test_a_lock_is_left_with_the_key_back_on_and_the_switch_open(
    contacts: dict[str, bool], state: State
) -> None:
    before = memory(S.LOCKED, faults=("ARCS",), key_was_off=True)
    now = inputs(room=room(**contacts), requests=Requests(shot=SHOT, reset=True))
    assert step(before, now)[0].state is state


@pytest.mark.req("SR-41")
def test_a_reset_needs_a_room_that_says_that_the_switch_is_open() -> None:
    asked = Requests(shot=SHOT, reset=True)
    before = memory(S.FAULT, faults=("DOOR_OPEN",))
    silent = inputs(room=room(link_ok=False), requests=asked)
    assert reset_with_cause_gone(View(before, silent, Now(T_US))) is False
    assert reset_with_cause_gone(View(before, inputs(requests=asked), Now(T_US))) is True


@pytest.mark.req("SR-42")
@pytest.mark.parametrize("state", S)
def test_an_open_door_is_a_fault_from_prep_to_readout_and_an_event_elsewhere(state: State) -> None:
    in_sequence = {S.PREP, S.READY, S.INTERLOCK_CHECK, S.EXPOSE, S.READOUT}
    assert trips("DOOR_OPEN", state) is (state in in_sequence)
    assert trips("ESTOP", state) is True
    assert trips("TUBE_HEAT", state) is False


def test_no_shot_is_ever_saved() -> None:
    view = View(memory(S.READOUT, shot=None), inputs(recorder=recorder()), Now(T_US))
    assert everything_saved(view) is False
