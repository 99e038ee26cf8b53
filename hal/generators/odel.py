"""ODEL / IMD R306-type generator, 19200 8N2, `DATA ETX SUM`. **Codec only**: no beam.

Modelled on the first 2 of 15 pages of its public interface description, section 6 of the protocol
reference; not checked against a device. Those pages end before exposure, status and fault
commands: neither ON nor OFF is known. What FLF0 to FLF3 choose is not stated either.

SUM is the byte sum of DATA and ETX modulo 256, so it may itself be ETX or NAK: exactly one byte
behind ETX belongs to it. A wrong sum is answered by NAK alone. A packet holds one command, or
several replies with a space between them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.line_codec import LineCodec, Number, Row, drop
from hal.ports import Kind

SOURCE = "ODEL / IMD R306 interface description, first 2 of 15 pages"
VERIFIED = "from a vendor document that is incomplete, never checked against a device"
DRIVES_BEAM = False
CODEC_ONLY = "the reference has no exposure command and no beam feedback"
LINE = "19200 8N2"

ETX, NAK = 0x03, 0x15
PACKET_BYTES_MAX = 100
REFUSED_SUM = "NAK"  # as a line's text: the packet had a wrong sum
_V = "protocol reference 6 [V]"


@dataclass(frozen=True, slots=True)
class Summed:
    """Packets both ways; a lone NAK is the packet that has no data."""

    def frame(self, text: str) -> bytes:
        if text == REFUSED_SUM:
            return bytes((NAK,))
        data = text.encode("ascii") + bytes((ETX,))
        return data + bytes((sum(data) % 256,))

    def take(self, buffer: bytearray) -> str | None:
        end = next((at for at, byte in enumerate(buffer) if not 0x20 <= byte <= 0x7E), -1)
        if end < 0:
            # As much stays as makes the packet too long, however late its end comes.
            drop(buffer, len(buffer) - PACKET_BYTES_MAX, "too long a packet")
            return None
        if buffer[end] == NAK:
            drop(buffer, end, "a packet without end")
            del buffer[0]
            return REFUSED_SUM
        if buffer[end] != ETX or end == 0:
            drop(buffer, end + 1, "no packet")
        if len(buffer) < end + 2:
            return None
        if end + 2 > PACKET_BYTES_MAX:
            drop(buffer, end + 2, "too long a packet")
        if sum(buffer[: end + 1]) % 256 != buffer[end + 1]:
            drop(buffer, end + 2, "bad checksum")
        text = buffer[:end].decode("ascii")
        del buffer[: end + 2]
        return text


CODEC = LineCodec(
    (
        Row(
            name="workstation", form="WS{}", kind=Kind.SET,
            values=(Number(low=1, high=6, digits=1),), source=_V,
        ),
        Row(name="technique: kV, mA, time", form="ET0", kind=Kind.SET, source=_V),
        Row(name="technique: kV, mAs", form="ET1", kind=Kind.SET, source=_V),
        Row(name="technique: AEC", form="ET2", kind=Kind.SET, source=_V),
        Row(
            name="FLF, meaning not stated", form="FLF{}", kind=Kind.SET,
            values=(Number(low=0, high=3, digits=1),), source=_V,
        ),
        Row(name="status?", form="ST", kind=Kind.QUERY, source=_V),
        Row(
            name="status", form="ST{}", kind=Kind.REPLY,
            values=(Number(digits=3, says={2: "standby"}),), source=_V,
        ),
        Row(name="refused: wrong checksum", form=REFUSED_SUM, kind=Kind.REPLY, source=_V),
        Row(name="refused: unknown command", form="ER???", kind=Kind.REPLY, source=_V),
        Row(name="refused: bad data", form="ER213", kind=Kind.REPLY, source=_V),
        Row(
            name="error", form="ER{}", kind=Kind.REPLY, values=(Number(digits=3),), source=_V,
        ),
    ),
    commands=Summed(),
    replies=Summed(),
    between=" ",
)  # fmt: skip
COMMANDS = CODEC.rows
listener = CODEC.listener
