"""What a set costs once: its maps as each frame needs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.image.codes import Codes, coded
from firmware_py.recorder.image.maps import Floats, Mask, PanelSet
from firmware_py.recorder.image.repairs import Repair, repairs_of

Pixels = NDArray[np.uint16]
Lags = list[tuple[Floats, np.float32]]  # linear signal of an earlier frame, and share of it

# A good pixel with under a quarter of the mean response is a defect nobody found yet, or in
# a flat's shadow: its noise is not made any larger, and codes stay fine for the others.
MOST_INVERSE = 4.0


class Curve(NamedTuple):
    """linear = x * (1 + a * y + b * y * y), y = x * per_full_scale."""

    a: np.float32
    b: np.float32
    per_full_scale: np.float32

    @property
    def bent(self) -> bool:
        return bool(self.a or self.b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    full_scale: np.uint16
    offset: Codes
    inverse: Codes  # of the gain: mean 1 over the good pixels; code 0 at defects
    curve: Curve
    repairs: tuple[Repair, ...]


@lru_cache(maxsize=2)
def plan_of(panel_set: PanelSet) -> Plan:
    """Keyed by the set's identity. PanelSetError: it has a hole that nothing can mend."""
    good = ~panel_set.defects
    mean = panel_set.gain[good].mean(dtype=np.float64)
    inverse = np.zeros_like(panel_set.gain)
    np.divide(mean, panel_set.gain, out=inverse, where=good)
    np.minimum(inverse, np.float32(MOST_INVERSE), out=inverse)
    a, b = map(np.float32, panel_set.linearity)
    return Plan(
        full_scale=np.uint16(panel_set.full_scale),
        offset=coded(panel_set.offset, good),
        inverse=coded(inverse, good),
        curve=Curve(a, b, np.float32(1.0 / panel_set.full_scale)),
        repairs=repairs_of(panel_set.defects),
    )


def no_saturation(plan: Plan, shape: tuple[int, ...], highest: int) -> Mask:
    """All False, to be marked; of one single byte where no pixel can be at full scale.

    ValueError: `highest` is over the ADC's bits.
    """
    if highest > plan.full_scale:
        bits = int(plan.full_scale).bit_length()
        raise ValueError(f"the frame has a pixel of {highest}: over {bits} bits")
    if highest == plan.full_scale:
        return np.zeros(shape, np.bool_)
    return np.broadcast_to(np.False_, shape)
