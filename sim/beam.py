"""The X-ray beam: its spectrum, and what follows from it. numpy over a committed table.

The table is SpekPy's (`sim/spectra`): a tungsten target at constant voltage, 20 to 150 kV, no
off-focus radiation, no scatter. Output is that of a new tube: 10-25 % less is normal for an old
one (unverified, qc-and-physics.md 5.4); ripple and a rough target are a `Condition`. What comes out
at 1 m has passed 1 m of air, and at another distance as much air as that is.

Against SpekPy itself, over 40-150 kV and 2-4 mm Al: kerma and HVL within 0.05 %, between the whole
kV of the table, too; within 0.3 % at another anode angle or off the axis. Outside the table nothing
breaks: from 20 kV down the lowest spectrum fades to nothing at 0 kV, cut off at the voltage (ramps
pass there, and behind 2.5 mm Al it is under a hundredth of the output at 80 kV); above 150 kV the
last two go on, with no photon above 150 keV: at 160 kV kerma and HVL are 0.4 and 0.6 % too low.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from sim.condition import AS_NEW, Condition
from sim.few_energies import few_energies
from sim.spectra import KEV, Array, range_mm, table

__all__ = [
    "KEV",
    "Spectrum",
    "heel",
    "hvl_mm_al",
    "kerma_ugy",
    "mu_per_mm",
    "spectrum",
    "transmission",
]

Floats = NDArray[np.float32]

REFERENCE_MM = 1000.0
INHERENT_MM_AL = 2.5
ANODE_DEG = 12.0
ANODE_RANGE_DEG = (5.0, 25.0)
OFF_AXIS_RANGE_MM = (-400.0, 400.0)  # at 1 m; the table was compared with SpekPy from 0.6 to 30 deg
HEEL_STEPS_COUNT = 129
_JOULE_PER_KEV = 1.602176634e-16
_STEPS_COUNT = 30  # of Newton; a usual beam takes 6, one without filter and air 7
_CHUNK_COUNT = 1 << 16  # pixels whose maps stay in the cache while all energies pass


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What one mAs makes at one place. Don't write into the array."""

    kv: float
    fluence_per_mm2: Array  # (298,) photons in each bin of KEV

    @cached_property
    def kerma_ugy_per_mas(self) -> float:
        """Air kerma, free in air."""
        return float(self.fluence_per_mm2 @ _ugy_per_photon())

    @property
    def mean_kev(self) -> float:
        """Of the photons; raises ValueError where there are none."""
        return float(self.fluence_per_mm2 @ KEV) / self._count_per_mm2()

    @property
    def fluence_per_mm2_per_ugy(self) -> float:
        """SNR_in^2 per kerma of IEC 62220-1; raises ValueError where there are no photons."""
        return self._count_per_mm2() / self.kerma_ugy_per_mas

    def hvl_mm_al(self, nth: int = 1) -> float:
        """What halves the kerma for the nth time; the 2nd after the 1st is in place."""
        return self._reached_mm(nth) - (self._reached_mm(nth - 1) if nth > 1 else 0.0)

    def behind(self, thickness_mm: Mapping[str, float]) -> Spectrum:
        return Spectrum(self.kv, self.fluence_per_mm2 * _through(thickness_mm.items()))

    def at(self, distance_mm: float) -> Spectrum:
        """This spectrum of 1 m at another distance: farther away, and behind more air."""
        if not distance_mm > 0.0:
            raise ValueError(f"a beam has a distance above 0 mm, not {distance_mm:g}")
        more_air_mm = distance_mm - REFERENCE_MM
        spread = (REFERENCE_MM / distance_mm) ** 2
        return Spectrum(
            self.kv, self.fluence_per_mm2 * np.exp(-mu_per_mm("air") * more_air_mm) * spread
        )

    def _count_per_mm2(self) -> float:
        count = float(self.fluence_per_mm2.sum())
        if not self.kerma_ugy_per_mas > 0.0:
            why = "too thick a filter, or the anode is in the way"
            raise ValueError(f"nothing comes through at {self.kv:g} kV: {why}")
        return count

    def _reached_mm(self, halvings: int) -> float:
        """Aluminium in which the kerma halves so often: Newton on its logarithm.

        That is convex and falls, so from 0 mm every step falls short of the root and none passes.
        """
        self._count_per_mm2()
        mu, kerma = mu_per_mm("aluminium"), self.fluence_per_mm2 * _ugy_per_photon()
        wanted = math.log(self.kerma_ugy_per_mas) - halvings * math.log(2.0)
        reached_mm = 0.0
        for _ in range(_STEPS_COUNT):
            left = kerma * np.exp(-mu * reached_mm)
            left_sum = float(left.sum())
            step_mm = (math.log(left_sum) - wanted) * left_sum / float(left @ mu)
            reached_mm += step_mm
            if abs(step_mm) <= 1e-9 * reached_mm:
                return reached_mm
        raise ArithmeticError(f"no {halvings}. half-value layer found for {self.kv:g} kV")


