"""For Presentation pixels: they look right under a plain LINEAR window over the range.

MONOCHROME2 + IDENTITY, LOG, sign -1: more exposure is darker, bone is white (dicom.md
2.5). Outside the field all is black, as an electronic shutter makes it. The steps: log,
range from the field's histogram, large shapes held back and fine ones brought forward
(two frequency bands), a shoulder so that dense parts end softly.

Only sums, products and quotients touch the pixels, and logarithms come from a table: no
matrix library and no vectorised tanh, whose last bit is another one on another processor,
since a replay must give the same pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.correct import PEDESTAL_COUNT, Corrected, Pixels
from firmware_py.recorder.image.field import find_field
from firmware_py.recorder.image.maps import Floats

_OPEN_SHARE = 0.98  # this part of the field is darker than the open beam's level
_DENSE_SHARE = 0.03  # ... and this part is denser than what is shown white
_OPAQUE = 0.005  # of the open beam: lead, not anatomy
_LEAST_RANGE = np.log(4.0)  # a flat field is not stretched into noise
_COARSE_CELLS, _FINE_CELLS = 16, 96  # across the field
_HOLD_BACK, _BRING_FORWARD = np.float32(0.2), np.float32(0.5)
_DENSEST = np.float32(1.0)  # for both bands: lead would throw a shadow around itself
_BLOCK_ROWS = 64
_KNEE = np.float32(0.7)
_FLOOR = np.float32(0.03)  # open beam is not quite black, so that its noise and edges show


class Presented(NamedTuple):
    pixels: Pixels  # rows x columns, bone white
    window_center: float
    window_width: float


def present(corrected: Corrected) -> Presented:
    """The window is the whole range of `bits_stored`."""
    inside = find_field(corrected.pixels).slices
    grey = _grey(corrected.pixels[inside], corrected.full_scale)
    pixels = np.zeros_like(corrected.pixels)
    field = pixels[inside]
    large, fine = _LowPass(grey, _COARSE_CELLS), _LowPass(grey, _FINE_CELLS)
    for top in range(0, len(grey), _BLOCK_ROWS):
        rows = slice(top, min(top + _BLOCK_ROWS, len(grey)))
        look = _shoulder(_enhanced(grey[rows], large, fine, rows))
        field[rows] = np.rint(look * np.float32(corrected.full_scale))
    levels = corrected.full_scale + 1
    return Presented(pixels, levels / 2.0, float(levels))


def _grey(pixels: Pixels, full_scale: int) -> Floats:
    """0 = open beam, 1 = the densest anatomy; logarithmic, so equal steps of thickness."""
    linear = np.maximum(np.arange(full_scale + 1) - float(PEDESTAL_COUNT), 1.0)
    bright, dense = _range(pixels, linear)
    table = (np.log(bright) - np.log(linear)) / max(np.log(bright / dense), _LEAST_RANGE)
    grey: Floats = np.clip(table, -0.02, 1.8).astype(np.float32)[pixels]
    return grey


def _range(
    pixels: Pixels, linear: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[float, float]:
    """Open beam and densest anatomy, from the histogram of a sample of the field."""
    step = max(1, min(pixels.shape) // 512)
    histogram = np.bincount(pixels[::step, ::step].reshape(-1), minlength=len(linear))
    bright = linear[_level(histogram, _OPEN_SHARE)]
    histogram[linear < _OPAQUE * bright] = 0
    return float(bright), float(linear[_level(histogram, _DENSE_SHARE)])


def _level(histogram: NDArray[np.intp], share: float) -> int:
    total = np.cumsum(histogram)
    return int(np.searchsorted(total, share * total[-1]))


def _enhanced(grey: Floats, large: _LowPass, fine: _LowPass, rows: slice) -> Floats:
    """Large shapes lose a little of their contrast, fine ones gain: two bands, no more."""
    look: Floats = np.minimum(grey, _DENSEST)
    look -= fine.rows(rows)
    look *= _BRING_FORWARD
    look += grey
    look -= _HOLD_BACK * (large.rows(rows) - large.mean)
    return look


class _LowPass:
    """The field through a coarse grid: means of cells, interpolated back row by row."""

    def __init__(self, grey: Floats, cells: int) -> None:
        step_down, step_right = (max(1, count // (8 * cells)) for count in grey.shape)
        sample = np.minimum(grey[::step_down, ::step_right], _DENSEST)
        means = _cell_means(_cell_means(sample, cells).T, cells).T
        self._rows_px = grey.shape[0]
        columns_px = grey.shape[1]
        self._nodes = np.ascontiguousarray(_between(means.T, columns_px, slice(0, columns_px)).T)
        self.mean = means.mean()

    def rows(self, rows: slice) -> Floats:
        return _between(self._nodes, self._rows_px, rows)


def _cell_means(values: Floats, cells: int) -> Floats:
    """n x m -> cells x m (fewer when n is smaller)."""
    count = len(values)
    first = np.arange(min(cells, count)) * count // min(cells, count)
    means: Floats = np.add.reduceat(values, first, axis=0, dtype=np.float32)
    means /= np.diff(first, append=count).astype(np.float32)[:, None]
    return means


def _between(nodes: Floats, count: int, part: slice) -> Floats:
    """Rows `part` of cells x n stretched to count x n, linear between the cells' middles."""
    cells = len(nodes)
    at = (np.arange(part.start, part.stop) + 0.5) * cells / count - 0.5
    at = np.clip(at, 0.0, cells - 1.0)
    low = np.minimum(at.astype(np.intp), cells - 2)
    stretched: Floats = nodes[low + 1] - nodes[low]
    stretched *= (at - low).astype(np.float32)[:, None]
    stretched += nodes[low]
    return stretched


def _shoulder(grey: Floats) -> Floats:
    """0..1: straight up to the knee, then bending towards white and never clipped there."""
    room = np.float32(1.0) - _KNEE
    above = np.maximum(grey - _KNEE, np.float32(0.0))
    np.minimum(grey, _KNEE, out=grey)
    grey += room * above / (above + room)
    grey *= np.float32(1.0) - _FLOOR
    grey += _FLOOR
    return np.maximum(grey, np.float32(0.0), out=grey)
