"""Moxa ioLogik E1200 modules over TCP 502, unit id 1; `room.map` names the type.

Modelled on the public user's manual of the series (default address mappings) and protocols.md 8.2;
not checked against a module. The rows stand in maps/iologik-*.toml, the driver in mapped.py.

The enable relay hangs on an output in pulse mode: its "pulse operate status" coil starts one
pulse and ends it, and the module times it. To be set in the module itself (no register of the
default map does it): pulse mode for the enable output, one pulse of the bench's
`enable_pulse_ms`; the default addresses; the host watchdog, if `watchdog_ms` names one.

Doubts, unverified on a real module:
- whether a 1 written to a running pulse starts it anew. The driver relies on it, and the
  read-back shows when it fails: the beam then ends, it does not stay.
- whether the output's own coil reads 1 while its pulse runs. The read-back relies on it.
- whether 100 ms is a width that a relay type takes.
"""

from __future__ import annotations

from hal.ports import Listener
from hal.room_io import mapped, mapped_desk

SOURCE = "ioLogik E1200 user's manual, App. A; protocols.md 8.2 [V]"
VERIFIED = "from vendor documents, never checked against a module"
DRIVES_BEAM = False


class Driver(mapped.Driver):
    family = "iologik"


class Desk(mapped_desk.Desk):
    family = "iologik"


def listener(named: str | None = None, *, rtu: bool = False) -> Listener:
    return mapped.listener(named, rtu=rtu, family="iologik")
