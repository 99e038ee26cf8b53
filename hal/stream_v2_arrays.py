"""CBOR as Stream V2 uses it: plain values, arrays (RFC 8746), packed arrays (tag 56500).

Any tag that the format does not use is refused: CBOR's own can ask for much memory (a
decimal fraction, a shared value). Sizes are checked before anything is unpacked. The only
file that knows cbor2, the extra `dectris`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from io import BytesIO
from math import prod
from typing import Any

from hal.pixel_coding import EXTRA, bitshuffle_lz4, lz4_filter
from hal.ports import LengthError, WireError
from hal.stream_v1 import MAX_PIXELS_BYTES
from hal.strict_json import MAX_INTEGER, integer, shown

SOURCE = "RFC 8949; RFC 8746 table 1; dectris/documentation stream_v2 (tag 56500)"
VERIFIED = "against no detector"

DATE, ROW_MAJOR, COLUMN_MAJOR, PACKED = 0, 40, 1040, 56500
TYPED_ARRAYS = {  # tag: (type, byte order), RFC 8746 table 1
    64: ("uint8", "<"),
    65: ("uint16", ">"),
    66: ("uint32", ">"),
    67: ("uint64", ">"),
    69: ("uint16", "<"),
    70: ("uint32", "<"),
    71: ("uint64", "<"),
    72: ("int8", "<"),
    73: ("int16", ">"),
    74: ("int32", ">"),
    75: ("int64", ">"),
    77: ("int16", "<"),
    78: ("int32", "<"),
    79: ("int64", "<"),
    80: ("float16", ">"),
    81: ("float32", ">"),
    82: ("float64", ">"),
    84: ("float16", "<"),
    85: ("float32", "<"),
    86: ("float64", "<"),
}
# What the library would make of itself: big numbers, shared values, patterns, addresses ...
FOREIGN_TAGS = (
    *range(1, 40), *range(41, 64), 68, 76, 83, 87, 100, 256, 258, 260, 261, 1004, 43000, 55799,
)  # fmt: skip
MAX_DEPTH = 12
MAX_DIMENSIONS_COUNT = 3


# --- arrays ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Packed:
    algorithm: str
    element_bytes: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Typed:
    type_name: str
    order: str
    data: bytes | Packed = field(repr=False)

    @property
    def element_bytes(self) -> int:
        return int("".join(filter(str.isdigit, self.type_name))) // 8

    def unpacked(self, count: int) -> bytes:
        """So many elements, in the order in which they came; WireError."""
        size_bytes = count * self.element_bytes
        if size_bytes > 2 * MAX_PIXELS_BYTES:
            raise WireError(f"an array of {size_bytes} bytes is too large")
        if isinstance(self.data, bytes):
            if len(self.data) != size_bytes:
                raise LengthError(f"an array needs {size_bytes} bytes, {len(self.data)} came")
            return self.data
        packed = self.data
        if (packed.algorithm, packed.element_bytes) == ("lz4", 0):
            return lz4_filter(packed.data, size_bytes)
        if (packed.algorithm, packed.element_bytes) == ("bslz4", self.element_bytes):
            return bitshuffle_lz4(packed.data, size_bytes, self.element_bytes)
        raise WireError(
            f"compression: {shown(packed.algorithm)} with {packed.element_bytes} is not known "
            f"for {self.type_name}"
        )


@dataclass(frozen=True, slots=True)
class Array:
    sides_count: tuple[int, ...]
    elements: Typed
    row_major: bool

    def unpacked(self) -> bytes:
        """Row by row."""
        data = self.elements.unpacked(prod(self.sides_count))
        if self.row_major:
            return data
        import numpy as np

        element = np.dtype((np.void, self.elements.element_bytes))
        return np.frombuffer(data, element).reshape(self.sides_count, order="F").tobytes()


def _array_of(value: object, *, row_major: bool) -> Array:
    match value:
        case [[*dimensions], Typed() as elements] if 1 <= len(dimensions) <= MAX_DIMENSIONS_COUNT:
            sides = [integer({"side": side}, "side", 1, MAX_INTEGER) for side in dimensions]
            return Array(tuple(sides), elements, row_major)
    raise WireError(f"an array is [[dimensions], typed array], got {shown(value)}")


def _packed_of(value: object) -> Packed:
    match value:
        case [str(algorithm), int(modifier), bytes(data)]:
            return Packed(algorithm, modifier, data)
    raise WireError(f"compression is [name, element size, bytes], got {shown(value)}")


def _typed_of(tag: int, value: object) -> Typed:
    if not isinstance(value, bytes | Packed):
        raise WireError(f"tag {tag} stands before bytes, got {shown(value)}")
    return Typed(*TYPED_ARRAYS[tag], value)


# --- messages -------------------------------------------------------------------------------------


def loads(data: bytes) -> dict[str, Any]:
    cbor2 = cbor()
    stream = BytesIO(data)
    decoder = cbor2.CBORDecoder(
        stream, semantic_decoders=_tag_readers(), tag_hook=_no_tag, max_depth=MAX_DEPTH,
        allow_duplicate_keys=False,
    )  # fmt: skip
    try:
        message = decoder.decode()
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(_reason(error)) from None
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise WireError(f"a message is a map with names as keys, got {shown(message)}")
    if _has_more(decoder, cbor2):
        raise WireError("bytes stand behind the message")
    return message


def _reason(error: BaseException) -> str:
    """Ours, if one of our readers refused a tag: the library wraps what they raise."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, WireError):
        cause = cause.__cause__
    return f"no valid CBOR: {error}" if cause is None else str(cause)


def _has_more(decoder: Any, cbor2: Any) -> bool:
    try:
        return bool(decoder.read(1))
    except cbor2.CBORDecodeEOF:
        return False


def _tag_readers() -> dict[int, Any]:
    readers: dict[int, Any] = {tag: _refuser(tag) for tag in FOREIGN_TAGS}
    readers |= {tag: lambda value, _, tag=tag: _typed_of(tag, value) for tag in TYPED_ARRAYS}
    return readers | {
        DATE: lambda value, _: value,
        ROW_MAJOR: lambda value, _: _array_of(value, row_major=True),
        COLUMN_MAJOR: lambda value, _: _array_of(value, row_major=False),
        PACKED: lambda value, _: _packed_of(value),
    }


def _refuser(tag: int) -> Any:
    def refuse(_value: object, _immutable: bool) -> object:
        raise WireError(f"tag {tag} has no place in a message")

    return refuse


def _no_tag(tag: Any, _immutable: bool) -> object:
    raise WireError(f"tag {tag.tag} has no place in a message")


def cbor() -> Any:
    try:
        return importlib.import_module("cbor2")
    except ImportError:
        raise WireError(f"this message is CBOR, which is not installed: {EXTRA}") from None
