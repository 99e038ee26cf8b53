"""Which pixels are not to be believed: classes of ASTM E2597 (qc-and-physics.md 3.2).

Each class judges the pixels that no class before it took, and its medians are over those
pixels only; so the classes share no pixel and their counts add up. A pixel counts among its
own neighbours. Each criterion is one pass: what it finds does not change its medians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from firmware_py.recorder.image.calibrate import responding
from firmware_py.recorder.image.defect_groups import Cluster, Line, group, shut_in
from firmware_py.recorder.image.limits import NO_RESPONSE, Limit
from firmware_py.recorder.image.local_median import outliers
from firmware_py.recorder.image.maps import Floats, Mask

_E2597 = "ASTM E2597, quoted in an x-ray-forum.net thread"

OVER = Limit(
    name="over-responding",
    text="signal over this many medians of the 21 x 21 around",
    value=1.3,
    unit="medians",
    source=_E2597,
    mark="S",
)
UNDER = Limit(
    name="under-responding",
    text="signal under this many medians of the 21 x 21 around",
    value=0.6,
    unit="medians",
    source=_E2597,
    mark="S",
)
NOISY = Limit(
    name="noisy",
    text="sigma over this many median sigmas of the panel, over 30-100 dark frames",
    value=6.0,
    unit="medians",
    source=_E2597,
    mark="S",
)
HOT = Limit(
    name="hot",
    text="dark level above the panel's median: what is left of the ADC saturates first",
    value=0.25,
    unit="of full scale",
    source="our own; E2597 has no such class",
    mark="D",
)
NON_UNIFORM = Limit(
    name="non-uniform",
    text="corrected flat further than this from the median of the 9 x 9 around",
    value=0.01,
    unit="of the median",
    source=_E2597,
    mark="S",
)
LAG = Limit(
    name="lag",
    text="first frame after beam off over this many medians of the 9 x 9 around",
    value=2.0,
    unit="medians",
    source=_E2597,
    mark="S",
)
NEIGHBOURHOOD = Limit(
    name="bad neighbourhood",
    text="bad neighbours; what lies outside the panel is not good",
    value=8,
    unit="neighbours",
    source=_E2597,
    mark="S",
)
CRITERIA = (NO_RESPONSE, NOISY, HOT, OVER, UNDER, NON_UNIFORM, LAG, NEIGHBOURHOOD)

NOISY_DARKS_FEWEST, NOISY_DARKS_MOST = (
    Limit(name="darks", text=text, value=value, unit="frames", source=_E2597, mark="S")
    for text, value in (
        ("frames that sigma is taken over, at least", 30),
        ("frames that sigma is taken over, at most", 100),
    )
)
SIGMAS = Limit(
    name="sigmas",
    text="what quantum noise must leave of the 1 % of non-uniform, for 9.4 Mpx without false alarm",
    value=6.0,
    unit="sigma",
    source="qc-and-physics.md 3.2",
    mark="C",
)
LAG_SIGMAS = Limit(
    name="sigmas of lag",
    text="lag must be this much above the median as well: a panel may have none to speak of",
    value=6.0,
    unit="sigma",
    source="our own",
    mark="D",
)
_AREA_REACH_PX = 10  # 21 x 21
_NEIGHBOURS_REACH_PX = 4  # 9 x 9
_ROUNDING_SIGMA_COUNTS = 1.0 / math.sqrt(12.0)  # a quiet ADC's pixels mostly stand still


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatNoise:
    """Of two averaged flats: the gain map's, and the corrected one that checks it."""

    gain_pct: float  # sigma of a single frame, of its signal
    gain_count: int  # frames averaged
    check_pct: float
    check_count: int

    @property
    def mean_pct(self) -> float:
        """Of the corrected flat: the gain map's noise is in it."""
        return math.hypot(
            self.gain_pct / math.sqrt(self.gain_count),
            self.check_pct / math.sqrt(self.check_count),
        )

    @property
    def problem(self) -> str:
        """Why 1 % can't be told from noise; "" when it can."""
        limit_pct = 100.0 * NON_UNIFORM.value
        if self.mean_pct * SIGMAS.value <= limit_pct:
            return ""
        single_pct = math.hypot(self.gain_pct, self.check_pct)
        enough = math.ceil((SIGMAS.value * single_pct / limit_pct) ** 2)
        return (
            f"quantum noise leaves {self.mean_pct:.2f} % in the corrected flat: {limit_pct:g} % is "
            f"{limit_pct / self.mean_pct:.1f} sigma, {SIGMAS.value:g} are needed; "
            f"{enough} frames for the gain map and {enough} for the check would do"
        )


