"""Remote I/O modules: the contacts and relays of the room.

A driver's name in a bench file is that of a file here: a family of modules, whose types are
maps (`maps/*.toml`), or `mapped` for a map of one's own.
"""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol

from hal.ports import ByteLink, Desk, Listener, RoomIO, RoomModel


class RoomSettings(Protocol):
    """What a driver needs of the bench's [room] table."""

    @property
    def url(self) -> str: ...

    @property
    def device_id(self) -> int | None: ...

    @property
    def map(self) -> str | None: ...

    @property
    def active_poll_ms(self) -> int: ...

    @property
    def standby_poll_ms(self) -> int: ...

    @property
    def enable_pulse_ms(self) -> int: ...

    @property
    def watchdog_ms(self) -> int | None: ...


def open_room_io(driver: str, link: ByteLink, config: RoomSettings) -> RoomIO:
    """The unit side of hal/room_io/`driver`.py. ValueError names the nearest there is."""
    opened: RoomIO = _module(driver, driver).Driver(link, config, rtu=speaks_rtu(config.url))
    return opened


def open_room_inputs(driver: str, link: ByteLink, config: RoomSettings) -> RoomIO:
    """Reads the contacts and can switch nothing. ValueError: this module has no such file."""
    if not find_spec(f"{__name__}.{driver}_inputs"):
        raise ValueError(f"no hal/room_io/{driver}_inputs.py: this module can't be only read yet")
    module = import_module(f"{__name__}.{driver}_inputs")
    opened: RoomIO = module.Reader(link, config, rtu=speaks_rtu(config.url))
    return opened


def open_room_desk(
    driver: str, model: RoomModel, map_name: str | None = None, **config: Any
) -> Desk:
    """The module's side of the same protocol, over the contacts and relays in `model`.

    `config`: what the desk's constructor takes (pulse_ms, watchdog_ms, ...).
    """
    desk: Desk = _module(driver, driver).Desk(model, map_name, **config)
    return desk


def open_listener(driver: str, map_name: str | None = None, *, rtu: bool = False) -> Listener:
    """Tells what stands on a line between unit and module; it has no link of its own."""
    listener: Listener = _module(driver, driver).listener(map_name, rtu=rtu)
    return listener


def names() -> tuple[str, ...]:
    """Module names that can stand in a bench file; NAME_desk and such belong to NAME."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(name for name in found if not any(name.startswith(f"{n}_") for n in found)))


def _module(driver: str, module: str) -> ModuleType:
    known = names()
    if driver not in known:
        near = get_close_matches(driver, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ValueError(f"no room I/O driver {driver!r} in hal/room_io; {hint}")
    return import_module(f"{__name__}.{module}")


def speaks_rtu(url: str) -> bool:
    """Modbus TCP for tcp:// and in-memory pipes ("sim"), RTU for whatever pyserial opens."""
    return url != "sim" and not url.startswith("tcp://")
