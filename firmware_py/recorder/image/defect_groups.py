"""Defects taken together: lines, clusters, singles (qc-and-physics.md 3.2).

Neighbours are the eight around a pixel; what lies outside the panel is not good. Lines are
taken out first, then what hangs together is a cluster: a bad column is one line, not a
cluster of 3 000 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.limits import Limit
from firmware_py.recorder.image.maps import Mask

Places = NDArray[np.intp]  # n x 2: row, column

LINE = Limit(
    name="line",
    text="share of a row or column that is bad, more than",
    value=0.5,
    unit="of its pixels",
    source="Vatech A9 p. 65",
    mark="S",
)
PARTIAL_LINE = Limit(
    name="partial line",
    text="run of bad pixels in one row or column, at least",
    value=0.10,
    unit="of its pixels",
    source="our own",
    mark="D",
)
PARTIAL_LINE_SHORTEST = Limit(
    name="partial line, shortest",
    text="run of bad pixels, at least: on a small panel 10 % is a cluster",
    value=16,
    unit="px",
    source="our own: twice the reach of the correction",
    mark="D",
)
RELEVANT = Limit(
    name="relevant cluster",
    text="good neighbours of one of its pixels, fewer than",
    value=5,
    unit="neighbours",
    source="ASTM E2597, from memory",
    mark="M",
)
_AROUND = [step for step in product((-1, 0, 1), repeat=2) if step != (0, 0)]
_FORWARD = [(0, 1), (1, -1), (1, 0), (1, 1)]  # each pair of neighbours once


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    axis: Literal["row", "column"]
    at_px: int  # which row or column
    first_px: int  # of its bad pixels
    last_px: int
    bad_count: int
    whole: bool  # over half of it is bad; False: a partial line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cluster:
    """At least two bad pixels that hang together."""

    places: Places
    relevant: bool


class Groups(NamedTuple):
    lines: tuple[Line, ...]
    clusters: tuple[Cluster, ...]
    single_count: int


def group(bad: Mask) -> Groups:
    lines = _lines(bad, "column") + _lines(bad.T, "row")
    left = bad & ~_covered(bad, lines)
    places = np.argwhere(left)
    good_count = 8 - _bad_neighbours(bad, places)
    clusters = tuple(
        Cluster(places=places[members], relevant=bool((good_count[members] < RELEVANT.value).any()))
        for members in _together(left, places)
        if len(members) > 1
    )
    inner = 8 - _bad_neighbours(bad, places, outside=False)
    return Groups(lines, clusters, int((inner == 8).sum()))


def shut_in(bad: Mask) -> Mask:
    """Good pixels without a good neighbour."""
    padded = np.pad(bad, 1, constant_values=True)
    found = ~bad
    for down, right in _AROUND:
        found &= _shifted(padded, bad.shape, down, right)
    return found


def _lines(bad: Mask, axis: Literal["row", "column"]) -> tuple[Line, ...]:
    """Of the columns of bad; rows by its transpose."""
    length_px = bad.shape[0]
    shortest_px = max(PARTIAL_LINE.value * length_px, PARTIAL_LINE_SHORTEST.value)
    counts, lines = bad.sum(axis=0), []
    for at_px in np.flatnonzero(counts >= min(shortest_px, LINE.value * length_px)):
        where, whole = np.flatnonzero(bad[:, at_px]), bool(counts[at_px] > LINE.value * length_px)
        runs = [where] if whole else np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)
        lines += [
            Line(
                axis=axis,
                at_px=int(at_px),
                first_px=int(run[0]),
                last_px=int(run[-1]),
                bad_count=len(run),
                whole=whole,
            )
            for run in runs
            if whole or len(run) >= shortest_px
        ]
    return tuple(lines)


def _covered(bad: Mask, lines: tuple[Line, ...]) -> Mask:
    covered = np.zeros_like(bad)
    for line in lines:
        along = slice(line.first_px, line.last_px + 1)
        covered[(along, line.at_px) if line.axis == "column" else (line.at_px, along)] = True
    return covered


def _together(left: Mask, places: Places) -> list[NDArray[np.intp]]:
    """Numbers of the places that hang together, group by group.

    Each place points at the lowest that it knows of; pointers are joined along all pairs and
    shortened until nothing moves: a few rounds, even for a snake through the panel.
    """
    number = np.full(left.shape, -1, np.intp)
    number[tuple(places.T)] = np.arange(len(places))
    padded = np.pad(number, 1, constant_values=-1)
    one, other = _pairs(padded, left.shape, places)
    root = np.arange(len(places))
    while True:
        before, low = root, np.minimum(root[one], root[other])
        root = before.copy()
        np.minimum.at(root, before[one], low)
        np.minimum.at(root, before[other], low)
        while not np.array_equal(shorter := root[root], root):
            root = shorter
        if np.array_equal(root, before):
            break
    order = np.argsort(root, kind="stable")
    ends = np.flatnonzero(np.diff(root[order])) + 1
    return np.split(order, ends) if len(places) else []


def _pairs(
    padded: NDArray[np.intp], shape: tuple[int, ...], places: Places
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    mine = np.arange(len(places))
    theirs = [padded[places[:, 0] + 1 + down, places[:, 1] + 1 + right] for down, right in _FORWARD]
    one = np.concatenate([mine[found >= 0] for found in theirs])
    other = np.concatenate([found[found >= 0] for found in theirs])
    return one, other


def _bad_neighbours(bad: Mask, places: Places, *, outside: bool = True) -> NDArray[np.intp]:
    """How many of the eight around each place; n."""
    padded = np.pad(bad, 1, constant_values=outside)
    rows, columns = places.T + 1
    count = np.zeros(len(places), np.intp)
    for down, right in _AROUND:
        count += padded[rows + down, columns + right]
    return count


def _shifted(padded: Mask, shape: tuple[int, ...], down: int, right: int) -> Mask:
    rows_px, columns_px = shape
    return padded[1 + down : 1 + down + rows_px, 1 + right : 1 + right + columns_px]
