"""Where the beam fell: the collimated field on the panel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.correct import PEDESTAL_COUNT, Corrected, Pixels

_LOOKS = 256  # lines across that make a profile
_SHUT = 0.2  # below this part of the bright profile there is a shutter
_SOFT_PX = 8  # light and focus blur a blade's edge less than so far to either side
_DARK_COUNTS = 20.0


class Field(NamedTuple):
    """Half-open, first pixel 0. The whole frame when no exposure can be told from dark."""

    top_px: int
    bottom_px: int
    left_px: int
    right_px: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top_px, self.bottom_px), slice(self.left_px, self.right_px)


def find_field(pixels: Pixels) -> Field:
    """A rectangle along rows and columns, to the pixel; shutters must be opaque."""
    step_down, step_right = (max(1, count // _LOOKS) for count in pixels.shape)
    top, bottom = _open_part(pixels[:, ::step_right].mean(axis=1))
    left, right = _open_part(pixels[::step_down].mean(axis=0))
    return Field(top, bottom, left, right)


def exposure_index(corrected: Corrected, counts_per_ugy: float) -> float:
    """EI of IEC 62494-1 = 100 x kerma in uGy, from linear data before any look.

    The value of interest is the median of the whole field, open beam included: plain, and
    too high for a hand. It holds only as far as `counts_per_ugy` was found at the
    calibration quality (RQA5); with another beam it moves with quality as well.
    """
    part = corrected.pixels[find_field(corrected.pixels).slices]
    step = max(1, min(part.shape) // _LOOKS)
    counts = float(np.median(part[::step, ::step])) - PEDESTAL_COUNT
    return 100.0 * max(counts, 0.0) / counts_per_ugy


def _open_part(profile: NDArray[np.float64]) -> tuple[int, int]:
    signal = profile - PEDESTAL_COUNT
    bright = float(np.quantile(signal, 0.95))
    if bright < _DARK_COUNTS:
        return 0, len(signal)
    lit = np.flatnonzero(signal > _SHUT * bright)
    return _edge(signal, int(lit[0]), 1), _edge(signal, int(lit[-1]), -1) + 1


def _edge(signal: NDArray[np.float64], at_px: int, inward: int) -> int:
    """The first line from here that has half of what lies behind the soft edge."""
    behind_px = min(max(at_px + inward * _SOFT_PX, 0), len(signal) - 1)
    while signal[at_px] < 0.5 * signal[behind_px]:
        at_px += inward
    return at_px
