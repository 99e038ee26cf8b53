"""A lead frame: a field that is told by an object and not by the collimator."""

from __future__ import annotations

from sim.phantoms.kind import Phantom
from sim.shapes import Box

LEAD_MM = 2.0
WIDE_MM = 12.0
OPENING_MM = (110.0, 130.0)  # rows, columns; their middle is the panel's


def _frame() -> tuple[Box, ...]:
    y, x = OPENING_MM[0] / 2.0, OPENING_MM[1] / 2.0
    sides = (
        (-x - WIDE_MM, -y - WIDE_MM, x + WIDE_MM, -y),  # left, top, right, bottom
        (-x - WIDE_MM, y, x + WIDE_MM, y + WIDE_MM),
        (-x - WIDE_MM, -y, -x, y),
        (x, -y, x + WIDE_MM, y),
    )
    return tuple(
        Box(material="lead", thickness_mm=LEAD_MM, left_mm=left, top_mm=top, right_mm=right,
            bottom_mm=bottom)
        for left, top, right, bottom in sides
    )  # fmt: skip


BORDER = Phantom(
    name="border",
    about="a lead frame of 2 mm around 110 x 130 mm",
    source="chosen",
    plates=_frame(),
)
