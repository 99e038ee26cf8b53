"""Flats: what an IEC 61267 quality adds to the tube's own filtration, over the whole panel.

The added aluminium belongs at the tube; it lies before the whole panel here and scatters
nothing into it, which comes to the same. The kV is not the phantom's to set: RQA5 is 70 kV, and
its radiation quality is met only when the tube's own filtration gives the RQR half-value layer.
"""

from __future__ import annotations

from sim.phantoms.kind import Phantom
from sim.qualities import quality

NUMBERS = (3, 5, 7, 9)  # of those that detectors are measured with


def _rqa(number: int) -> Phantom:
    wanted = quality(f"RQA{number}")
    return Phantom(
        name=f"flat_rqa{number}",
        about=f"{wanted.added_mm:g} mm aluminium at the tube, for {wanted.kv:g} kV",
        source=f"IEC 61267:{wanted.edition}, as sim/qualities.toml has it",
        verified=wanted.verified,
        slab_mm={"aluminium": wanted.added_mm},
        whole_panel=True,
    )


RQR = Phantom(
    name="flat_rqr",
    about="open beam on the whole panel, as the RQR qualities have it: nothing added",
    source="IEC 61267:2005",
    whole_panel=True,
)
FLATS = (RQR, *(_rqa(number) for number in NUMBERS))
