"""Pixels that stand out from the median of the square around them, exactly and fast.

The median is over the good pixels of the square, the pixel itself among them; at the
panel's edge the square is cut. Medians are worked out only for candidates, and a box mean
finds them: |median - mean| <= sigma in any set of numbers, so a pixel that passes with the
median anywhere in mean -+ sigma passes. No assumption is made about the panel.

One wild pixel would make candidates of all its surroundings, so means are of values that
are clipped to a wide band; where mean -+ sigma touches the band's end, the median may be
out there, and the pixel is a candidate as well.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from firmware_py.recorder.image.maps import Floats, Mask

Doubles = NDArray[np.float64]
Places = NDArray[np.intp]  # n x 2: row, column

_BLOCK_ROWS = 256
_CHUNK_BYTES = 32_000_000
_SLACK = 1e-6  # of the band: far above what the sums round off


def outliers(
    values: Floats,
    good: Mask,
    *,
    reach_px: int,
    high: float = math.inf,
    low: float = -math.inf,
    above_counts: float = 0.0,
) -> Mask:
    """Good pixels over high x median and over median + above_counts, or under low x median.

    The square has 2 * reach_px + 1 pixels a side. Values must be finite in good pixels.
    """

    def stand_out(pixels: Doubles, least: Doubles, most: Doubles) -> Mask:
        """Given that the median lies between least and most."""
        found = np.zeros(pixels.shape, np.bool_)
        if math.isfinite(high):
            found |= pixels > np.maximum(high * least, least + above_counts)
        if math.isfinite(low):
            found |= pixels < low * most
        return found

    found = np.zeros(values.shape, np.bool_)
    if not good.any():
        return found
    lowest, highest = _band(values, good)
    for top in range(0, values.shape[0], _BLOCK_ROWS):
        rows = slice(top, top + _BLOCK_ROWS)
        mean, sigma = _surroundings(values, good, top, reach_px, (lowest, highest))
        out = stand_out(values[rows].astype(np.float64), mean - sigma, mean + sigma)
        out |= mean - sigma <= lowest
        out |= mean + sigma >= highest
        found[rows] = out & good[rows]
    places = np.argwhere(found)
    medians = medians_at(values, good, places, reach_px)
    at = tuple(places.T)
    found[at] = stand_out(values[at].astype(np.float64), medians, medians)
    return found


def medians_at(values: Floats, good: Mask, places: Places, reach_px: int) -> Doubles:
    """Exact, for good pixels; n."""
    side_px = 2 * reach_px + 1
    padded = np.pad(np.where(good, values, np.inf), reach_px, constant_values=np.inf)
    squares = sliding_window_view(padded, (side_px, side_px))
    medians, step = np.empty(len(places)), _CHUNK_BYTES // (side_px**2 * values.itemsize)
    for start in range(0, len(places), step):
        rows, columns = places[start : start + step].T
        ranked = squares[rows, columns].reshape(len(rows), -1)
        ranked.sort(axis=1)
        count, each = np.isfinite(ranked).sum(axis=1), np.arange(len(rows))
        below = ranked[each, (count - 1) // 2].astype(np.float64)
        medians[start : start + step] = (below + ranked[each, count // 2]) / 2.0
    return medians


def box_sum(array: Doubles, reach_px: int) -> Doubles:
    """Sum of the square around each pixel; nothing lies outside."""
    side_px = 2 * reach_px + 1
    for axis in (0, 1):
        edge = [(0, 0), (0, 0)]
        edge[axis] = (reach_px + 1, reach_px)
        total = np.pad(array, edge).cumsum(axis=axis)
        after, before = (slice(side_px, None), slice(None, -side_px))
        array = total[after] - total[before] if axis == 0 else total[:, after] - total[:, before]
    return array


def _band(values: Floats, good: Mask) -> tuple[float, float]:
    """Percentiles 1 to 99 and once their distance on both sides; some pixels will do."""
    some = values[::4, ::4][good[::4, ::4]]
    low, high = np.percentile(some if some.size else values[good], [1.0, 99.0])
    more = max(high - low, 0.01 * abs(low), 1e-6)
    return float(np.float32(low - more)), float(np.float32(high + more))  # as clip will have it


def _surroundings(
    values: Floats, good: Mask, top: int, reach_px: int, band: tuple[float, float]
) -> tuple[Doubles, Doubles]:
    """Mean and sigma of the clipped good pixels in each square of a block of rows."""
    first, end = max(0, top - reach_px), top + _BLOCK_ROWS + reach_px
    inner = slice(top - first, min(top + _BLOCK_ROWS, values.shape[0]) - first)
    middle, width = (band[0] + band[1]) / 2.0, band[1] - band[0]
    use = good[first:end]
    part = np.where(use, np.clip(values[first:end], *band), middle).astype(np.float64) - middle
    count = np.maximum(box_sum(use.astype(np.float64), reach_px)[inner], 1.0)
    mean = box_sum(part, reach_px)[inner] / count
    variance = box_sum(part * part, reach_px)[inner] / count - mean * mean
    sigma = np.sqrt(np.maximum(variance, 0.0)) + _SLACK * width
    return mean + middle, sigma
