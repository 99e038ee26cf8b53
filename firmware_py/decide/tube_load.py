"""Heat in the tube, in closed form: stored joules that decay with one time constant.

A plain model (the tube's own data sheet gives no heat curve): it inhibits, it never
ends a beam. The generator's over-temperature cut-out is the layer behind it.
"""

from __future__ import annotations

from firmware_py.decide.memory import Limits, Memory
from hal.now import Now
from hal.types import Technique

E = 2.718281828459045


def heat_j(memory: Memory, t_us: int) -> float:
    age_s = (t_us - memory.heat_us) / 1e6
    return memory.heat_j * float(E ** (-age_s / memory.limits.tube.cooling_tau_s))


def energy_j(kv: float, mas: float) -> float:
    """Constant potential: E = kV x mAs (qc-and-physics.md 2.1)."""
    return kv * mas


def fits(memory: Memory, technique: Technique, now: Now, limits: Limits) -> bool:
    after_j = heat_j(memory, now.t_us) + energy_j(technique.kv, technique.planned_mas)
    return after_j <= limits.tube.heat_max_j
