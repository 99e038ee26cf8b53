"""A generator without a timer of its own: the unit ends a beam by time, a relay what it can't."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import account, supervisor
from firmware_py.decide import beam as beams
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Ending, Limits, Memory, State
from firmware_py.decide.technique import maximum_mas, timer_us
from hal.now import NEVER_US, Now
from hal.types import EndReason, GeneratorSample, Technique
from tests.samples import LIMITS, ON, SHOT, T_US, exposing, held, in_beam, memory

BARE = replace(LIMITS, has_own_timer=False, overrun_us=670_000)
TIMED = Technique(kv=80.0, ma=0.5, ms=1000.0)
CHARGE = Technique(kv=80.0, ma=0.5, mas=0.5)
SHOT_BY_TIME = replace(SHOT, technique=TIMED)
SENT_US = T_US - 1_000_000
BEAM = Beam(ordered_us=SENT_US, sent_us=SENT_US, accepted_us=SENT_US + 300_000)
END_US = SENT_US + 150_000 + 1_000_000 - BARE.off_lead_us  # from the middle of the ramp
BACK_UP_US = SENT_US + 1_500_000  # the time asked for, and the longest ramp


def by_time(beam: Beam = BEAM, limits: Limits = BARE) -> Memory:
    return exposing(beam, shot=SHOT_BY_TIME, limits=limits)


def lit(t_us: int, **changes: Any) -> GeneratorSample:
    return replace(ON, beam_taken_us=t_us, taken_us=t_us, **changes)


def after(before: Memory, t_us: int, **changes: Any) -> Memory:
    seen = in_beam(t_us, room=held(t_us, lamp_current=True), **({"generator": lit(t_us)} | changes))
    return step(before, seen)[0]


@pytest.mark.req("SR-20")
def test_the_unit_ends_a_beam_by_time_in_the_scan_in_which_its_time_is_over() -> None:
    assert after(by_time(), END_US - 1).state is State.EXPOSE
    ended = after(by_time(), END_US)
    assert (ended.state, ended.why) == (State.READOUT, "planned_time_reached")
    assert ended.ending is not None
    assert (ended.ending.reason, ended.faults) == (EndReason.PLANNED, ())


def test_the_scan_is_asked_to_look_again_at_that_very_time() -> None:
    assert beams.time_end_us(BEAM, TIMED, BARE) == END_US
    seen = in_beam(END_US - 4_000, room=held(END_US - 4_000), generator=lit(END_US - 4_000))
    assert step(by_time(), seen)[1].next_us <= END_US


def test_off_is_ordered_and_the_enable_pulse_is_renewed_no_more() -> None:
    seen = in_beam(END_US, room=held(END_US, lamp_current=True), generator=lit(END_US))
    outputs = step(by_time(), seen)[1]
    assert (outputs.expose_from_us, outputs.enable, outputs.enable_lapse) == (None, False, True)


@pytest.mark.parametrize(
    ("beam", "technique", "limits"),
    [
        (BEAM, TIMED, LIMITS),  # it has a timer
        (BEAM, CHARGE, BARE),  # the charge ends it
        (replace(BEAM, accepted_us=None), TIMED, BARE),  # when it began is not known yet
    ],
)
def test_else_no_time_ends_a_beam_as_planned(
    beam: Beam, technique: Technique, limits: Limits
) -> None:
    assert beams.time_end_us(beam, technique, limits) is None


def test_a_beam_whose_start_is_not_known_ends_by_its_own_deadline() -> None:
    waiting = by_time(replace(BEAM, accepted_us=None))
    late_us = SENT_US + BARE.beam_start_us
    ended = after(waiting, late_us, generator=lit(late_us, on_answered_us=None))
    assert (ended.state, ended.faults[0]) == (State.FAULT, "GENERATOR_STATUS_OLD")


@pytest.mark.req("SR-39")
@pytest.mark.parametrize("technique", [TIMED, CHARGE])
def test_a_beam_that_ends_by_itself_always_ended_early(technique: Technique) -> None:
    """However late: nothing in the generator can have ended it as planned."""
    off = replace(ON, beam_on=False, beam_taken_us=BACK_UP_US - 1)
    assert beams.ended_by_itself(BEAM, off, technique, BARE) is False
    assert beams.ended_by_itself(BEAM, off, technique, LIMITS) is True
    assert beams.ended_by_itself(BEAM, lit(BACK_UP_US - 1), technique, BARE) is None


def test_and_is_a_fault_of_the_generator() -> None:
    t_us = END_US - 50_000
    off = replace(ON, beam_on=False, beam_taken_us=t_us - 10_000)
    seen = replace(BEAM, off_seen_us=t_us - 5_000, off_asked_us=t_us - 10_000)
    ended = after(by_time(seen), t_us, generator=off)
    assert (ended.state, ended.faults) == (State.FAULT, ("BEAM_ENDED_EARLY",))


# --- the back-up, and what bounds an unknown dose


@pytest.mark.parametrize(("technique", "wanted_us"), [(TIMED, 1_500_000), (CHARGE, 1_500_000)])
def test_the_back_up_time_has_the_ramp_on_top_however_the_beam_is_ended(
    technique: Technique, wanted_us: int
) -> None:
    assert timer_us(technique, BARE) == wanted_us


@pytest.mark.req("SR-21")
def test_it_waits_for_nobody() -> None:
    assert beams.timer_end_us(BEAM, TIMED, BARE) == BACK_UP_US
    assert beams.timer_end_us(BEAM, CHARGE, BARE) == BACK_UP_US


@pytest.mark.req("SR-21")
def test_a_charge_that_does_not_come_is_ended_by_it() -> None:
    """The ramp was slow and the mA read low: what the integral misses, the time ends."""
    reads = replace(BEAM, read_us=BACK_UP_US - 10_000, read_ma=0.45, read_mas=0.2, read_count=3)
    before = exposing(reads, limits=BARE)
    low = {"kv": 80.0, "ma": 0.45, "monitor_taken_us": BACK_UP_US - 10_000}
    still = after(before, BACK_UP_US - 1, generator=lit(BACK_UP_US - 1, **low))
    assert still.state is State.EXPOSE
    ended = after(before, BACK_UP_US, generator=lit(BACK_UP_US, **low))
    assert (ended.state, ended.faults) == (State.FAULT, ("BACKUP_TIME",))


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("technique", [TIMED, CHARGE])
def test_what_may_be_given_counts_the_relays_pulse_too(technique: Technique) -> None:
    assert maximum_mas(technique, BARE) == pytest.approx(0.5 * (1.5 + 0.67))


def test_a_beam_that_outlived_its_time_is_counted_until_it_is_proved_off() -> None:
    """Nothing in the generator can have ended it before: no timer caps its charge."""
    reads = replace(BEAM, read_us=END_US, read_ma=0.5, read_mas=0.49, most_ma=0.5, read_count=3)
    late_us = BACK_UP_US + 40_000
    ending = Ending(ordered_us=END_US, reason=EndReason.PLANNED)
    off = replace(ON, beam_on=False, beam_taken_us=late_us, off_confirmed_us=None)
    waiting = memory(
        State.READOUT, since_us=END_US, beam=reads, ending=ending, shot=SHOT_BY_TIME, limits=BARE
    )
    report = account.settle(waiting, in_beam(late_us, generator=off), Now(late_us)).report
    capped = account.settle(
        replace(waiting, limits=LIMITS), in_beam(late_us, generator=off), Now(late_us)
    ).report
    assert report is not None
    assert capped is not None
    assert report.end_us == late_us
    assert capped.end_us == SENT_US + 1_000_000  # where a timer would have ended it


def test_in_the_middle_of_it_nothing_is_wrong() -> None:
    t_us = END_US - 100_000
    seen = in_beam(t_us, room=held(t_us, lamp_current=True), generator=lit(t_us))
    now = Now(t_us)
    assert supervisor.causes(by_time(), seen, now) == ()
    assert now.next_us != NEVER_US
