"""GE/Seifert ISO-Debyeflex 3003: commands end in LF, replies in CR. **Codec only**: no beam.

Modelled on a public third-party program (psi46/elComandante), section 7.4 of the protocol
reference; not checked against a device. HV on, HV off and an HV-on bit are known; the serial
parameters, the errors and all other status bits are not.

Silent, chosen: the number behind the `*` of a status is decimal, and bit 6 is the one of value 64,
as the reference counts bits. The program waits 2 s before it believes a shutter.
"""

from __future__ import annotations

from hal.line_codec import Ended, LineCodec, Number, Row, Word
from hal.ports import Kind

SOURCE = "psi46/elComandante"
VERIFIED = "unverified: from third-party source, never checked against a device"
DRIVES_BEAM = False
CODEC_ONLY = "the reference has neither its serial parameters nor its errors"
LINE = "not known"

_R = "protocol reference 7.4 [R]"
_KV, _MA = Number(unit="kV", low=2, high=60), Number(unit="mA", low=2, high=80)
_SHUTTER = (Number(low=1, high=4, digits=1),)
_SHOWN_KV, _SHOWN_MA = Number(unit="kV"), Number(unit="mA")


def _status(bit_2: str, bit_6: str) -> tuple[Number]:
    names = ("b0", "b1", bit_2, "b3", "b4", "b5", bit_6, "b7")
    return (Number(high=255, bits=names),)


def _ask(name: str, form: str, reply: str, *values: Number | Word) -> tuple[Row, Row]:
    asked = f"{name}?"
    return (
        Row(name=asked, form=form, kind=Kind.QUERY, source=_R),
        Row(name=name, form=reply, kind=Kind.REPLY, values=values, to=(asked,), source=_R),
    )


CODEC = LineCodec(
    (
        *_ask("identity", "ID", "*- {} -{}", Word(), Word()),
        Row(name="set tube voltage", form="SV:{}", kind=Kind.SET, values=(_KV,), source=_R),
        Row(name="set tube current", form="SC:{}", kind=Kind.SET, values=(_MA,), source=_R),
        *_ask("nominal voltage", "VN", "*{}", _SHOWN_KV),
        *_ask("nominal current", "CN", "*{}", _SHOWN_MA),
        *_ask("actual voltage", "VA", "*{}", _SHOWN_KV),
        *_ask("actual current", "CA", "*{}", _SHOWN_MA),
        Row(name="HV on", form="HV:1", kind=Kind.BEAM, source=_R),
        Row(name="HV off", form="HV:0", kind=Kind.STOP, source=_R),
        *_ask("status 1", "SR:01", "*{}", *_status("b2", "HV on")),
        *_ask("status 3", "SR:03", "*{}", *_status("shutter 2 open", "shutter 1 open")),
        *_ask("status 4", "SR:04", "*{}", *_status("shutter 4 open", "shutter 3 open")),
        Row(name="open shutter", form="OS:{}", kind=Kind.BEAM, values=_SHUTTER, source=_R),
        Row(name="close shutter", form="CS:{}", kind=Kind.STOP, values=_SHUTTER, source=_R),
    ),
    commands=Ended(end=b"\n"),
    replies=Ended(end=b"\r"),
)
COMMANDS = CODEC.rows
listener = CODEC.listener
