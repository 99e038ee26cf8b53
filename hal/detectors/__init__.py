"""Panels: NAME.py holds the unit's side (`Driver`), NAME_desk.py the panel's (`Desk`).

No registry: a name in a bench file is the name of a module here.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import cast

from hal.ports import FrameLink, Panel


def names() -> tuple[str, ...]:
    """Module names that can stand in a bench file; NAME_desk and NAME_wire belong to NAME."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(name for name in found if not any(name.startswith(f"{n}_") for n in found)))


def open_panel(driver: str, link: FrameLink, **options: object) -> Panel:
    """The unit's side of the panel in hal/detectors/`driver`.py; ValueError for a wrong name."""
    if driver not in names():
        nearest = difflib.get_close_matches(driver, names(), n=1, cutoff=0.0)
        raise ValueError(
            f"panel driver {driver!r}: no such file in hal/detectors ({', '.join(names())}); "
            f"did you mean {nearest[0]!r}?"
        )
    module = importlib.import_module(f"{__name__}.{driver}")
    if hasattr(module, "OBSERVE_ONLY"):
        raise ValueError(f"panel driver {driver!r}: observe only: {module.OBSERVE_ONLY}")
    return cast(Panel, module.Driver(link, **options))
