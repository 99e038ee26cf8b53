"""The simulated monoblock: what ends a beam, in the exact microsecond, and what the feedback shows.

Facts from SPC-P314 and SPC-P366 as the protocol reference gives them (sections 2.3 to 2.6).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from hal.now import NEVER_US, Now
from sim.battery import EFFICIENCY
from sim.beamline import BeamCourse, Regulation
from sim.energy import OIL_J_PER_C, OIL_TAU_S
from sim.generator import BITS, FALL_US, MonoblockModel

S = 1_000_000
START_US = 1 * S


def monoblock(*, kv: float = 80.0, ma: float = 0.5, **settings: Any) -> MonoblockModel:
    """Supplied, pair closed, watchdog off, set points told: `start` would be honoured."""
    model = MonoblockModel(**settings)
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_watchdog(0, on=False)
    model.set_kv(0, kv)
    model.set_ma(0, ma)
    return model


def beaming(**settings: Any) -> MonoblockModel:
    model = monoblock(**settings)
    assert model.start(START_US)
    return model


def run(model: MonoblockModel, to_us: int, from_us: int = 0) -> list[int]:
    """Like the world: `advance` at the model's own events; the times at which it was called."""
    times_us = [from_us]
    while times_us[-1] <= to_us:
        now = Now(times_us[-1])
        model.advance(now)
        times_us.append(now.next_us)
    return times_us[:-1]


# --- the course of a beam


def by_steps(course: BeamCourse, from_us: int, to_us: int, step_us: int = 10) -> float:
    """The integral of mA by the midpoint rule."""
    middles_us = range(from_us, to_us, step_us)
    levels = (course.level(t_us + step_us // 2) for t_us in middles_us)
    return course.ma * step_us / 1e6 * sum(levels)


@pytest.mark.parametrize("off_us", [None, 3_000, 40_000, 150_000, 152_000, 400_000])
@pytest.mark.parametrize("ramp_us", [0, 1_000, 150_000])
def test_the_charge_in_closed_form_is_the_sum_of_small_steps(
    off_us: int | None, ramp_us: int
) -> None:
    course = BeamCourse(on_us=2_000, kv=80.0, ma=0.7, ramp_us=ramp_us, fall_us=4_000)
    course.off_us = off_us
    dice = random.Random(f"charge {off_us} {ramp_us}")
    for _ in range(8):
        from_us, to_us = sorted(dice.randrange(0, 450_000, 10) for _ in range(2))
        expected_mas = by_steps(course, from_us, to_us)
        assert course.charge_mas(from_us, to_us) == pytest.approx(expected_mas, abs=1e-5)


def test_the_charge_of_a_known_trapezium() -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=0.5, ramp_us=150_000, fall_us=4_000, off_us=1_150_000)
    # ramp 0.5 x 0.15/2, plateau 0.5 x 1.0, tail 0.5 x 0.004/2
    assert course.charge_mas(0, 2 * S) == pytest.approx(0.0375 + 0.5 + 0.001)
    assert course.charge_mas(75_000, 150_000) == pytest.approx(0.0375 * 3 / 4)


@pytest.mark.parametrize("charge_mas", [0.0, 0.001, 0.0374, 0.0376, 0.5, 20.0])
def test_when_a_charge_is_reached_is_the_inverse_of_the_charge(charge_mas: float) -> None:
    course = BeamCourse(on_us=7_000, kv=80.0, ma=0.5, ramp_us=150_000, fall_us=4_000)
    reached_us = course.reaches_us(charge_mas)
    assert course.charge_mas(0, reached_us) >= charge_mas - 1e-12
    assert course.charge_mas(0, reached_us - 1) <= charge_mas


@pytest.mark.parametrize("charge_mas", [0.001, 0.0374, 0.0376, 0.0384, 0.0386, 0.5, 20.0])
@pytest.mark.parametrize("ramp_us", [0, 3_000, 150_000])
def test_a_beam_that_is_ended_in_time_makes_its_charge_with_its_fall(
    charge_mas: float, ramp_us: int
) -> None:
    course = BeamCourse(on_us=7_000, kv=80.0, ma=0.5, ramp_us=ramp_us, fall_us=4_000)
    course.off_us = course.makes_us(charge_mas)
    assert course.charge_mas(0, course.off_us + 4_000) == pytest.approx(charge_mas, abs=1e-6)


def test_what_a_fault_makes_of_the_current_is_counted_up_to_the_end_of_its_fall() -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=100.0, ramp_us=3_000, fall_us=2_000)
    course.regulations.append(Regulation(10_000, ma_pct=150.0))
    course.off_us = course.makes_us(2.5)
    # 0.85 mAs in the first 10 ms, then 150 mA, and 0.15 mAs in the fall
    assert course.off_us == pytest.approx(20_000, abs=1)
    assert course.charge_mas(0, course.off_us + 2_000) == pytest.approx(2.5, abs=2e-4)  # 1 us


