"""The vessels of the lungs: from each hilum outwards, branch by branch thinner. Nobody's."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sim.phantoms.tubes import Point, Tube

# Image left and right: where they come from, and the directions of the main ones, in degrees
# from downwards, outwards counting.
_HILA = ((-1.0, (-34.0, -14.0)), (1.0, (38.0, -24.0)))
_MAIN_DEG = (8.0, 30.0, 52.0, 78.0, 104.0, 128.0, 152.0)
_MAIN_MM, _MAIN_RADIUS_MM = 33.0, 5.4
_SHORTER, _THINNER = 0.84, 0.70
_GENERATIONS = 4


def vessels() -> Iterator[Tube]:
    for side, hilum in _HILA:
        for k, degrees in enumerate(_MAIN_DEG):
            yield from _branch(hilum, side, degrees, _MAIN_MM, _MAIN_RADIUS_MM, k + 1)


def _branch(
    start: Point, side: float, degrees: float, long_mm: float, radius_mm: float, number: int
) -> Iterator[Tube]:
    """It and its two branches; `number` is its place in the tree, and the only chance here."""
    bend = 14.0 * math.sin(12.9898 * number)
    middle = _from(start, side, degrees, 0.5 * long_mm)
    end = _from(middle, side, degrees + bend, 0.5 * long_mm)
    yield Tube(points_mm=(start, middle, end), radius_mm=radius_mm)
    if number < len(_MAIN_DEG) * 2**_GENERATIONS / 2:
        for turn, child in ((-1.0, 2 * number + 9), (1.0, 2 * number + 10)):
            apart = turn * (20.0 + 8.0 * math.sin(78.233 * child))
            shorter = long_mm * _SHORTER * (1.0 + 0.15 * math.sin(37.719 * child))
            yield from _branch(
                end, side, degrees + bend + apart, shorter, radius_mm * _THINNER, child
            )


def _from(start: Point, side: float, degrees: float, mm: float) -> Point:
    angle = math.radians(degrees)
    return start[0] + side * mm * math.sin(angle), start[1] + mm * math.cos(angle)
