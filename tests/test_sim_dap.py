"""The simulated DAP meter: what several beams leave in it until somebody resets it."""

from __future__ import annotations

import pytest

from sim.anode_wear import even_share, foil_mm
from sim.beam import kerma_ugy
from sim.condition import Condition
from sim.sensors import UGYM2_PER_DGYCM2, SimDap
from sim.world import World
from tests.sim_world import SimWorld, sim_world

AREA_M2 = 0.2 * 0.2  # the field of sim_world at 1 m


def in_the_beam(world: World) -> SimDap:
    world.dap = SimDap(world.geometry, world.generator.lights, world.tube_filter)
    return world.dap


def shot(world: SimWorld, kv: float) -> float:
    """200 ms at 0.5 mA; its mAs."""
    before_mas = world.world.generator.exposure(0, world.t_us)[0]
    world.beam(kv=kv, ms=200)
    world.after_ms(400)
    return world.world.generator.exposure(0, world.t_us)[0] - before_mas


def shown_ugym2(meter: SimDap, world: SimWorld) -> float:
    dap = meter.seen(world.t_us).dap_dgycm2
    assert dap is not None
    return dap * UGYM2_PER_DGYCM2


@pytest.mark.parametrize("kvs", [(60.0, 100.0), (100.0, 60.0), (45.0, 70.0, 110.0)])
def test_each_beam_counts_at_its_own_kv(kvs: tuple[float, ...]) -> None:
    world = sim_world()
    meter = in_the_beam(world.world)
    wanted_ugy = sum(kerma_ugy(kv, shot(world, kv)) for kv in kvs)
    assert shown_ugym2(meter, world) == pytest.approx(wanted_ugy * AREA_M2, rel=1e-9)


def test_a_reset_between_two_beams_leaves_the_second_alone() -> None:
    world = sim_world()
    meter = in_the_beam(world.world)
    shot(world, 100.0)
    meter.reset(world.t_us)
    second_ugy = kerma_ugy(60.0, shot(world, 60.0))
    assert shown_ugym2(meter, world) == pytest.approx(second_ugy * AREA_M2, rel=1e-9)


def test_each_beam_counts_with_the_output_the_filter_and_the_field_of_then() -> None:
    world = sim_world()
    meter = in_the_beam(world.world)
    world.do("generator", worn_anode_pct=30.0)
    worn = Condition(tungsten_mm=foil_mm(30.0))
    first = even_share(30.0) * kerma_ugy(60.0, shot(world, 60.0), condition=worn) * AREA_M2
    world.do("generator", worn_anode_pct=0.0)
    world.do("optics", lost_filtration_mm=1.5)
    world.do("geometry", rows_mm=100.0)
    second = kerma_ugy(90.0, shot(world, 90.0), aluminium_mm=1.0) * AREA_M2 / 2
    assert shown_ugym2(meter, world) == pytest.approx(first + second, rel=1e-9)


def test_what_the_patient_scatters_reaches_no_meter_at_the_blades() -> None:
    daps = []
    for scatter in (False, True):
        world = sim_world()
        meter = in_the_beam(world.world)
        world.do("phantom", name="pmma_200")
        world.do("optics", scatter=scatter, grid_ratio=10.0 if scatter else 0.0)
        shot(world, 80.0)
        daps.append(shown_ugym2(meter, world))
    assert daps[0] == daps[1] > 0.0
