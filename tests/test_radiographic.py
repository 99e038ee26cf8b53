"""The simulated radiographic generator: a rotor that must be at speed, a mobile's battery."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import State, read_status, status_bytes
from hal.now import NEVER_US, Now
from hal.types import GeneratorState
from rig.bench import load_bench
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, load_scenario
from sim.battery import Supply
from sim.radiographic import RATINGS, RadiographicModel
from sim.rotor import BRAKE_US, FULL_RPM, RUN_UP_US, Rotor
from sim.tube_heat import Heat


def started(**faults: bool) -> Rotor:
    rotor = Rotor()
    for name, value in faults.items():
        setattr(rotor, name, value)
    rotor.run_up(1_000_000)
    return rotor


def test_a_rotor_is_at_speed_when_its_run_up_is_over_and_not_a_microsecond_before() -> None:
    rotor = started()
    now = Now(1_000_000 + RUN_UP_US - 1)
    assert not rotor.at_speed(now)
    assert now.next_us == 1_000_000 + RUN_UP_US  # whoever waits is woken for it
    assert rotor.at_speed(Now(1_000_000 + RUN_UP_US))
    assert rotor.rpm(1_000_000 + RUN_UP_US // 2) == FULL_RPM / 2
    assert rotor.rpm(60_000_000) == FULL_RPM


def test_a_second_order_to_run_up_or_to_brake_changes_nothing() -> None:
    rotor = started()
    rotor.run_up(2_000_000)
    assert rotor.full_us() == 1_000_000 + RUN_UP_US
    rotor.brake(10_000_000)
    rotor.brake(11_000_000)
    assert rotor.rpm(10_000_000 + BRAKE_US // 2) == FULL_RPM / 2
    assert rotor.rpm(10_000_000 + 2 * BRAKE_US) == 0.0
    assert not rotor.at_speed(Now(10_000_000))


def test_what_still_turns_is_at_speed_the_sooner() -> None:
    rotor = started()
    rotor.brake(10_000_000)
    rotor.run_up(10_000_000 + BRAKE_US // 5)  # at four fifths of its speed
    assert rotor.full_us() == 10_000_000 + BRAKE_US // 5 + RUN_UP_US // 5


def test_a_rotor_that_is_stuck_is_never_at_speed_and_one_that_lies_is_at_once() -> None:
    stuck = started(rotor_stuck=True)
    assert (stuck.full_us(), stuck.rpm(60_000_000)) == (NEVER_US, 0.0)
    assert not stuck.at_speed(Now(60_000_000))
    assert started(rotor_lies=True).at_speed(Now(1_000_000))


def _ready_to_beam() -> RadiographicModel:
    model = RadiographicModel()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, 80.0)
    model.set_ma(0, 100.0)
    model.set_time_us(0, 25_000)
    return model


def test_a_start_is_refused_while_the_rotor_is_not_at_speed() -> None:
    model = _ready_to_beam()
    assert not model.start(0)
    model.rotor.run_up(0)
    assert not model.start(RUN_UP_US - 1)
    assert model.start(RUN_UP_US)
    model.power(RUN_UP_US + 1, False)
    assert model.rotor.rpm(RUN_UP_US + 1 + BRAKE_US) == 0.0


@pytest.mark.parametrize(("charge", "starts"), [(0.09, False), (0.11, True)])
def test_a_battery_below_a_tenth_refuses_the_exposure(charge: float, starts: bool) -> None:
    model = _ready_to_beam()
    model.rotor.run_up(0)
    model.charge_battery(0, charge)
    assert model.start(RUN_UP_US) is starts
    assert ("battery_low" in model.fault_bits(RUN_UP_US)) is not starts


@pytest.mark.parametrize(("supply", "starts"), [("battery", False), ("mains", True)])
def test_with_the_charger_s_lead_in_a_mobile_refuses_the_start(
    supply: Supply, starts: bool
) -> None:
    model = RadiographicModel(ratings=replace(RATINGS, supply=supply))
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, 80.0)
    model.set_ma(0, 100.0)
    model.rotor.run_up(0)
    model.battery.charger_plugged = True
    assert model.start(RUN_UP_US) is starts
    model.battery.charger_plugged = False
    assert model.start(RUN_UP_US + 1)


def rested(span_s: float) -> float:
    """The charge that 40 W of standby take."""
    return 40 * span_s / (1e6 / 0.49)


def test_a_full_charge_is_a_megajoule_in_the_tube() -> None:
    model = _ready_to_beam()
    model.charge_battery(0, 1.0)
    model.rotor.run_up(0)
    model.set_time_us(0, 1_000_000)
    model.start(RUN_UP_US)
    model.stop(RUN_UP_US + 1_001_500)  # 8 kW for a second: the ramp of 3 ms counts half
    assert model.charge(RUN_UP_US + 1_100_000) == pytest.approx(
        1 - 8_000 / 1e6 - rested(2.6), abs=1e-5
    )


ANODE_J, ANODE_W, HOUSING_J = 222_000.0, 870.0, 1_110_000.0
S = 1_000_000


def _long_beam(kv: float = 80.0, ma: float = 400.0) -> RadiographicModel:
    """Begun at RUN_UP_US, and nothing but heat will end it."""
    model = _ready_to_beam()
    model.rotor.run_up(0)
    model.charge_battery(0, 1.0)
    model.set_kv(0, kv)
    model.set_ma(0, ma)
    model.set_time_us(0, None)
    model.set_watchdog(0, on=False)
    return model


def _ended_us(model: RadiographicModel, t_us: int) -> tuple[int, int]:
    """(when the beam was over, after how many looks) if one only looks when the model wants it."""
    for looks in range(100):
        now = Now(t_us)
        model.advance(now)
        if not model.beam_on(t_us):
            return t_us, looks
        t_us = now.next_us
    raise AssertionError("it does not end")


def test_a_full_anode_ends_a_beam_and_what_it_loses_meanwhile_counts() -> None:
    model = _long_beam()
    assert model.start(RUN_UP_US)
    end_us, looks = _ended_us(model, RUN_UP_US)
    # dQ/dt = P - Q / tau; the ramp of 3 ms counts half.
    tau_s = ANODE_J / ANODE_W
    full_s = -tau_s * math.log(1 - ANODE_J / (32_000 * tau_s))
    assert full_s == pytest.approx(7.03355, abs=1e-5)
    assert (end_us - RUN_UP_US) / S == pytest.approx(full_s + 0.0015, abs=1e-4)
    assert looks <= 6
    assert "over_temperature" in model.fault_bits(end_us)


def test_a_power_that_the_anode_loses_as_fast_never_ends_a_beam() -> None:
    model = _long_beam(kv=80.0, ma=10.0)  # 800 W of 870
    assert model.start(RUN_UP_US)
    t_us = RUN_UP_US
    for _ in range(50):
        model.advance(Now(t_us))
        assert model.beam_on(t_us)
        t_us += 20 * S
    assert model.heat(t_us).anode_j == pytest.approx(ANODE_J * 800 / 870, rel=0.03)


def test_an_anode_that_is_hot_already_ends_the_beam_the_sooner() -> None:
    model = _long_beam()
    model.warm(RUN_UP_US, Heat(anode_j=0.9 * ANODE_J))
    assert model.start(RUN_UP_US)
    end_us, _ = _ended_us(model, RUN_UP_US)
    mean_w = 32_000 - 0.95 * ANODE_W
    assert (end_us - RUN_UP_US) / S == pytest.approx(0.1 * ANODE_J / mean_w + 0.0015, abs=1e-4)


def test_what_the_cables_discharge_warms_the_anode_too() -> None:
    model = _long_beam()
    assert model.start(RUN_UP_US)
    model.stop(RUN_UP_US + 100_000)
    before_j, after_j = (model.heat(RUN_UP_US + us).anode_j for us in (100_000, 102_000))
    held_j = 0.1e-9 * 80e3**2 / 2  # C V^2 / 2
    assert after_j - before_j == pytest.approx(held_j - before_j * 0.002 / 255, abs=1e-3)
    cooled_j = 1_600 * 0.1 / 255  # half of its heat, a tenth of a second
    assert after_j == pytest.approx(32_000 * (0.1 - 0.0015) + held_j - cooled_j, abs=0.05)


def test_looking_often_or_seldom_gives_the_same_heat_to_the_last_bit() -> None:
    often, seldom = _long_beam(), _long_beam()
    for model, every_us in ((often, 1_000), (seldom, 10 * S)):
        assert model.start(RUN_UP_US)
        for t_us in range(RUN_UP_US, RUN_UP_US + 500_000, every_us):
            model.advance(Now(t_us))
            model.reading(t_us)
        model.stop(RUN_UP_US + 500_000)
        for t_us in range(RUN_UP_US + 500_000, RUN_UP_US + 2 * S, every_us):
            model.reading(t_us)
    assert often.heat(3_600 * S) == seldom.heat(3_600 * S)


def test_the_anode_warms_the_housing_over_hours_and_both_cool_over_days() -> None:
    model = _long_beam(ma=100.0)
    assert model.start(RUN_UP_US)
    model.stop(RUN_UP_US + 10 * S)  # 80 kJ
    model.rotor.brake(RUN_UP_US + 10 * S)  # else its stator would go on
    after = [model.heat(RUN_UP_US + 10 * S + s * S) for s in (0, 600, 3_600, 30 * 86_400)]
    assert after[0].anode_j == pytest.approx(79_990 * (1 - 5 / 255), rel=0.001)
    assert after[1].housing_j > 50_000 > 10_000 > after[1].anode_j
    # The housing's hour: 1.11 MJ at 308 W.
    later = model.heat(RUN_UP_US + 10 * S + 7_200 * S)
    hour = math.exp(-3_600 * 308 / HOUSING_J)
    assert later.housing_j / after[2].housing_j == pytest.approx(hour, rel=1e-4)
    assert after[3].anode_j + after[3].housing_j < 1e-6


@pytest.mark.parametrize(("share", "starts"), [(0.9999, True), (1.001, False)])
def test_a_full_housing_refuses_the_start_and_tells_why(share: float, starts: bool) -> None:
    model = _long_beam()
    model.warm(RUN_UP_US, Heat(housing_j=share * HOUSING_J))
    assert model.start(RUN_UP_US) is starts
    assert ("over_temperature" in model.fault_bits(RUN_UP_US)) is not starts
    model.stop(RUN_UP_US + 1)
    assert "over_temperature" not in model.fault_bits(RUN_UP_US + 60 * S)


def test_its_thermometer_tells_the_fuller_of_anode_and_housing() -> None:
    model = _long_beam()
    shown_c = []
    for heat in (Heat(), Heat(anode_j=ANODE_J / 2), Heat(anode_j=1.0, housing_j=HOUSING_J)):
        model.warm(0, heat)
        shown_c.append(model.reading(0).oil_c)
    assert shown_c == [22.0, 41.0, 60.0]


def test_rotor_and_ready_are_one_thing_in_the_status() -> None:
    model = _ready_to_beam()
    desk = Desk(model)

    def shown(t_us: int) -> tuple[State, int]:
        status = read_status(status_bytes(desk._status(Now(t_us))))
        return status.state, status.rotor_index

    desk._prepare(Now(0), 1)
    assert shown(RUN_UP_US // 2) == (State.PREPARATION, 15)
    assert shown(RUN_UP_US) == (State.READY, 30)  # 3000 rpm in hundreds
    desk._unprepare(Now(RUN_UP_US))
    assert shown(RUN_UP_US + BRAKE_US // 2) == (State.STANDBY, 15)


def _with(verb: str, args: dict[str, Any]) -> ModelRun:
    clean = load_scenario(SHIPPED / "clean_by_mas.toml")
    step = clean.step[0].model_copy(
        update={"event": "start", "do": verb, "args": args, "after_ms": 0.0}
    )
    until = clean.until.model_copy(update={"event": "RELEASE_WAIT", "nth": 2})
    return ModelRun(
        load_bench("mobile"), clean.model_copy(update={"step": [step, *clean.step], "until": until,
                                                       "deadline_s": 15.0})
    )  # fmt: skip


def test_a_rotor_that_does_not_turn_is_a_fault_at_the_end_of_prep_and_no_beam() -> None:
    run = _with("generator", {"rotor_stuck": True})
    seen = run.run()
    (fault,) = [line for line in seen.of("state") if line["to"] == "FAULT"]
    (prep,) = [line for line in seen.of("state") if line["to"] == "PREP"]
    assert fault["t_us"] - prep["t_us"] == run.bench.unit.limits.prep_ms * 1000
    assert fault["faults"] == ["GENERATOR_NOT_READY"]
    assert seen.beams == []
    assert {line.get("state") for line in seen.of("generator")} >= {GeneratorState.PREPARING.value}


def test_a_battery_that_is_too_low_is_refused_before_the_rotor_turns() -> None:
    run = _with("charge battery", {"charge": 0.05})
    seen = run.run()
    assert "PREP" not in seen.states()
    (refused,) = seen.of("refused")
    # by its level; and a message whose number no paper names
    assert refused["because"] == ["BATTERY_EMPTY", "GENERATOR_UNKNOWN"]
    assert run.rung.world.generator.rotor is not None
    assert run.rung.world.generator.rotor.rpm(run.rung.t_us) == 0.0


# --- it counts its mAs itself


def counting(mas: float = 14.0, time_us: int = 710_000, **faults: Any) -> RadiographicModel:
    """A beam of 80 kV and 20 mA from 0 on, until it ends."""
    model = RadiographicModel()
    for name, value in faults.items():
        setattr(model, name, value)
    model.rotor.run_up(-10_000_000)
    model.set_supply(-1, True)
    model.set_interlock(-1, True)
    model.set_kv(-1, 80.0)
    model.set_ma(-1, 20.0)
    model.set_time_us(-1, time_us)
    model.set_charge_mas(-1, mas)
    assert model.start(0)
    now = Now(0)
    model.advance(now)
    while model.beam_on(now.t_us):
        now = Now(now.next_us)
        model.advance(now)
    return model


@pytest.mark.req("SR-20", "F07", "F23")
@pytest.mark.parametrize(
    ("faults", "end_ms", "mas"),
    [
        ({}, 701.1, 14.0),  # half the ramp of 3 ms on top; 0.1 nF at 80 kV give 0.008 mAs after it
        ({"ma_off_pct": 30.0}, 539.654, 14.0),  # 14 mAs all the same, sooner
        ({"ma_off_pct": -25.0}, 710.0, 10.6355),  # not reached in its ms: those end it
        ({"filament_open": True}, 710.0, 0.0),
        ({"slow_rise_us": 400_000}, 710.0, 10.208),
    ],
)
def test_its_charge_ends_a_beam_and_its_time_is_the_back_up(
    faults: dict[str, Any], end_ms: float, mas: float
) -> None:
    model = counting(**faults)
    course = model.courses[-1]
    assert course.off_us == round(end_ms * 1000)
    assert course.charge_mas(0, 2_000_000) == pytest.approx(mas, abs=1e-4)


@pytest.mark.req("SR-53", "F06", "F07")
@pytest.mark.parametrize(
    ("faults", "kv", "mas"),
    [
        ({}, 80.0, 14.0), ({"kv_off_pct": 12.0}, 89.6, 14.0),
        ({"ma_off_pct": -25.0}, 80.0, 10.6355), ({"filament_open": True}, 80.0, 0.0),
        ({"kv_factor": 1.1}, 80.0, 14.0),  # a divider that has drifted looks perfect
    ],
)  # fmt: skip
def test_its_account_is_what_its_own_meters_saw_of_the_beam(
    faults: dict[str, Any], kv: float, mas: float
) -> None:
    shown_kv, shown_mas = counting(**faults).account(1_000_000)
    assert shown_kv == pytest.approx(kv, rel=0.01)
    assert shown_mas == pytest.approx(mas, rel=0.01)


def test_a_dead_timer_counts_no_mas_either() -> None:
    model = RadiographicModel()
    model.timer_dead = True
    model.set_charge_mas(0, 1.0)
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, 80.0)
    model.set_ma(0, 20.0)
    model.rotor.run_up(-10_000_000)
    assert model.start(0)
    model.set_watchdog(0, on=False)
    model.advance(Now(10_000_000))
    assert model.beam_on(10_000_000)


# --- what is kept of a rotor's starts and of its time


def test_a_slow_bearing_reaches_full_speed_later_and_no_start_is_taken_before() -> None:
    model = _ready_to_beam()
    model.rotor.rotor_slow_us = 4 * S
    model.rotor.run_up(0)
    assert model.rotor.rpm(2 * S) == FULL_RPM / 2
    assert model.rotor.full_us() == 4 * S
    assert not model.start(4 * S - 1)
    assert model.start(4 * S)


def test_a_starter_with_a_limit_lets_the_rotor_stand_until_a_minute_has_passed() -> None:
    rotor = Rotor()
    rotor.rotor_starts_count = 2
    for start_us in (0, 20 * S):
        rotor.run_up(start_us)
        assert rotor.at_speed(Now(start_us + RUN_UP_US))
        rotor.brake(start_us + 3 * S)
    rotor.run_up(60 * S - 1)
    assert rotor.full_us() == NEVER_US
    rotor.run_up(60 * S)
    assert rotor.full_us() == 60 * S + RUN_UP_US
    rotor.brake(65 * S)
    rotor.run_up(70 * S)  # those of 20 s and 60 s
    assert rotor.full_us() == NEVER_US


def test_without_a_limit_a_rotor_starts_as_often_as_it_is_told() -> None:
    rotor = Rotor()
    for start_us in range(0, 30 * S, 3 * S):
        rotor.run_up(start_us)
        assert rotor.full_us() <= start_us + RUN_UP_US
        rotor.brake(start_us + 2 * S)


def test_ten_seconds_of_rotor_for_an_exposure_are_in_the_battery_s_figures() -> None:
    model = _ready_to_beam()

    def taken(t_us: int, of: float) -> float:
        return (of - model.charge(t_us) - rested((t_us - from_us) / S)) * (1e6 / 0.49)

    before, from_us = model.charge(0), 0
    model.rotor.run_up(0)
    assert taken(10 * S, before) == pytest.approx(0.0, abs=1e-6)
    assert taken(15 * S, before) == pytest.approx(5 * 120.0)
    model.rotor.brake(20 * S)
    assert taken(3_600 * S, before) == pytest.approx(10 * 120.0)
    model.charge_battery(4_000 * S, 0.5)
    assert model.charge(4_000 * S) == 0.5
    from_us = 4_000 * S
    model.rotor.run_up(5_000 * S)
    assert taken(5_010 * S, 0.5) == pytest.approx(0.0, abs=1e-6)
    assert taken(5_011 * S, 0.5) == pytest.approx(120.0)


def test_a_bearing_that_fails_counts_from_the_next_run_up_on() -> None:
    turning = Rotor()
    turning.run_up(0)
    turning.rotor_slow_us = 30_000_000
    assert turning.rpm(5_000_000) == FULL_RPM
    assert turning.at_speed(Now(5_000_000))
    turning.brake(5_000_000)
    turning.run_up(20_000_000)
    assert turning.rpm(25_000_000) == pytest.approx(500.0)
    turning.rotor_slow_us = None  # healed while it runs up
    assert turning.rpm(25_000_000) == pytest.approx(500.0)
    assert turning.full_us() == 50_000_000
