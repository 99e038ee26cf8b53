"""The energy rule of a portable, kept by a simulated generator: `[sim] duty` of a bench file.

The rules themselves are in duty.py. What a device does with them on a wire that is not its own is
*chosen*: a load that is too high is not READY, mAs above a limit are refused.
"""

from __future__ import annotations

import math

from hal.now import NEVER_US, latest_us
from sim.duty import HuMemory, amx_band_mas


class FreeOfDuty:
    """No rule; and what a rule is asked for."""

    def exposed(self, t_us: int, kv: float, mas: float) -> None:
        """A beam ended then."""

    def ready_us(self, t_us: int, kv: float, mas: float) -> int:
        """From when on such an exposure may begin; now: `t_us`."""
        return t_us if mas <= self.most_mas(kv) else NEVER_US

    def most_mas(self, kv: float) -> float:
        return math.inf


class MobilettPlus(FreeOfDuty):
    def __init__(self) -> None:
        self.memory = HuMemory()

    def exposed(self, t_us: int, kv: float, mas: float) -> None:
        self.memory = self.memory.exposed(t_us, kv, mas)

    def ready_us(self, t_us: int, kv: float, mas: float) -> int:
        loaded_us = t_us if self.memory.ready(t_us) else self.memory.ready_us()
        return latest_us(t_us, loaded_us, self.memory.mean_us(t_us, kv * mas))


class Amx4Plus(FreeOfDuty):
    """Its own console lowers the mAs; here it is told them, and refuses."""

    def most_mas(self, kv: float) -> float:
        return amx_band_mas(kv)


DUTIES: dict[str, type[FreeOfDuty]] = {"mobilett-plus": MobilettPlus, "amx-4-plus": Amx4Plus}


def duty_of(name: str | None) -> FreeOfDuty:
    return FreeOfDuty() if name is None else DUTIES[name]()
