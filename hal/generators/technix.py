"""Technix SR high-voltage generators, 9600 8N1, `command CR`. **Codec only**: no beam.

Modelled on the protocol description of a public third-party program (fkivela/HVCtl, GPL-3, from
which only interface facts are taken), section 7.1 of the protocol reference; not checked against
a device. ON, OFF and an HV-on bit are known, so a driver could be written. There is none: counts
are of a full scale that the wire does not tell, it has no exposure time, and its own time-out ends
HV only after 5 s without an instruction.

An answer is the command with the value behind it, without a comma: strip the echo, not digits.
HV on is `P5,1`, 100 ms counted from its answer, `P5,0`; off is the same with P6.
"""

from __future__ import annotations

from hal.line_codec import Ended, LineCodec, Number, Row
from hal.ports import Kind

SOURCE = "fkivela/HVCtl, its protocol description"
VERIFIED = "unverified: from third-party source, never checked against a device"
DRIVES_BEAM = False
CODEC_ONLY = "it has no driver: full scale and exposure time are not on this wire"
LINE = "9600 8N1"

_R = "protocol reference 7.1 [R]"
_COUNTS = (Number(unit="of 4095", high=4095),)
_STATUS = Number(
    high=255,
    bits=(
        "voltage regulation", "fault", "interlock open", "HV on", "first HV-on pulse given",
        "first HV-off pulse given", "local", "inhibit",
    ),
)  # fmt: skip
# name, line, kind; the echo of each is its answer
_SWITCHES = (
    ("HV-on pulse begins", "P5,1", Kind.BEAM),
    ("HV-on pulse ends", "P5,0", Kind.BEAM),
    ("HV-off pulse begins", "P6,1", Kind.STOP),
    ("HV-off pulse ends", "P6,0", Kind.STOP),
    ("local", "P7,1", Kind.STOP),  # forces HV off; HV on is then refused
    ("remote", "P7,0", Kind.ACT),
    ("inhibit on", "P8,1", Kind.STOP),
    ("inhibit off", "P8,0", Kind.BEAM),
)

_ROWS = [
    Row(name="set voltage", form="d1,{}", kind=Kind.SET, values=_COUNTS, source=_R),
    Row(name="voltage is set", form="d1,{}", kind=Kind.REPLY, values=_COUNTS, source=_R),
    Row(name="set current", form="d2,{}", kind=Kind.SET, values=_COUNTS, source=_R),
    Row(name="current is set", form="d2,{}", kind=Kind.REPLY, values=_COUNTS, source=_R),
    Row(name="voltage?", form="a1", kind=Kind.QUERY, source=_R),
    Row(name="voltage", form="a1{}", kind=Kind.REPLY, values=_COUNTS, source=_R),
    Row(name="current?", form="a2", kind=Kind.QUERY, source=_R),
    Row(name="current", form="a2{}", kind=Kind.REPLY, values=_COUNTS, source=_R),
    Row(name="status?", form="E", kind=Kind.QUERY, source=_R),
    Row(name="status", form="E{}", kind=Kind.REPLY, values=(_STATUS,), source=_R),
]
for _name, _form, _kind in _SWITCHES:
    _ROWS.append(Row(name=_name, form=_form, kind=_kind, source=_R))
    _ROWS.append(Row(name=f"echo: {_name}", form=_form, kind=Kind.REPLY, source=_R))

CODEC = LineCodec(_ROWS, commands=Ended(end=b"\r"), replies=Ended(end=b"\r"))
COMMANDS = CODEC.rows
listener = CODEC.listener
