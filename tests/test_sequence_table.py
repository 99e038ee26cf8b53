"""Every row of the sequence is taken at its own scan, and nothing moves without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, SelfTestStep, State
from firmware_py.decide.states import SEQUENCE, TABLE, TRIPS, Row, build_machine
from hal.types import EndReason, Inputs, PanelState, Requests, ShotKind, Technique
from tests.samples import (
    INTEGRATING,
    LIMITS,
    ON,
    READ,
    SHOT,
    T_US,
    exposing,
    generator,
    held,
    in_beam,
    inputs,
    kept,
    memory,
    off_proved,
    panel,
    ready_generator,
    recorder,
    room,
)

S = State
BY_TIME = replace(SHOT, technique=Technique(kv=80.0, ma=0.5, ms=1000.0))
DARK = replace(BY_TIME, kind=ShotKind.DARK)
READY_PANEL = panel(state=PanelState.READY)
OTHER = Requests(shot=replace(SHOT, shot_id="shot-2"))
RESET = Requests(shot=SHOT, reset=True)


ENDS_MAS = replace(LIMITS, ends_mas=True)  # the mAs are the generator's to count
TAKEN: dict[tuple[State, State, str], tuple[Memory, Inputs]] = {
    (S.BOOT, S.SELF_TEST, "all_devices_answer"): (memory(S.BOOT), inputs()),
    (S.SELF_TEST, S.RELEASE_WAIT, "self_test_passed"): (
        memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT, test_step_us=T_US - 200_000),
        inputs(room=room(enable_readback=False, enable_taken_us=T_US - 5_000)),
    ),
    (S.STANDBY, S.RELEASE_WAIT, "reset_pressed"): (memory(S.STANDBY), inputs(requests=RESET)),
    (S.STANDBY, S.SELF_TEST, "self_test_due"): (
        memory(S.STANDBY, tested_us=T_US - 24 * 3_600_000_000),
        inputs(),
    ),
    (S.STANDBY, S.RELEASE_WAIT, "press_refused"): (
        memory(S.STANDBY),
        inputs(room=room(stage_1=True, door=False)),
    ),
    (S.STANDBY, S.PREP, "pressed"): (
        memory(S.STANDBY),
        inputs(room=room(stage_1=True)),
    ),
    (S.STANDBY, S.PREP, "dark_frame_asked"): (
        memory(S.STANDBY),
        inputs(requests=Requests(shot=DARK)),
    ),
    (S.PREP, S.RELEASE_WAIT, "stage_1_released"): (memory(S.PREP), inputs()),
    (S.PREP, S.RELEASE_WAIT, "stop_requested"): (
        memory(S.PREP),
        inputs(room=room(stage_1=True), requests=Requests(shot=SHOT, stop=True)),
    ),
    (S.PREP, S.RELEASE_WAIT, "shot_changed"): (
        memory(S.PREP),
        inputs(room=room(stage_1=True), requests=OTHER),
    ),
    (S.PREP, S.READOUT, "dark_frame_prepared"): (
        memory(S.PREP, shot=DARK),
        inputs(panel=READY_PANEL, recorder=kept(), requests=Requests(shot=DARK)),
    ),
    (S.PREP, S.READY, "all_prepared"): (
        memory(S.PREP),
        inputs(
            room=room(stage_1=True),
            generator=ready_generator(),
            panel=READY_PANEL,
            recorder=kept(),
        ),
    ),
    (S.READY, S.RELEASE_WAIT, "stage_1_released"): (memory(S.READY), inputs()),
    (S.READY, S.RELEASE_WAIT, "stop_requested"): (
        memory(S.READY),
        inputs(room=room(stage_1=True), requests=Requests(shot=SHOT, stop=True)),
    ),
    (S.READY, S.RELEASE_WAIT, "shot_changed"): (
        memory(S.READY),
        inputs(room=room(stage_1=True), requests=OTHER),
    ),
    (S.READY, S.RELEASE_WAIT, "ready_held_too_long"): (
        memory(S.READY, since_us=T_US - LIMITS.ready_us),
        inputs(room=room(stage_1=True)),
    ),
    (S.READY, S.INTERLOCK_CHECK, "stage_2_firm_and_pair_open"): (
        memory(S.READY, stage_2_since_us=T_US - 20_000),
        inputs(room=held()),
    ),
    (S.INTERLOCK_CHECK, S.RELEASE_WAIT, "handswitch_released"): (
        memory(S.INTERLOCK_CHECK),
        inputs(room=room(stage_1=True)),
    ),
    (S.INTERLOCK_CHECK, S.RELEASE_WAIT, "stop_requested"): (
        memory(S.INTERLOCK_CHECK),
        inputs(room=held(), requests=Requests(shot=SHOT, stop=True)),
    ),
    (S.INTERLOCK_CHECK, S.RELEASE_WAIT, "shot_changed"): (
        memory(S.INTERLOCK_CHECK),
        inputs(room=held(), requests=OTHER),
    ),
    (S.INTERLOCK_CHECK, S.EXPOSE, "everything_true_in_this_scan"): (
        memory(S.INTERLOCK_CHECK),
        inputs(room=held(), generator=ready_generator(), panel=INTEGRATING, recorder=kept()),
    ),
    (S.EXPOSE, S.READOUT, "handswitch_released"): (exposing(), in_beam(room=room(stage_1=True))),
    (S.EXPOSE, S.READOUT, "stop_requested"): (
        exposing(),
        in_beam(requests=Requests(shot=SHOT, stop=True)),
    ),
    (S.EXPOSE, S.READOUT, "planned_charge_reached"): (exposing(READ), in_beam()),
    (S.EXPOSE, S.READOUT, "planned_time_reached"): (
        exposing(
            replace(READ, sent_us=T_US - 1_100_000, accepted_us=T_US - 1_000_000),
            shot=BY_TIME,
            limits=replace(LIMITS, has_own_timer=False),
        ),
        in_beam(),
    ),
    (S.EXPOSE, S.READOUT, "generator_timer_ended"): (
        replace(exposing(replace(READ, sent_us=T_US - 1_000_000)), shot=BY_TIME),
        in_beam(generator=replace(ON, beam_on=False)),
    ),
    (S.EXPOSE, S.READOUT, "generator_charge_ended"): (
        replace(exposing(replace(READ, off_seen_us=T_US)), limits=ENDS_MAS),
        in_beam(generator=replace(ON, beam_on=False)),
    ),
    (S.READOUT, S.RELEASE_WAIT, "everything_saved"): (
        memory(S.READOUT),
        inputs(recorder=recorder(dose_saved=SHOT.shot_id, image_saved=SHOT.shot_id)),
    ),
    (S.RELEASE_WAIT, S.STANDBY, "both_stages_open"): (
        memory(S.RELEASE_WAIT, open_since_us=T_US - 50_000),
        inputs(),
    ),
    (S.FAULT, S.RELEASE_WAIT, "reset_with_cause_gone"): (
        memory(S.FAULT, faults=("DOOR_OPEN",)),
        inputs(requests=RESET),
    ),
    (S.LOCKED, S.RELEASE_WAIT, "key_turned_and_reset"): (
        memory(S.LOCKED, faults=("STRAY_BEAM",), key_was_off=True),
        inputs(requests=RESET, generator=generator(beam_on=False, beam_taken_us=T_US)),
    ),
}


def name(row: Row) -> tuple[State, State, str]:
    return row.source, row.dest, row.when.__name__


@pytest.mark.parametrize("row", SEQUENCE, ids=lambda row: "-".join(map(str, name(row)[1:])))
def test_each_row_is_taken_in_the_scan_in_which_it_becomes_true(row: Row) -> None:
    before, seen = TAKEN[name(row)]
    after, _ = step(before, seen)
    assert (after.state, after.why, after.since_us) == (row.dest, row.when.__name__, T_US)


def test_the_list_above_holds_every_row_and_no_other() -> None:
    assert sorted(TAKEN, key=str) == sorted(map(name, SEQUENCE), key=str)


# In EXPOSE and READOUT the beam is commanded: what locks there is in tests/test_supervisor.py,
# test_kernel_bands.py and, for a dark frame, test_shot_kinds.py.
REACHABLE = [row for row in TRIPS if row.dest is S.FAULT or row.source not in (S.EXPOSE, S.READOUT)]


@pytest.mark.parametrize("row", REACHABLE, ids=lambda row: f"{row.source.value}-{row.dest.value}")
def test_trips_are_taken_from_every_state(row: Row) -> None:
    stray = generator(beam_on=True, beam_taken_us=T_US)
    seen = (
        in_beam(generator=stray)
        if row.dest is S.LOCKED
        else in_beam(room=held(estop=False), generator=generator())
    )
    after, _ = step(memory(row.source, since_us=T_US - LIMITS.fall_us), seen)
    assert (after.state, after.since_us) == (row.dest, T_US)
    assert after.faults[0] == ("STRAY_BEAM" if row.dest is S.LOCKED else "ESTOP")


def test_a_trip_wins_over_every_other_row_of_the_same_scan() -> None:
    for row in SEQUENCE:
        if row.source in (S.FAULT, S.LOCKED):
            continue
        before, seen = TAKEN[name(row)]
        after, outputs = step(before, replace(seen, room=replace(seen.room, estop=False)))
        assert after.state is S.FAULT, row
        assert outputs.expose_from_us is None
        assert (outputs.enable, outputs.contactor) == (False, False)


@pytest.mark.req("SR-34")
@pytest.mark.parametrize("state", [s for s in S if s not in (S.EXPOSE, S.READOUT)])
def test_what_locks_wins_over_what_trips_in_the_same_scan(state: State) -> None:
    stray = generator(beam_on=True, beam_taken_us=T_US)
    before = memory(state, since_us=T_US - LIMITS.fall_us)
    after, _ = step(before, in_beam(room=held(estop=False), generator=stray))
    assert after.state is S.LOCKED


def test_a_trip_leads_nowhere_from_locked() -> None:
    before = memory(S.LOCKED, faults=("STRAY_BEAM",))
    after, _ = step(before, inputs(room=held(estop=False)))
    assert (after.state, after.since_us) == (S.LOCKED, before.since_us)


# What ends something comes before what goes on with it; what must be known for the next press
# before what a person asks for; of what a person did, the hand before the screen.
IN_ORDER = {
    S.BOOT: ("fault_that_locks", "fault_that_trips", "all_devices_answer"),
    S.SELF_TEST: ("fault_that_locks", "fault_that_trips", "self_test_passed"),
    S.STANDBY: (
        "fault_that_locks", "fault_that_trips", "self_test_due", "reset_pressed", "press_refused",
        "pressed", "dark_frame_asked",
    ),
    S.PREP: (
        "fault_that_locks", "fault_that_trips", "stage_1_released", "stop_requested",
        "shot_changed", "dark_frame_prepared", "all_prepared",
    ),
    S.READY: (
        "fault_that_locks", "fault_that_trips", "stage_1_released", "stop_requested",
        "shot_changed", "ready_held_too_long", "stage_2_firm_and_pair_open",
    ),
    S.INTERLOCK_CHECK: (
        "fault_that_locks", "fault_that_trips", "handswitch_released", "stop_requested",
        "shot_changed", "everything_true_in_this_scan",
    ),
    S.EXPOSE: (
        "fault_that_locks", "fault_that_trips", "handswitch_released", "stop_requested",
        "planned_charge_reached", "planned_time_reached", "generator_timer_ended",
        "generator_charge_ended",
    ),
    S.READOUT: ("fault_that_locks", "fault_that_trips", "everything_saved"),
    S.RELEASE_WAIT: ("fault_that_locks", "fault_that_trips", "both_stages_open"),
    S.FAULT: ("fault_that_locks", "reset_with_cause_gone"),
    S.LOCKED: ("key_turned_and_reset",),
}  # fmt: skip


@pytest.mark.parametrize("state", list(S))
def test_of_what_holds_in_the_same_scan_the_first_of_this_list_counts(state: State) -> None:
    assert tuple(row.when.__name__ for row in TABLE if row.source is state) == IN_ORDER[state]


def test_every_state_has_a_row() -> None:
    assert {row.source for row in SEQUENCE} == set(State)


def test_no_transition_passes_the_guards() -> None:
    class Model:
        pass

    model = Model()
    build_machine(model)
    assert [n for n in dir(model) if n.startswith("to_")] == []


def test_expose_is_reached_by_one_row_only() -> None:
    assert [name(row) for row in TABLE if row.dest is S.EXPOSE] == [
        (S.INTERLOCK_CHECK, S.EXPOSE, "everything_true_in_this_scan")
    ]


def test_only_expose_orders_the_beam_and_only_two_states_pull_the_enable_relay() -> None:
    for state in State:
        before = memory(state, open_since_us=None)
        after, outputs = step(before, in_beam(room=held(), generator=generator()))
        if after.state is not state:
            continue
        assert (outputs.expose_from_us is not None) == (state is S.EXPOSE), state
        allowed = (S.INTERLOCK_CHECK, S.EXPOSE, S.SELF_TEST)
        assert outputs.enable == (state in allowed), state


def test_the_report_says_what_was_indicated_and_how_it_ended() -> None:
    before, seen = TAKEN[(S.EXPOSE, S.READOUT, "planned_charge_reached")]
    ended, outputs = step(before, seen)
    assert outputs.report is None  # the proof that the beam is off has not come yet
    after, outputs = step(ended, off_proved(T_US + 20_000))
    report = outputs.report
    assert report is not None
    assert after.report is report
    assert (report.reason, report.beam, report.kv, report.ma) == (EndReason.PLANNED, True, 80, 0.5)
    # read_mas at the read + 0.5 mA for 20 ms since + 10 ms until OFF acts
    assert report.mas == pytest.approx(0.49 + 0.5 * 0.030)
    assert report.maximum_mas == report.mas  # 0.5 mA for 0.92 s would be less than was indicated


def test_a_beam_without_a_monitor_read_has_an_unknown_dose_with_a_bound_and_never_zero() -> None:
    before, seen = TAKEN[(S.EXPOSE, S.READOUT, "handswitch_released")]
    ended, _ = step(before, replace(seen, generator=replace(ON, monitor_taken_us=None)))
    _, outputs = step(ended, off_proved(T_US + 20_000))
    assert outputs.report is not None
    assert outputs.report.mas is None
    assert outputs.report.maximum_mas == pytest.approx(0.5 * 0.920)


@pytest.mark.parametrize("state", [S.PREP, S.READY, S.INTERLOCK_CHECK])
def test_an_attempt_that_ends_before_the_beam_is_reported_as_no_beam(state: State) -> None:
    after, outputs = step(memory(state), inputs())
    assert after.state is S.RELEASE_WAIT
    assert outputs.report is not None
    assert (outputs.report.beam, outputs.report.mas) == (False, 0.0)
    assert outputs.report.reason is EndReason.NO_BEAM
