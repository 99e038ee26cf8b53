"""Round tubes along a line of points, solid or hollow: ribs, clavicles, vessels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.shapes import along_and_away, chord

Floats = NDArray[np.float32]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """`wall_mm`: None is solid. `core`: the wall's stuff as a part of what the wall encloses."""

    points_mm: tuple[Point, ...]
    radius_mm: float
    depth: float = 1.0  # thickness over width
    wall_mm: float | None = None
    core: float = 0.25

    def mirrored(self) -> Tube:
        """On the other side of the body."""
        points_mm = tuple((-x, y) for x, y in self.points_mm)
        return Tube(points_mm=points_mm, radius_mm=self.radius_mm, depth=self.depth,
                    wall_mm=self.wall_mm, core=self.core)  # fmt: skip

    def thickness(self, away_mm: Floats) -> Floats:
        """So far from the line."""
        whole = chord(np.full_like(away_mm, self.radius_mm), away_mm)
        if self.wall_mm is not None:
            inner = np.full_like(away_mm, self.radius_mm - self.wall_mm)
            whole -= np.float32(1.0 - self.core) * chord(inner, away_mm)
        thick: Floats = np.float32(self.depth) * whole
        return thick


def draw(x: Floats, y: Floats, tubes: Iterable[Tube]) -> Floats:
    """Of one kind that melt into each other: mm, rows x columns; the thickest counts."""
    total = np.zeros((y.shape[0], x.shape[1]), np.float32)
    for tube in tubes:
        patch = _inside(y[:, 0], x[0], tube.points_mm, tube.radius_mm)
        thick = tube.thickness(_away(x[:, patch[1]], y[patch[0]], tube))
        np.maximum(total[patch], thick, out=total[patch])
    return total


def _away(x: Floats, y: Floats, tube: Tube) -> Floats:
    """The distance from the line, where it is no more than the tube's radius."""
    away = np.full((y.shape[0], x.shape[1]), 2.0 * tube.radius_mm, np.float32)
    for start, end in zip(tube.points_mm, tube.points_mm[1:], strict=False):
        patch = _inside(y[:, 0], x[0], (start, end), tube.radius_mm)
        _, near = along_and_away(x[:, patch[1]], y[patch[0]], start, end)
        np.minimum(away[patch], near, out=away[patch])
    return away


def _inside(
    y: Floats, x: Floats, points_mm: tuple[Point, ...], more_mm: float
) -> tuple[slice, slice]:
    """The rows and columns that a line reaches, and so much around it."""
    found = []
    for axis, places in ((y, [p[1] for p in points_mm]), (x, [p[0] for p in points_mm])):
        first = np.searchsorted(axis, min(places) - more_mm)
        last = np.searchsorted(axis, max(places) + more_mm, side="right")
        found.append(slice(int(first), int(last)))
    return found[0], found[1]


def curve(*points: Point, pieces: int = 12) -> tuple[Point, ...]:
    """A Bezier curve through the first and the last of its points."""
    return tuple(_on_curve(points, k / pieces) for k in range(pieces + 1))


def _on_curve(points: tuple[Point, ...], part: float) -> Point:
    most = len(points) - 1
    weights = [math.comb(most, k) * part**k * (1.0 - part) ** (most - k) for k in range(most + 1)]
    return (
        sum(w * p[0] for w, p in zip(weights, points, strict=True)),
        sum(w * p[1] for w, p in zip(weights, points, strict=True)),
    )


def both_sides(tubes: Iterable[Tube]) -> Iterator[Tube]:
    for tube in tubes:
        yield tube
        yield tube.mirrored()
