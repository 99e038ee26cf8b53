"""The three framings of the Spellman family; no opcode, no I/O, no time.

Modelled on the public manuals that the project's protocol reference names in section 3; not
checked against hardware. Sections here are those of the reference.

    family 1, "DSP"        STX CMD,ARG1,...,ARGn,<CSUM> ETX    (TCP: no CSUM, the comma stays)
    family 2, 101501-695   STX CMD[ ARG];[<CSUM>] CR LF
    family 3, X2364 / XLG  SOH CMD.. chk1 chk2 CR

A model has one of them (`spellman_tables.py`), and a text of one family is no frame of another's.
The checksum of family 2 is not public: this file writes none there and takes none apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from hal.ports import WireError

SOH, STX, ETX, LF, CR = 0x01, 0x02, 0x03, 0x0A, 0x0D
LONGEST_BODY_BYTES = 240  # 68 of an ST: 9 words of 5 digits; 27: 12 numbers. Room for either
Checksum = Literal["inclusive", "exclusive", "none"]
_BARE_ERROR = re.compile(rb"E#\d")  # 3.4: uXMAN over TCP, outside every frame


class Framing(Protocol):
    """Texts to frames and back."""

    def frame(self, text: str) -> bytes: ...

    def take(self, buffer: bytearray) -> str | None:
        """The next frame's text, consumed; None = more bytes are needed.

        Raises WireError after it has dropped what can't be a frame.
        """


def checksum(body: bytes) -> int:
    """3.3: the sum, negated, low 7 bits, bit 6 set. 0x40-0x7f, so 6 bits that count."""
    return -sum(body) & 0x7F | 0x40


@dataclass(frozen=True, slots=True)
class Dsp:
    """Family 1. The text is the body: `10,1280,`, the last comma included.

    `checksum`: "inclusive" sums the last comma, too, as the manuals and two tested programs do;
    "exclusive" leaves it out where there are arguments, as one program does [R]: a quirk of a
    unit; "none" is the TCP form. A frame with a wrong one is what the devices take it for: nothing.
    """

    checksum: Checksum = "inclusive"

    def frame(self, text: str) -> bytes:
        body = text.encode("ascii")
        return bytes((STX, *body, *self._tail(body), ETX))

    def take(self, buffer: bytearray) -> str | None:
        start = buffer.find(STX)
        if bare := _BARE_ERROR.search(buffer[: start if start >= 0 else len(buffer)]):
            del buffer[: bare.end()]
            return bare.group().decode("ascii")
        if buffer[:1] == b"E" and len(buffer) <= 2 and b"E#".startswith(buffer):
            return None  # the beginning of a bare error
        if start != 0 and buffer:
            raise dropped(buffer, start if start > 0 else len(buffer), "bytes outside a frame")
        inside = _between(buffer, STX, bytes((ETX,)))
        return None if inside is None else self._body(inside)

    def _tail(self, body: bytes) -> bytes:
        if self.checksum == "none":
            return b""
        whole = self.checksum == "inclusive" or body.count(b",") == 1
        return bytes((checksum(body if whole else body[:-1]),))

    def _body(self, inside: bytes) -> str:
        """A comma is never a checksum, so the body ends at the last one."""
        at = inside.rfind(b",") + 1
        body, tail = inside[:at], inside[at:]
        if not all(0x20 <= byte <= 0x7E for byte in body):
            raise WireError(f"bytes that are no text: {inside.hex(' ')}")
        if not body or tail != self._tail(body):
            raise WireError(f"wrong checksum: {inside.hex(' ')}")
        return body.decode("ascii")


@dataclass(frozen=True, slots=True)
class Letters:
    """Family 2: the text is `FLT;`. Whatever stands behind the semicolon is its checksum."""

    def frame(self, text: str) -> bytes:
        return bytes((STX, *text.encode("ascii"), CR, LF))

    def take(self, buffer: bytearray) -> str | None:
        if buffer and buffer[0] != STX:
            start = buffer.find(STX)
            raise dropped(buffer, start if start > 0 else len(buffer), "bytes outside a frame")
        inside = _between(buffer, STX, bytes((CR, LF)))
        if inside is None:
            return None
        text, mark, tail = inside.partition(b";")
        if not mark or len(tail) > 1 or not text.isascii():
            raise WireError(f"no text of this family: {inside.hex(' ')}")
        return text.decode("ascii") + ";"


@dataclass(frozen=True, slots=True)
class Hex:
    """Family 3: the 8-bit sum of the text as two hex digits, SOH left out."""

    def frame(self, text: str) -> bytes:
        body = text.encode("ascii")
        return bytes((SOH, *body, *self._tail(body), CR))

    def take(self, buffer: bytearray) -> str | None:
        if buffer and buffer[0] != SOH:
            start = buffer.find(SOH)
            raise dropped(buffer, start if start > 0 else len(buffer), "bytes outside a frame")
        inside = _between(buffer, SOH, bytes((CR,)))
        if inside is None:
            return None
        body, tail = inside[:-2], inside[-2:]
        if not body or not body.isascii() or tail != self._tail(body):
            raise WireError(f"wrong checksum: {inside.hex(' ')}")
        return body.decode("ascii")

    def _tail(self, body: bytes) -> bytes:
        return f"{sum(body) & 0xFF:02X}".encode("ascii")


def _between(buffer: bytearray, first: int, last: bytes) -> bytes | None:
    """What stands between the marks, consumed with them; None = the end has not come yet."""
    end, next_start = buffer.find(last), buffer.find(first, 1)
    if next_start > 0 and not 0 < end < next_start:
        raise dropped(buffer, next_start, "a frame without end")
    if end < 0 and len(buffer) <= LONGEST_BODY_BYTES + 2:
        return None
    if end < 0 or end > LONGEST_BODY_BYTES + 2:
        raise dropped(buffer, end + len(last) if end > 0 else len(buffer), "longer than any frame")
    inside = bytes(buffer[1:end])
    del buffer[: end + len(last)]
    return inside


def dropped(buffer: bytearray, count_bytes: int, why: str) -> WireError:
    noise = bytes(buffer[:count_bytes])
    del buffer[:count_bytes]
    return WireError(f"{why}: {noise.hex(' ')}")
