"""Make the simulator's table of spectra from SpekPy, or SpekPy's own numbers for the tests.

    pip install dxrig[spectra]
    python -m tools.make_spectra                 sim/spectra/w12.npz, about three minutes
    python -m tools.make_spectra --beams         tests/spekpy_beams.toml, about a minute
    python -m tools.make_spectra --check         1 if the committed table isn't what SpekPy says

The same SpekPy gives the same bytes. The table: `sim/spectra/__init__.py`. Shares by depth are
fitted (non-negative least squares) to what SpekPy says at 18 take-off angles from 0.6 to 30
degrees; to its model casim a place off the axis is another take-off angle, exactly.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sim.spectra import BIN_KEV, FILE, KEV, Array, range_mm
from tools.spekpy_beams import BEAMS, beams_toml

MADE = "2026-11-22"  # the day of the SpekPy named in ORIGIN: to be moved with it
SPEKPY = "2.5.4"
ANODE_DEG = 12.0
KV = np.arange(20, 151)
KV_OF_SHARES = np.array([20, 25, 30, 35, 40, 45, 50, *range(60, 151, 10)])
DEPTHS = np.array([0.015, 0.05, 0.15, 0.4, 0.9])
TILT_MOST = 0.02  # a degree; only bins that no filter lets through come there
TAKE_OFF_DEG = np.array(
    [0.6, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 30], dtype=np.float64
)
MATERIALS = {  # ours: SpekPy's name of the composition
    "aluminium": "Al",
    "copper": "Cu",
    "air": "Air",
    "water": "Water, Liquid",
    "tissue": "Tissue, Soft Four Component (ICRU)",
    "lung": "Lung Inflated (ICRU)",
    "bone": "Bone, Cortical (ICRU)",
    "pmma": "Perspex",
    "polyethylene": "Polyethylene",
    "iron": "Fe",
    "lead": "Pb",
    "tungsten": "W",
    "csi": "Cesium Iodide",
    "gadox": "Gadolinium Oxysulfide",
}
ORIGIN = {
    "generator": f"SpekPy {SPEKPY}",
    "model": "casim",
    "target": "tungsten",
    "anode_deg": f"{ANODE_DEG:g}",
    "bin_kev": f"{BIN_KEV:g}",
    "mu": "pene",
    "made": MADE,
}


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        if version("spekpy") != SPEKPY:
            raise SystemExit(f"this table is of SpekPy {SPEKPY}; here is {version('spekpy')}")
    except ModuleNotFoundError:
        raise SystemExit("SpekPy is missing: pip install dxrig[spectra]") from None
    if asked.beams:
        BEAMS.write_text(beams_toml(SPEKPY, MADE), encoding="utf-8")
        return _told(BEAMS)
    made = table_bytes()
    if asked.check:
        same = made == FILE.read_bytes()
        print("the same" if same else f"{FILE.name} is not what SpekPy {SPEKPY} makes here")
        return 0 if same else 1
    FILE.write_bytes(made)
    return _told(FILE)


def table_bytes() -> bytes:
    import spekpy

    one = spekpy.Spek(kvp=100, th=ANODE_DEG, dk=BIN_KEV, physics="casim", mu_data_source="pene")
    known = {
        name: one.mu_data.get_mu_over_rho_composition(of, KEV) for name, of in MATERIALS.items()
    }
    facts = {
        "origin": ORIGIN,
        "materials": list(MATERIALS),
        "density_g_cm3": {name: round(float(density), 6) for name, (_, density) in known.items()},
        "composition": MATERIALS,
    }
    mu_per_mm = {name: over_rho * density / 10.0 for name, (over_rho, density) in known.items()}
    fluence = [born_mm2(int(kv), ANODE_DEG) for kv in KV]
    angles = [depths_of(int(kv), mu_per_mm["tungsten"]) for kv in KV_OF_SHARES]
    arrays = {
        "kv": KV.astype(np.int16),
        "fluence_per_mm2": np.array(fluence).astype(np.float32),
        "kv_of_shares": KV_OF_SHARES.astype(np.int16),
        "shares": np.array([shares for shares, _ in angles]).astype(np.float16),
        "tilt_per_deg": np.array([tilt for _, tilt in angles]).astype(np.float16),
        "depths": DEPTHS,
        "mu_per_mm": np.array(list(mu_per_mm.values())),
        "air_muen_cm2_g": one.muen_air_data.get_muen_over_rho_air(KEV),
        "facts": np.array(json.dumps(facts)),
    }
    return _packed(arrays)


def born_mm2(kv: int, take_off_deg: float) -> Array:
    """(298,) fluence per mm2, mAs and bin at 1 m, with nothing in between.

    As the angle of an anode: SpekPy answers another one for a place that is only asked for, since
    it then leaves out that target radiation isn't the same in all directions.
    """
    import spekpy

    tube = spekpy.Spek(kvp=kv, th=take_off_deg, dk=BIN_KEV, physics="casim", mu_data_source="pene")
    fluence = np.zeros(len(KEV))
    per_cm2_kev = tube.get_spk()
    fluence[: len(per_cm2_kev)] = per_cm2_kev * BIN_KEV / 100.0
    return fluence


def depths_of(kv: int, tungsten_per_mm: Array) -> tuple[Array, Array]:
    """(D, 298) shares and (298,) tilt: how each bin changes with the angle."""
    born = np.array([born_mm2(kv, angle_deg) for angle_deg in TAKE_OFF_DEG])
    axis = born[list(TAKE_OFF_DEG).index(ANODE_DEG)]
    shares, tilt = np.zeros((len(DEPTHS), len(KEV))), np.zeros(len(KEV))
    shares[0] = 1.0  # where there is nothing: as if from the surface
    for index in np.flatnonzero(axis > 0.0):
        paths = tungsten_per_mm[index] * range_mm(kv) * DEPTHS
        shares[:, index], tilt[index] = _fitted(born[:, index] / axis[index], paths)
    tilt[axis == 0.0] = tilt[axis > 0.0][-1]
    return shares, tilt


def _fitted(ratio: Array, paths: Array) -> tuple[Array, float]:
    """Shares of these depths, and the tilt with which they meet the ratios of TAKE_OFF_DEG."""
    from scipy.optimize import minimize_scalar, nnls

    longer = 1.0 / np.sin(np.deg2rad(TAKE_OFF_DEG)) - 1.0 / np.sin(np.deg2rad(ANODE_DEG))
    weight = 1.0 / np.maximum(ratio, 1e-6)  # small ratios count as much as large ones
    through = np.exp(-np.outer(longer, paths)) * weight[:, None]
    whole = np.full((1, len(DEPTHS)), 1e3)  # the sum is 1: at 12 degrees nothing changes

    def with_tilt(tilt: float) -> tuple[Array, float]:
        tilted = through * (1.0 + tilt * (TAKE_OFF_DEG - ANODE_DEG))[:, None]
        shares, rest = nnls(np.vstack([tilted, whole]), np.append(ratio * weight, 1e3))
        return shares, float(rest)

    best = minimize_scalar(
        lambda tilt: with_tilt(tilt)[1],
        bounds=(-TILT_MOST, TILT_MOST),
        method="bounded",
        options={"xatol": 1e-5},
    )
    shares = with_tilt(best.x)[0]
    return shares / shares.sum(), float(best.x)


def _packed(arrays: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)  # its members are all of 1980
    return file.getvalue()


def _told(path: Path) -> int:
    print(f"{path.name}: {path.stat().st_size} bytes")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.make_spectra",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--beams", action="store_true", help="SpekPy's own numbers, for the tests")
    what.add_argument("--check", action="store_true", help="make nothing, compare")
    return parser


if __name__ == "__main__":
    sys.exit(main())