@lru_cache(maxsize=512)
def spectrum(
    kv: float,
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
    anode_deg: float = ANODE_DEG,
    off_axis_mm: float = 0.0,
    condition: Condition = AS_NEW,
) -> Spectrum:
    """At 1 m, behind the filters and 1 m of air, which `off_axis_mm` crosses obliquely.

    `off_axis_mm` is in the plane at 1 m, towards the cathode; towards the anode it is negative, and
    behind the anode's edge there is nothing. Nothing, too, at 0 kV and less. With ripple `kv` is
    the peak, from whose depths in the target all counts as coming. ValueError for filters below
    0 mm and for angles and places outside ANODE_RANGE_DEG and OFF_AXIS_RANGE_MM.
    """
    _inside("anode_deg", anode_deg, ANODE_RANGE_DEG)
    _inside("off_axis_mm", off_axis_mm, OFF_AXIS_RANGE_MM)
    oblique = math.hypot(1.0, off_axis_mm / REFERENCE_MM)
    filters = {"aluminium": aluminium_mm, "copper": copper_mm, "air": REFERENCE_MM,
               "tungsten": condition.tungsten_mm}  # fmt: skip
    parts_kv = condition.parts_kv(kv)
    born = sum((_born(part_kv) for part_kv in parts_kv[1:]), start=_born(parts_kv[0]))
    fluence = born / len(parts_kv) * _through((name, mm * oblique) for name, mm in filters.items())
    if anode_deg != ANODE_DEG or off_axis_mm != 0.0:
        take_off_deg = anode_deg + math.degrees(math.atan(off_axis_mm / REFERENCE_MM))
        fluence *= _left_target(kv, take_off_deg) / oblique**2
    fluence.setflags(write=False)
    return Spectrum(kv, fluence)


def kerma_ugy(
    kv: float,
    mas: float,
    distance_mm: float = REFERENCE_MM,
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
    condition: Condition = AS_NEW,
) -> float:
    """Air kerma free in air, on the axis; 0 without voltage or charge."""
    if kv <= 0.0 or mas <= 0.0:
        return 0.0
    return mas * _kerma_ugy_per_mas(kv, distance_mm, aluminium_mm, copper_mm, condition)


def hvl_mm_al(
    kv: float,
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
    condition: Condition = AS_NEW,
) -> float:
    """The first half-value layer at 1 m."""
    one = spectrum(kv, aluminium_mm=aluminium_mm, copper_mm=copper_mm, condition=condition)
    return one.hvl_mm_al()


