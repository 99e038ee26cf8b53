"""How pixels are packed on the way: byte order, width, LZ4, bitshuffle with LZ4.

Three framings, all of them public (protocols.md 9.4, 9.5):
- a plain LZ4 block without a prefix: Stream V1's `lz4<`, SIMPLON API reference 1.8;
- the HDF5 LZ4 filter's: u64 total, u32 block, then each block behind its u32 length, stored
  as it is where packing made it no smaller: Stream V2's "lz4";
- the HDF5 bitshuffle filter's: u64 total, u32 block, then LZ4 blocks behind their lengths;
  what is left over of eight elements stands unpacked at the end. Stream V2's "bslz4", and
  Stream V1's `bs16-lz4<`, of which the reference says only that 12 bytes come first: that
  they are these is unverified [B].

Prefixes are big-endian. Nothing is allocated for a size that the bytes at hand can't fill:
LZ4 gives at most 255 bytes for one. LZ4 is the extra `dectris`; bits are put back by numpy.
"""

from __future__ import annotations

import importlib
import struct
from typing import TYPE_CHECKING, Any

from hal.ports import LengthError, WireError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOURCE = "SIMPLON API reference 1.8, 5.4.2 and 5.4.3; LZ4 block format; HDF5 filters 32004, 32008"
VERIFIED = "by the programs of the filters' authors; against no detector"
EXTRA = "pip install '.[dectris]'"

LZ4_RATIO = 255
BIT_GROUP_COUNT = 8  # elements that bitshuffle takes together
DEFAULT_BLOCK_BYTES = 8192
_PREFIX = struct.Struct(">QI")
_LENGTH = struct.Struct(">I")
_CHUNK_BYTES = 1 << 20  # bits take eight times their room while they are put back

ELEMENT_BYTES = {"uint8": 1, "uint16": 2, "uint32": 4}


# --- LZ4 ------------------------------------------------------------------------------------------


def lz4_block(data: bytes, size_bytes: int) -> bytes:
    """One LZ4 block that must give just so many bytes; WireError."""
    _bound(data, size_bytes)
    return _block(_codec(), data, size_bytes)


def lz4_filter(data: bytes, size_bytes: int) -> bytes:
    """What the HDF5 LZ4 filter packed; WireError."""
    block_bytes = _block_bytes(data, size_bytes, unit_bytes=1)
    codec, reader, blocks = _codec(), _Reader(data), []
    for wanted_bytes in _cut(size_bytes, block_bytes):
        packed = reader.block()
        stored = len(packed) == wanted_bytes
        blocks.append(packed if stored else _block(codec, packed, wanted_bytes))
    reader.end()
    return b"".join(blocks)


def bitshuffle_lz4(data: bytes, size_bytes: int, element_bytes: int) -> bytes:
    """What the HDF5 bitshuffle filter packed by LZ4; WireError."""
    group_bytes = BIT_GROUP_COUNT * element_bytes
    block_bytes = _block_bytes(data, size_bytes, unit_bytes=group_bytes)
    rest_bytes = size_bytes % group_bytes
    codec, reader = _codec(), _Reader(data)
    full, tail = divmod(size_bytes - rest_bytes, block_bytes)
    blocks = [_block(codec, reader.block(), block_bytes) for _ in range(full)]
    last = _block(codec, reader.block(), tail) if tail else b""
    rest = reader.take(rest_bytes)
    reader.end()
    in_order = _unshuffled(b"".join(blocks), block_bytes, element_bytes)
    return in_order + _unshuffled(last, tail or group_bytes, element_bytes) + rest


def _bound(data: bytes, size_bytes: int) -> None:
    if size_bytes > LZ4_RATIO * len(data):
        raise WireError(f"{len(data)} bytes can't hold the {size_bytes} that were announced")


def _block_bytes(data: bytes, size_bytes: int, unit_bytes: int) -> int:
    """The prefix, checked: the size is the announced one, the block is a usable one."""
    _bound(data, size_bytes)
    if len(data) < _PREFIX.size:
        raise WireError(f"packed pixels begin with {_PREFIX.size} bytes, got {len(data)}")
    total_bytes, block_bytes = _PREFIX.unpack_from(data)
    if total_bytes != size_bytes:
        raise LengthError(
            f"the packed pixels have {total_bytes} bytes, {size_bytes} were announced"
        )
    block_bytes = block_bytes or DEFAULT_BLOCK_BYTES
    if block_bytes % unit_bytes:
        raise WireError(f"blocks of {block_bytes} bytes don't hold whole groups of {unit_bytes}")
    return int(block_bytes)


