"""What adds up over many exposures: pauses, arcs, resets, and the daily self-test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py.decide import duty, interlocks
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Limits, Memory, SelfTestStep, State
from hal.now import Now
from hal.types import EndReason, ExposureReport, Outputs, Requests, ShotKind, Technique
from tests.samples import (
    BEAM,
    LIMITS,
    READ,
    SHOT,
    T_US,
    TUBE,
    exposing,
    generator,
    held,
    in_beam,
    inputs,
    memory,
    room,
)

S = State
PMX = replace(  # Spellman PMX p. 65, 70: 20 s between beams, 5 s of beam in 2 min
    LIMITS,
    tube=replace(TUBE, gap_us=20_000_000, duty_window_us=120_000_000, duty_beam_us=5_000_000),
)
LATER_US = 1_000_000_000
TWO_SECONDS = Technique(kv=80.0, ma=0.5, ms=2000.0)
WARMING = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist", warms=True)
ARCED = inputs(generator=generator(faults=("ARC",)))


def after(*beams_us: tuple[int, int], limits: Limits = PMX) -> Memory:
    return memory(S.STANDBY, limits=limits, beams_us=beams_us)


def rested(before: Memory, t_us: int, technique: Technique = TWO_SECONDS) -> bool:
    return duty.rested(before, technique, Now(t_us))


# --- pauses (SR-16)


@pytest.mark.req("SR-16")
def test_a_beam_19_9_s_after_the_last_is_refused_and_one_20_s_after_it_is_not() -> None:
    before = after((LATER_US - 100_000, LATER_US))
    assert not rested(before, LATER_US + 19_999_999)
    assert rested(before, LATER_US + 20_000_000)


@pytest.mark.req("SR-16")
def test_five_seconds_of_beam_in_two_minutes_are_the_most_itself_included() -> None:
    """Two beams of 2 s and the next: the first leaves the window with the new beam's end."""
    first = (LATER_US, LATER_US + 2_000_000)
    second = (LATER_US + 30_000_000, LATER_US + 32_000_000)
    before = after(first, second)
    assert not rested(before, LATER_US + 60_000_000)
    one_second = Technique(kv=80.0, ma=0.5, ms=1000.0)
    assert rested(before, LATER_US + 60_000_000, one_second)
    # 1 s of the first is still inside when the new one ends: 2 + 2 + 1 = 5 s
    inside_us = first[1] - 1_000_000 + 120_000_000 - 2_000_000
    assert rested(before, inside_us)
    assert not rested(before, inside_us - 1)


@pytest.mark.req("SR-16")
def test_a_press_too_early_is_refused_before_prep_and_says_so() -> None:
    pressed = inputs(room=room(stage_1=True))
    early = memory(S.STANDBY, limits=PMX, beams_us=((T_US - 1_000_000, T_US - 900_000),))
    refused, outputs = step(early, pressed)
    assert (refused.state, refused.refused) == (S.RELEASE_WAIT, ("DUTY",))
    assert outputs.technique is None


@pytest.mark.req("SR-16")
def test_a_beam_is_counted_from_on_to_off_and_forgotten_when_no_rule_asks_for_it() -> None:
    old = (T_US - 200_000_000, T_US - 199_000_000)
    young = (T_US - 100_000_000, T_US - 99_000_000)
    before = exposing(limits=PMX, beams_us=(old, young))
    released, _ = step(before, in_beam(room=room(stage_1=True)))
    assert released.beams_us == (young, (BEAM.sent_us, T_US))


def test_a_tube_without_rules_counts_no_beam_and_never_needs_a_pause() -> None:
    released, _ = step(exposing(), in_beam(room=room(stage_1=True)))
    assert released.beams_us == ()
    assert rested(after((LATER_US, LATER_US + 1), limits=LIMITS), LATER_US + 2)


def test_an_attempt_whose_on_never_left_is_no_beam_that_needs_a_pause() -> None:
    before = exposing(replace(BEAM, sent_us=None, accepted_us=None), limits=PMX)
    released, _ = step(before, in_beam(room=room(stage_1=True), generator=generator()))
    assert released.beams_us == ()


