"""Waveshare 8-channel Modbus relay and I/O modules, over TCP 502 or RTU 9600 8N1, unit id 1.

Modelled on the public Waveshare wiki ("Modbus RTU Relay", development protocol) and the map
collected from it in nobrega8/mbmap-library; not checked against a module. The rows stand in
maps/waveshare-8.toml, the driver in mapped.py.

Doubts, unverified on a real module:
- whether a second "flash on" restarts a running one. The driver relies on it, and the
  read-back of the enable coil shows when it fails.
- whether an ordinary OFF cancels a running "flash on". The simulated room lets it cancel;
  if a module does not, the relay still drops when its pulse ends.
- how a TCP module answers another unit id, and "flash on" of 0 (here: exceptions 0x0b and 3).
Not modelled: output modes (holding 0x1000-0x1007), "flash off", toggle, device settings.
"""

from __future__ import annotations

from hal.ports import Listener
from hal.room_io import mapped, mapped_desk

SOURCE = "Waveshare wiki (Modbus RTU Relay); nobrega8/mbmap-library; protocols.md 8.2 [V]"
VERIFIED = "from vendor pages, never checked against a module"
DRIVES_BEAM = False


class Driver(mapped.Driver):
    family = "waveshare"


class Desk(mapped_desk.Desk):
    family = "waveshare"


def listener(named: str | None = None, *, rtu: bool = False) -> Listener:
    return mapped.listener(named, rtu=rtu, family="waveshare")
