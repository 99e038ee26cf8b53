"""Whole exposures on the model rung: wire bytes both ways, time that jumps.

One unit is kept running, so start-up is not counted, and time is that of the processor:
"per second and core". The floor is the decisions alone: `controller.step` over the very
inputs of one such exposure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory
from hal.types import Inputs
from tools.bench.steady import SteadyRung
from tools.bench.timing import Benchmark, Case, in_turn

EXPOSURES_COUNT = 3  # in one turn


def exposures(seconds: float) -> Benchmark:
    relaxed = SteadyRung(poll_ms=20)
    memory = relaxed.unit.memory
    inputs = relaxed.expose(1)
    variants = {
        "room polled every 20 ms": relaxed,
        "room polled every 20 ms, recorded": SteadyRung(poll_ms=20, recorded=True),
        "room polled every scan": SteadyRung(poll_ms=5),
        "room polled every scan, no jumping": SteadyRung(poll_ms=5, jump=False),
    }
    return Benchmark(
        name="exposures",
        about="one exposure on the model rung, all bytes of the wire, processor time",
        cases=in_turn(
            Case(name="its decisions alone", run=lambda: _decide(memory, inputs)),
            *(_case(name, rung) for name, rung in variants.items()),
            seconds=seconds,
            clock_ns=time.process_time_ns,
        ),
    )


def _decide(memory: Memory, inputs: Sequence[Inputs]) -> None:
    for sample in inputs:
        memory, _ = step(memory, sample)


def _case(name: str, rung: SteadyRung) -> Case:
    start_us, start_scan = rung.rung.t_us, rung.unit.scan_count
    rung.expose(1)
    each_us, scans = rung.rung.t_us - start_us, rung.unit.scan_count - start_scan

    def figures(one_us: float) -> Mapping[str, float]:
        return {
            "exposures_per_s": 1e6 / one_us,
            "simulated_s_per_s": each_us / one_us,
            "simulated_ms": each_us / 1000,
            "scans": scans,
        }

    return Case(
        name=name,
        run=lambda: rung.expose(EXPOSURES_COUNT),
        per_call_count=EXPOSURES_COUNT,
        figures=figures,
    )
