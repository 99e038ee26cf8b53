"""Scatter as an approximation: broad, smooth, and about as much as there is in life.

Where `primary` passed through t mm of something light, it sends on t / SPR_MM times its kerma as
scatter, spread under a Gaussian of SPREAD_MM, half a millimetre wider for each millimetre of air
gap, and weaker by the gap's inverse square as if it came from GAP_FROM_MM above. So a wide
field has more of it than a narrow one, a thick part gets what thin neighbours send, and
some reaches what lies outside the field. Computed on cells of CELL_MM.

Every number here is chosen: 200 mm of water in a wide field have about three times the primary.
What lies beside the panel scatters nothing into it. Measured for comparison: about 90 % of what
reaches the mediastinum of a chest film without a grid is scatter, and behind a grid of 12:1 less
than half of the contrast is left (Niklason, Sorenson and Nelson, Med. Phys. 1981); ours has 90 %
at 110 kV, and 57 % behind 12:1. Scatter behind an air gap goes as if it came from 150 to 200 mm
above the panel's side of the patient ("Scatter rejection by air gaps: an empirical model").

It has the primary's spectrum. In life it is softer: one Compton scattering forward takes 5 % of a
photon of 60 keV. With 8 % less energy in each, a uGy of it would leave 9 % less signal in the
panel at 80 kV behind 200 mm of water, and 1 % more at 125 kV: less than SPR_MM is uncertain by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SPR_MM = 65.0  # of water: a wide field has as much scatter as primary behind so much
SPREAD_MM = 50.0  # sigma
GAP_FROM_MM = 150.0
CELL_MM = 8.0
# What scatters, as mm of water by mass; what is denser absorbs most of its own scatter.
AS_WATER = {"water": 1.0, "pmma": 1.19, "bone": 1.92, "aluminium": 2.70}


def water_mm(maps: Mapping[str, Floats]) -> Floats | float:
    """What scatters, as mm of water; 0 where there is nothing of the kind."""
    light = [np.float32(AS_WATER[name]) * mm for name, mm in maps.items() if name in AS_WATER]
    return sum(light[1:], light[0]) if light else 0.0


def scattered(
    primary: Floats, water_mm: Floats | float, pitch_mm: float, gap_mm: float = 0.0
) -> Floats:
    """Rows x columns, in the primary's unit."""
    cell_px = max(1, round(CELL_MM / pitch_mm))
    sent = _cells(primary * np.asarray(water_mm, np.float32) / np.float32(SPR_MM), cell_px)
    cell_mm = cell_px * pitch_mm
    sigma_mm = SPREAD_MM + 0.5 * gap_mm
    weaker = (GAP_FROM_MM / (GAP_FROM_MM + gap_mm)) ** 2
    for axis in (0, 1):
        sent = np.moveaxis(_spread(np.moveaxis(sent, axis, 0), cell_mm, sigma_mm), 0, axis)
    return _whole(sent * weaker, primary.shape, cell_px)


def _cells(picture: Floats, cell_px: int) -> NDArray[np.float64]:
    """Means of cells; those at the end are as small as what is left."""
    sums = picture.astype(np.float64)
    for axis in (0, 1):
        starts = np.arange(0, picture.shape[axis], cell_px)
        counts = np.diff([*starts, picture.shape[axis]])
        shape = (-1, 1) if axis == 0 else (1, -1)
        sums = np.add.reduceat(sums, starts, axis=axis) / counts.reshape(shape)
    return sums


def _spread(cells: NDArray[np.float64], cell_mm: float, sigma_mm: float) -> NDArray[np.float64]:
    """Down the columns: each cell's part of a Gaussian around each other, in closed form."""
    count = len(cells)
    off_mm = np.arange(-count + 1, count) * cell_mm
    edge = math.sqrt(2.0) * sigma_mm
    upper, lower = (off_mm + cell_mm / 2.0) / edge, (off_mm - cell_mm / 2.0) / edge
    weights = np.array(
        [(math.erf(a) - math.erf(b)) / 2.0 for a, b in zip(upper, lower, strict=True)]
    )
    index = np.arange(count)[:, None] - np.arange(count)[None, :] + count - 1
    return np.asarray(weights[index] @ cells)


def _whole(cells: NDArray[np.float64], shape_px: tuple[int, ...], cell_px: int) -> Floats:
    """Straight between the middles of cells."""
    for axis in (0, 1):
        count = cells.shape[axis]
        at = (np.arange(shape_px[axis]) + 0.5) / cell_px - 0.5
        low = np.clip(np.floor(at).astype(int), 0, max(count - 2, 0))
        part = np.clip(at - low, 0.0, 1.0)
        part = part[:, None] if axis == 0 else part[None, :]
        high = np.minimum(low + 1, count - 1)
        cells = (1.0 - part) * cells.take(low, axis) + part * cells.take(high, axis)
    return cells.astype(np.float32)
