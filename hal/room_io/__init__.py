"""Remote I/O modules: the contacts and relays of the room. One file, one module."""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from typing import Protocol

from hal.ports import ByteLink, RoomIO


class RoomSettings(Protocol):
    """What a driver needs of the bench's [room] table."""

    @property
    def url(self) -> str: ...

    @property
    def device_id(self) -> int: ...

    @property
    def active_poll_ms(self) -> int: ...

    @property
    def standby_poll_ms(self) -> int: ...

    @property
    def enable_pulse_ms(self) -> int: ...


def open_room_io(driver: str, link: ByteLink, config: RoomSettings) -> RoomIO:
    """The unit side of hal/room_io/`driver`.py. ValueError names the nearest there is."""
    known = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if driver not in known:
        near = get_close_matches(driver, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ValueError(f"no room I/O driver {driver!r} in hal/room_io; {hint}")
    module = import_module(f"{__name__}.{driver}")
    opened: RoomIO = module.Driver(link, config, rtu=speaks_rtu(config.url))
    return opened


def speaks_rtu(url: str) -> bool:
    """Modbus TCP for tcp:// and in-memory pipes ("sim"), RTU for whatever pyserial opens."""
    return url != "sim" and not url.startswith("tcp://")
