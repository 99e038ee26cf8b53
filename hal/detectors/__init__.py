"""Panels, one file each; `open_panel("stream_panel", link)` imports the module of that name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import cast

from hal.ports import FrameLink, Panel


def open_panel(driver: str, link: FrameLink, **options: object) -> Panel:
    """The unit's side of the panel in hal/detectors/`driver`.py; ValueError for a wrong name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if driver not in names:
        nearest = difflib.get_close_matches(driver, names, n=1, cutoff=0.0)
        raise ValueError(
            f"panel driver {driver!r}: no such file in hal/detectors ({', '.join(names)}); "
            f"did you mean {nearest[0]!r}?"
        )
    module = importlib.import_module(f"{__name__}.{driver}")
    return cast(Panel, module.Driver(link, **options))
