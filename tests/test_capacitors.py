"""A bank of capacitors on a socket: what it gives, how it charges, and what a unit sees of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide.memory import State
from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import State as Wire
from hal.now import NEVER_US, Now
from rig.bench import bench_of, load_bench
from rig.bench_names import BENCHES, bench_path
from rig.exit_codes import ConfigError
from rig.injections import shipped_injections
from rig.judge import problems
from rig.matrix.elsewhere import rows_on
from rig.model import setting_of
from rig.run_model import ModelRun, shot_of
from rig.scenario import SHIPPED, ShotSection, load_scenario
from sim.build import pixel_model
from sim.capacitors import CapacitorBank
from sim.radiographic import RATINGS, RadiographicModel
from sim.script import NotOnThisBenchError
from tests.model_runs import bench
from tests.whole_unit import Whole

S = 1_000_000
BANK_J = 48_750.0  # 1 F from 400 V to 250 V
TUBE_J = 0.85 * BANK_J
MOBILE = bench_path("mobile").read_text(encoding="utf-8")
SOCKET = (BENCHES / "variants" / "mobile_socket.toml").read_text(encoding="utf-8")


def asked(mas: float | None, time_us: int | None = None, charge: float = 1.0) -> RadiographicModel:
    """Its rotor turns, 80 kV and 200 mA are set: 16 kW."""
    model = RadiographicModel(ratings=replace(RATINGS, supply="capacitors"))
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_watchdog(0, on=False)
    model.set_kv(0, 80.0)
    model.set_ma(0, 200.0)
    model.set_charge_mas(0, mas)
    model.set_time_us(0, time_us)
    model.rotor.run_up(-2 * S)
    model.charge_battery(0, charge)
    return model


def ended_us(model: RadiographicModel, t_us: int) -> int:
    now = Now(t_us)
    model.advance(now)
    while model.beam_on(now.t_us):
        now = Now(now.next_us)
        model.advance(now)
    return now.t_us


@pytest.mark.parametrize(("charge", "volts"), [(1.0, 400.0), (0.5, 333.5416), (0.0, 250.0)])
def test_its_volts_are_those_of_what_is_left_in_it(charge: float, volts: float) -> None:
    bank = CapacitorBank(charge)
    assert bank.volts(30_000.0) == pytest.approx(volts, abs=1e-3)
    assert (volts**2 - 250.0**2) / 2 == pytest.approx(bank.lasts_j(0.0), rel=1e-5)


def test_the_volts_fall_in_the_beam_by_what_it_took_and_rise_at_1500_w_after_it() -> None:
    model = asked(100.0)
    assert model.start(0)
    off_us = ended_us(model, 0)
    fall_mas = 0.1 * 80 / 1000  # of the cables, at half of the kV on average
    taken_j = 80 * (100.0 - fall_mas / 2) / 0.85
    assert model.reading(off_us + 2_000).battery_v == pytest.approx(
        math.sqrt(400.0**2 - 2 * taken_j), abs=0.02
    )
    assert 1 - model.charge(off_us + 2_000) == pytest.approx(taken_j / BANK_J, abs=1e-4)
    left_j = BANK_J - taken_j + 1_500 * 3.0
    assert model.charge(off_us + 3 * S) == pytest.approx(left_j / BANK_J, abs=1e-6)
    assert model.charge(off_us + 3_600 * S) == 1.0
    assert model.charge(off_us - 100_000) < model.charge(0)  # nothing charges within the beam


@pytest.mark.parametrize(
    ("set_points", "energy_j"),
    [
        ({"mas": 100.0}, 8_000.0), ({"mas": 200.0, "time_us": 5_000_000}, 16_000.0),
        ({"mas": 400.0, "time_us": 500_000}, 8_000.0),
        ({"mas": None, "time_us": 1_000_000}, 16_000.0),
    ],
)  # fmt: skip
def test_it_is_ready_as_soon_as_it_holds_the_exposure_that_is_set(
    set_points: dict[str, Any], energy_j: float
) -> None:
    model = asked(**set_points, charge=0.0)
    now = Now(0)
    assert not model.ready(now)
    # from empty, with the reserve of a twentieth
    assert now.next_us == math.ceil(energy_j * 1.05 / 0.85 / 1_500 * S)
    assert not model.start(now.next_us - 10)
    assert model.start(now.next_us + 1)
    ended_us(model, now.next_us + 1)
    assert model.fault_bits(now.next_us + 1) == frozenset()
    made = model.courses[-1]
    assert made.energy_j(0, NEVER_US) == pytest.approx(energy_j, rel=0.003)


def test_more_than_a_full_bank_is_never_ready_and_a_beam_without_an_end_is_let_begin() -> None:
    now = Now(0)
    assert not asked(mas=1.01 * TUBE_J / 1.05 / 80).ready(now)
    assert now.next_us == NEVER_US
    assert asked(mas=0.99 * TUBE_J / 1.05 / 80).ready(now)
    assert asked(mas=None, charge=0.0).ready(now)


def test_a_beam_that_nothing_ends_is_ended_by_the_empty_bank() -> None:
    model = asked(mas=None)
    assert model.start(0)
    off_us = ended_us(model, 0)
    assert off_us == math.ceil(TUBE_J / 16_000 * S + 1_500)
    assert model.charge(off_us) == pytest.approx(0.0, abs=1e-6)
    assert "battery_low" in model.fault_bits(off_us)
    model.clear_faults(off_us + S)
    assert model.fault_bits(off_us + S) == frozenset()  # it is charging: that is no fault


def test_switched_off_it_does_not_charge() -> None:
    model = asked(mas=100.0, charge=0.2)
    model.power(0, False)
    assert model.charge(3_600 * S) == pytest.approx(0.2)
    model.power(3_600 * S, True)
    assert model.charge(3_601 * S) == pytest.approx(0.2 + 1_500 / BANK_J)


def test_capacitors_that_have_lost_their_half_look_full_and_run_dry() -> None:
    model = asked(mas=300.0)
    model.battery.capacitors_lost_pct = 50.0  # type: ignore[attr-defined]
    assert model.reading(0).battery_v == pytest.approx(400.0)
    assert model.ready(Now(0))
    assert model.start(0)
    off_us = ended_us(model, 0)
    assert off_us == math.ceil(TUBE_J / 2 / 16_000 * S + 1_500)
    assert "battery_low" in model.fault_bits(off_us)
    again = Now(off_us)
    assert not model.ready(again)  # half as much to fill: twice as fast
    assert again.next_us - off_us == pytest.approx(24_000 * 1.05 / 0.85 / 2 / 1_500 * S, rel=1e-3)


def volts_of(whole: Whole) -> float:
    world = whole.rung.world
    return world.generator.reading(world.t_us).battery_v


def charging() -> Whole:
    whole = Whole(on=bench("mobile_socket"))
    whole.do("charge battery", charge=0.2)
    return whole.pass_us(5 * S)


def in_beam() -> Whole:
    own = bench("mobile_socket")
    whole = Whole(shot_of(own, ShotSection(kv=80.0, ma=200.0, mas=100.0), "shot-1"), on=own)
    whole.until(State.STANDBY).do("press", stage=1)
    whole.until(State.READY).do("press")
    whole.until(State.EXPOSE)
    assert whole.rung.run_until(lambda: whole.world.generator.beam_on(whole.t_us), whole.t_us + S)
    return whole.pass_us(100_000)


@pytest.mark.parametrize("way", [charging, in_beam])
def test_a_loss_leaves_the_volts_where_they_are_and_so_does_its_healing(
    way: Callable[[], Whole],
) -> None:
    """What came and went until then, it has of the bank as it was."""
    whole = way()
    volts = volts_of(whole)
    assert 300.0 < volts < 399.0
    whole.do("generator", capacitors_lost_pct=90.0)
    assert volts_of(whole) == pytest.approx(volts, abs=1e-9)
    for what in ("generator", "all"):
        whole.do("generator", capacitors_lost_pct=50.0)
        whole.pass_us(100_000)
        volts = volts_of(whole)
        whole.do("heal", what=what)
        assert volts_of(whole) == pytest.approx(volts, abs=1e-9)
    assert whole.world.generator.beam_on(whole.t_us) is (way is in_beam)


def test_what_has_lost_nine_tenths_charges_ten_times_as_fast_from_then_on() -> None:
    whole = charging()
    volts = volts_of(whole)
    whole.do("generator", capacitors_lost_pct=90.0)
    whole.pass_us(S)
    assert volts_of(whole) ** 2 - volts**2 == pytest.approx(2 * 1_500 / 0.1)


@pytest.mark.parametrize(("volts", "ready"), [(249.0, False), (399.0, True)])
def test_a_voltmeter_that_is_stuck_is_believed(volts: float, ready: bool) -> None:
    model = asked(mas=100.0, charge=0.5)
    model.battery.stuck_v = volts
    assert model.ready(Now(0)) is ready
    assert ("battery_low" in model.fault_bits(0)) is not ready


def test_on_the_wire_it_prepares_until_it_has_charged_and_tells_no_battery() -> None:
    model = asked(mas=100.0, charge=0.0)
    desk = Desk(model)
    desk._prepare(Now(0), 1)
    now = Now(5 * S)
    assert desk.state(now) is Wire.PREPARATION
    ready_us = now.next_us
    assert ready_us == math.ceil(8_000 * 1.05 / 0.85 / 1_500 * S)
    assert desk.state(Now(ready_us + 1)) is Wire.READY
    assert model.battery_pct(ready_us) is None


# --- with the unit


@pytest.mark.req("F71")
@pytest.mark.parametrize("name", ["socket_recharges", "socket_not_ready", "socket_runs_dry"])
def test_a_scenario_of_a_unit_on_a_socket_holds(name: str) -> None:
    made = ModelRun(load_bench("mobile_socket"), load_scenario(SHIPPED / "socket" / f"{name}.toml"))
    assert problems(made.scenario.expect, made.run()) == []


def test_the_second_of_two_large_exposures_waits_for_what_the_first_took() -> None:
    own = bench("mobile_socket")
    shot = ShotSection(kv=80.0, ma=200.0, mas=300.0)  # 24 kJ of 41
    whole = Whole(shot_of(own, shot, "shot-1"), on=own).until(State.STANDBY)
    waited_s = []
    for number in (1, 2):
        pressed_us = whole.t_us
        whole.do("press")
        whole.until(State.READY)
        waited_s.append((whole.t_us - pressed_us) / S)
        whole.until(State.RELEASE_WAIT)
        whole.do("release")
        whole.until(State.STANDBY)
        whole.request(shot=shot_of(own, shot, f"shot-{number + 1}"))
    assert whole.beams == 2
    assert waited_s[0] == pytest.approx(1.5, abs=0.1)  # its rotor
    assert 5.0 < waited_s[1] < 10.0


# --- its bench file


def test_what_a_bench_says_is_what_is_built() -> None:
    found = {
        name: setting_of(load_bench(name)).supply for name in ("mobile", "room", "mobile_socket")
    }
    assert found == {"mobile": "battery", "room": "mains", "mobile_socket": "capacitors"}
    assert load_bench("mobile_socket").unit.battery is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SOCKET.replace('"capacitors"', '"capacitor"'), "sim.supply: "),
        (SOCKET.replace('"capacitors"', '"battery"'),
         'sim.supply: "battery" needs a section [battery]'),
        (MOBILE + '[sim]\nsupply = "mains"\n', 'sim.supply: "mains" leaves no [battery]: drop one'),
        (MOBILE + '[sim]\nsupply = "capacitors"\n', 'sim.supply: "capacitors" leaves no [battery]'),
        (bench_path("industrial").read_text() + '[sim]\nsupply = "mains"\n',
         "sim.supply: spellman has a supply of its own: only r2cp is asked"),
    ],
)  # fmt: skip
def test_a_supply_that_can_not_be_is_told_with_what_would_do(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bench_of(text, bench_path("mobile"))
    assert [told in message for message in caught.value.messages] == [True]


def test_other_benches_are_as_they_were() -> None:
    """A supply that is left out is not in a bench's hash."""
    own = load_bench("mobile")
    said = bench_of(MOBILE + '[sim]\nsupply = "battery"\n', bench_path("mobile"))
    assert said.hash != own.hash
    assert bench_of(MOBILE + "[sim]\n", bench_path("mobile")).hash == own.hash


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("mobile_socket", {"charger_plugged": True}), ("mobile_socket", {"weak_cells": 2.0}),
        ("room", {"charger_plugged": True}), ("mobile", {"capacitors_lost_pct": 10.0}),
    ],
)  # fmt: skip
def test_what_another_supply_has_is_refused_as_of_another_bench(
    name: str, args: dict[str, Any]
) -> None:
    ((injection, _),) = args.items()
    part = "capacitors" if injection == "capacitors_lost_pct" else "battery"
    with pytest.raises(NotOnThisBenchError, match=rf"^this bench has no {part} \({injection}\)$"):
        Whole(on=bench(name)).do("generator", **args)


def test_rows_of_the_catalogue_that_need_a_battery_are_not_its() -> None:
    own = load_bench("mobile_socket")
    rows = rows_on(own, {"F71": shipped_injections()["F71"]}, pixel_model(setting_of(own)))
    assert rows["F71"].not_applicable == "the generator runs on mains"