def heel(
    kv: float,
    off_axis_mm: Array,
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
    condition: Condition = AS_NEW,
    response: Array | None = None,
) -> Array:
    """The signal at these places in the plane at 1 m, as a part of that on the axis; same shape.

    Of target, filters and air alone, so without the inverse square of the longer way. Towards the
    cathode places are positive; beyond OFF_AXIS_RANGE_MM it is as at its end. `response` as in
    `transmission`. Between HEEL_STEPS_COUNT places it is interpolated: to 0.1 %,
    and to 7 % where the anode's edge leaves under a twentieth.
    """
    signal = _ugy_per_photon() if response is None else response
    low, high = OFF_AXIS_RANGE_MM
    within = np.clip(off_axis_mm, low, high)
    places = np.linspace(within.min(), within.max(), HEEL_STEPS_COUNT)
    there_mm = {"aluminium_mm": aluminium_mm, "copper_mm": copper_mm}
    seen = [
        float(spectrum(kv, **there_mm, off_axis_mm=float(mm), condition=condition)
              .fluence_per_mm2 @ signal) * (1.0 + (mm / REFERENCE_MM) ** 2)
        for mm in places
    ]  # fmt: skip
    straight = spectrum(kv, **there_mm, condition=condition)
    there: Array = np.interp(within, places, seen) / float(straight.fluence_per_mm2 @ signal)
    return there


def mu_per_mm(material: str) -> Array:
    """Linear attenuation (298,), coherent scatter included; ValueError names what there is."""
    known = table().mu_per_mm
    if material not in known:
        raise ValueError(f"unknown material {material!r}; known: {', '.join(known)}")
    return known[material]


def transmission(
    kv: float,
    thickness_mm: Mapping[str, Floats],
    *,
    aluminium_mm: float = INHERENT_MM_AL,
    copper_mm: float = 0.0,
    condition: Condition = AS_NEW,
    response: Array | None = None,
    every_energy: bool = False,
) -> Floats:
    """The part of the signal that comes through, per pixel; maps are mm per material.

    `response`: what a photon of each energy adds to the signal (298,); left out: its air kerma.
    Thick objects harden the beam. Within 0.5 % of the sum over all energies, to 1e-3, behind what
    phantoms are made of (0.9 % where lead and tungsten lie on each other in a bare beam); with
    `every_energy` it is that sum: twenty times as slow, and alike to the last digits everywhere.
    """
    if not thickness_mm:
        raise ValueError("transmission needs the thickness map of at least one material")
    maps = {name: np.asarray(each, np.float32) for name, each in sorted(thickness_mm.items())}
    shapes = {name: each.shape for name, each in maps.items()}
    if len(set(shapes.values())) > 1:
        sizes = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"transmission needs maps of one size, not {sizes}")
    there = tuple(name for name, each in maps.items() if each.any())
    shape = next(iter(shapes.values()))
    if not there:
        return np.ones(shape, np.float32)
    mu, weights = _few(
        kv, aluminium_mm, copper_mm, condition, _as_key(response), there, every_energy=every_energy
    )
    flat = [maps[name].reshape(-1) for name in there]
    passed = np.zeros(flat[0].size, np.float32)
    for start in range(0, passed.size, _CHUNK_COUNT):
        chunk = slice(start, start + _CHUNK_COUNT)
        _add_up(passed[chunk], [each[chunk] for each in flat], mu, weights)
    return passed.reshape(shape)


def _as_key(response: Array | None) -> bytes | None:
    if response is None:
        return None
    if response.shape != KEV.shape:
        raise ValueError(f"a response has a value for each of the {len(KEV)} energies of KEV")
    return response.astype(np.float64).tobytes()


def _add_up(passed: Floats, maps: list[Floats], mu: Floats, weights: Floats) -> None:
    depth, part = np.empty_like(passed), np.empty_like(passed)
    for weight, of_maps in zip(weights, -mu.T, strict=True):
        np.multiply(maps[0], of_maps[0], out=depth)
        for each, of_map in zip(maps[1:], of_maps[1:], strict=True):
            depth += np.multiply(each, of_map, out=part)
        np.exp(depth, out=depth)
        depth *= weight
        passed += depth


