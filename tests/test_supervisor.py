"""What the supervisor ends, and when: nothing one microsecond before, the fault at the deadline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import beam as beams
from firmware_py.decide import supervisor
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Ending, Memory, SelfTestStep, State
from hal.now import Now
from hal.types import (
    EndReason,
    GeneratorSample,
    GeneratorState,
    Inputs,
    Outputs,
    PanelState,
    Requests,
    Shot,
    Technique,
)
from tests.samples import (
    BEAM,
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
    recorder,
    room,
)

S = State
RESET = Requests(shot=SHOT, reset=True)
WAITING = Ending(ordered_us=T_US - 10_000, reason=EndReason.PLANNED)


def causes(before: Memory, seen: Inputs) -> tuple[str, ...]:
    return supervisor.causes(before, seen, Now(seen.t_us))


def fault_of(before: Memory, seen: Inputs) -> tuple[str, ...]:
    """The faults latched by this scan; () = it did not end in FAULT."""
    after, _ = step(before, seen)
    return after.faults if after.state is S.FAULT else ()


def read_at(taken_us: int, **changes: Any) -> GeneratorSample:
    return replace(ON, monitor_taken_us=taken_us, **changes)


# --- bands: max(relative, absolute), after the settle time


def with_technique(technique: Technique, **changes: Any) -> Memory:
    shot = Shot(shot_id="s", technique=technique, exam_id="TEST", panel_id="P1")
    return exposing(shot=shot, **changes)


def bands(kv: float, ma: float, *, shown_kv: float, shown_ma: float) -> tuple[str, ...]:
    before = with_technique(Technique(kv=kv, ma=ma, mas=1000.0 * ma))
    shown = read_at(T_US - 8_000, kv=shown_kv, ma=shown_ma)
    still_on = replace(shown, beam_taken_us=T_US - 5_000)
    return causes(*observed(before, in_beam(generator=still_on)))


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("kv", "shown_kv", "inside"),
    [
        (80.0, 88.0, True),  # 10 %
        (80.0, 88.01, False),
        (80.0, 72.0, True),
        (80.0, 71.99, False),
        (20.0, 23.0, True),  # 3 kV, as 10 % would be 2
        (20.0, 23.01, False),
        (20.0, 17.0, True),
        (20.0, 16.99, False),
    ],
)
def test_kv_may_be_off_by_ten_percent_or_three_kv(kv: float, shown_kv: float, inside: bool) -> None:
    found = bands(kv, 0.5, shown_kv=shown_kv, shown_ma=0.5)
    assert found == (() if inside else ("KV_OUT_OF_BAND",))


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("ma", "shown_ma", "inside"),
    [
        (0.5, 0.6, True),  # 20 %
        (0.5, 0.6001, False),
        (0.5, 0.4, True),
        (0.5, 0.3999, False),
        (0.2, 0.25, True),  # 0.05 mA, as 20 % would be 0.04
        (0.2, 0.2501, False),
        (0.2, 0.1501, True),
        (0.2, 0.1499, False),
    ],
)
def test_ma_may_be_off_by_twenty_percent_or_50_ua(ma: float, shown_ma: float, inside: bool) -> None:
    found = bands(80.0, ma, shown_kv=80.0, shown_ma=shown_ma)
    assert found == (() if inside else ("MA_OUT_OF_BAND",))


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(("late_us", "counts"), [(-1, False), (0, True)])
def test_the_bands_count_from_the_settle_time_on(late_us: int, counts: bool) -> None:
    accepted_us = T_US - 200_000
    fresh = replace(BEAM, sent_us=accepted_us - 100_000, accepted_us=accepted_us)
    wild = read_at(accepted_us + LIMITS.settle_us + late_us, kv=10.0, ma=0.05)
    found = causes(*observed(exposing(fresh), in_beam(generator=wild)))
    assert found == (("KV_OUT_OF_BAND", "MA_OUT_OF_BAND") if counts else ())


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("late_us", "found"), [(-1, ("KV_OUT_OF_BAND", "MA_OUT_OF_BAND")), (0, ())]
)
def test_a_timed_beam_that_ended_by_itself_is_not_judged_by_its_last_read(
    late_us: int, found: tuple[str, ...]
) -> None:
    before = with_technique(Technique(kv=80.0, ma=0.5, ms=900.0), beam=READ)
    t_us = T_US + late_us  # BEAM was sent 900 ms before T_US
    off = replace(ON, taken_us=t_us, kv=0.0, ma=0.0, beam_taken_us=t_us - 10_000)
    assert causes(before, in_beam(t_us, generator=off)) == found


def observed(before: Memory, seen: Inputs) -> tuple[Memory, Inputs]:
    """The memory as `step` judges it: the sample's monitor read is in the beam."""
    assert before.beam is not None
    return replace(before, beam=beams.follow(before.beam, seen.generator, seen.t_us)), seen


