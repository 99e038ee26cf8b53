"""A generator's own word on a beam: its divider, its shunt, its count.

Each is 0.2 % off by chance (chosen). One that has drifted shows what was set; the drift is the
beam's.
"""

from __future__ import annotations

import random

from sim.beamline import BeamCourse

CHANCE = 0.002  # one sigma


class Instruments:
    def __init__(self, seed: int) -> None:
        self._noise = random.Random(f"monoblock-{seed}")

    def kv_ma(self, course: BeamCourse | None, set_kv: float, t_us: int) -> tuple[float, float]:
        if course is None:
            kv, ma = 0.0, 0.0
        else:
            ruling = course.regulation(t_us)
            kv = set_kv * course.level(t_us) * (ruling.kv_pct / 100)
            ma = course.ma * course.ma_level(t_us) * (ruling.ma_pct / 100) / course.shunt
        return max(0.0, self._shown(kv)), max(0.0, self._shown(ma))

    def account(self, course: BeamCourse, t_us: int) -> tuple[float, float]:
        """(kV, mAs) of a beam so far, or of all of it; what cables discharge is counted, too."""
        end_us = t_us if course.off_us is None else course.off_us + course.fall_us
        kv = course.peak_kv(course.on_us, end_us) / course.divider if course.divider else 0.0
        mas = course.charge_mas(course.on_us, end_us) / course.shunt
        return self._shown(kv), self._shown(mas)

    def _shown(self, value: float) -> float:
        return value * (1 + CHANCE * self._noise.gauss(0, 1))
