"""What one scan learns from its samples, to the microsecond; and that it learns nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Ending, Memory, SelfTestStep, State
from hal.types import EndReason, GeneratorState, Inputs, PanelState, Requests, ShotKind, Technique
from tests.samples import (
    BEAM,
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
    memory,
    panel,
    room,
)

S = State
BY_TIME = replace(SHOT, technique=Technique(kv=80.0, ma=0.5, ms=850.0))
DARK = replace(BY_TIME, kind=ShotKind.DARK)


# --- the lamp


@pytest.mark.req("SR-38")
@pytest.mark.parametrize(("early_us", "is_dark"), [(0, True), (1, False)])
def test_a_lamp_without_current_is_dark_when_it_was_lit_as_long_as_it_must_be_seen(
    early_us: int, is_dark: bool
) -> None:
    assert BEAM.accepted_us is not None
    t_us = BEAM.accepted_us + LIMITS.lamp_us - early_us
    after, _ = step(exposing(), in_beam(t_us, room=held(t_us, lamp_current=False)))
    assert after.lamp_dark is is_dark


@pytest.mark.req("SR-38")
def test_of_a_lamp_nobody_can_say_that_it_is_dark_while_the_room_is_silent() -> None:
    silent = held(lamp_current=False, link_ok=False)
    assert step(exposing(), in_beam(room=silent))[0].lamp_dark is False


@pytest.mark.req("SR-38")
def test_a_lamp_is_not_judged_before_the_generator_accepted_the_beam() -> None:
    not_yet = replace(BEAM, accepted_us=None)
    silent = replace(ON, on_answered_us=None, monitor_taken_us=None, beam_on=None)
    after, _ = step(exposing(not_yet), in_beam(generator=silent))
    assert after.lamp_dark is False


@pytest.mark.req("SR-38")
def test_a_lamp_that_draws_current_again_is_good_again() -> None:
    lit = inputs(room=room(lamp_current=True))
    assert step(memory(S.STANDBY, lamp_dark=True, tested_us=T_US), lit)[0].lamp_dark is False


@pytest.mark.req("SR-38")
def test_the_last_word_of_a_silent_room_makes_no_lamp_good() -> None:
    stale = inputs(room=room(lamp_current=True, link_ok=False))
    assert step(memory(S.STANDBY, lamp_dark=True, tested_us=T_US), stale)[0].lamp_dark is True


# --- the beam and the dark frame


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(("late_us", "count"), [(-1, 4), (0, 3)])
def test_a_read_of_a_tube_that_its_timer_turned_off_is_not_counted(
    late_us: int, count: int
) -> None:
    before = exposing(replace(READ, sent_us=T_US - 850_000), shot=BY_TIME)
    newest = replace(ON, monitor_taken_us=T_US - 10_000)
    after, _ = step(
        before, in_beam(T_US + late_us, generator=newest, requests=Requests(shot=BY_TIME))
    )
    assert after.beam is not None
    assert after.beam.read_count == count


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("shot", "opened_us", "noted_us"),
    [
        (DARK, T_US - 10_000, T_US - 10_000),
        (DARK, T_US - 10_001, None),  # that of another window
        (SHOT, T_US - 10_000, None),  # a beam's window is no dark frame's
    ],
)
def test_a_dark_frames_window_is_noted_when_the_panel_first_shows_it_open(
    shot: object, opened_us: int, noted_us: int | None
) -> None:
    open_panel = panel(state=PanelState.INTEGRATING, window_open_us=opened_us)
    after, _ = step(memory(S.READOUT, shot=shot), inputs(panel=open_panel))
    assert after.window_seen_us == noted_us


@pytest.mark.req("SR-35")
def test_a_status_that_shows_a_beam_is_noted_once_with_when_it_was_asked_for_and_seen() -> None:
    asked_us = T_US - 10_000
    on = generator(beam_on=True, beam_taken_us=asked_us)
    seen, _ = step(memory(S.BOOT), inputs(generator=on))
    assert (seen.beam_asked_us, seen.beam_seen_us) == (asked_us, T_US)
    again, _ = step(seen, inputs(T_US + 5_000, generator=on))
    assert again.beam_seen_us == T_US
    off, _ = step(again, inputs(T_US + 10_000, generator=replace(on, beam_on=False)))
    newer = replace(on, beam_taken_us=T_US)
    anew, _ = step(off, inputs(T_US + 15_000, generator=newer))
    assert (off.beam_seen_us, anew.beam_seen_us) == (T_US, T_US + 15_000)


@pytest.mark.req("SR-41")
def test_a_reset_contact_is_timed_from_its_first_closed_sample_while_the_room_answers() -> None:
    pressed, _ = step(memory(S.STANDBY, tested_us=T_US), inputs(room=room(reset=True)))
    held_on, _ = step(pressed, inputs(T_US + 5_000, room=room(T_US + 5_000, reset=True)))
    silent, _ = step(held_on, inputs(T_US + 5_000, room=room(reset=True, link_ok=False)))
    assert [m.reset_since_us for m in (pressed, held_on, silent)] == [T_US, T_US, None]


@pytest.mark.req("SR-41")
@pytest.mark.parametrize(
    ("contact", "asked", "armed"),
    [
        ({}, False, True),
        ({"link_ok": False}, False, False),  # nobody knows
        ({"reset": True}, False, False),
        ({}, True, False),  # a request that stays is a stuck button, too
    ],
)
def test_a_reset_is_armed_when_contact_and_request_are_seen_open(
    contact: dict[str, bool], asked: bool, armed: bool
) -> None:
    before = memory(S.FAULT, faults=("DOOR_OPEN",), reset_armed=False)
    now = inputs(
        room=room(door=False, chain=False, **contact), requests=Requests(shot=SHOT, reset=asked)
    )
    assert step(before, now)[0].reset_armed is armed


# --- the switch, after nobody could see it


@pytest.mark.req("SR-03")
@pytest.mark.parametrize(("early_us", "must_open"), [(0, False), (1, True)])
def test_after_a_silence_both_stages_must_be_seen_open_for_50_ms(
    early_us: int, must_open: bool
) -> None:
    before = memory(S.STANDBY, tested_us=T_US, must_open=True, open_since_us=T_US)
    seen_us = T_US + LIMITS.both_open_us - early_us
    assert step(before, inputs(seen_us))[0].must_open is must_open


@pytest.mark.req("SR-41")
@pytest.mark.parametrize(
    ("state", "link_ok", "noted"),
    [(S.LOCKED, True, True), (S.LOCKED, False, False), (S.FAULT, True, False)],
)
def test_the_key_counts_as_turned_only_when_it_is_seen_off_in_locked(
    state: State, link_ok: bool, noted: bool
) -> None:
    off = inputs(room=room(key=False, link_ok=link_ok))
    assert step(memory(state, faults=("KEY_OFF",)), off)[0].key_was_off is noted


@pytest.mark.req("SR-03")
@pytest.mark.parametrize(
    ("stages", "must_open"),
    [
        ({"stage_2": True}, True),  # no hand closes the second stage alone
        ({"stage_1": True, "stage_2": True}, False),
        ({"stage_1": True}, False),
        ({}, False),
    ],
)
def test_a_switch_that_contradicts_itself_must_be_seen_open(
    stages: dict[str, bool], must_open: bool
) -> None:
    assert step(memory(S.RELEASE_WAIT), inputs(room=room(**stages)))[0].must_open is must_open


@pytest.mark.req("SR-46")
def test_the_drop_of_the_relay_is_timed_from_its_first_scan_while_it_is_still_held() -> None:
    dropping = memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT, test_step_us=T_US - 50_000)
    still = room(enable_readback=True, enable_taken_us=T_US - 5_000, lamp_current=True)
    after, _ = step(dropping, inputs(room=still))
    assert (after.test_step, after.test_step_us) == (SelfTestStep.DROP_OUT, T_US - 50_000)


@pytest.mark.req("SR-09")
@pytest.mark.parametrize(
    ("contacts", "since_us"),
    [
        ({"door": False}, T_US),
        ({"door": False, "chain": False}, None),  # as it should be
        ({}, None),
        ({"door": False, "link_ok": False}, None),  # nobody saw it
    ],
)
def test_a_chain_that_stays_closed_over_an_open_door_is_timed(
    contacts: dict[str, bool], since_us: int | None
) -> None:
    assert step(memory(S.FAULT), inputs(room=room(**contacts)))[0].disagree_us == since_us


@pytest.mark.req("SR-26")
@pytest.mark.parametrize(
    ("faults", "arcs"), [(("ARC",), (False, True)), (("BATTERY_LOW",), (False, False))]
)
def test_only_an_arc_is_an_arc_of_the_last_beam(
    faults: tuple[str, ...], arcs: tuple[bool, ...]
) -> None:
    before = memory(S.RELEASE_WAIT, beam=READ, arcs=(False, False))
    assert step(before, inputs(generator=generator(faults=faults)))[0].arcs == arcs


@pytest.mark.req("SR-03")
@pytest.mark.parametrize(("link_ok", "since_us"), [(True, T_US), (False, None)])
def test_a_stage_is_closed_since_its_first_sample_that_really_came(
    link_ok: bool, since_us: int | None
) -> None:
    now = inputs(room=held(link_ok=link_ok))
    assert step(memory(S.READY, stage_2_since_us=None), now)[0].stage_2_since_us == since_us


# --- nothing new


def awaited(
    state: State = S.READOUT, beam_asked_us: int | None = ON.beam_taken_us, **ending: Any
) -> Memory:
    """A beam was ordered off at T_US, and its proof has not come."""
    values: dict[str, Any] = {"ordered_us": T_US, "reason": EndReason.PLANNED}
    return memory(
        state,
        since_us=T_US,
        beam=READ,
        beam_end_us=T_US,
        ending=Ending(**(values | ending)),
        open_since_us=T_US - 5_000,
        beam_asked_us=beam_asked_us,
        beam_seen_us=T_US - 5_000,
    )


NOTHING_NEW: dict[str, tuple[Memory, Inputs]] = {
    "the lamp draws current as before": (
        memory(S.STANDBY, tested_us=T_US, open_since_us=T_US - 5_000),
        inputs(room=room(lamp_current=True)),
    ),
    "the key is off as before": (
        memory(S.LOCKED, key_was_off=True, open_since_us=T_US - 5_000, faults=("STRAY_BEAM",)),
        inputs(room=room(key=False)),
    ),
    "the lamp is dark as before": (
        exposing(
            replace(READ, read_mas=0.3),
            stage_2_since_us=T_US - 900_000,
            beam_asked_us=ON.beam_taken_us,
            beam_seen_us=T_US - 5_000,
            lamp_dark=True,
        ),
        in_beam(),
    ),
    "the proof of off is awaited": (awaited(), in_beam(room=room(lamp_current=True))),
    "the generator is silent as before": (
        awaited(S.FAULT, heard=False),
        in_beam(room=room(lamp_current=True), generator=generator(state=GeneratorState.OFFLINE)),
    ),
    "the beam overruns as before": (
        awaited(overran=True, beam_asked_us=T_US + 700_000),
        in_beam(
            T_US + 700_000,
            room=room(T_US + 700_000, lamp_current=True),
            generator=replace(ON, beam_taken_us=T_US + 700_000),
        ),
    ),
    "the arc is told as before": (
        memory(S.STANDBY, tested_us=T_US, beam=READ, arcs=(True,), open_since_us=T_US - 5_000),
        inputs(generator=generator(faults=("ARC",))),
    ),
    "the room is silent as before": (
        memory(S.STANDBY, tested_us=T_US, must_open=True),
        inputs(room=room(link_ok=False)),
    ),
    "the beam has no new read": (
        exposing(
            replace(READ, read_mas=0.3),
            stage_2_since_us=T_US - 900_000,
            beam_asked_us=ON.beam_taken_us,
            beam_seen_us=T_US - 5_000,
        ),
        in_beam(room=held(lamp_current=True)),
    ),
}


@pytest.mark.parametrize("case", NOTHING_NEW)
def test_a_scan_that_learns_nothing_leaves_the_very_memory_that_it_was_given(case: str) -> None:
    before, now = NOTHING_NEW[case]
    assert step(before, now)[0] is before
