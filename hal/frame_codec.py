"""A message of a panel's data, in whichever of the two formats it comes.

A message of Stream V2 is one part that begins as a CBOR map does; any other is taken for V1,
whose first part is a JSON object.
"""

from __future__ import annotations

from collections.abc import Sequence

from hal import stream_v1, stream_v2
from hal.ports import PanelFrame
from hal.stream_v1 import StreamEnd
from hal.stream_v1_header import StreamStart

CBOR_MAP = range(0xA0, 0xC0)  # RFC 8949, 3: major type 5
CBOR = "cbor"
FORMATS = ("<", "lz4<", "bs16-lz4<", CBOR)  # what can be sent: V1 by its encoding, or V2


def decode(message: Sequence[bytes]) -> StreamStart | PanelFrame | StreamEnd:
    """One whole message; WireError with the reason for anything that is not certain."""
    if len(message) == 1 and message[0] and message[0][0] in CBOR_MAP:
        return stream_v2.decode(message[0])
    return stream_v1.decode(message)


def is_image(message: Sequence[bytes]) -> bool:
    """By its first words alone, for who passes it on; whether it is sound, `decode` says."""
    begin = message[0][:64] if message else b""
    return b'"dimage-1.0"' in begin or begin[1:].startswith(b"\x64type\x65image")


def encode_start(series: int, form: str) -> list[bytes]:
    return stream_v2.encode_start(series) if form == CBOR else stream_v1.encode_start(series)


def encode_end(series: int, form: str) -> list[bytes]:
    return stream_v2.encode_end(series) if form == CBOR else stream_v1.encode_end(series)


def encode_image(frame: PanelFrame, series_start_us: int, form: str) -> list[bytes]:
    if form == CBOR:
        return stream_v2.encode_image(frame, series_start_us)
    return stream_v1.encode_image(frame, series_start_us, form)
