"""A filament before and in a beam: on standby, boosted from the order to prepare on, then held.

The driver heats with the most current until the filament is hot for what is set, and holds it
there: what generators call boost or flash. A beam that begins before that begins with less mA;
its regulation goes on heating, so the temperature's course is known in closed form. The current's
is not, since emission is steep: it is taken for an exponential that has the true deficit at the
beam's start and the true charge missing over all of the heating (Simpson's rule, STEPS_COUNT).
A filament that is too hot is taken for hot enough: the pause before a next beam lets it cool.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from hal.now import NEVER_US
from sim.filament import Filament
from sim.transient import NO_TRANSIENT, Transient

STEPS_COUNT = 32  # even
ALIKE = 1e-9  # two temperatures, by rounding
LONGEST_TAUS = 6.0  # heating towards its most current ends there


class FilamentBoost:
    def __init__(
        self,
        filament: Filament,
        wanted_k: Callable[[], float],
        held_share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`wanted_k`: that what is set now needs; it counts as set since the order.

        `held_share`: of the current that this needs, with which it is held; 1 where all is well.
        """
        self.filament, self._wanted_k, self._held_share = filament, wanted_k, held_share
        self._from_us, self._from_k = 0, filament.temperature_k(filament.standby_a)
        self._ordered = False

    def choose(self, t_us: int, filament: Filament) -> None:
        """For the next beam. The other one was on standby."""
        if filament != self.filament:
            self.filament, self._from_us = filament, t_us
            self._from_k = filament.temperature_k(filament.standby_a)

    def order(self, t_us: int, on: bool) -> None:
        self._from_k, self._from_us, self._ordered = self.now_k(t_us), t_us, on

    def now_k(self, t_us: int) -> float:
        span_s, filament = (t_us - self._from_us) / 1e6, self.filament
        if not self._ordered:
            return filament.heated_k(self._from_k, filament.standby_a, span_s)
        held_a = self._held_a()
        held_k = filament.temperature_k(held_a)
        if held_k <= self._from_k:
            return filament.heated_k(self._from_k, held_a, span_s)
        return min(held_k, filament.heated_k(self._from_k, filament.full_a, span_s))

    def hot_us(self) -> int:
        """When it is as hot as it is held; never, as long as nothing is ordered.

        Where that takes the most current for good: when it has come as near as a cold one does in
        LONGEST_TAUS.
        """
        if not self._ordered:
            return NEVER_US
        filament = self.filament
        most_k = filament.temperature_k(filament.full_a)
        standby_k = filament.temperature_k(filament.standby_a)
        near_k = most_k - (most_k - standby_k) * math.exp(-LONGEST_TAUS)
        aim_k = min(filament.temperature_k(self._held_a()), near_k)
        if self._from_k >= aim_k * (1 - ALIKE):
            return self._from_us
        return self._from_us + math.ceil(_heats_s(filament, self._from_k, aim_k) * 1e6)

    def _held_a(self) -> float:
        return self.filament.heating_a(self._wanted_k()) * self._held_share()

    def deficit(self, t_us: int, kv: float) -> Transient:
        """Of mA in a beam that begins now, as a share of what it comes to."""
        filament, cold_k, hot_k = self.filament, self.now_k(t_us), self._wanted_k()
        full_ma = filament.tube_ma(kv, hot_k)
        if cold_k >= hot_k * (1 - ALIKE) or not full_ma:
            return NO_TRANSIENT
        heats_s = _heats_s(filament, cold_k, hot_k)
        missing = [
            1 - filament.tube_ma(kv, filament.heated_k(cold_k, filament.full_a, span_s)) / full_ma
            for span_s in (heats_s * step / STEPS_COUNT for step in range(STEPS_COUNT + 1))
        ]
        missing_s = _simpson(missing) * heats_s
        return Transient(missing[0], max(1.0, missing_s / missing[0] * 1e6))


def _heats_s(filament: Filament, cold_k: float, hot_k: float) -> float:
    """With its most current, from the one temperature to the other."""
    most_k = filament.temperature_k(filament.full_a)
    left = (most_k - hot_k) / (most_k - cold_k)
    return filament.tau_s * min(LONGEST_TAUS, -math.log(left) if left > 0 else math.inf)


def _simpson(values: list[float]) -> float:
    """The mean over equal steps."""
    inner = 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
    return (values[0] + inner + values[-1]) / (3 * (len(values) - 1))
