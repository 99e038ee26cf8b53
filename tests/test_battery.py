"""The battery: what the document says of it, and its closed form against small steps."""

from __future__ import annotations

import math

import pytest

from sim.battery import CAPACITY_J, EFFICIENCY, LOW_V, Battery


def test_a_full_pack_lasts_the_fourteen_minutes_at_120_w_of_the_specification() -> None:
    # SPC-P366 R4 (protocols.md 2.6): "14 min at 120 W"
    seconds = Battery(charge=1.0).lasts_j(120.0 / EFFICIENCY) * EFFICIENCY / 120.0
    assert seconds == pytest.approx(14 * 60, rel=0.01)


def test_the_pack_holds_24_v_and_2500_mah() -> None:
    assert CAPACITY_J == 216_000.0


@pytest.mark.parametrize(
    ("charge", "volts"), [(1.0, 26.4), (0.55, 25.4), (0.1, 24.4), (0.05, 22.2), (0.0, 20.0)]
)
def test_without_a_load_the_voltage_follows_two_straight_lines(charge: float, volts: float) -> None:
    assert Battery(charge).volts(0.0) == pytest.approx(volts)


def test_the_voltage_sags_by_current_times_resistance() -> None:
    # 25.4 V and 245 W are 9.646 A; times 0.08 ohm
    assert Battery(0.55).volts(245.0) == pytest.approx(25.4 - 245.0 / 25.4 * 0.08)


@pytest.mark.parametrize("load_w", [0.0, 60.0, 245.0])
@pytest.mark.parametrize("charge", [1.0, 0.5, 0.08])
def test_what_it_lasts_is_where_small_steps_find_the_low_voltage(
    charge: float, load_w: float
) -> None:
    step_j, taken_j = 20.0, 0.0
    while Battery(charge).volts(load_w, taken_j) >= LOW_V:
        taken_j += step_j
    assert Battery(charge).lasts_j(load_w) == pytest.approx(taken_j, abs=step_j)


def test_an_empty_pack_lasts_for_nothing_and_takes_no_more() -> None:
    pack = Battery(0.0)
    pack.take(1000.0)
    assert (pack.charge, pack.lasts_j(10.0)) == (0.0, 0.0)


def test_what_is_taken_is_booked_like_what_is_still_being_taken() -> None:
    booked = Battery(0.9)
    booked.take(50_000.0)
    assert booked.volts(100.0) == Battery(0.9).volts(100.0, 50_000.0)


@pytest.mark.parametrize(("stuck_v", "lasts_j"), [(20.9, 0.0), (21.0, math.inf)])
def test_a_stuck_voltmeter_is_believed(stuck_v: float, lasts_j: float) -> None:
    pack = Battery()
    pack.stuck_v = stuck_v
    assert (pack.volts(300.0, 200_000.0), pack.lasts_j(300.0)) == (stuck_v, lasts_j)
