"""A map in 16 bits: half the bytes to read for each frame, and those are what correction waits for.

A step is 1 / 65534 of what the good pixels span: for a gain map from 0.8 to 1.3 that is
8e-6, a hundred times finer than the map's own noise, and at most 0.06 counts at 14 bits.
Panel makers keep gain in 16 bits, too (qc-and-physics.md 3.1, 1.0 = 2 ** 12 or 2 ** 15).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.maps import Floats, Mask

_LAST = 65535


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Codes:
    """value = code * step + base, each operation in float32; code 0 = not a good pixel."""

    codes: NDArray[np.uint16]  # rows x columns
    step: np.float32
    base: np.float32

    def values(self, rows: slice) -> Floats:
        values: Floats = self.codes[rows] * self.step
        values += self.base
        return values


def coded(values: Floats, good: Mask) -> Codes:
    """`values` must be numbers where `good` (rows x columns) holds, and there only."""
    low, high = float(values[good].min()), float(values[good].max())
    step = (high - low) / (_LAST - 1)
    codes = np.zeros(values.shape, np.uint16)
    codes[good] = np.rint((values[good] - low) / (step or 1.0)) + 1.0
    return Codes(codes=codes, step=np.float32(step), base=np.float32(low - step))
