"""The bones of the chest: sixteen vertebrae, ten pairs of ribs, two clavicles; in mm of bone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim.phantoms.tubes import Tube, both_sides, curve, draw

Floats = NDArray[np.float32]

FIRST_MM, APART_MM = -146.0, 25.0  # y of the first vertebra's middle, and to the next
VERTEBRAE_COUNT = 16  # the two uppermost are the neck's, the two lowest the loin's
# Of each pair of ribs: how far out, and how far down from the spine to the side.
_OUT_MM = (58.0, 88.0, 106.0, 119.0, 128.0, 134.0, 138.0, 141.0, 142.0, 138.0)
_DROP_MM = (4.0, 16.0, 26.0, 34.0, 40.0, 44.0, 47.0, 50.0, 52.0, 54.0)
_FRONT_COUNT = 7  # pairs whose front part is bone; behind it cartilage, which hardly shows


def ribs() -> Iterator[Tube]:
    """The image's right side: the back part arches out and down, the front part comes back in."""
    for k, (out, drop) in enumerate(zip(_OUT_MM, _DROP_MM, strict=True)):
        y = FIRST_MM + APART_MM * (k + 0.65)
        side = (out, y + drop)
        back = curve((13.0, y), (0.45 * out, y - 17.0), (out + 4.0, y - 9.0), side)
        yield Tube(points_mm=back, radius_mm=5.6, depth=0.36, wall_mm=1.2, core=0.3)
        if k < _FRONT_COUNT:
            y += drop
            front = curve(
                side, (out - 2.0, y + 24.0), (0.8 * out, y + 40.0), (0.46 * out, y + 47.0)
            )
            yield Tube(points_mm=front, radius_mm=5.8, depth=0.24, wall_mm=1.0, core=0.3)


def clavicle() -> Tube:
    line = curve((13.0, -122.0), (50.0, -122.0), (84.0, -152.0), (120.0, -142.0), (146.0, -150.0))
    return Tube(points_mm=line, radius_mm=6.0, depth=0.75, wall_mm=1.7, core=0.25)


def shoulder_blade() -> Tube:
    """Its inner border, which is all that shows."""
    line = curve((96.0, -128.0), (112.0, -90.0), (122.0, -60.0), (132.0, -18.0))
    return Tube(points_mm=line, radius_mm=3.6, depth=0.5)


def vertebra(x: Floats, y: Floats, middle_mm: float) -> Floats:
    """A body with denser plates above and below, two pedicles, and the spinous process."""
    half_mm = 16.5 + 0.012 * (middle_mm - FIRST_MM)
    across, down = np.abs(x / np.float32(half_mm)), np.abs((y - np.float32(middle_mm)) / 11.0)
    down = down.astype(np.float32)
    waist = across * (1.0 + np.float32(0.10) * (1.0 - np.minimum(down, 1.0) ** 2))
    inside = np.maximum(1.0 - waist**6.0 - down**8.0, 0.0)
    body: Floats = np.sqrt(inside) * (np.float32(5.0) + np.float32(3.0) * down**6.0)
    y_mm = middle_mm - 3.5
    for side in (-1.0, 1.0):
        body += _ellipse(x, y, (side * 0.62 * half_mm, y_mm), (3.4, 5.0), 3.0)
    body += _ellipse(x, y, (0.0, middle_mm + 9.0), (2.6, 7.0), 2.5)
    return body


def _ellipse(
    x: Floats, y: Floats, at_mm: tuple[float, float], half_mm: tuple[float, float], mm: float
) -> Floats:
    across, down = (x - np.float32(at_mm[0])), (y - np.float32(at_mm[1]))
    far = (across / np.float32(half_mm[0])) ** 2 + (down / np.float32(half_mm[1])) ** 2
    inside: Floats = np.float32(mm) * np.sqrt(np.maximum(1.0 - far, 0.0))
    return inside


def spine(x: Floats, y: Floats) -> Floats:
    total = np.zeros((y.shape[0], x.shape[1]), np.float32)
    columns = np.abs(x[0]) < 22.0
    for k in range(-2, VERTEBRAE_COUNT - 2):
        middle_mm = FIRST_MM + APART_MM * k
        rows = np.abs(y[:, 0] - middle_mm) < 18.0
        total[np.ix_(rows, columns)] += vertebra(x[:, columns], y[rows], middle_mm)
    return total


def bones(x: Floats, y: Floats) -> Floats:
    """Rows x columns of mm; what lies one before the other adds up."""
    total = spine(x, y)
    for tube in both_sides([*ribs(), clavicle(), shoulder_blade()]):
        total += draw(x, y, [tube])
    return total
