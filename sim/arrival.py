"""What part of an open beam arrives at each pixel: through the phantom, past the blades.

The beam's own part is handed in as `Through`, which knows the spectrum and what is counted of
it; here is only geometry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sim import phantom
from sim.phantoms import HAND, PHANTOMS, known
from sim.phantoms.kind import Phantom
from sim.shapes import Shape

Floats = NDArray[np.float32]
Through = Callable[[Mapping[str, Floats]], Floats]
"""Material -> mm, all of one shape -> the part that comes through, of that shape."""

KEPT_COUNT = 2  # phantoms whose maps are kept: the newest


class Arrival:
    """Of one panel; the maps of the newest phantoms are kept."""

    def __init__(
        self,
        rows_px: int,
        columns_px: int,
        pitch_mm: float,
        hand: tuple[Shape, ...] = phantom.OBJECTS,
    ) -> None:
        """`hand`: what the phantom of that name is made of."""
        self._shape_px, self._pitch_mm = (rows_px, columns_px), pitch_mm
        self._hand = Phantom(name=HAND.name, about=HAND.about, source=HAND.source, shapes=hand)
        self._kept: dict[str, tuple[dict[str, Floats], dict[tuple[str, float], Floats]]] = {}

    def share(self, name: str, field_mm: tuple[float, float], through: Through) -> Floats | None:
        """Rows x columns, 1 = all of it; None: all of it everywhere. ValueError: no such one."""
        one = self._of(name)
        maps, plates = self._pieces(one)
        if not one.whole_panel:
            lead = phantom.shutters(*self._shape_px, self._pitch_mm, field_mm)
            maps = {**maps, "lead": maps["lead"] + lead if "lead" in maps else lead}
        if not maps and not plates:
            return None
        part = through(maps) if maps else np.ones(self._shape_px, np.float32)
        for (material, mm), covered in plates.items():
            behind = through({material: np.full((1, 1), mm, np.float32)})
            part *= 1.0 - covered * (1.0 - behind)
        return part

    def _of(self, name: str) -> Phantom:
        return self._hand if known(name) == HAND.name else PHANTOMS[name]

    def _pieces(self, one: Phantom) -> tuple[dict[str, Floats], dict[tuple[str, float], Floats]]:
        """Its maps, and of its plates what they cover."""
        if one.name not in self._kept:
            if len(self._kept) >= KEPT_COUNT:
                del self._kept[next(iter(self._kept))]
            rows_px, columns_px = self._shape_px
            self._kept[one.name] = (
                one.thickness_maps(rows_px, columns_px, self._pitch_mm),
                one.covered(rows_px, columns_px, self._pitch_mm),
            )
        return self._kept[one.name]
