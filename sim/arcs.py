"""Arcs of a tube that has rested: gas that comes out of its parts, and that beams pump away.

All of it is *chosen*, but that a rested tube arcs, at high voltage first, and that a warm-up from
low kV up prevents it (qc-and-physics.md 2.5). A beam at the tube's highest kV arcs with the
probability `gassy_tube` if it lasts WITHIN_US and its ramp, a shorter one less; one at less kV
with its share to the power of 8; an arc is followed by another with the same probability. Each
beam that ends leaves a tenth of the gas less.
"""

from __future__ import annotations

import math
import random

KV_POWER = 8
CLEANED = 0.9  # of the gas that is there before a beam, after it
WITHIN_US = 300_000  # behind the ramp, or behind the arc before
RESTED_MOST = 0.3  # after a year, say
RESTED_DAYS = 60.0  # in which the gas comes to 1 - 1/e of that; nothing within a day


class ArcChance:
    """By its seed; a tube without gas asks it for nothing."""

    def __init__(self, seed: int, kv_max: float) -> None:
        self._random = random.Random(f"arcs-{seed}")
        self._kv_max = kv_max

    def likelihood(self, gassy: float, kv: float) -> float:
        return gassy * min(1.0, kv / self._kv_max) ** KV_POWER

    def next_us(self, gassy: float, kv: float, after_us: int) -> int | None:
        """When the beam arcs next, if it does."""
        likelihood = self.likelihood(gassy, kv)
        if not likelihood or self._random.random() >= likelihood:
            return None
        return after_us + self._random.randrange(WITHIN_US)


def gas_after(rest_s: float) -> float:
    """`gassy_tube` of one that was clean and rested so long."""
    days = max(0.0, rest_s / 86_400 - 1.0)
    return RESTED_MOST * (1 - math.exp(-days / RESTED_DAYS))
