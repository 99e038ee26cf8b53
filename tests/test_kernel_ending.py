"""While the proof of "off" is awaited: silence, a beam that overruns its timer, what may be told.

Of the shot in tests/samples.py: 80 kV, 0.5 mA, 0.5 mAs; ON left 0.9 s before T_US, so that the
generator's own timer (1.5 s) ends the beam 0.6 s after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import account
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Ending, Memory, State
from hal.types import EndReason, ExposureReport, GeneratorState, ShotKind
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
    room,
)

S = State
TIMER_END_US = T_US + 600_000
OVERRUN_US = TIMER_END_US + LIMITS.time_step_us + LIMITS.fall_us
LITTLE = replace(READ, read_mas=0.3)


def waiting(state: State = S.READOUT, beam: Beam = READ, **ending: Any) -> Memory:
    values: dict[str, Any] = {"ordered_us": T_US, "reason": EndReason.PLANNED}
    order = Ending(**(values | ending))
    return memory(state, since_us=T_US, beam=beam, beam_end_us=T_US, ending=order)


def still_on(asked_us: int, **changes: Any) -> Any:
    return in_beam(asked_us, generator=replace(ON, beam_taken_us=asked_us, **changes))


def report(before: Memory, t_us: int, **changes: Any) -> ExposureReport:
    told = step(before, off_proved(t_us, **changes))[1].report
    assert told is not None
    return told


# --- silence


@pytest.mark.req("SR-27", "SR-53")
def test_a_generator_that_fell_silent_while_awaited_leaves_a_charge_that_is_not_known() -> None:
    silent = generator(T_US + 5_000, state=GeneratorState.OFFLINE)
    after, _ = step(waiting(), inputs(T_US + 5_000, generator=silent))
    assert after.ending is not None
    assert after.ending.heard is False
    told = report(after, T_US + 20_000)
    assert (told.mas, told.beam_ms, told.end_us) == (None, None, None)
    assert told.maximum_mas == 0.75  # full current for the timer's 1.5 s


# --- a beam that its own timer does not end


@pytest.mark.req("SR-21", "SR-53")
@pytest.mark.parametrize(("early_us", "overran"), [(0, True), (1, False)])
def test_a_status_on_a_step_and_the_fall_after_the_timers_end_is_an_overrun(
    early_us: int, overran: bool
) -> None:
    after, _ = step(waiting(S.FAULT), still_on(OVERRUN_US - early_us))
    assert after.ending is not None
    assert after.ending.overran is overran


@pytest.mark.req("SR-53")
def test_after_an_overrun_the_timer_bounds_neither_charge_nor_end() -> None:
    proved_us = T_US + 1_000_000
    known, over = waiting(S.FAULT, LITTLE), waiting(S.FAULT, LITTLE, overran=True)
    told, overrun = report(known, proved_us), report(over, proved_us)
    assert (told.end_us, overrun.end_us) == (TIMER_END_US, proved_us - LIMITS.off_lead_us)
    assert overrun.maximum_mas == 0.5 * 1_900_000 / 1e6  # from ON to the proof
    assert told.maximum_mas == 0.75  # the timer's 1.5 s


@pytest.mark.req("SR-53")
def test_the_bound_is_never_less_than_what_was_indicated() -> None:
    more = replace(READ, read_mas=0.8)
    assert report(waiting(beam=more), T_US + 20_000).maximum_mas == pytest.approx(0.815)


@pytest.mark.req("SR-33", "SR-53")
@pytest.mark.parametrize(("overran", "maximum_mas"), [(False, 0.75), (True, 0.5 * 1.7)])
def test_an_overrun_that_is_never_proved_off_is_bounded_by_the_time_it_had(
    overran: bool, maximum_mas: float
) -> None:
    due_us = T_US + LIMITS.off_confirm_us
    silent = generator(due_us, state=GeneratorState.OFFLINE)
    told = step(waiting(S.FAULT, overran=overran), inputs(due_us, generator=silent))[1].report
    assert told is not None
    assert told.maximum_mas == pytest.approx(maximum_mas)


def test_an_overrun_before_it_was_awaited_for_long_bounds_no_less_than_the_timer() -> None:
    early_us = T_US + LIMITS.off_confirm_us
    short = waiting(S.FAULT, overran=True, beam=replace(READ, sent_us=early_us - 1_000_000))
    told = step(short, inputs(early_us, generator=generator(early_us)))[1].report
    assert told is not None
    assert told.maximum_mas == 0.75


# --- how well the charge is known


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("late_us", "mas"),
    [
        (0, 0.315),
        (462_000, 0.546),  # 0.231 mAs more, where of 0.315 0.0315 + 0.2 are allowed
        (464_000, None),  # 0.232 mAs more: if OFF was obeyed at once, 0.547 would be too much
    ],
)
def test_a_charge_is_told_only_while_a_late_proof_adds_less_than_it_may_be_off(
    late_us: int, mas: float | None
) -> None:
    told = report(waiting(S.FAULT, LITTLE), T_US + 20_000 + late_us)
    assert told.mas == (None if mas is None else pytest.approx(mas))
    assert told.end_us == T_US + 10_000 + late_us  # the time is known all the same
    assert told.beam_ms == (810_000 + late_us) / 1000


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("pct", "least_mas", "late_us", "is_known"),
    [
        (0.0, 0.25, 500_000, True),  # 0.25 mAs are just not more than 0.25
        (0.0, 0.999_999_5, 2_000_000, False),  # 1 mAs is more
        (50.0, 0.0, 314_000, True),  # 0.157 mAs more than 0.315
        (50.0, 0.0, 316_000, False),
    ],
)
def test_how_much_a_late_proof_may_add_is_the_benchs_to_say(
    pct: float, least_mas: float, late_us: int, is_known: bool
) -> None:
    limits = replace(LIMITS, mas_known_pct=pct, mas_known_mas=least_mas)
    before = replace(waiting(S.READOUT, LITTLE, overran=True), limits=limits)
    told = report(before, T_US + 20_000 + late_us)
    assert (told.mas is not None) is is_known


@pytest.mark.req("SR-53")
def test_an_indicated_current_above_the_set_one_raises_every_bound() -> None:
    more = replace(LITTLE, most_ma=0.6)
    assert report(waiting(beam=more), T_US + 100_000).maximum_mas == pytest.approx(0.6)
    unheard = report(waiting(beam=more, heard=False), T_US + 100_000)
    assert unheard.maximum_mas == pytest.approx(0.9)  # 0.6 mA for the timer's 1.5 s


# --- what is saved of a beam that never was


@pytest.mark.req("SR-53", "SR-56")
def test_no_frame_is_awaited_of_an_image_whose_beam_never_left() -> None:
    never = Beam(ordered_us=T_US)
    saved = inputs(T_US + 5_000, recorder=kept(dose_saved=SHOT.shot_id))
    before = memory(S.READOUT, beam=never, since_us=T_US)
    assert step(before, saved)[0].state is S.RELEASE_WAIT
    assert step(replace(before, beam=READ), saved)[0].state is S.READOUT
    assert account.frame_awaited(replace(before, shot=None)) is False
    clear = replace(SHOT, kind=ShotKind.NO_RECEPTOR)
    assert account.frame_awaited(replace(before, beam=READ, shot=clear)) is False
    assert account.frame_awaited(replace(before, beam=None)) is True


@pytest.mark.req("SR-53", "SR-56")
@pytest.mark.parametrize(
    ("saved", "late", "found"),
    [
        ({}, False, ()),
        ({}, True, ("DOSE_NOT_SAVED", "FRAME_MISSING")),
        ({"dose_saved": SHOT.shot_id}, True, ("FRAME_MISSING",)),
        ({"image_saved": SHOT.shot_id}, True, ("DOSE_NOT_SAVED", "FRAME_MISSING")),
        ({"image_failed": SHOT.shot_id}, False, ("FRAME_MISSING",)),
        ({"image_failed": "shot-0"}, False, ()),
    ],
)
def test_what_was_not_saved_at_the_deadline_is_named(
    saved: dict[str, str], late: bool, found: tuple[str, ...]
) -> None:
    t_us = T_US + LIMITS.readout_us - (0 if late else 1)
    before = memory(S.READOUT, since_us=T_US, beam=READ)
    now = inputs(t_us, room=room(t_us), recorder=kept(t_us, **saved))
    assert step(before, now)[0].faults == found


@pytest.mark.req("SR-56")
@pytest.mark.parametrize(
    ("kept_by_panel", "given_up", "found"),
    [
        (("shot-0", SHOT.shot_id), (), ()),
        (("shot-0", SHOT.shot_id), ("shot-0",), ()),
        (("shot-0", SHOT.shot_id), (SHOT.shot_id,), ("FRAME_MISSING",)),
        (("shot-0",), (), ("FRAME_MISSING",)),
    ],
)
def test_a_frame_that_can_still_be_fetched_is_not_missing_before_the_deadline(
    kept_by_panel: tuple[str, ...], given_up: tuple[str, ...], found: tuple[str, ...]
) -> None:
    before = memory(S.READOUT, since_us=T_US, beam=READ)
    for t_us, late in ((T_US + LIMITS.readout_us - 1, False), (T_US + LIMITS.readout_us, True)):
        now = inputs(
            t_us,
            room=room(t_us),
            panel=panel(t_us, kept=kept_by_panel, given_up=given_up),
            recorder=kept(t_us, dose_saved=SHOT.shot_id, image_failed=SHOT.shot_id),
        )
        assert step(before, now)[0].faults == (("FRAME_MISSING",) if late else found)


@pytest.mark.req("SR-34")
def test_a_beam_after_its_end_was_proved_is_a_stray_one() -> None:
    asked_us = T_US + LIMITS.fall_us
    proved = replace(waiting(), ending=None)
    assert step(proved, still_on(asked_us))[0].faults == ("STRAY_BEAM",)
    assert "STRAY_BEAM" not in step(waiting(), still_on(asked_us))[0].faults
    assert "STRAY_BEAM" not in step(exposing(), still_on(asked_us))[0].faults


@pytest.mark.req("SR-34")
def test_a_beam_that_a_fault_ended_and_that_is_still_on_locks() -> None:
    asked_us = T_US + LIMITS.fall_us
    assert step(waiting(S.FAULT), still_on(asked_us - 1))[0].state is S.FAULT
    locked, _ = step(waiting(S.FAULT), still_on(asked_us))
    assert (locked.state, locked.faults) == (S.LOCKED, ("STRAY_BEAM",))


@pytest.mark.req("SR-33")
@pytest.mark.parametrize(("beam_on", "found"), [(True, ("BEAM_OFF_NOT_CONFIRMED",)), (None, ())])
def test_only_a_status_on_after_the_answer_to_off_says_that_off_was_ignored(
    beam_on: bool | None, found: tuple[str, ...]
) -> None:
    answered = waiting(answered_us=T_US + 1_000)
    now = still_on(T_US + 1_000 + LIMITS.fall_us, beam_on=beam_on)
    assert step(answered, now)[0].faults == found


# --- a contact that ends the beam, told by the generator first

OFF = replace(ON, beam_on=False, beam_taken_us=T_US - 10_000, faults=("INTERLOCK_OPEN",))
SEEN_OFF = replace(LITTLE, off_seen_us=T_US - 5_000, off_asked_us=T_US - 10_000)
BLAMED = ("BEAM_ENDED_EARLY", "INTERLOCK_OPEN")


def blamed(looked_us: int, **contacts: bool) -> list[str]:
    """Which of the two the generator is blamed for, after a look at the room at `looked_us`."""
    looked = held(looked_us, lamp_current=True, **contacts)
    after, _ = step(exposing(SEEN_OFF), in_beam(room=looked, generator=OFF))
    return sorted(code for code in after.faults if code in BLAMED)


@pytest.mark.req("SR-19", "SR-39")
def test_a_generator_is_blamed_for_an_end_when_a_later_look_shows_every_contact_closed() -> None:
    assert blamed(T_US - 5_001) == []
    assert blamed(T_US - 5_000) == sorted(BLAMED)


@pytest.mark.req("SR-17", "SR-19", "SR-39")
@pytest.mark.parametrize("contact", ["stage_1", "stage_2", "door", "estop", "chain"])
def test_an_open_contact_speaks_for_itself(contact: str) -> None:
    assert blamed(T_US, **{contact: False}) == []


@pytest.mark.req("SR-33")
def test_a_beam_never_proved_off_is_a_fault_beside_those_that_latched_before_it() -> None:
    due_us = T_US + LIMITS.off_confirm_us
    before = replace(waiting(S.FAULT), faults=("DOOR_OPEN",))
    after, _ = step(before, inputs(due_us, generator=generator(due_us)))
    assert after.faults == ("DOOR_OPEN", "BEAM_OFF_NOT_CONFIRMED")
