"""What every output is in each state, exactly: what is not named here stays at its safe default."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from firmware_py.decide.memory import Ending, Memory, SelfTestStep, State
from firmware_py.decide.outputs import outputs_for
from hal.now import Now
from hal.types import (
    EndReason,
    ExposureReport,
    Inputs,
    Intent,
    Outputs,
    PanelState,
    ShotKind,
    Technique,
)
from tests.samples import (
    BEAM,
    LIMITS,
    ON,
    READ,
    SHOT,
    T_US,
    exposing,
    generator,
    inputs,
    kept,
    memory,
    panel,
)

S = State
SINCE_US = T_US - 10_000
DARK = replace(SHOT, kind=ShotKind.DARK, technique=Technique(kv=80.0, ma=0.5, ms=1000.0))
CLEAR = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist")
INTENT = Intent(shot=SHOT, planned_mas=0.5, maximum_mas=0.75, at_us=SINCE_US, timer_us=1_500_000)
PREPARED = {
    "prepare_panel": True,
    "intent": INTENT,
    "contactor": True,
    "prep_line": True,
    "technique": SHOT.technique,
}
WINDOW = {"window_from_us": SINCE_US, "window_shot_id": "shot-1"}
DARK_PREPARED = {
    "prepare_panel": True,
    "intent": Intent(shot=DARK, planned_mas=0.0, maximum_mas=0.0, at_us=SINCE_US),
}


def wanted(before: Memory, now: Inputs | None = None) -> dict[str, Any]:
    """The outputs that differ from the safe ones; `next_us` is the business of test_now."""
    now = inputs() if now is None else now
    outputs, safe = outputs_for(before, now, Now(now.t_us)), Outputs()
    return {
        field.name: getattr(outputs, field.name)
        for field in fields(Outputs)
        if field.compare and getattr(outputs, field.name) != getattr(safe, field.name)
    }


def ending(reason: EndReason) -> Ending:
    return Ending(ordered_us=T_US, reason=reason)


@pytest.mark.req("SR-28", "SR-52")
@pytest.mark.parametrize(
    ("before", "outputs"),
    [
        (memory(S.BOOT), {}),
        (memory(S.STANDBY), {}),
        (memory(S.FAULT, faults=("DOOR_OPEN",)), {}),
        (memory(S.LOCKED, faults=("ARCS",)), {}),
        (memory(S.SELF_TEST), {"enable": True, "beam_lamp": True, "buzzer": True}),
        (
            memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT),
            {"enable_lapse": True, "buzzer": True},
        ),
        (memory(S.PREP), PREPARED | {"clear_faults_from_us": SINCE_US}),
        (memory(S.PREP, shot=DARK), DARK_PREPARED),
        (memory(S.READY), PREPARED | {"ready_lamp": True}),
        (memory(S.INTERLOCK_CHECK), PREPARED | WINDOW | {"ready_lamp": True, "enable": True}),
        (
            memory(S.EXPOSE),
            PREPARED | WINDOW | {"enable": True, "expose_line": True, "expose_from_us": SINCE_US},
        ),
    ],
    ids=lambda value: value.state.name if isinstance(value, Memory) else "",
)
def test_each_state_asks_for_this_and_nothing_else(before: Memory, outputs: dict[str, Any]) -> None:
    assert wanted(before) == outputs


@pytest.mark.req("SR-10")
@pytest.mark.parametrize("state", [S.INTERLOCK_CHECK, S.EXPOSE])
def test_a_beam_without_receptor_asks_the_panel_for_nothing(state: State) -> None:
    outputs = wanted(memory(state, shot=CLEAR))
    assert {"prepare_panel", "window_from_us", "window_shot_id"}.isdisjoint(outputs)
    assert outputs["intent"].shot == CLEAR


@pytest.mark.req("SR-53")
def test_an_intent_has_its_timer_beside_a_bound_that_holds_the_fall_and_the_relays_pulse() -> None:
    falls = replace(LIMITS, held_mas=0.06, fall_us=10_000)
    before = replace(memory(S.PREP), limits=falls)
    assert wanted(before)["intent"] == replace(INTENT, maximum_mas=0.755)
    alone = replace(before, limits=replace(falls, has_own_timer=False, overrun_us=475_000))
    told = wanted(alone)["intent"]
    assert (told.maximum_mas, told.timer_us) == (pytest.approx(0.9925), 1_975_000)


# --- READOUT


@pytest.mark.req("SR-17", "SR-33")
@pytest.mark.parametrize(
    ("reason", "relay"),
    [
        (EndReason.PLANNED, {"enable_lapse": True}),  # OFF alone ends it
        (EndReason.RELEASED, {}),  # the relay drops at once
        (EndReason.STOPPED, {}),
        (EndReason.FAULT, {}),
    ],
)
def test_until_the_beam_is_proved_off_the_window_stays_and_the_relay_drops_unless_planned(
    reason: EndReason, relay: dict[str, Any]
) -> None:
    before = memory(S.READOUT, ending=ending(reason))
    assert wanted(before) == {"contactor": True, "prepare_panel": True} | WINDOW | relay


@pytest.mark.parametrize(
    ("before", "outputs"),
    [
        (memory(S.READOUT), {"contactor": True, "prepare_panel": True}),
        (memory(S.READOUT, shot=CLEAR), {"contactor": True}),
        (memory(S.READOUT, shot=DARK), {"prepare_panel": True} | WINDOW),
        (memory(S.READOUT, shot=DARK, window_from_us=None), {"prepare_panel": True}),
    ],
)
def test_a_readout_keeps_what_its_kind_needs(before: Memory, outputs: dict[str, Any]) -> None:
    assert wanted(before) == outputs


@pytest.mark.req("SR-53")
def test_the_report_stays_out_until_it_is_saved_whatever_the_state() -> None:
    report = ExposureReport(
        shot=SHOT, reason=EndReason.PLANNED, beam=True, mas=0.5, maximum_mas=0.75
    )
    for state in (S.RELEASE_WAIT, S.STANDBY, S.FAULT, S.LOCKED):
        assert wanted(memory(state, report=report)) == {"report": report}


# --- RELEASE_WAIT


@pytest.mark.req("SR-41")
@pytest.mark.parametrize(
    ("why", "outputs"),
    [
        ("reset_pressed", {"clear_faults_from_us": SINCE_US}),
        ("reset_with_cause_gone", {"clear_faults_from_us": SINCE_US}),
        ("key_turned_and_reset", {"clear_faults_from_us": SINCE_US}),
        ("everything_saved", {}),
        ("press_refused", {}),
    ],
)
def test_what_the_generator_latched_is_cleared_by_a_persons_reset_only(
    why: str, outputs: dict[str, Any]
) -> None:
    assert wanted(memory(S.RELEASE_WAIT, why=why)) == outputs


# --- lamp and sound


@pytest.mark.req("SR-35")
@pytest.mark.parametrize(
    ("beam_on", "accepted", "is_lit"),
    [
        (True, True, True),
        (True, False, True),  # indicated, whatever was commanded
        (None, True, True),  # accepted, and no status says otherwise
        (None, False, False),
        (False, True, False),
    ],
)
def test_in_the_beam_the_lamp_follows_what_is_indicated(
    beam_on: bool | None, accepted: bool, is_lit: bool
) -> None:
    beam = BEAM if accepted else replace(BEAM, accepted_us=None)
    now = inputs(generator=replace(ON, beam_on=beam_on))
    assert wanted(exposing(beam), now).get("beam_lamp", False) is is_lit


@pytest.mark.req("SR-35")
def test_a_stray_beam_lights_the_lamp_in_any_state() -> None:
    for state in S:
        assert wanted(memory(state), inputs(generator=generator(beam_on=True)))["beam_lamp"] is True


@pytest.mark.req("SR-35")
@pytest.mark.parametrize(("age_us", "is_lit"), [(0, True), (299_999, True), (300_000, False)])
def test_after_a_beam_the_lamp_is_seen_for_300_ms(age_us: int, is_lit: bool) -> None:
    before = memory(S.READOUT, beam=READ, beam_end_us=T_US - age_us)
    assert wanted(before).get("beam_lamp", False) is is_lit


@pytest.mark.req("SR-35")
@pytest.mark.parametrize(("age_us", "is_lit"), [(0, True), (299_999, True), (300_000, False)])
def test_a_beam_that_one_status_showed_is_seen_for_300_ms_whoever_ordered_it(
    age_us: int, is_lit: bool
) -> None:
    before = memory(S.STANDBY, beam=None, beam_seen_us=T_US - age_us)
    assert wanted(before).get("beam_lamp", False) is is_lit


@pytest.mark.req("SR-35")
def test_a_beam_that_was_never_accepted_lights_no_lamp_afterwards() -> None:
    unaccepted = memory(S.READOUT, beam=replace(BEAM, accepted_us=None), beam_end_us=T_US)
    older = memory(S.READOUT, beam=replace(BEAM, accepted_us=T_US + 1), beam_end_us=T_US)
    running = memory(S.READOUT, beam=BEAM, beam_end_us=None)
    for before in (unaccepted, older, running):
        assert "beam_lamp" not in wanted(before)


@pytest.mark.req("SR-36")
@pytest.mark.parametrize(
    ("faults", "age_us", "sounds"),
    [
        ((), 0, True),
        ((), 499_999, True),
        ((), 500_000, False),
        (("DOOR_OPEN",), 500_000, True),
        (("DOOR_OPEN",), 1_999_999, True),
        (("DOOR_OPEN",), 2_000_000, False),
    ],
)
def test_a_beam_ends_with_a_sound_and_an_abnormal_end_sounds_four_times_as_long(
    faults: tuple[str, ...], age_us: int, sounds: bool
) -> None:
    before = memory(S.FAULT, faults=faults, beam_end_us=T_US - age_us)
    assert wanted(before).get("buzzer", False) is sounds


@pytest.mark.req("SR-33")
@pytest.mark.parametrize("code", ["STRAY_BEAM", "BEAM_OFF_NOT_CONFIRMED"])
@pytest.mark.parametrize("state", [S.FAULT, S.LOCKED])
def test_while_the_beam_may_still_be_on_the_sound_does_not_stop(state: State, code: str) -> None:
    doubted = memory(state, faults=("DOOR_OPEN", code), beam_end_us=T_US - 60_000_000)
    assert wanted(doubted) == {"buzzer": True}
    settled = replace(doubted, state=S.RELEASE_WAIT, why="everything_saved")
    assert wanted(settled) == {}


def test_a_window_is_asked_for_from_the_scan_that_noted_it() -> None:
    before = memory(S.INTERLOCK_CHECK, window_from_us=T_US - 1)
    now = inputs(panel=panel(state=PanelState.READY))
    assert wanted(before, now)["window_from_us"] == T_US - 1
    assert LIMITS.interlock_check_us == 500_000  # it is granted within that, or refused


@pytest.mark.parametrize(("beam_on", "told"), [(True, True), (False, False), (None, False)])
def test_what_the_generator_shows_of_the_beam_goes_out_to_a_panel_on_lines(
    beam_on: bool | None, told: bool
) -> None:
    now = inputs(generator=generator(beam_on=beam_on))
    assert outputs_for(exposing(), now, Now(T_US)).beam_seen is told


# --- the panel's memory

QUIET = (S.STANDBY, S.READOUT, S.RELEASE_WAIT, S.FAULT, S.LOCKED)


@pytest.mark.req("SR-56")
@pytest.mark.parametrize("state", S)
def test_frames_are_fetched_and_freed_in_quiet_states_and_told_in_every_one(state: State) -> None:
    """Not while the panel is wanted for an exposure, and not before the unit has proved itself."""
    keeping = inputs(
        panel=panel(kept=("shot-0", "shot-9")),
        recorder=kept(frames_safe=("shot-0",), frames_wanted=("shot-9",)),
    )
    found = outputs_for(memory(state), keeping, Now(T_US))
    assert found.kept == ("shot-0", "shot-9")
    quiet = state in QUIET
    assert (found.free, found.fetch) == ((("shot-0",), ("shot-9",)) if quiet else ((), ()))
