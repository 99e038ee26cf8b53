"""The vectors of the line-oriented devices against their codecs, for tests and planted mistakes."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from hal.line_codec import Line, LineCodec
from hal.ports import Direction, WireError
from tests.vectors_loader import Vector, load

DRIVERS = (
    "faxitron",
    "hamamatsu_c8033",
    "isodebyeflex",
    "isovolt",
    "odel",
    "technix",
    "yolong_portable",
    "yolong_stationary",
)
VECTORS = {driver: load(driver) for driver in DRIVERS}


def module_of(driver: str) -> ModuleType:
    return import_module(f"hal.generators.{driver}")


def codec_of(driver: str) -> LineCodec:
    codec: LineCodec = module_of(driver).CODEC
    return codec


def direction_of(vector: Vector) -> Direction:
    return Direction.TO_DEVICE if "command" in vector.fields else Direction.FROM_DEVICE


def row_name(vector: Vector) -> str:
    return str(vector.fields.get("command") or vector.fields["reply"])


def meant(codec: LineCodec, vector: Vector) -> Line:
    row = codec.row(direction_of(vector), row_name(vector))
    return Line(row=row, values=tuple(vector.fields.get("values", ())))


def texts(codec: LineCodec, direction: Direction, *chunks: bytes) -> list[str]:
    """The frames in these chunks, whatever they say."""
    buffer, found = bytearray(), []
    for chunk in chunks:
        buffer += chunk
        while True:
            try:
                text = codec.take(direction, buffer)
            except WireError:
                continue
            if text is None:
                break
            found.append(text)
    return found


def lines(codec: LineCodec, vector: Vector, *chunks: bytes) -> list[Line]:
    """What the chunks say to one who waits for the vector."""
    said, direction = [], direction_of(vector)
    for text in texts(codec, direction, *chunks):
        try:
            said.append(codec.read(direction, text, vector.fields.get("to", "")))
        except WireError:
            continue
    return said


def assert_holds(codec: LineCodec, vector: Vector) -> None:
    """Both ways: what it means becomes its bytes, and its bytes mean that."""
    wanted = meant(codec, vector)
    if vector.fields.get("written", True):
        assert codec.encode(wanted.row, *wanted.values) == vector.bytes
    buffer = bytearray(vector.bytes)
    text = codec.take(wanted.row.direction, buffer)
    assert buffer == b""
    assert text is not None
    assert codec.read(wanted.row.direction, text, vector.fields.get("to", "")) == wanted