@lru_cache(maxsize=64)
def _few(
    kv: float,
    aluminium_mm: float,
    copper_mm: float,
    condition: Condition,
    response: bytes | None,
    there: tuple[str, ...],
    *,
    every_energy: bool,
) -> tuple[Floats, Floats]:
    """(materials, energies) attenuation and (energies,) weights that stand for the spectrum."""
    signal = _ugy_per_photon() if response is None else np.frombuffer(response)
    beam = spectrum(kv, aluminium_mm=aluminium_mm, copper_mm=copper_mm, condition=condition)
    mu = np.array([mu_per_mm(name) for name in there])
    signals = beam.fluence_per_mm2 * signal
    if not signals.sum() > 0.0:
        raise ValueError(f"nothing comes through at {kv:g} kV: no part of nothing can be told")
    if every_energy:
        bins = np.flatnonzero(signals)
        weights = signals[bins] / signals.sum()
    else:
        bins, weights = few_energies(signals, mu)
    return mu[:, bins].astype(np.float32), weights.astype(np.float32)


@lru_cache(maxsize=512)
def _kerma_ugy_per_mas(
    kv: float, distance_mm: float, aluminium_mm: float, copper_mm: float, condition: Condition
) -> float:
    one = spectrum(kv, aluminium_mm=aluminium_mm, copper_mm=copper_mm, condition=condition)
    return one.at(distance_mm).kerma_ugy_per_mas


def _born(kv: float) -> Array:
    """Per mm2 and mAs at 1 m without filter or air, at 12 degrees."""
    known = table()
    lowest_kv = known.kv[0]
    if kv < lowest_kv:
        fading = max(kv, 0.0) / lowest_kv
        faded: Array = fading * np.where(kv > KEV, known.fluence_per_mm2[0], 0.0)
        return faded
    index = min(int(kv - lowest_kv), len(known.kv) - 2)
    beyond = kv - known.kv[index]
    lower, upper = known.fluence_per_mm2[index : index + 2]
    between: Array = lower + beyond * (upper - lower)
    return np.maximum(between, 0.0) if beyond > 1.0 else between


def _left_target(kv: float, take_off_deg: float) -> Array:
    """What leaves at this angle, of what leaves at 12 degrees: less of what was born deep."""
    if take_off_deg <= 0.0:
        return np.zeros_like(KEV)
    known = table()
    within_kv = min(max(kv, known.kv_of_shares[0]), known.kv_of_shares[-1])
    index = int(np.searchsorted(known.kv_of_shares[1:-1], within_kv, "right"))
    lower_kv, upper_kv = known.kv_of_shares[index : index + 2]
    weight = (within_kv - lower_kv) / (upper_kv - lower_kv)
    shares, tilt = (
        (1.0 - weight) * of[index] + weight * of[index + 1]
        for of in (known.shares, known.tilt_per_deg)
    )
    longer = 1.0 / math.sin(math.radians(take_off_deg)) - 1.0 / math.sin(math.radians(ANODE_DEG))
    paths_mm = known.depths * range_mm(within_kv) * longer
    through = np.exp(-np.outer(paths_mm, mu_per_mm("tungsten")))
    left: Array = (shares * through).sum(axis=0) * (1.0 + tilt * (take_off_deg - ANODE_DEG))
    return left


def _through(filters: Iterable[tuple[str, float]]) -> Array:
    paths = np.zeros_like(KEV)
    for name, mm in filters:
        if not mm >= 0.0:
            raise ValueError(f"{name} has a thickness of 0 mm or more, not {mm:g}")
        if mm:
            paths += mu_per_mm(name) * mm
    through: Array = np.exp(-paths)
    return through


@cache
def _ugy_per_photon() -> Array:
    """Air kerma of one photon per mm2 (298,)."""
    per_cm2 = KEV * table().air_muen_cm2_g * _JOULE_PER_KEV * 1e3 * 1e6  # g to kg, Gy to uGy
    weights: Array = per_cm2 * 100.0  # a photon per mm2 is 100 per cm2
    return weights


def _inside(name: str, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {value:g}")
