"""A hand with test objects beside it: worth looking at, and measurable.

A small left hand (palm down, thumb to the right), an aluminium step wedge, a tissue
slab with contrast disks, lead bars, a lead L, and the collimator's shutters. The sizes
are a design choice after ordinary anatomy; no real phantom is copied. Geometry is data,
in mm at the detector plane (see `sim.shapes`); `sim.optics` says what a lift above it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.shapes import BLUNT, Bone, Bounds, Box, Disk, Limb, Shape

Floats = NDArray[np.float32]

FIELD_MM = (200.0, 200.0)  # rows, columns: the collimated field at the detector plane
SHUTTER_MM = 2.0  # lead; nothing comes through
DEFAULT = "hand"  # the hand with all that lies beside it
NONE = "none"  # an open beam on the whole panel, collimator and all, as flats need it


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A straight edge that a test may look for.

    It stands at `at_mm` on `axis` and is free of other edges between the two `along_mm`
    on the other axis; behind it (towards larger numbers) the object is denser or not.
    """

    name: str
    axis: str  # "x" or "y"
    at_mm: float
    along_mm: tuple[float, float]
    denser_after: bool


# --- the hand: per ray the base, then (degrees from vertical, length, shaft, head) -----------

_RAYS = (
    ((-20.0, 39.0),
     ((5, 50, 3.6, 5.9), (7, 34, 3.3, 5.2), (8, 20, 2.9, 4.3), (9, 13, 1.9, 3.1))),
    ((-31.0, 40.0),
     ((-2, 50, 3.6, 5.9), (-1, 37, 3.4, 5.3), (0, 22, 3.0, 4.4), (1, 14, 2.0, 3.2))),
    ((-41.0, 40.0),
     ((-8, 45, 3.2, 5.4), (-8, 34, 3.1, 4.9), (-8, 21, 2.8, 4.2), (-7, 13, 1.9, 3.1))),
    ((-50.0, 42.0),
     ((-17, 41, 3.0, 5.0), (-19, 27, 2.8, 4.5), (-20, 15, 2.5, 3.7), (-20, 12, 1.7, 2.8))),
    ((-8.0, 44.0),
     ((48, 35, 4.0, 6.1), (40, 26, 3.6, 5.2), (33, 19, 2.3, 3.8))),
)  # fmt: skip
_JOINT_MM = 1.8  # the joint spaces

_CARPALS = (  # x, y, half axes: length, radius, degrees from vertical; radial to ulnar
    (-9.0, 48.0, 6.3, 5.8, 30), (-18.8, 47.0, 5.2, 4.9, 10), (-29.5, 50.0, 9.3, 6.2, 0),
    (-41.8, 49.8, 8.0, 6.4, -15), (-17.0, 58.0, 9.6, 6.0, 38), (-30.2, 63.8, 6.0, 6.6, 0),
    (-42.0, 61.5, 6.8, 5.6, -30), (-48.0, 58.0, 4.0, 3.6, 0),
)  # fmt: skip

_FOREARM = (
    Bone(material="bone", start_mm=(-22, 77.5), end_mm=(-25, 150), shaft_mm=6.5, head_mm=12.5,
         cortex_mm=1.9),
    Bone(material="bone", start_mm=(-47, 75), end_mm=(-44, 150), shaft_mm=5.5, head_mm=7.5,
         cortex_mm=1.7),
    Limb(material="water", start_mm=(-31, 52), end_mm=(-34, 130), radii_mm=(26, 27), depth=0.68),
)  # fmt: skip


