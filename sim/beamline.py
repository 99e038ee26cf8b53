"""One beam as a piecewise linear course of kV and mA: evaluated and integrated in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hal.now import NEVER_US


@dataclass(slots=True)
class BeamCourse:
    """Linear rise of kV and mA from `on_us`, linear fall (cable discharge) from `off_us`."""

    on_us: int
    kv: float
    ma: float
    ramp_us: int
    fall_us: int
    off_us: int | None = None

    def level(self, t_us: int) -> float:
        """0..1: the share of the set values that is there at `t_us`."""
        if t_us < self.on_us:  # us-compare: closed form of a segment
            return 0.0
        if self.off_us is not None and t_us >= self.off_us:  # us-compare: closed form
            left = 1.0 - (t_us - self.off_us) / self.fall_us
            return max(0.0, left) * self._rise(self.off_us)
        return self._rise(t_us)

    def _rise(self, t_us: int) -> float:
        return min(1.0, (t_us - self.on_us) / self.ramp_us) if self.ramp_us else 1.0

    def charge_mas(self, from_us: int, to_us: int) -> float:
        """Integral of mA over the interval, tail included (F09)."""
        return self.ma * (self._area_s(to_us) - self._area_s(from_us))

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
        """When the beam, if nothing ends it, has delivered so much since its start."""
        if self.ma <= 0 or math.isinf(charge_mas):
            return NEVER_US
        full_us = max(0.0, charge_mas) / self.ma * 1e6  # as long at full current
        if full_us < self.ramp_us / 2:  # us-compare: inverse of the closed form
            return self.on_us + math.ceil(math.sqrt(2 * full_us * self.ramp_us))
        return self.on_us + math.ceil(full_us + self.ramp_us / 2)

    def gone_us(self) -> int | None:
        """When kV has fallen below 10 % of the set value for good; None = still on."""
        if self.off_us is None:
            return None
        top = self._rise(self.off_us)
        return self.off_us + round(self.fall_us * max(0.0, 1 - 0.1 / top)) if top else self.off_us