def test_without_current_no_charge_is_ever_reached() -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=0.0, ramp_us=0, fall_us=4_000)
    assert course.reaches_us(0.1) == NEVER_US


@pytest.mark.parametrize(
    ("off_us", "gone_us"),
    [(None, None), (500_000, 503_600), (75_000, 78_200), (9_000, 9_000), (0, 0)],
)
def test_hv_is_gone_below_a_tenth_of_the_set_value(off_us: int | None, gone_us: int | None) -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=0.5, ramp_us=150_000, fall_us=4_000, off_us=off_us)
    assert course.gone_us() == gone_us


# --- starting


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: model.set_supply(0, False),
        lambda model: model.set_interlock(0, False),
        lambda model: model.set_kv(0, 0.0),
        lambda model: model.set_ma(0, 0.0),
        lambda model: model.trip(0, "regulation"),
        lambda model: setattr(model, "refuse_start", True),
        lambda model: setattr(model.battery, "stuck_v", 20.9),
    ],
    ids=["supply", "pair", "kv", "ma", "fault", "refuse_start", "battery"],
)
def test_a_start_is_refused_when_anything_is_missing(
    spoil: Callable[[MonoblockModel], None],
) -> None:
    model = monoblock()
    spoil(model)
    assert (model.start(START_US), model.beam_on(START_US)) == (False, False)


def test_a_second_start_changes_nothing_of_the_running_beam() -> None:
    model = beaming()
    assert model.start(START_US + 10)
    assert [course.on_us for course in model.courses] == [START_US]


# --- pre-warning


def test_the_beam_begins_when_the_pre_warning_is_over() -> None:
    model = monoblock()
    model.set_prewarning_us(0, 5 * S)
    assert not model.start(START_US)
    assert model.in_prewarning(START_US)
    assert run(model, 5_999_999) == [0]
    assert not model.beam_on(5_999_999)
    run(model, 6 * S, from_us=6 * S)
    assert (model.beam_on(6 * S), model.in_prewarning(6 * S)) == (True, False)
    assert model.courses[0].on_us == START_US + 5 * S


def test_a_second_start_does_not_prolong_the_pre_warning() -> None:
    model = monoblock()
    model.set_prewarning_us(0, 5 * S)
    model.start(START_US)
    assert not model.start(START_US + 4 * S)
    run(model, 10 * S)
    assert model.courses[0].on_us == START_US + 5 * S


@pytest.mark.parametrize(
    "end",
    [
        lambda model, t_us: model.stop(t_us),
        lambda model, t_us: (model.set_interlock(t_us, False), model.set_interlock(t_us, True)),
        lambda model, t_us: (model.set_supply(t_us, False), model.set_supply(t_us, True)),
        lambda model, t_us: (model.trip(t_us, "arc"), model.clear_faults(t_us)),
        lambda model, t_us: model.set_watchdog(t_us, on=True),  # nothing fed it since t = 0
    ],
    ids=["stop", "pair", "supply", "trip", "watchdog"],
)
def test_what_would_end_a_beam_ends_the_pre_warning_for_good(
    end: Callable[[MonoblockModel, int], object],
) -> None:
    model = monoblock()
    model.set_prewarning_us(0, 5 * S)
    model.start(START_US)
    end(model, 5 * S + 500_000)
    run(model, 20 * S, from_us=5 * S + 500_000)
    assert model.courses == []


