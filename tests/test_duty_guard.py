"""A simulated generator that keeps a portable's energy rule, and what an operator sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_py.decide.memory import State
from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import Databank, Points, databank_bytes
from hal.now import NEVER_US, Now
from rig.bench import Bench, bench_of, load_bench
from rig.bench_names import bench_path
from rig.exit_codes import ConfigError
from rig.run_model import shot_of
from rig.scenario import ShotSection
from sim.duty import HuMemory, amx_band_mas
from sim.duty_guard import Amx4Plus, FreeOfDuty, MobilettPlus, duty_of
from sim.generator import MonoblockModel
from sim.radiographic import RadiographicModel
from tests.whole_unit import Whole

S = 1_000_000
HOUR_US = 3_600 * S
MEAN_J = 73 * 3_600.0  # what fits into an hour


def started(duty: FreeOfDuty, mas: float = 10.0) -> RadiographicModel:
    """Its rotor turns; 80 kV and 100 mA are set."""
    model = RadiographicModel()
    model.duty = duty
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_watchdog(0, on=False)
    model.set_kv(0, 80.0)
    model.set_ma(0, 100.0)
    model.set_charge_mas(0, mas)
    model.rotor.run_up(0)
    return model


def beam(model: RadiographicModel, t_us: int) -> int:
    """When it ended."""
    assert model.start(t_us)
    now = Now(t_us)
    while model.beam_on(now.t_us):
        model.advance(now)
        now = Now(now.next_us) if model.beam_on(now.t_us) else now
    return now.t_us


# --- MOBILETT Plus


def test_each_beam_is_remembered_with_what_its_cables_discharged() -> None:
    duty = MobilettPlus()
    model = started(duty)
    off_us = beam(model, 2 * S)
    assert duty.memory.at_us == off_us
    assert duty.memory.load_j == pytest.approx(80 * 10.0, rel=1e-4)
    beam(model, off_us + 100_000)
    assert duty.memory.load_j == pytest.approx(2 * 800.0, abs=14.0)


def test_above_80_per_cent_no_beam_begins_until_it_is_at_67() -> None:
    duty = MobilettPlus()
    duty.exposed(0, 80.0, 1_001.0)  # 80 080 J of the 100 kJ
    model = started(duty)
    now = Now(3 * S)
    assert not model.ready(now)
    # 13 080 J at 13 J every 250 ms are 1007 steps
    assert now.next_us == 1_007 * 250_000
    assert not model.start(now.next_us - 1)
    assert model.start(now.next_us)


def test_at_79_per_cent_it_begins_and_says_nothing() -> None:
    duty = MobilettPlus()
    duty.exposed(0, 79.0, 1_000.0)
    assert started(duty).start(2 * S)


def test_the_mean_of_an_hour_holds_back_what_would_go_beyond_it() -> None:
    memory = HuMemory()
    for number in range(5):
        memory = memory.exposed(number * 600 * S, 50.0, 1_000.0)  # 250 kJ of 262.8 in 40 min
    t_us = 2_500 * S
    assert memory.mean_us(t_us, 12_800.0) == t_us
    assert memory.mean_us(t_us, 12_801.0) == HOUR_US  # the first of them leaves the hour
    assert memory.mean_us(t_us, 70_000.0) == 600 * S + HOUR_US
    assert memory.mean_us(t_us, MEAN_J) == 2_400 * S + HOUR_US
    assert memory.mean_us(t_us, MEAN_J + 1) == NEVER_US


@given(
    st.lists(st.tuples(st.integers(1, 900 * S), st.floats(1.0, 900.0)), max_size=8),
    st.floats(0.0, 3_000.0),
)
def test_the_moment_that_is_told_is_the_first_that_is_not_refused(
    beams: list[tuple[int, float]], mas: float
) -> None:
    duty, t_us = MobilettPlus(), 0
    for pause_us, made_mas in beams:
        t_us += pause_us
        duty.exposed(t_us, 80.0, made_mas)
    at_us = duty.ready_us(t_us, 80.0, mas)
    if at_us == NEVER_US:
        assert 80.0 * mas > MEAN_J
        return
    assert duty.memory.refusal(at_us, 80.0, mas * (1 - 1e-9)) == ""
    if at_us != t_us:
        assert duty.memory.refusal(at_us - 1, 80.0, mas * (1 + 1e-9)) != ""


def test_what_it_remembers_outlives_a_power_cut() -> None:
    duty = MobilettPlus()
    model = started(duty)
    off_us = beam(model, 2 * S)
    model.power(off_us + 10, False)
    model.power(off_us + 20, True)
    assert duty.memory.load_j > 700.0


# --- AMX-4+


@pytest.mark.parametrize(
    ("kv", "most_mas"),
    [(40.0, 320.0), (80.0, 320.0), (90.0, 320.0), (90.5, 250.0), (105.0, 250.0), (106.0, 200.0),
     (125.0, 200.0), (133.0, 200.0)],
)  # fmt: skip
def test_between_the_steps_of_its_table_the_stricter_counts(kv: float, most_mas: float) -> None:
    assert amx_band_mas(kv) == Amx4Plus().most_mas(kv) == most_mas


@pytest.mark.parametrize(("mas", "starts"), [(320.0, True), (320.1, False)])
def test_above_the_limit_of_its_kv_no_beam_begins(mas: float, starts: bool) -> None:
    model = started(Amx4Plus(), mas)
    assert model.start(2 * S) is starts
    assert model.ready(Now(2 * S)) is starts


@pytest.mark.parametrize(
    ("points", "mas", "ms", "code"),
    [
        (Points.TWO, 320.0, 2_000.0, 0), (Points.TWO, 321.0, 2_000.0, 8),
        (Points.THREE, 1.0, 1_600.0, 0), (Points.THREE, 1.0, 1_610.0, 8),
    ],
)  # fmt: skip
def test_on_r2cp_a_databank_above_it_is_refused_as_its_mas(
    points: Points, mas: float, ms: float, code: int
) -> None:
    model = started(Amx4Plus())
    databank = Databank(
        databank_id=1,
        points_index=points,
        kv=80.0,
        ma=200.0,
        ms=ms,
        mas=mas,
        integration_ms_max=5_000,
    )
    assert Desk(model)._set_databank(Now(0), databank_bytes(databank)) == code


# --- through the unit


def with_duty(name: str, duty: str) -> Bench:
    text = bench_path(name).read_text(encoding="utf-8")
    return bench_of(f'{text}\n[sim]\nduty = "{duty}"\n', bench_path(name))


def pressed(own: Bench, load_j: float = 0.0, **shot: Any) -> Whole:
    """In STANDBY its memory gets so much, and both stages are pressed."""
    whole = Whole(shot_of(own, ShotSection(**shot), "shot-1"), on=own).until(State.STANDBY)
    whole.world.generator.duty.exposed(whole.t_us, load_j / 1_000, 1_000.0)
    whole.do("press")
    whole.until_any(State.READOUT, State.FAULT)
    return whole


def test_a_loaded_mobilett_is_not_ready_in_time_and_is_ready_when_it_has_cooled() -> None:
    own = with_duty("mobile", "mobilett-plus")
    whole = pressed(own, 80_100.0, kv=80.0, ma=10.0, mas=5.0)
    assert (whole.path()[-2:], whole.told()) == (["PREP", "FAULT"], ("GENERATOR_NOT_READY",))
    assert whole.beams == 0
    whole.do("release")
    whole.do("press reset")
    whole.pass_us(260 * S)  # 13.1 kJ at 52 W
    whole.do("release reset")
    whole.request(reset=True)
    whole.until(State.STANDBY)
    whole.request(shot=shot_of(own, ShotSection(kv=80.0, ma=10.0, mas=5.0), "shot-2"))
    whole.do("press")
    whole.until(State.READOUT)
    assert whole.beams == 1


def test_on_a_wire_without_ready_the_start_is_refused() -> None:
    whole = pressed(with_duty("portable", "mobilett-plus"), 80_100.0, kv=80.0, ma=0.5, mas=0.3)
    assert (whole.told(), whole.beams) == (("GENERATOR_REFUSED",), 0)


@pytest.mark.parametrize(
    ("mas", "told"), [(320.0, ()), (325.0, ("GENERATOR_FAULT",))], ids=["320", "325"]
)
def test_an_amx_refuses_the_mas_before_anything_is_ready(mas: float, told: tuple[str, ...]) -> None:
    whole = pressed(with_duty("mobile", "amx-4-plus"), kv=80.0, ma=200.0, mas=mas)
    assert whole.told() == told
    assert whole.beams == (not told)
    assert ("READY" in whole.path()) is (not told)


# --- its bench file


def test_a_bench_that_says_nothing_keeps_none_and_has_the_hash_that_it_had() -> None:
    own = load_bench("mobile")
    text = bench_path("mobile").read_text(encoding="utf-8")
    assert own.sim.duty is None
    assert bench_of(text + "[sim]\n", bench_path("mobile")).hash == own.hash
    assert type(duty_of(None)) is type(MonoblockModel().duty) is FreeOfDuty
    assert FreeOfDuty().ready_us(7, 120.0, 1e9) == 7


def test_a_rule_that_does_not_exist_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        with_duty("mobile", "amx-4")
    (message,) = caught.value.messages
    assert "sim.duty: " in message
    assert "amx-4-plus" in message
