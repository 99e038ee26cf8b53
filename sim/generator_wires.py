"""What of a generator's wire a scenario may name: its ON and OFF, and what its desk can do wrong.

By driver. A wire that stands not here has no such faults: whoever names one is told so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hal.generators.r2cp_wire import ENTRIES
from hal.generators.vj_ixs_wire import frame
from sim.injection import Injection, Table

IXS_SETTABLE = ("VP", "CP", "OT", "PTM", "WDOG")
IXS_DESK = {  # attributes of hal.generators.vj_ixs_desk.Desk
    "wrong_echo": Injection(
        "the echo of this command is one off in its last digit (F15)", "",
        words=("", *IXS_SETTABLE),
    ),
    "deaf_to": Injection(
        "this command gets no reply and does nothing (F11)", "",
        words=("", *IXS_SETTABLE, "ENBL", "STAT", "CLR", "WSTAT", "PTST", "MON", "MOD", "FLT",
               "FLD"),
    ),
    "late_replies": Injection("each command gets the reply to the one before it (F16)"),
    "status_stuck": Injection(
        "STAT always answers this; 0 hides a beam, 1 invents one", "", words=("", "0", "1")
    ),
    "wrong_serial": Injection("SNUM answers this: another unit than before (F26)", "", kind=str),
}  # fmt: skip
R2CP_DESK = {  # attributes of hal.generators.r2cp_desk.Desk
    "deaf_to": Injection(
        "this entry gets no answer and does nothing (F11)", "", words=("", *ENTRIES)
    ),
    "generator_there": Injection("false: the hub tells that the generator's node is gone", True),
}
GENIX3D_DESK = {  # attributes of hal.generators.genix3d_desk.Desk
    "remote": Injection("false: local mode, it takes no orders", True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorWire:
    """`on`, `off`: what all commands of that meaning hold, and no other; empty: not known."""

    on: bytes = b""
    off: bytes = b""
    false_on: bytes = b""  # a whole command that asks for a beam
    serial: bool = False  # it has a baud rate, which may be wrong
    letters: bool = False  # its commands are texts, which `false command` may name
    at_the_desk: Table = field(default_factory=dict)


WIRES = {
    "vj_ixs": GeneratorWire(
        on=b"ENBL1",
        off=b"ENBL0",
        false_on=frame("ENBL1"),
        serial=True,
        letters=True,
        at_the_desk=IXS_DESK,
    ),
    "r2cp": GeneratorWire(  # 4.8: start and stop, from node 17 to node 6
        on=bytes.fromhex("0611208e01000101"),
        off=bytes.fromhex("0611208e01000100"),
        false_on=bytes.fromhex("020611208e01000101"),
        at_the_desk=R2CP_DESK,
    ),
    "genix3d": GeneratorWire(  # 8.1: the shutter's "open" to 1, X-rays to 0
        on=bytes.fromhex("0500f7ff00"),
        off=bytes.fromhex("0500fb0000"),
        false_on=bytes.fromhex("000100000006010500f7ff00"),
        at_the_desk=GENIX3D_DESK,
    ),
    "spellman": GeneratorWire(  # an XRV's 98; a uX has another opcode, and no such words
        on=b"\x0298,1,",
        off=b"\x0298,0,",
        false_on=b"\x0298,1,F\x03",  # 3.15
        serial=True,
    ),
}
NAMES = tuple(dict.fromkeys(name for wire in WIRES.values() for name in wire.at_the_desk))


def wire_of(driver: str) -> GeneratorWire:
    return WIRES.get(driver, GeneratorWire())
