"""What a panel that detects X-rays by itself triggers by: kerma rate on its face, as a mean.

    rate = kerma of the last LOOK_US at the panel, behind phantom and blades, over the whole panel

as a current that all pixels share would show it. So a weak beam, a thick patient or a small field
triggers nothing, and of a beam that triggers the dose before is lost. The mean is a choice, and so
is the panel's `trigger_ugy_per_s`: makers tell of a least field and that a high current is better
(CareRay, protocols.md 9.1.4), and no figure. The plain geometry of `sim.optics`; no scatter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sim import beam
from sim.arrival import Arrival
from sim.condition import Condition
from sim.detector import KermaSource, SimPanel
from sim.filtration import SimFilter
from sim.geometry import SimGeometry

LOOK_US = 1_000
PITCH_MM = 2.0  # of the grid that the panel's face is looked at with
_STEP_KV = 5.0  # what comes through is worked out in such steps: kV climbs while it is looked at


class AedSensor:
    def __init__(
        self,
        panel: SimPanel,
        kerma_source: KermaSource,
        *,
        geometry: SimGeometry,
        tube_filter: SimFilter,
        size_mm: tuple[float, float],
    ) -> None:
        """`size_mm`: of the panel, rows and columns."""
        self._panel, self._kerma_source = panel, kerma_source
        self._geometry, self._filter, self._size_mm = geometry, tube_filter, size_mm

    def sees(self, t_us: int) -> bool:
        return self.rate_ugy_per_s(t_us) >= self._panel.trigger_ugy_per_s

    def rate_ugy_per_s(self, t_us: int) -> float:
        light = self._kerma_source(t_us - LOOK_US, t_us)
        if not light.mas or not self._panel.in_beam:
            return 0.0
        aluminium_mm, condition = self._filter.aluminium_mm, light.condition
        open_ugy = beam.kerma_ugy(
            light.kv,
            light.mas,
            self._geometry.sid_mm,
            aluminium_mm=aluminium_mm,
            condition=condition,
        )
        if not open_ugy:
            return 0.0
        part = let_through(
            self._panel.phantom_name,
            _STEP_KV * max(1, round(light.kv / _STEP_KV)),
            aluminium_mm,
            condition,
            self._geometry.field_mm,
            self._size_mm,
        )
        return open_ugy * part * 1e6 / LOOK_US


@lru_cache(maxsize=256)
def let_through(
    phantom_name: str,
    kv: float,
    aluminium_mm: float,
    condition: Condition,
    field_mm: tuple[float, float],
    size_mm: tuple[float, float],
) -> float:
    """The part of an open beam's kerma that arrives, as the mean over a panel of this size."""
    rows, columns = (max(1, round(side / PITCH_MM)) for side in size_mm)
    part = Arrival(rows, columns, PITCH_MM).share(
        phantom_name,
        field_mm,
        lambda maps: beam.transmission(
            kv, maps, aluminium_mm=aluminium_mm, condition=condition, every_energy=True
        ),
    )
    return 1.0 if part is None else float(np.mean(part, dtype=np.float64))
