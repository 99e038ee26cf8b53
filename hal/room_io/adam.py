"""Advantech ADAM-6000 modules over TCP 502, unit id 1; `room.map` names the type.

Modelled on the public manual of the ADAM-6000 series, Ed. 9, App. B.2, as protocols.md 8.2 has it;
not checked against a module. The rows stand in maps/adam-*.toml, the driver in mapped.py.

Inputs appear as coils from 0 on, outputs are the coils from 16 on. No self-timed pulse and no
watchdog of theirs stand in the reference, so the enable relay hangs on a plain coil, and a source
without timer or watchdog is refused.

Not carried, each for want of something: ADAM-6051 and ADAM-4100 (outputs as one word, 40303),
ADAM-4056SO (no inputs). Doubt: with dry contacts some modules may show closed as 0; then the
bench needs a map of its own with those contacts under `inverted`.
"""

from __future__ import annotations

from hal.ports import Listener
from hal.room_io import mapped, mapped_desk

SOURCE = "ADAM-6000 manual, Ed. 9, App. B.2; protocols.md 8.2 [V], ADAM-6050 [I]"
VERIFIED = "unverified: ADAM-6050's address map, never checked against a module"
DRIVES_BEAM = False


class Driver(mapped.Driver):
    family = "adam"


class Desk(mapped_desk.Desk):
    family = "adam"


def listener(named: str | None = None, *, rtu: bool = False) -> Listener:
    return mapped.listener(named, rtu=rtu, family="adam")
