"""How rays run from the focus to the panel: what is magnified, blurred and out of place.

A square focal spot that is evenly bright, blades in one plane, a phantom in one plane above the
panel, the tube straight above the panel's middle. The defaults are a point, a phantom on
the panel, and no more: pictures with ideal geometry.
Lengths are at the panel if not said otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.injection import Injection, fresh

Floats = NDArray[np.float32]
Axis = NDArray[np.float64]

BLADES_MM = 250.0  # focus to the plane of the blades; chosen
GRID_RATIOS = (0.0, 20.0)

INJECTIONS = {
    "focus_mm": Injection("the focal spot is so wide: edges of what is lifted and of the field "
                          "have a penumbra", 0.0, between=(0.0, 3.0), heals=False),
    "lift_mm": Injection("the phantom lies so far above the panel: it is magnified", 0.0,
                         between=(0.0, 250.0), heals=False),
    "fall_off": Injection("the beam thins towards the rim: inverse square, and slanted rays",
                          heals=False),
    "heel": Injection("the target shades its own beam: less towards the anode, at the top rows",
                      heals=False),
    "scatter": Injection("the phantom scatters: see sim/scatter.py", heals=False),
    "grid_ratio": Injection("a moving grid of this ratio before the panel; 0: none. What else "
                            "is said of it: see sim/grid.py", 0.0,
                            between=GRID_RATIOS, heals=False),
    "grid_lines_per_cm": Injection("it has so many strips", 40.0, between=(10.0, 100.0),
                                   heals=False),
    "grid_focus_mm": Injection("its strips lean towards a focus so far above; left out: to where "
                               "the tube stands; 100000: they are parallel", None, float,
                               (300.0, 1e5), heals=False),
    "grid_off_mm": Injection("its middle stands so far to the right of the tube", 0.0,
                             between=(-200.0, 200.0)),
    "grid_upside_down": Injection("it was put in with its back to the tube"),
    "grid_stands_still": Injection("it does not move in the beam, and shows its lines"),
    "light_off_rows_mm": Injection("the X-ray field stands so far below the light field", 0.0,
                                   between=(-200.0, 200.0)),
    "light_off_columns_mm": Injection("... so far to the right of it", 0.0,
                                      between=(-200.0, 200.0)),
}  # fmt: skip
_DIGITS_COUNT = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """Of one exposure; the names of INJECTIONS."""

    focus_mm: float = 0.0
    lift_mm: float = 0.0
    fall_off: bool = False
    heel: bool = False
    scatter: bool = False
    grid_ratio: float = 0.0
    grid_lines_per_cm: float = 40.0
    grid_focus_mm: float | None = None
    grid_off_mm: float = 0.0
    grid_upside_down: bool = False
    grid_stands_still: bool = False
    light_off_rows_mm: float = 0.0
    light_off_columns_mm: float = 0.0

    def magnification(self, sid_mm: float) -> float:
        return sid_mm / (sid_mm - self.lift_mm)

    def blur_mm(self, sid_mm: float) -> float:
        """How wide a point of the phantom is seen: the focus, as large as it projects."""
        return self.focus_mm * (self.magnification(sid_mm) - 1.0)

    def penumbra_mm(self, sid_mm: float) -> float:
        """From full light to none at the edge of the field."""
        return self.focus_mm * (sid_mm - BLADES_MM) / BLADES_MM


PLAIN = Optics()


class SimOptics:
    """The truth of a room; a scenario may set the names of INJECTIONS.

    Plain at first, whatever the bench is: what is known of images (calibrations, AEC's table) is
    known of plain geometry.
    """

    focus_mm: float
    lift_mm: float
    fall_off: bool
    heel: bool
    scatter: bool
    grid_ratio: float
    grid_lines_per_cm: float
    grid_focus_mm: float | None
    grid_off_mm: float
    grid_upside_down: bool
    grid_stands_still: bool
    light_off_rows_mm: float
    light_off_columns_mm: float

    def __init__(self, bench: Optics = PLAIN) -> None:
        """`bench`: what its own focus, grid and patient are like."""
        self.bench = bench
        self.before_fault: Optics | None = None  # where a fault came with optics of its own
        fresh(self, INJECTIONS)

    def arrange(self, *, as_bench: bool) -> None:
        """As the bench really is, or plain; faults stay."""
        self._arranged(self.bench if as_bench else PLAIN)

    def put_back(self) -> None:
        """What a fault arranged for itself goes with it."""
        if self.before_fault is not None:
            self._arranged(self.before_fault)
            self.before_fault = None

    def _arranged(self, wanted: Optics) -> None:
        for name, injection in INJECTIONS.items():
            if not injection.heals:
                setattr(self, name, getattr(wanted, name))

    def now(self) -> Optics:
        return Optics(**{name: getattr(self, name) for name in INJECTIONS})


def pixel_middles_mm(count: int, pitch_mm: float) -> Axis:
    """0 in the middle of the panel."""
    middles: Axis = (np.arange(count, dtype=np.float64) + 0.5 - count / 2.0) * pitch_mm
    return middles


def light_field(
    y_mm: Axis,
    x_mm: Axis,
    field_mm: tuple[float, float],
    optics: Optics,
    sid_mm: float,
    pitch_mm: float,
) -> Floats:
    """What the blades let through, rows x columns; nothing comes through the blades."""
    ramp_mm = optics.penumbra_mm(sid_mm)
    sides = []
    for at_mm, size_mm, off_mm in (
        (y_mm, field_mm[0], optics.light_off_rows_mm),
        (x_mm, field_mm[1], optics.light_off_columns_mm),
    ):
        low_mm, high_mm = off_mm - size_mm / 2.0, off_mm + size_mm / 2.0
        sides.append(opening(at_mm, low_mm, high_mm, ramp_mm, pitch_mm))
    lit: Floats = (sides[0][:, None] * sides[1][None, :]).astype(np.float32)
    return lit


def opening(at_mm: Axis, low_mm: float, high_mm: float, ramp_mm: float, pitch_mm: float) -> Axis:
    """Along one axis: the mean light in each pixel between two blades; the ramp is centred.

    Closed form: the light is a ramp up less a ramp down, a pixel's mean their antiderivative.
    """
    half_mm = pitch_mm / 2.0

    def passed(edge_mm: float) -> Axis:
        until = _ramp_area(at_mm + half_mm - edge_mm, ramp_mm)
        return (until - _ramp_area(at_mm - half_mm - edge_mm, ramp_mm)) / pitch_mm

    # What arithmetic leaves over behind a blade is no light, nor less than none.
    lit: Axis = np.clip(np.round(passed(low_mm) - passed(high_mm), _DIGITS_COUNT), 0.0, 1.0)
    return lit


def _ramp_area(past_mm: Axis, ramp_mm: float) -> Axis:
    """Under a ramp from 0 to 1 whose middle is at 0, up to here."""
    if ramp_mm <= 0.0:
        return np.maximum(past_mm, 0.0)
    part = past_mm / ramp_mm + 0.5
    rising: Axis = np.clip(part, 0.0, 1.0) ** 2 / 2.0 + np.maximum(part - 1.0, 0.0)
    return rising * ramp_mm


def blurred(picture: Floats, width_px: float) -> Floats:
    """Under a square of this width, evenly weighted; what lies outside is as the rim."""
    if width_px <= 0.0:
        return picture
    weights = _weights(width_px)
    for axis in (0, 1):
        picture = _along(picture, weights, axis)
    return picture


def _weights(width_px: float) -> Axis:
    """Equal ones with smaller ends, whose variance is exactly that of a box of this width.

    So a blur of a part of a pixel is as small as it should be. Their sum is 1.
    """
    variance = width_px**2 / 12.0
    inner = int((math.sqrt(1.0 + width_px**2) - 1.0) / 2.0)  # whole ones on each side
    count, last = 2 * inner + 1, (inner + 1) ** 2
    whole = (last - variance) / (count * last - inner * (inner + 1) * count / 3.0)
    end = (1.0 - count * whole) / 2.0
    return np.array([end, *[whole] * count, end])


def _along(picture: Floats, weights: Axis, axis: int) -> Floats:
    reach = len(weights) // 2
    widths = [(0, 0), (0, 0)]
    widths[axis] = (reach, reach)
    padded = np.pad(picture, widths, mode="edge")
    total = np.zeros_like(picture)
    count = picture.shape[axis]
    for k, weight in enumerate(weights.tolist()):
        part = [slice(None), slice(None)]
        part[axis] = slice(k, k + count)
        total += np.float32(weight) * padded[tuple(part)]
    return total


def fall_off(y_mm: Axis, x_mm: Axis, sid_mm: float) -> Floats:
    """Of counts in a flat panel: the cube of the cosine, 1 in the middle.

    Two powers are the inverse square of the longer way, one the slant at which rays meet a pixel.
    (The fourth power of optics is of a source that shines as a surface does; a focus does not.)
    """
    far = (y_mm[:, None] ** 2 + x_mm[None, :] ** 2) / sid_mm**2
    thin: Floats = ((1.0 + far) ** -1.5).astype(np.float32)
    return thin
