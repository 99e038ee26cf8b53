"""The simulated beam: a spectrum, its kerma, its half-value layer, and what a whole panel gets.

The floor is one exponential of 298 numbers and their sum in plain numpy: the least that a beam
behind a filter can take. Nothing here is answered from a cache but the table itself.
"""

from __future__ import annotations

from itertools import count

import numpy as np

from sim import beam
from tools.bench.timing import Benchmark, Case, in_turn

CALLS_COUNT = 200
SIZE_PX = 3072
SLOW_CALLS_COUNT = 1


def spectrum(seconds: float, size_px: int = SIZE_PX) -> Benchmark:
    voltages = (60.0 + one / 1000.0 % 60.0 for one in count())  # never one that was asked before
    weights, mu = beam.spectrum(80.0).fluence_per_mm2, beam.mu_per_mm("aluminium")
    maps = _maps(size_px)
    return Benchmark(
        name="spectrum",
        about="one beam of 298 energies, another voltage each time",
        cases=in_turn(
            _case("exp and sum of 298 numbers", lambda: float(np.exp(-2.5 * mu) @ weights)),
            _case("spectrum", lambda: beam.spectrum(next(voltages))),
            _case("... and kerma", lambda: beam.spectrum(next(voltages)).kerma_ugy_per_mas),
            _case("... at another anode", lambda: beam.spectrum(next(voltages), anode_deg=16.0)),
            _case("... and 1st half-value layer", lambda: beam.hvl_mm_al(next(voltages))),
            _case("kerma asked again", lambda: beam.kerma_ugy(80.0, 1.0)),
            Case(name=f"{size_px} x {size_px}: a copy of its map", run=maps["water"].copy,
                 calls_count=SLOW_CALLS_COUNT),
            Case(name="... through water, bone and lead", run=lambda: beam.transmission(80.0, maps),
                 calls_count=SLOW_CALLS_COUNT),
            seconds=seconds,
        ),
    )  # fmt: skip


def _case(name: str, run: object) -> Case:
    assert callable(run)
    return Case(name=name, run=run, calls_count=CALLS_COUNT)


def _maps(size_px: int) -> dict[str, np.ndarray]:
    rows, columns = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    return {
        "water": 200.0 * rows,
        "bone": 20.0 * columns,
        "lead": np.where(rows < 0.1, np.float32(2.0), np.float32(0.0)),
    }
