"""What was irradiated is told when the beam is proved off: never zero, never too little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Ending, Memory, State
from firmware_py.decide.technique import maximum_mas
from hal.types import (
    EndReason,
    ExposureReport,
    GeneratorState,
    Outputs,
    PanelState,
    Requests,
)
from tests.samples import (
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
MOST_MAS = maximum_mas(SHOT.technique, LIMITS)


def ending(state: State = S.READOUT, **changes: Any) -> Memory:
    """The beam was ordered off at T_US; nothing has been heard since."""
    waiting = Ending(ordered_us=T_US, reason=EndReason.PLANNED)
    values = {"since_us": T_US, "beam": READ, "beam_end_us": T_US, "ending": waiting}
    return memory(state, **(values | changes))


def told(outputs: Outputs) -> ExposureReport:
    assert outputs.report is not None
    return outputs.report


@pytest.mark.req("SR-33")
@pytest.mark.parametrize(
    ("changes", "proved"),
    [
        ({"beam_on": False, "beam_taken_us": T_US}, True),
        ({"beam_on": False, "beam_taken_us": T_US - 1}, False),
        ({"beam_on": False, "beam_taken_us": T_US - 1, "off_confirmed_us": T_US}, True),
        ({"off_confirmed_us": T_US}, False),
        ({"beam_on": None, "off_confirmed_us": T_US}, False),
        ({"beam_on": True, "beam_taken_us": T_US, "off_confirmed_us": T_US}, False),
        ({}, False),
    ],
)
def test_off_is_proved_by_a_status_and_never_by_an_echo_alone(
    changes: dict[str, Any], proved: bool
) -> None:
    after, outputs = step(ending(), inputs(T_US + 5_000, generator=generator(**changes)))
    assert (after.ending is None) is proved
    assert (outputs.report is not None) is proved
    assert (outputs.window_from_us is None) is proved  # the window stays until then


@pytest.mark.req("SR-33")
def test_a_status_on_after_the_echo_of_off_is_a_fault_and_opens_the_contactor() -> None:
    echo = generator(off_confirmed_us=T_US + 20_000, beam_on=True)
    waiting, _ = step(ending(), inputs(T_US + 20_000, generator=echo))
    again = {"off_confirmed_us": T_US + 60_000, "beam_on": True}  # OFF was sent a second time
    asked_us = T_US + 20_000 + LIMITS.fall_us
    early = generator(**again, beam_taken_us=asked_us - 1)
    after, outputs = step(waiting, inputs(asked_us, generator=early))
    assert (after.state, outputs.contactor) == (S.READOUT, True)  # HV may still be falling
    late = generator(**again, beam_taken_us=asked_us)
    after, outputs = step(waiting, inputs(asked_us + 5_000, generator=late))
    assert (after.state, after.faults) == (S.FAULT, ("BEAM_OFF_NOT_CONFIRMED",))
    assert (outputs.contactor, outputs.enable, outputs.enable_lapse) == (False, False, False)
    assert outputs.report is None  # it may still be on


@pytest.mark.req("SR-53")
def test_a_lost_off_adds_what_the_tube_emitted_until_the_second_one() -> None:
    in_time = told(step(ending(), off_proved(T_US + 20_000))[1])
    late = told(step(ending(), off_proved(T_US + 60_000))[1])
    assert in_time.end_us == T_US + LIMITS.off_lead_us
    assert late.end_us == T_US + 60_000 - LIMITS.off_lead_us
    assert in_time.mas is not None
    assert late.mas is not None
    assert late.mas - in_time.mas == pytest.approx(0.5 * 0.040)
    assert late.maximum_mas == late.mas  # more than the set current since ON left


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("state", [S.FAULT, S.LOCKED])
def test_a_beam_that_was_never_proved_off_has_an_unknown_dose_bounded_by_the_timer(
    state: State,
) -> None:
    due_us = T_US + LIMITS.off_confirm_us
    silent = generator(state=GeneratorState.OFFLINE)
    waiting, outputs = step(ending(state), inputs(due_us - 1, generator=silent))
    assert (waiting.ending is None, outputs.report) == (False, None)
    after, outputs = step(waiting, inputs(due_us, generator=silent))
    report = told(outputs)
    assert (report.beam, report.mas, report.end_us, report.beam_ms) == (True, None, None, None)
    assert report.maximum_mas == pytest.approx(MOST_MAS)
    assert "BEAM_OFF_NOT_CONFIRMED" in after.faults


def test_no_reset_while_the_report_waits_for_its_proof() -> None:
    asked = inputs(T_US + 10_000, generator=generator(beam_on=None))
    asked = replace(asked, requests=replace(asked.requests, reset=True))
    after, _ = step(ending(S.FAULT, faults=("DOOR_OPEN",)), asked)
    assert after.state is S.FAULT


@pytest.mark.req("SR-53")
def test_a_refusal_that_may_be_a_flipped_bit_is_no_proof_of_no_beam() -> None:
    """ENBL0 and ENBL1 differ in one bit, and the wire has no checksum."""
    sent = replace(READ, accepted_us=None, read_us=None, read_count=0)
    refused = generator(refused=True, on_sent_us=sent.sent_us, beam_on=None)
    before, outputs = step(exposing(sent), in_beam(generator=refused))
    assert (before.state, before.faults) == (S.FAULT, ("GENERATOR_REFUSED",))
    assert outputs.report is None
    report = told(step(before, off_proved(T_US + 20_000))[1])
    assert (report.reason, report.beam, report.mas) == (EndReason.REFUSED, True, None)
    assert report.maximum_mas == pytest.approx(0.5 * 0.920)  # full current since ON left


def test_an_on_that_never_left_irradiated_nothing() -> None:
    never_sent = replace(READ, sent_us=None, accepted_us=None, read_us=None, read_count=0)
    released = in_beam(room=held(stage_2=False), generator=generator())
    report = told(step(exposing(never_sent), released)[1])
    assert (report.beam, report.mas, report.maximum_mas) == (False, 0.0, 0.0)


@pytest.mark.req("SR-27")
def test_a_generator_that_fell_silent_leaves_an_unknown_dose_even_when_it_speaks_again() -> None:
    waiting = Ending(ordered_us=T_US, reason=EndReason.FAULT, heard=False)
    report = told(step(ending(S.FAULT, ending=waiting), off_proved(T_US + 20_000))[1])
    assert (report.mas, report.end_us) == (None, None)
    assert report.maximum_mas == pytest.approx(MOST_MAS)


def test_the_charge_beam_ended_by_the_back_up_timer_is_a_fault() -> None:
    """mA 18 % low, within its band: the mAs are never reached and OT ends the beam."""
    weak = replace(READ, sent_us=T_US - 1_490_000, read_mas=0.3)
    off = replace(ON, beam_on=False)
    after, _ = step(exposing(weak), in_beam(generator=off))
    assert (after.state, after.faults) == (S.FAULT, ("BACKUP_TIME",))


# --- what a press is refused for because of the last exposure


@pytest.mark.req("SR-04", "SR-52")
@pytest.mark.parametrize("name", ["intent_durable", "dose_saved", "image_saved", "image_failed"])
def test_an_id_that_an_acknowledgement_already_names_is_refused(name: str) -> None:
    """A second press could not be told from the first: its intent would count as durable."""
    acknowledged: dict[str, Any] = {name: SHOT.shot_id}
    named = recorder(**acknowledged)
    after, _ = step(memory(S.STANDBY), inputs(room=room(stage_1=True), recorder=named))
    assert (after.state, after.refused) == (S.RELEASE_WAIT, ("SHOT_USED",))


@pytest.mark.req("SR-38")
def test_a_beam_lamp_without_current_inhibits_the_next_exposure() -> None:
    late_us = T_US + LIMITS.lamp_us
    accepted = exposing(replace(READ, accepted_us=T_US - 10_000))
    dark, _ = step(accepted, in_beam(late_us, room=held(late_us)))
    assert dark.lamp_dark
    pressed = inputs(room=room(stage_1=True))
    refused, _ = step(memory(S.STANDBY, lamp_dark=True), pressed)
    assert refused.refused == ("LAMP_FAILED",)
    lit = inputs(room=room(stage_1=True, lamp_current=True))
    assert step(memory(S.STANDBY, lamp_dark=True), lit)[0].state is S.PREP


@pytest.mark.req("SR-50")
def test_another_generator_than_the_bench_names_is_refused() -> None:
    bench = replace(LIMITS, generator_identity="IXS A1")
    pressed = inputs(room=room(stage_1=True), generator=generator(identity="IXS A2"))
    assert step(memory(S.STANDBY, limits=bench), pressed)[0].refused == ("GENERATOR_IDENTITY",)
    right = inputs(room=room(stage_1=True), generator=generator(identity="IXS A1"))
    assert step(memory(S.STANDBY, limits=bench), right)[0].state is S.PREP


@pytest.mark.req("SR-46")
def test_a_pair_that_is_closed_without_the_enable_relay_locks() -> None:
    """Stage 2 is held and the relay is off: only a welded contact closes the pair."""
    before = memory(S.READY, stage_2_since_us=T_US - 40_000)
    ready: dict[str, Any] = {
        "room": held(),
        "panel": panel(state=PanelState.READY),
        "recorder": kept(),
    }
    closed = ready_generator(interlock_closed=True, interlock_taken_us=T_US - 40_000)
    after, outputs = step(before, inputs(**ready, generator=closed))
    assert (after.state, after.faults) == (S.LOCKED, ("ENABLE_WELDED",))
    assert not outputs.contactor
    not_seen_yet = ready_generator(interlock_closed=False, interlock_taken_us=T_US - 40_001)
    assert step(before, inputs(**ready, generator=not_seen_yet))[0].state is S.READY
    is_open = ready_generator(interlock_closed=False, interlock_taken_us=T_US - 40_000)
    assert step(before, inputs(**ready, generator=is_open))[0].state is S.INTERLOCK_CHECK


@pytest.mark.parametrize(
    ("before", "seen", "told_code"),
    [
        (memory(S.READY, since_us=T_US - LIMITS.ready_us), {}, "READY_TIMEOUT"),
        (
            memory(S.READY),
            {"requests": Requests(shot=replace(SHOT, shot_id="shot-2"))},
            "SHOT_CHANGED",
        ),
    ],
)
def test_a_ready_that_ends_by_itself_tells_why(
    before: Memory, seen: dict[str, Any], told_code: str
) -> None:
    after, _ = step(before, inputs(room=room(stage_1=True), recorder=kept(), **seen))
    assert (after.state, after.refused) == (S.RELEASE_WAIT, (told_code,))
