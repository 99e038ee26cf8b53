"""Image correction beside a copy of the raw frame, and beside OpenCV, which does less.

`correct` marks saturation, removes offset and gain, rounds, clips and mends defects.
OpenCV's two ways are those of qc-and-physics.md 6.1: offset and gain, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np

from firmware_py.recorder.image.correct import Earlier, Pixels, correct, linear_signal, warm_up
from firmware_py.recorder.image.maps import PanelSet, all_parts
from tools.bench.timing import Benchmark, Case, in_turn

SIZE_PX = 3072
DEFECT_SHARE = 0.001
BITS_STORED = 14
OFFSET_COUNTS = 300
CALLS_COUNT = 5  # the median one finds its maps where the one before left them
THREADS_COUNT = 2  # for OpenCV, since the kernel has as many
Q15 = 1 << 15
CALIBRATED, EXPIRES = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def image(seconds: float, size_px: int = SIZE_PX) -> Benchmark:
    rng = np.random.default_rng(1)
    raw = rng.integers(OFFSET_COUNTS, 16_000, (size_px, size_px), dtype=np.uint16)
    copy = np.empty_like(raw)
    plain = _panel_set(size_px)
    whole = _panel_set(size_px, linearity=(0.01, 0.0002), lag=(0.02,))
    before = [Earlier(1, linear_signal(raw, whole))]
    kernel = "kernel" if warm_up(raw.shape) else "no kernel here: numpy"
    return Benchmark(
        name="image",
        about=f"one frame of {size_px} x {size_px} pixels corrected, again and again",
        cases=in_turn(
            _case("memory copy", lambda: np.copyto(copy, raw)),
            _case(f"correct, {kernel}", lambda: correct(raw, plain)),
            _case("... and linearity, lag", lambda: correct(raw, whole, before)),
            _case("correct, numpy", lambda: correct(raw, plain, fast=False)),
            _case("... and linearity, lag", lambda: correct(raw, whole, before, fast=False)),
            *_opencv(raw, plain),
            seconds=seconds,
        ),
    )


def _case(name: str, run: Callable[[], object]) -> Case:
    return Case(name=name, run=run, calls_count=CALLS_COUNT)


def _opencv(raw: Pixels, panel_set: PanelSet) -> Iterator[Case]:
    try:
        import cv2
    except ImportError:
        yield _case("OpenCV is not installed", lambda: None)
        return
    cv2.setNumThreads(THREADS_COUNT)
    offset, inverse = panel_set.offset, 1 / panel_set.gain
    offset_u16, inverse_q15 = offset.astype(np.uint16), np.rint(inverse * Q15).astype(np.uint16)
    counts, counts_u16, pixels = np.empty_like(offset), np.empty_like(raw), np.empty_like(raw)

    def float32() -> None:
        cv2.subtract(raw, offset, dst=counts, dtype=cv2.CV_32F)
        cv2.multiply(counts, inverse, dst=pixels, dtype=cv2.CV_16U)

    def q15() -> None:
        cv2.subtract(raw, offset_u16, dst=counts_u16)
        cv2.multiply(counts_u16, inverse_q15, dst=pixels, scale=1 / Q15)

    yield _case("OpenCV, float32", float32)
    yield _case("OpenCV, Q15", q15)


def _panel_set(
    size_px: int, *, linearity: tuple[float, float] = (0.0, 0.0), lag: tuple[float, ...] = ()
) -> PanelSet:
    chance = np.random.default_rng(2)
    shape = (size_px, size_px)
    return PanelSet(
        panel_id="BENCH",
        unit_serial="BENCH",
        parts=all_parts(created=CALIBRATED, valid_until=EXPIRES),
        offset=np.full(shape, OFFSET_COUNTS, np.float32),
        gain=chance.normal(1.0, 0.03, shape).astype(np.float32),
        defects=chance.random(shape) < DEFECT_SHARE,
        linearity=linearity,
        lag=lag,
        bits_stored=BITS_STORED,
    )
