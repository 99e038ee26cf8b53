"""What no reading of the generator shows, and an independent meter does."""

from __future__ import annotations

from typing import Any

import pytest

from rig.bench import load_bench
from rig.model import ModelRung
from sim import beam
from sim.anode_wear import even_share, foil_mm
from sim.beamline import BeamCourse
from sim.condition import Condition
from sim.meter import MeterReading
from sim.script import ScriptError, do
from sim.sensors import SimDap
from tests.sim_world import SimWorld, sim_world

CHANCE = 0.012  # four of its sigmas


def made(*, ms: float = 400, **faults: float) -> SimWorld:
    """One beam of 80 kV and 0.5 mA, its ramp of 150 ms in it, behind 2.5 mm of aluminium."""
    world = sim_world()
    if faults:
        world.do("generator", **faults)
    world.beam(ms=ms)
    world.after_ms(2 * ms)
    return world


def shown(world: SimWorld) -> MeterReading:
    (reading,) = world.world.meter.readings()
    return reading


def test_a_beam_is_read_as_it_was() -> None:
    world = made(ms=1000)
    reading = shown(world)
    (course,) = world.world.generator.courses
    assert (reading.on_us, reading.off_us) == (course.on_us, course.off_us)
    assert reading.kv == pytest.approx(80.0, rel=CHANCE)
    assert reading.mas == pytest.approx(0.5 * (1.0 - 0.075 + 0.002))  # ramp and fall
    assert reading.kerma_ugy == pytest.approx(beam.kerma_ugy(80.0, reading.mas), rel=CHANCE)
    assert reading.hvl_mm_al == pytest.approx(beam.hvl_mm_al(80.0), rel=CHANCE)
    assert reading.output_ugy_per_mas == pytest.approx(78.4, rel=0.02)  # qc-and-physics.md 5.4
    # from 75 % in the ramp of 150 ms to 75 % in the fall of 4 ms
    assert reading.time_ms == pytest.approx(1000 - 112.5 + 1.0)


def test_chance_is_small_and_the_same_each_time() -> None:
    one, same = shown(made()), shown(made())
    assert one == same
    assert one.kv != 80.0


def test_a_drifted_divider_is_invisible_in_feedback_and_stands_on_the_meter() -> None:
    world = made(kv_factor=1.08)
    course = world.world.generator.courses[0]
    assert world.world.generator.reading(course.on_us + 300_000).kv == pytest.approx(80.0, rel=0.01)
    reading = shown(world)
    assert reading.kv == pytest.approx(86.4, rel=CHANCE)
    assert reading.hvl_mm_al == pytest.approx(beam.hvl_mm_al(86.4), rel=CHANCE)
    assert reading.output_ugy_per_mas == pytest.approx(beam.kerma_ugy(86.4, 1.0), rel=CHANCE)


def test_a_drifted_shunt_is_invisible_in_feedback_and_stands_on_the_clamp() -> None:
    world = made(shunt_factor=1.15)
    course = world.world.generator.courses[0]
    assert world.world.generator.reading(course.on_us + 300_000).ma == pytest.approx(0.5, rel=0.01)
    assert shown(world).mas == pytest.approx(1.15 * shown(made()).mas)
    assert world.world.generator.account(world.t_us)[1] == pytest.approx(
        shown(made()).mas, rel=0.01
    )


def test_a_generator_that_counts_mas_by_a_drifted_shunt_makes_more_than_it_counts() -> None:
    world = sim_world()
    world.do("generator", shunt_factor=1.2)
    world.world.generator.set_charge_mas(world.t_us, 0.3)
    world.beam()
    world.after_ms(2000)
    assert shown(world).mas == pytest.approx(0.36, abs=1e-4)
    assert world.world.generator.account(world.t_us)[1] == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize(("off_pct", "beam_ms"), [(20.0, 480.0), (-25.0, 300.0)])
def test_a_timer_that_is_off_ends_the_beam_late_or_early(off_pct: float, beam_ms: float) -> None:
    reading = shown(made(timer_off_pct=off_pct))
    assert (reading.off_us - reading.on_us) / 1000 == beam_ms
    assert reading.time_ms == pytest.approx(beam_ms - 112.5 + 1.0)


def test_a_lost_filter_gives_more_output_and_a_softer_beam() -> None:
    world = sim_world()
    world.do("optics", lost_filtration_mm=1.0)
    world.beam(ms=400)
    world.after_ms(800)
    reading = shown(world)
    soft: dict[str, Any] = {"aluminium_mm": 1.5}
    assert reading.hvl_mm_al == pytest.approx(beam.hvl_mm_al(80.0, **soft), rel=CHANCE)
    assert reading.output_ugy_per_mas == pytest.approx(
        beam.kerma_ugy(80.0, 1.0, **soft), rel=CHANCE
    )
    assert reading.hvl_mm_al < 2.1  # of 2.78


