"""Image correction (offset, gain, saturation, defects) beside a copy of the raw frame."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from firmware_py.recorder.image.correct import correct
from firmware_py.recorder.image.maps import PanelSet
from tools.bench.timing import Benchmark, Case, in_turn

SIZE_PX = 3072
DEFECT_SHARE = 0.001
BITS_STORED = 14


def image(seconds: float, size_px: int = SIZE_PX) -> Benchmark:
    panel_set = _panel_set(size_px)
    raw = np.random.default_rng(1).integers(300, 16_000, (size_px, size_px), dtype=np.uint16)
    copy = np.empty_like(raw)
    return Benchmark(
        name="image",
        about=f"one frame of {size_px} x {size_px} pixels corrected",
        cases=in_turn(
            Case(name="memory copy", run=lambda: np.copyto(copy, raw)),
            Case(name="correct", run=lambda: correct(raw, panel_set)),
            seconds=seconds,
        ),
    )


def _panel_set(size_px: int) -> PanelSet:
    chance = np.random.default_rng(2)
    shape = (size_px, size_px)
    return PanelSet(
        panel_id="BENCH",
        unit_serial="BENCH",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2027, 1, 1, tzinfo=UTC),
        offset=np.full(shape, 300, np.float32),
        gain=chance.normal(1.0, 0.03, shape).astype(np.float32),
        defects=chance.random(shape) < DEFECT_SHARE,
        bits_stored=BITS_STORED,
    )
