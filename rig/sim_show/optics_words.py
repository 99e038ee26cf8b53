"""The optics of a simulated picture in words: what differs from plain ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLAIN = "plain: a point focus, all on the panel, no scatter, no grid"


def optics_words(optics: Mapping[str, Any]) -> str:
    """By the names of `sim.optics.INJECTIONS`."""
    from sim.optics import INJECTIONS

    said = [
        f"{name} = {str(value).lower() if isinstance(value, bool) else f'{value:g}'}"
        for name, value in optics.items()
        if value != INJECTIONS[name].harmless
    ]
    return ", ".join(said) or PLAIN