def test_the_tubes_own_glass_can_not_be_lost() -> None:
    world = sim_world()
    world.do("optics", lost_filtration_mm=20.0)
    assert world.world.tube_filter.aluminium_mm == 0.5
    world.do("heal", what="optics")
    assert world.world.tube_filter.aluminium_mm == 2.5


def test_a_filter_that_is_lost_later_changes_no_reading_of_before() -> None:
    world = made()
    before = shown(world)
    world.do("optics", lost_filtration_mm=1.0)
    world.do("generator", worn_anode_pct=30.0)
    assert world.world.meter.readings() == [before]


def test_a_worn_anode_gives_less_kerma_and_a_harder_beam_at_the_same_mas_and_kv() -> None:
    reading, new = shown(made(worn_anode_pct=30.0)), shown(made())
    assert reading.kerma_ugy == pytest.approx(0.7 * new.kerma_ugy, rel=1e-6)
    assert (reading.kv, reading.mas) == (new.kv, new.mas)
    hard = Condition(tungsten_mm=foil_mm(30.0))
    ratio = beam.hvl_mm_al(80.0, condition=hard) / beam.hvl_mm_al(80.0)
    assert reading.hvl_mm_al == pytest.approx(ratio * new.hvl_mm_al)
    assert 1.04 < ratio < 1.08


def test_ripple_leaves_the_peak_and_takes_kerma_and_half_value_layer() -> None:
    world, new = made(ripple_pct=30.0), shown(made())
    course, reading = world.world.generator.courses[0], shown(world)
    assert world.world.generator.reading(course.on_us + 300_000).kv == pytest.approx(80.0, rel=0.01)
    assert world.world.generator.account(world.t_us)[0] == pytest.approx(80.0, rel=0.01)
    assert (reading.kv, reading.mas, reading.time_ms) == (new.kv, new.mas, new.time_ms)
    made_so: dict[str, Any] = {"condition": Condition(ripple_pct=30.0)}
    kerma_ratio = beam.kerma_ugy(80.0, 1.0, **made_so) / beam.kerma_ugy(80.0, 1.0)
    hvl_ratio = beam.hvl_mm_al(80.0, **made_so) / beam.hvl_mm_al(80.0)
    assert reading.kerma_ugy == pytest.approx(kerma_ratio * new.kerma_ugy)
    assert reading.hvl_mm_al == pytest.approx(hvl_ratio * new.hvl_mm_al)
    assert (0.65 < kerma_ratio < 0.8, 0.8 < hvl_ratio < 0.95) == (True, True)


def test_panel_and_dap_meter_see_the_ripple_and_the_worn_anode_that_the_meter_sees() -> None:
    doses = {}
    for faults in ({}, {"ripple_pct": 30.0, "worn_anode_pct": 20.0}):
        world = made(**faults)
        doses[bool(faults)] = (
            SimDap(world.world.geometry, world.world.generator.lights).seen(world.t_us).dap_dgycm2
        )
    ratio = doses[True] / doses[False]
    condition = Condition(ripple_pct=30.0, tungsten_mm=foil_mm(20.0))
    through = beam.kerma_ugy(80.0, 1.0, condition=condition) / beam.kerma_ugy(80.0, 1.0)
    assert ratio == pytest.approx(even_share(20.0) * through)
    world.world.panel._opened_us = 0
    world.world.panel._close_window(world.t_us, complete=True)
    _, exposure = world.world.panel._lit[-1]
    assert exposure.condition == condition
    assert world.world.panel._pixels._scene(exposure).condition == condition


def test_an_output_that_drifts_falls_from_beam_to_beam_and_nothing_else_does() -> None:
    world = sim_world()
    for drift_pct in (0.0, 5.0, 5.0, 5.0):  # whenever it begins
        world.do("generator", output_drift_pct=drift_pct)
        world.beam(ms=400)
        world.after_ms(800)
    new, readings = shown(made()), world.world.meter.readings()
    for beams_count, one in enumerate(readings):
        fresh_ugy = beam.kerma_ugy(80.0, one.mas)
        assert one.kerma_ugy == pytest.approx(fresh_ugy * 0.95**beams_count, rel=CHANCE)
        assert one.mas == pytest.approx(new.mas)
        assert one.kv == pytest.approx(80.0, rel=CHANCE)
        assert one.hvl_mm_al == pytest.approx(new.hvl_mm_al, rel=CHANCE)
    assert len(readings) == 4


