"""The simulated radiographic generator: a rotor that must be at speed, a mobile's battery."""

from __future__ import annotations

from typing import Any

import pytest

from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import State, read_status, status_bytes
from hal.now import NEVER_US, Now
from hal.types import GeneratorState
from rig.bench import load_bench
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, load_scenario
from sim.radiographic import ANODE_J, RadiographicModel
from sim.rotor import BRAKE_US, FULL_RPM, RUN_UP_US, Rotor


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


def test_a_full_charge_is_a_megajoule_in_the_tube() -> None:
    model = _ready_to_beam()
    model.charge_battery(0, 1.0)
    model.rotor.run_up(0)
    model.set_time_us(0, 1_000_000)
    model.start(RUN_UP_US)
    model.stop(RUN_UP_US + 1_001_500)  # 8 kW for a second: the ramp of 3 ms counts half
    assert model.charge(RUN_UP_US + 1_100_000) == pytest.approx(1 - 8_000 / 1e6, abs=2e-5)


def test_the_store_of_heat_ends_a_beam_at_300_khu() -> None:
    model = _ready_to_beam()
    model.rotor.run_up(0)
    model.charge_battery(0, 1.0)
    model.set_ma(0, 400.0)
    model.set_time_us(0, None)
    model.start(RUN_UP_US)
    now = Now(RUN_UP_US)
    model.command_seen(RUN_UP_US)
    model.set_watchdog(RUN_UP_US, on=False)
    model.advance(now)
    assert now.next_us == RUN_UP_US + round(1e6 * ANODE_J / 32_000) + 1_500


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
        ({}, 700.5, 14.0),  # half the ramp of 3 ms on top; half the fall of 2 ms is made after it
        ({"ma_off_pct": 30.0}, 538.962, 14.0),  # 14 mAs all the same, sooner
        ({"ma_off_pct": -25.0}, 710.0, 10.6425),  # not reached in its ms: those end it
        ({"filament_open": True}, 710.0, 0.0),
        ({"slow_rise_us": 400_000}, 710.0, 10.22),
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
        ({"ma_off_pct": -25.0}, 80.0, 10.6425), ({"filament_open": True}, 80.0, 0.0),
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
