"""Hamamatsu C8033 microfocus source: 9600, `command CR`, prompt `> `. **Codec only**: no beam.

Modelled on a public third-party program (its C8033Raw class), section 7.2 of the protocol
reference; not checked against a device. XON and XOF are known; of the beam's own status only
"X-RAY OFF" is, and what else STX answers nobody has written down. Units are inferred: see `_KV`.

Silent, chosen: a reply ends at the prompt, with or without CR and LF in front of it (the program
takes 0.1 s of silence for its end).
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.line_codec import Ended, LineCodec, Number, Row, Word, drop, is_text
from hal.ports import Kind

SOURCE = "C8033Raw class of a public third-party program"
VERIFIED = "unverified: from third-party source, units inferred, never checked against a device"
DRIVES_BEAM = False
CODEC_ONLY = "the reference knows no reply that tells a beam"
LINE = "9600, format not known"

PROMPT = b"> "
REPLY_BYTES_MAX = 80  # silent: chosen
_R = "protocol reference 7.2 [R]"
# [I] The wire's own unit is not stated: 0.1 kV is inferred from the replies, and so is uA.
_KV = Number(unit="kV (inferred)", per_unit=10, high=130)
_UA = Number(unit="uA (inferred)", high=300)
_REMOTE = {"OFF": "", "LOCAL": "", "REMOTE": ""}
_SHOWN_KV, _SHOWN_UA = Number(unit="kV", decimals=1), Number(unit="uA")


@dataclass(frozen=True, slots=True)
class Prompted:
    def frame(self, text: str) -> bytes:
        return text.encode("ascii") + b"\r\n" + PROMPT

    def take(self, buffer: bytearray) -> str | None:
        end = buffer.find(PROMPT)
        if end < 0:
            # As much stays as makes the reply too long, however late its end comes.
            drop(buffer, len(buffer) - REPLY_BYTES_MAX - len(PROMPT), "too long a reply")
            return None
        text = bytes(buffer[:end]).strip(b"\r\n")
        if end > REPLY_BYTES_MAX or not is_text(text):
            drop(buffer, end + len(PROMPT), "no reply")
        del buffer[: end + len(PROMPT)]
        return text.decode("ascii")


def _ask(
    name: str, form: str, reply: str, *values: Number | Word, alone: bool = True
) -> tuple[Row, Row]:
    """`alone`: the reply says itself what it is."""
    asked = f"{name}?"
    to = () if alone else (asked,)
    return (
        Row(name=asked, form=form, kind=Kind.QUERY, source=_R),
        Row(name=name, form=reply, kind=Kind.REPLY, values=values, to=to, source=_R),
    )


CODEC = LineCodec(
    (
        Row(name="set voltage", form="HIV {}", kind=Kind.SET, values=(_KV,), source=_R),
        Row(name="set current", form="CUR {}", kind=Kind.SET, values=(_UA,), source=_R),
        Row(name="preset voltage", form="PHV {}", kind=Kind.SET, values=(_KV,), source=_R),
        Row(name="preset current", form="PCU {}", kind=Kind.SET, values=(_UA,), source=_R),
        Row(
            name="aging", form="AGN {} {}", kind=Kind.BEAM, values=(Number(), Number()), source=_R,
        ),
        Row(name="X-ray on", form="XON", kind=Kind.BEAM, source=_R),
        Row(name="X-ray off", form="XOF", kind=Kind.STOP, source=_R),
        Row(name="reset", form="RST", kind=Kind.ACT, source=_R),
        Row(name="CXT, meaning not stated", form="CXT", kind=Kind.ACT, source=_R),
        Row(name="CFL, meaning not stated", form="CFL", kind=Kind.ACT, source=_R),
        Row(name="CFS, meaning not stated", form="CFS", kind=Kind.ACT, source=_R),
        Row(name="help?", form="HLP", kind=Kind.QUERY, source=_R),
        *_ask("X-ray", "STX", "X-RAY {}", Word()),
        *_ask("voltage", "SHV", "HIV {}kV", _SHOWN_KV),
        *_ask("current", "SCU", "CUR {}uA", _SHOWN_UA),
        *_ask("preset voltage", "SPV", "PHV {}kV", _SHOWN_KV),
        *_ask("preset current", "SPC", "PCU {}uA", _SHOWN_UA),
        *_ask("SOV, meaning not stated", "SOV", "{}", Word(), alone=False),
        *_ask("interlock", "SIN", "INTER LOCK {}", Word()),
        *_ask("aging", "SAG", "AGING {}", Word()),
        *_ask("aging steps", "DAG", "AGING {} {} {}", Number(), Number(), Word()),
        *_ask("state", "STS", "{}", Word(), alone=False),
        *_ask("readiness", "SRB", "{}", Word(), alone=False),
        *_ask("remote or local", "SRL", "{}", Word(words=_REMOTE), alone=False),
        *_ask("error", "SER", "ERR {}", Number()),
        Row(name="X-ray on", form="XON", kind=Kind.REPLY, source=_R),
        Row(name="refused", form="ERROR", kind=Kind.REPLY, source=_R),
        Row(name="X-ray off", form="XOF", kind=Kind.REPLY, source=_R),
        Row(
            name="after reset", form="{}", kind=Kind.REPLY, values=(Word(),), to=("reset",),
            source=_R,
        ),
    ),
    commands=Ended(end=b"\r"),
    replies=Prompted(),
)  # fmt: skip
COMMANDS = CODEC.rows
listener = CODEC.listener
