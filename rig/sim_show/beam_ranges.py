"""What the words of `dxrig sim show` take for a beam: the same for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.exit_codes import UsageError
from rig.options import Numbers

if TYPE_CHECKING:
    from sim.beam import Spectrum

KV = Numbers(20, 150)  # what the table of spectra has
ALUMINIUM_MM = Numbers(0, 100)
COPPER_MM = Numbers(0, 10)
LEAST_UGY_PER_MAS = 0.001  # at 1 m, some 30 photons per mm2: with less there is nothing to show


def refuse_nothing(made: Spectrum, filters: str, off_axis_mm: float = 0.0) -> None:
    """Raises UsageError for a beam of which nothing is left."""
    if made.kerma_ugy_per_mas >= LEAST_UGY_PER_MAS:
        return
    or_else = ", or the anode is in the way" if off_axis_mm else ""
    raise UsageError(
        f"nothing comes through {filters} at {made.kv:g} kV{or_else}: "
        f"less than {LEAST_UGY_PER_MAS:g} uGy/mAs at 1 m"
    )
