"""A LiFePO4 pack: voltage by state of charge, sag under load, energy taken in closed form.

SPC-P366 R4 (protocols.md 2.6): 24 V, 2500 mAh, 14 min at 120 W. Everything else is
synthetic: the two straight lines of the open voltage, the internal resistance, and LOW_V.
The document names no threshold for fault bit 10; 21 V is where an integrator of this
source refuses to expose, and the low line from which its charging time is given.
"""

from __future__ import annotations

import math

CAPACITY_J = 24.0 * 2.5 * 3600.0
EFFICIENCY = 0.49  # tube power / battery power, filament included: fitted to the 14 minutes
RESISTANCE_OHM = 0.08
FULL_V, KNEE_V, EMPTY_V = 26.4, 24.4, 20.0
KNEE = 0.10  # below this state of charge the voltage falls steeply
LOW_V = 21.0


class Battery:
    capacity_j = CAPACITY_J

    def __init__(self, charge: float = 0.9) -> None:
        self.charge = charge  # 0..1
        self.stuck_v: float | None = None  # a fault: the voltmeter shows this, and is believed

    def take(self, energy_j: float) -> None:
        self.charge = self.left(energy_j)

    def left(self, taken_j: float = 0.0) -> float:
        """The charge, 0..1, after `taken_j` more than was booked by `take`."""
        return max(0.0, self.charge - taken_j / self.capacity_j)

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        """Under a load, after `taken_j` more than was booked."""
        if self.stuck_v is not None:
            return self.stuck_v
        open_v = _open_v(self.left(taken_j))
        return open_v - load_w / open_v * RESISTANCE_OHM

    def told(self, taken_j: float = 0.0) -> float | None:
        """The charge, 0..1, as its own meter has it; None: it has none."""
        return self.left(taken_j)

    def lasts_j(self, load_w: float) -> float:
        """What can be taken before this load pulls the voltage below LOW_V."""
        if self.stuck_v is not None:
            return math.inf if self.stuck_v >= LOW_V else 0.0
        return max(0.0, self.charge - self._low_charge(load_w)) * self.capacity_j

    def _low_charge(self, load_w: float) -> float:
        """At which this load pulls the voltage to LOW_V."""
        return _charge((LOW_V + math.sqrt(LOW_V**2 + 4 * RESISTANCE_OHM * load_w)) / 2)


class Mains(Battery):
    """No battery: what feeds the generator does not run down. A stuck voltmeter is still one."""

    def take(self, energy_j: float) -> None:
        pass

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        return FULL_V if self.stuck_v is None else self.stuck_v

    def told(self, taken_j: float = 0.0) -> float | None:
        return None

    def lasts_j(self, load_w: float) -> float:
        return math.inf if self.stuck_v is None or self.stuck_v >= LOW_V else 0.0


def _open_v(charge: float) -> float:
    if charge >= KNEE:
        return KNEE_V + (FULL_V - KNEE_V) * (charge - KNEE) / (1 - KNEE)
    return EMPTY_V + (KNEE_V - EMPTY_V) * charge / KNEE


def _charge(open_v: float) -> float:
    """The inverse of `_open_v`, on its straight lines also beyond full and empty."""
    if open_v >= KNEE_V:
        return KNEE + (open_v - KNEE_V) / (FULL_V - KNEE_V) * (1 - KNEE)
    return (open_v - EMPTY_V) / (KNEE_V - EMPTY_V) * KNEE