def test_a_feedback_that_says_nothing_any_more_is_out_of_band() -> None:
    mute = replace(ON, kv=None, ma=None)
    assert causes(exposing(READ), in_beam(generator=mute)) == ("KV_OUT_OF_BAND", "MA_OUT_OF_BAND")


@pytest.mark.req("SR-25")
@pytest.mark.parametrize(
    ("mas", "most_mas"),
    [(0.5, 0.7), (10.0, 11.5)],  # 0.2 mAs, as 15 % would be 0.075; 15 %
)
def test_more_mas_than_planned_are_a_fault_in_the_microsecond_in_which_they_pass(
    mas: float, most_mas: float
) -> None:
    # the newest read: 0.1 mAs below the most, so at 0.5 mA 200 ms away
    near = replace(READ, read_us=T_US, read_mas=most_mas - 0.1)
    technique = Technique(kv=80.0, ma=0.5, mas=mas)
    before = with_technique(technique, beam=near)
    for after_us, found in ((199_990, ()), (200_010, ("OVER_MAS",))):
        t_us = T_US + after_us
        sample = replace(read_at(T_US), taken_us=t_us, beam_taken_us=t_us)
        assert causes(before, in_beam(t_us, generator=sample)) == found


@pytest.mark.req("SR-25")
def test_the_scan_in_which_the_charge_passes_is_asked_for() -> None:
    near = replace(READ, read_us=T_US, read_mas=0.65)  # 0.05 mAs to go: 100 ms
    before = with_technique(Technique(kv=80.0, ma=0.5, ms=1000.0), beam=near)
    now = Now(T_US)
    seen = in_beam(generator=replace(read_at(T_US), beam_taken_us=T_US))
    assert supervisor.causes(before, seen, now) == ()
    assert now.next_us == pytest.approx(T_US + 100_000, abs=1)


# --- time


def proved(ended: Memory, t_us: int, **changes: Any) -> Outputs:
    """The scan 20 ms after OFF was ordered at `t_us`, in which its proof has come."""
    values = {"beam_on": False, "beam_taken_us": t_us + 15_000, "off_confirmed_us": t_us + 20_000}
    sample = generator(t_us + 20_000, **(values | changes))
    return step(ended, in_beam(t_us + 20_000, generator=sample))[1]


def accepted_at(accepted_us: int, technique: Technique = SHOT.technique) -> Memory:
    beam = Beam(
        ordered_us=accepted_us - 210_000, sent_us=accepted_us - 200_000, accepted_us=accepted_us
    )
    return with_technique(technique, beam=beam)


