"""Outside evidence: SpekPy anchors (qc-and-physics.md 5.4), design 8, NIST SRD 126."""

from __future__ import annotations

import numpy as np
import pytest

from sim import beam

# kV, mm Al, uGy/mAs at 1 m, HVL mm Al. Source: qc-and-physics.md 5.4, 12 degree anode.
SPEKPY = [
    (40, 2.5, 17.7, 1.41),
    (40, 3.0, 13.5, 1.54),
    (60, 2.5, 46.5, 2.12),
    (60, 3.0, 38.5, 2.34),
    (70, 2.5, 61.9, 2.44),
    (70, 3.0, 52.3, 2.70),
    (80, 2.5, 78.4, 2.78),
    (80, 3.0, 67.4, 3.08),
]


@pytest.mark.parametrize(("kv", "aluminium_mm", "output", "hvl"), SPEKPY)
def test_output_and_hvl_stand_on_the_spekpy_anchors(
    kv: float, aluminium_mm: float, output: float, hvl: float
) -> None:
    assert beam.kerma_ugy(kv, 1.0, aluminium_mm=aluminium_mm) == pytest.approx(output, rel=0.02)
    assert beam.hvl_mm_al(kv, aluminium_mm=aluminium_mm) == pytest.approx(hvl, rel=0.02)


def test_the_design_example_of_a_filtered_90_kv_beam_is_met() -> None:
    filtration = {"aluminium_mm": 2.5, "copper_mm": 0.1}  # design section 8
    assert beam.kerma_ugy(90, 1.0, **filtration) == pytest.approx(50.0, rel=0.05)
    assert beam.hvl_mm_al(90, **filtration) == pytest.approx(5.0, rel=0.05)


def test_kerma_follows_charge_and_the_inverse_square() -> None:
    assert beam.kerma_ugy(80, 1.0) == pytest.approx(78.4)
    assert beam.kerma_ugy(80, 2.5, 2000.0) == pytest.approx(78.4 * 2.5 / 4.0)


@pytest.mark.parametrize(("kv", "mas"), [(80, 0.0), (0.0, 1.0), (-1.0, 1.0)])
def test_no_charge_or_no_voltage_is_no_kerma(kv: float, mas: float) -> None:
    assert beam.kerma_ugy(kv, mas) == 0.0


@pytest.mark.parametrize("kv", range(30, 150, 10))
def test_a_higher_voltage_gives_more_and_harder_radiation(kv: int) -> None:
    assert beam.kerma_ugy(kv + 10, 1.0) > beam.kerma_ugy(kv, 1.0)
    assert beam.effective_kev(kv + 10) >= beam.effective_kev(kv)


def test_five_centimetres_of_water_pass_what_the_reference_says() -> None:
    mu = beam.attenuation_per_mm("water", 60.0)  # qc-and-physics.md section 4: exp(-mu t)
    assert np.exp(-mu * 50.0) == pytest.approx(0.357, abs=0.0005)


def test_materials_in_a_row_multiply() -> None:
    maps = {"water": np.full((2, 3), 20.0, np.float32), "bone": np.full((2, 3), 5.0, np.float32)}
    alone = [beam.transmission(80, {name: one})[0, 0] for name, one in maps.items()]
    both = beam.transmission(80, maps)
    assert both.shape == (2, 3)
    assert both.dtype == np.float32
    assert both[1, 2] == pytest.approx(alone[0] * alone[1], rel=1e-5)


def test_an_unknown_material_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown material 'cheese'; known: water, bone"):
        beam.attenuation_per_mm("cheese", 40.0)
    with pytest.raises(ValueError, match="at least one material"):
        beam.transmission(80, {})
