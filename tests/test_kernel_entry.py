"""What a move of the sequence leaves in the memory: exactly these values, and no others change."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from firmware_py.decide import entry
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Ending, Memory, SelfTestStep, State
from firmware_py.decide.view import View
from hal.faults import FAULTS, HAZARDS
from hal.now import Now
from hal.types import (
    EndReason,
    ExposureReport,
    GeneratorState,
    Inputs,
    PanelState,
    Requests,
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
    generator,
    held,
    in_beam,
    inputs,
    kept,
    memory,
    panel,
    ready_generator,
    room,
)

S = State
FIRM_US = T_US - 50_000
BY_TIME = replace(SHOT, technique=Technique(kv=80.0, ma=0.5, ms=1000.0))
DARK = replace(BY_TIME, kind=ShotKind.DARK)
NEXT = replace(SHOT, shot_id="shot-2")
READY_PANEL = panel(state=PanelState.READY)
RELEASED = room(lamp_current=True)
SENT = Beam(ordered_us=T_US - 300_000, sent_us=T_US - 300_000)
IN_THE_RAMP = replace(ON, on_answered_us=None, beam_on=None, monitor_taken_us=None)
# What samples say by themselves, whatever is decided: test_kernel_scan's business.
OF_THE_SAMPLES = {
    "open_since_us", "stage_2_since_us", "must_open", "reset_since_us", "disagree_us",
    "beam_asked_us", "beam_seen_us",
}  # fmt: skip
MOVED = {"since_us": T_US, "reset_armed": False}


def changes(before: Memory, now: Inputs) -> dict[str, Any]:
    """The fields that one scan changed, with their new values."""
    after, _ = step(before, now)
    return {
        field.name: getattr(after, field.name)
        for field in fields(Memory)
        if getattr(after, field.name) != getattr(before, field.name)
        and field.name not in OF_THE_SAMPLES
    }


def no_beam(
    reason: EndReason = EndReason.NO_BEAM, fault: str | None = None, **other: Any
) -> ExposureReport:
    values: dict[str, Any] = {"shot": SHOT, "beam": False, "mas": 0.0, "maximum_mas": 0.0}
    return ExposureReport(**(values | {"reason": reason, "fault": fault, "end_us": T_US} | other))


def ended(reason: EndReason, fault: str | None = None, *, heard: bool = True) -> Ending:
    return Ending(ordered_us=T_US, reason=reason, fault=fault, heard=heard)


# --- start


def test_the_self_test_begins_with_the_relay_pulled_in() -> None:
    before = memory(S.BOOT, test_step=SelfTestStep.PASSED)
    assert changes(before, inputs()) == MOVED | {
        "state": S.SELF_TEST,
        "why": "all_devices_answer",
        "test_step": SelfTestStep.PULL_IN,
        "test_step_us": T_US,
    }


@pytest.mark.req("SR-46")
def test_a_self_test_that_passed_is_remembered_with_its_time() -> None:
    before = memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT, test_step_us=T_US - 200_000)
    dropped = room(enable_readback=False, enable_taken_us=T_US - 5_000)
    assert changes(before, inputs(room=dropped)) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": "self_test_passed",
        "test_step": SelfTestStep.PASSED,
        "test_step_us": T_US,
        "tested_us": T_US,
    }


# --- before the beam


@pytest.mark.req("SR-04", "SR-07")
def test_a_press_freezes_the_shot_and_forgets_the_beam_before_it() -> None:
    before = memory(
        S.STANDBY,
        tested_us=T_US,
        beam=READ,
        beam_end_us=T_US - 9_000_000,
        ending=Ending(ordered_us=T_US, reason=EndReason.PLANNED),
        refused=("DOOR_OPEN",),
    )
    pressed = inputs(room=room(stage_1=True), requests=Requests(shot=NEXT))
    assert changes(before, pressed) == MOVED | {
        "state": S.PREP,
        "why": "pressed",
        "shot": NEXT,
        "used_shot_id": "shot-2",
        "beam": None,
        "beam_end_us": None,
        "ending": None,
        "refused": (),
    }


def test_ready_is_entered_and_nothing_else_is_noted() -> None:
    prepared = inputs(
        room=room(stage_1=True), generator=ready_generator(), panel=READY_PANEL, recorder=kept()
    )
    assert changes(memory(S.PREP), prepared) == MOVED | {"state": S.READY, "why": "all_prepared"}


@pytest.mark.req("SR-10")
def test_the_window_is_asked_for_from_the_scan_of_stage_2_on() -> None:
    before = memory(S.READY, stage_2_since_us=FIRM_US, window_from_us=None)
    firm = inputs(
        room=held(),
        generator=ready_generator(interlock_closed=False),
        panel=READY_PANEL,
        recorder=kept(),
    )
    assert changes(before, firm) == MOVED | {
        "state": S.INTERLOCK_CHECK,
        "why": "stage_2_firm_and_pair_open",
        "window_from_us": T_US,
    }


@pytest.mark.req("SR-26")
def test_a_beam_begins_without_anything_known_and_counts_for_arcs() -> None:
    before = memory(S.INTERLOCK_CHECK, stage_2_since_us=FIRM_US)
    true = inputs(room=held(), generator=ready_generator(), panel=INTEGRATING, recorder=kept())
    assert changes(before, true) == MOVED | {
        "state": S.EXPOSE,
        "why": "everything_true_in_this_scan",
        "beam": Beam(ordered_us=T_US),
        "arcs": (False,),
    }


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("state", "changed", "why"),
    [
        (S.PREP, inputs(), "stage_1_released"),
        (S.READY, inputs(room=held(), requests=Requests(shot=SHOT, stop=True)), "stop_requested"),
        (S.INTERLOCK_CHECK, inputs(room=room(stage_1=True)), "handswitch_released"),
    ],
)
def test_what_ends_before_the_beam_is_told_as_no_beam(
    state: State, changed: Inputs, why: str
) -> None:
    assert changes(memory(state), changed) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": why,
        "report": no_beam(),
    }


@pytest.mark.req("SR-07", "SR-53")
def test_a_shot_that_changed_under_a_pressed_switch_is_told_as_that() -> None:
    other = inputs(room=room(stage_1=True), requests=Requests(shot=NEXT))
    assert changes(memory(S.PREP), other) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": "shot_changed",
        "report": no_beam(),
        "refused": ("SHOT_CHANGED",),
    }


@pytest.mark.req("SR-08")
def test_a_ready_that_was_held_too_long_is_told_as_that() -> None:
    before = memory(S.READY, since_us=T_US - LIMITS.ready_us)
    waited = inputs(room=room(stage_1=True), generator=ready_generator(), panel=READY_PANEL)
    assert changes(before, waited) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": "ready_held_too_long",
        "report": no_beam(),
        "refused": ("READY_TIMEOUT",),
    }


@pytest.mark.req("SR-09", "SR-41")
def test_a_fault_before_the_beam_latches_all_that_came_with_it_but_what_is_only_told() -> None:
    cold_and_arcing = generator(faults=("UNDER_TEMPERATURE", "ARC", "BATTERY_LOW"))
    now = inputs(room=room(stage_1=True, door=False, chain=False), generator=cold_and_arcing)
    assert changes(memory(S.PREP, faults=("BATTERY_LOW",)), now) == MOVED | {
        "state": S.FAULT,
        "why": "fault_that_trips",
        "faults": ("BATTERY_LOW", "DOOR_OPEN", "CHAIN_OPEN", "ARC"),
        "report": no_beam(fault="DOOR_OPEN"),
    }


@pytest.mark.req("SR-46")
def test_a_welded_relay_is_the_fault_of_the_shot_that_found_it() -> None:
    before = memory(S.READY, stage_2_since_us=FIRM_US)
    welded = inputs(room=held(), generator=ready_generator(), panel=READY_PANEL, recorder=kept())
    assert changes(before, welded) == MOVED | {
        "state": S.LOCKED,
        "why": "fault_that_locks",
        "faults": ("ENABLE_WELDED",),
        "report": no_beam(fault="ENABLE_WELDED"),
    }


# --- how a beam ended


@pytest.mark.req("SR-17", "SR-53")
@pytest.mark.parametrize(
    ("beam", "sample", "requests", "switch", "reason", "why"),
    [
        (READ, ON, Requests(shot=SHOT), RELEASED, EndReason.RELEASED, "handswitch_released"),
        (
            SENT,
            IN_THE_RAMP,
            Requests(shot=SHOT),
            RELEASED,
            EndReason.RELEASED,  # not accepted yet is not refused
            "handswitch_released",
        ),
        (
            READ,
            ON,
            Requests(shot=SHOT, stop=True),
            held(lamp_current=True),
            EndReason.STOPPED,
            "stop_requested",
        ),
        (
            replace(READ, read_mas=0.5),
            ON,
            Requests(shot=SHOT),
            held(lamp_current=True),
            EndReason.PLANNED,
            "planned_charge_reached",
        ),
        (
            replace(READ, read_mas=0.5),
            replace(ON, refused=True),
            Requests(shot=SHOT),
            held(lamp_current=True),
            EndReason.PLANNED,  # accepted once is not refused afterwards
            "planned_charge_reached",
        ),
    ],
)
def test_a_beam_that_was_ended_waits_for_its_proof_with_the_reason(
    beam: Beam, sample: Any, requests: Requests, switch: Any, reason: EndReason, why: str
) -> None:
    now = in_beam(room=switch, generator=sample, requests=requests)
    assert changes(exposing(beam), now) == MOVED | {
        "state": S.READOUT,
        "why": why,
        "beam_end_us": T_US,
        "ending": ended(reason),
    }


@pytest.mark.req("SR-09", "SR-27")
@pytest.mark.parametrize(
    ("now", "found", "heard"),
    [
        (
            {"room": held(door=False, chain=False, lamp_current=True)},
            ("DOOR_OPEN", "CHAIN_OPEN"),
            True,
        ),
        (
            {"generator": replace(ON, state=GeneratorState.OFFLINE)},
            ("GENERATOR_LINK_LOST",),
            False,
        ),
        (
            {"generator": replace(ON, beam_taken_us=T_US - LIMITS.status_age_us)},
            ("GENERATOR_STATUS_OLD",),
            False,
        ),
    ],
)
def test_a_fault_in_the_beam_is_the_endings_and_a_silent_generator_was_not_heard(
    now: dict[str, Any], found: tuple[str, ...], heard: bool
) -> None:
    still_missing = replace(READ, read_mas=0.3)
    given = {"room": held(lamp_current=True)} | now
    assert changes(exposing(still_missing), in_beam(**given)) == MOVED | {
        "state": S.FAULT,
        "why": "fault_that_trips",
        "beam_end_us": T_US,
        "faults": found,
        "ending": ended(EndReason.FAULT, found[0], heard=heard),
    }


@pytest.mark.req("SR-41", "SR-53")
def test_a_beam_whose_on_never_left_is_told_at_once_as_none() -> None:
    refused = generator(state=GeneratorState.READY, refused=True)
    before = exposing(Beam(ordered_us=T_US - 10_000), since_us=T_US - 10_000)
    assert changes(before, in_beam(generator=refused, room=held(lamp_current=True))) == MOVED | {
        "state": S.FAULT,
        "why": "fault_that_trips",
        "beam_end_us": T_US,
        "faults": ("GENERATOR_REFUSED",),
        "report": no_beam(EndReason.REFUSED, "GENERATOR_REFUSED"),
    }


@pytest.mark.req("SR-53")
def test_a_dark_frames_window_begins_with_its_readout() -> None:
    before = memory(S.PREP, shot=DARK, window_seen_us=T_US - 9_000_000)
    ready = inputs(panel=READY_PANEL, recorder=kept(), requests=Requests(shot=DARK))
    assert changes(before, ready) == MOVED | {
        "state": S.READOUT,
        "why": "dark_frame_prepared",
        "window_from_us": T_US,
        "window_seen_us": None,
    }


@pytest.mark.req("SR-53")
def test_a_dark_frame_of_less_than_its_window_is_told_as_none() -> None:
    before = memory(S.READOUT, shot=DARK)
    failed = inputs(recorder=kept(image_failed=SHOT.shot_id), requests=Requests(shot=DARK))
    assert changes(before, failed) == MOVED | {
        "state": S.FAULT,
        "why": "fault_that_trips",
        "faults": ("FRAME_MISSING",),
        "report": no_beam(fault="FRAME_MISSING", shot=DARK),
    }


# --- the way back


def test_a_press_that_is_refused_says_why() -> None:
    now = inputs(room=room(stage_1=True, door=False, chain=False))
    assert changes(memory(S.STANDBY, tested_us=T_US), now) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": "press_refused",
        "refused": ("DOOR_OPEN", "CHAIN_OPEN"),
    }


@pytest.mark.req("SR-41", "SR-43")
def test_a_reset_clears_what_latched_and_is_counted() -> None:
    before = memory(S.FAULT, faults=("DOOR_OPEN",), refused=("TECHNIQUE",), tested_us=T_US)
    asked = inputs(requests=Requests(shot=SHOT, reset=True))
    assert changes(before, asked) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": "reset_with_cause_gone",
        "faults": (),
        "refused": (),
        "resets_us": (T_US,),
    }


@pytest.mark.req("SR-26", "SR-43")
def test_key_and_reset_clear_what_locked_and_forgive_what_was_counted() -> None:
    before = memory(
        S.LOCKED,
        faults=("ARCS",),
        refused=("TECHNIQUE",),
        key_was_off=True,
        arcs=(True, True, True),
        resets_us=(1, 2),
        tested_us=T_US,
    )
    asked = inputs(requests=Requests(shot=SHOT, reset=True))
    assert changes(before, asked) == MOVED | {
        "state": S.RELEASE_WAIT,
        "why": "key_turned_and_reset",
        "faults": (),
        "refused": (),
        "arcs": (),
        "resets_us": (),
    }


@pytest.mark.req("SR-34")
def test_a_lock_notes_what_locks_and_asks_for_the_key_anew() -> None:
    stray = generator(beam_on=True, beam_taken_us=T_US, faults=("ARC",))
    before = memory(
        S.STANDBY, since_us=T_US - 10_000_000, key_was_off=True, tested_us=T_US, shot=None
    )
    assert changes(before, inputs(generator=stray)) == MOVED | {
        "state": S.LOCKED,
        "why": "fault_that_locks",
        "faults": ("STRAY_BEAM",),
        "key_was_off": False,
    }


def test_a_sequence_that_never_froze_a_shot_leaves_no_report() -> None:
    """It can't be reached by the table; a memory that says so is not made worse by a report."""
    before = memory(S.PREP, shot=None)
    left = entry.enter(S.RELEASE_WAIT, View(before, inputs(), Now(T_US), why="stage_1_released"))
    assert left.report is None


def test_every_fault_names_its_hazard() -> None:
    assert all(fault.hazard.endswith(".") for fault in FAULTS.values())
    assert set(HAZARDS) == {fault.sr for fault in FAULTS.values()}
