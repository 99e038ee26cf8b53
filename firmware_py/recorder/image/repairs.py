"""Which good pixels a defect is made from: found once for a set, used for each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.maps import Floats, Mask, PanelSetError

_GOOD_NEIGHBOURS = 3  # fewer, and the search grows
_REACH_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Defects that are mended from neighbours within one reach; n defects, k neighbours."""

    at: NDArray[np.intp]  # n, flat indices
    neighbours: NDArray[np.intp]  # n x k, flat indices
    weights: Floats  # n x k, a row sums to 1; 0 = not a good pixel


def repairs_of(defects: Mask) -> tuple[Repair, ...]:
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


def _mendable(defects: Mask, places: NDArray[np.intp], reach_px: int) -> tuple[Repair, Mask]:
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
    repair = Repair(at=at, neighbours=flat[mended], weights=weights.astype(np.float32))
    return repair, mended