@pytest.mark.req("SR-21")
@pytest.mark.parametrize("technique", [SHOT.technique, Technique(kv=80.0, ma=0.5, ms=1500.0)])
def test_a_beam_that_outlasts_the_generators_timer_is_ended_by_the_back_up_time(
    technique: Technique,
) -> None:
    # timer 1.5 s in both; + 10 %, 10 ms and the age that a status may have
    before = accepted_at(T_US, technique)
    end_us = T_US - 200_000 + 1_650_000 + 10_000 + LIMITS.status_age_us
    for t_us, found in ((end_us - 1, ()), (end_us, ("BACKUP_TIME",))):
        sample = generator(t_us, beam_on=True, beam_taken_us=t_us)
        assert causes(before, in_beam(t_us, generator=sample)) == found


@pytest.mark.req("SR-27")
@pytest.mark.parametrize("newest", ["the answer to ON", "a status"])
def test_a_status_that_is_too_old_ends_the_beam(newest: str) -> None:
    before = accepted_at(T_US)
    taken_us = T_US - 50_000 if newest == "the answer to ON" else T_US + 70_000
    end_us = max(taken_us, T_US) + LIMITS.status_age_us
    for t_us, faults in ((end_us - 1, ()), (end_us, ("GENERATOR_STATUS_OLD",))):
        sample = generator(t_us, beam_on=True, beam_taken_us=taken_us)
        assert fault_of(before, in_beam(t_us, generator=sample)) == faults


@pytest.mark.req("SR-27")
@pytest.mark.parametrize("sent_us", [None, T_US + 5_000])
def test_an_order_that_is_not_answered_in_time_is_a_status_too_old(sent_us: int | None) -> None:
    before = exposing(Beam(ordered_us=T_US))
    end_us = T_US + LIMITS.beam_start_us
    for t_us, faults in ((end_us - 1, ()), (end_us, ("GENERATOR_STATUS_OLD",))):
        sample = generator(t_us, on_sent_us=sent_us)
        assert fault_of(before, in_beam(t_us, generator=sample)) == faults


@pytest.mark.req("SR-27", "SR-53")
@pytest.mark.parametrize("sent_us", [None, T_US + 5_000])
def test_a_beam_that_fell_silent_has_an_unknown_dose_when_on_had_left(sent_us: int | None) -> None:
    t_us = T_US + LIMITS.beam_start_us
    sample = generator(t_us, on_sent_us=sent_us)
    after, outputs = step(exposing(Beam(ordered_us=T_US)), in_beam(t_us, generator=sample))
    if sent_us is not None:
        assert outputs.report is None
        outputs = proved(after, t_us)
    report = outputs.report
    assert report is not None
    assert (report.beam, report.mas, report.maximum_mas) == (
        (False, 0.0, 0.0) if sent_us is None else (True, None, 0.75)
    )


@pytest.mark.req("SR-41")
def test_a_refused_start_is_a_fault() -> None:
    refused = generator(on_sent_us=T_US - 5_000, refused=True)
    after, outputs = step(exposing(Beam(ordered_us=T_US - 10_000)), in_beam(generator=refused))
    assert (after.state, after.faults) == (S.FAULT, ("GENERATOR_REFUSED",))
    assert outputs.expose_from_us is None


@pytest.mark.req("SR-39")
@pytest.mark.parametrize(("late_us", "early"), [(-1, True), (0, False)])
def test_a_beam_that_the_generator_ended_is_early_or_planned(late_us: int, early: bool) -> None:
    # timer 1.5 s from "sent", less a tenth and one step of 10 ms
    edge_us = T_US - 200_000 + 1_500_000 - 160_000
    t_us = edge_us + 20_000
    sample = generator(t_us, beam_on=False, beam_taken_us=edge_us + late_us)
    by_time = accepted_at(T_US, Technique(kv=80.0, ma=0.5, ms=1500.0))
    after, _ = step(by_time, in_beam(t_us, generator=sample))
    if early:
        assert (after.state, after.faults) == (S.FAULT, ("BEAM_ENDED_EARLY",))
    else:
        assert (after.state, after.why) == (S.READOUT, "generator_timer_ended")
    report = proved(after, t_us, beam_taken_us=edge_us + late_us).report
    assert report is not None
    assert report.reason is (EndReason.FAULT if early else EndReason.PLANNED)
    assert report.end_us == edge_us + late_us


