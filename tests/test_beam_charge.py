"""The charge of a beam, against numbers computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import beam as beams
from firmware_py.decide.memory import Beam
from hal.now import NEVER_US
from hal.types import GeneratorSample, Technique
from tests.samples import LIMITS, generator

S = 1_000_000
MAS = Technique(kv=80.0, ma=0.5, mas=1.0)  # 2 s, timer 2.5 s
MS = Technique(kv=80.0, ma=0.5, ms=1000.0)
ORDERED = Beam(ordered_us=990_000)
SENT = replace(ORDERED, sent_us=1 * S)
ACCEPTED = replace(SENT, accepted_us=1_200_000)


def sample(**changes: Any) -> GeneratorSample:
    return generator(2 * S, **changes)


def read(taken_us: int, kv: float | None = 80.0, ma: float | None = 0.5) -> GeneratorSample:
    return sample(
        on_sent_us=1 * S, on_answered_us=1_200_000, monitor_taken_us=taken_us, kv=kv, ma=ma
    )


def after(*samples: GeneratorSample, beam: Beam = ORDERED) -> Beam:
    for one in samples:
        beam = beams.follow(beam, one, one.taken_us)
    return beam


# --- following the samples


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(("late_us", "counts"), [(-1, 2), (0, 1)])
def test_a_read_that_is_answered_after_the_timers_end_shows_a_tube_that_is_off(
    late_us: int, counts: int
) -> None:
    timer_end_us = 2 * S
    beam = after(read(1_300_000))
    beam = beams.follow(beam, read(1_990_000, kv=0.0, ma=0.0), timer_end_us + late_us, timer_end_us)
    assert beam.read_count == counts


def test_a_sample_that_says_nothing_new_leaves_the_same_object() -> None:
    beam = after(read(1_300_000))
    assert beams.follow(beam, read(1_300_000), 1_300_000) is beam
    assert beams.follow(ORDERED, sample(), 1_300_000) is ORDERED


def test_what_happened_before_the_order_belongs_to_another_beam() -> None:
    old = sample(on_sent_us=989_999, on_answered_us=989_999, monitor_taken_us=989_999, kv=80, ma=1)
    assert after(old) is ORDERED


def test_an_answer_without_a_question_is_no_beam() -> None:
    assert after(sample(on_answered_us=1_200_000)) is ORDERED


def test_reads_of_the_ramp_are_not_used() -> None:
    beam = after(read(1_199_999, kv=40.0, ma=0.2))
    assert (beam.read_us, beam.read_count) == (None, 0)


@pytest.mark.parametrize(("kv", "ma"), [(None, 0.5), (80.0, None)])
def test_half_a_read_is_not_used(kv: float | None, ma: float | None) -> None:
    assert after(read(1_300_000, kv=kv, ma=ma)).read_us is None


def test_the_ramp_is_a_triangle_and_the_rest_are_trapezia() -> None:
    first = after(read(1_300_000, ma=0.5))
    # 0.5/2 x 0.2 s of ramp + 0.5 x 0.1 s
    assert first.read_mas == pytest.approx(0.05 + 0.05)
    second = after(read(1_300_000, ma=0.5), read(1_400_000, ma=0.6))
    # + (0.5 + 0.6)/2 x 0.1 s
    assert second.read_mas == pytest.approx(0.155)
    assert (second.read_us, second.read_ma, second.read_count) == (1_400_000, 0.6, 2)


def test_means_are_those_of_the_reads_used() -> None:
    beam = after(read(1_300_000, kv=79.0, ma=0.5), read(1_400_000, kv=81.0, ma=0.6))
    assert (beam.kv_sum / 2, beam.ma_sum / 2) == pytest.approx((80.0, 0.55))


def test_the_time_between_reads_does_not_matter_when_the_current_is_steady() -> None:
    many = after(*(read(t_us) for t_us in range(1_210_000, 1_900_000, 10_000)), read(1_900_000))
    assert many.read_mas == pytest.approx(after(read(1_900_000)).read_mas)


# --- the charge up to a moment


def test_what_follows_the_newest_read_is_extrapolated_at_its_current() -> None:
    beam = after(read(1_300_000, ma=0.5), read(1_400_000, ma=0.6))
    assert beams.indicated_mas(beam, 1_500_000) == pytest.approx(0.155 + 0.06)


def test_a_beam_that_ended_before_its_newest_read_has_the_charge_of_that_read() -> None:
    assert beams.indicated_mas(after(read(1_300_000)), 1_250_000) == pytest.approx(0.1)


def test_without_a_read_the_charge_is_unknown_and_not_zero() -> None:
    assert beams.indicated_mas(ACCEPTED, 3 * S) is None


# --- when OFF must be written


def test_before_the_first_read_the_set_current_counts() -> None:
    # 0.05 mAs of ramp; 0.95 mAs at 0.5 mA are 1.9 s; OFF 10 ms ahead
    assert beams.charge_end_us(ACCEPTED, MAS, LIMITS) == 1_200_000 + 1_900_000 - 10_000


def test_each_read_moves_the_planned_end() -> None:
    beam = after(read(1_300_000, ma=0.5), read(1_400_000, ma=0.6))
    # 0.845 mAs missing at 0.6 mA are 1.408333 s
    assert beams.charge_end_us(beam, MAS, LIMITS) == 1_400_000 + 1_408_333 - 10_000


def test_a_charge_that_is_already_passed_gives_an_end_in_the_past() -> None:
    end_us = beams.charge_end_us(after(read(4 * S, ma=0.6)), MAS, LIMITS)
    assert end_us is not None
    assert end_us == 4 * S + round((1.0 - 0.06 - 1.68) / 0.6 * S) - 10_000


@pytest.mark.parametrize(
    ("beam", "technique"),
    [(ACCEPTED, MS), (ORDERED, MAS), (SENT, MAS), (after(read(1_300_000, ma=0.0)), MAS)],
    ids=["by time", "not sent", "not accepted", "no current"],
)
def test_there_is_no_planned_end_by_charge(beam: Beam, technique: Technique) -> None:
    assert beams.charge_end_us(beam, technique, LIMITS) is None


@pytest.mark.parametrize(
    ("mas", "passed_us"),
    [
        (0.1, 1_300_001),  # the charge of the read itself is not *more*
        (0.35, 1_800_001),
        (0.09, 1_300_000),
    ],
)
def test_when_a_charge_is_passed(mas: float, passed_us: int) -> None:
    beam = replace(after(read(1_300_000)), read_mas=0.1)
    assert beams.passes_us(beam, mas) == pytest.approx(passed_us, abs=1)


def test_without_current_no_charge_is_passed() -> None:
    assert beams.passes_us(after(read(1_300_000, ma=0.0)), 0.1) == NEVER_US


# --- who ended it


def off(taken_us: int) -> GeneratorSample:
    return sample(beam_on=False, beam_taken_us=taken_us)


def test_a_beam_that_ends_before_its_time_less_a_tolerance_ended_early() -> None:
    # timer 2.5 s from "sent"; tolerance a tenth of it and one step of 10 ms
    edge_us = 1 * S + 2_500_000 - 260_000
    assert beams.ended_by_itself(ACCEPTED, off(edge_us), MAS, LIMITS) is True
    assert beams.ended_by_itself(ACCEPTED, off(edge_us - 1), MAS, LIMITS) is False


@pytest.mark.parametrize(
    ("beam", "seen"),
    [
        (ORDERED, off(3 * S)),
        (SENT, off(3 * S)),
        (ACCEPTED, sample(beam_on=True, beam_taken_us=3 * S)),
        (ACCEPTED, sample(beam_on=None, beam_taken_us=3 * S)),
        (ACCEPTED, sample(beam_on=False, beam_taken_us=None)),
        (ACCEPTED, off(1_199_999)),
    ],
    ids=["not sent", "not accepted", "on", "unknown", "never asked", "asked before"],
)
def test_as_long_as_it_is_not_known_to_be_over_it_is_on(beam: Beam, seen: GeneratorSample) -> None:
    assert beams.ended_by_itself(beam, seen, MAS, LIMITS) is None


def test_the_back_up_time_is_the_timer_and_a_tenth_and_10_ms_and_the_age_of_a_status() -> None:
    wanted_us = 1 * S + 2_750_000 + 10_000 + LIMITS.status_age_us
    assert beams.timer_end_us(ACCEPTED, MAS, LIMITS) == wanted_us
    assert beams.timer_end_us(ORDERED, MAS, LIMITS) == wanted_us - 10_000


def test_a_beam_that_ended_within_the_ramp_is_counted_from_when_on_was_sent() -> None:
    assert beams.start_us(ACCEPTED, 1_200_000) == 1_100_000  # sent at 1 s, accepted at 1.2 s
    assert beams.start_us(ACCEPTED, 1_050_000) == 1 * S
    assert beams.start_us(SENT, 1_050_000) is None
