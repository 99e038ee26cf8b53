"""The committed table of spectra and attenuation: what is in the file, and nothing of what for.

`tools/make_spectra.py` makes it from SpekPy (MIT), and is the only thing that needs SpekPy. All
attenuation is from SpekPy's source "pene", as the spectra are: mixed sources cost about 1 % of the
kerma (qc-and-physics.md 5.5). Compositions and densities are SpekPy's own, too: each material's
`composition` is the name of its file there.

A target filters its own radiation. So each bin of a spectrum says, beside what comes out at 12
degrees, from how deep it comes: shares of `depths` in the target; and how much more is born towards
larger angles: `tilt_per_deg`. What leaves at another take-off angle then follows in closed form,
and with it both another anode angle and the heel effect.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FILE = Path(__file__).with_name("w12.npz")
BIN_KEV = 0.5
KEV: Array = np.arange(1.25, 150.0, BIN_KEV)  # (298,) bin centres
KEV.setflags(write=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectraTable:
    """Tungsten, 12 degrees. kV and energies rise; S spectra, N coarser steps of kV, D depths."""

    origin: dict[str, str]  # generator, model, mu, made, ...
    kv: Array  # (S,)
    fluence_per_mm2: Array  # (S, 298) per mAs, in each bin, at 1 m, without any filter or air
    kv_of_shares: Array  # (N,)
    shares: Array  # (N, D, 298) of what comes out at 12 degrees, by depth; sum over D is 1
    tilt_per_deg: Array  # (N, 298) relative, from 12 degrees
    depths: Array  # (D,) in parts of `range_mm`
    mu_per_mm: dict[str, Array]  # material: (298,)
    density_g_cm3: dict[str, float]
    composition: dict[str, str]  # material: the name of SpekPy's composition
    air_muen_cm2_g: Array  # (298,)


def range_mm(kv: float) -> float:
    """How deep radiation begins in the target, about: a scale for `depths` and no more.

    The shares are fitted to it, so that the spectra are right whatever it is; its exponent only
    makes the shares change slowly with kV.
    """
    return 0.009 * math.pow(kv / 100.0, 1.6)


@cache
def table() -> SpectraTable:
    with np.load(FILE) as file:
        facts = json.loads(str(file["facts"]))
        mu = file["mu_per_mm"].astype(np.float64)
        return SpectraTable(
            origin=facts["origin"],
            kv=file["kv"].astype(np.float64),
            fluence_per_mm2=file["fluence_per_mm2"].astype(np.float64),
            kv_of_shares=file["kv_of_shares"].astype(np.float64),
            shares=file["shares"].astype(np.float64),
            tilt_per_deg=file["tilt_per_deg"].astype(np.float64),
            depths=file["depths"].astype(np.float64),
            mu_per_mm=dict(zip(facts["materials"], mu, strict=True)),
            density_g_cm3=facts["density_g_cm3"],
            composition=facts["composition"],
            air_muen_cm2_g=file["air_muen_cm2_g"].astype(np.float64),
        )