@pytest.mark.parametrize(
    ("contact", "dest", "named"),
    [
        ({"stage_2": False}, S.READOUT, "handswitch_released"),
        ({"door": False}, S.FAULT, "DOOR_OPEN"),
        ({}, S.FAULT, "BEAM_ENDED_EARLY"),
    ],
)
def test_an_early_off_waits_for_the_contact_that_may_explain_it(
    contact: dict[str, bool], dest: State, named: str
) -> None:
    """The pair opens in hardware: the generator's "off" may come before the room's answer."""
    off = generator(T_US, beam_on=False, beam_taken_us=T_US - 10_000)
    accepted = accepted_at(T_US - 300_000)
    before, _ = step(accepted, in_beam(T_US, generator=off, room=held(T_US - 5_000)))
    assert before.state is S.EXPOSE
    assert before.beam is not None
    assert before.beam.off_seen_us == T_US
    room = held(T_US, **contact)
    after, _ = step(before, in_beam(T_US + 5_000, generator=off, room=room))
    assert after.state is dest
    assert (after.why if dest is S.READOUT else after.faults) == (
        named if dest is S.READOUT else (named,)
    )
    report = proved(after, T_US + 5_000, beam_taken_us=T_US - 10_000).report
    assert report is not None
    assert report.end_us == T_US - 10_000


@pytest.mark.req("SR-30")
@pytest.mark.parametrize(
    "state", [s for s in PanelState if s not in (PanelState.INTEGRATING, PanelState.ERROR)]
)
def test_a_window_that_is_no_longer_open_ends_the_beam(state: PanelState) -> None:
    faults = fault_of(exposing(), in_beam(panel=replace(INTEGRATING, state=state)))
    lost = ("PANEL_LINK_LOST",) if state is PanelState.DISCONNECTED else ()
    assert faults == (*lost, "WINDOW_ENDED")


@pytest.mark.req("SR-28")
def test_a_scan_that_was_too_late_ends_the_beam() -> None:
    assert fault_of(exposing(), replace(in_beam(), late_us=LIMITS.late_us)) == ()
    assert fault_of(exposing(), replace(in_beam(), late_us=LIMITS.late_us + 1)) == ("SCAN_LATE",)


def test_a_late_scan_without_a_beam_is_no_fault() -> None:
    assert fault_of(memory(S.STANDBY), replace(inputs(), late_us=10_000_000)) == ()


# --- stray radiation


@pytest.mark.req("SR-34")
@pytest.mark.parametrize("state", [s for s in S if s not in (S.EXPOSE, S.READOUT)])
def test_a_beam_that_nobody_ordered_locks(state: State) -> None:
    grace_us = LIMITS.fall_us if state in (S.BOOT, S.FAULT, S.LOCKED) else 0
    before = memory(state, since_us=T_US - grace_us, test_step_us=T_US)
    stray = generator(beam_on=True, beam_taken_us=T_US)
    after, outputs = step(before, inputs(generator=stray))
    assert after.state is S.LOCKED
    assert (outputs.contactor, outputs.enable, outputs.beam_lamp) == (False, False, True)
    if state is not S.LOCKED:
        assert after.faults == ("STRAY_BEAM",)


@pytest.mark.req("SR-34")
@pytest.mark.parametrize("state", [S.PREP, S.READY, S.INTERLOCK_CHECK, S.RELEASE_WAIT])
def test_a_beam_indicated_before_this_state_is_as_stray(state: State) -> None:
    """It was asked for before, and answered after: the next one may come when it is off again."""
    before = memory(state)
    late = generator(beam_on=True, beam_taken_us=before.since_us - 1)
    assert causes(before, inputs(generator=late))[0] == "STRAY_BEAM"


