"""What decays exponentially beside a beam's steady kV or mA, with its integrals in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transient:
    """`share` of the steady value at age 0, less by 1/e in each `tau_us`."""

    share: float
    tau_us: float

    def at(self, age_us: float) -> float:
        return self.share * math.exp(-age_us / self.tau_us)

    def area_us(self, from_us: float, to_us: float) -> float:
        """Of it alone, between two ages."""
        return self.tau_us * (self.at(from_us) - self.at(to_us))

    def risen_area_us(self, to_us: float, ramp_us: float) -> float:
        """Of it times a straight rise from 0 at age 0 to 1 at `ramp_us`, up to an age within."""
        if not ramp_us:
            return 0.0
        ages = to_us / self.tau_us
        return self.share * self.tau_us**2 / ramp_us * (1 - (1 + ages) * math.exp(-ages))

    def from_age(self, age_us: float) -> Transient:
        """The same, with ages from there on."""
        return Transient(self.at(age_us), self.tau_us)

    def times(self, other: Transient) -> Transient:
        return Transient(
            self.share * other.share, self.tau_us * other.tau_us / (self.tau_us + other.tau_us)
        )


NO_TRANSIENT = Transient(0.0, 1.0)
