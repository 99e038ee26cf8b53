"""Shapes of a phantom: each knows where it is and how thick it is there.

Millimetres at the detector plane, origin at the panel's centre, x along a row to the
right, y down the columns. Straight edges cover exactly the part of a pixel that they
cover, so an edge stands where its number says at any matrix size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bounds = tuple[float, float, float, float]  # left, top, right, bottom

BLUNT = 1.8  # the ends of bones are that much flatter than half-round


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A plate with edges along rows and columns."""

    material: str
    left_mm: float
    top_mm: float
    right_mm: float
    bottom_mm: float
    thickness_mm: float

    def bounds(self) -> Bounds:
        return self.left_mm, self.top_mm, self.right_mm, self.bottom_mm

    def thickness(self, x: Floats, y: Floats, pitch_mm: float) -> Floats:
        across = _covered(x, self.left_mm, self.right_mm, pitch_mm)
        down = _covered(y, self.top_mm, self.bottom_mm, pitch_mm)
        return np.float32(self.thickness_mm) * across * down


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A round foil."""

    material: str
    x_mm: float
    y_mm: float
    radius_mm: float
    thickness_mm: float

    def bounds(self) -> Bounds:
        r = self.radius_mm
        return self.x_mm - r, self.y_mm - r, self.x_mm + r, self.y_mm + r

    def thickness(self, x: Floats, y: Floats, pitch_mm: float) -> Floats:
        outside_mm = np.hypot(x - np.float32(self.x_mm), y - np.float32(self.y_mm))
        outside_mm -= np.float32(self.radius_mm)
        inside: Floats = np.clip(0.5 - outside_mm / np.float32(pitch_mm), 0.0, 1.0)
        return np.float32(self.thickness_mm) * inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Limb:
    """A round, tapered limb of soft tissue: radius at both ends, flattened in depth."""

    material: str
    start_mm: tuple[float, float]
    end_mm: tuple[float, float]
    radii_mm: tuple[float, float]
    depth: float  # thickness over width: 1 = as thick as wide

    def bounds(self) -> Bounds:
        return _around(self.start_mm, self.end_mm, max(self.radii_mm))

    def thickness(self, x: Floats, y: Floats, pitch_mm: float) -> Floats:
        along, away_mm = along_and_away(x, y, self.start_mm, self.end_mm)
        first, last = self.radii_mm
        radius = np.float32(first) + np.float32(last - first) * along
        return np.float32(self.depth) * chord(radius, away_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bone:
    """A long bone: waisted cylinder, dense cortex around a marrow that is part bone."""

    material: str
    start_mm: tuple[float, float]
    end_mm: tuple[float, float]
    shaft_mm: float  # radius at mid-length
    head_mm: float  # radius at the ends
    cortex_mm: float = 1.1
    thinning: float = 0.6  # of the cortex, from mid-length to the joints
    marrow: float = 0.3  # bone as a part of the marrow's volume

    def bounds(self) -> Bounds:
        return _around(self.start_mm, self.end_mm, self.head_mm)

    def thickness(self, x: Floats, y: Floats, pitch_mm: float) -> Floats:
        along, away_mm = along_and_away(x, y, self.start_mm, self.end_mm, BLUNT)
        flare = np.abs(np.float32(2.0) * along - np.float32(1.0)) ** np.float32(2.6)
        radius = np.float32(self.shaft_mm) + np.float32(self.head_mm - self.shaft_mm) * flare
        cortex_mm = np.float32(self.cortex_mm) * (1.0 - np.float32(self.thinning) * flare)
        whole = chord(radius, away_mm)
        return whole - np.float32(1.0 - self.marrow) * chord(radius - cortex_mm, away_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiltedPlate:
    """A rectangular plate, the middle of whose right edge is the origin.

    It leans `tilt_deg` clockwise. The covered part of a pixel is exact but at its corners.
    """

    material: str
    tilt_deg: float
    width_mm: float
    height_mm: float
    thickness_mm: float

    def bounds(self) -> Bounds:
        r = math.hypot(self.width_mm, self.height_mm / 2.0)
        return -r, -r, r, r

    def thickness(self, x: Floats, y: Floats, pitch_mm: float) -> Floats:
        angle = math.radians(self.tilt_deg)
        cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        along, down = x * cos + y * sin, y * cos - x * sin
        wide_mm, narrow_mm = _widths(pitch_mm * math.cos(angle), pitch_mm * math.sin(angle))
        covered = np.full(along.shape, self.thickness_mm, np.float32)
        half_mm = np.float32(self.height_mm / 2.0)
        for inside_mm in (
            -along,
            along + np.float32(self.width_mm),
            half_mm - down,
            half_mm + down,
        ):
            covered *= _square_behind_edge(inside_mm, wide_mm, narrow_mm)
        return covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Star:
    """Sectors of equal angle, every other one a plate: lines that become finer to the middle.

    A pixel shows the mean along the arc through its centre, one pixel long: so contrast is lost
    towards the middle as in a real one, and comes back inverted where lines are finer than it.
    """

    material: str
    radius_mm: float
    pairs_count: int
    thickness_mm: float

    def bounds(self) -> Bounds:
        r = self.radius_mm
        return -r, -r, r, r

    def thickness(self, x: Floats, y: Floats, pitch_mm: float) -> Floats:
        from_middle_mm: Floats = np.maximum(np.hypot(x, y), np.float32(pitch_mm))
        turns = (np.arctan2(y, x) * (self.pairs_count / (2.0 * math.pi))).astype(np.float32)
        wide: Floats = pitch_mm * self.pairs_count / (2.0 * math.pi) / from_middle_mm
        half: Floats = wide * np.float32(0.5)
        covered = (_plate_turns(turns + half) - _plate_turns(turns - half)) / wide
        rim = np.clip((np.float32(self.radius_mm) - from_middle_mm) / np.float32(pitch_mm) + 0.5,
                      0.0, 1.0)  # fmt: skip
        mm: Floats = np.float32(self.thickness_mm) * covered * rim
        return mm


def _plate_turns(turns: Floats) -> Floats:
    """How much plate lies between 0 and here, in turns of a line pair; its first half is plate."""
    whole = np.floor(turns)
    passed: Floats = np.float32(0.5) * whole + np.minimum(turns - whole, np.float32(0.5))
    return passed


def _widths(one_mm: float, other_mm: float) -> tuple[float, float]:
    """A pixel across an edge: (the wide, the narrow) of its two sides, none quite 0."""
    one_mm, other_mm = abs(one_mm), abs(other_mm)
    return max(one_mm, other_mm), max(min(one_mm, other_mm), 1e-6 * max(one_mm, other_mm))


def _square_behind_edge(inside_mm: Floats, wide_mm: float, narrow_mm: float) -> Floats:
    """The part of a square behind an edge: a ramp with parabolas at both ends, exact."""
    # Symmetric: what is missing at a distance inside is what is there at the same distance outside.
    away = np.abs(inside_mm)
    flat_mm, end_mm = (wide_mm - narrow_mm) / 2.0, (wide_mm + narrow_mm) / 2.0
    left = np.clip(np.float32(end_mm) - away, 0.0, np.float32(narrow_mm))
    missing = left * left / np.float32(2.0 * wide_mm * narrow_mm)
    missing += np.clip(np.float32(flat_mm) - away, 0.0, None) / np.float32(wide_mm)
    covered: Floats = np.where(inside_mm > 0.0, 1.0 - missing, missing)
    return covered


def _covered(at_mm: Floats, low_mm: float, high_mm: float, pitch_mm: float) -> Floats:
    """The part of each pixel between two edges, exact: 1 inside to the last digit."""
    middle_mm = at_mm.astype(np.float64)  # one row or column: a float32 pixel is not always whole
    low = np.maximum(middle_mm - pitch_mm / 2.0, low_mm)
    high = np.minimum(middle_mm + pitch_mm / 2.0, high_mm)
    inside: Floats = np.clip((high - low) / pitch_mm, 0.0, 1.0).astype(np.float32)
    return inside


def along_and_away(
    x: Floats,
    y: Floats,
    start_mm: tuple[float, float],
    end_mm: tuple[float, float],
    blunt: float = 1.0,
) -> tuple[Floats, Floats]:
    """Where along the line (0 to 1), and how far away from it in mm.

    What lies beyond an end counts `blunt` times: 1 gives half-round ends.
    """
    (x0, y0), (x1, y1) = start_mm, end_mm
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = np.float32((x1 - x0) / length), np.float32((y1 - y0) / length)
    from_x, from_y = x - np.float32(x0), y - np.float32(y0)
    reach = from_x * ux + from_y * uy
    on_line: Floats = np.clip(reach, 0.0, np.float32(length))
    across = from_x * uy - from_y * ux
    away: Floats = np.hypot(across, (reach - on_line) * np.float32(blunt))
    return on_line / np.float32(length), away


def chord(radius: Floats, away_mm: Floats) -> Floats:
    """Length of the ray through a cylinder that it passes at this distance."""
    squared: Floats = np.maximum(radius * np.abs(radius) - away_mm * away_mm, 0.0)
    return np.float32(2.0) * np.sqrt(squared)


def _around(start_mm: tuple[float, float], end_mm: tuple[float, float], r_mm: float) -> Bounds:
    (x0, y0), (x1, y1) = start_mm, end_mm
    return min(x0, x1) - r_mm, min(y0, y1) - r_mm, max(x0, x1) + r_mm, max(y0, y1) + r_mm


Shape = Box | Disk | Limb | Bone
"""What adds up, in mm."""
Plate = Box | TiltedPlate | Star
"""What has sharp edges, and covers a part of each pixel."""
