"""Kerma and attenuation in closed form: a plain beam, easy to replace by a spectrum.

One effective energy stands for the whole spectrum, so a thick object hardens nothing.
No heel effect, no scatter, no air path of its own (the anchors include 1 m of air).

Anchors, all computed with SpekPy (casim, 12 degrees) and listed in qc-and-physics.md
5.4: output and HVL at 1 m behind 2.5 mm Al at 40, 60, 70 and 80 kV, and the loss from
2.5 to 3.0 mm Al. Two numbers are fitted: the kV exponent (within 1.5 % of the four
anchors) and copper as 28 mm Al per mm (90 kV, 2.5 mm Al + 0.1 mm Cu then gives
51 uGy/mAs and HVL 5.1 mm Al; the design says about 50 and 5.0). Published output for
80 kV and 2.5 mm Al is 25-80 uGy/mAs at 1 m (EC RP 162, unverified): a real, aged tube
gives 10-25 % less than this one. Above 80 kV everything is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

OUTPUT_UGY_PER_MAS = 78.4  # 80 kV, 2.5 mm Al, 1 m
REFERENCE_KV = 80.0
REFERENCE_MM = 1000.0
INHERENT_MM_AL = 2.5  # the filtration that the anchors were computed for
COPPER_IN_ALUMINIUM = 28.0  # mm Al that filter like 1 mm Cu; fitted, see above

# Per kV: exponent of the output with total filtration; effective keV behind 2.5 mm Al
# and its gain per further mm. The energies are those at which aluminium has the anchors'
# HVL; 100 and 120 kV come from the RQR HVLs (qc-and-physics.md 1.5) scaled to 2.5 mm Al.
_KV = (40.0, 60.0, 70.0, 80.0, 100.0, 120.0)
_FILTER_EXPONENT = (-1.48, -1.04, -0.92, -0.83, -0.83, -0.83)
_EFFECTIVE_KEV = (25.2, 29.2, 30.9, 32.6, 36.6, 40.4)
_KEV_PER_MM_AL = (1.65, 2.3, 2.6, 2.9, 2.9, 2.9)

# Mass attenuation in cm2/g (NIST SRD 126; checked against xraylib 4.3, all within 0.1 %),
# density in g/cm3. Bone is ICRU-44 cortical; soft tissue is counted as water.
_KEV = (15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0)
_MATERIALS = {
    "water": (1.0, (1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837)),
    "bone": (1.92, (9.032, 4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229)),
    "aluminium": (2.699, (7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018)),
    "lead": (11.35, (111.6, 86.36, 30.32, 14.36, 8.041, 5.021, 2.419)),
}


def kerma_ugy(
    kv: float,
    mas: float,
    distance_mm: float = REFERENCE_MM,
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
) -> float:
    """Air kerma free in air. The exponent falls with kV: no fixed square law (5.5)."""
    if kv <= 0.0 or mas <= 0.0:
        return 0.0
    octave = math.log(kv / REFERENCE_KV)
    output = OUTPUT_UGY_PER_MAS * math.exp((1.68 - 0.65 * octave) * octave)
    filtering = _total_mm_al(aluminium_mm, copper_mm) / INHERENT_MM_AL
    output *= math.pow(filtering, float(np.interp(kv, _KV, _FILTER_EXPONENT)))
    return output * mas * (REFERENCE_MM / distance_mm) ** 2


def effective_kev(
    kv: float, *, aluminium_mm: float = INHERENT_MM_AL, copper_mm: float = 0.0
) -> float:
    """The one energy that has the beam's first HVL; rises with kV and filtration."""
    behind_anchor = float(np.interp(kv, _KV, _EFFECTIVE_KEV))
    added_mm = _total_mm_al(aluminium_mm, copper_mm) - INHERENT_MM_AL
    kev_per_mm = float(np.interp(kv, _KV, _KEV_PER_MM_AL))
    return min(behind_anchor + kev_per_mm * added_mm, 0.75 * kv)


def attenuation_per_mm(material: str, kev: float) -> float:
    """Linear attenuation coefficient, log-log between the table's energies."""
    if material not in _MATERIALS:
        raise ValueError(f"unknown material {material!r}; known: {', '.join(_MATERIALS)}")
    density, mass_attenuation = _MATERIALS[material]
    log_mu = np.interp(math.log(kev), np.log(_KEV), np.log(mass_attenuation))
    return density * math.exp(float(log_mu)) / 10.0


def transmission(
    kv: float,
    thickness_mm: Mapping[str, Floats],
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
) -> Floats:
    """The part of the kerma that comes through, per pixel; maps are mm per material."""
    if not thickness_mm:
        raise ValueError("transmission needs the thickness map of at least one material")
    kev = effective_kev(kv, aluminium_mm=aluminium_mm, copper_mm=copper_mm)
    depth = np.zeros_like(next(iter(thickness_mm.values())), dtype=np.float32)
    for material, thickness in thickness_mm.items():
        depth += np.float32(attenuation_per_mm(material, kev)) * thickness
    np.negative(depth, out=depth)
    return np.exp(depth, out=depth)


def hvl_mm_al(kv: float, *, aluminium_mm: float = INHERENT_MM_AL, copper_mm: float = 0.0) -> float:
    kev = effective_kev(kv, aluminium_mm=aluminium_mm, copper_mm=copper_mm)
    return math.log(2.0) / attenuation_per_mm("aluminium", kev)


def _total_mm_al(aluminium_mm: float, copper_mm: float) -> float:
    return aluminium_mm + COPPER_IN_ALUMINIUM * copper_mm
