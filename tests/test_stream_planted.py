"""Mistakes planted into the image formats: the vectors alone must find each.

Panel and recorder share the code, so no frame that a simulated panel sends can find them.
"""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal import pixel_coding, stream_v1, stream_v1_header, stream_v2, stream_v2_arrays
from hal.ports import PanelFrame, WireError
from hal.stream_v1_header import StreamStart
from tests.test_frames import FRAME, PIXELS, parts_of
from tests.test_pixel_coding import VECTORS as CODINGS
from tests.test_pixel_coding import gives, unpacked
from tests.test_stream_v2 import FRAME as FRAME_V2
from tests.vectors_loader import load

Plant = Callable[[pytest.MonkeyPatch], None]
V1 = tomllib.loads((Path(__file__).parent / "vectors" / "stream_v1.toml").read_text())["messages"]
V2 = load("stream_v2")


def sets(module: Any, name: str, value: object) -> Plant:
    return lambda patch: patch.setattr(module, name, value)


def entry(table: dict[Any, Any], key: object, value: object) -> Plant:
    return lambda patch: patch.setitem(table, key, value)


def other_order(tag: int) -> Plant:
    type_name, order = stream_v2_arrays.TYPED_ARRAYS[tag]
    turned = {"<": ">", ">": "<"}[order]
    return entry(stream_v2_arrays.TYPED_ARRAYS, tag, (type_name, turned))


def other_width(tag: int) -> Plant:
    type_name, order = stream_v2_arrays.TYPED_ARRAYS[tag]
    wider = {"8": "16", "6": "32", "2": "64", "4": "16"}[type_name[-1]]
    kind = type_name.rstrip("0123456789")
    return entry(stream_v2_arrays.TYPED_ARRAYS, tag, (f"{kind}{wider}", order))


def big_bits(patch: pytest.MonkeyPatch) -> None:
    def elements(planes: Any) -> bytes:
        bits = np.unpackbits(planes, axis=2, bitorder="big")
        return np.packbits(bits.swapaxes(1, 2), axis=2, bitorder="big").tobytes()

    patch.setattr(pixel_coding, "_elements", elements)


def never_shuffled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pixel_coding, "_unshuffled", lambda blocks, *_: blocks)


def turned_pixels(patch: pytest.MonkeyPatch) -> None:
    honest = pixel_coding.little_uint16

    def turned(data: bytes, type_name: str, order: str) -> bytes:
        return honest(data, type_name, {"<": ">", ">": "<"}[order])

    for module in (stream_v1, stream_v2):
        patch.setattr(module, "little_uint16", turned)


def turned_sides(patch: pytest.MonkeyPatch) -> None:
    honest = stream_v1.decode_shape
    patch.setattr(stream_v1, "decode_shape", lambda shape: honest(shape)[::-1])


def columns_first(patch: pytest.MonkeyPatch) -> None:
    honest = stream_v2_arrays._array_of
    patch.setattr(
        stream_v2_arrays, "_array_of", lambda value, *, row_major: honest(value, row_major=True)
    )


