"""How a beam is made, beyond its kV: the ripple of its voltage, and the state of the target.

The ripple is fast beside everything that looks at a beam, so its time average is all that counts:

    kV(phase) = peak * (1 - ripple * (1 - cos(phase)) / 2)

at a current that does not follow it. Its shape is our choice; a phase of the mains or a leg of the
inverter that fails leaves more of it, and the peak, which kVp means, stays. The average over the
phase is taken at PARTS_COUNT equal parts (Gauss and Chebyshev): exact for whatever goes with the
voltage to a power of up to 15.

A roughened target keeps back its own radiation: so much tungsten is in the way, on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PARTS_COUNT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    ripple_pct: float = 0.0  # of the peak, from there down; 0: a constant voltage
    tungsten_mm: float = 0.0

    def parts_kv(self, peak_kv: float) -> tuple[float, ...]:
        """Voltages that each rule for as long as the others; the peak alone without ripple."""
        if not self.ripple_pct:
            return (peak_kv,)
        half = self.ripple_pct / 200
        middles = ((index + 0.5) * math.pi / PARTS_COUNT for index in range(PARTS_COUNT))
        return tuple(peak_kv * (1 - half * (1 - math.cos(phase))) for phase in middles)

    @property
    def mean_share(self) -> float:
        """The mean of the voltage, of its peak."""
        return 1 - self.ripple_pct / 200


AS_NEW = Condition()


@dataclass(frozen=True, slots=True)
class Light:
    """What a beam gave in some time, to whatever stands in it."""

    mas: float  # of a tube that has lost nothing evenly: what is missing there is missing here
    kv: float  # the peak
    condition: Condition = AS_NEW
