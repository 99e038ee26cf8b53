"""A LiFePO4 pack: voltage by state of charge, sag under load, energy taken in closed form.

SPC-P366 R4: 24 V, 2500 mAh, 14 min at 120 W. The shape of the curve and the internal
resistance are a design choice of this simulator.
"""

from __future__ import annotations

CAPACITY_J = 24.0 * 2.5 * 3600.0
RESISTANCE_OHM = 0.08
FULL_V, KNEE_V, EMPTY_V = 26.4, 24.4, 20.0
KNEE = 0.10  # below this state of charge the voltage falls steeply


class Battery:
    def __init__(self, charge: float = 0.9) -> None:
        self.charge = charge  # 0..1
        self.stuck_v: float | None = None  # a fault: the voltmeter shows this

    def take(self, energy_j: float) -> None:
        self.charge = max(0.0, self.charge - energy_j / CAPACITY_J)

    def volts(self, load_w: float) -> float:
        if self.stuck_v is not None:
            return self.stuck_v
        if self.charge >= KNEE:
            open_v = KNEE_V + (FULL_V - KNEE_V) * (self.charge - KNEE) / (1 - KNEE)
        else:
            open_v = EMPTY_V + (KNEE_V - EMPTY_V) * self.charge / KNEE
        return open_v - load_w / open_v * RESISTANCE_OHM
