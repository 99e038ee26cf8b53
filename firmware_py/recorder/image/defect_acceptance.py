"""Is a panel with these defects fit for use: criteria as data, and a verdict for each."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from firmware_py.recorder.image.defect_groups import Line
from firmware_py.recorder.image.defects import Defects
from firmware_py.recorder.image.limits import Judgement, Limit
from firmware_py.recorder.image.maps import Mask

LINES = Limit(
    name="lines",
    text="bad lines, at most",
    value=7,
    unit="lines",
    source="Vatech A9 p. 65",
    mark="S",
)
LINES_APART = Limit(
    name="lines apart",
    text="good lines between two bad ones, at least",
    value=5,
    unit="lines",
    source="Vatech A9 p. 65",
    mark="S",
)
REACH = Limit(
    name="reach",
    text="how far the correction must look for three good pixels, at most",
    value=8,
    unit="px",
    source="as far as the correction of this package looks",
    mark="D",
)
BAD_SHARE = Limit(
    name="bad pixels",
    text="share of the panel that is bad, at most",
    value=0.01,
    unit="of the pixels",
    source="our own",
    mark="D",
)
ACCEPTANCE = (LINES, LINES_APART, REACH, BAD_SHARE)

_GOOD_PIXELS = 3  # that a mended pixel is made of by the correction


def judge(defects: Defects) -> tuple[Judgement, ...]:
    """One for each of ACCEPTANCE. Partial lines count as pixels, not as lines."""
    whole = [line for line in defects.lines if line.whole]
    apart = _fewest_between(whole)
    reach_px = needed_reach_px(defects.mask)
    share = float(defects.mask.mean())
    return (
        Judgement(limit=LINES, found=len(whole), ok=len(whole) <= LINES.value),
        Judgement(limit=LINES_APART, found=apart, ok=apart is None or apart >= LINES_APART.value),
        Judgement(limit=REACH, found=reach_px, ok=reach_px <= REACH.value),
        Judgement(limit=BAD_SHARE, found=share, ok=share <= BAD_SHARE.value),
    )


def needed_reach_px(bad: Mask) -> float:
    """Smallest reach within which each bad pixel has three good ones; 0: nothing is bad."""
    left, reach_px = np.argwhere(bad), 0
    if len(left) and (~bad).sum() < _GOOD_PIXELS:
        return math.inf
    total = np.pad((~bad).cumsum(axis=0, dtype=np.int32).cumsum(axis=1), ((1, 0), (1, 0)))
    while len(left):
        reach_px += 1
        top, before = np.maximum(left - reach_px, 0).T
        end, after = np.minimum(left + reach_px + 1, bad.shape).T
        good = total[end, after] - total[top, after] - total[end, before] + total[top, before]
        left = left[good < _GOOD_PIXELS]
    return reach_px


def _fewest_between(lines: list[Line]) -> int | None:
    """Good lines between the two bad ones that are nearest, rows and columns apart."""
    gaps = [
        after - before - 1
        for axis in ("row", "column")
        for before, after in pairwise(sorted(line.at_px for line in lines if line.axis == axis))
    ]
    return min(gaps, default=None)