def noise_pct(sigma: Floats, signal: Floats) -> float:
    """Sigma of single frames, percent of the signal (offset removed), both in counts."""
    lit = responding(signal)
    return 100.0 * float(np.median(sigma[lit]) / np.median(signal[lit]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Defects:
    mask: Mask  # rows x columns, True: not to be believed
    classes: dict[str, Mask]  # by the criterion's name, those judged; disjoint, together the mask
    lines: tuple[Line, ...]
    clusters: tuple[Cluster, ...]  # without the pixels of lines
    single_count: int  # defects with only good neighbours

    @property
    def relevant_clusters(self) -> tuple[Cluster, ...]:
        return tuple(cluster for cluster in self.clusters if cluster.relevant)


def find_defects(
    *,
    dark_mean: Floats,
    dark_sigma: Floats,
    dark_count: int,
    flat_signal: Floats,
    flat_constant: Mask,
    corrected_flat: Floats,
    flat_noise: FlatNoise,
    full_scale: int,
    after_flat: Floats | None = None,
    after_count: int = 1,
) -> Defects:
    """All maps are rows x columns, in counts.

    dark_mean, dark_sigma: over dark_count dark frames; sigma of single frames.
    flat_signal: the gain map's mean flat, offset removed, linearised, gain not applied.
    flat_constant: pixels that never changed over the flats. In darks good pixels of a quiet
        panel stand still as well; in flats quantum noise moves each that lives.
    corrected_flat: another, new flat at another level, offset and gain applied, no pedestal;
        its defects not mended. flat_noise says how far it can be believed.
    after_flat: mean of after_count first frames after a beam, offset removed; None: the
        panel's lag was not looked at, and the classes have no "lag".

    ValueError: maps of different shape, no signal, or too few frames for what they must show.
    """
    _check_shapes(dark_mean, dark_sigma, flat_signal, flat_constant, corrected_flat, after_flat)
    _check_frames(dark_count, flat_noise)
    good = np.ones(dark_mean.shape, np.bool_)
    classes: dict[str, Mask] = {}

    def take(limit: Limit, found: Mask) -> None:
        classes[limit.name] = found & good
        good[found] = False

    take(NO_RESPONSE, ~responding(flat_signal) | flat_constant)
    _check_any(good)
    take(NOISY, _noisy(dark_sigma, good))
    take(HOT, dark_mean > float(np.median(dark_mean[good])) + HOT.value * full_scale)
    _check_finite(flat_signal, good, "the flat")
    take(OVER, outliers(flat_signal, good, reach_px=_AREA_REACH_PX, high=OVER.value))
    take(UNDER, outliers(flat_signal, good, reach_px=_AREA_REACH_PX, low=UNDER.value))
    _check_finite(corrected_flat, good, "the corrected flat")
    take(NON_UNIFORM, _non_uniform(corrected_flat, good))
    if after_flat is not None:
        _check_finite(after_flat, good, "the frame after the beam")
        frames = 1.0 / after_count + 1.0 / dark_count  # the offset's noise is in it
        noise_counts = float(np.median(dark_sigma[good])) * math.sqrt(frames)
        take(LAG, _lagging(after_flat, good, noise_counts))
    take(NEIGHBOURHOOD, shut_in(~good))
    groups = group(~good)
    return Defects(
        mask=~good,
        classes=classes,
        lines=groups.lines,
        clusters=groups.clusters,
        single_count=groups.single_count,
    )


def _noisy(dark_sigma: Floats, good: Mask) -> Mask:
    median = max(float(np.median(dark_sigma[good])), _ROUNDING_SIGMA_COUNTS)
    return dark_sigma > NOISY.value * median


def _non_uniform(corrected_flat: Floats, good: Mask) -> Mask:
    return outliers(
        corrected_flat,
        good,
        reach_px=_NEIGHBOURS_REACH_PX,
        low=1.0 - NON_UNIFORM.value,
        high=1.0 + NON_UNIFORM.value,
    )


def _lagging(after_flat: Floats, good: Mask, noise_counts: float) -> Mask:
    return outliers(
        after_flat,
        good,
        reach_px=_NEIGHBOURS_REACH_PX,
        high=LAG.value,
        above_counts=LAG_SIGMAS.value * noise_counts,
    )


def _check_shapes(*maps: Floats | Mask | None) -> None:
    shapes = {array.shape for array in maps if array is not None}
    if len(shapes) > 1:
        raise ValueError(f"the maps are of different panels: {sorted(shapes)}")


def _check_frames(dark_count: int, flat_noise: FlatNoise) -> None:
    fewest, most = NOISY_DARKS_FEWEST.value, NOISY_DARKS_MOST.value
    if not fewest <= dark_count <= most:
        raise ValueError(
            f"the noise of pixels is judged over {fewest} to {most} dark frames "
            f"(ASTM E2597), got {dark_count}"
        )
    if flat_noise.problem:
        raise ValueError(flat_noise.problem)


def _check_finite(values: Floats, good: Mask, what: str) -> None:
    if not np.isfinite(values[good]).all():
        raise ValueError(f"{what} is not a number in a pixel that responds")


def _check_any(good: Mask) -> None:
    if not good.any():
        raise ValueError("no pixel responds, or none ever changed: the flats are no flats")
