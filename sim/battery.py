"""A LiFePO4 pack: voltage by state of charge, sag under load, energy taken in closed form.

SPC-P366 R4 (protocols.md 2.6): 24 V, 2500 mAh, 14 min at 120 W, 2 h of charging from the low line
at 21 V. Everything else is synthetic: the two straight lines of the open voltage, the internal
resistance, and LOW_V. The document names no threshold for fault bit 10; 21 V is where an
integrator of this source refuses to expose.
"""

from __future__ import annotations

import math
from typing import Literal

from sim.injection import Injection, fresh

Supply = Literal["battery", "mains", "capacitors"]

CAPACITY_J = 24.0 * 2.5 * 3600.0
EFFICIENCY = 0.49  # tube power / battery power, filament included: fitted to the 14 minutes
RESISTANCE_OHM = 0.08
FULL_V, KNEE_V, EMPTY_V = 26.4, 24.4, 20.0
KNEE = 0.10  # below this state of charge the voltage falls steeply
LOW_V = 21.0
CHARGER_W = 29.3  # from 21 V, where 0.023 is left, to full in the 2 h

INJECTIONS = {
    "charger_plugged": Injection(
        "its lead is in: the battery charges, and a mobile's start is refused (GE AMX-II)"
    ),
    "weak_cells": Injection(
        "so many times the internal resistance: the charge looks full, a large load pulls it down",
        1.0, between=(1.0, 20.0),
    ),
}  # fmt: skip


class Battery:
    """The names of INJECTIONS are attributes that a scenario may set."""

    capacity_j = CAPACITY_J
    efficiency = EFFICIENCY
    resistance_ohm = RESISTANCE_OHM
    standby_w = 0.0  # at rest, switched on: no document has it
    charger_w = CHARGER_W
    lead_refuses = False  # a start while the charger's lead is in
    is_pack = True  # with a charger's lead and cells
    charger_plugged: bool
    weak_cells: float

    def __init__(self, charge: float = 0.9) -> None:
        self.charge = charge  # 0..1
        self.stuck_v: float | None = None  # a fault: the voltmeter shows this, and is believed
        fresh(self, INJECTIONS)

    def take(self, energy_j: float) -> None:
        self.charge = self.left(energy_j)

    def left(self, taken_j: float = 0.0) -> float:
        """The charge, 0..1, after `taken_j` more than was booked by `take`; below 0: charged."""
        return min(max(self.charge - taken_j / self._full_j(), 0.0), 1.0)

    def rest_w(self, *, on: bool, lead: bool, in_beam: bool) -> float:
        """What it loses beside the tube's energy; less than 0: it charges.

        The charger stops itself at a full charge (GE AMX-II), and carries the standby from then on.
        """
        return (self.standby_w if on else 0.0) - (self.charger_w if lead else 0.0)

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        """Under a load, after `taken_j` more than was booked."""
        if self.stuck_v is not None:
            return self.stuck_v
        open_v = _open_v(self.left(taken_j))
        return max(0.0, open_v - load_w / open_v * self._ohm())

    def is_low(self, load_w: float, taken_j: float = 0.0) -> bool:
        """So that no beam is begun, and one that is on is ended."""
        return self.volts(load_w, taken_j) < LOW_V

    def told(self, taken_j: float = 0.0) -> float | None:
        """The charge, 0..1, as its own meter has it; None: it has none."""
        return self.left(taken_j)

    def short_j(self, wanted_j: float, taken_j: float) -> float:
        """What it lacks to give so much to the tube and will have in a while; infinite: never.

        A battery gives what it has left, and ends the beam where that was too little.
        """
        return 0.0

    def lasts_j(self, load_w: float) -> float:
        """What can be taken before it is low under this load."""
        if self.stuck_v is not None:
            return math.inf if self.stuck_v >= LOW_V else 0.0
        return max(0.0, self.charge - self._low_charge(load_w)) * self._full_j()

    def _low_charge(self, load_w: float) -> float:
        """At which this load pulls the voltage to LOW_V."""
        return _charge(open_for(LOW_V, load_w * self._ohm()))

    def _full_j(self) -> float:
        return self.capacity_j

    def _ohm(self) -> float:
        return self.resistance_ohm * self.weak_cells


class Mains(Battery):
    """No battery: what feeds the generator does not run down. A stuck voltmeter is still one."""

    is_pack = False

    def take(self, energy_j: float) -> None:
        pass

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        return FULL_V if self.stuck_v is None else self.stuck_v

    def told(self, taken_j: float = 0.0) -> float | None:
        return None

    def lasts_j(self, load_w: float) -> float:
        return math.inf if self.stuck_v is None or self.stuck_v >= LOW_V else 0.0


def open_for(loaded_v: float, load_w_ohm: float) -> float:
    """The open voltage that a load pulls to `loaded_v`: its current is W / open voltage."""
    return (loaded_v + math.sqrt(loaded_v**2 + 4 * load_w_ohm)) / 2


def _open_v(charge: float) -> float:
    if charge >= KNEE:
        return KNEE_V + (FULL_V - KNEE_V) * (charge - KNEE) / (1 - KNEE)
    return EMPTY_V + (KNEE_V - EMPTY_V) * charge / KNEE


def _charge(open_v: float) -> float:
    """The inverse of `_open_v`, on its straight lines also beyond full and empty."""
    if open_v >= KNEE_V:
        return KNEE + (open_v - KNEE_V) / (FULL_V - KNEE_V) * (1 - KNEE)
    return (open_v - EMPTY_V) / (KNEE_V - EMPTY_V) * KNEE