@pytest.mark.req("SR-34")
@pytest.mark.parametrize("state", [S.BOOT, S.FAULT, S.LOCKED])
def test_a_beam_that_a_fault_ended_or_that_a_dead_unit_left_may_still_be_falling(
    state: State,
) -> None:
    before = memory(state)
    fallen_us = before.since_us + LIMITS.fall_us
    falling = generator(beam_on=True, beam_taken_us=fallen_us - 1)
    stray = generator(beam_on=True, beam_taken_us=fallen_us)
    assert "STRAY_BEAM" not in causes(before, inputs(generator=falling))
    assert "STRAY_BEAM" in causes(before, inputs(generator=stray))


@pytest.mark.req("SR-34")
@pytest.mark.parametrize("beam", [Beam(ordered_us=T_US - 100_000), None], ids=["order", "none"])
def test_a_beam_in_expose_before_on_has_left_is_stray(beam: Beam | None) -> None:
    before = replace(exposing(), beam=beam)
    status = in_beam(generator=replace(ON, beam_taken_us=T_US, on_sent_us=None))
    assert "STRAY_BEAM" in supervisor._stray_beam(before, status)


@pytest.mark.parametrize("state", [S.EXPOSE, S.READOUT])
def test_an_ordered_beam_is_not_stray(state: State) -> None:
    ending = Ending(ordered_us=T_US, reason=EndReason.PLANNED)
    before = exposing() if state is S.EXPOSE else replace(exposing(), state=state, ending=ending)
    assert "STRAY_BEAM" not in causes(before, in_beam(generator=replace(ON, beam_taken_us=T_US)))


# --- deadlines of the states

