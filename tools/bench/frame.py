"""A simulated frame beside drawing Gaussian numbers, of which it needs two a pixel.

Floor is numpy's own generator, one number a pixel, float32, one thread. The first frame of a
scene (another kV, phantom or field) finds out what the spectrum leaves behind it, once.
"""

from __future__ import annotations

from itertools import count

import numpy as np

from firmware_py.recorder.image.correct import Pixels, correct
from firmware_py.recorder.image.maps import PanelSet, all_parts
from firmware_py.recorder.image.present import present
from firmware_py.recorder.image.preview import preview_png
from sim.pixels import Exposure, Past, PixelModel
from tools.bench.image import CALIBRATED, EXPIRES
from tools.bench.timing import Benchmark, Case, in_turn

SIZE_PX, PITCH_MM = 3072, 0.139
KV, MAS = 80.0, 1.0
WINDOW_US = 1_000_000


def frame(seconds: float, size_px: int = SIZE_PX) -> Benchmark:
    model = PixelModel(rows_px=size_px, columns_px=size_px, pitch_mm=PITCH_MM, bits=16)
    panel_set = _panel_set(model)
    chance = np.random.Generator(np.random.Philox(1))
    shape = (size_px, size_px)
    numbers, kilovolts = count(), count(600)

    def draw(phantom: str = "none", mas: float = MAS, kv: float = KV) -> Pixels:
        return model.frame(mas, kv, WINDOW_US, next(numbers), phantom)

    def after() -> Pixels:
        """With its lag and its ghost."""
        hand = Past(Exposure(mas=MAS, kv=KV, phantom_name="hand"), 1_000_000)
        return model.frame(MAS, KV, WINDOW_US, next(numbers), "none", [hand])

    def preview() -> None:
        pixels, center, width = present(correct(draw("hand"), panel_set))
        preview_png(pixels, center, width)

    return Benchmark(
        name="frame",
        about=f"one simulated frame of {size_px} x {size_px} pixels, 16 bits",
        cases=in_turn(
            Case(name="a Gaussian number a pixel", run=lambda: _gaussian(chance, shape, 1)),
            Case(name="two of them", run=lambda: _gaussian(chance, shape, 2)),
            Case(name="dark", run=lambda: draw(mas=0.0)),
            Case(name="flat", run=draw),
            Case(name="hand", run=lambda: draw("hand")),
            Case(name="hand, of a new kV", run=lambda: draw("hand", kv=next(kilovolts) / 10)),
            Case(name="flat, 1 s after a hand", run=after),
            Case(name="hand, corrected, and its preview", run=preview),
            seconds=seconds,
        ),
    )


def _gaussian(chance: np.random.Generator, shape: tuple[int, int], times: int) -> None:
    for _ in range(times):
        chance.standard_normal(shape, dtype=np.float32)


def _panel_set(model: PixelModel) -> PanelSet:
    maps = model.maps(WINDOW_US)
    return PanelSet(
        panel_id="BENCH",
        unit_serial="BENCH",
        parts=all_parts(created=CALIBRATED, valid_until=EXPIRES),
        offset=maps.offset,
        gain=maps.gain,
        defects=maps.defects,
        bits_stored=model.bits,
    )