# --- arcs (SR-26)


@pytest.mark.req("SR-26")
def test_an_arc_that_is_told_after_the_beam_is_one_of_that_beam_and_counts_once() -> None:
    before = memory(S.READOUT, beam=BEAM, arcs=(False,), ending=None)
    once, _ = step(before, ARCED)
    assert (once.state, once.arcs, once.faults) == (S.FAULT, (True,), ("ARC",))
    assert step(once, replace(ARCED, t_us=T_US + 5_000))[0].arcs == (True,)


@pytest.mark.req("SR-26")
def test_the_third_arc_in_ten_beams_locks_in_the_scan_that_tells_it() -> None:
    before = memory(S.READOUT, beam=BEAM, arcs=(True, *(False,) * 7, True, False))
    locked, outputs = step(before, ARCED)
    assert (locked.state, locked.faults) == (S.LOCKED, ("ARCS",))
    assert outputs == Outputs()


@pytest.mark.req("SR-26")
def test_two_arcs_in_ten_beams_do_not_lock_and_an_eleventh_beam_forgets_the_first() -> None:
    before = memory(S.READOUT, beam=BEAM, arcs=(True, *(False,) * 9))
    assert step(before, ARCED)[0].state is S.FAULT
    begun = duty.begin_beam(replace(before, arcs=(True, *(False,) * 8, True)))
    assert begun.arcs == (*(False,) * 8, True, False)


@pytest.mark.req("SR-26")
def test_arcs_of_conditioning_are_counted_there_and_not_here() -> None:
    before = memory(S.READOUT, beam=BEAM, shot=WARMING, arcs=(True, True, False))
    assert duty.begin_beam(before).arcs == before.arcs
    assert duty.note_arc(before, ARCED) is before


@pytest.mark.req("SR-26")
def test_an_arc_before_the_first_beam_is_no_beams_arc() -> None:
    before = memory(S.STANDBY, beam=None, arcs=(False,))
    assert step(before, ARCED)[0].arcs == (False,)


# --- more charge than a fault explains (SR-25)


@pytest.mark.req("SR-25")
def test_125_percent_seen_at_once_in_the_beam_lock_it() -> None:
    """0.5 mAs planned: the band is 0.4 mAs wide, the larger of that and 25 %."""
    just, over = (replace(READ, read_mas=mas) for mas in (0.9 - 0.02, 0.9 + 0.001))
    assert step(exposing(just), in_beam())[0].faults == ("OVER_MAS",)
    locked, outputs = step(exposing(over), in_beam())
    assert (locked.state, locked.faults) == (S.LOCKED, ("OVER_MAS_SERVICE",))
    assert (outputs.enable, outputs.expose_from_us) == (False, None)


def reported(mas: float | None) -> ExposureReport:
    technique = Technique(kv=80.0, ma=0.5, mas=2.0)
    return ExposureReport(
        shot=replace(SHOT, technique=technique),
        reason=EndReason.PLANNED,
        beam=True,
        mas=mas,
        maximum_mas=3.0,
    )


@pytest.mark.req("SR-25")
@pytest.mark.parametrize(
    ("mas", "state"), [(2.5, S.READOUT), (2.5001, S.LOCKED), (None, S.READOUT)]
)
def test_above_125_percent_in_the_report_locks_even_when_nothing_else_was_wrong(
    mas: float | None, state: State
) -> None:
    before = memory(S.READOUT, report=reported(mas))
    assert step(before, inputs(room=held()))[0].state is state


# --- resets (SR-43)


def reset_again(before: Memory, t_us: int) -> Memory:
    """A fault, and a person who resets it."""
    faulty = replace(
        before, state=S.FAULT, faults=("DOOR_OPEN",), since_us=t_us - 10_000, reset_armed=True
    )
    return step(faulty, inputs(t_us, requests=Requests(reset=True)))[0]


