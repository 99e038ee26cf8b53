"""All that may stand in a simulated beam, by name: one file a family.

A new one is a `Phantom` in a file of its family and a place in this list.
"""

from __future__ import annotations

from difflib import get_close_matches

from sim import phantom
from sim.phantoms.border import BORDER
from sim.phantoms.chest import CHEST
from sim.phantoms.flats import FLATS
from sim.phantoms.kind import Phantom
from sim.phantoms.resolution import RESOLUTION
from sim.phantoms.slabs import SLABS
from sim.phantoms.wedges import WEDGES

HAND = Phantom(
    name=phantom.DEFAULT,
    about="a hand with wedge, contrast disks, bars and a lead L beside it",
    source="chosen after ordinary anatomy",
    shapes=phantom.OBJECTS,
)
NONE = Phantom(
    name=phantom.NONE,
    about="an open beam on the whole panel, the collimator out of the way",
    source="chosen",
    whole_panel=True,
)
PHANTOMS: dict[str, Phantom] = {
    one.name: one for one in (HAND, NONE, CHEST, *FLATS, *WEDGES, *SLABS, *RESOLUTION, BORDER)
}
NAMES = tuple(PHANTOMS)


def known(name: str) -> str:
    """The same name, if there is such a phantom; else ValueError."""
    if name not in PHANTOMS:
        near = get_close_matches(str(name).lower(), NAMES, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no phantom {name!r}; there are {', '.join(NAMES)}{meant}")
    return name
