"""Collimators that say how far they are open and how far the receptor is; none is moved by us.

A driver's name in a bench file is that of a file here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hal.ports import ByteLink, Collimator, CollimatorModel, Desk, Listener


def open_collimator(driver: str, link: ByteLink) -> Collimator:
    """The unit side of hal/collimators/`driver`.py."""
    opened: Collimator = _module(driver).Driver(link)
    return opened


def open_collimator_desk(driver: str, model: CollimatorModel) -> Desk:
    opened: Desk = _module(driver).Desk(model)
    return opened


def open_listener(driver: str) -> Listener:
    opened: Listener = _module(driver).listener()
    return opened


def _module(driver: str) -> Any:
    return import_module(f"{__name__}.{driver}")
