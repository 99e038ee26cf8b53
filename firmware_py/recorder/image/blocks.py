"""The correction in plain numpy, in blocks of rows that stay in the processor's cache.

`kernel.py` does the same operations in the same order, all in float32: whoever changes one
changes both, and a test compares them to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from firmware_py.recorder.image.maps import Floats, Mask
from firmware_py.recorder.image.plan import Lags, Pixels, Plan, no_saturation

_ROWS = 16  # with 3072 columns and the temporaries 1 MB


def pixels_of(raw: Pixels, plan: Plan, lags: Lags, pedestal_count: int) -> tuple[Pixels, Mask]:
    """Corrected pixels and the saturation mask, rows x columns."""
    saturated = no_saturation(plan, raw.shape, int(raw.max()))
    pixels = np.empty(raw.shape, np.uint16)
    for rows in _blocks(raw):
        counts = _linear(raw, plan, rows)
        if lags:
            counts -= ghost(lags, rows)
        counts *= plan.inverse.values(rows)
        counts += np.float32(pedestal_count)
        np.rint(counts, out=counts)
        np.clip(counts, 0.0, plan.full_scale, out=counts)
        full = raw[rows] >= plan.full_scale
        if full.any():
            np.copyto(counts, plan.full_scale, where=full)
            np.logical_and(full, plan.inverse.codes[rows] > 0, out=saturated[rows])
        pixels[rows] = counts
    _mend(pixels.reshape(-1), plan)
    return pixels, saturated


def signal_of(raw: Pixels, plan: Plan) -> Floats:
    """Offset removed, linear; counts, rows x columns."""
    signal = np.empty(raw.shape, np.float32)
    for rows in _blocks(raw):
        signal[rows] = _linear(raw, plan, rows)
    return signal


def ghost(lags: Lags, rows: slice) -> Floats:
    """What earlier frames left in these rows; counts."""
    (signal, share), *others = lags
    left: Floats = signal[rows] * share
    for signal, share in others:
        left += signal[rows] * share
    return left


def _blocks(raw: Pixels) -> Iterator[slice]:
    for top in range(0, raw.shape[0], _ROWS):
        yield slice(top, top + _ROWS)


def _linear(raw: Pixels, plan: Plan, rows: slice) -> Floats:
    counts: Floats = raw[rows] - plan.offset.values(rows)
    if plan.curve.bent:
        y = counts * plan.curve.per_full_scale
        factor = y * plan.curve.b
        factor += plan.curve.a
        factor *= y
        factor += np.float32(1.0)
        counts *= factor
    return counts


def _mend(flat: Pixels, plan: Plan) -> None:
    for repair in plan.repairs:
        mean = np.zeros(repair.at.shape, np.float32)
        for near in range(repair.neighbours.shape[1]):  # numpy's own sum has another order
            mean += flat[repair.neighbours[:, near]] * repair.weights[:, near]
        flat[repair.at] = np.rint(mean).astype(np.uint16)
