"""How long a state may last in the matrix: shorter than on the bench, so that all of it is quick.

Many a row ends in the wait of a state for what never comes. Each bound follows from the wait that
is used. The bench's own are measured by `dxrig matrix --own-waits`, and state by state by
`tests/test_frozen_devices.py`.
"""

from __future__ import annotations

from dataclasses import replace

from rig.bench import Bench

# Longer than the simulated devices need (a panel closes its window by itself, 4 s), and than the
# hand of rig/matrix/person.py.
LONGEST_MS = {"prep_ms": 2_000, "ready_ms": 2_500, "readout_ms": 5_000, "release_ms": 2_500}
# Its high voltage stands at standby after 1 s and at full power 2 s later (sim/cabinet.py).
SLOW_MS = {"genix3d": {"prep_ms": 5_000}}


def with_short_waits(bench: Bench) -> Bench:
    limits = bench.unit.limits
    longest_ms = LONGEST_MS | SLOW_MS.get(bench.unit.generator.driver, {})
    short_ms = {name: min(getattr(limits, name), most_ms) for name, most_ms in longest_ms.items()}
    unit = bench.unit.model_copy(update={"limits": limits.model_copy(update=short_ms)})
    return replace(bench, unit=unit)
