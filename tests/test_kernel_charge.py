"""Charge, times and bounds of a beam to the last microsecond, against numbers done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py.decide import beam as beams
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Ending, Memory, State
from hal.types import EndReason, ExposureReport, Technique
from tests.samples import LIMITS, ON, READ, T_US, generator, in_beam, memory, off_proved

S = 1_000_000
RUNNING = Beam(ordered_us=S, sent_us=S, accepted_us=1_200_000)
HALF = replace(RUNNING, read_us=2 * S, read_ma=0.5, read_mas=0.5, read_count=8)
BY_TIME = Technique(kv=80.0, ma=0.5, ms=1000.0)


# --- too much charge


@pytest.mark.req("SR-25")
@pytest.mark.parametrize(
    ("bound_mas", "passed_us"),
    [
        (0.5, 2 * S + 1),  # as much as the bound is not more than it
        (1.0, 3 * S + 1),  # 0.5 mAs more at 0.5 mA take 1 s
        (0.4999, 2 * S),  # the read itself is too much
    ],
)
def test_the_charge_is_too_much_one_microsecond_after_it_reached_the_bound(
    bound_mas: float, passed_us: int
) -> None:
    assert beams.passes_us(HALF, bound_mas) == passed_us


# --- the back-up times


@pytest.mark.req("SR-21")
def test_the_back_up_is_the_timer_and_a_tenth_10_ms_and_the_age_of_a_status() -> None:
    assert LIMITS.status_age_us == 150_000
    assert beams.timer_end_us(RUNNING, BY_TIME, LIMITS) == S + 1_100_000 + 10_000 + 150_000
    odd = Technique(kv=80.0, ma=0.5, ms=15.0)  # steps of 10 ms: the timer is set to 20 ms
    assert beams.timer_end_us(RUNNING, odd, LIMITS) == S + 22_000 + 10_000 + 150_000


@pytest.mark.req("SR-21")
def test_the_generators_timer_counts_from_when_on_left_and_before_from_the_order() -> None:
    sent_later = replace(RUNNING, ordered_us=S - 7_000)
    not_sent = Beam(ordered_us=S - 7_000)
    assert beams.timer_us_of(sent_later, BY_TIME, LIMITS) == 2 * S
    assert beams.timer_us_of(not_sent, BY_TIME, LIMITS) == 2 * S - 7_000


@pytest.mark.req("SR-39")
@pytest.mark.parametrize(("early_us", "by_itself"), [(110_000, True), (110_001, False)])
def test_an_end_is_the_timers_from_a_tenth_and_one_step_before_it(
    early_us: int, by_itself: bool
) -> None:
    off = generator(3 * S, beam_on=False, beam_taken_us=2 * S - early_us)
    assert beams.ended_by_itself(RUNNING, off, BY_TIME, LIMITS) is by_itself


# --- when it began


@pytest.mark.req("SR-53")
def test_a_beam_begins_in_the_middle_of_its_ramp_in_whole_microseconds() -> None:
    odd = replace(RUNNING, accepted_us=1_200_001)
    start_us = beams.start_us(odd, 2 * S)
    assert (start_us, type(start_us)) == (1_100_000, int)
    assert beams.start_us(odd, 1_200_001) == 1_100_000
    assert beams.start_us(odd, 1_200_000) == S  # ended within its ramp


# --- what the report says of time


def waiting(reason: EndReason = EndReason.PLANNED, **changes: object) -> Memory:
    ending = Ending(ordered_us=T_US, reason=reason, **changes)  # type: ignore[arg-type]
    values = {"since_us": T_US, "beam": READ, "beam_end_us": T_US, "ending": ending}
    return memory(State.READOUT, **values)


def report_of(before: Memory, t_us: int, **changes: object) -> ExposureReport:
    report = step(before, off_proved(t_us, **changes))[1].report
    assert report is not None
    return report


@pytest.mark.req("SR-53")
def test_the_report_says_from_the_middle_of_the_ramp_to_the_end_how_long_the_beam_was() -> None:
    report = report_of(waiting(), T_US + 20_000)
    assert report.start_us == T_US - 800_000  # sent 900, accepted 700 ms before
    assert report.end_us == T_US + 10_000
    assert report.beam_ms == 810.0


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("reason", "heard"), [(EndReason.REFUSED, True), (EndReason.FAULT, False)])
def test_of_a_beam_whose_charge_is_not_known_the_length_is_not_known_either(
    reason: EndReason, heard: bool
) -> None:
    report = report_of(waiting(reason, heard=heard), T_US + 20_000)
    assert (report.mas, report.beam_ms, report.end_us) == (None, None, None)


@pytest.mark.req("SR-53")
def test_a_late_answer_to_off_moves_the_end_and_an_early_one_does_not() -> None:
    early = report_of(waiting(), T_US + 20_000, off_confirmed_us=T_US + 3_000)
    late = report_of(waiting(), T_US + 60_000, off_confirmed_us=T_US + 60_000)
    assert early.end_us == T_US + LIMITS.off_lead_us
    assert late.end_us == T_US + 60_000 - LIMITS.off_lead_us


@pytest.mark.req("SR-53")
def test_the_bound_on_the_charge_is_full_current_from_on_to_the_proof() -> None:
    little = replace(waiting(), beam=replace(READ, read_mas=0.3))
    report = report_of(little, T_US + 100_000)
    assert report.maximum_mas == 0.5 * 1_000_000 / 1e6  # 0.5 mA for exactly 1 s


@pytest.mark.req("SR-33")
def test_nothing_of_the_beam_is_told_while_a_status_says_on() -> None:
    still = replace(ON, beam_taken_us=T_US + 50_000, off_confirmed_us=T_US + 50_000)
    after, outputs = step(waiting(), in_beam(T_US + 60_000, generator=still))
    assert after.ending is not None
    assert outputs.report is None


@pytest.mark.req("SR-21")
def test_a_back_up_time_is_a_whole_number_of_microseconds() -> None:
    steps_of_7 = replace(LIMITS, time_step_us=7)
    end_us = beams.timer_end_us(RUNNING, BY_TIME, steps_of_7)
    assert (end_us, type(end_us)) == (S + 1_100_006 + 10_000 + 150_000, int)  # timer 1 000 006


# --- what is told of a beam that only a status, or nothing, proved off


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("seen_after_us", "end_after_us"), [(2_000, 10_000), (50_000, 50_000)])
def test_where_only_a_status_says_off_the_beam_lasted_until_it_was_asked_for(
    seen_after_us: int, end_after_us: int
) -> None:
    status = {"beam_taken_us": T_US + seen_after_us, "off_confirmed_us": None}
    assert report_of(waiting(), T_US + 60_000, **status).end_us == T_US + end_after_us


@pytest.mark.req("SR-33", "SR-53")
def test_a_beam_never_proved_off_is_told_with_its_fault_and_when_it_was_accepted() -> None:
    before = replace(waiting(EndReason.FAULT, fault="DOOR_OPEN"), state=State.FAULT)
    silent = generator(T_US + LIMITS.off_confirm_us)
    report = step(before, in_beam(T_US + LIMITS.off_confirm_us, generator=silent))[1].report
    assert report is not None
    assert (report.reason, report.fault) == (EndReason.FAULT, "DOOR_OPEN")
    assert (report.start_us, report.end_us) == (READ.accepted_us, None)
    assert (report.kv, report.ma) == (80.0, 0.5)  # the mean of three reads


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("answered_us", "accepted_us"), [(S, S), (S - 1, None), (None, None)])
def test_an_answer_to_on_from_before_it_left_belongs_to_another_beam(
    answered_us: int | None, accepted_us: int | None
) -> None:
    sent = Beam(ordered_us=S - 5_000, sent_us=S)
    answer = generator(2 * S, on_sent_us=S, on_answered_us=answered_us)
    assert beams.follow(sent, answer, 2 * S).accepted_us == accepted_us
