"""One beam as a piecewise linear course of kV and mA: evaluated and integrated in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from hal.now import NEVER_US
from sim.condition import AS_NEW, Condition


@dataclass(frozen=True, slots=True)
class Regulation:
    """From `from_us` on, kV and mA are so much of what was set."""

    from_us: int
    kv_pct: float = 100.0
    ma_pct: float = 100.0


Weight = Callable[[Regulation], float]


@dataclass(slots=True)
class BeamCourse:
    """Linear rise of kV and mA from `on_us`, linear fall (cable discharge) from `off_us`.

    `regulations`: what a fault makes of them from some moments on, in order of time.
    """

    on_us: int
    kv: float
    ma: float
    ramp_us: int
    fall_us: int
    off_us: int | None = None
    regulations: list[Regulation] = field(default_factory=list)
    divider: float = 1.0  # real over told kV, as its own instruments have it
    shunt: float = 1.0  # ... mA
    output: float = 1.0  # kerma is so much of what a new tube of this condition gives
    condition: Condition = AS_NEW  # `kv` is the peak

    def level(self, t_us: int) -> float:
        """0..1: the share of the regulated values that is there at `t_us`."""
        if t_us < self.on_us:  # us-compare: closed form of a segment
            return 0.0
        if self.off_us is not None and t_us >= self.off_us:  # us-compare: closed form
            left = 1.0 - (t_us - self.off_us) / self.fall_us
            return max(0.0, left) * self._rise(self.off_us)
        return self._rise(t_us)

    def regulation(self, t_us: int) -> Regulation:
        known = [one for one in self.regulations if one.from_us <= t_us]  # us-compare: closed form
        return known[-1] if known else Regulation(self.on_us)

    def _rise(self, t_us: int) -> float:
        return min(1.0, (t_us - self.on_us) / self.ramp_us) if self.ramp_us else 1.0

    def charge_mas(self, from_us: int, to_us: int) -> float:
        """Integral of mA over the interval, tail included (F09)."""
        return self.ma * self._weighed_s(from_us, to_us, lambda one: one.ma_pct / 100)

    def energy_j(self, from_us: int, to_us: int) -> float:
        """Into the tube, the ramp at full kV."""
        return self.condition.mean_share * self._peak_j(from_us, to_us)

    def _peak_j(self, from_us: int, to_us: int) -> float:
        return self.kv * (
            self.ma * self._weighed_s(from_us, to_us, lambda one: one.kv_pct * one.ma_pct / 1e4)
        )

    def peak_kv(self, from_us: int, to_us: int) -> float:
        """Mean over the charge in the interval, of the peak."""
        charge_mas = self.charge_mas(from_us, to_us) if self.regulations else 0.0
        return self._peak_j(from_us, to_us) / charge_mas if charge_mas else self.kv

    def _weighed_s(self, from_us: int, to_us: int, weight: Weight) -> float:
        """Integral of `level` times the weight of what rules there, in seconds."""
        if not self.regulations:
            return self._area_s(to_us) - self._area_s(from_us)
        ruling = [Regulation(from_us), *self.regulations]
        edges_us = [one.from_us for one in self.regulations]
        held_us = [min(max(edge, from_us), to_us) for edge in edges_us]
        areas_s = [self._area_s(t_us) for t_us in (from_us, *held_us, to_us)]
        spans_s = (after - before for before, after in pairwise(areas_s))
        return sum(weight(one) * span for one, span in zip(ruling, spans_s, strict=True))

    def _area_s(self, t_us: int) -> float:
        """Integral of `level` from the start to `t_us`, in seconds."""
        end_us = t_us if self.off_us is None else min(t_us, self.off_us)
        on_for_us = max(0, end_us - self.on_us)
        rising_us = min(on_for_us, self.ramp_us)
        area_us = rising_us * self._rise(self.on_us + rising_us) / 2 + (on_for_us - rising_us)
        if self.off_us is not None and t_us > self.off_us:  # us-compare: closed form
            tail_us = min(t_us - self.off_us, self.fall_us)
            area_us += self._rise(self.off_us) * tail_us * (1 - tail_us / (2 * self.fall_us))
        return area_us / 1e6

    def reaches_us(self, charge_mas: float) -> int:
        """When the beam, if nothing ends it, has delivered so much since its start.

        At the earliest when its regulation last changed.
        """
        return self._reaches_us(charge_mas, lambda one: one.ma_pct / 100)

    def makes_us(self, charge_mas: float) -> int:
        """When to end the beam so that it makes so much in all, what flows in its fall with it."""
        return self._reaches_us(charge_mas, lambda one: one.ma_pct / 100, self.fall_us)

    def spends_us(self, energy_j: float) -> int:
        """When so much energy has gone into the tube since its start."""
        mean_kv = self.kv * self.condition.mean_share
        charge_mas = energy_j / mean_kv if mean_kv else math.inf
        return self._reaches_us(charge_mas, lambda one: one.kv_pct * one.ma_pct / 1e4)

    def _reaches_us(self, weighed_mas: float, weight: Weight, fall_us: int = 0) -> int:
        if self.ma <= 0 or math.isinf(weighed_mas):
            return NEVER_US
        full_us = max(0.0, weighed_mas) / self.ma * 1e6  # as long at full current
        if self.regulations:
            last = self.regulations[-1]
            if weight(last) <= 0:
                return NEVER_US
            before_s = self._weighed_s(self.on_us, last.from_us, weight)
            more_s = max(0.0, full_us / 1e6 - before_s) / weight(last)
            full_us = (self._area_s(last.from_us) + more_s) * 1e6
        if full_us < (self.ramp_us + fall_us) / 2:  # us-compare: inverse of the closed form
            root_us = math.sqrt(fall_us**2 + 8 * full_us * self.ramp_us)
            return self.on_us + math.ceil((root_us - fall_us) / 2)
        return self.on_us + math.ceil(full_us + (self.ramp_us - fall_us) / 2)

    def gone_us(self) -> int | None:
        """When kV has fallen below 10 % of the set value for good; None = still on."""
        if self.off_us is None:
            return None
        top = self._rise(self.off_us) * self.regulation(self.off_us).kv_pct / 100
        return self.off_us + round(self.fall_us * max(0.0, 1 - 0.1 / top)) if top else self.off_us
