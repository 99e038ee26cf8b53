"""What a battery takes and gives at rest, on its charger and under load; walked or jumped over."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.now import NEVER_US, Now
from sim.battery import Battery
from sim.drive_battery import DriveBattery
from sim.generator import MonoblockModel
from sim.radiographic import RadiographicModel

S = 1_000_000
HOUR_US = 3_600 * S
DRIVE_J = 1e6 / 0.49  # a mobile's full charge
PACK_J = 216_000.0


def plugged(model: MonoblockModel, t_us: int, lead: bool = True) -> None:
    """As the verb does it: set, and the model looks."""
    model.battery.charger_plugged = lead
    model.advance(Now(t_us))


# --- a mobile's battery


def test_a_mobile_that_stands_switched_on_takes_40_w() -> None:
    model = RadiographicModel()
    assert model.charge(5 * HOUR_US) == pytest.approx(0.9 - 40 * 5 * 3_600 / DRIVE_J)
    assert model.charge(30 * 24 * HOUR_US) == 0.0


def test_switched_off_it_takes_nothing_until_it_is_switched_on_again() -> None:
    model = RadiographicModel()
    model.power(HOUR_US, False)
    at_off = model.charge(HOUR_US)
    assert model.charge(100 * HOUR_US) == at_off
    model.power(100 * HOUR_US, True)
    assert at_off - model.charge(101 * HOUR_US) == pytest.approx(40 * 3_600 / DRIVE_J)


@pytest.mark.parametrize(("on", "watts"), [(True, 70.0), (False, 110.0)])
def test_the_charger_gives_110_w_less_what_the_unit_takes(on: bool, watts: float) -> None:
    model = RadiographicModel()
    model.charge_battery(0, 0.2)
    model.power(0, on)
    plugged(model, 0)
    assert model.charge(3 * HOUR_US) == pytest.approx(0.2 + watts * 3 * 3_600 / DRIVE_J)


def test_from_empty_it_is_full_in_eight_hours_and_stays_full() -> None:
    model = RadiographicModel()
    model.charge_battery(0, 0.0)
    plugged(model, 0)
    assert model.charge(8 * HOUR_US) < 1.0
    assert model.charge(8 * HOUR_US + HOUR_US // 6) == 1.0
    plugged(model, 200 * HOUR_US, lead=False)
    assert model.charge(200 * HOUR_US) == 1.0  # not what eight days of charging would be
    assert model.charge(201 * HOUR_US) == pytest.approx(1.0 - 40 * 3_600 / DRIVE_J)


def test_the_lead_counts_from_the_moment_at_which_it_is_put_in() -> None:
    model = RadiographicModel()
    plugged(model, 2 * HOUR_US)
    taken_j = 40 * 2 * 3_600 - 70 * 3_600
    assert model.charge(3 * HOUR_US) == pytest.approx(0.9 - taken_j / DRIVE_J)


@given(
    looks_us=st.lists(st.integers(1, 3 * HOUR_US), max_size=12),
    changes=st.lists(st.sampled_from(["lead", "off", "on", "beam"]), max_size=8),
)
def test_walked_or_jumped_over_the_charge_is_the_same(
    looks_us: list[int], changes: list[str]
) -> None:
    often, seldom = _ready(), _ready()
    t_us = 2 * S
    for change, more_us in zip(changes, [*looks_us, *[HOUR_US] * len(changes)], strict=False):
        for model in (often, seldom):
            _change(model, change, t_us)
        for part in range(1, 8):
            at_us = t_us + more_us * part // 8
            often.advance(Now(at_us))
            often.fault_bits(at_us)
        t_us += more_us
    assert often.charge(t_us) == seldom.charge(t_us)


def _ready(**set_points: Any) -> RadiographicModel:
    """A mobile with its rotor at speed, which nothing but the battery stops."""
    model = RadiographicModel()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_watchdog(0, on=False)
    model.set_kv(0, set_points.get("kv", 80.0))
    model.set_ma(0, set_points.get("ma", 100.0))
    model.rotor.run_up(0)
    return model


def _change(model: RadiographicModel, change: str, t_us: int) -> None:
    if change == "lead":
        plugged(model, t_us, lead=not model.battery.charger_plugged)
    elif change == "beam":
        model.start(t_us)
        model.stop(t_us + 100_000)
    else:
        model.power(t_us, change == "on")
        model.set_supply(t_us, True)


# --- its volts


def test_the_bus_falls_in_the_beam_and_comes_back_after_it() -> None:
    model = _ready(ma=400.0)  # 32 kW: 65 306 W from ten blocks
    model.charge_battery(0, 1.0)
    before_v = model.reading(2 * S).battery_v
    assert model.start(2 * S)
    in_beam_v = model.reading(2 * S + 10_000).battery_v
    model.stop(2 * S + 10_000)
    after_v = model.reading(2 * S + 20_000).battery_v
    assert before_v == pytest.approx(26.4, abs=0.001)
    assert in_beam_v == pytest.approx(26.4 - 6_530.6 / 26.4 * 0.010, abs=0.003)
    assert after_v == pytest.approx(before_v, abs=0.003)


@pytest.mark.parametrize("charge", [0.101, 0.5, 1.0])
def test_a_sound_battery_bears_full_power_down_to_its_tenth(charge: float) -> None:
    battery = DriveBattery(charge)
    assert not battery.is_low(32_000 / 0.49)
    assert battery.lasts_j(32_000 / 0.49) == pytest.approx((charge - 0.1) * DRIVE_J)


def test_weak_cells_look_full_and_end_a_large_beam_when_it_is_up() -> None:
    for ma, ends in ((100.0, False), (400.0, True)):
        model = _ready(ma=ma)
        model.battery.weak_cells = 4.0
        assert model.battery_pct(2 * S) == pytest.approx(90.0, abs=0.1)
        assert model.start(2 * S)
        model.advance(Now(2 * S + 3_000))
        model.advance(Now(2 * S + 50_000))
        assert model.beam_on(2 * S + 50_000) is not ends
        assert ("battery_low" in model.fault_bits(2 * S + 50_000)) is ends


@pytest.mark.parametrize("weak_cells", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("load_w", [0.0, 8_000.0, 65_000.0])
def test_what_a_drive_battery_lasts_is_where_small_steps_find_it_low(
    weak_cells: float, load_w: float
) -> None:
    battery = DriveBattery(0.8)
    battery.weak_cells = weak_cells
    step_j, taken_j = 500.0, 0.0
    while not battery.is_low(load_w, taken_j):
        taken_j += step_j
    assert battery.lasts_j(load_w) == pytest.approx(taken_j, abs=step_j)


def test_a_converter_that_is_pulled_to_nothing_shows_no_negative_volts() -> None:
    for battery in (DriveBattery(0.5), Battery(0.5)):
        battery.weak_cells = 20.0
        assert battery.volts(100_000.0) == 0.0


def test_a_beam_that_drains_the_battery_ends_at_its_tenth_standby_and_rotor_counted() -> None:
    model = _ready(ma=10.0)  # 800 W in the tube, which its anode bears for ever
    model.charge_battery(0, 0.12)
    assert model.start(2 * S)
    now = Now(2 * S)
    model.advance(now)
    while model.beam_on(now.t_us):
        now = Now(now.next_us)
        model.advance(now)
    # At rest 2 s of 40 W; in the beam 40 W and the tube, and from 10 s of rotor on 120 W.
    charge_j = 0.02 * DRIVE_J - 40 * 2.0 + 8 * 120
    wanted_s = charge_j / (800 / 0.49 + 40 + 120)
    assert (now.t_us / S - 2) == pytest.approx(wanted_s + 0.0015, abs=0.002)
    assert model.charge(now.t_us) == pytest.approx(0.1, abs=2e-6)
    assert "battery_low" in model.fault_bits(now.t_us)


@pytest.mark.parametrize("lead", [False, True])
@pytest.mark.parametrize("ma", [10.0, 400.0])
@pytest.mark.parametrize("charge", [0.12, 0.5, 1.0])
def test_when_a_beam_drains_the_battery_is_found_exactly_and_without_a_long_search(
    lead: bool, charge: float, ma: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A charger's lead, put in within a short one, lets it go on for longer than the tube alone."""
    model = _ready(ma=ma)
    model.charge_battery(0, charge)
    assert model.start(2 * S)
    plugged(model, 2 * S + 100_000, lead)
    assert model.beam_on(2 * S + 100_000)
    energy, course = model.energy, model.courses[-1]
    asked_us: list[int] = []
    taken_j = energy.taken_j

    def counted_j(t_us: int) -> float:
        asked_us.append(t_us)
        return taken_j(t_us)

    monkeypatch.setattr(energy, "taken_j", counted_j)
    found_us = energy.drained_us(course)
    lasts_j = model.battery.lasts_j(energy._load_w(course, NEVER_US))
    assert taken_j(found_us - 1) < lasts_j <= taken_j(found_us)
    assert lead or len(asked_us) <= 31  # half an hour in us


