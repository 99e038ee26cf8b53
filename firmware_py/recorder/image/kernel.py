"""Large frames in one pass on two cores, compiled by numba: what `blocks.py` does with numpy.

The same operations in the same order in float32; without fastmath numba fuses and reorders
nothing, so the pixels are the same to the bit. Whoever imports this file waits for the
compiler (some seconds; below one when the cache holds it): only `correct.warm_up` does.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import prange, types

from firmware_py.recorder.image.blocks import ghost
from firmware_py.recorder.image.maps import Floats, Mask
from firmware_py.recorder.image.plan import Lags, Pixels, Plan, no_saturation

THREADS_COUNT = 2  # memory is the limit; more would take cores from the unit's process
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)

# Its threads sleep between frames; OpenMP's spin. Two callers at once would end the process,
# which the GIL prevents: nothing below releases it.
_config: Any = numba.config
_config.THREADING_LAYER = "workqueue"
_config.NUMBA_NUM_THREADS = min(THREADS_COUNT, _config.NUMBA_NUM_THREADS)


def pixels_of(raw: Pixels, plan: Plan, lags: Lags, pedestal_count: int) -> tuple[Pixels, Mask]:
    """As `blocks.pixels_of`."""
    offset, inverse = plan.offset, plan.inverse
    raw, pixels = np.require(raw, requirements=["C", "A"]), np.empty(raw.shape, np.uint16)
    highest = _rows(
        raw, offset.codes, offset.step, offset.base, inverse.codes, inverse.step, inverse.base,
        *plan.curve, *_one_lag(lags), np.float32(pedestal_count), plan.full_scale, pixels,
    )  # fmt: skip
    saturated = no_saturation(plan, raw.shape, int(highest.max()))
    if saturated.flags.writeable:
        _mark(raw, inverse.codes, highest, plan.full_scale, saturated)
    for repair in plan.repairs:
        _mend(pixels.reshape(-1), repair.at, repair.neighbours, repair.weights)
    return pixels, saturated


def _one_lag(lags: Lags) -> tuple[Floats, np.float32]:
    """Signal and share; of several frames their sum."""
    if len(lags) > 1:
        return ghost(lags, slice(None)), np.float32(1.0)
    return lags[0] if lags else (np.empty((0, 0), np.float32), np.float32(0.0))


def _compiled(function: Any, signature: Any, *, parallel: bool) -> Any:
    try:
        return numba.njit([signature], parallel=parallel, cache=True)(function)
    except Exception:  # a cache that can't be read or written must not cost a picture
        return numba.njit([signature], parallel=parallel)(function)


def _in(kind: Any, dimensions: int = 2) -> Any:
    """A frame's bytes are read-only; an array that is not may be handed in as well."""
    return types.Array(kind, dimensions, "C", readonly=True)


def _out(kind: Any, dimensions: int = 2) -> Any:
    return types.Array(kind, dimensions, "C")


def _rows_python(
    raw: Any,
    offset: Any, offset_step: Any, offset_base: Any,
    inverse: Any, inverse_step: Any, inverse_base: Any,
    a: Any, b: Any, per_full_scale: Any,
    lag: Any, lag_share: Any,  # 0 x 0 = none
    pedestal: Any, full_scale: Any,
    pixels: Any,
) -> Any:  # fmt: skip
    rows_px, columns_px = raw.shape
    bent = a != _ZERO or b != _ZERO
    lags = lag.size > 0
    white = np.float32(full_scale)
    highest = np.zeros(rows_px, np.uint16)
    for row in prange(rows_px):
        top = np.uint16(0)
        for column in range(columns_px):
            count = raw[row, column]
            top = max(top, count)
            x = np.float32(count) - (np.float32(offset[row, column]) * offset_step + offset_base)
            if bent:
                y = x * per_full_scale
                x *= ((b * y) + a) * y + _ONE
            if lags:
                x -= lag[row, column] * lag_share
            x *= np.float32(inverse[row, column]) * inverse_step + inverse_base
            x = min(max(np.rint(x + pedestal), _ZERO), white)
            if count >= full_scale:
                x = white
            pixels[row, column] = np.uint16(x)
        highest[row] = top
    return highest


def _mark_python(raw: Any, inverse: Any, highest: Any, full_scale: Any, saturated: Any) -> None:
    for row in prange(highest.size):
        if highest[row] >= full_scale:
            for column in range(raw.shape[1]):
                saturated[row, column] = raw[row, column] >= full_scale and inverse[row, column] > 0


def _mend_python(flat: Any, at: Any, neighbours: Any, weights: Any) -> None:
    for defect in range(at.size):
        mean = _ZERO
        for near in range(neighbours.shape[1]):
            mean += np.float32(flat[neighbours[defect, near]]) * weights[defect, near]
        flat[at[defect]] = np.uint16(np.rint(mean))


_U16, _F32 = types.uint16, types.float32
_rows = _compiled(
    _rows_python,
    types.Array(_U16, 1, "C")(
        _in(_U16), _in(_U16), _F32, _F32, _in(_U16), _F32, _F32, _F32, _F32, _F32, _in(_F32),
        _F32, _F32, _U16, _out(_U16),
    ),
    parallel=True,
)  # fmt: skip
_mark = _compiled(
    _mark_python,
    types.void(_in(_U16), _in(_U16), _in(_U16, 1), _U16, _out(types.boolean)),
    parallel=True,
)
_mend = _compiled(
    _mend_python,
    types.void(_out(_U16, 1), _in(types.intp, 1), _in(types.intp), _in(_F32)),
    parallel=False,
)
