"""What a phantom is: something that lies in the beam, in mm of each material.

A thickness map is exact where it is smooth. At the sharp edge of something dense it is not:
half a pixel of lead lets half through, half the lead lets nothing through. Dense things
with edges are therefore `plates`: the part of each pixel that they cover is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.phantom import axis_mm, patch_of
from sim.phantom import thickness_maps as maps_of_shapes
from sim.shapes import Plate, Shape

Floats = NDArray[np.float32]
SEEN_PX, SEEN_PITCH_MM = 500, 0.8  # as wide as any panel, and a pixel in each thing
Paint = Callable[[Floats, Floats, float], dict[str, Floats]]
"""(x mm (1, columns), y mm (rows, 1), pitch in mm) -> material -> rows x columns of mm"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """One entry of the list. `source` names where sizes and materials come from."""

    name: str
    about: str
    source: str
    verified: bool = False  # the source's text was read, and says so
    slab_mm: Mapping[str, float] = field(default_factory=dict)  # everywhere, edge to edge
    shapes: tuple[Shape, ...] = ()
    plates: tuple[Plate, ...] = ()
    paint: Paint | None = None  # what no shape draws
    width_mm: float = 200.0  # of the panel that shows all of it
    whole_panel: bool = False  # the collimator is out of the way

    def thickness_maps(self, rows_px: int, columns_px: int, pitch_mm: float) -> dict[str, Floats]:
        """Material -> rows x columns of mm, of all but the plates; {} = nothing is there."""
        maps: dict[str, Floats] = {}
        if self.shapes:
            maps = maps_of_shapes(rows_px, columns_px, pitch_mm, field_mm=None, objects=self.shapes)
            maps = {name: mm for name, mm in maps.items() if mm.any()}
        if self.paint is not None:
            y, x = axis_mm(rows_px, pitch_mm)[:, None], axis_mm(columns_px, pitch_mm)[None, :]
            maps = self.paint(x, y, pitch_mm)
        for material, mm in self.slab_mm.items():
            there = maps.get(material, np.zeros((1, 1), np.float32))
            maps[material] = np.broadcast_to(there + np.float32(mm), (rows_px, columns_px))
        return maps

    def covered(
        self, rows_px: int, columns_px: int, pitch_mm: float
    ) -> dict[tuple[str, float], Floats]:
        """(Material, mm) -> the part of each pixel that its plates cover; they don't overlap."""
        y, x = axis_mm(rows_px, pitch_mm)[:, None], axis_mm(columns_px, pitch_mm)[None, :]
        parts: dict[tuple[str, float], Floats] = {}
        for plate in self.plates:
            kind = (plate.material, plate.thickness_mm)
            part = parts.setdefault(kind, np.zeros((rows_px, columns_px), np.float32))
            patch = patch_of(plate.bounds(), rows_px, columns_px, pitch_mm)
            mm = plate.thickness(x[:, patch[1]], y[patch[0]], pitch_mm)
            part[patch] += mm / np.float32(plate.thickness_mm)
        return parts

    def most_mm(self) -> dict[str, float]:
        """Material -> the most mm of it in the way of one ray."""
        maps = self.thickness_maps(SEEN_PX, SEEN_PX, SEEN_PITCH_MM)
        most = {name: round(float(mm.max()), 2) for name, mm in maps.items()}
        for plate in self.plates:
            most[plate.material] = max(most.get(plate.material, 0.0), plate.thickness_mm)
        return most