def test_a_battery_that_is_low_already_is_drained_at_once() -> None:
    model = _ready(ma=10.0)
    model.charge_battery(0, 0.12)
    assert model.start(2 * S)
    model.advance(Now(3 * S))
    model.battery.charge = 0.05
    model.energy.close(5 * S)
    assert model.energy.drained_us(model.courses[-1]) == 5 * S


def test_a_battery_that_runs_down_at_rest_says_when_it_will_be_too_low() -> None:
    model = RadiographicModel()
    model.charge_battery(0, 0.11)
    now = Now(S)
    model.advance(now)
    low_us = now.next_us
    assert low_us == math.ceil(0.01 * DRIVE_J / 40 * S)
    assert "battery_low" not in model.fault_bits(low_us - 1_000)
    assert "battery_low" in model.fault_bits(low_us + 1)
    after = Now(low_us + 1)
    model.advance(after)
    assert after.next_us == NEVER_US


# --- a monoblock's pack


def test_its_pack_is_full_two_hours_after_21_v() -> None:
    """SPC-P366: 2 h from the low line at 21 V; our own line has 1 / 44 there."""
    model = MonoblockModel()
    model.charge_battery(0, 1 / 44)
    assert model.reading(0).battery_v == pytest.approx(21.0)
    plugged(model, 0)
    assert model.charge(2 * HOUR_US) == pytest.approx(1.0, abs=0.002)
    assert model.charge(HOUR_US) == pytest.approx((1 + 1 / 44) / 2, abs=0.002)


