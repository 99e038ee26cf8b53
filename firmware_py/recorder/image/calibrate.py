"""From averaged frames to maps: offset, gain, linearity, lag (qc-and-physics.md 3.1, 3.3).

"Signal" is counts with the offset removed. Linear signal, with y = signal / full_scale:

    linear = signal * (1 + a * y + b * y * y)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.frame_stats import FrameStats
from firmware_py.recorder.image.limits import NO_RESPONSE, Limit
from firmware_py.recorder.image.maps import Floats, Mask

DARKS = Limit(
    name="darks",
    text="averaged frames of an offset map, at least",
    value=32,
    unit="frames",
    source="Teledyne p. 43",
    mark="S",
)
FLATS = Limit(
    name="flats",
    text="averaged frames of a gain map, at least",
    value=16,
    unit="frames",
    source="Teledyne p. 49",
    mark="S",
)
LEVEL_TARGET = Limit(
    name="level",
    text="median of a flat, aimed at",
    value=0.20,
    unit="of full scale",
    source="inside what both makers say",
    mark="D",
)
LEVEL_LOWEST = Limit(
    name="level, lowest",
    text="median of a flat, at least",
    value=0.12,
    unit="of full scale",
    source="Varex: 8 000-16 000 of 65 535",
    mark="S",
)
LEVEL_HIGHEST = Limit(
    name="level, highest",
    text="median of a flat, at most",
    value=0.25,
    unit="of full scale",
    source="Teledyne p. 49: about 25 %",
    mark="S",
)
LEVELS = Limit(
    name="levels",
    text="different levels of a linearity fit, at least",
    value=5,
    unit="levels",
    source="three unknowns, and two to spare",
    mark="D",
)
SATURATED = Limit(
    name="saturated",
    text="median signal of a level that counts as saturated; the rest is the offset's",
    value=0.90,
    unit="of full scale",
    source="our own",
    mark="D",
)
INTERCEPT = Limit(
    name="intercept",
    text="linear signal without charge, at most",
    value=0.02,
    unit="of full scale",
    source="our own: a tenth of a flat's level",
    mark="D",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linearity:
    a: float
    b: float
    worst_before_pct: float  # level furthest from counts in proportion to mAs
    worst_after_pct: float


LINEAR = Linearity(a=0.0, b=0.0, worst_before_pct=0.0, worst_after_pct=0.0)


def offset_map(darks: FrameStats) -> Floats:
    """Counts without beam, rows x columns."""
    _need(darks, DARKS, "an offset map", "dark frames")
    return darks.mean()


def gain_map(flats: FrameStats, offset: Floats, linearity: Linearity, full_scale: int) -> Floats:
    """Relative response, rows x columns; mean 1 over the pixels that respond.

    The mean frame is linearised, not each frame: with a = 0.05 and 50 counts of noise at
    3 000 of 16 383 the difference is 0.01 counts.
    """
    _need(flats, FLATS, "a gain map", "flat frames")
    linear = linearise(flats.mean() - offset, linearity, full_scale)
    linear /= np.float32(linear[responding(linear)].mean(dtype=np.float64))
    return linear


def linearise(signal: Floats, linearity: Linearity, full_scale: int) -> Floats:
    """A new array; counts."""
    y = signal / np.float32(full_scale)
    factor = np.float32(linearity.b) * y
    factor += np.float32(linearity.a)
    factor *= y
    factor += np.float32(1.0)
    factor *= signal
    return factor


def responding(signal: Floats) -> Mask:
    """Pixels with more than 5 % of the median signal. ValueError if the panel has no signal."""
    median = float(np.median(signal))
    if not median > 0.0:
        raise ValueError(f"the median signal is {median:.1f} counts: the flat had no beam")
    return signal > np.float32(NO_RESPONSE.value * median)


def level_problem(median_counts: float, full_scale: int) -> str:
    """Why a flat of this median signal makes no gain map; "" when it does."""
    share = median_counts / full_scale
    if LEVEL_LOWEST.value <= share <= LEVEL_HIGHEST.value:
        return ""
    return (
        f"the flat's median is {median_counts:.0f} counts, {share:.1%} of full scale; "
        f"it must lie between {LEVEL_LOWEST.value:.0%} and {LEVEL_HIGHEST.value:.0%}, "
        f"aim at {LEVEL_TARGET.value:.0%} ({LEVEL_TARGET.value * full_scale:.0f} counts)"
    )


def linearity_of(levels: Sequence[tuple[float, float]], full_scale: int) -> Linearity:
    """From (mAs, median signal in counts) of flats at one quality and distance.

    linear = k * mas + intercept, with linear = counts * (1 + a * y). Divided by y this is
    linear in the unknowns 1/k, a/k and intercept/k, and least squares weigh each level by its
    relative error. The intercept is free, since an indicated charge is off by a constant (a
    part of the ramp): without it the curve would bend itself to hide that. A cubic term is not
    fitted: with six levels it could not be told from the intercept.
    """
    levels = sorted(levels)
    _check_levels(levels, full_scale)
    mas, counts = np.array(levels, np.float64).T
    y = counts / full_scale
    ratio = mas / y
    columns = np.column_stack([np.ones_like(y), y, 1.0 / y])
    per_k, a_per_k, minus_intercept_per_k = np.linalg.lstsq(columns, ratio)[0]
    a, intercept = float(a_per_k / per_k), float(-minus_intercept_per_k / per_k)
    _check_intercept(intercept, full_scale)
    _check_rising(a)
    line = (mas / per_k + intercept) / y
    return Linearity(
        a=a,
        b=0.0,
        worst_before_pct=_worst_pct(line / line.mean()),
        worst_after_pct=_worst_pct(line / (1.0 + a * y)),
    )


def lag_shares(signal_exposed: Floats, signals_after: Sequence[Floats]) -> tuple[float, ...]:
    """What each following frame still holds of the exposed one: median share, from 0 up."""
    lit = responding(signal_exposed)
    exposed = signal_exposed[lit]
    return tuple(max(0.0, float(np.median(after[lit] / exposed))) for after in signals_after)


def _need(frames: FrameStats, limit: Limit, of: str, what: str) -> None:
    if frames.count < limit.value:
        raise ValueError(
            f"{of} needs at least {limit.value:.0f} {what} ({limit.source}), got {frames.count}"
        )


def _check_levels(levels: Sequence[tuple[float, float]], full_scale: int) -> None:
    for mas, counts in levels:
        if not (mas > 0.0 and counts > 0.0):
            raise ValueError(f"the level of {mas:g} mAs has {counts:.0f} counts: no signal")
        if counts >= SATURATED.value * full_scale:
            raise ValueError(
                f"the level of {mas:g} mAs is saturated: {counts:.0f} counts, over "
                f"{SATURATED.value:.0%} of full scale ({full_scale}); leave it out"
            )
    if (different := len({mas for mas, _ in levels})) < LEVELS.value:
        raise ValueError(f"linearity needs at least {LEVELS.value:.0f} levels, got {different}")
    for (mas, counts), (more_mas, more_counts) in pairwise(levels):
        if more_mas > mas and more_counts <= counts:
            raise ValueError(
                f"the level of {more_mas:g} mAs has {more_counts:.0f} counts, no more than "
                f"that of {mas:g} mAs ({counts:.0f})"
            )


def _check_intercept(intercept: float, full_scale: int) -> None:
    if abs(intercept) > INTERCEPT.value:
        raise ValueError(
            f"the levels point at {intercept * full_scale:.0f} counts without charge, more than "
            f"{INTERCEPT.value:.1%} of full scale: is the offset of now, are mAs right, "
            "is there a level near to none?"
        )


def _check_rising(a: float) -> None:
    if not 1.0 + 2.0 * a > 0.0:
        raise ValueError(
            f"the fit (a = {a:.3f}) falls somewhere below full scale: "
            "take levels that reach further up"
        )


def _worst_pct(ratio: NDArray[np.float64]) -> float:
    return float(np.abs(ratio - 1.0).max()) * 100.0
