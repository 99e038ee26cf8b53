"""The R2CP vectors against the codec, for the tests and for the planted mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hal.generators import r2cp_layouts as layouts
from hal.generators import r2cp_wire as wire
from tests.vectors_loader import Vector, load

VECTORS = load("r2cp")
Pack = Callable[[Any], bytes]
RECORDS: dict[str, tuple[str, str, type[Any]]] = {
    "status": ("status_bytes", "read_status", layouts.Status),
    "databank": ("databank_bytes", "read_databank", layouts.Databank),
    "post": ("post_bytes", "read_post", layouts.PostExposure),
    "message": ("message_bytes", "read_message", layouts.Message),
    "procedure": ("procedure_bytes", "read_procedure", layouts.Procedure),
}


def record_of(vector: Vector) -> tuple[str, Any] | None:
    """(kind, what the data mean), where they are more than bytes."""
    for kind, (_, _, made) in RECORDS.items():
        if kind in vector.fields["means"]:
            return kind, made(**vector.fields["means"][kind])
    return None


def data_of(vector: Vector) -> bytes:
    """The data as the codec writes what the vector means."""
    means, record = vector.fields["means"], record_of(vector)
    if record is not None:
        return bytes(getattr(layouts, RECORDS[record[0]][0])(record[1]))
    return bytes(means["processed"] if "processed" in means else means["bytes"])


def frame_of(vector: Vector) -> wire.Frame:
    entry = wire.ENTRIES[vector.fields["entry"]]
    return wire.Frame(
        sequence_index=vector.fields["sequence_index"],
        target=vector.fields["target"],
        issuer=vector.fields["issuer"],
        index=entry.index,
        subindex=entry.subindex,
        function=wire.Function[vector.fields["function"]],
        data=data_of(vector),
        priority_index=vector.fields["means"].get("priority", 0),
    )


def assert_holds(vector: Vector) -> None:
    """Both ways: what it means becomes its bytes, and its bytes mean that."""
    assert wire.encode(frame_of(vector)) == vector.bytes
    buffer = bytearray(vector.bytes)
    frame = wire.take_frame(buffer)
    assert buffer == b""
    assert frame == frame_of(vector)
    assert frame is not None
    assert frame.is_of(vector.fields["entry"])
    record = record_of(vector)
    if record is not None:
        assert getattr(layouts, RECORDS[record[0]][1])(frame.data) == record[1]
    if "processed" in vector.fields["means"]:
        assert list(wire.processed(frame)) == vector.fields["means"]["processed"]