# --- ending


def test_the_timer_ends_the_beam_in_its_microsecond() -> None:
    model = monoblock()
    model.set_time_us(0, 1_230_000)
    model.start(START_US)
    assert run(model, 10 * S) == [0, START_US + 1_230_000]
    assert model.courses[0].off_us == START_US + 1_230_000


def test_without_a_time_the_beam_is_continuous() -> None:
    model = beaming()
    run(model, 60 * S)
    assert model.beam_on(60 * S)


def test_a_dead_timer_ends_nothing_even_when_it_dies_in_the_beam() -> None:
    model = monoblock()
    model.set_time_us(0, 1 * S)
    model.start(START_US)
    model.timer_dead = True
    run(model, 10 * S)
    assert model.beam_on(10 * S)


def test_the_watchdog_is_on_at_power_up_and_ends_the_beam_after_five_seconds() -> None:
    model = MonoblockModel()
    assert model.watchdog_on()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, 80.0)
    model.set_ma(0, 0.5)
    model.command_seen(START_US)
    model.start(START_US)
    run(model, 20 * S)
    assert model.courses[0].off_us == START_US + 5 * S


def test_every_command_feeds_the_watchdog() -> None:
    model = beaming()
    model.set_watchdog(START_US, on=True, limit_us=2 * S)
    for t_us in range(START_US, 6 * S, 1_900_000):
        model.command_seen(t_us)
        run(model, t_us, from_us=t_us)
    assert model.beam_on(6 * S)
    run(model, 20 * S, from_us=6 * S)
    assert model.courses[0].off_us == 4_800_000 + 2 * S


def test_opening_the_pair_ends_the_beam_at_once_and_latches_bit_8() -> None:
    model = beaming()
    model.set_interlock(3 * S, False)
    assert model.courses[0].off_us == 3 * S
    model.set_interlock(4 * S, True)
    assert model.fault_bits(4 * S) == {"interlock_open"}
    assert not model.start(4 * S)
    model.clear_faults(5 * S)
    assert model.fault_bits(5 * S) == frozenset()
    assert model.start(5 * S)


def test_an_open_pair_without_a_beam_is_shown_and_not_latched() -> None:
    model = monoblock()
    model.set_interlock(1 * S, False)
    assert model.fault_bits(1 * S) == {"interlock_open"}
    model.set_interlock(2 * S, True)
    assert model.fault_bits(2 * S) == frozenset()


def test_losing_the_supply_ends_the_beam_and_latches_nothing() -> None:
    model = beaming()
    model.set_supply(3 * S, False)
    assert model.courses[0].off_us == 3 * S
    assert model.fault_bits(3 * S) == frozenset()
    assert not model.start(4 * S)


@pytest.mark.parametrize("bit", BITS)
def test_a_trip_ends_the_beam_and_refuses_the_next_until_cleared(bit: str) -> None:
    model = beaming()
    model.trip(3 * S, bit)
    assert model.courses[0].off_us == 3 * S
    assert bit in model.fault_bits(3 * S)
    assert not model.start(4 * S)
    model.clear_faults(5 * S)
    assert model.start(5 * S)


def test_a_trip_that_the_protocol_has_not_names_those_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"no fault bit 'over_kv'; there are .*over_voltage, "):
        monoblock().trip(0, "over_kv")


# --- arcs


def test_one_arc_is_a_warning_for_ten_seconds_and_the_beam_goes_on() -> None:
    model = beaming()
    model.arc(2 * S)
    assert model.beam_on(2 * S)
    assert model.fault_bits(11_999_999) == {"arc"}
    assert model.fault_bits(12 * S) == frozenset()


