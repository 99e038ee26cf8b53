"""What age and rest do to a tube: arcs of one with gas in it, and less light of a worn anode."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hal.frame_pipes import frame_pipe
from hal.links import pipe
from hal.now import Now
from hal.ports import AecChoice
from sim import beam
from sim.anode_wear import even_share, foil_mm, passing_share
from sim.arcs import CLEANED, WITHIN_US, ArcChance, gas_after
from sim.build import Ends, Setting, build_world
from sim.chambers import Chambers, ChamberSetting
from sim.condition import AS_NEW, Condition
from sim.generator import RAMP_US, MonoblockModel
from sim.radiographic import RadiographicModel
from sim.sensors import SimDap
from tests.sim_world import sim_world

S = 1_000_000
DAY_S = 86_400.0


def monoblock(seed: int = 1, gassy: float = 0.0, kv: float = 120.0) -> MonoblockModel:
    model = MonoblockModel(seed=seed)
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_watchdog(0, on=False)
    model.set_kv(0, kv)
    model.set_ma(0, 0.5)
    model.set_time_us(0, S)
    model.gassy_tube = gassy
    return model


def arcs_us(model: MonoblockModel, start_us: int = 0) -> list[int]:
    """One beam of a second, looked at only when the model wants it: when it arced."""
    seen: list[int] = []
    assert model.start(start_us)
    t_us = start_us
    while model.beam_on(t_us):
        now = Now(t_us)
        model.advance(now)
        seen += [at_us for at_us in model._arcs_us if at_us not in seen]
        t_us = now.next_us
    return seen


def test_a_clean_tube_never_arcs_and_no_chance_is_drawn() -> None:
    model = monoblock()
    before = model._arc_chance._random.getstate()
    assert [arcs_us(model, n * 2 * S) for n in range(20)] == [[]] * 20
    assert model._arc_chance._random.getstate() == before


def test_a_tube_full_of_gas_arcs_four_times_and_latches() -> None:
    model = monoblock(gassy=1.0)
    seen = arcs_us(model)
    assert len(seen) == 4
    assert RAMP_US <= seen[0] < RAMP_US + WITHIN_US
    assert all(0 <= after - before < WITHIN_US for before, after in pairwise(seen))
    assert "arc" in model.fault_bits(seen[-1] + 20 * S)
    assert not model.start(seen[-1] + 20 * S)


def test_so_many_beams_arc_as_the_gas_makes_likely() -> None:
    arced = sum(bool(arcs_us(monoblock(seed=seed, gassy=0.3))) for seed in range(400))
    assert arced / 400 == pytest.approx(0.3, abs=0.07)  # three standard deviations


def test_at_less_kv_an_arc_is_much_less_likely() -> None:
    chance = ArcChance(1, 120.0)
    assert chance.likelihood(0.5, 120.0) == 0.5
    assert chance.likelihood(0.5, 140.0) == 0.5
    assert chance.likelihood(0.5, 60.0) == 0.5 / 256
    at_60_kv = [arcs_us(monoblock(seed=seed, gassy=0.5, kv=60.0)) for seed in range(60)]
    at_120_kv = [arcs_us(monoblock(seed=seed, gassy=0.5, kv=120.0)) for seed in range(60)]
    assert sum(map(bool, at_60_kv)) <= 2 < 20 <= sum(map(bool, at_120_kv))


def test_each_beam_leaves_a_tenth_of_the_gas_less() -> None:
    model = monoblock(gassy=0.2, kv=40.0)
    for n in range(20):
        arcs_us(model, n * 2 * S)
    assert model.gassy_tube == pytest.approx(0.2 * CLEANED**20)
    assert CLEANED == 0.9


def test_the_same_seed_arcs_at_the_same_times_and_another_at_others() -> None:
    assert arcs_us(monoblock(seed=3, gassy=1.0)) == arcs_us(monoblock(seed=3, gassy=1.0))
    assert arcs_us(monoblock(seed=3, gassy=1.0)) != arcs_us(monoblock(seed=4, gassy=1.0))


def test_arcs_are_where_they_are_however_often_one_looks() -> None:
    often, seldom = monoblock(gassy=1.0), monoblock(gassy=1.0)
    seen = arcs_us(seldom)
    assert often.start(0)
    for t_us in range(0, seen[-1] + 1_000, 500):
        often.advance(Now(t_us))
    assert often._arcs_us == seldom._arcs_us == seen


def test_an_arc_that_was_to_come_does_not_when_the_beam_is_over() -> None:
    model = monoblock(gassy=1.0)
    assert model.start(0)
    model.stop(RAMP_US - 1)
    model.advance(Now(10 * S))
    assert model._arcs_us == []


@pytest.mark.parametrize(
    ("rest_s", "gas"), [(0.0, 0.0), (DAY_S, 0.0), (61 * DAY_S, 0.1896), (3_000 * DAY_S, 0.3)]
)
def test_the_longer_a_tube_rests_the_more_gas_it_has(rest_s: float, gas: float) -> None:
    assert gas_after(rest_s) == pytest.approx(gas, abs=1e-4)


# --- a worn anode


def test_a_worn_anode_gives_less_output_and_no_reading_tells_it() -> None:
    new, worn = RadiographicModel(), RadiographicModel()
    worn.worn_anode_pct = 25.0
    for model in (new, worn):
        model.set_supply(0, True)
        model.set_interlock(0, True)
        model.set_kv(0, 80.0)
        model.set_ma(0, 100.0)
        model.rotor.run_up(0)
        assert model.start(2 * S)
    assert new.reading(3 * S) == worn.reading(3 * S)
    assert new.exposure(0, 3 * S) == worn.exposure(0, 3 * S)
    assert (new.courses[-1].output, new.courses[-1].condition) == (1.0, AS_NEW)
    assert worn.courses[-1].output * passing_share(foil_mm(25.0)) == pytest.approx(0.75, rel=1e-6)
    assert worn.courses[-1].condition == Condition(tungsten_mm=foil_mm(25.0))


def test_a_chamber_waits_the_longer_for_it() -> None:
    asked = AecChoice(chambers=("centre",), density_index=0, sensitivity_index=1)
    setting = ChamberSetting(
        chambers=("centre",), cutoffs_ugy={1: 40.0}, density_most_index=4, density_pct=25.0,
        response_us=0, sid_mm=1000.0,
    )  # fmt: skip
    charges_mas = []
    for worn_pct in (0.0, 20.0):
        model = monoblock(kv=80.0)
        model.worn_anode_pct = worn_pct
        model.chambers = Chambers(setting, lambda: "none")
        model.set_aec(0, asked)
        model.set_time_us(0, 20 * S)
        assert model.start(0)
        now = Now(0)
        model.advance(now)
        course = model.courses[-1]
        falls_mas = course.ma * course.fall_us / 2e6  # the circuit ends it so much the sooner
        charges_mas.append(course.charge_mas(0, now.next_us) + falls_mas)
    new_mas, worn_mas = charges_mas
    assert worn_mas == pytest.approx(new_mas / 0.8, rel=1e-5)  # 80 kV, 2.5 mm Al, no patient


def test_a_chamber_waits_for_what_ripple_takes() -> None:
    ends_us = []
    for ripple_pct in (0.0, 30.0):
        model = monoblock(kv=80.0)
        model.ripple_pct = ripple_pct
        setting = ChamberSetting(
            chambers=("centre",), cutoffs_ugy={1: 40.0}, density_most_index=4, density_pct=25.0,
            response_us=0, sid_mm=1000.0,
        )  # fmt: skip
        model.chambers = Chambers(setting, lambda: "none")
        model.set_aec(0, AecChoice(chambers=("centre",), density_index=0, sensitivity_index=1))
        model.set_time_us(0, 20 * S)
        assert model.start(0)
        now = Now(0)
        model.advance(now)
        ends_us.append(now.next_us - RAMP_US // 2 + model.courses[-1].fall_us // 2)
    rippled = beam.kerma_ugy(80.0, 1.0, condition=Condition(ripple_pct=30.0))
    share = rippled / beam.kerma_ugy(80.0, 1.0)
    assert ends_us[1] == pytest.approx(ends_us[0] / share, rel=1e-4)


def test_panel_and_dap_meter_see_less_light_and_the_truth_keeps_the_mas() -> None:
    seen = {}
    for worn_pct in (0.0, 50.0):
        made = sim_world(dap_driver=None)
        made.world.generator.worn_anode_pct = worn_pct
        start_us = made.beam(ms=200)
        made.after_ms(300)
        meter = SimDap(made.world.geometry, made.world.generator.lights)
        light = made.world.panel._kerma_source(start_us, made.t_us)
        truth = made.world.generator.exposure(start_us, made.t_us)
        seen[worn_pct] = (light, meter.seen(made.t_us).dap_dgycm2, truth)
    (light, dap, truth), (worn, worn_dap, worn_truth) = seen[0.0], seen[50.0]
    assert (worn.mas, worn.kv, worn_truth) == (even_share(50.0) * light.mas, light.kv, truth)
    assert worn_dap == pytest.approx(dap / 2, rel=1e-6)
    assert truth == (light.mas, light.kv)
    assert dap > 0


def test_a_bench_s_dap_meter_hangs_on_the_light() -> None:
    (bench_end, _) = pipe()
    ends = Ends(generator=pipe()[1], room=pipe()[1], panel_control=frame_pipe()[1],
                panel_data=frame_pipe()[1], dap=bench_end)  # fmt: skip
    world = build_world(Setting(rows_px=64, columns_px=64, dap_driver="dap_lines"), ends)
    assert world.dap is not None
    assert world.dap._source == world.generator.lights