def _point(start: tuple[float, float], degrees: float, length_mm: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return start[0] + length_mm * math.sin(angle), start[1] - length_mm * math.cos(angle)


def _ray(base: tuple[float, float], bones: Iterable[tuple[float, ...]]) -> Iterable[Shape]:
    """One finger with its metacarpal: bones end to end, and the flesh around them."""
    start = base
    for index, (degrees, length_mm, shaft_mm, head_mm) in enumerate(bones):
        cap_mm = head_mm / BLUNT  # the round ends lie inside the length
        end = _point(start, degrees, length_mm)
        yield Bone(
            material="bone", shaft_mm=shaft_mm, head_mm=head_mm,
            start_mm=_point(start, degrees, cap_mm), end_mm=_point(end, degrees, -cap_mm),
        )  # fmt: skip
        palm = index == 0
        radii_mm = (15.5, 12.0) if palm else (11.6 - 1.2 * index, 10.4 - 1.2 * index)
        yield Limb(
            material="water", start_mm=start, end_mm=end, radii_mm=radii_mm,
            depth=0.75 if palm else 0.92,
        )  # fmt: skip
        start = _point(end, degrees, _JOINT_MM)


def _carpal(x: float, y: float, half_mm: float, radius_mm: float, degrees: float) -> Bone:
    reach_mm = max(half_mm - radius_mm / BLUNT, 0.5)
    return Bone(
        material="bone", start_mm=_point((x, y), degrees, reach_mm),
        end_mm=_point((x, y), degrees, -reach_mm), shaft_mm=radius_mm, head_mm=0.85 * radius_mm,
        cortex_mm=0.7, thinning=0.0, marrow=0.42,
    )  # fmt: skip


HAND: tuple[Shape, ...] = (
    *(shape for base, bones in _RAYS for shape in _ray(base, bones)),
    *(_carpal(*carpal) for carpal in _CARPALS),
    *_FOREARM,
)

# --- test objects ----------------------------------------------------------------------------

WEDGE_MM = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)  # aluminium, from the top
_WEDGE_LEFT, _WEDGE_TOP, _WEDGE_RIGHT, _STEP = 68.0, -84.0, 92.0, 10.0


def _box(material: str, bounds: Bounds, thickness_mm: float) -> Box:
    left, top, right, bottom = bounds
    return Box(
        material=material, left_mm=left, top_mm=top, right_mm=right, bottom_mm=bottom,
        thickness_mm=thickness_mm,
    )  # fmt: skip


WEDGE: tuple[Shape, ...] = tuple(
    _box("aluminium", (_WEDGE_LEFT, top, _WEDGE_RIGHT, top + _STEP), thickness_mm)
    for top, thickness_mm in zip(np.arange(_WEDGE_TOP, 16.0, _STEP).tolist(), WEDGE_MM, strict=True)
)
CONTRAST: tuple[Shape, ...] = (
    _box("water", (58.0, 28.0, 94.0, 58.0), 20.0),
    *(
        Disk(material="aluminium", x_mm=x, y_mm=y, radius_mm=r, thickness_mm=thickness_mm)
        for x, r in ((65.0, 5.0), (77.0, 3.5), (87.0, 2.0))
        for y, thickness_mm in ((36.0, 1.0), (50.0, 0.4))
    ),
)
# Three lead bars each of 2, 1, 0.5 and 0.25 mm: 0.25, 0.5, 1 and 2 line pairs per mm.
BARS: tuple[Shape, ...] = tuple(
    _box("lead", (left + 2 * k * width, 66.0, left + (2 * k + 1) * width, 84.0), 0.1)
    for left, width in ((58.0, 2.0), (73.0, 1.0), (82.0, 0.5), (89.0, 0.25))
    for k in range(3)
)
MARKER: tuple[Shape, ...] = (
    _box("lead", (-92.0, -92.0, -88.5, -76.0), 1.0),
    _box("lead", (-88.5, -79.5, -81.0, -76.0), 1.0),
)
OBJECTS: tuple[Shape, ...] = (*HAND, *WEDGE, *CONTRAST, *BARS, *MARKER)


