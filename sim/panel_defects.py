"""The single pixels in which a panel fails, by ASTM E2597 class, drawn from its seed.

Classes and limits: qc-and-physics.md 3.2 (E2597 as quoted there; stuck at full scale is
Vatech's). How far beyond its limit a pixel lies is a design choice. Of each class that
has a degree there are also near-limit pixels: worse than others, yet within the limit, so
that a search which finds them is too eager. One pixel fails in one way only, and single
pixels keep clear of the clusters and the line, so that no neighbourhood blurs the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SINGLE_SHARE = 0.001  # of all pixels, single defects of all classes together
CLUSTER_COUNT = 3  # of 3 x 3 dead pixels
CLEARANCE_PX = 10  # from single pixels to clusters and line: more than half of 9 x 9
_STUCK_EVERY = 8  # dead single pixels: one of so many at full scale
_NEAR_PER_BEYOND = 0.5

# class: its share of the single defects
_SHARES = {
    "dead": 0.4,
    "over_responding": 0.1,
    "under_responding": 0.1,
    "noisy": 0.2,
    "non_uniform": 0.1,
    "lag": 0.1,
}
CLASSES = tuple(_SHARES)
# class: the map it stands in, values beyond E2597's limit, values within it; taken in turn
_DEGREES = {
    "over_responding": ("gain", (1.6,), (1.2,)),  # limit 1.3
    "under_responding": ("gain", (0.4,), (0.7,)),  # 0.6
    "noisy": ("sigma", (12.0,), (3.0,)),  # 6
    "non_uniform": ("bend", (0.2, -0.2), (0.01, -0.01)),  # 1 % from one level to another
    "lag": ("lag", (5.0,), (1.5,)),  # 2
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelDefects:
    """Rows x columns; a sound pixel has 1 in `gain`, `sigma` and `lag`, and 0 in `bend`."""

    gain: Floats  # factor on the response; 0 = dead
    sigma: Floats  # factor on the electronic noise; 0 = constant
    lag: Floats  # factor on the lag shares
    bend: Floats  # c: the response is multiplied by 1 + c * signal / full scale
    stuck: Mask  # at full scale; these are dead
    classes: Mapping[str, Mask]  # beyond the limit, by class
    near_limit: Mapping[str, Mask]  # within it, by class


def draw(rng: np.random.Generator, rows_px: int, columns_px: int) -> PanelDefects:
    """At least 64 x 64 pixels: the defects need room to keep clear of each other."""
    shape = (rows_px, columns_px)
    maps = {name: np.ones(shape, np.float32) for name in ("gain", "sigma", "lag")}
    maps["bend"] = np.zeros(shape, np.float32)
    classes = {name: np.zeros(shape, np.bool_) for name in CLASSES}
    near_limit = {name: np.zeros(shape, np.bool_) for name in _DEGREES}
    stuck = np.zeros(shape, np.bool_)

    room = _clusters_and_line(rng, classes["dead"])
    beyond, near = _counts(rows_px * columns_px)
    places = rng.choice(room, sum(beyond.values()) + sum(near.values()), replace=False)
    dead, places = np.split(places, [beyond["dead"]])
    classes["dead"].reshape(-1)[dead] = True
    stuck.reshape(-1)[dead[::_STUCK_EVERY]] = True
    for name, (where, beyond_values, near_values) in _DEGREES.items():
        chosen, close, places = np.split(places, [beyond[name], beyond[name] + near[name]])
        classes[name].reshape(-1)[chosen] = True
        near_limit[name].reshape(-1)[close] = True
        maps[where].reshape(-1)[chosen] = np.resize(beyond_values, len(chosen))
        maps[where].reshape(-1)[close] = np.resize(near_values, len(close))
    maps["gain"][classes["dead"]] = maps["sigma"][classes["dead"]] = 0.0
    return PanelDefects(**maps, stuck=stuck, classes=classes, near_limit=near_limit)


def _clusters_and_line(rng: np.random.Generator, dead: Mask) -> NDArray[np.intp]:
    """Mark them as dead; returns the flat places of pixels that are clear of them."""
    rows_px, columns_px = dead.shape
    clear = np.ones(dead.shape, np.bool_)
    for _ in range(CLUSTER_COUNT):
        row, column = int(rng.integers(1, rows_px - 1)), int(rng.integers(1, columns_px - 1))
        dead[_around(row, 1), _around(column, 1)] = True
        clear[_around(row, CLEARANCE_PX + 1), _around(column, CLEARANCE_PX + 1)] = False
    top, column = int(rng.integers(rows_px // 2)), int(rng.integers(1, columns_px - 1))
    dead[top:, column] = True  # a column that is dead from `top` down
    clear[max(0, top - CLEARANCE_PX) :, _around(column, CLEARANCE_PX)] = False
    return np.flatnonzero(clear)


def _around(middle: int, reach_px: int) -> slice:
    return slice(max(0, middle - reach_px), middle + reach_px + 1)


def _counts(pixel_count: int) -> tuple[dict[str, int], dict[str, int]]:
    """(beyond the limit, near it) by class; at least one of each, and one for each value."""
    single_count = SINGLE_SHARE * pixel_count
    beyond = {name: max(1, round(share * single_count)) for name, share in _SHARES.items()}
    near = {
        name: max(len(near_values), round(_NEAR_PER_BEYOND * beyond[name]))
        for name, (_, _, near_values) in _DEGREES.items()
    }
    return beyond, near
