"""Slabs of PMMA from edge to edge, and one with disks that are harder and harder to see."""

from __future__ import annotations

from sim.phantoms.kind import Phantom
from sim.shapes import Disk

SLAB_MM = 100.0  # under the disks
# Of the disks: a row is a contrast, a column a diameter; both fall by about the root of 2 and 2.
CONTRAST_MM_AL = (2.0, 1.0, 0.5, 0.25, 0.12, 0.06)
DIAMETERS_MM = (12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.5, 1.0)
FIRST_MM, APART_MM = (-72.0, -60.0), (20.5, 24.0)  # x, y


def disks() -> tuple[Disk, ...]:
    return tuple(
        Disk(
            material="aluminium", thickness_mm=thickness_mm, radius_mm=diameter_mm / 2.0,
            x_mm=FIRST_MM[0] + APART_MM[0] * column, y_mm=FIRST_MM[1] + APART_MM[1] * row,
        )
        for row, thickness_mm in enumerate(CONTRAST_MM_AL)
        for column, diameter_mm in enumerate(DIAMETERS_MM)
    )  # fmt: skip


SLABS = (
    *(
        Phantom(
            name=f"pmma_{mm}",
            about=f"{mm} mm PMMA from edge to edge",
            source="chosen",
            slab_mm={"pmma": float(mm)},
        )
        for mm in (100, 200)
    ),
    Phantom(
        name="low_contrast",
        about="aluminium disks of 2 to 0.06 mm, 12 to 1 mm across, on 100 mm PMMA",
        source="chosen",
        slab_mm={"pmma": SLAB_MM},
        shapes=disks(),
    ),
)