def _cut(size_bytes: int, block_bytes: int) -> list[int]:
    full, tail = divmod(size_bytes, block_bytes)
    return [block_bytes] * full + [tail] * bool(tail)


class _Reader:
    """Walks through what stands behind the prefix."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = _PREFIX.size

    def block(self) -> bytes:
        (length_bytes,) = _LENGTH.unpack(self.take(_LENGTH.size))
        return self.take(length_bytes)

    def take(self, size_bytes: int) -> bytes:
        part = bytes(self._data[self._at : self._at + size_bytes])
        if len(part) != size_bytes:
            raise LengthError("the packed pixels end too early")
        self._at += size_bytes
        return part

    def end(self) -> None:
        left_bytes = len(self._data) - self._at
        if left_bytes:
            raise WireError(f"{left_bytes} bytes stand behind the packed pixels")


def _codec() -> Any:
    try:
        return importlib.import_module("lz4.block")
    except ImportError:
        raise WireError(
            f"these pixels are packed by LZ4, which is not installed: {EXTRA}"
        ) from None


def _block(codec: Any, packed: bytes, size_bytes: int) -> bytes:
    try:
        data: bytes = codec.decompress(packed, uncompressed_size=size_bytes)
    except (codec.LZ4BlockError, ValueError) as error:
        raise WireError(f"a damaged LZ4 block: {error}") from None
    if len(data) != size_bytes:
        raise LengthError(f"an LZ4 block gave {len(data)} bytes instead of {size_bytes}")
    return data


# --- packing, for a simulated panel ---------------------------------------------------------------


def lz4_packed(data: bytes) -> bytes:
    packed: bytes = _codec().compress(data, store_size=False)
    return packed


def bitshuffle_lz4_packed(data: bytes, element_bytes: int) -> bytes:
    """With the filter's prefix and its usual block."""
    rest_at = len(data) - len(data) % (BIT_GROUP_COUNT * element_bytes)
    groups = data[:rest_at]
    packed = [
        lz4_packed(_shuffled(groups[at : at + DEFAULT_BLOCK_BYTES], element_bytes))
        for at in range(0, rest_at, DEFAULT_BLOCK_BYTES)
    ]
    framed = b"".join(_LENGTH.pack(len(block)) + block for block in packed)
    return _PREFIX.pack(len(data), DEFAULT_BLOCK_BYTES) + framed + data[rest_at:]


# --- bits -----------------------------------------------------------------------------------------


def _unshuffled(blocks: bytes, block_bytes: int, element_bytes: int) -> bytes:
    """Bit k of all elements of a block stands together; here each element gets its bits back."""
    if not blocks:
        return b""
    import numpy as np

    rows_count = 8 * element_bytes
    planes = np.frombuffer(blocks, np.uint8).reshape(-1, rows_count, block_bytes // rows_count)
    at_once = max(1, _CHUNK_BYTES // block_bytes)
    parts = (planes[first : first + at_once] for first in range(0, len(planes), at_once))
    return b"".join(map(_elements, parts))


def _elements(planes: NDArray[np.uint8]) -> bytes:
    """Of blocks x bits of an element x bytes that hold this bit of all elements."""
    import numpy as np

    bits = np.unpackbits(planes, axis=2, bitorder="little")
    return np.packbits(bits.swapaxes(1, 2), axis=2, bitorder="little").tobytes()


def _shuffled(block: bytes, element_bytes: int) -> bytes:
    import numpy as np

    elements = np.frombuffer(block, np.uint8).reshape(-1, element_bytes)
    bits = np.unpackbits(elements, axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes()


# --- to the unit's own form -----------------------------------------------------------------------


def little_uint16(data: bytes, type_name: str, order: str) -> bytes:
    """uint8, uint16 or uint32 of byte order "<" or ">" as little-endian uint16.

    WireError if a pixel does not fit: no value is cut.
    """
    if (type_name, order) == ("uint16", "<"):
        return data
    import numpy as np

    pixels: NDArray[np.unsignedinteger[Any]] = np.frombuffer(
        data, f"{order}u{ELEMENT_BYTES[type_name]}"
    )
    if type_name == "uint32" and (most := int(pixels.max(initial=0))) > 0xFFFF:
        raise WireError(f"a pixel of {most} does not fit into the 16 bits of an image here")
    return pixels.astype("<u2").tobytes()
