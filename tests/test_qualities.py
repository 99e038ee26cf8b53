"""Radiation qualities of IEC 61267: published half-value layers, and SpekPy's own way there."""

from __future__ import annotations

import pytest

from sim import beam, qualities
from tests.spekpy_beams import QUALITIES
from tools import spekpy_beams


def test_there_are_nine_of_each_kind_and_none_is_verified() -> None:
    assert qualities.names() == tuple(f"{kind}{n}" for kind in ("RQR", "RQA") for n in range(2, 11))
    for name in qualities.names():
        one = qualities.quality(name)
        assert (one.edition, one.verified) == ("2005", False)
        assert one.source


@pytest.mark.parametrize("name", QUALITIES)
def test_its_beam_has_the_published_half_value_layer_within_two_per_cent(name: str) -> None:
    one = qualities.quality(name)
    made = beam.spectrum(one.kv, aluminium_mm=qualities.total_mm_al(name))
    assert made.hvl_mm_al() == pytest.approx(one.hvl_mm, rel=0.02)
    if name.startswith("RQR"):
        assert made.hvl_mm_al() == pytest.approx(one.rqr_hvl_mm, rel=1e-6)
        assert one.homogeneity is not None
        assert made.hvl_mm_al() / made.hvl_mm_al(2) == pytest.approx(one.homogeneity, abs=0.012)


@pytest.mark.parametrize("name", QUALITIES)
def test_it_takes_the_aluminium_that_spekpy_takes(name: str) -> None:
    spekpy = QUALITIES[name]
    assert qualities.total_mm_al(name) == pytest.approx(spekpy.aluminium_mm, abs=0.001)
    assert qualities.quality(name).kv == spekpy.kv


@pytest.mark.parametrize(
    ("name", "total_mm", "kerma_ugy", "rqa_mm"),
    [
        ("2", 2.55, 17.2, 2.18), ("4", 2.65, 43.7, 5.30),
        ("5", 2.77, 56.5, 6.71), ("6", 2.88, 69.7, 8.07),
    ],
)  # fmt: skip
def test_the_references_anchors_are_met(
    name: str, total_mm: float, kerma_ugy: float, rqa_mm: float
) -> None:
    found_mm = qualities.total_mm_al(f"RQR{name}")  # qc-and-physics.md 5.4
    assert found_mm == pytest.approx(total_mm, abs=0.006)
    kv = qualities.quality(f"RQR{name}").kv
    assert beam.kerma_ugy(kv, 1.0, aluminium_mm=found_mm) == pytest.approx(kerma_ugy, abs=0.06)
    behind_mm = qualities.total_mm_al(f"RQA{name}")
    assert beam.hvl_mm_al(kv, aluminium_mm=behind_mm) == pytest.approx(rqa_mm, abs=0.006)


def test_the_table_is_the_one_that_spekpys_numbers_were_made_with() -> None:
    rows = [
        (n, one.kv, one.rqr_hvl_mm, one.added_mm)
        for n in range(2, 11)
        for one in [qualities.quality(f"RQA{n}")]
    ]
    assert rows == list(spekpy_beams.QUALITIES)


def test_a_flatter_anode_needs_more_filtration() -> None:
    assert qualities.total_mm_al("RQA5", 16.0) > qualities.total_mm_al("RQA5") + 0.1


def test_case_counts_for_nothing_and_an_unknown_quality_is_told_the_nearest() -> None:
    assert qualities.quality("rqa5") is qualities.quality("RQA5")
    with pytest.raises(ValueError, match=r"no radiation quality 'RQB5'; did you mean RQ[AR]5\?"):
        qualities.quality("RQB5")
    with pytest.raises(ValueError, match="no radiation quality 'hard'; there are RQR2, RQR3"):
        qualities.quality("hard")
