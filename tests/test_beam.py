"""The beam against outside evidence: SpekPy's own numbers, and what follows without any table.

`tests/spekpy_beams.toml` are SpekPy's literals; qc-and-physics.md 5.4 has some of them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import beam
from tests.spekpy_beams import BEAMS, QUALITIES, SpekpyBeam

STRAIGHT = [one for one in BEAMS if one.anode_deg == 12.0 and one.off_axis_mm == 0.0]
WHOLE = [one for one in STRAIGHT if one.kv % 1.0 == 0.0 and one.kv >= 40.0]
BETWEEN = [one for one in STRAIGHT if one.kv % 1.0 != 0.0 and one.kv >= 40.0]
LOW = [one for one in STRAIGHT if one.kv < 40.0]
TURNED = [one for one in BEAMS if one not in STRAIGHT]

# kV, mm Al, uGy/mAs and HVL mm Al at 12 degrees, the same at 16: qc-and-physics.md 5.4.
ANCHORS = [
    (40, 2.5, (17.7, 1.41), (18.1, 1.39)),
    (40, 3.0, (13.5, 1.54), (13.8, 1.52)),
    (60, 2.5, (46.5, 2.12), (48.2, 2.06)),
    (60, 3.0, (38.5, 2.34), (39.7, 2.29)),
    (70, 2.5, (61.9, 2.44), (64.6, 2.36)),
    (70, 3.0, (52.3, 2.70), (54.3, 2.62)),
    (80, 2.5, (78.4, 2.78), (82.3, 2.68)),
    (80, 3.0, (67.4, 3.08), (70.3, 2.97)),
]
# kVp, mm Al: 21 CFR 1020.30(m), made after 10 June 2006: qc-and-physics.md 1.2.
LEAST_HVL = [
    (40, 0.4), (50, 0.5), (51, 1.3), (60, 1.5), (70, 1.8), (71, 2.5), (80, 2.9), (90, 3.2),
    (100, 3.6), (110, 3.9), (120, 4.3), (130, 4.7), (140, 5.0), (150, 5.4),
]  # fmt: skip


def worst_error(one: SpekpyBeam) -> float:
    """The largest relative difference of all that SpekPy says of it."""
    ours = one.ours()
    # SpekPy sends an oblique ray obliquely through the half-value layer, too.
    oblique = math.hypot(1.0, one.off_axis_mm / 1000.0)
    pairs = (
        (ours.kerma_ugy_per_mas, one.kerma_ugy_per_mas),
        (ours.hvl_mm_al(), one.hvl1_mm_al * oblique),
        (ours.hvl_mm_al(2), one.hvl2_mm_al * oblique),
        (ours.mean_kev, one.mean_kev),
        (ours.fluence_per_mm2_per_ugy, one.fluence_per_mm2_per_ugy),
    )
    return max(abs(found / wanted - 1.0) for found, wanted in pairs)


# --- against SpekPy's own numbers


def test_there_are_beams_of_each_sort_to_compare_with() -> None:
    assert (len(WHOLE), len(BETWEEN), len(LOW), len(TURNED)) == (57, 7, 3, 39)


@pytest.mark.parametrize("one", WHOLE, ids=str)
def test_at_whole_kilovolts_we_are_spekpy(one: SpekpyBeam) -> None:
    assert worst_error(one) < 1e-4


@pytest.mark.parametrize("one", BETWEEN, ids=str)
def test_between_the_tables_kilovolts_the_error_stays_under_a_thousandth(one: SpekpyBeam) -> None:
    assert worst_error(one) < 1e-3


@pytest.mark.parametrize("one", LOW, ids=str)
def test_below_40_kv_we_are_within_two_per_cent(one: SpekpyBeam) -> None:
    assert worst_error(one) < 0.02


@pytest.mark.parametrize("one", TURNED, ids=str)
def test_another_anode_or_a_place_off_the_axis_is_within_three_thousandths(one: SpekpyBeam) -> None:
    assert worst_error(one) < 3e-3


@pytest.mark.parametrize("name", QUALITIES)
def test_the_standards_beams_have_spekpys_kerma_quality_and_fluence(name: str) -> None:
    assert worst_error(QUALITIES[name]) < 1e-4


@pytest.mark.parametrize(("kv", "aluminium_mm", "at_12", "at_16"), ANCHORS)
def test_output_and_hvl_stand_on_the_references_anchors(
    kv: float, aluminium_mm: float, at_12: tuple[float, float], at_16: tuple[float, float]
) -> None:
    for anode_deg, (output, hvl) in ((12.0, at_12), (16.0, at_16)):
        one = beam.spectrum(kv, aluminium_mm=aluminium_mm, anode_deg=anode_deg)
        assert one.kerma_ugy_per_mas == pytest.approx(output, abs=0.06)  # they have one decimal
        assert one.hvl_mm_al() == pytest.approx(hvl, abs=0.006)


def test_the_design_example_of_a_filtered_90_kv_beam_is_met() -> None:
    filtration: dict[str, Any] = {"aluminium_mm": 2.5, "copper_mm": 0.1}  # design section 8
    assert beam.kerma_ugy(90, 1.0, **filtration) == pytest.approx(50.0, rel=0.01)
    assert beam.hvl_mm_al(90, **filtration) == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize(("kv", "least_mm"), LEAST_HVL)
def test_2_8_mm_of_aluminium_meet_the_minimum_half_value_layer(kv: float, least_mm: float) -> None:
    assert beam.hvl_mm_al(kv, aluminium_mm=2.8) >= least_mm  # 1.2 of the reference: the target


def test_2_5_mm_of_aluminium_miss_the_minimum_half_value_layer_at_80_kv() -> None:
    assert beam.hvl_mm_al(80.0, aluminium_mm=2.5) < 2.9


# --- what follows without any table


def test_kerma_follows_the_charge() -> None:
    assert beam.kerma_ugy(80, 2.5) == pytest.approx(2.5 * beam.kerma_ugy(80, 1.0))


def test_twice_as_far_is_a_quarter_behind_another_metre_of_air() -> None:
    behind = beam.spectrum(80.0).behind({"air": 1000.0}).kerma_ugy_per_mas
    assert beam.kerma_ugy(80, 1.0, 2000.0) == pytest.approx(behind / 4.0)
    assert 0.955 < behind / beam.kerma_ugy(80, 1.0) < 0.961  # mu of air at 30 keV: 4.3 % a metre


def test_half_as_far_the_air_that_is_not_there_takes_nothing() -> None:
    near = beam.spectrum(80.0).at(500.0)
    assert near.kerma_ugy_per_mas > 4.0 * beam.kerma_ugy(80, 1.0)
    again = near.behind({"air": 500.0}).fluence_per_mm2 / 4.0
    assert again == pytest.approx(beam.spectrum(80.0).fluence_per_mm2)


@pytest.mark.parametrize(("kv", "mas"), [(80, 0.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)])
def test_no_charge_or_no_voltage_is_no_kerma(kv: float, mas: float) -> None:
    assert beam.kerma_ugy(kv, mas) == 0.0


@pytest.mark.parametrize("kv", [*range(5, 20), 19.5, *range(20, 165, 5)])
def test_a_higher_voltage_gives_more_and_harder_radiation(kv: float) -> None:
    lower, higher = beam.spectrum(float(kv)), beam.spectrum(kv + 0.5)
    assert higher.kerma_ugy_per_mas > lower.kerma_ugy_per_mas
    assert higher.mean_kev >= lower.mean_kev
    assert higher.hvl_mm_al() >= lower.hvl_mm_al()


@pytest.mark.parametrize("kv", [5.0, 12.3, 19.9, 20.0, 33.3, 80.0, 149.9])
def test_no_photon_has_more_energy_than_the_voltage_gives(kv: float) -> None:
    beyond = math.ceil(kv) < beam.KEV  # a mixture of two whole kV has photons of the upper one
    assert not beam.spectrum(kv, aluminium_mm=0.0).fluence_per_mm2[beyond].any()


def test_where_the_table_ends_nothing_jumps() -> None:
    for edge_kv in (20.0, 150.0):
        below, above = (beam.kerma_ugy(edge_kv + step, 1.0) for step in (-1e-6, 1e-6))
        assert above == pytest.approx(below, rel=1e-5)


def test_above_the_table_160_kv_are_spekpys_within_seven_thousandths() -> None:
    assert beam.kerma_ugy(160, 1.0) == pytest.approx(238.414, rel=0.007)  # SpekPy 2.5.4, casim
    assert beam.hvl_mm_al(160) == pytest.approx(5.8464, rel=0.007)


def test_each_half_value_layer_halves_again() -> None:
    one = beam.spectrum(80.0)
    first, second, third = (one.hvl_mm_al(nth) for nth in (1, 2, 3))
    assert first < second < third  # the beam hardens
    for layers_mm, part in ((first, 2), (first + second, 4), (first + second + third, 8)):
        left = one.behind({"aluminium": layers_mm}).kerma_ugy_per_mas
        assert left == pytest.approx(one.kerma_ugy_per_mas / part)


@pytest.mark.parametrize(
    ("kv", "aluminium_mm"),
    [(2.5, 0.0), *((kv, mm) for kv in (20.0, 40.0, 150.0) for mm in (0.0, 0.5, 45.0))],
)
def test_the_half_value_layer_is_found_for_soft_and_hard_beams(
    kv: float, aluminium_mm: float
) -> None:
    one = beam.spectrum(kv, aluminium_mm=aluminium_mm, copper_mm=aluminium_mm / 100)
    first, third = one.hvl_mm_al(), one.hvl_mm_al(3)  # the third takes most steps
    assert third >= first * (1.0 - 1e-9)
    left = one.behind({"aluminium": first}).kerma_ugy_per_mas
    assert left / one.kerma_ugy_per_mas == pytest.approx(0.5, rel=1e-9)


def test_a_half_value_layer_that_is_not_found_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.beam._STEPS_COUNT", 4)
    with pytest.raises(ArithmeticError, match=r"no 2\. half-value layer found for 80 kV"):
        beam.spectrum(80.0).hvl_mm_al(2)


def test_filters_in_a_row_are_one_filter() -> None:
    bare = beam.spectrum(90.0, aluminium_mm=0.0)
    filtered = beam.spectrum(90.0, aluminium_mm=2.0, copper_mm=0.1)
    after = bare.behind({"copper": 0.1}).behind({"aluminium": 2.0})
    assert after.fluence_per_mm2 == pytest.approx(filtered.fluence_per_mm2)


def test_a_steeper_anode_filters_itself_more() -> None:
    outputs, hvls = zip(
        *(
            (one.kerma_ugy_per_mas, one.hvl_mm_al())
            for one in (beam.spectrum(80.0, anode_deg=deg) for deg in (6.0, 10.0, 12.0, 16.0, 20.0))
        ),
        strict=True,
    )
    assert list(outputs) == sorted(outputs)
    assert list(hvls) == sorted(hvls, reverse=True)


def test_the_anodes_side_is_weaker_and_harder_and_behind_its_edge_there_is_nothing() -> None:
    anode, cathode = (beam.spectrum(80.0, off_axis_mm=mm) for mm in (-150.0, 150.0))
    assert anode.kerma_ugy_per_mas < 0.75 * cathode.kerma_ugy_per_mas
    assert anode.hvl_mm_al() > cathode.hvl_mm_al()
    edge_mm = -1000.0 * math.tan(math.radians(12.0))
    assert beam.spectrum(80.0, off_axis_mm=edge_mm - 1.0).kerma_ugy_per_mas == 0.0


@pytest.mark.parametrize("kv", [60.0, 110.0])
@pytest.mark.parametrize("weight", [None, beam.KEV])
def test_the_heel_is_what_the_spectra_off_the_axis_say_without_the_longer_way(
    kv: float, weight: NDArray[np.float64] | None
) -> None:
    at_mm = np.linspace(-190.0, 190.0, 47)  # none of the places that it is taken from
    found = beam.heel(kv, at_mm, aluminium_mm=3.0, response=weight)
    signal = beam._ugy_per_photon() if weight is None else weight
    straight = beam.spectrum(kv, aluminium_mm=3.0).fluence_per_mm2 @ signal
    for mm, part in zip(at_mm.tolist(), found.tolist(), strict=True):
        one = beam.spectrum(kv, aluminium_mm=3.0, off_axis_mm=mm).fluence_per_mm2 @ signal
        assert part == pytest.approx(one / straight * (1 + (mm / 1000.0) ** 2), rel=1e-3)
    assert found[23] == pytest.approx(1.0, rel=1e-3)
    assert list(found[:30]) == sorted(found[:30])  # less and less towards the anode
    assert found[0] < 0.65  # weighed by energy least, since what is left is hard
    assert 1.0 < found[-1] < 1.15


def test_beyond_the_places_that_it_knows_the_heel_is_as_at_the_last_of_them() -> None:
    near = beam.heel(80.0, np.array([-400.0, 400.0]))
    assert list(near) == list(beam.heel(80.0, np.array([-500.0, 900.0])))


def test_a_spectrum_can_not_be_changed_by_who_asked_for_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        beam.spectrum(80.0).fluence_per_mm2[0] = 1.0


def test_below_the_table_its_lowest_spectrum_fades_with_the_voltage() -> None:
    lowest, half = (beam.spectrum(kv, aluminium_mm=0.0).fluence_per_mm2 for kv in (20.0, 10.0))
    below = beam.KEV < 10.0
    assert half[below] == pytest.approx(0.5 * lowest[below])
    assert half[below].sum() > 0.0


# --- what is refused


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("anode_deg", 4.9, r"anode_deg must be from 5 to 25, got 4\.9"),
        ("anode_deg", 26.0, "anode_deg must be from 5 to 25, got 26"),
        ("off_axis_mm", -401.0, "off_axis_mm must be from -400 to 400, got -401"),
        ("off_axis_mm", math.nan, "off_axis_mm must be from -400 to 400, got nan"),
        ("aluminium_mm", -0.1, r"aluminium has a thickness of 0 mm or more, not -0\.1"),
        ("copper_mm", math.nan, "copper has a thickness of 0 mm or more, not nan"),
    ],
)
def test_what_no_tube_has_is_refused_by_name(name: str, value: float, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        beam.spectrum(80.0, **{name: value})


def test_where_nothing_comes_through_there_is_no_quality_but_kerma_is_nought() -> None:
    nothing = beam.spectrum(2.0, aluminium_mm=100.0)
    assert nothing.kerma_ugy_per_mas == 0.0
    questions: tuple[Callable[[], float], ...] = (
        nothing.hvl_mm_al,
        lambda: nothing.mean_kev,
        lambda: nothing.fluence_per_mm2_per_ugy,
    )
    for ask in questions:
        with pytest.raises(ValueError, match="nothing comes through at 2 kV"):
            ask()


@pytest.mark.parametrize("distance_mm", [0.0, -1000.0, math.nan])
def test_no_distance_is_no_place_for_a_beam(distance_mm: float) -> None:
    with pytest.raises(ValueError, match="a beam has a distance above 0 mm"):
        beam.kerma_ugy(80, 1.0, distance_mm)


def test_an_unknown_material_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown material 'cheese'; known: aluminium, copper"):
        beam.mu_per_mm("cheese")
    with pytest.raises(ValueError, match="unknown material 'cheese'"):
        beam.spectrum(80.0).behind({"cheese": 1.0})
