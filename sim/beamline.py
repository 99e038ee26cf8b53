"""One beam as a course of kV and mA in closed form: evaluated, integrated, and inverted.

Both rise linearly from `on_us`; kV may pass its value and settle, mA may come from below while the
filament warms: an exponential each (`sim.transient`). From `off_us` on kV falls linearly. Where
that is the cable's discharge through the tube, mA flows on at its full value until kV is gone;
else it falls with kV. Energy counts the ramp at full kV, and what it gives in light counts by
`light_mas`, in which the fall counts a half: kerma goes with kV to a power of 2 to 3, so that is
0.14 to 0.33 of the fall's charge too much.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from hal.now import NEVER_US
from sim.condition import AS_NEW, Condition
from sim.transient import NO_TRANSIENT, Transient

_DOUBLINGS_COUNT = 40


@dataclass(frozen=True, slots=True)
class Regulation:
    """From `from_us` on, kV and mA are so much of what was set."""

    from_us: int
    kv_pct: float = 100.0
    ma_pct: float = 100.0


Weight = Callable[[Regulation], float]
Area = Callable[[int], float]


@dataclass(slots=True)
class BeamCourse:
    """`regulations`: what a fault makes of kV and mA from some moments on, in order of time."""

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
    discharges: bool = False  # the fall is the cable's discharge
    overshoot: Transient = NO_TRANSIENT  # of kV, from the end of the rise, which leads up to it
    deficit: Transient = NO_TRANSIENT  # of mA, from `on_us`

    # --- at a moment

    def level(self, t_us: int) -> float:
        """The share of the regulated kV that is there at `t_us`; above 1 as it overshoots."""
        if t_us < self.on_us:  # us-compare: closed form of a segment
            return 0.0
        if self.off_us is not None and t_us >= self.off_us:  # us-compare: closed form
            return self._left(t_us) * self._kv_share(self.off_us)
        return self._kv_share(t_us)

    def ma_level(self, t_us: int) -> float:
        """The share of the regulated mA."""
        if t_us < self.on_us:  # us-compare: closed form of a segment
            return 0.0
        if self.off_us is not None and t_us >= self.off_us:  # us-compare: closed form
            left = self._left(t_us)
            return (float(left > 0.0) if self.discharges else left) * self._ma_share(self.off_us)
        return self._ma_share(t_us)

    def regulation(self, t_us: int) -> Regulation:
        known = [one for one in self.regulations if one.from_us <= t_us]  # us-compare: closed form
        return known[-1] if known else Regulation(self.on_us)

    def _left(self, t_us: int) -> float:
        assert self.off_us is not None
        return max(0.0, 1.0 - (t_us - self.off_us) / self.fall_us)

    def risen(self, t_us: int) -> float:
        return min(1.0, (t_us - self.on_us) / self.ramp_us) if self.ramp_us else 1.0

    def _kv_share(self, t_us: int) -> float:
        settling_us = max(0, t_us - self.on_us - self.ramp_us)
        return self.risen(t_us) * (1.0 + self.overshoot.at(settling_us))

    def _ma_share(self, t_us: int) -> float:
        return self.risen(t_us) * (1.0 - self.deficit.at(t_us - self.on_us))

    # --- over a time

    def charge_mas(self, from_us: int, to_us: int) -> float:
        """Integral of mA over the interval, tail included (F09)."""
        return self.ma * self._weighed_s(from_us, to_us, _of_ma, self._flow_s)

    def light_mas(self, from_us: int, to_us: int) -> float:
        """As much charge at full kV gives as much kerma."""
        return self.ma * self._weighed_s(from_us, to_us, _of_ma, self._area_s)

    def energy_j(self, from_us: int, to_us: int) -> float:
        """Into the tube, the ramp at full kV."""
        return self.condition.mean_share * self._peak_j(from_us, to_us)

    def _peak_j(self, from_us: int, to_us: int) -> float:
        return self.kv * (self.ma * self._weighed_s(from_us, to_us, _of_power, self._power_s))

    def peak_kv(self, from_us: int, to_us: int) -> float:
        """Mean over the light in the interval, of the peak; without what rise and fall lack."""
        if not self.regulations and not self.overshoot.share:
            return self.kv
        light_mas = self.light_mas(from_us, to_us)
        return self._peak_j(from_us, to_us) / light_mas if light_mas else self.kv

    def _weighed_s(self, from_us: int, to_us: int, weight: Weight, area: Area) -> float:
        """Integral of `area`'s level times the weight of what rules there, in seconds."""
        if not self.regulations:
            return area(to_us) - area(from_us)
        ruling = [Regulation(from_us), *self.regulations]
        edges_us = [one.from_us for one in self.regulations]
        held_us = [min(max(edge, from_us), to_us) for edge in edges_us]
        areas_s = [area(t_us) for t_us in (from_us, *held_us, to_us)]
        spans_s = (after - before for before, after in pairwise(areas_s))
        return sum(weight(one) * span for one, span in zip(ruling, spans_s, strict=True))

    # --- antiderivatives, in seconds from the start to `t_us`

    def _area_s(self, t_us: int) -> float:
        """Of mA's share, where it falls with kV."""
        rising_us, on_for_us, tail_us = self._spans_us(t_us)
        area_us = rising_us * self.risen(self.on_us + rising_us) / 2 + (on_for_us - rising_us)
        if self.deficit.share:
            area_us -= self.deficit.risen_area_us(rising_us, self.ramp_us)
            area_us -= self.deficit.area_us(rising_us, on_for_us)
        if self.off_us is not None and tail_us:
            area_us += self._ma_share(self.off_us) * self._tail_us(tail_us)
        return area_us / 1e6

    def _flow_s(self, t_us: int) -> float:
        """Of mA's share: `_area_s`, and what flows on in a discharge."""
        area_s, tail_us = self._area_s(t_us), self._spans_us(t_us)[2]
        if not (self.discharges and tail_us and self.off_us is not None):
            return area_s
        return area_s + self._ma_share(self.off_us) * (tail_us - self._tail_us(tail_us)) / 1e6

    def _power_s(self, t_us: int) -> float:
        """Of mA's share times that of kV, the rise at the top of its kV."""
        area_s = self._area_s(t_us)
        if not self.overshoot.share:
            return area_s
        rising_us, on_for_us, tail_us = self._spans_us(t_us)
        more_us = self.overshoot.share * 1e6 * self._area_s(self.on_us + rising_us)
        settling_us = on_for_us - rising_us
        more_us += self.overshoot.area_us(0, settling_us)
        if self.deficit.share:
            late = self.deficit.from_age(self.ramp_us)
            more_us -= late.times(self.overshoot).area_us(0, settling_us)
        if self.off_us is not None and tail_us:
            top = self.overshoot.at(settling_us) * self._ma_share(self.off_us)
            more_us += top * self._tail_us(tail_us)
        return area_s + more_us / 1e6

    def _spans_us(self, t_us: int) -> tuple[int, int, int]:
        """How long it has risen, has been on, and has fallen."""
        end_us = t_us if self.off_us is None else min(t_us, self.off_us)
        on_for_us = max(0, end_us - self.on_us)
        tail_us = 0 if self.off_us is None else min(max(0, t_us - self.off_us), self.fall_us)
        return min(on_for_us, self.ramp_us), on_for_us, tail_us

    def _tail_us(self, tail_us: int) -> float:
        """Area of a linear fall from 1."""
        return tail_us * (1 - tail_us / (2 * self.fall_us))

    # --- the other way: when

    def reaches_us(self, charge_mas: float) -> int:
        """When the beam, if nothing ends it, has delivered so much since its start.

        At the earliest when its regulation last changed.
        """
        return self._reaches_us(charge_mas, _of_ma, self._flow_s)

    def makes_us(self, charge_mas: float) -> int:
        """When to end the beam so that it makes so much in all, what flows in its fall with it."""
        fall_us = 2 * self.fall_us if self.discharges else self.fall_us
        return self._reaches_us(charge_mas, _of_ma, self._flow_s, fall_us)

    def spends_us(self, energy_j: float) -> int:
        """When so much energy has gone into the tube since its start."""
        mean_kv = self.kv * self.condition.mean_share
        charge_mas = energy_j / mean_kv if mean_kv else math.inf
        return self._reaches_us(charge_mas, _of_power, self._power_s)

    def _reaches_us(self, weighed_mas: float, weight: Weight, area: Area, fall_us: int = 0) -> int:
        """`fall_us`: how long a linear fall would be that makes what this one makes."""
        if self.ma <= 0 or math.isinf(weighed_mas):
            return NEVER_US
        full_us = max(0.0, weighed_mas) / self.ma * 1e6  # as long at full current
        if self.regulations:
            last = self.regulations[-1]
            if weight(last) <= 0:
                return NEVER_US
            before_s = self._weighed_s(self.on_us, last.from_us, weight, area)
            more_s = max(0.0, full_us / 1e6 - before_s) / weight(last)
            full_us = (area(last.from_us) + more_s) * 1e6
        steady_us = self._steadily_us(full_us, fall_us)
        if not (self.deficit.share or self.overshoot.share):
            return steady_us
        return self._settling_us(steady_us, full_us, area, fall_us)

    def _steadily_us(self, full_us: float, fall_us: int) -> int:
        """Of a beam without transients."""
        if full_us < (self.ramp_us + fall_us) / 2:  # us-compare: inverse of the closed form
            root_us = math.sqrt(fall_us**2 + 8 * full_us * self.ramp_us)
            return self.on_us + math.ceil((root_us - fall_us) / 2)
        return self.on_us + math.ceil(full_us + (self.ramp_us - fall_us) / 2)

    def _settling_us(self, steady_us: int, full_us: float, area: Area, fall_us: int) -> int:
        """The first microsecond at which the area is there, by halving: it only ever rises."""

        def there(t_us: int) -> bool:
            made_us = area(t_us) * 1e6 + self.risen(t_us) * fall_us / 2
            return made_us >= full_us  # us-compare: two areas

        span_us = max(1, steady_us - self.on_us)
        for _ in range(_DOUBLINGS_COUNT):
            if there(self.on_us + span_us):
                tried = range(self.on_us, self.on_us + span_us)
                return self.on_us + bisect_left(tried, True, key=there)
            span_us *= 2
        return NEVER_US  # it has ended, or never comes

    def gone_us(self) -> int | None:
        """When kV has fallen below 10 % of the set value for good; None = still on."""
        if self.off_us is None:
            return None
        top = self._kv_share(self.off_us) * self.regulation(self.off_us).kv_pct / 100
        return self.off_us + round(self.fall_us * max(0.0, 1 - 0.1 / top)) if top else self.off_us


def _of_ma(one: Regulation) -> float:
    return one.ma_pct / 100


def _of_power(one: Regulation) -> float:
    return one.kv_pct * one.ma_pct / 1e4
