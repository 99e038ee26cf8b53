"""What sharpness is measured with: an opaque edge, bars, a star."""

from __future__ import annotations

from sim.phantoms.digits import number
from sim.phantoms.kind import Phantom
from sim.shapes import Box, Star, TiltedPlate

EDGE_TILT_DEG = 2.3  # IEC 62220-1 has 1.5 to 3
EDGE_SIZE_MM = (150.0, 80.0)  # rows, columns; larger than the 100 x 75 mm that are usual: chosen
EDGE_MM = 1.0  # tungsten; a thinner edge lets scatter make the MTF look better (Illers 2005)
LEAD_MM = 0.1
LINE_PAIRS_PER_MM = (0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
BARS_COUNT = 5  # in a group
_LONG_MM, _HALF_MM, _APART_MM, _LEFT_MM = 22.0, 7.0, 3.0, -84.0


def bars() -> tuple[Box, ...]:
    """Above upright bars, below lying ones; each pair of groups has its number between."""
    plates: list[Box] = []
    left = _LEFT_MM
    for line_pairs_per_mm in LINE_PAIRS_PER_MM:
        bar_mm = 0.5 / line_pairs_per_mm
        width_mm = (2 * BARS_COUNT - 1) * bar_mm
        middle = left + max(width_mm, 2.0 * _HALF_MM) / 2.0
        for k in range(BARS_COUNT):
            off = 2.0 * k * bar_mm - width_mm / 2.0
            plates.append(_lead(middle + off, -34.0, bar_mm, _LONG_MM))
            plates.append(_lead(middle - _HALF_MM, 24.0 + off, 2.0 * _HALF_MM, bar_mm))
        plates += number(f"{line_pairs_per_mm:g}", middle, 0.0)
        left = middle + _HALF_MM + _APART_MM
    return tuple(plates)


def _lead(left: float, top: float, width_mm: float, height_mm: float) -> Box:
    return Box(
        material="lead", thickness_mm=LEAD_MM, left_mm=left, top_mm=top,
        right_mm=left + width_mm, bottom_mm=top + height_mm,
    )  # fmt: skip


RESOLUTION = (
    Phantom(
        name="edge",
        about=f"{EDGE_MM:g} mm tungsten; its right edge, {EDGE_TILT_DEG} deg off, is in the middle",
        source="IEC 62220-1: opaque tungsten, 1 mm, 1.5 to 3 degrees (Illers 2005); size chosen",
        verified=True,
        plates=(
            TiltedPlate(
                material="tungsten",
                tilt_deg=EDGE_TILT_DEG,
                thickness_mm=EDGE_MM,
                height_mm=EDGE_SIZE_MM[0],
                width_mm=EDGE_SIZE_MM[1],
            ),
        ),
        whole_panel=True,
    ),
    Phantom(
        name="bars",
        about="lead bars of 0.1 mm, upright and lying, 0.5 to 5 line pairs per mm",
        source="chosen",
        plates=bars(),
    ),
    Phantom(
        name="star",
        about="Siemens star of lead, 0.1 mm: 36 line pairs around, 90 mm across",
        source="chosen",
        plates=(Star(material="lead", radius_mm=45.0, pairs_count=36, thickness_mm=LEAD_MM),),
    ),
)