def test_it_takes_nothing_at_rest_and_may_beam_on_its_lead() -> None:
    model = MonoblockModel()
    assert model.charge(1_000 * HOUR_US) == 0.9
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, 80.0)
    model.set_ma(0, 0.5)
    plugged(model, 1_000 * HOUR_US)
    assert model.start(1_000 * HOUR_US)


def test_a_lead_put_in_within_a_beam_lets_heat_and_drain_end_it_where_they_would() -> None:
    plain, fed = (MonoblockModel(ambient_c=55.0) for _ in range(2))
    ends_us = []
    for model in (plain, fed):
        model.set_supply(0, True)
        model.set_interlock(0, True)
        model.set_kv(0, 120.0)
        model.set_ma(0, 1.0)
        model.set_watchdog(0, on=False)
        assert model.start(0)
        if model is fed:
            plugged(model, 100 * S)
        now = Now(101 * S)
        model.advance(now)
        while model.beam_on(now.t_us):
            now = Now(now.next_us)
            model.advance(now)
        ends_us.append(now.t_us)
    assert ends_us[1] == pytest.approx(ends_us[0], abs=1)  # 5 C at 120 W
    taken_j = 120 * (ends_us[0] / S - 0.075) / 0.49
    assert plain.charge(ends_us[0]) == pytest.approx(0.9 - taken_j / PACK_J)
    fed_j = 29.3 * (ends_us[0] / S - 100)
    assert fed.charge(ends_us[0]) == pytest.approx(0.9 - (taken_j - fed_j) / PACK_J)


def test_a_beam_of_less_power_than_the_unit_at_rest_goes_on_while_there_is_charge() -> None:
    model = _ready(kv=70.0, ma=1.0)  # 143 W from the battery, beside 40 W and a rotor's 120 W
    assert model.start(2 * S)
    model.advance(Now(2 * S + 3_000))
    model.advance(Now(10 * S))
    assert model.beam_on(10 * S)
    taken_j = 0.8 * DRIVE_J - 40 * 2 + 8 * 120 + 70 / 0.49 * 0.0015
    now = Now(10 * S)
    model.advance(now)
    while model.beam_on(now.t_us):
        now = Now(now.next_us)
        model.advance(now)
    assert (now.t_us / S - 2) == pytest.approx(taken_j / (70 / 0.49 + 160), abs=0.01)
