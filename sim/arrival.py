"""What part of an open beam arrives at each pixel: through the phantom, past the blades.

The beam's own part is handed in as `Through`, which knows the spectrum and what is counted of
it; here is only geometry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sim import phantom
from sim.grid import lines_of, through_grid
from sim.optics import PLAIN, Optics, blurred, fall_off, light_field, pixel_middles_mm
from sim.phantoms import HAND, PHANTOMS, known
from sim.phantoms.kind import Phantom
from sim.scatter import scattered, water_mm
from sim.shapes import Shape

Floats = NDArray[np.float32]
Through = Callable[[Mapping[str, Floats]], Floats]
"""Material -> mm, all of one shape -> the part that comes through, of that shape."""

Window = tuple[slice, slice]
WHOLE: Window = (slice(None), slice(None))
KEPT_COUNT = 2  # phantoms whose maps are kept: the newest


class Arrival:
    """Of one panel; the maps of the newest phantoms are kept."""

    def __init__(
        self,
        rows_px: int,
        columns_px: int,
        pitch_mm: float,
        hand: tuple[Shape, ...] = phantom.OBJECTS,
        *,
        light_spreads: bool = False,
    ) -> None:
        """`hand`: what the phantom of that name is made of.

        `light_spreads`: its pixels are blurred afterwards, as by `sim.sharpness.signal_kernel`.
        """
        self._light_spreads = light_spreads
        self._shape_px, self._pitch_mm = (rows_px, columns_px), pitch_mm
        self._hand = Phantom(name=HAND.name, about=HAND.about, source=HAND.source, shapes=hand)
        self._kept: dict[
            tuple[str, float], tuple[dict[str, Floats], dict[tuple[str, float], Floats]]
        ] = {}

    def share(
        self,
        name: str,
        field_mm: tuple[float, float],
        through: Through,
        optics: Optics = PLAIN,
        sid_mm: float = 1000.0,
        only: Window = WHOLE,
    ) -> Floats | None:
        """Rows x columns, 1 = all of it; None: all of it everywhere. ValueError: no such one.

        `field_mm`: rows, columns at the panel. PLAIN: ideal geometry; the blades are lead then,
        whose edge takes up to a pixel. `only`: these rows and columns.
        """
        one = self._of(name)
        if optics != PLAIN:
            return self._seen(one, field_mm, through, optics, sid_mm)[only]
        maps, plates = self._pieces(one, self._pitch_mm)
        if not one.whole_panel:
            lead = phantom.shutters(*self._shape_px, self._pitch_mm, field_mm)
            maps = {**maps, "lead": maps["lead"] + lead if "lead" in maps else lead}
        if not maps and not plates:
            return None
        maps = {name: mm[only] for name, mm in maps.items()}
        plates = {kind: covered[only] for kind, covered in plates.items()}
        return self._behind(maps, plates, through)

    def _seen(
        self,
        one: Phantom,
        field_mm: tuple[float, float],
        through: Through,
        optics: Optics,
        sid_mm: float,
    ) -> Floats:
        """From the focus: a phantom that is nearer to it is looked at with smaller pixels."""
        nearer = optics.magnification(sid_mm)
        maps, plates = self._pieces(one, self._pitch_mm / nearer)
        part = self._behind(maps, plates, through)
        part = blurred(part, optics.blur_mm(sid_mm) / self._pitch_mm)
        y_mm, x_mm = (pixel_middles_mm(count, self._pitch_mm) for count in self._shape_px)
        if not one.whole_panel:
            part *= light_field(y_mm, x_mm, field_mm, optics, sid_mm, self._pitch_mm)
        if optics.fall_off:
            part *= fall_off(y_mm, x_mm, sid_mm)
        scatter = np.float32(0.0) * part
        if optics.scatter and not one.whole_panel:
            scatter = scattered(part, water_mm(maps), self._pitch_mm, optics.lift_mm)
        lines = lines_of(optics, x_mm, self._pitch_mm, light_spreads=self._light_spreads)
        return through_grid(part, scatter, optics, sid_mm, x_mm, lines)

    def _behind(
        self, maps: dict[str, Floats], plates: dict[tuple[str, float], Floats], through: Through
    ) -> Floats:
        shape = next((covered.shape for covered in plates.values()), self._shape_px)
        part = through(maps) if maps else np.ones(shape, np.float32)
        for (material, mm), covered in plates.items():
            behind = through({material: np.full((1, 1), mm, np.float32)})
            part *= 1.0 - covered * (1.0 - behind)
        return part

    def _of(self, name: str) -> Phantom:
        return self._hand if known(name) == HAND.name else PHANTOMS[name]

    def _pieces(
        self, one: Phantom, pitch_mm: float
    ) -> tuple[dict[str, Floats], dict[tuple[str, float], Floats]]:
        """Its maps, and of its plates what they cover; seen with pixels of this pitch."""
        key = (one.name, pitch_mm)
        if key not in self._kept:
            if len(self._kept) >= KEPT_COUNT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (
                one.thickness_maps(*self._shape_px, pitch_mm),
                one.covered(*self._shape_px, pitch_mm),
            )
        return self._kept[key]
