"""Mean, sigma and constancy of each pixel over many frames, one frame at a time.

All sums are integers of the difference to the first frame, so nothing is rounded before
the last division and the order of the frames cannot be seen in the result:

    count * sum(d^2) - sum(d)^2  =  count * (count - 1) * variance,  below 2^62

Memory: 14 bytes a pixel (132 MB at 3072 x 3072), whatever the number of frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.correct import Pixels
from firmware_py.recorder.image.maps import Floats, Mask

FRAMES_MAX = 1 << 15  # times 2^16 counts fits 31 bits, and the square of that 62
_BLOCK_ROWS = 64


class FrameStats:
    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.count = 0
        self._first = np.zeros(shape, np.uint16)
        self._sum = np.zeros(shape, np.int32)
        self._squares = np.zeros(shape, np.int64)

    def add(self, raw: Pixels) -> None:
        if raw.dtype != np.uint16 or raw.shape != self.shape:
            have = f"{raw.shape} {raw.dtype}"
            raise ValueError(f"the frame is {have}, the statistics are of {self.shape} uint16")
        if self.count == FRAMES_MAX:
            raise ValueError(f"{FRAMES_MAX} frames are the most that can be summed exactly")
        if self.count == 0:
            self._first[...] = raw
        for rows in self._blocks():
            step = raw[rows].astype(np.int64)
            step -= self._first[rows]
            self._sum[rows] += step.astype(np.int32)
            step *= step
            self._squares[rows] += step
        self.count += 1

    def mean(self) -> Floats:
        """Counts, rows x columns."""
        self._need(1)
        mean = np.empty(self.shape, np.float32)
        for rows in self._blocks():
            total = self._first[rows].astype(np.int64) * self.count
            total += self._sum[rows]
            mean[rows] = total / self.count
        return mean

    def std(self) -> Floats:
        """Counts, rows x columns; of single frames, with count - 1 (a sample)."""
        self._need(2)
        std = np.empty(self.shape, np.float32)
        for rows in self._blocks():
            spread: NDArray[np.int64] = self._squares[rows] * self.count
            spread -= self._sum[rows].astype(np.int64) ** 2
            std[rows] = np.sqrt(spread / (self.count * (self.count - 1)))
        return std

    def constant(self) -> Mask:
        """True where every frame had the same value."""
        self._need(2)
        still: Mask = self._squares == 0
        return still

    def _need(self, count: int) -> None:
        if self.count < count:
            raise ValueError(f"needs at least {count} frames, has {self.count}")

    def _blocks(self) -> list[slice]:
        """Some rows at a time: temporaries stay small and in the cache."""
        return [slice(top, top + _BLOCK_ROWS) for top in range(0, self.shape[0], _BLOCK_ROWS)]
