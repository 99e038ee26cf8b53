"""The battery of a mobile, which drives it too: GE's figures, and the rest chosen.

A full charge is 1 MJ in the tube (GE AMX-II: 10 000 mAs at 100 kVp), below a tenth no exposure is
begun (GE AMX-4). Ten blocks of 24 V in a row; what is told is the volts of one. Blocks, resistance,
standby, charger and the volts at which the converter gives up are *chosen*, so that a sound battery
bears 32 kW down to its tenth.
"""

from __future__ import annotations

from sim.battery import EFFICIENCY, FULL_V, LOW_V, Battery, open_for

TUBE_J = 1_000_000.0  # of a full charge
REFUSED_BELOW = 0.10
BLOCKS = 10
CUT_V = 17.5  # of a block, under load: the converter gives up


class DriveBattery(Battery):
    """Its open volts are a scale of its charge: LOW_V is where an exposure is refused."""

    capacity_j = TUBE_J / EFFICIENCY
    resistance_ohm = 0.010  # of a block
    standby_w = 40.0
    charger_w = 110.0  # 8 h from empty with the unit on
    lead_refuses = True  # GE AMX-II

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        if self.stuck_v is not None:
            return self.stuck_v
        above = (self.left(taken_j) - REFUSED_BELOW) / (1 - REFUSED_BELOW)
        open_v = LOW_V + (FULL_V - LOW_V) * above
        return max(0.0, open_v - load_w / BLOCKS / open_v * self._ohm())

    def is_low(self, load_w: float, taken_j: float = 0.0) -> bool:
        at_rest_v, loaded_v = self.volts(0.0, taken_j), self.volts(load_w, taken_j)
        return not (at_rest_v >= LOW_V and loaded_v >= CUT_V)

    def told(self, taken_j: float = 0.0) -> float:
        """By its volts, so that a voltmeter that is stuck is believed here, too."""
        above = (self.volts(0.0, taken_j) - LOW_V) / (FULL_V - LOW_V)
        return min(max(REFUSED_BELOW + (1 - REFUSED_BELOW) * above, 0.0), 1.0)

    def _low_charge(self, load_w: float) -> float:
        open_v = open_for(CUT_V, load_w / BLOCKS * self._ohm())
        above = (open_v - LOW_V) / (FULL_V - LOW_V)
        return max(REFUSED_BELOW, REFUSED_BELOW + (1 - REFUSED_BELOW) * above)
