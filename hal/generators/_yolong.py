"""What Yolong's portable and stationary generators have in common: their lines and framing.

Modelled on the host side of a public third-party program (M0nteCarl0/YolongHighVoltageControl,
GPL-3.0, from which only interface facts are taken); there is no vendor document. Section 5 of the
protocol reference. The names mislead: MAS is the tube *current*, MXS the mAs.

There is no checksum, and no status or error code is known. Whether set commands answer is not
visible, whether XRII waits for ready neither: nothing here may be believed about a beam.
Silent, chosen: a reply has the scale of its command; firmware, focus and technique answer a text.
"""

from __future__ import annotations

from hal.line_codec import Ended, LineCodec, Number, Row, Word
from hal.ports import Kind

SOURCE = "M0nteCarl0/YolongHighVoltageControl, the host side only; no vendor document"
VERIFIED = "unverified: from third-party source, never checked against a device"
CODEC_ONLY = "the reference has no beam feedback"
_R = "protocol reference 5 [R]"


def _stepped(name: str, opcode: str, reply: str, number: Number) -> tuple[Row, ...]:
    """Set, step through the device's own table, query; and the reply to that."""
    return (
        Row(name=f"set {name}", form=f"{opcode}N{{}}", kind=Kind.SET, values=(number,), source=_R),
        Row(name=f"{name} one step up", form=f"{opcode}+", kind=Kind.SET, source=_R),
        Row(name=f"{name} one step down", form=f"{opcode}-", kind=Kind.SET, source=_R),
        Row(name=f"{name}?", form=f"{opcode}?", kind=Kind.QUERY, source=_R),
        Row(name=name, form=f"{reply}{{}}", kind=Kind.REPLY, values=(number,), source=_R),
    )


def _words(*rows: tuple[str, str, Kind]) -> tuple[Row, ...]:
    return tuple(Row(name=name, form=form, kind=kind, source=_R) for name, form, kind in rows)


def codec(*, ma: Number, ms: Number, mas: Number) -> LineCodec:
    """The two devices differ in the scale of these three."""
    plain = Number()
    rows = (
        *_words(
            ("firmware version?", "VER?", Kind.QUERY),
            ("system reset", "RF", Kind.ACT),
            ("collimator light on", "LY", Kind.ACT),
        ),
        *_stepped("tube voltage", "KV", "KVS", Number(unit="kV")),
        *_stepped("tube current", "MA", "MAS", ma),
        *_stepped("time", "MS", "MSS", ms),
        *_stepped("charge", "MX", "MXS", mas),
        *_words(
            ("small focus", "FS", Kind.SET),
            ("large focus", "FL", Kind.SET),
            ("focus?", "F?", Kind.QUERY),
            ("technique: mA and time", "US", Kind.SET),
            ("technique: mAs", "UX", Kind.SET),
            ("technique: AEC", "UAEC", Kind.SET),
            ("technique?", "U?", Kind.QUERY),
        ),
        Row(name="set AEC density", form="DEN{}", kind=Kind.SET, values=(plain,), source=_R),
        Row(name="AEC density?", form="DEN?", kind=Kind.QUERY, source=_R),
        Row(name="AEC density", form="DENS{}", kind=Kind.REPLY, values=(plain,), source=_R),
        Row(name="set workstation", form="WS{}", kind=Kind.SET, values=(plain,), source=_R),
        Row(name="workstation?", form="WS?", kind=Kind.QUERY, source=_R),
        Row(name="workstation", form="WS{}", kind=Kind.REPLY, values=(plain,), source=_R),
        *_words(
            ("prepare", "PRI", Kind.BEAM),
            ("end of preparation", "PRO", Kind.STOP),
            ("expose, conditional", "XRII", Kind.BEAM),
            ("expose, unconditional", "XRIO", Kind.BEAM),
            ("stop", "XROO", Kind.STOP),
            ("normal mode", "EXPM0", Kind.ACT),
            ("configuration mode", "EXPM3", Kind.ACT),
        ),
        Row(
            name="text",
            form="{}",
            kind=Kind.REPLY,
            values=(Word(),),
            to=("firmware version?", "focus?", "technique?"),
            source="protocol reference 13: reply texts are not known",
        ),
    )
    return LineCodec(rows, commands=Ended(start=b"\n", end=b"\r"), replies=Ended(end=b"\r"))
