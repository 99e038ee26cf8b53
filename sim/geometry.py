"""Where the tube stands and how far the collimator is open: the truth that beam and sensors share.

A person moves both. Who moves the tube alone sets the light field to the same size on the
receptor again, as people do; a field is given in mm at the receptor.
"""

from __future__ import annotations

from sim.injection import Injection
from sim.optics import PLAIN, Optics, SimOptics

SID_MM = Injection("", None, float, (300.0, 4000.0))
FIELD_MM = Injection("", None, float, (0.0, 2000.0))
INDICATED_AT_MM = 1000.0  # a collimator's own scale is that of 1 m


class SimGeometry:
    def __init__(
        self, *, sid_mm: float, field_mm: tuple[float, float], bench_optics: Optics = PLAIN
    ) -> None:
        """`field_mm`: rows, columns. `bench_optics`: what `SimOptics.arrange` can set at once."""
        self.sid_mm, self.field_mm = sid_mm, field_mm
        self.optics = SimOptics(bench_optics)

    def stands(
        self,
        *,
        sid_mm: float | None = None,
        rows_mm: float | None = None,
        columns_mm: float | None = None,
    ) -> bool:
        """All that is named is so already."""
        rows, columns = self.field_mm
        asked = ((sid_mm, self.sid_mm), (rows_mm, rows), (columns_mm, columns))
        return all(wanted is None or wanted == there for wanted, there in asked)

    def move(
        self,
        *,
        sid_mm: float | None = None,
        rows_mm: float | None = None,
        columns_mm: float | None = None,
    ) -> None:
        """Raises ValueError with what is allowed."""
        rows, columns = self.field_mm
        for name, value, allowed in (
            ("sid_mm", sid_mm, SID_MM),
            ("rows_mm", rows_mm, FIELD_MM),
            ("columns_mm", columns_mm, FIELD_MM),
        ):
            if value is not None:
                allowed.check(name, float(value) if type(value) is int else value)
        self.sid_mm = self.sid_mm if sid_mm is None else float(sid_mm)
        self.field_mm = (
            rows if rows_mm is None else float(rows_mm),
            columns if columns_mm is None else float(columns_mm),
        )

    @property
    def opening_mm(self) -> tuple[float, float]:
        """The field as it would be at 1 m: what the blades let through, as their scale has it."""
        rows, columns = self.field_mm
        return (rows * INDICATED_AT_MM / self.sid_mm, columns * INDICATED_AT_MM / self.sid_mm)

    @property
    def area_m2_at_1m(self) -> float:
        rows, columns = self.opening_mm
        return rows * columns / 1e6
