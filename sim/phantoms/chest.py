"""A chest from the front, life-size and nobody's: the beam goes from back to front.

In depth everything is a chord in closed form: a trunk of water, two lungs of thin water, a
heart and vessels that take their place, bones that take the place of water, air where the windpipe
and the stomach's bubble are. Sizes are chosen after ordinary anatomy of a slender adult.
The right of the picture is the patient's left, as radiographs hang.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.phantoms.chest_bones import bones
from sim.phantoms.chest_vessels import vessels
from sim.phantoms.kind import Phantom
from sim.phantoms.tubes import draw

Floats = NDArray[np.float32]

LUNG = 0.28  # its density; water, the rest of it air

# Down the body, mm: half the trunk's width, and its depth; shoulders reach beyond the picture.
_DOWN_MM = (-220.0, -182.0, -168.0, -154.0, -134.0, -100.0, -60.0, 0.0, 90.0, 220.0)
_HALF_MM = (60.0, 66.0, 92.0, 158.0, 196.0, 196.0, 176.0, 160.0, 154.0, 160.0)
_DEEP_MM = (118.0, 122.0, 130.0, 142.0, 156.0, 172.0, 192.0, 204.0, 206.0, 204.0)
_ROUND_MM = 25  # corners of these outlines are rounded over so much

# Of each lung, image left (the patient's right) first: from the apex down to the dome's top,
# its inner and outer border, and the depth of lung in between.
_LUNG_DOWN_MM = (-140.0, -134.0, -120.0, -90.0, -50.0, 0.0, 50.0, 110.0, 150.0)
_OUTER_MM = (52.0, 78.0, 96.0, 114.0, 126.0, 133.0, 136.0, 136.0, 134.0)
_INNER_MM = (44.0, 27.0, 21.0, 22.0, 25.0, 24.0, 24.0, 24.0, 24.0)
_LUNG_DEEP_MM = (0.0, 42.0, 78.0, 112.0, 136.0, 150.0, 152.0, 150.0, 150.0)
_DOMES = ((-1.0, 66.0, -76.0), (1.0, 78.0, 80.0))  # side, top y, x of the top
_FALL_MM, _REACH_MM = 62.0, 76.0  # of a dome to the side: its height, and how far it reaches


def _down(y: Floats, values_mm: tuple[float, ...], at_mm: tuple[float, ...]) -> Floats:
    """A line through these values, its corners rounded."""
    fine_mm = np.arange(-300.0, 301.0)
    window = np.ones(_ROUND_MM) / _ROUND_MM
    line = np.pad(np.interp(fine_mm, at_mm, values_mm), _ROUND_MM - 1, mode="edge")
    line = np.convolve(np.convolve(line, window, mode="valid"), window, mode="valid")
    rounded: Floats = np.interp(y, fine_mm, line).astype(np.float32)
    return rounded


def trunk(x: Floats, y: Floats) -> Floats:
    """An ellipse in each section, a little fuller than one."""
    half, deep = _down(y, _HALF_MM, _DOWN_MM), _down(y, _DEEP_MM, _DOWN_MM)
    across = np.minimum(np.abs(x / half), np.float32(1.0))
    whole: Floats = deep * (1.0 - across * across * across) ** np.float32(0.55)
    return whole


def lung(x: Floats, y: Floats, pitch_mm: float, dome: tuple[float, float, float]) -> Floats:
    """The ray's length in one lung; it ends at the dome with an edge."""
    side, top_mm, middle_mm = dome
    inner, outer = (_down(y, values, _LUNG_DOWN_MM) for values in (_INNER_MM, _OUTER_MM))
    middle, half = (inner + outer) / 2.0, (outer - inner) / 2.0
    across = np.minimum(np.abs((np.float32(side) * x - middle) / half), np.float32(1.0))
    deep = _down(y, _LUNG_DEEP_MM, _LUNG_DOWN_MM) * np.sqrt(1.0 - across * across * across)
    aside = np.minimum(np.abs((x - np.float32(middle_mm)) / np.float32(_REACH_MM)), 1.0)
    floor = np.float32(top_mm) + np.float32(_FALL_MM) * (1.0 - np.sqrt(1.0 - aside * aside))
    above = np.clip(0.5 + (floor - y) / np.float32(pitch_mm), 0.0, 1.0)
    long: Floats = deep * above
    return long


def blob(
    total: Floats, x: Floats, y: Floats, at_mm: tuple[float, float], half_mm: tuple[float, float],
    deep_mm: float, lean: float = 0.0,
) -> None:  # fmt: skip
    """Where an ellipsoid's chord is longer than `total`, that: half axes across and down, depth.

    `lean`: mm to the right for each mm down.
    """
    reach_mm = half_mm[0] + abs(lean) * half_mm[1]
    patch = np.ix_(np.abs(y[:, 0] - at_mm[1]) < half_mm[1], np.abs(x[0] - at_mm[0]) < reach_mm)
    off = y[patch[0][:, 0]] - np.float32(at_mm[1])
    across = (x[:, patch[1][0]] - np.float32(at_mm[0]) - np.float32(lean) * off) / half_mm[0]
    down = off / np.float32(half_mm[1])
    inside = np.maximum(1.0 - across * across - down * down, 0.0)
    total[patch] = np.maximum(total[patch], np.float32(deep_mm) * np.sqrt(inside))


def heart(total: Floats, x: Floats, y: Floats) -> None:
    """Two thirds of it, and the apex, on the image's right; above it the vessels' stem."""
    blob(total, x, y, (25.0, 48.0), (58.0, 50.0), 104.0, lean=0.55)
    blob(total, x, y, (-14.0, 36.0), (28.0, 50.0), 84.0)
    blob(total, x, y, (24.0, -70.0), (15.0, 16.0), 44.0)  # the arch of the aorta
    blob(total, x, y, (-12.0, -70.0), (18.0, 70.0), 46.0)  # the upper vein
    blob(total, x, y, (14.0, -16.0), (31.0, 44.0), 64.0)  # the stem of the lung's arteries
    blob(total, x, y, (-33.0, -12.0), (12.0, 20.0), 34.0, lean=-0.3)  # the hila
    blob(total, x, y, (40.0, -22.0), (12.0, 19.0), 34.0, lean=0.3)


def paint(x: Floats, y: Floats, pitch_mm: float) -> dict[str, Floats]:
    full = draw(x, y, vessels())
    heart(full, x, y)
    air = lung(x, y, pitch_mm, _DOMES[0]) + lung(x, y, pitch_mm, _DOMES[1])
    air = np.float32(1.0 - LUNG) * np.maximum(air - full, 0.0)
    elsewhere = np.zeros_like(air)
    blob(elsewhere, x, y, (0.0, -130.0), (8.5, 75.0), 15.0)  # the windpipe
    blob(elsewhere, x, y, (62.0, 112.0), (26.0, 15.0), 42.0)  # the stomach's bubble
    bone = bones(x, y)
    water = trunk(x, y) - air - elsewhere - bone
    return {"water": np.maximum(water, 0.0), "bone": bone}


CHEST = Phantom(
    name="chest",
    about="a life-size chest: lungs, heart, ribs, spine, clavicles; wants a panel of 35 cm",
    source="chosen after ordinary anatomy",
    width_mm=350.0,
    paint=paint,
)
