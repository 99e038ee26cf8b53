"""GE ISOVOLT: commands end in LF, replies in CR. **Codec only**: no beam.

Modelled on a public third-party Tango server (dianafeld/rbtm), section 7.5 of the protocol
reference; not checked against a device. No status that tells a beam is known, nor what any reply
looks like: replies are shown as they come. Set-points are in V and uA, six digits.
"""

from __future__ import annotations

from hal.line_codec import Ended, LineCodec, Number, Row, Word
from hal.ports import Kind

SOURCE = "dianafeld/rbtm, its Tango server"
VERIFIED = "unverified: from third-party source, never checked against a device"
DRIVES_BEAM = False
CODEC_ONLY = "the reference has no beam feedback and no reply"
LINE = "not known"

_R = "protocol reference 7.5 [R]"
_KV, _MA = Number(unit="kV", per_unit=1000, digits=6), Number(unit="mA", per_unit=1000, digits=6)
_WARMUP = (Number(digits=1), Number(digits=3))  # `WU:a,bbb`; what they are is not stated
_ASKED = (
    ("identity", "ID"),
    ("tube", "XT"),
    ("error", "ER"),
    ("actual voltage", "VA"),
    ("actual current", "CA"),
)

CODEC = LineCodec(
    (
        *(Row(name=f"{n}?", form=form, kind=Kind.QUERY, source=_R) for n, form in _ASKED),
        # Silent, chosen: a warm-up may put HV on by itself.
        Row(name="warm-up", form="WU:{},{}", kind=Kind.BEAM, values=_WARMUP, source=_R),
        Row(name="HV on", form="HV:1", kind=Kind.BEAM, source=_R),
        Row(name="HV off", form="HV:0", kind=Kind.STOP, source=_R),
        Row(name="set tube voltage", form="SV:{}", kind=Kind.SET, values=(_KV,), source=_R),
        Row(name="set tube current", form="SC:{}", kind=Kind.SET, values=(_MA,), source=_R),
        *(
            Row(
                name=n, form="{}", kind=Kind.REPLY, values=(Word(),), to=(f"{n}?",), source=_R,
            )
            for n, _ in _ASKED
        ),
        Row(
            name="reply", form="{}", kind=Kind.REPLY, values=(Word(),),
            to=("warm-up", "HV on", "HV off", "set tube voltage", "set tube current"),
            source="protocol reference 13: status words and error texts are not known",
        ),
    ),
    commands=Ended(end=b"\n"),
    replies=Ended(end=b"\r"),
)  # fmt: skip
COMMANDS = CODEC.rows
listener = CODEC.listener
