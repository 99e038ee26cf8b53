"""Faxitron MX-20 / DX-50 cabinets, 9600 8N1, `command CR`. **Codec only**: no beam.

Modelled on a public third-party program (JohnDMcMaster/faxitron), section 7.3 of the protocol
reference; not checked against a device. Fire, abort and the end of a beam are known, but S comes
too when the door was opened in the beam: this wire can't tell a good exposure from a cut one, so
it has no driver. After every shot `?S` has to be asked.

Queries are answered by themselves and the value. `!B` -> X, `C` -> P, and S at the end, are single
characters without CR. Set commands answer nothing. No answer to `!B` means an open door, and the
unit "occasionally misses commands". Stray ff bytes come; LF has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.line_codec import Ended, LineCodec, Number, Row, Word, drop
from hal.ports import Kind

SOURCE = "JohnDMcMaster/faxitron"
VERIFIED = "unverified: from third-party source, never checked against a device"
DRIVES_BEAM = False
CODEC_ONLY = "the end of a beam reads the same when the door cut it"
LINE = "9600 8N1"

CHARACTERS = "XPS"  # without CR
LINE_BYTES_MAX = 20  # silent: chosen
_R = "protocol reference 7.3 [R]"
_LINES = Ended(end=b"\r")


@dataclass(frozen=True, slots=True)
class Answers:
    """Lines that begin with ?, and between them the single characters of the fire sequence.

    A lost ? makes its line look like such a character: nothing on this wire can show that.
    """

    def frame(self, text: str) -> bytes:
        return text.encode("ascii") if text in CHARACTERS else _LINES.frame(text)

    def take(self, buffer: bytearray) -> str | None:
        begins = next((at for at, byte in enumerate(buffer) if chr(byte) in f"?{CHARACTERS}"), None)
        drop(buffer, len(buffer) if begins is None else begins, "bytes outside an answer")
        if not buffer:
            return None
        if chr(buffer[0]) in CHARACTERS:
            return chr(buffer.pop(0))
        end = buffer.find(b"\r", 0, LINE_BYTES_MAX)
        if end < 0:
            drop(buffer, len(buffer) >= LINE_BYTES_MAX, "a question mark without an answer")
            return None
        return _LINES.take(buffer)


def _ask(name: str, form: str, value: Number | Word) -> tuple[Row, Row]:
    return (
        Row(name=f"{name}?", form=form, kind=Kind.QUERY, source=_R),
        Row(name=name, form=f"{form}{{}}", kind=Kind.REPLY, values=(value,), source=_R),
    )


CODEC = LineCodec(
    (
        Row(name="remote mode", form="!MR", kind=Kind.ACT, source=_R),
        Row(name="front-panel mode, seen not to work", form="!MF", kind=Kind.ACT, source=_R),
        Row(
            name="set tube voltage", form="!V{}", kind=Kind.SET,
            values=(Number(unit="kV", low=10, high=35, digits=2),), source=_R,
        ),
        Row(
            name="set time", form="!T{}", kind=Kind.SET,
            values=(Number(unit="s", per_unit=10, low=0.1, high=999.9, digits=4),), source=_R,
        ),
        *_ask("device", "?D", Word(words={"DX-50": "", "MX-20": ""})),
        *_ask("firmware", "?R", Number(decimals=1)),
        *_ask("state", "?S", Word(words={"W": "warming", "D": "door open", "R": "ready"})),
        *_ask("mode", "?M", Word(words={"F": "panel", "R": "remote"})),
        *_ask("tube voltage", "?V", Number(unit="kV")),
        *_ask("time", "?T", Number(unit="s", per_unit=10)),
        Row(name="fire, first step", form="!B", kind=Kind.BEAM, source=_R),
        Row(name="fire, second step", form="C", kind=Kind.BEAM, source=_R),
        Row(name="abort", form="A", kind=Kind.STOP, source=_R),
        Row(name="first step is taken", form="X", kind=Kind.REPLY, source=_R),
        Row(name="second step is taken", form="P", kind=Kind.REPLY, source=_R),
        Row(name="ended, as planned or by the door", form="S", kind=Kind.REPLY, source=_R),
    ),
    commands=_LINES,
    replies=Answers(),
)  # fmt: skip
COMMANDS = CODEC.rows
listener = CODEC.listener