def test_the_panel_and_the_dap_meter_see_what_the_meter_sees_of_a_lost_filter() -> None:
    world = sim_world(dap_driver=None)
    world.do("optics", lost_filtration_mm=1.0)
    scene = world.world.panel._pixels._scene  # what it asks for, without a frame
    world.world.panel._close_window(world.t_us, complete=True)
    pending = world.world.panel._pending
    assert pending is not None
    exposure = pending.exposure
    assert exposure.aluminium_mm == 1.5
    assert scene(exposure).aluminium_mm == 1.5


def test_a_meter_that_begins_to_drift_leaves_what_it_read_before() -> None:
    world = made()
    before = shown(world)
    world.do("meter", meter_kv_pct=3.0, meter_dose_pct=-10.0, meter_mas_pct=5.0)
    assert shown(world) == before
    world.beam(ms=400)
    world.after_ms(800)
    off = world.world.meter.readings()[1]
    assert off.kv == pytest.approx(1.03 * 80.0, rel=CHANCE)
    assert off.kerma_ugy == pytest.approx(0.9 * before.kerma_ugy, rel=CHANCE)
    assert off.mas == pytest.approx(1.05 * before.mas)
    world.do("heal", what="meter")
    assert world.world.meter.readings() == [before, off]


@pytest.mark.parametrize("fault", [{"kv_off_pct": -100.0}, {"kv_factor": 0.0}])
def test_a_current_without_voltage_makes_no_kerma_and_is_read_as_that(
    fault: dict[str, float],
) -> None:
    world = made(**fault)
    reading = shown(world)
    assert (reading.kv, reading.kerma_ugy, reading.hvl_mm_al) == (0.0, 0.0, 0.0)
    assert reading.mas > 0
    assert world.world.generator.account(world.t_us)[0] == 0.0


def test_what_begins_later_takes_no_light_from_a_beam_of_before() -> None:
    world = sim_world(dap_driver=None)
    world.beam(ms=400)
    world.after_ms(800)
    light = world.world.generator.light
    before = light(0, world.t_us)
    world.do("generator", worn_anode_pct=30.0, output_drift_pct=10.0)
    assert light(0, world.t_us) == before
    world.beam(ms=400)
    world.after_ms(800)
    after = light(0, world.t_us)
    assert after.mas == pytest.approx(before.mas * (1 + even_share(30.0) * 0.9))
    assert after.condition == Condition(tungsten_mm=foil_mm(30.0))


def test_a_filter_that_is_put_back_changes_no_dose_of_before_and_no_open_window() -> None:
    world = ModelRung(load_bench("mobile")).world
    do(world, "optics", {"lost_filtration_mm": 2.0})
    assert world.dap is not None
    beam_of_before = BeamCourse(on_us=0, kv=80.0, ma=10.0, ramp_us=0, fall_us=1, off_us=100_000)
    world.generator.courses.append(beam_of_before)
    dose = world.dap.seen(200_000).dap_dgycm2
    assert dose is not None
    assert dose > 0
    world.advance(200_000)
    do(world, "heal", {"what": "optics"})
    assert world.dap.seen(200_000).dap_dgycm2 == dose
    world.panel._open_window(200_000)
    do(world, "heal", {"what": "all"})  # there is nothing to take back
    world.geometry.optics.light_off_rows_mm = 5.0
    with pytest.raises(ScriptError, match="what rays meet stays where it is"):
        do(world, "heal", {"what": "optics"})
    assert world.geometry.optics.light_off_rows_mm == 5.0


def test_a_fault_that_is_healed_in_the_beam_has_had_its_effect() -> None:
    world = sim_world()
    world.do("generator", shunt_factor=1.5, kv_factor=0.8)
    world.world.generator.set_charge_mas(world.t_us, 0.4)
    world.beam()
    world.after_ms(300)
    world.do("heal", what="generator")
    world.after_ms(2000)
    told_kv, told_mas = world.world.generator.account(world.t_us)
    assert told_kv == pytest.approx(80.0, rel=0.01)
    assert told_mas == pytest.approx(0.4, rel=0.01)
    assert shown(world).mas == pytest.approx(0.6, abs=1e-4)
    assert shown(world).kv == pytest.approx(64.0, rel=CHANCE)


def test_a_beam_without_current_leaves_no_reading() -> None:
    world = sim_world()
    world.do("generator", filament_open=True)
    world.beam(ms=400)
    world.after_ms(500)
    assert world.world.meter.readings() == []


def test_what_is_no_drift_is_refused_with_the_range() -> None:
    with pytest.raises(ScriptError, match=r"meter_kv_pct = 70\.0: must be -50 to 50"):
        sim_world().do("meter", meter_kv_pct=70.0)
