"""A continuous HV supply with its tube, of the Spellman class: on the mains, without a timer.

HV stays on until it is told otherwise, or until a wire does it: pair or contactor. The protocol
reference (3.5, 3.6) gives opcodes and flags, and no times: the ramp, the fall, the oil and the two
part numbers' use as a name are *synthetic*. No watchdog: a fault flag names one, and nothing says
how it is set.
"""

from __future__ import annotations

from sim.energy import Oil
from sim.generator import MonoblockModel, Ratings

SUPPLY = Ratings(
    model_number="SWM9999-999",  # pymeasure's example of a DSP part number
    serial_number="56234",  # ... and of its version
    tube="sim-supply160",
    ramp_us=300_000,
    fall_us=60_000,
    watchdog_us=None,
    supply="mains",
    oil=Oil(j_per_c=40_000.0, tau_s=3_600.0),
)


class SupplyModel(MonoblockModel):
    """The monoblock's physics with a supply's ratings; nobody sets it an exposure time."""

    def __init__(
        self, *, seed: int = 1, ambient_c: float = 22.0, ratings: Ratings | None = None
    ) -> None:
        super().__init__(seed=seed, ambient_c=ambient_c, ratings=ratings or SUPPLY)
