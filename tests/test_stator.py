"""The stator of a rotating anode is heat in its housing: E x I x t x power factor."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.now import Now
from sim.radiographic import RadiographicModel
from sim.rotor import BRAKE_US, RUN_UP_US, Rotor
from sim.tube_heat import Store

S = 1_000_000
# Varian B-100: 120 V, 4.0 A boosted; of 50-60 V 55 V running, its current in proportion; 0.5.
BOOST_W = 120.0 * 4.0 * 0.5
RUN_W = 55.0 * (4.0 * 55.0 / 120.0) * 0.5
TAU_S = 1_110_000.0 / 308.0  # of the housing of sim-rad32


def joules(rotor: Rotor, from_us: int, to_us: int) -> float:
    return sum((to - since) / S * watts for since, to, watts in rotor.stator(from_us, to_us))


def test_a_rotor_that_is_kept_turning_for_an_hour_warms_the_housing() -> None:
    model = RadiographicModel()
    model.rotor.run_up(0)
    heat = model.heat(3_600 * S)
    # 50.4 W for an hour, of which the housing has lost a part; and 190 W more for the run-up
    running_j = RUN_W * TAU_S * (1 - math.exp(-3_600 / TAU_S))
    run_up_j = (BOOST_W - RUN_W) * 1.5 * math.exp(-3_599.25 / TAU_S)
    assert heat.housing_j == pytest.approx(running_j + run_up_j, rel=1e-6)
    assert heat.housing_j == pytest.approx(114_823.0 + 104.7, abs=60.0)
    assert heat.anode_j == 0.0


def test_an_exposure_s_ten_seconds_leave_790_j_there() -> None:
    model = RadiographicModel()
    model.rotor.run_up(0)
    model.rotor.brake(10 * S)
    assert model.heat(10 * S).housing_j == pytest.approx(1.5 * 240 + 8.5 * 50.4167, rel=0.002)
    later_j = model.heat(3_610 * S).housing_j
    assert later_j / model.heat(10 * S).housing_j == pytest.approx(math.exp(-3_600 / TAU_S))


def test_what_turns_already_is_boosted_the_shorter() -> None:
    rotor = Rotor()
    rotor.run_up(0)
    rotor.brake(10 * S)
    rotor.run_up(10 * S + BRAKE_US // 5)  # at four fifths of its speed: 0.3 s
    assert joules(rotor, 10 * S, 21 * S) == pytest.approx(0.3 * BOOST_W + 9.7 * RUN_W)


def test_one_that_is_braked_in_its_run_up_was_boosted_until_then() -> None:
    rotor = Rotor()
    rotor.run_up(0)
    rotor.brake(S)
    assert joules(rotor, 0, 60 * S) == pytest.approx(1.0 * BOOST_W)


@pytest.mark.parametrize(
    ("fault", "boosted_s"), [({"rotor_stuck": True}, 1.5), ({"rotor_slow_us": 6 * S}, 6.0)]
)
def test_a_stuck_or_slow_one_is_boosted_as_long_as_its_starter_does(
    fault: dict[str, int], boosted_s: float
) -> None:
    rotor = Rotor()
    for name, value in fault.items():
        setattr(rotor, name, value)
    rotor.run_up(0)
    assert joules(rotor, 0, 10 * S) == pytest.approx(boosted_s * BOOST_W + (10 - boosted_s) * RUN_W)


def test_a_full_housing_that_only_its_stator_warms_refuses_the_start_at_last() -> None:
    """308 W of loss hold 50 W for ever; a starter that boosts again and again is too much."""
    model = RadiographicModel()
    t_us = 0
    for _ in range(10_000):
        model.rotor.run_up(t_us)
        model.rotor.brake(t_us + RUN_UP_US)
        t_us += RUN_UP_US + BRAKE_US
    assert model.heat(t_us).housing_j / 1_110_000 == pytest.approx(
        BOOST_W * 1.5 / 6.5 / 308, rel=0.02
    )


@given(st.lists(st.integers(1, 900 * S), min_size=2, max_size=10), st.booleans())
def test_walked_in_any_pieces_the_heat_is_the_same(spans_us: list[int], beams: bool) -> None:
    """Closing segments in between, by a lead that goes in and out, moves no joule."""
    walked, jumped = RadiographicModel(), RadiographicModel()
    t_us = 0
    for index, span_us in enumerate(spans_us):
        for model in (walked, jumped):
            (model.rotor.run_up if index % 2 == 0 else model.rotor.brake)(t_us)
        for part in (1, 2):
            at_us = t_us + span_us * part // 3
            walked.battery.charger_plugged = part == 1
            walked.advance(Now(at_us))
        t_us += span_us
    one, other = walked.heat(t_us), jumped.heat(t_us)
    assert one.housing_j == pytest.approx(other.housing_j, rel=1e-9, abs=1e-6)


def test_of_a_power_a_store_has_left_what_it_has_not_lost() -> None:
    store = Store(full_j=1_000.0, cooling_w=10.0)  # 100 s
    assert store.left_j(5.0, 30.0, 30.0) == 0.0
    assert store.left_j(5.0, 300.0, 0.0) == pytest.approx(store.after(0.0, 300.0, 5.0))
    assert store.left_j(5.0, 300.0, 200.0) == pytest.approx(
        store.after(store.after(0.0, 100.0, 5.0), 200.0)
    )
