"""The start message of Stream V1, with all that a detector may tell about itself in it.

    part 1      {"htype":"dheader-1.0","series":n,"header_detail":"all" | "basic" | "none"}
    part 2      basic, all: its configuration, one JSON object
    parts 3-8   all: flat field, pixel mask, count-rate table, each a JSON object and a blob
    last        the user's appendix, if there is one; any bytes

Modelled on the SIMPLON API reference 1.8, 5.4.3. Tables are found by their keys, and each
must have the bytes that its shape needs; parts behind the last one known pass (protocols.md
9.4, "tolerate extra parts"), the first of them is the appendix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hal.ports import WireError
from hal.strict_json import integer, loads, shown, text

DETAILS = ("none", "basic", "all")
TABLES = {  # htype: (name, type)
    "dflatfield-1.0": ("flatfield", "float32"),
    "dpixelmask-1.0": ("pixelmask", "uint32"),
    "dcountrate_table-1.0": ("countrate_table", "float32"),
}
ELEMENT_BYTES = 4  # of either type
SIDE_MAX_COUNT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderTable:
    """A table as it came: little-endian elements."""

    type_name: str
    sides_count: tuple[int, int]  # x, y
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    series: int
    header_detail: str  # "none", "basic" or "all"
    config: Mapping[str, Any] = field(default_factory=dict)  # in the maker's words
    tables: Mapping[str, HeaderTable] = field(default_factory=dict)
    appendix: bytes | None = None


def decode_start(series: int, first: dict[str, Any], rest: Sequence[bytes]) -> StreamStart:
    """`rest` are the parts behind the first. WireError for one that is missing or cut."""
    detail = text(first, "header_detail", 8)
    if detail not in DETAILS:
        raise WireError(f"header_detail: must be none, basic or all, got {detail!r}")
    if detail == "none":
        return StreamStart(series=series, header_detail=detail, appendix=_appendix(rest))
    if not rest:
        raise WireError(f"a header of detail {detail} has a configuration behind it")
    config, behind = loads(rest[0]), rest[1:]
    tables: dict[str, HeaderTable] = {}
    if detail == "all":
        for _ in TABLES:
            name, table = _table(behind)
            if name in tables:
                raise WireError(f"{name} is given twice")
            tables[name], behind = table, behind[2:]
    return StreamStart(
        series=series, header_detail=detail, config=config, tables=tables,
        appendix=_appendix(behind),
    )  # fmt: skip


def _appendix(behind: Sequence[bytes]) -> bytes | None:
    return behind[0] if behind else None


def _table(parts: Sequence[bytes]) -> tuple[str, HeaderTable]:
    if len(parts) < 2:
        raise WireError(f"a header of detail all has {', '.join(TABLES)}, each with its data")
    about = loads(parts[0])
    known = TABLES.get(str(about.get("htype")))
    if known is None:
        raise WireError(f"htype: must be one of {', '.join(TABLES)}, got {shown(about)}")
    name, type_name = known
    if about.get("type") != type_name:
        raise WireError(f"{name}: its type is {type_name}, got {shown(about.get('type'))}")
    sides_count = _shape(name, about.get("shape"))
    size_bytes = prod(sides_count) * ELEMENT_BYTES
    if len(parts[1]) != size_bytes:
        raise WireError(f"{name}: {sides_count} needs {size_bytes} bytes, {len(parts[1])} came")
    return name, HeaderTable(type_name=type_name, sides_count=sides_count, data=parts[1])


def _shape(name: str, shape: object) -> tuple[int, int]:
    if not isinstance(shape, list) or len(shape) != 2:
        raise WireError(f"{name}: shape must be [x, y], got {shown(shape)}")
    sides = {"x": shape[0], "y": shape[1]}
    return integer(sides, "x", 1, SIDE_MAX_COUNT), integer(sides, "y", 1, SIDE_MAX_COUNT)