def test_the_world_is_told_when_the_warning_ends() -> None:
    model = monoblock()
    model.arc(2 * S)
    now = Now(2 * S)
    model.advance(now)
    assert now.next_us == 12 * S


def test_four_arcs_in_ten_seconds_latch_and_end_the_beam() -> None:
    model = beaming()
    for t_us in (2 * S, 5 * S, 8 * S):
        model.arc(t_us)
    assert model.beam_on(8 * S)
    model.arc(11_999_999)
    assert model.courses[0].off_us == 11_999_999
    assert model.fault_bits(60 * S) == {"arc"}
    model.clear_faults(60 * S)
    assert model.fault_bits(60 * S) == frozenset()


def test_a_fourth_arc_after_ten_seconds_is_a_warning_again() -> None:
    model = beaming()
    for t_us in (2 * S, 5 * S, 8 * S, 12 * S):
        model.arc(t_us)
    assert model.beam_on(12 * S)
    assert model.fault_bits(17 * S) == {"arc"}


def test_clearing_forgets_the_arcs_that_were_warnings() -> None:
    model = beaming()
    for t_us in (2 * S, 3 * S, 4 * S):
        model.arc(t_us)
    model.clear_faults(5 * S)
    model.arc(6 * S)
    assert model.beam_on(6 * S)


# --- heat


def test_the_oil_warms_by_kv_times_mas() -> None:
    model = beaming(kv=100.0, ma=1.0, ambient_c=22.0)
    seconds = 200
    # full power but for half of the ramp
    energy_j = 100.0 * (seconds - 0.075)
    shown_c = model.reading(START_US + seconds * S).oil_c
    assert shown_c == pytest.approx(22.0 + energy_j / OIL_J_PER_C)


def test_the_temperature_has_no_step_when_the_beam_ends() -> None:
    model = beaming(kv=100.0, ma=1.0)
    before_c = model.reading(101 * S - 1).oil_c
    model.stop(101 * S)
    assert model.reading(101 * S).oil_c == pytest.approx(before_c, abs=1e-4)


def test_the_oil_cools_towards_ambient_with_its_time_constant() -> None:
    model = beaming(kv=100.0, ma=1.0, ambient_c=22.0)
    model.stop(101 * S)
    hot_c = model.reading(101 * S).oil_c
    later_us = 101 * S + round(OIL_TAU_S * S)
    assert model.reading(later_us).oil_c == pytest.approx(22.0 + (hot_c - 22.0) / math.e, abs=1e-3)


def test_at_sixty_degrees_the_beam_ends_in_the_microsecond_that_energy_says() -> None:
    model = beaming(kv=120.0, ma=1.0, ambient_c=55.0)
    run(model, 1000 * S)
    # 5 C x 4000 J/C at 120 W, and half of the ramp brings nothing
    assert model.courses[0].off_us == START_US + math.ceil(5 * 4000 / 120 * S + 75_000)
    assert model.fault_bits(START_US + 167 * S) >= {"over_temperature"}


def test_hot_oil_can_not_be_cleared_until_it_has_cooled() -> None:
    model = beaming(kv=120.0, ma=1.0, ambient_c=55.0)
    run(model, 1000 * S)
    off_us = model.courses[0].off_us
    assert off_us is not None
    model.clear_faults(off_us + 1)
    assert "over_temperature" in model.fault_bits(off_us + 1)
    model.clear_faults(off_us + 60 * S)
    assert model.fault_bits(off_us + 60 * S) == frozenset()


def test_cold_oil_is_a_warning_that_keeps_nothing() -> None:
    model = beaming(ambient_c=-10.0)
    assert model.fault_bits(START_US) == {"under_temperature"}
    assert model.beam_on(START_US)


# --- battery


