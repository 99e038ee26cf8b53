"""A unit on an ordinary socket, with a bank of capacitors between it and the tube.

A socket gives a kilowatt or two, an exposure takes tens: the bank is charged at limited power
between beams and gives it all at once. What it gives is 1/2 C (V^2 - Vmin^2), and its volts fall
within the beam by that. No document gave us numbers, so all of them are *chosen*: one of the
unit's large exposures (80 kV, 400 mAs: 32 kJ) fits into it, and the next waits for half a minute.
"""

from __future__ import annotations

import math

from sim.battery import Battery
from sim.injection import Injection, fresh

FARAD = 1.0
FULL_V, LEAST_V = 400.0, 250.0  # below that the converter makes no kV
EFFICIENCY = 0.85
CHARGE_W = 1_500.0  # of the 2.3 kW of a socket of 230 V and 10 A
RESERVE = 1.05  # of what an exposure is reckoned to take: cables discharge after it

INJECTIONS = {
    "capacitors_lost_pct": Injection(
        "so much capacity is gone: its volts look full, and a large exposure empties it",
        0.0, between=(0.0, 90.0),
    ),
}  # fmt: skip


class CapacitorBank(Battery):
    """Its charge is the share of what it can give. No meter of it is on the wire."""

    capacity_j = FARAD / 2 * (FULL_V**2 - LEAST_V**2)
    efficiency = EFFICIENCY
    is_pack = False

    capacitors_lost_pct: float

    def __init__(self, charge: float = 1.0) -> None:
        super().__init__(charge)
        fresh(self, INJECTIONS)

    def rest_w(self, *, on: bool, lead: bool, in_beam: bool) -> float:
        """The socket feeds the electronics, and the bank between beams until it is full."""
        return -CHARGE_W if on and not in_beam else 0.0

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        """Whatever the load: a resistance of the bank is left out."""
        if self.stuck_v is not None:
            return self.stuck_v
        return math.sqrt(LEAST_V**2 + self.left(taken_j) * (FULL_V**2 - LEAST_V**2))

    def is_low(self, load_w: float, taken_j: float = 0.0) -> bool:
        """A bank that is not charged yet is no fault; a voltmeter that stands too low is."""
        return self.volts(load_w, taken_j) < LEAST_V

    def told(self, taken_j: float = 0.0) -> float | None:
        return None

    def lasts_j(self, load_w: float) -> float:
        return 0.0 if self.is_low(load_w) else self.charge * self._full_j()

    def short_j(self, wanted_j: float, taken_j: float) -> float:
        """The unit reckons with its volts and with a sound bank."""
        need_j = RESERVE * wanted_j / self.efficiency
        if self.stuck_v is not None:
            return 0.0 if _above_j(self.stuck_v) >= need_j else math.inf
        if not need_j <= self.capacity_j:
            return math.inf
        short_j = max(0.0, need_j - _above_j(self.volts(0.0, taken_j)))
        return short_j * self._full_j() / self.capacity_j

    def _full_j(self) -> float:
        return self.capacity_j * (1 - self.capacitors_lost_pct / 100)


def _above_j(volts: float) -> float:
    """What a sound bank can give at these volts."""
    return FARAD / 2 * (volts**2 - LEAST_V**2)
