"""How even a corrected flat is: AAPM TG-150 (draft), as applied by Dave et al. 2012.

A border of 10 mm is dropped, the rest is cut into regions of 10 x 10 mm (to the pixel; what
is left over falls off evenly on both sides). Each region has a signal (mean), a noise (sigma)
and an SNR. Noise non-uniformity shows a bad calibration first, signal non-uniformity a panel
that is rotated against its calibration (qc-and-physics.md 1.7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.correct import PEDESTAL_COUNT, Pixels
from firmware_py.recorder.image.limits import Judgement, Limit

Regions = NDArray[np.float64]  # one number a region

BORDER_MM = 10.0
REGION_MM = 10.0
_REGIONS_FEWEST = 2  # each way: a region needs neighbours

RESIDUAL = Limit(
    name="residual",
    text="signal non-uniformity of a new corrected flat, local and global, under",
    value=2.0,
    unit="%",
    source="hnvue-console, an open console project: residual after gain correction",
    mark="S",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonUniformity:
    local_pct: float  # largest step between neighbouring regions, of the mean
    global_pct: float  # largest less smallest, of the mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniformity:
    signal: NonUniformity
    noise: NonUniformity
    snr: NonUniformity


def uniformity(pixels: Pixels, pitch_mm: float) -> Uniformity:
    """Of one corrected flat with its pedestal, defects mended; rows x columns, counts."""
    regions = _regions(pixels, pitch_mm)
    signal = regions.mean(axis=(1, 3)) - PEDESTAL_COUNT
    noise = regions.std(axis=(1, 3))
    if not (signal.min() > 0.0 and noise.min() > 0.0):
        raise ValueError("a region without signal or without noise: this is no image of a flat")
    return Uniformity(
        signal=_non_uniformity(signal),
        noise=_non_uniformity(noise),
        snr=_non_uniformity(signal / noise),
    )


def judge_residual(found: Uniformity) -> Judgement:
    """Of the signal only: noise over 72 x 72 pixels scatters by 1 % by chance alone."""
    worst_pct = max(found.signal.local_pct, found.signal.global_pct)
    return Judgement(limit=RESIDUAL, found=worst_pct, ok=worst_pct < RESIDUAL.value)


def _regions(pixels: Pixels, pitch_mm: float) -> NDArray[np.float64]:
    """Region row x row in it x region column x column in it."""
    side_px, border_px = round(REGION_MM / pitch_mm), round(BORDER_MM / pitch_mm)
    counts = [(length_px - 2 * border_px) // side_px for length_px in pixels.shape]
    if min(counts) < _REGIONS_FEWEST:
        need_mm = 2 * BORDER_MM + _REGIONS_FEWEST * REGION_MM
        size_mm = " x ".join(f"{length_px * pitch_mm:.1f}" for length_px in pixels.shape)
        raise ValueError(
            f"the panel is {size_mm} mm; {need_mm:.0f} x {need_mm:.0f} mm are needed for a border "
            f"of {BORDER_MM:.0f} mm and {_REGIONS_FEWEST} x {_REGIONS_FEWEST} regions"
        )
    first = [
        (length_px - count * side_px) // 2
        for length_px, count in zip(pixels.shape, counts, strict=True)
    ]
    down, right = (
        slice(start, start + count * side_px) for start, count in zip(first, counts, strict=True)
    )
    inner = pixels[down, right].astype(np.float64)
    return inner.reshape(counts[0], side_px, counts[1], side_px)


def _non_uniformity(regions: Regions) -> NonUniformity:
    steps = (np.abs(np.diff(regions, axis=axis)).max() for axis in (0, 1))
    mean = float(regions.mean())
    return NonUniformity(
        local_pct=100.0 * float(max(steps)) / mean,
        global_pct=100.0 * float(np.ptp(regions)) / mean,
    )