BOOT_SILENT: dict[str, tuple[dict[str, Any], str]] = {
    "room": ({"room": room(link_ok=False)}, "ROOM_IO_LOST"),
    "generator": ({"generator": generator(state=GeneratorState.OFFLINE)}, "GENERATOR_LINK_LOST"),
    "panel": ({"panel": panel(state=PanelState.DISCONNECTED)}, "PANEL_LINK_LOST"),
}
DEADLINES: dict[str, tuple[Memory, Inputs, int, tuple[str, ...]]] = {
    **{
        f"BOOT without {name}": (
            memory(S.BOOT),
            inputs(**changes),
            LIMITS.boot_us,
            ("SELF_TEST_TIMEOUT", code),
        )
        for name, (changes, code) in BOOT_SILENT.items()
    },
    "BOOT without recorder": (
        memory(S.BOOT),
        inputs(recorder=recorder(alive=False)),
        LIMITS.boot_us,
        ("SELF_TEST_TIMEOUT", "RECORDER_LOST"),
    ),
    "SELF_TEST, lamp dark": (
        memory(S.SELF_TEST, test_step_us=T_US),
        inputs(room=room(enable_readback=True, enable_taken_us=T_US)),
        LIMITS.self_test_us,
        ("SELF_TEST_LAMP",),
    ),
    "SELF_TEST, relay open": (
        memory(S.SELF_TEST, test_step_us=T_US),
        inputs(room=room(enable_readback=False, enable_taken_us=T_US, lamp_current=True)),
        LIMITS.self_test_us,
        ("SELF_TEST_TIMEOUT",),
    ),
    "SELF_TEST, relay does not drop": (
        memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT, test_step_us=T_US - 10_000),
        inputs(room=room(enable_readback=True, enable_taken_us=T_US)),
        LIMITS.enable_pulse_us + LIMITS.enable_look_us,
        ("SELF_TEST_ENABLE",),
    ),
    "PREP without intent": (
        memory(S.PREP),
        inputs(room=room(stage_1=True), recorder=recorder(), panel=panel(state=PanelState.READY)),
        LIMITS.prep_us,
        ("INTENT_NOT_DURABLE",),
    ),
    "PREP without panel": (
        memory(S.PREP),
        inputs(room=room(stage_1=True), generator=ready_generator(), recorder=kept()),
        LIMITS.prep_us,
        ("PANEL_NOT_READY",),
    ),
    "PREP with another panel": (
        memory(S.PREP),
        inputs(
            room=room(stage_1=True),
            generator=ready_generator(),
            panel=panel(state=PanelState.READY, panel_id="P2"),
            recorder=kept(),
        ),
        LIMITS.prep_us,
        ("PANEL_NOT_READY",),
    ),
    "PREP without generator": (
        memory(S.PREP),
        inputs(room=room(stage_1=True), panel=panel(state=PanelState.READY), recorder=kept()),
        LIMITS.prep_us,
        ("GENERATOR_NOT_READY",),
    ),
    "INTERLOCK_CHECK without window": (
        memory(S.INTERLOCK_CHECK),
        inputs(room=held(), generator=ready_generator(), panel=panel(state=PanelState.READY)),
        LIMITS.interlock_check_us,
        ("WINDOW_REFUSED",),
    ),
    "INTERLOCK_CHECK with another panel": (
        memory(S.INTERLOCK_CHECK),
        in_beam(generator=ready_generator(), panel=replace(INTEGRATING, panel_id="P2")),
        LIMITS.interlock_check_us,
        ("WINDOW_REFUSED",),
    ),
    "INTERLOCK_CHECK, pair open": (
        memory(S.INTERLOCK_CHECK),
        in_beam(generator=ready_generator(interlock_closed=False)),
        LIMITS.interlock_check_us,
        ("INTERLOCK_OPEN",),
    ),
    "INTERLOCK_CHECK, not ready": (
        memory(S.INTERLOCK_CHECK),
        in_beam(generator=ready_generator(state=GeneratorState.PREPARING)),
        LIMITS.interlock_check_us,
        ("GENERATOR_NOT_READY",),
    ),
    "READOUT, off not confirmed": (
        memory(S.READOUT, beam=READ, ending=WAITING),
        inputs(),
        LIMITS.off_confirm_us,
        ("BEAM_OFF_NOT_CONFIRMED",),
    ),
    "READOUT, no frame": (
        memory(S.READOUT),
        inputs(recorder=recorder(dose_saved=SHOT.shot_id)),
        LIMITS.readout_us,
        ("FRAME_MISSING",),
    ),
    "RELEASE_WAIT, held": (
        memory(S.RELEASE_WAIT),
        inputs(room=held()),
        LIMITS.release_us,
        ("HANDSWITCH_STUCK",),
    ),
    "RELEASE_WAIT, room silent": (
        memory(S.RELEASE_WAIT),
        inputs(room=room(link_ok=False)),
        LIMITS.release_us,
        ("SELF_TEST_TIMEOUT", "ROOM_IO_LOST"),
    ),
}


def fresh(seen: Inputs, t_us: int) -> Inputs:
    """The same inputs, asked for at `t_us`."""
    return replace(
        seen,
        t_us=t_us,
        room=replace(seen.room, taken_us=t_us),
        generator=replace(seen.generator, taken_us=t_us),
        panel=replace(seen.panel, taken_us=t_us),
        recorder=replace(seen.recorder, taken_us=t_us),
    )


@pytest.mark.req("SR-04", "SR-08", "SR-10", "SR-33", "SR-45", "SR-46", "SR-56")
@pytest.mark.parametrize(
    ("before", "seen", "limit_us", "faults"), DEADLINES.values(), ids=DEADLINES
)
def test_a_state_lasts_to_its_deadline_and_not_a_microsecond_longer(
    before: Memory, seen: Inputs, limit_us: int, faults: tuple[str, ...]
) -> None:
    deadline_us = before.since_us + limit_us
    waiting, outputs = step(before, fresh(seen, deadline_us - 1))
    assert waiting.state is before.state
    assert outputs.next_us <= deadline_us
    after, _ = step(before, fresh(seen, deadline_us))
    assert (after.state, after.faults, after.since_us) == (S.FAULT, faults, deadline_us)


