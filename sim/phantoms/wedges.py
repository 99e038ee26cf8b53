"""Step wedges: a beam in steps, from nearly all of it to nearly nothing."""

from __future__ import annotations

from itertools import pairwise

from sim.phantoms.kind import Phantom
from sim.shapes import Box

STEP_MM = 12.0  # along the wedge
HALF_WIDTH_MM = 30.0
ALUMINIUM_MM = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 18.0, 21.0, 24.0, 28.0, 32.0, 36.0)
COPPER_MM = (0.30, 0.65, 1.00, 1.40, 1.85, 2.30)  # 0 is the open field beside it


def steps(material: str, thicknesses_mm: tuple[float, ...], step_mm: float) -> tuple[Box, ...]:
    """From the top down, each thicker than the last, around the panel's middle."""
    top_mm = -step_mm * len(thicknesses_mm) / 2.0
    edges_mm = [top_mm + step_mm * k for k in range(len(thicknesses_mm) + 1)]
    return tuple(
        Box(
            material=material, thickness_mm=mm, left_mm=-HALF_WIDTH_MM, right_mm=HALF_WIDTH_MM,
            top_mm=top, bottom_mm=bottom,
        )
        for mm, (top, bottom) in zip(thicknesses_mm, pairwise(edges_mm), strict=True)
    )  # fmt: skip


WEDGES = (
    Phantom(
        name="al_wedge",
        about="aluminium in 13 steps, 2 to 36 mm",
        source="chosen",
        shapes=steps("aluminium", ALUMINIUM_MM, STEP_MM),
    ),
    Phantom(
        name="cu_wedge",
        about="copper in 6 steps, 0.30 to 2.30 mm, and 0 beside it: the dynamic range",
        source="steps as in a Normi 13, from memory; places chosen",
        shapes=steps("copper", COPPER_MM, 2.0 * STEP_MM),
    ),
)
