"""The tube's aluminium: how much of it is in the beam now."""

from __future__ import annotations

from sim import beam
from sim.injection import Injection, fresh

LEFT_MM_AL = 0.5  # what no fault takes away: the tube's own glass and oil, about
INJECTIONS = {
    "lost_filtration_mm": Injection(
        "so much of the tube's aluminium is not in the beam: a filter left out after service",
        0.0, between=(0.0, 20.0),
    ),
}  # fmt: skip


class SimFilter:
    lost_filtration_mm: float

    def __init__(self, aluminium_mm: float = beam.INHERENT_MM_AL) -> None:
        """`aluminium_mm`: the tube's total filtration, when all of it is there."""
        self._whole_mm = aluminium_mm
        fresh(self, INJECTIONS)

    @property
    def aluminium_mm(self) -> float:
        return max(self._whole_mm - self.lost_filtration_mm, min(self._whole_mm, LEFT_MM_AL))
