"""What stands behind the collimator's and the DAP meter's wires: sensors of `SimGeometry` and beam.

Both are synthetic. The meter's chamber sees the whole field: its value is the air kerma at 1 m
times the field there, at whatever distance the receptor is. It is made of the beams that there
were, each with its own kV, not of what was planned. It sits at the blades: no scatter of a patient
reaches it.
"""

from __future__ import annotations

from collections.abc import Callable

from hal.ports import BladesSeen, DoseSeen
from sim import beam
from sim.condition import Light
from sim.filtration import SimFilter
from sim.geometry import SimGeometry
from sim.injection import Injection, fresh

COLLIMATOR = {
    "sid_reads_mm": Injection("the distance sensor shows this (F27)", None, float, (0.0, 9999.0)),
    "opens_mm": Injection("the blades' scale shows so many mm at 1 m, both ways (F27)",
                          None, float, (0.0, 999.0)),
    "moving": Injection("its blades never come to rest (F27)"),
    "sensor_failed": Injection("it says that a sensor has failed (F27)"),
}  # fmt: skip
DAP = {
    "dap_dead": Injection("its chamber is dead: it measures nothing, and says that all is well"),
    "dap_no_voltage": Injection("its chamber has no voltage, and it says so"),
    "dap_stuck": Injection("it shows what it shows, whatever is irradiated or reset"),
    "dap_pct": Injection("it shows so much of what passes", 100.0, between=(0.0, 10_000.0)),
}
UGYM2_PER_DGYCM2 = 10.0


class SimCollimator:
    """`hal.ports.CollimatorModel`."""

    sid_reads_mm: float | None
    opens_mm: float | None
    moving: bool
    sensor_failed: bool
    name, serial_number = "SIM-COLLIMATOR", "C0001"

    def __init__(self, geometry: SimGeometry) -> None:
        self._geometry = geometry
        fresh(self, COLLIMATOR)

    def seen(self, t_us: int) -> BladesSeen:
        rows_mm, columns_mm = self._geometry.opening_mm
        if self.opens_mm is not None:
            rows_mm = columns_mm = self.opens_mm
        sid_mm = self._geometry.sid_mm if self.sid_reads_mm is None else self.sid_reads_mm
        return BladesSeen(
            sid_mm=sid_mm or None,
            rows_mm=rows_mm,
            columns_mm=columns_mm,
            moving=self.moving,
            failed=self.sensor_failed,
        )

    def power(self, t_us: int, on: bool) -> None:
        """It remembers nothing."""


class SimDap:
    """`hal.ports.DoseModel`. `source`: (from_us, to_us) -> of each beam (mAs, its mean kV)."""

    dap_dead: bool
    dap_no_voltage: bool
    dap_stuck: bool
    dap_pct: float
    name, serial_number = "SIM-DAP", "D0001"

    def __init__(
        self,
        geometry: SimGeometry,
        source: Callable[[int, int], list[Light]],
        tube_filter: SimFilter | None = None,
    ) -> None:
        self._geometry, self._source = geometry, source
        self._filter = tube_filter or SimFilter()
        self._from_us, self._before_ugym2 = 0, 0.0
        self._shown_dgycm2 = 0.0  # of a meter that is stuck
        fresh(self, DAP)

    def seen(self, t_us: int) -> DoseSeen:
        if not self.dap_stuck:
            self._shown_dgycm2 = self._passed_ugym2(t_us) * self.dap_pct / 100 / UGYM2_PER_DGYCM2
        dead = self.dap_dead or self.dap_no_voltage
        return DoseSeen(dap_dgycm2=0.0 if dead else self._shown_dgycm2, failed=self.dap_no_voltage)

    def reset(self, t_us: int) -> None:
        self._from_us, self._before_ugym2 = t_us, 0.0

    def field_moves(self, t_us: int) -> None:
        """What has passed until now, passed through field and filter of until now."""
        self._from_us, self._before_ugym2 = t_us, self._passed_ugym2(t_us)

    def _passed_ugym2(self, t_us: int) -> float:
        kerma_ugy = sum(
            beam.kerma_ugy(
                one.kv, one.mas, aluminium_mm=self._filter.aluminium_mm, condition=one.condition
            )
            for one in self._source(self._from_us, t_us)
        )
        return self._before_ugym2 + kerma_ugy * self._geometry.area_m2_at_1m

    def power(self, t_us: int, on: bool) -> None:
        if not on:
            self.reset(t_us)