PLANTED: list[tuple[str, Plant]] = [
    ("little-endian prefix", sets(pixel_coding, "_PREFIX", struct.Struct("<QI"))),
    ("total of 32 bits", sets(pixel_coding, "_PREFIX", struct.Struct(">II"))),
    ("little-endian lengths", sets(pixel_coding, "_LENGTH", struct.Struct("<I"))),
    ("lengths of 16 bits", sets(pixel_coding, "_LENGTH", struct.Struct(">H"))),
    ("groups of 16 elements", sets(pixel_coding, "BIT_GROUP_COUNT", 16)),
    ("a ratio of 1", sets(pixel_coding, "LZ4_RATIO", 1)),
    ("bits from the other end", big_bits),
    ("bits left as they came", never_shuffled),
    ("pixels in the other order", turned_pixels),
    ("rows for columns", turned_sides),
    ("uint8 of two bytes", entry(pixel_coding.ELEMENT_BYTES, "uint8", 2)),
    ("uint32 of two bytes", entry(pixel_coding.ELEMENT_BYTES, "uint32", 2)),
    ("md5 of nothing", sets(stream_v1, "_md5", lambda _: "d41d8cd98f00b204e9800998ecf8427e")),
    ("V2: md5 of nothing", sets(stream_v2, "_md5", lambda _: "d41d8cd98f00b204e9800998ecf8427e")),
    ("only plain encodings", sets(stream_v1, "ENCODINGS", stream_v1.PLAIN)),
    ("flat field of integers",
     entry(stream_v1_header.TABLES, "dflatfield-1.0", ("flatfield", "uint32"))),
    ("mask of floats", entry(stream_v1_header.TABLES, "dpixelmask-1.0", ("pixelmask", "float32"))),
    ("tables of 8 bytes", sets(stream_v1_header, "ELEMENT_BYTES", 8)),
    ("V2: milliseconds", sets(stream_v2, "US_PER_S", 1000)),
    ("V2: column by column ignored", columns_first),
    ("V2: rows are 41", sets(stream_v2_arrays, "ROW_MAJOR", 41)),
    ("V2: columns are 1041", sets(stream_v2_arrays, "COLUMN_MAJOR", 1041)),
    ("V2: packed is 56501", sets(stream_v2_arrays, "PACKED", 56501)),
    ("V2: dates are foreign", sets(stream_v2_arrays, "DATE", 6)),
    *((f"V2: order of tag {tag}", other_order(tag))
      for tag, (name, _) in stream_v2_arrays.TYPED_ARRAYS.items() if name not in ("uint8", "int8")),
    *((f"V2: width of tag {tag}", other_width(tag)) for tag in stream_v2_arrays.TYPED_ARRAYS),
]  # fmt: skip


def caught_by() -> list[str]:
    """The vectors that no longer hold."""
    checks: list[tuple[str, Callable[[], bool]]] = [
        *((v.name, lambda v=v: unpacked(v) == gives(v)) for v in CODINGS),
        *((f"V1 {name}", lambda name=name: _holds_v1(name)) for name in V1 if "part_" not in name),
        *((f"V2 {v.name}", lambda v=v: _holds_v2(v)) for v in V2),
    ]
    return [name for name, holds in checks if not _is_held(holds)]


def _is_held(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (WireError, ValueError, struct.error):
        return False


def _holds_v1(name: str) -> bool:
    found = stream_v1.decode(parts_of(V1[name]))
    if isinstance(found, StreamStart):
        return name != "start_all" or [t.type_name for t in found.tables.values()] == [
            "float32", "uint32", "float32",
        ]  # fmt: skip
    if not isinstance(found, PanelFrame):
        return True
    return found == replace(
        FRAME, pixels=PIXELS[V1[name].get("pixels", "text")], start_us=0, stop_us=250_000
    )


def _holds_v2(vector: Any) -> bool:
    found = stream_v2.decode(vector.bytes)
    if isinstance(found, StreamStart):
        tables = [f"{name} {t.type_name} {t.data.hex()}" for name, t in found.tables.items()]
        dated = found.config.get("arm_date") == vector.fields.get("arm_date")
        return bool(dated and tables == vector.fields["tables"])
    if not isinstance(found, PanelFrame):
        return True
    sides = {side: vector.fields[side] for side in ("rows_px", "columns_px")}
    return found == replace(FRAME_V2, pixels=bytes.fromhex(vector.fields["pixels"]), **sides)


def test_without_a_mistake_all_hold() -> None:
    assert caught_by() == []


@pytest.mark.parametrize("plant", [p for _, p in PLANTED], ids=[name for name, _ in PLANTED])
def test_a_planted_mistake_is_found_by_the_vectors_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert caught_by()
