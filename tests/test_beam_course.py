"""kV and mA over a beam in closed form, against sums of small steps: fall, overshoot, warming."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from hal.now import NEVER_US
from sim import beam
from sim.beamline import BeamCourse, Regulation
from sim.cable import fall_us
from sim.meter import SimMeter
from sim.radiographic import RATINGS, RadiographicModel
from sim.transient import Transient

MS = 1_000
OVER, UNDER = Transient(0.2, 5_000), Transient(0.6, 40_000)


def course_of(**changes: object) -> BeamCourse:
    settings: dict[str, object] = {"on_us": 2_000, "kv": 80.0, "ma": 100.0, "ramp_us": 3_000,
                                   "fall_us": 2_000}  # fmt: skip
    return BeamCourse(**(settings | changes))  # type: ignore[arg-type]


def by_steps(from_us: int, to_us: int, what: Callable[[int], float]) -> float:
    """The integral by the midpoint rule, in seconds."""
    return sum(what(t_us + 1) for t_us in range(from_us, to_us, 2)) * 2 / 1e6


# --- the fall: what the cable holds


@pytest.mark.parametrize(
    ("kv", "ma", "falls_us"),
    [(80.0, 100.0, 320), (80.0, 10.0, 3_200), (40.0, 10.0, 1_600), (80.0, 16.0, 2_000),
     (133.0, 5.0, 10_000), (80.0, 0.0, 10_000)],
)  # fmt: skip
def test_a_tube_discharges_its_cable_the_slower_the_less_current_it_takes(
    kv: float, ma: float, falls_us: int
) -> None:
    assert fall_us(0.4, kv, ma, 10_000) == falls_us


def test_without_a_cable_a_fall_takes_as_long_at_any_current() -> None:
    assert [fall_us(None, 80.0, ma, 4_000) for ma in (0.0, 1.0, 400.0)] == [4_000] * 3


def radiographic(kv: float = 80.0, ma: float = 100.0, **faults: float) -> RadiographicModel:
    """From 0 on in a beam; its filament has been hot for long."""
    model = RadiographicModel()
    model.rotor.run_up(-10_000 * MS)
    model.set_supply(-1, True)
    model.set_interlock(-1, True)
    model.set_kv(-1, kv)
    model.set_ma(-1, ma)
    for name, value in faults.items():
        setattr(model, name, value)
    assert model.start(0)
    return model


@pytest.mark.parametrize("ma", [8.0, 16.0, 100.0, 400.0])
def test_the_same_charge_flows_in_the_fall_at_any_current(ma: float) -> None:
    model = radiographic(ma=ma)
    model.stop(50 * MS)
    course = model.courses[-1]
    assert RATINGS.cable_nf == 0.1
    assert course.charge_mas(50 * MS, 99 * MS) == pytest.approx(0.008, abs=2e-4)  # 0.1 nF, 80 kV
    held_j = 0.1e-9 * 80e3**2 / 2
    assert course.energy_j(50 * MS, 99 * MS) == pytest.approx(held_j, rel=0.01)
    assert course.light_mas(50 * MS, 99 * MS) == pytest.approx(0.004, abs=1e-4)


def test_kv_falls_on_a_straight_line_and_ma_stays_until_it_is_gone() -> None:
    model = radiographic(ma=10.0)
    model.stop(50 * MS)
    seen = [(model.courses[-1].level(t), model.courses[-1].ma_level(t))
            for t in (50_000, 50_400, 50_799, 50_800)]  # fmt: skip
    assert seen == [(1.0, 1.0), (0.5, 1.0), (pytest.approx(1 / 800), 1.0), (0.0, 0.0)]
    assert model.courses[-1].gone_us() == 50_000 + 720  # below a tenth


def test_a_fault_of_kv_or_ma_changes_the_fall_and_a_slow_one_overrides_it() -> None:
    for faults, falls_us in (
        ({"ma_off_pct": 100.0}, 400), ({"kv_off_pct": -50.0}, 400),
        ({"filament_open": True}, 10_000), ({"slow_fall_us": 40_000}, 40_000),
    ):  # fmt: skip
        model = radiographic(ma=10.0, **faults)
        model.stop(50 * MS)
        assert model.courses[-1].fall_us == falls_us
    slow = radiographic(ma=10.0, slow_fall_us=40_000)
    slow.stop(50 * MS)
    assert slow.courses[-1].charge_mas(50 * MS, 99 * MS) == pytest.approx(10.0 * 0.020)


# --- closed forms against small steps


@pytest.mark.parametrize("off_us", [None, 4_000, 5_000, 60_000])
@pytest.mark.parametrize("discharges", [False, True])
@pytest.mark.parametrize("ramp_us", [0, 3_000])
@pytest.mark.parametrize("transients", [{}, {"overshoot": OVER}, {"deficit": UNDER},
                                        {"overshoot": OVER, "deficit": UNDER}])  # fmt: skip
def test_charge_light_and_energy_are_the_sums_of_small_steps(
    off_us: int | None, discharges: bool, ramp_us: int, transients: dict[str, Transient]
) -> None:
    course = course_of(off_us=off_us, discharges=discharges, ramp_us=ramp_us, **transients)
    course.regulations += [Regulation(20_000, 112.0, 90.0), Regulation(40_000, 100.0, 120.0)]
    top_us = 2_000 + ramp_us

    def ma(t_us: int) -> float:
        return 100.0 * course.ma_level(t_us) * course.regulation(t_us).ma_pct / 100

    def power_w(t_us: int) -> float:
        share = 1 + course.overshoot.share if t_us <= top_us else course.level(t_us)
        falls = off_us is not None and t_us > off_us
        if falls and off_us is not None:
            share = course._kv_share(off_us) if off_us > top_us else 1 + course.overshoot.share
            share *= course._left(t_us) if discharges else 1.0
        return 80.0 * share * course.regulation(t_us).kv_pct / 100 * ma(t_us)

    for from_us, to_us in ((0, 3_000), (2_500, 30_000), (21_000, 61_200), (0, 70_000)):
        expected_mas, expected_j = by_steps(from_us, to_us, ma), by_steps(from_us, to_us, power_w)
        assert course.charge_mas(from_us, to_us) == pytest.approx(expected_mas, abs=2e-4)
        assert course.energy_j(from_us, to_us) == pytest.approx(expected_j, abs=0.02)
    if not discharges or off_us is None:
        assert course.light_mas(0, 70_000) == course.charge_mas(0, 70_000)
    else:
        half = course.charge_mas(off_us, 70_000) / 2
        assert course.light_mas(off_us, 70_000) == pytest.approx(half)


@pytest.mark.parametrize("transients", [{}, {"overshoot": OVER}, {"deficit": UNDER},
                                        {"overshoot": OVER, "deficit": UNDER}])  # fmt: skip
@pytest.mark.parametrize("charge_mas", [0.0, 0.01, 0.15, 1.0, 5.0, 640.0])
def test_when_is_the_inverse_of_how_much_to_the_microsecond(
    charge_mas: float, transients: dict[str, Transient]
) -> None:
    course = course_of(discharges=True, **transients)
    reached_us, spent_us = course.reaches_us(charge_mas), course.spends_us(80 * charge_mas)
    assert course.charge_mas(0, reached_us) >= charge_mas - 1e-9
    assert course.charge_mas(0, reached_us - 1) <= charge_mas
    assert course.energy_j(0, spent_us) >= 80 * charge_mas - 1e-9
    assert course.energy_j(0, spent_us - 1) <= 80 * charge_mas


@pytest.mark.parametrize("discharges", [False, True])
@pytest.mark.parametrize("transients", [{}, {"overshoot": OVER}])
@pytest.mark.parametrize("charge_mas", [0.01, 0.25, 0.3, 0.36, 5.0])
def test_a_beam_that_is_ended_in_time_makes_its_charge_with_all_of_its_fall(
    charge_mas: float, discharges: bool, transients: dict[str, Transient]
) -> None:
    course = course_of(discharges=discharges, **transients)
    course.off_us = course.makes_us(charge_mas)
    assert course.charge_mas(0, course.off_us + 2_000) == pytest.approx(charge_mas, abs=2e-4)


def test_what_never_comes_is_never_reached_whatever_settles() -> None:
    course = course_of(deficit=UNDER, off_us=20_000)
    assert course.reaches_us(5.0) == NEVER_US


# --- what settles


def test_an_overshoot_ends_the_rise_and_is_1_by_e_in_its_time() -> None:
    course = course_of(overshoot=OVER)
    assert course.level(3_500) == pytest.approx(0.5 * 1.2)
    assert course.level(5_000) == pytest.approx(1.2)
    assert course.level(10_000) == pytest.approx(1 + 0.2 / math.e)
    assert course.ma_level(10_000) == 1.0
    assert 80.0 < course.peak_kv(0, 100_000) < course.peak_kv(0, 20_000) < 96.0


def test_a_deficit_is_of_the_current_alone() -> None:
    course = course_of(deficit=UNDER)
    assert course.ma_level(42_000) == pytest.approx(1 - 0.6 / math.e)
    assert (course.level(42_000), course.peak_kv(0, 50_000)) == (1.0, 80.0)


def test_a_transient_that_starts_later_is_the_same_one() -> None:
    assert UNDER.from_age(10_000).at(5_000) == pytest.approx(UNDER.at(15_000))
    both = UNDER.times(OVER)
    assert both.at(7_000) == pytest.approx(UNDER.at(7_000) * OVER.at(7_000))


def test_an_overshoot_settles_in_a_third_of_the_rise_unless_told_otherwise() -> None:
    told = radiographic(overshoot_pct=10.0).courses[-1].overshoot
    assert told == Transient(0.1, 1_000)
    assert radiographic(overshoot_pct=10.0, slow_rise_us=300_000).courses[-1].overshoot == (
        Transient(0.1, 100_000)
    )
    own = radiographic(overshoot_pct=10.0, overshoot_settles_us=7_000).courses[-1].overshoot
    assert own == Transient(0.1, 7_000)
    assert not radiographic().courses[-1].overshoot.share


def test_what_feedback_shows_of_an_overshoot_is_what_there_is() -> None:
    model = radiographic(overshoot_pct=20.0, overshoot_settles_us=10_000)
    for t_us in (1_500, 3_000, 13_000):
        course = model.courses[-1]
        assert model.reading(t_us).kv == pytest.approx(80.0 * course.level(t_us), rel=0.01)
    assert model.reading(3_000).kv == pytest.approx(96.0, rel=0.01)
    assert model.account(20_000)[0] == pytest.approx(course.peak_kv(0, 20_000), rel=0.01)
    assert 84.0 < course.peak_kv(0, 20_000) < 96.0


def test_panel_and_meter_count_half_of_what_flows_in_the_fall() -> None:
    model = radiographic(ma=10.0)
    model.set_time_us(0, 20 * MS)
    model.stop(20 * MS)
    course, meter = model.courses[-1], SimMeter()
    meter.follow(course, 2.5)
    (reading,) = meter.readings()
    assert reading.mas == pytest.approx(0.2 - 0.015 + 0.008)
    assert model.light(0, 99 * MS).mas == pytest.approx(0.2 - 0.015 + 0.004)
    kerma_ugy = beam.kerma_ugy(80.0, 0.2 - 0.015 + 0.004)
    assert reading.kerma_ugy == pytest.approx(kerma_ugy, rel=0.012)  # four of its sigmas