def test_every_state_that_must_have_a_deadline_has_one() -> None:
    told = {name.split()[0].rstrip(",") for name in DEADLINES}
    by_row = {"READY", "EXPOSE"}  # ready_held_too_long; BACKUP_TIME and GENERATOR_STATUS_OLD
    assert told | by_row == {s.value for s in S} - {"STANDBY", "FAULT", "LOCKED"}


@pytest.mark.req("SR-08")
@pytest.mark.parametrize(("short_us", "state"), [(1, S.READY), (0, S.RELEASE_WAIT)])
def test_ready_is_held_for_its_time_and_then_given_up_without_a_fault(
    short_us: int, state: State
) -> None:
    t_us = T_US - 10_000 + LIMITS.ready_us - short_us
    seen = inputs(t_us, room=room(t_us, stage_1=True), panel=panel(t_us, state=PanelState.READY))
    after, _ = step(memory(S.READY), seen)
    assert (after.state, after.faults) == (state, ())


def test_a_frame_that_the_recorder_gave_up_is_missing_at_once() -> None:
    lost = recorder(image_failed=SHOT.shot_id)
    assert fault_of(memory(S.READOUT), inputs(recorder=lost)) == ("FRAME_MISSING",)


# --- the way out of FAULT


def reset_of(*faults: str, **changes: Any) -> State:
    before = memory(S.FAULT, faults=faults)
    return step(before, inputs(**({"requests": RESET} | changes)))[0].state


@pytest.mark.req("SR-41")
@pytest.mark.parametrize(
    ("code", "lasting"),
    [
        ("DOOR_OPEN", {"room": room(door=False)}),
        ("CHAIN_OPEN", {"room": room(chain=False)}),
        ("KEY_OFF", {"room": room(key=False)}),
        ("GENERATOR_LINK_LOST", {"generator": generator(state=GeneratorState.OFFLINE)}),
        ("PANEL_LINK_LOST", {"panel": panel(state=PanelState.DISCONNECTED)}),
        ("PANEL_ERROR", {"panel": panel(state=PanelState.ERROR)}),
        ("BEAM_OFF_NOT_CONFIRMED", {}),
        ("BEAM_OFF_NOT_CONFIRMED", {"generator": generator(beam_on=False)}),
    ],
)
def test_a_reset_waits_until_what_latched_is_gone(code: str, lasting: dict[str, Any]) -> None:
    assert reset_of(code, **lasting) is S.FAULT
    off = generator(beam_on=False, beam_taken_us=T_US)
    assert reset_of(code, generator=off) is S.RELEASE_WAIT


@pytest.mark.req("SR-41")
@pytest.mark.parametrize(
    "changes",
    [
        {"room": room(estop=False)},
        {"room": room(T_US - LIMITS.room_age_us)},
        {"room": room(link_ok=False)},
        {"room": room(stage_1=True)},
        {"room": room(stage_2=True)},
    ],
    ids=["e-stop", "stale", "link lost", "stage 1", "stage 2"],
)
def test_no_reset_with_e_stop_switch_or_a_blind_room_whatever_latched(
    changes: dict[str, Any],
) -> None:
    assert reset_of("ARC") is S.RELEASE_WAIT
    assert reset_of("ARC", **changes) is S.FAULT


def test_another_contact_that_is_open_does_not_hold_the_reset_back() -> None:
    assert reset_of("ARC", room=room(door=False)) is S.RELEASE_WAIT


