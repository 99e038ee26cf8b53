"""Generators: NAME.py holds the unit's side (`Driver`), NAME_desk.py the device's (`Desk`), and
NAME_heard.py what a tap shows of them (`listener`).

No registry: a name in a bench file is the name of a module here.
"""

from __future__ import annotations

import difflib
import pkgutil
from importlib import import_module
from types import ModuleType

from hal.ports import ByteLink, Desk, Generator, GeneratorModel, Listener


class CodecOnlyError(Exception):
    """A wire of which too little is known to make a beam: it can be listened to, and no more."""


def names() -> tuple[str, ...]:
    """Module names that can stand in a bench file; NAME_desk, NAME_wire and such belong to NAME."""
    found = _found()
    return tuple(sorted(name for name in found if not any(name.startswith(f"{n}_") for n in found)))


def must_drive_beam(driver: str) -> None:
    """Raises CodecOnlyError, with its reason, where a driver can only be listened to."""
    module = _module(driver, driver)
    if hasattr(module, "OBSERVE_ONLY"):
        raise CodecOnlyError(f"{driver}: observe only: {module.OBSERVE_ONLY}")
    if not module.DRIVES_BEAM:
        raise CodecOnlyError(
            f"{driver}: codec only: {module.CODEC_ONLY}; dxrig will not make a beam with it"
        )


def open_generator(driver: str, link: ByteLink, **config: object) -> Generator:
    """`config`: what the driver's constructor takes (dialect, baud, status_poll_us, ...)."""
    must_drive_beam(driver)
    generator: Generator = _module(driver, driver).Driver(link, **config)
    return generator


def open_desk(driver: str, model: GeneratorModel, **config: object) -> Desk:
    """The device's side of the same protocol, over the physics in `model`."""
    must_drive_beam(driver)
    desk: Desk = _module(driver, f"{driver}_desk").Desk(model, **config)
    return desk


def open_listener(driver: str, **options: object) -> Listener:
    """Tells what stands on a line between unit and device; it has no link of its own."""
    heard = f"{driver}_heard"
    module = _module(driver, heard if heard in _found() else driver)
    listener: Listener = module.listener(**options)
    return listener


def _found() -> set[str]:
    """What begins with _ is shared by several devices and is none."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return {name for name in found if not name.startswith("_")}


def verified(driver: str) -> str:
    """How far its wire was checked, in the words of its file."""
    text: str = _module(driver, driver).VERIFIED
    return text


def _module(driver: str, module: str) -> ModuleType:
    if driver not in names():
        near = difflib.get_close_matches(driver.lower(), names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names())}"
        raise ValueError(f"no generator driver named {driver!r}; {hint}")
    return import_module(f"{__name__}.{module}")