def test_a_drained_battery_ends_the_beam_when_the_voltage_under_load_reaches_21_v() -> None:
    model = monoblock(kv=120.0, ma=1.0)
    model.battery.charge = 0.06
    lasts_s = EFFICIENCY * model.battery.lasts_j(120.0 / EFFICIENCY) / 120.0
    model.start(START_US)
    before_us = START_US + int(lasts_s * S)
    assert model.reading(before_us).battery_v == pytest.approx(21.0, abs=0.01)
    run(model, 600 * S)
    assert model.courses[0].off_us == START_US + math.ceil(lasts_s * S + 75_000)
    assert model.fault_bits(600 * S) == {"battery_low"}


def test_a_battery_that_can_not_bear_the_load_at_all_ends_the_beam_after_the_ramp() -> None:
    model = monoblock(kv=120.0, ma=1.0)
    model.battery.charge = 0.04  # 21.8 V without a load
    assert model.start(START_US)
    run(model, 2 * S)
    assert model.courses[0].off_us == START_US + 150_000


def test_the_voltage_comes_back_without_the_load_and_the_bit_stays_until_cleared() -> None:
    model = monoblock(kv=120.0, ma=1.0)
    model.battery.charge = 0.05
    model.start(START_US)
    run(model, 600 * S)
    assert model.reading(600 * S).battery_v > 21.0
    model.clear_faults(600 * S)
    assert model.fault_bits(600 * S) == frozenset()


def test_a_low_battery_without_a_beam_is_shown_as_long_as_it_is_low() -> None:
    model = monoblock()
    model.battery.stuck_v = 20.5
    assert model.fault_bits(1 * S) == {"battery_low"}
    model.battery.stuck_v = 24.0
    assert model.fault_bits(1 * S) == frozenset()


def test_the_energy_of_a_beam_is_taken_from_the_battery_once() -> None:
    model = beaming(kv=100.0, ma=1.0)
    model.stop(11 * S)
    model.start(20 * S)
    model.stop(20 * S)
    energy_j = 100.0 * (10 - 0.075 + FALL_US / 2 / S)
    taken_j = (0.9 - model.battery.charge) * 216_000.0
    assert taken_j == pytest.approx(energy_j / EFFICIENCY)


# --- planted faults, and what the feedback shows


def test_off_may_be_ignored_but_not_the_pair() -> None:
    model = beaming()
    model.ignore_off = True
    model.stop(2 * S)
    assert model.beam_on(2 * S)
    model.set_interlock(3 * S, False)
    assert model.courses[0].off_us == 3 * S


def test_a_drifted_divider_is_invisible_in_the_feedback() -> None:
    model = monoblock(kv=80.0)
    model.kv_factor = 1.15
    model.start(START_US)
    true_kv = model.exposure(0, 2 * S)[1]
    assert true_kv == pytest.approx(92.0)
    assert model.reading(2 * S).kv == pytest.approx(80.0, rel=0.01)


def test_a_wrong_current_is_seen_in_the_feedback_and_in_the_charge() -> None:
    model = monoblock(ma=0.5)
    model.ma_factor = 1.3
    model.start(START_US)
    assert model.reading(2 * S).ma == pytest.approx(0.65, rel=0.01)
    charge_mas = model.exposure(0, START_US + 1_150_000)[0]
    assert charge_mas == pytest.approx(0.65 * 1.075)


def test_the_exposure_is_the_sum_of_all_beams_in_the_interval() -> None:
    model = beaming()
    model.stop(2 * S)
    model.start(3 * S)
    model.stop(4 * S)
    one_mas = 0.5 * (1.0 - 0.075 + FALL_US / 2 / S)
    assert model.exposure(0, 10 * S) == pytest.approx((2 * one_mas, 80.0))
    assert model.exposure(5 * S, 10 * S) == (0.0, 0.0)


def test_the_same_seed_shows_the_same_noise() -> None:
    shown = [beaming(seed=7).reading(2 * S) for _ in range(2)]
    assert shown[0] == shown[1]
    assert beaming(seed=8).reading(2 * S) != shown[0]


def test_the_hours_count_the_beam() -> None:
    model = beaming()
    model.stop(START_US + 90 * S)
    assert model.on_time_s() == 90.0
