"""Flats: what an IEC 61267 quality adds to the tube's own filtration, over the whole panel.

The added aluminium belongs at the tube; it lies before the whole panel here and scatters
nothing into it, which comes to the same. The kV is not the phantom's to set: RQA5 is 70 kV, and
its radiation quality is met only when the tube's own filtration gives the RQR half-value layer.
"""

from __future__ import annotations

from sim.phantoms.kind import Phantom

# Number: (kV, added mm Al), qc-and-physics.md 1.5; the added aluminium is from memory there.
ADDED_MM_AL = {3: (50.0, 10.0), 5: (70.0, 21.0), 7: (90.0, 30.0), 9: (120.0, 40.0)}

RQR = Phantom(
    name="flat_rqr",
    about="open beam on the whole panel, as the RQR qualities have it: nothing added",
    source="IEC 61267:2005",
    whole_panel=True,
)
RQA = tuple(
    Phantom(
        name=f"flat_rqa{number}",
        about=f"{mm:g} mm aluminium at the tube, as RQA{number} adds them; for {kv:g} kV",
        source="IEC 61267:2005, added aluminium from memory",
        slab_mm={"aluminium": mm},
        whole_panel=True,
    )
    for number, (kv, mm) in ADDED_MM_AL.items()
)
FLATS = (RQR, *RQA)
