"""Raw counts to For Processing pixels: offset, gain, defects; linear in kerma.

Order (qc-and-physics.md 6): saturation mask, offset, gain, defects. Multi-point
linearisation and lag come with a panel that needs them; each would stand at its place
in `correct`. A few counts are added before clipping so that dark noise is not cut at
zero (panel makers' manuals, 3.1): `PEDESTAL_COUNT` is the pixel value of no radiation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.maps import Floats, Mask, PanelSet, PanelSetError

Pixels = NDArray[np.uint16]

PEDESTAL_COUNT = 32
_BLOCK_ROWS = 64  # fastest plain numpy in qc-and-physics.md 6.1
_GOOD_NEIGHBOURS = 3  # fewer, and the search grows
_REACH_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """For Processing: LIN, sign +1, uint16 below 2 ** bits_stored."""

    pixels: Pixels  # rows x columns
    saturated: Mask  # the ADC was at its end: at least this much; such pixels are at full scale
    bits_stored: int

    @property
    def full_scale(self) -> int:
        return (1 << self.bits_stored) - 1

    @property
    def saturated_share(self) -> float:
        return float(self.saturated.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repair:
    """Defects that are mended from neighbours within one reach; n defects, k neighbours."""

    at: NDArray[np.intp]  # n
    neighbours: NDArray[np.intp]  # n x k, flat indices
    weights: Floats  # n x k, a row sums to 1; 0 = not a good pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    inverse_gain: Floats  # mean 1 over the good pixels; 0 at defects
    repairs: tuple[_Repair, ...]


def correct(raw: Pixels, panel_set: PanelSet) -> Corrected:
    """Raises ValueError when the frame is not of the set's matrix or depth."""
    _check(raw, panel_set)
    plan = _plan(panel_set)
    full_scale = (1 << panel_set.bits_stored) - 1
    pixels, saturated = np.empty_like(raw), np.empty(raw.shape, np.bool_)
    for top in range(0, raw.shape[0], _BLOCK_ROWS):
        rows = slice(top, top + _BLOCK_ROWS)
        counts = raw[rows] - panel_set.offset[rows]
        counts *= plan.inverse_gain[rows]
        counts += np.float32(PEDESTAL_COUNT)
        np.rint(counts, out=counts)
        np.clip(counts, 0.0, full_scale, out=counts)
        np.greater(raw[rows] >= full_scale, panel_set.defects[rows], out=saturated[rows])
        np.copyto(counts, full_scale, where=saturated[rows])
        pixels[rows] = counts
    _mend(pixels, plan)
    return Corrected(pixels=pixels, saturated=saturated, bits_stored=panel_set.bits_stored)


def _check(raw: Pixels, panel_set: PanelSet) -> None:
    if raw.dtype != np.uint16 or raw.shape != panel_set.shape:
        have = f"{raw.shape} {raw.dtype}"
        raise ValueError(f"the frame is {have}, its panel's set is {panel_set.shape} uint16")
    if (highest := int(raw.max())) >> panel_set.bits_stored:
        raise ValueError(f"the frame has a pixel of {highest}: over {panel_set.bits_stored} bits")


def _mend(pixels: Pixels, plan: _Plan) -> None:
    flat = pixels.reshape(-1)
    for repair in plan.repairs:
        mean = (flat[repair.neighbours] * repair.weights).sum(axis=1)
        flat[repair.at] = np.rint(mean).astype(np.uint16)


@lru_cache(maxsize=2)
def _plan(panel_set: PanelSet) -> _Plan:
    """What a set costs once: keyed by the set's identity."""
    good = ~panel_set.defects
    inverse = np.zeros_like(panel_set.gain)
    np.divide(panel_set.gain[good].mean(dtype=np.float64), panel_set.gain, out=inverse, where=good)
    return _Plan(inverse_gain=inverse, repairs=_repairs(panel_set.defects))


def _repairs(defects: Mask) -> tuple[_Repair, ...]:
    """Each defect from its good 8-neighbours; within clusters and lines from further away."""
    left, repairs, reach_px = np.argwhere(defects), [], 1
    while len(left):
        if reach_px > _REACH_PX:
            row, column = left[0]
            raise PanelSetError(
                f"no good pixel within {_REACH_PX} of row {row}, column {column}: "
                "the panel has a hole that nothing can mend"
            )
        repair, mended = _mendable(defects, left, reach_px)
        repairs.append(repair)
        left, reach_px = left[~mended], reach_px + 1
    return tuple(repairs)


def _mendable(defects: Mask, places: NDArray[np.intp], reach_px: int) -> tuple[_Repair, Mask]:
    """Weights fall with the square of the distance."""
    rows_px, columns_px = defects.shape
    steps = np.arange(-reach_px, reach_px + 1)
    down, right = (axis.reshape(1, -1) for axis in np.meshgrid(steps, steps, indexing="ij"))
    rows, columns = places[:, :1] + down, places[:, 1:] + right
    inside = (rows >= 0) & (rows < rows_px) & (columns >= 0) & (columns < columns_px)
    flat = np.where(inside, rows * columns_px + columns, 0)
    good = inside & ~defects.reshape(-1)[flat]
    mended = good.sum(axis=1) >= _GOOD_NEIGHBOURS
    weights = (good / np.maximum(down**2 + right**2, 1))[mended]
    weights /= weights.sum(axis=1, keepdims=True)
    at = places[mended, 0] * columns_px + places[mended, 1]
    repair = _Repair(at=at, neighbours=flat[mended], weights=weights.astype(np.float32))
    return repair, mended
