"""MTF, NNPS and DQE from images alone, after IEC 62220-1 as qc-and-physics.md 1.6 tells it.

Knows nothing of the simulator: what comes in are linear pixels (counts without pedestal, rows x
columns), the pixel's pitch, and for DQE what a dosemeter and a spectrum say. Frequencies are mm-1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from firmware_py.recorder.image.correct import PEDESTAL_COUNT

Doubles = NDArray[np.float64]

EDGE_REACH_PX = 20
_STEP_PX = 8
BINS_PER_PX = 10
REGION_PX = 256
OVERLAP_PX = 128
LINES_COUNT = 7  # averaged on each side of the axis, which is left out itself


@dataclass(frozen=True, slots=True)
class Curve:
    per_mm: Doubles
    values: Doubles

    def at(self, per_mm: Doubles) -> Doubles:
        return np.interp(per_mm, self.per_mm, self.values)


def linear_pixels(path: Path) -> tuple[Doubles, float]:
    """Counts above the pedestal, and the pitch in mm, of a For Processing DICOM file."""
    image = pydicom.dcmread(path)
    assert image.PresentationIntentType == "FOR PROCESSING"
    assert image.PixelIntensityRelationship == "LIN"
    pixels = image.pixel_array.astype(np.float64) - PEDESTAL_COUNT
    return pixels, float(image.ImagerPixelSpacing[0])


# --- MTF: a slanted edge, dark on one side, across the columns


def edge_mtf(pixels: Doubles, pitch_mm: float, *, reach_mm: float = 10.0) -> Curve:
    """Presampled MTF across an edge that stands nearly along the columns, to twice Nyquist."""
    distance_mm = _distance_mm(pixels, pitch_mm)
    bin_mm = pitch_mm / BINS_PER_PX
    profile = _edge_profile(pixels, distance_mm, bin_mm, reach_mm)
    spread = (profile[2:] - profile[:-2]) / 2.0
    seen = np.abs(np.fft.rfft(spread))
    per_mm: Doubles = np.fft.rfftfreq(len(spread), bin_mm).astype(np.float64)
    # Means over bins, and a difference over two of them, are low-pass filters of their own.
    seen /= np.abs(np.sinc(bin_mm * per_mm) * np.sinc(2.0 * bin_mm * per_mm))
    below = per_mm <= 1.0 / pitch_mm
    return Curve(per_mm[below], (seen / seen[0])[below])


def _distance_mm(pixels: Doubles, pitch_mm: float) -> Doubles:
    """Of each pixel's centre from the edge, along its normal."""
    rows = np.arange(len(pixels))
    places = _places_px(pixels)
    used = np.ones(len(rows), np.bool_)
    for _ in range(5):
        slope, start = np.polyfit(rows[used], places[used], 1)
        off = places - (slope * rows + start)
        used = np.abs(off) <= 3.0 * max(float(off[used].std()), 1e-9)
    line = slope * rows + start
    columns = np.arange(pixels.shape[1])
    away_px = (columns[None, :] - line[:, None]) / np.hypot(1.0, slope)
    return np.asarray(pitch_mm * away_px, np.float64)


def _places_px(pixels: Doubles) -> Doubles:
    """Per row the centroid of its derivative, near to where the row is steepest."""
    rows = np.arange(len(pixels))
    steep = np.abs(pixels[:, _STEP_PX:] - pixels[:, :-_STEP_PX]).argmax(axis=1) + _STEP_PX // 2
    line = np.polyval(np.polyfit(rows, steep, 1), rows)
    low = np.clip(np.rint(line).astype(int) - EDGE_REACH_PX, 0, None)
    index = low[:, None] + np.arange(2 * EDGE_REACH_PX)
    near = np.take_along_axis(np.diff(pixels, axis=1), index, axis=1)
    return np.asarray((near * (index + 0.5)).sum(axis=1) / near.sum(axis=1), np.float64)


def _edge_profile(pixels: Doubles, distance_mm: Doubles, bin_mm: float, reach_mm: float) -> Doubles:
    """The mean of all pixels at each distance: an edge ten times finer than the pixels."""
    half = round(reach_mm / bin_mm)
    index = np.rint(distance_mm / bin_mm).astype(int) + half
    inside = (index >= 0) & (index <= 2 * half)
    counts = np.bincount(index[inside], minlength=2 * half + 1)
    sums = np.bincount(index[inside], weights=pixels[inside], minlength=2 * half + 1)
    assert counts.min() > 0, "an edge that is too straight: some distance has no pixel"
    return sums / counts


# --- noise power, and DQE


def nnps_mm2(flats: Iterable[Doubles], pitch_mm: float) -> Doubles:
    """(256, 256) normalised noise power, frequency 0 in [0, 0].

    Regions are tapered (Hann): cut off sharply, what leaks from low frequencies reads 5 % too
    much near Nyquist, where a sharp scintillator's noise has fallen to a hundredth.
    """
    sums, count = np.zeros((REGION_PX, REGION_PX)), 0
    basis = _surfaces()
    taper = np.outer(*2 * [np.sin(np.pi * (np.arange(REGION_PX) + 0.5) / REGION_PX) ** 2])
    taper /= np.sqrt(np.mean(taper**2))
    for flat in flats:
        mean = flat.mean()
        for region in _regions(flat):
            rest = (region / mean - 1.0).reshape(-1)
            rest = rest - basis @ (basis.T @ rest)
            sums += np.abs(np.fft.fft2(taper * rest.reshape(region.shape))) ** 2
            count += 1
    assert count > 0, "no region of 256 x 256 pixels"
    return sums / count * pitch_mm**2 / REGION_PX**2


def _regions(flat: Doubles) -> Iterable[Doubles]:
    rows, columns = flat.shape
    for top in range(0, rows - REGION_PX + 1, OVERLAP_PX):
        for left in range(0, columns - REGION_PX + 1, OVERLAP_PX):
            yield flat[top : top + REGION_PX, left : left + REGION_PX]


def _surfaces() -> Doubles:
    """Second-order surfaces as columns that are normal to each other."""
    y, x = np.meshgrid(*2 * [np.linspace(-1.0, 1.0, REGION_PX)], indexing="ij")
    surfaces = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    return np.linalg.qr(surfaces.reshape(-1, 6))[0]


def along_axis(power: Doubles, pitch_mm: float) -> Curve:
    """Along the rows' frequency: 7 lines on each side of the axis, without the axis."""
    lines = [*range(1, LINES_COUNT + 1), *range(-LINES_COUNT, 0)]
    per_mm: Doubles = np.fft.rfftfreq(REGION_PX, pitch_mm)[1:].astype(np.float64)
    return Curve(per_mm, power[lines, 1 : REGION_PX // 2 + 1].mean(axis=0))


def dqe(mtf: Curve, nnps: Curve, kerma_ugy: float, fluence_per_mm2_per_ugy: float) -> Curve:
    arriving_per_mm2 = kerma_ugy * fluence_per_mm2_per_ugy
    return Curve(nnps.per_mm, mtf.at(nnps.per_mm) ** 2 / (arriving_per_mm2 * nnps.values))
