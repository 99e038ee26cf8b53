"""Chance for a frame: white Gaussian numbers, a stream for each source, keyed by seed and frame.

A number is one of 65,536 quantiles of the normal distribution (scaled to a variance of
exactly 1), chosen by 16 bits of Philox: five times as fast as drawing from the distribution
itself, the same bytes on every machine, and nothing beyond 4.3 sigma, where one pixel in
60,000 would be.

Gaussian for the quanta, too, however few: a quantum gives c counts, and of Poisson's
skewness at most 0.385 c / sigma is left beside an electronic noise of sigma (worst where
the quanta's variance is twice the electronics'). In the beams that tests try that is
under 0.14 at 0.139 mm, at larger pixels less. The reference would change over below some 50
quanta (qc-and-physics.md 7, a proposal of its own).
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

QUANTA, ELECTRONICS, LINES = 1, 2, 3  # streams of a frame; 0 is that of its maps
_WORDS = 1 << 16
_PER_DRAW = 4  # of 16 bits in one of Philox's numbers


def stream(seed: int, frame_count: int, source: int = 0) -> np.random.Philox:
    """A stream of its own for each: no two overlap, in whatever order they are drawn."""
    key = np.array([seed, frame_count], np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, 0, source], np.uint64))


def white(chance: np.random.Philox, rows: int, columns: int) -> Floats:
    """Rows x columns of mean 0 and sigma 1. Row after row, so that blocks of any size join."""
    across = -(-columns // _PER_DRAW)
    words = chance.random_raw(rows * across).astype("<u8", copy=False).view("<u2")
    drawn = np.take(_quantiles(), words).reshape(rows, _PER_DRAW * across)
    numbers: Floats = drawn[:, :columns]
    return numbers


def lines(seed: int, frame_count: int, rows: int) -> Floats:
    """Rows x 1, sigma 1: what the electronics add to all of a row alike, as they read it."""
    return white(stream(seed, frame_count, LINES), rows, 1)


@cache
def _quantiles() -> Floats:
    normal = NormalDist()
    upper = [normal.inv_cdf((k + 0.5) / _WORDS) for k in range(_WORDS // 2, _WORDS)]
    both = np.array([-value for value in reversed(upper)] + upper)
    return np.asarray(both / np.sqrt(np.mean(both * both)), np.float32)
