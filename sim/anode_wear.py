"""A roughened target: less comes out of it, and what does is a little harder.

What is born in a crack must pass through its walls. Cracks are deep or shallow: a part of the
radiation stays behind whatever its energy, another passes as through a foil. How much of each is
not known: a quarter of the loss, as a power, is given to the foil (*chosen*). So the loss is exact
in the beam for which it is told, 80 kV behind 2.5 mm of aluminium, and a little more at less kV.
"""

from __future__ import annotations

from functools import lru_cache

from sim import beam
from sim.condition import Condition

TOLD_KV = 80.0
FOIL_SHARE = 0.25
_MOST_MM, _HALVINGS_COUNT = 0.1, 40


@lru_cache(maxsize=64)
def foil_mm(loss_pct: float) -> float:
    """Of tungsten in the way, for so much less output; ValueError beyond 0 to under 100."""
    if not 0.0 <= loss_pct < 100.0:
        raise ValueError(f"loss_pct = {loss_pct:g}: must be 0 to less than 100")
    wanted = passing_share(0.0) * (1.0 - loss_pct / 100) ** FOIL_SHARE
    low_mm, high_mm = 0.0, _MOST_MM
    for _ in range(_HALVINGS_COUNT):
        middle_mm = (low_mm + high_mm) / 2
        if passing_share(middle_mm) >= wanted:
            low_mm = middle_mm
        else:
            high_mm = middle_mm
    return low_mm


def even_share(loss_pct: float) -> float:
    """That is left of the output beside what the foil keeps back."""
    return float((1.0 - loss_pct / 100) ** (1.0 - FOIL_SHARE))


def passing_share(tungsten_mm: float) -> float:
    """Of the kerma in the beam of TOLD_KV."""
    behind_ugy = beam.kerma_ugy(TOLD_KV, 1.0, condition=Condition(tungsten_mm=tungsten_mm))
    return behind_ugy / beam.kerma_ugy(TOLD_KV, 1.0)
