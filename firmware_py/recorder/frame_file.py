"""A multipart message in one file, as it was received: magic, part count, then each part
with its length (all little-endian). Nothing is interpreted, so nothing is lost."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MAGIC = b"DXFRAME1"
_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")


def pack(message: Sequence[bytes]) -> list[bytes]:
    """The chunks to write, in order."""
    chunks = [MAGIC, _COUNT.pack(len(message))]
    for part in message:
        chunks += [_LENGTH.pack(len(part)), part]
    return chunks


def unpack(data: bytes) -> list[bytes]:
    """Raises ValueError for anything that `pack` did not make."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("no frame file: it does not begin with DXFRAME1")
    try:
        (count,) = _COUNT.unpack_from(data, len(MAGIC))
        at = len(MAGIC) + _COUNT.size
        message = []
        for _ in range(count):
            (size_bytes,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            message.append(data[at : at + size_bytes])
            at += size_bytes
    except struct.error:
        raise ValueError("frame file ends too early") from None
    if at != len(data):
        raise ValueError(f"frame file has {len(data)} bytes instead of {at}")
    return message