def edges(field_mm: tuple[float, float] = FIELD_MM) -> tuple[Edge, ...]:
    """The phantom's edges and the field's, for a field of rows x columns mm."""
    half_y, half_x = field_mm[0] / 2.0, field_mm[1] / 2.0
    rows = [
        ("field left", "x", -half_x, (-70.0, -60.0), False),
        ("field right", "x", half_x, (-70.0, 10.0), True),
        ("field top", "y", -half_y, (10.0, 60.0), False),
        ("field bottom", "y", half_y, (10.0, 50.0), True),
        ("wedge left", "x", _WEDGE_LEFT, (-52.0, 12.0), True),
        ("wedge right", "x", _WEDGE_RIGHT, (-52.0, 12.0), False),
        ("wedge bottom", "y", 16.0, (70.0, 90.0), False),
        ("slab left", "x", 58.0, (44.0, 46.0), True),
        ("slab bottom", "y", 58.0, (60.0, 92.0), False),
        ("marker left", "x", -92.0, (-90.0, -78.0), True),
        ("marker bottom", "y", -76.0, (-90.0, -83.0), False),
        ("bar left", "x", 58.0, (68.0, 82.0), True),
        ("bar top", "y", 66.0, (58.5, 59.5), True),
    ]
    rows += [
        (f"wedge step {k}", "y", _WEDGE_TOP + _STEP * k, (70.0, 90.0), True) for k in range(10)
    ]
    return tuple(
        Edge(name=name, axis=axis, at_mm=at_mm, along_mm=along_mm, denser_after=denser_after)
        for name, axis, at_mm, along_mm, denser_after in rows
    )


EDGES = edges()

# --- the maps --------------------------------------------------------------------------------


def thickness_maps(
    rows_px: int,
    columns_px: int,
    pitch_mm: float,
    *,
    field_mm: tuple[float, float] | None = FIELD_MM,
    objects: tuple[Shape, ...] = OBJECTS,
) -> dict[str, Floats]:
    """Material -> rows x columns of mm. No objects: the bare field; no field: no shutters."""
    materials = dict.fromkeys(("water", "bone", "aluminium", "lead", *_materials(objects)))
    maps = {name: np.zeros((rows_px, columns_px), np.float32) for name in materials}
    y, x = axis_mm(rows_px, pitch_mm)[:, None], axis_mm(columns_px, pitch_mm)[None, :]
    flesh = np.zeros((rows_px, columns_px), np.float32)
    for shape in objects:
        patch = patch_of(shape.bounds(), rows_px, columns_px, pitch_mm)
        thickness = shape.thickness(x[:, patch[1]], y[patch[0]], pitch_mm)
        if isinstance(shape, Limb):
            flesh[patch] += thickness**4  # fourth-power mean: limbs melt into each other
        else:
            maps[shape.material][patch] += thickness
    flesh = np.sqrt(np.sqrt(flesh))
    maps["water"] += np.maximum(flesh - maps["bone"], 0.0)  # bone takes the place of tissue
    if field_mm is not None:
        maps["lead"] += shutters(rows_px, columns_px, pitch_mm, field_mm)
    return maps


def _materials(objects: tuple[Shape, ...]) -> Iterable[str]:
    return (shape.material for shape in objects)


def shutters(
    rows_px: int, columns_px: int, pitch_mm: float, field_mm: tuple[float, float]
) -> Floats:
    """The collimator's lead, rows x columns of mm."""
    y, x = axis_mm(rows_px, pitch_mm)[:, None], axis_mm(columns_px, pitch_mm)[None, :]
    lead: Floats = np.float32(SHUTTER_MM) * (1.0 - _field(x, y, field_mm, pitch_mm))
    return lead


def _field(x: Floats, y: Floats, field_mm: tuple[float, float], pitch_mm: float) -> Floats:
    half_y, half_x = field_mm[0] / 2.0, field_mm[1] / 2.0
    return _box("field", (-half_x, -half_y, half_x, half_y), 1.0).thickness(x, y, pitch_mm)


def axis_mm(count: int, pitch_mm: float) -> Floats:
    """Pixel centres, 0 in the middle of the panel."""
    return ((np.arange(count) + 0.5 - count / 2.0) * pitch_mm).astype(np.float32)


def patch_of(bounds: Bounds, rows_px: int, columns_px: int, pitch_mm: float) -> tuple[slice, slice]:
    left, top, right, bottom = bounds

    def inside(low_mm: float, high_mm: float, count: int) -> slice:
        low = math.floor(low_mm / pitch_mm + count / 2.0) - 1
        high = math.ceil(high_mm / pitch_mm + count / 2.0) + 1
        return slice(min(max(low, 0), count), min(max(high, 0), count))

    return inside(top, bottom, rows_px), inside(left, right, columns_px)
