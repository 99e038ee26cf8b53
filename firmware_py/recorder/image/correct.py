"""Raw counts to For Processing pixels, linear in kerma.

In this order: saturation mask, offset, linearity, lag, gain, defects. The reference
(qc-and-physics.md 6) has gain before linearity and lag last. Here both stand next to the
panel that makes them: its amplifiers bend signal and lag together, so the bow goes first,
and lag is a share of a signal without gain. A few counts are added before clipping so that
dark noise is not cut at zero (panel makers' manuals, 3.1): `PEDESTAL_COUNT` is the pixel
value of no radiation. What is done for the eye is done in `present.py`, never here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firmware_py.recorder.image import blocks
from firmware_py.recorder.image.maps import Floats, Mask, PanelSet
from firmware_py.recorder.image.plan import Lags, Plan, plan_of
from firmware_py.recorder.image.plan import Pixels as Pixels

PEDESTAL_COUNT = 32
KERNEL_PX = 1 << 20  # below this plain numpy takes 3 ms: not worth what the kernel's import takes

_Way = Callable[[Pixels, Plan, Lags, int], tuple[Pixels, Mask]]
_kernel: _Way | None = None  # by `warm_up`


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """For Processing: LIN, sign +1, uint16 below 2 ** bits_stored."""

    pixels: Pixels  # rows x columns
    saturated: Mask  # to read: the ADC was at its end; such pixels are at full scale
    bits_stored: int

    @property
    def full_scale(self) -> int:
        return (1 << self.bits_stored) - 1

    @property
    def saturated_share(self) -> float:
        return float(self.saturated.mean())


class Earlier(NamedTuple):
    """An earlier frame that this one may still hold a little of."""

    frames_ago: int  # 1 = the frame before this one
    signal: Floats  # `linear_signal` of that frame


def warm_up(shape: tuple[int, int]) -> bool:
    """Wait for the compiler now and not at the first frame; True when there is a kernel.

    For a process that will correct many frames of rows x columns `shape`: unless it is
    called, and for small panels, and without numba (the extra `fast`), plain numpy gives
    the same pixels more slowly.
    """
    global _kernel
    if shape[0] * shape[1] < KERNEL_PX:
        return False
    try:
        from firmware_py.recorder.image import kernel
    except Exception:  # not installed, or it can't compile here: slower, and nothing else
        return False
    _kernel = kernel.pixels_of
    return True


def correct(
    raw: Pixels, panel_set: PanelSet, earlier: Sequence[Earlier] = (), *, fast: bool = True
) -> Corrected:
    """Raises ValueError when a frame is not of the set's matrix or depth.

    `fast=False`: plain numpy in any case.
    """
    _check(raw, panel_set)
    way = _kernel if fast and raw.size >= KERNEL_PX and _kernel is not None else blocks.pixels_of
    pixels, saturated = way(raw, plan_of(panel_set), _lags(panel_set, earlier), PEDESTAL_COUNT)
    return Corrected(pixels=pixels, saturated=saturated, bits_stored=panel_set.bits_stored)


def linear_signal(raw: Pixels, panel_set: PanelSet) -> Floats:
    """Offset removed, linear, before lag and gain: what a later frame's lag is a share of."""
    _check(raw, panel_set)
    return blocks.signal_of(raw, plan_of(panel_set))


def _check(raw: Pixels, panel_set: PanelSet) -> None:
    if raw.dtype != np.uint16 or raw.shape != panel_set.shape:
        have = f"{raw.shape} {raw.dtype}"
        raise ValueError(f"the frame is {have}, its panel's set is {panel_set.shape} uint16")


def _lags(panel_set: PanelSet, earlier: Sequence[Earlier]) -> Lags:
    """Of each earlier frame that still counts."""
    lags = []
    for one in earlier:
        if one.frames_ago < 1 or one.signal.shape != panel_set.shape:
            got = f"{one.signal.shape}, {one.frames_ago} frames ago"
            raise ValueError(f"an earlier frame is {got}; its panel's set is {panel_set.shape}")
        if one.frames_ago <= len(panel_set.lag):
            signal = np.ascontiguousarray(one.signal, np.float32)
            lags.append((signal, np.float32(panel_set.lag[one.frames_ago - 1])))
    return [lag for lag in lags if lag[1]]
