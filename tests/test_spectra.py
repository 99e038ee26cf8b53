"""The committed table: where it comes from, whether it is whole, and what SpekPy says today."""

from __future__ import annotations

import numpy as np
import pytest

from sim import beam
from sim.spectra import FILE, KEV, table
from tests.peers import require_spekpy
from tests.spekpy_beams import BEAMS, CONTENT, QUALITIES, as_beam
from tools import make_spectra, spekpy_beams

# Mass attenuation in cm2/g, NIST SRD 126: another source than the table's. They differ by
# up to 1.1 %, for lead by up to 3.6 %: this catches a wrong composition, density or unit.
NIST = {
    "water": {30.0: 0.3756, 40.0: 0.2683, 60.0: 0.2059, 80.0: 0.1837},
    "bone": {30.0: 1.331, 40.0: 0.6655, 60.0: 0.3148, 80.0: 0.2229},
    "aluminium": {20.0: 3.441, 30.0: 1.128, 60.0: 0.2778, 80.0: 0.2018},
    "lead": {30.0: 30.32, 40.0: 14.36, 60.0: 5.021, 80.0: 2.419},
}
EDGES_KEV = {"csi": 35.98, "tungsten": 69.53, "lead": 88.00, "gadox": 50.24}  # K: I lies at 33.17


def test_the_table_says_where_it_comes_from_and_the_script_would_make_it_so() -> None:
    assert table().origin == make_spectra.ORIGIN
    assert table().origin == {
        "generator": "SpekPy 2.5.4", "model": "casim", "target": "tungsten", "anode_deg": "12",
        "bin_kev": "0.5", "mu": "pene", "made": "2026-11-22",
    }  # fmt: skip
    assert table().composition == make_spectra.MATERIALS
    assert f"SpekPy {make_spectra.SPEKPY}, casim, pene" in CONTENT["source"]
    assert f"; {make_spectra.MADE}" in CONTENT["source"]


def test_the_table_is_whole() -> None:
    known = table()
    assert (KEV[0], KEV[-1], len(KEV)) == (1.25, 149.75, 298)
    assert list(known.kv) == list(range(20, 151))
    assert known.fluence_per_mm2.shape == (131, 298)
    assert known.shares.shape == (17, 5, 298)
    assert known.tilt_per_deg.shape == (17, 298)
    assert list(known.kv_of_shares) == list(make_spectra.KV_OF_SHARES)
    assert np.array_equal(known.depths, make_spectra.DEPTHS)
    assert (known.fluence_per_mm2 >= 0.0).all()
    assert known.shares.sum(axis=1) == pytest.approx(1.0, abs=2e-3)
    for mu in (*known.mu_per_mm.values(), known.air_muen_cm2_g):
        assert mu.shape == (298,)
        assert np.isfinite(mu).all()
        assert (mu > 0.0).all()
    assert FILE.stat().st_size < 150_000


def test_every_spectrum_ends_at_its_voltage() -> None:
    for kv, fluence in zip(table().kv, table().fluence_per_mm2, strict=True):
        assert KEV[np.flatnonzero(fluence)[-1]] == kv - 0.25


def test_characteristic_lines_stand_above_the_k_edge_and_nowhere_below() -> None:
    line = int(np.argmin(abs(KEV - 59.25)))  # W K-alpha 1: 59.32 keV
    for kv, fluence in zip(table().kv, table().fluence_per_mm2, strict=True):
        beside = (fluence[line - 2] + fluence[line + 2]) / 2.0
        if kv >= 80:
            assert fluence[line] > 1.5 * beside
        elif 62 <= kv <= 69:  # the edge lies at 69.5 keV
            assert fluence[line] < 1.2 * beside


@pytest.mark.parametrize(
    ("material", "kev", "per_g"),
    [(name, kev, per_g) for name, rows in NIST.items() for kev, per_g in rows.items()],
)
def test_attenuation_is_about_nists(material: str, kev: float, per_g: float) -> None:
    mu = np.exp(np.interp(np.log(kev), np.log(KEV), np.log(beam.mu_per_mm(material))))
    assert mu * 10.0 / table().density_g_cm3[material] == pytest.approx(
        per_g, rel=0.04 if material == "lead" else 0.012
    )


@pytest.mark.parametrize("material", EDGES_KEV)
def test_heavy_elements_have_their_k_edge_where_it_belongs(material: str) -> None:
    mu = beam.mu_per_mm(material)
    above = int(np.searchsorted(KEV, EDGES_KEV[material] + 0.25))
    assert mu[above] > 1.3 * mu[above - 2]


def test_densities_are_those_of_the_references() -> None:
    wanted = {"aluminium": 2.7, "copper": 8.96, "water": 1.0, "bone": 1.92, "csi": 4.51,
              "pmma": 1.19, "polyethylene": 0.93, "lead": 11.4, "tungsten": 19.3,
              "iron": 7.87, "air": 0.0012}  # fmt: skip
    for name, density in wanted.items():
        assert table().density_g_cm3[name] == pytest.approx(density, rel=0.005), name


# --- SpekPy itself: a peer beside the environment


@pytest.mark.peer
@pytest.mark.parametrize("index", [0, 20, 47, 60, 75, 90, 105])
def test_spekpy_still_says_what_was_written_down_of_it(
    index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_spekpy(monkeypatch)
    written = BEAMS[index]
    said = as_beam(spekpy_beams.spekpy_row(CONTENT["beams"][index][: spekpy_beams.SETTING_COUNT]))
    assert said.kerma_ugy_per_mas == pytest.approx(written.kerma_ugy_per_mas, rel=1e-5)
    assert said.hvl1_mm_al == pytest.approx(written.hvl1_mm_al, rel=1e-4)
    assert said.hvl2_mm_al == pytest.approx(written.hvl2_mm_al, rel=1e-3)
    assert said.fluence_per_mm2_per_ugy == pytest.approx(written.fluence_per_mm2_per_ugy, rel=1e-5)


@pytest.mark.peer
@pytest.mark.parametrize("kv", [20, 71, 150])
def test_spekpy_still_makes_the_tables_spectra(kv: int, monkeypatch: pytest.MonkeyPatch) -> None:
    require_spekpy(monkeypatch)
    born = make_spectra.born_mm2(kv, 12.0)
    assert table().fluence_per_mm2[kv - 20] == pytest.approx(born, rel=1e-6)


def test_the_qualities_were_made_of_the_same_table_as_ours() -> None:
    assert len(QUALITIES) == 2 * len(spekpy_beams.QUALITIES) == 18