@pytest.mark.req("SR-41")
def test_a_reset_that_is_held_since_before_the_fault_resets_nothing() -> None:
    before = memory(S.FAULT, faults=("ARC",), reset_armed=False)
    held_reset, _ = step(before, inputs(room=room(reset=True)))
    assert held_reset.state is S.FAULT
    opened, _ = step(held_reset, inputs(T_US + 5_000))
    assert (opened.state, opened.reset_armed) == (S.FAULT, True)
    pressed, _ = step(opened, inputs(T_US + 10_000, room=room(T_US + 10_000, reset=True)))
    assert pressed.state is S.FAULT  # one sample is no person
    firm_us = T_US + 10_000 + LIMITS.reset_us
    for t_us, state in ((firm_us - 1, S.FAULT), (firm_us, S.RELEASE_WAIT)):
        after, _ = step(pressed, inputs(t_us, room=room(t_us, reset=True)))
        assert after.state is state


@pytest.mark.req("SR-34", "SR-41")
@pytest.mark.parametrize(
    ("key_was_off", "off_us", "state"),
    [
        (True, T_US, S.RELEASE_WAIT),
        (False, T_US, S.LOCKED),
        (True, None, S.LOCKED),
        (True, T_US - 10_001, S.LOCKED),  # a status of before the lock
    ],
)
def test_a_lock_needs_the_key_turned_a_reset_and_a_beam_that_is_known_to_be_off(
    key_was_off: bool, off_us: int | None, state: State
) -> None:
    before = memory(S.LOCKED, faults=("STRAY_BEAM",), key_was_off=key_was_off)
    off = generator(beam_on=False, beam_taken_us=off_us)
    after, _ = step(before, inputs(requests=RESET, generator=off))
    assert after.state is state


def test_the_key_counts_as_turned_when_it_was_seen_off_over_a_living_link() -> None:
    before = memory(S.LOCKED, faults=("STRAY_BEAM",))
    dead, _ = step(before, inputs(room=room(key=False, link_ok=False)))
    assert not dead.key_was_off
    off, _ = step(before, inputs(room=room(key=False)))
    assert off.key_was_off


# --- self-test


@pytest.mark.req("SR-38", "SR-46")
def test_the_self_test_passes_when_relay_and_lamp_came_and_the_relay_went_by_itself() -> None:
    before = memory(S.SELF_TEST, since_us=T_US, test_step_us=T_US)
    _, outputs = step(before, inputs())
    assert (outputs.enable, outputs.enable_lapse, outputs.beam_lamp) == (True, False, True)
    on = room(enable_readback=True, enable_taken_us=T_US + 5_000, lamp_current=True)
    dropping, outputs = step(before, inputs(T_US + 10_000, room=on))
    assert (dropping.test_step, dropping.test_step_us) == (SelfTestStep.DROP_OUT, T_US + 10_000)
    assert (outputs.enable, outputs.enable_lapse) == (False, True)
    t_us = T_US + 215_000
    gone = room(t_us, enable_readback=False, enable_taken_us=T_US + 210_000)
    passed, _ = step(dropping, inputs(t_us, room=gone))
    assert (passed.state, passed.test_step) == (S.RELEASE_WAIT, SelfTestStep.PASSED)


@pytest.mark.parametrize(
    "seen",
    [
        room(enable_readback=True, enable_taken_us=T_US + 5_000),  # no lamp current
        room(enable_readback=True, enable_taken_us=T_US - 1, lamp_current=True),  # read before
        room(enable_readback=None, enable_taken_us=T_US + 5_000, lamp_current=True),
        room(enable_readback=True, lamp_current=True),  # never read
    ],
)
def test_the_self_test_believes_no_half_answer(seen: Any) -> None:
    before = memory(S.SELF_TEST, since_us=T_US, test_step_us=T_US)
    after, _ = step(before, inputs(T_US + 10_000, room=seen))
    assert (after.state, after.test_step) == (S.SELF_TEST, SelfTestStep.PULL_IN)


def test_an_unknown_readback_is_no_drop() -> None:
    before = memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT, test_step_us=T_US)
    unknown = room(enable_readback=None, enable_taken_us=T_US + 5_000)
    after, _ = step(before, inputs(T_US + 10_000, room=unknown))
    assert after.test_step is SelfTestStep.DROP_OUT
