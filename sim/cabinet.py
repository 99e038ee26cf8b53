"""A shuttered source in a cabinet, of the GeniX3D class: mains, no timer, no watchdog.

All figures are synthetic: no public document gives travel times, falls or heat. What rises here
is the opening shutter; kV and mA are there before it, and so says the reading. The interlock
pair holds the shutter's drive, the contactor feeds the high voltage (genix3d_desk.py).
"""

from __future__ import annotations

from dataclasses import replace

from hal.ports import GeneratorReading
from sim.energy import Oil
from sim.generator import MonoblockModel, Ratings

CABINET = Ratings(
    model_number="GeniX3D",
    serial_number="SIM",
    ramp_us=200_000,  # the shutter's way; the document says within 2 s
    ramp_reply_us=2_000_000,
    fall_us=4_000,
    watchdog_us=None,
    supply="mains",
    oil=Oil(j_per_c=20_000.0, tau_s=600.0),  # cooled by water: seconds of 30 W warm nothing
)


class CabinetModel(MonoblockModel):
    def __init__(
        self, *, seed: int = 1, ambient_c: float = 22.0, ratings: Ratings = CABINET
    ) -> None:
        super().__init__(seed=seed, ambient_c=ambient_c, ratings=ratings)

    def fault_bits(self, t_us: int) -> frozenset[str]:
        """With the monoblock's: "no_supply" while the contactor is open."""
        bits = super().fault_bits(t_us)
        return bits if self._supply else bits | {"no_supply"}

    def reading(self, t_us: int) -> GeneratorReading:
        """The tube's, whatever the shutter lets through."""
        shown = super().reading(t_us)
        level = self.courses[-1].level(t_us) if self.courses else 0.0
        if not self.beam_on(t_us) or not level:
            return shown
        return replace(shown, kv=shown.kv / level, ma=shown.ma / level)
