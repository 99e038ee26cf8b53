"""A day of 300 exposures through the heat of anode and housing, without any device around it.

The floor is the two exponentials that an anode and a housing cost for each span at least.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sim.tube_data import tube_sheet
from sim.tube_heat import Heat, TubeHeat, tube_heat
from tools.bench.timing import Benchmark, Case, in_turn

EXPOSURES_COUNT = 300
DAY_S = 86_400.0
BEAM_S, POWER_W = 0.1, 20_000.0


def tube_day(seconds: float) -> Benchmark:
    conduction = tube_heat(tube_sheet("ge-maxiray-100"))
    steeper = replace(conduction, anode=replace(conduction.anode, order=2))
    return Benchmark(
        name="tube_day",
        about=f"the heat of a day of {EXPOSURES_COUNT} exposures, in closed form",
        cases=in_turn(
            Case(name="1200 exponentials", run=_exponentials),
            Case(name="an anode of order 1", run=lambda: day(conduction)),
            Case(name="an anode of order 2", run=lambda: day(steeper)),
            seconds=seconds,
        ),
    )


def day(model: TubeHeat) -> Heat:
    heat = Heat()
    for _ in range(EXPOSURES_COUNT):
        heat = model.after(heat, BEAM_S, POWER_W)
        heat = model.after(heat, DAY_S / EXPOSURES_COUNT - BEAM_S)
    return heat


def _exponentials() -> float:
    return sum(math.exp(-n / 1000) for n in range(4 * EXPOSURES_COUNT))
