"""How a beam is made: ripple as an average over its phase, and what a rough target keeps back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim import beam, scintillator
from sim.anode_wear import even_share, foil_mm, passing_share
from sim.beamline import BeamCourse
from sim.condition import AS_NEW, PARTS_COUNT, Condition

STEPS_COUNT = 2_000


def phases_kv(peak_kv: float, ripple_pct: float) -> list[float]:
    """The ripple's voltage at many equal steps of its phase."""
    phases = ((index + 0.5) * 2 * math.pi / STEPS_COUNT for index in range(STEPS_COUNT))
    return [peak_kv * (1 - ripple_pct / 200 * (1 - math.cos(phase))) for phase in phases]


@pytest.mark.parametrize("ripple_pct", [3.0, 30.0, 100.0])
@pytest.mark.parametrize("power", [1, 2, 5, 15])
def test_the_parts_of_a_ripple_average_powers_of_the_voltage_exactly(
    ripple_pct: float, power: int
) -> None:
    parts_kv = Condition(ripple_pct=ripple_pct).parts_kv(80.0)
    expected = sum(kv**power for kv in phases_kv(80.0, ripple_pct)) / STEPS_COUNT
    assert len(parts_kv) == PARTS_COUNT
    assert sum(kv**power for kv in parts_kv) / PARTS_COUNT == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("ripple_pct", "within"), [(3.0, 1e-4), (30.0, 5e-4), (100.0, 5e-3)])
@pytest.mark.parametrize("kv", [50.0, 80.0, 140.0])
def test_the_spectrum_with_ripple_is_the_mean_of_the_spectra_of_its_phases(
    ripple_pct: float, within: float, kv: float
) -> None:
    many = [beam.spectrum(round(one, 2)) for one in phases_kv(kv, ripple_pct)[:STEPS_COUNT:10]]
    mean = beam.Spectrum(kv, np.mean([one.fluence_per_mm2 for one in many], axis=0))
    found = beam.spectrum(kv, condition=Condition(ripple_pct=ripple_pct))
    assert found.kerma_ugy_per_mas == pytest.approx(mean.kerma_ugy_per_mas, rel=within)
    assert found.hvl_mm_al() == pytest.approx(mean.hvl_mm_al(), rel=within)


def test_without_ripple_and_wear_every_beam_is_what_it_was() -> None:
    assert AS_NEW.parts_kv(70.0) == (70.0,)
    assert AS_NEW.mean_share == 1.0
    named, plain = beam.spectrum(70.0, condition=AS_NEW), beam.spectrum(70.0)
    assert np.array_equal(named.fluence_per_mm2, plain.fluence_per_mm2)


def test_more_ripple_gives_always_less_kerma_and_a_mean_voltage_in_proportion() -> None:
    kermas = [
        beam.kerma_ugy(80.0, 1.0, condition=Condition(ripple_pct=float(pct)))
        for pct in range(0, 101, 10)
    ]
    assert kermas == sorted(kermas, reverse=True)
    assert Condition(ripple_pct=30.0).mean_share == 0.85


def test_a_tube_under_ripple_is_heated_by_its_mean_voltage_and_shows_its_peak() -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=100.0, ramp_us=0, fall_us=1_000)
    course.condition = Condition(ripple_pct=30.0)
    assert course.energy_j(0, 100_000) == pytest.approx(0.85 * 80.0 * 10.0)
    assert course.peak_kv(0, 100_000) == 80.0
    assert course.charge_mas(0, 100_000) == pytest.approx(10.0)
    assert course.spends_us(680.0) == 100_000


@pytest.mark.parametrize("condition", [Condition(ripple_pct=30.0), Condition(tungsten_mm=0.003)])
def test_what_lies_in_the_beam_and_the_panel_meet_the_spectrum_of_the_condition(
    condition: Condition,
) -> None:
    one = beam.spectrum(80.0, condition=condition)
    slab = {"water": np.full((2, 2), 100.0, np.float32)}
    passed = beam.transmission(80.0, slab, condition=condition, every_energy=True)[0, 0]
    behind = one.behind({"water": 100.0}).kerma_ugy_per_mas / one.kerma_ugy_per_mas
    assert passed == pytest.approx(behind, rel=1e-5)
    assert passed != pytest.approx(beam.transmission(80.0, slab, every_energy=True)[0, 0], rel=0.01)
    quality = scintillator.quality(80.0, condition=condition)
    assert quality == scintillator.quality_of(one)
    middle = beam.heel(80.0, np.array([-100.0, 0.0]), condition=condition)
    assert middle[1] == pytest.approx(1.0, rel=1e-6)
    assert middle[0] != beam.heel(80.0, np.array([-100.0, 0.0]))[0]


# --- the target


@pytest.mark.parametrize("loss_pct", [1.0, 20.0, 60.0])
def test_the_foil_and_what_is_lost_evenly_make_the_loss_that_was_told(loss_pct: float) -> None:
    left = passing_share(foil_mm(loss_pct)) * even_share(loss_pct)
    assert left == pytest.approx(1 - loss_pct / 100, rel=1e-6)


def test_a_quarter_of_the_loss_hardens() -> None:
    assert passing_share(foil_mm(20.0)) == pytest.approx(0.8**0.25, rel=1e-6)
    hard = beam.hvl_mm_al(80.0, condition=Condition(tungsten_mm=foil_mm(20.0)))
    assert hard / beam.hvl_mm_al(80.0) == pytest.approx(1.035, abs=0.01)
    assert 0.001 < foil_mm(20.0) < 0.002  # a micrometre of tungsten


def test_a_new_target_keeps_nothing_back_and_none_keeps_all() -> None:
    assert (foil_mm(0.0), even_share(0.0)) == (0.0, 1.0)
    with pytest.raises(ValueError, match="loss_pct = 100: must be 0 to less than 100"):
        foil_mm(100.0)