@pytest.mark.req("SR-43")
def test_the_fault_after_five_resets_in_ten_minutes_locks() -> None:
    now = memory(S.FAULT)
    for count in range(5):
        now = reset_again(now, LATER_US + count * 1_000_000)
        assert now.state is S.RELEASE_WAIT
    at_fault = replace(now, state=S.FAULT, faults=("DOOR_OPEN",))
    last_us = LATER_US + 600_000_000
    locked, _ = step(at_fault, inputs(last_us - 5_000))
    assert (locked.state, locked.faults) == (S.LOCKED, ("DOOR_OPEN", "RESETS"))
    assert step(at_fault, inputs(last_us))[0].state is S.FAULT


@pytest.mark.req("SR-43", "SR-26")
def test_key_and_reset_forgive_what_was_counted() -> None:
    before = memory(
        S.LOCKED, faults=("ARCS",), arcs=(True,) * 3, resets_us=(T_US,) * 5, key_was_off=True
    )
    # the count alone keeps nobody locked for ever
    after_key, _ = step(before, inputs(requests=Requests(reset=True)))
    assert (after_key.state, after_key.arcs, after_key.resets_us) == (S.RELEASE_WAIT, (), ())


@pytest.mark.req("SR-43")
def test_a_reset_that_has_no_fault_to_clear_is_not_counted() -> None:
    calm, _ = step(memory(S.STANDBY), inputs(requests=Requests(reset=True)))
    assert (calm.state, calm.resets_us) == (S.RELEASE_WAIT, ())


# --- the daily self-test (SR-46)


@pytest.mark.req("SR-46")
def test_a_unit_that_runs_for_a_day_tests_itself_before_the_next_press_counts() -> None:
    due_us = T_US + LIMITS.self_test_every_us
    before = memory(S.STANDBY, tested_us=T_US)
    pressed = inputs(due_us, room=room(due_us, stage_1=True))
    tested, outputs = step(before, pressed)
    assert tested.state is S.SELF_TEST
    assert (outputs.enable, outputs.beam_lamp, outputs.buzzer) == (True, True, True)
    assert outputs.contactor is False
    soon = inputs(due_us - 5_000, room=room(due_us - 5_000, stage_1=True))
    assert step(before, soon)[0].state is S.PREP


@pytest.mark.req("SR-46")
def test_the_moment_of_a_passed_self_test_is_kept() -> None:
    before = memory(S.SELF_TEST, test_step=SelfTestStep.PASSED, tested_us=0)
    assert step(before, inputs())[0].tested_us == T_US


# --- a switch that nobody has seen (SR-03)


@pytest.mark.req("SR-03")
@pytest.mark.parametrize(("open_us", "goes_to"), [(40_000, S.RELEASE_WAIT), (60_000, S.PREP)])
def test_after_the_room_was_lost_a_press_counts_once_both_stages_were_seen_open_50_ms(
    open_us: int, goes_to: State
) -> None:
    now, _ = step(memory(S.STANDBY, tested_us=T_US), inputs(room=room(link_ok=False)))
    assert (now.state, now.must_open) == (S.STANDBY, True)
    for passed_us in range(0, open_us + 1, 20_000):
        t_us = T_US + 5_000 + passed_us
        now, _ = step(now, inputs(t_us))
    t_us = T_US + 10_000 + open_us
    now, _ = step(now, inputs(t_us, room=room(t_us, stage_1=True)))
    assert now.state is goes_to
    assert now.refused == (("HANDSWITCH_CLOSED",) if goes_to is S.RELEASE_WAIT else ())


@pytest.mark.req("SR-03")
def test_a_switch_that_is_held_when_the_room_answers_again_is_refused_and_told() -> None:
    lost, _ = step(memory(S.STANDBY, tested_us=T_US), inputs(room=room(link_ok=False)))
    t_us = T_US + 5_000
    back, _ = step(lost, inputs(t_us, room=held(t_us)))
    assert (back.state, back.refused) == (S.RELEASE_WAIT, ("HANDSWITCH_CLOSED",))


def test_a_room_that_is_lost_keeps_a_press_from_counting() -> None:
    lost = memory(S.STANDBY, must_open=True)
    found = interlocks.inhibits(lost, inputs(room=room()), Now(T_US))
    assert found == ("HANDSWITCH_CLOSED",)
