"""An anti-scatter grid before the panel: what it lets through of primary and of scatter.

Lead strips stand along the picture's columns, so all that is special goes across them, by x. Of
each pitch STRIP is lead and the rest lets INTERSPACE through; a strip is `grid_ratio` times as high
as the gap is wide. They lean towards a line at `grid_focus_mm`. A ray of the slope x / sid meets a
strip that leans (x - grid_off_mm) / grid_focus_mm, and loses of the gap

    lost = grid_ratio * |x / sid - (x - grid_off_mm) / grid_focus_mm|

until nothing is left: at a wrong distance less and less arrives towards both sides (white and noisy
in the picture), beside its middle evenly less (which no picture tells from a low dose), and upside
down, with strips that lean the other way, only a band in the middle is exposed. That is geometry
(similar triangles, a point focus, strips that nothing passes); the shares below are chosen. Scatter
comes from everywhere: it loses the same in all of these.

A grid that moves shows no lines. Of one that stands still the first harmonics are drawn, as means
over each pixel and in primary alone: finer than pixels, they come back as broad bands (moire).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.optics import Optics
from sim.sharpness import scintillator_mtf

Floats = NDArray[np.float32]
Axis = NDArray[np.float64]

PRIMARY = 0.70  # passes a grid where nothing is cut off, of whichever ratio; chosen
STRIP = 0.20  # of the pitch: 0.05 mm of lead in 0.25 mm; chosen
INTERSPACE = PRIMARY / (1.0 - STRIP)
# Ratio -> the part of the scatter that passes; chosen. Less than 5:1 is no grid for radiography.
RATIOS = (0.0, 5.0, 8.0, 10.0, 12.0, 16.0, 20.0)
SCATTER = (1.0, 0.25, 0.17, 0.13, 0.10, 0.07, 0.05)
HARMONICS: Axis = np.arange(1.0, 7.0)  # of the lines; what comes after them no panel sees


def through_grid(
    primary: Floats,
    scatter: Floats,
    optics: Optics,
    sid_mm: float,
    x_mm: Axis,
    lines: Axis | float = 0.0,
) -> Floats:
    """What passes of both, rows x columns; `lines`: see `lines_of`. Ratio 0: no grid."""
    if optics.grid_ratio <= 0.0:
        return primary + scatter
    part = float(np.interp(optics.grid_ratio, RATIOS, SCATTER))
    passing = primary_part(optics, sid_mm, x_mm, lines).astype(np.float32)
    return passing * primary + np.float32(part) * scatter


def primary_part(optics: Optics, sid_mm: float, x_mm: Axis, lines: Axis | float = 0.0) -> Axis:
    """Of the primary, at each x: PRIMARY where it stands as it should."""
    shaded = STRIP + (1.0 - STRIP) * lost(optics, sid_mm, x_mm)
    order = HARMONICS[:, None]
    waves = 2.0 / (np.pi * order) * np.sin(np.pi * order * shaded) * lines
    passing: Axis = INTERSPACE * np.maximum(1.0 - shaded - waves.sum(axis=0), 0.0)
    return passing


def lost(optics: Optics, sid_mm: float, x_mm: Axis) -> Axis:
    """Of the gap between two strips, 0 to 1 at each x."""
    focus_mm = sid_mm if optics.grid_focus_mm is None else optics.grid_focus_mm
    leans = (x_mm - optics.grid_off_mm) / focus_mm
    if optics.grid_upside_down:
        leans = -leans
    cut: Axis = np.minimum(optics.grid_ratio * np.abs(x_mm / sid_mm - leans), 1.0)
    return cut


def lines_of(
    optics: Optics, x_mm: Axis, pitch_mm: float, *, light_spreads: bool = False
) -> Axis | float:
    """The strips' harmonics as pixels of this pitch have them, (HARMONICS, x); 0.0: none is seen.

    `light_spreads`: in a scintillator before the pixels, which are blurred after this.
    """
    if not optics.grid_stands_still or optics.grid_ratio <= 0.0:
        return 0.0
    per_mm: Axis = optics.grid_lines_per_cm / 10.0 * HARMONICS
    left: Axis = np.sinc(per_mm * pitch_mm)
    if light_spreads:
        left *= light_left(per_mm, pitch_mm)
    phase = 2.0 * np.pi * per_mm[:, None] * (x_mm - optics.grid_off_mm)
    waves: Axis = left[:, None] * np.cos(phase)
    return waves


def light_left(per_mm: Axis, pitch_mm: float) -> Axis:
    """What a scintillator leaves of a wave, over what a blur of its samples leaves.

    Light spreads before it is sampled; the panel's blur comes after that, when a wave finer than
    two pixels has folded to a broad one, which it would leave alone.
    """
    folded = np.abs(per_mm - np.round(per_mm * pitch_mm) / pitch_mm)
    left: Axis = scintillator_mtf(per_mm) / scintillator_mtf(folded)
    return left
