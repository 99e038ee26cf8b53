"""Image messages modelled on the public DECTRIS Stream V2: one CBOR map is one message.

SIMPLON API reference 1.8, 5.4.2, and the public dectris/documentation stream_v2; CBOR is
RFC 8949, read by `stream_v2_arrays.py`. `type` is the first key: "start",
"image" or "end". The project's choices, where the public text leaves or has gaps:
- an image of this unit has one channel of two dimensions, rows first; pixels become
  little-endian uint16 (`pixel_coding.py`), and one that does not fit is refused;
- `user_data` names exposure and panel: {"shot": .., "panel": .., "complete": true}. The format
  has no check sum: where `user_data` has an "md5", it must be that of the unpacked pixels;
- what simulated panels send has no dates, and is synthetic in that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from hal.pixel_coding import bitshuffle_lz4_packed, little_uint16
from hal.ports import PanelFrame, WireError
from hal.stream_v1 import ID_CHARS, MAX_SIDE_PX, PIXEL_BYTES, StreamEnd
from hal.stream_v1_header import HeaderTable, StreamStart
from hal.stream_v2_arrays import PACKED, ROW_MAJOR, Array, Typed, cbor, loads
from hal.strict_json import MAX_INTEGER, flag, integer, shown, text

SOURCE = "DECTRIS SIMPLON API reference 1.8, 5.4.2; dectris/documentation stream_v2"
VERIFIED = "against no detector"

US_PER_S = 1_000_000
PIXEL_TYPES = ("uint8", "uint16", "uint32")
CHANNEL = "threshold_1"  # what a simulated panel calls its only one


def decode(data: bytes) -> StreamStart | PanelFrame | StreamEnd:
    """WireError with the reason for anything that is not certain.

    The times of a decoded frame count from the start of its series.
    """
    message = loads(data)
    if next(iter(message), None) != "type":
        raise WireError("a message begins with its type")
    series = integer(message, "series_id", 0, MAX_INTEGER)
    match message["type"]:
        case "start":
            return _start(series, message)
        case "end":
            return StreamEnd(series=series)
        case "image":
            return _image(series, message)
        case other:
            raise WireError(f"type: {shown(other)} is not known")


def _start(series: int, message: Mapping[str, Any]) -> StreamStart:
    """Arrays become tables, one for each channel; the rest stays as it came."""
    arrays: dict[str, Array] = {}
    config: dict[str, Any] = {}
    for key, value in message.items():
        of_channels = value if isinstance(value, dict) else {}
        if isinstance(value, Array):
            arrays[key] = value
        elif of_channels and all(isinstance(one, Array) for one in of_channels.values()):
            arrays |= {f"{key}.{channel}": one for channel, one in of_channels.items()}
        else:
            config[key] = value
    tables = {name: _table(array) for name, array in arrays.items()}
    detail = "all" if tables else "basic"
    return StreamStart(series=series, header_detail=detail, config=config, tables=tables)


def _table(array: Array) -> HeaderTable:
    columns_first = (*array.sides_count[::-1], 1)[:2]
    if len(array.sides_count) > 2:
        raise WireError(f"a table has one or two dimensions, got {array.sides_count}")
    elements = array.elements
    return HeaderTable(
        type_name=elements.type_name,
        sides_count=(columns_first[0], columns_first[1]),
        data=_little(array.unpacked(), elements),
    )


def _little(data: bytes, elements: Typed) -> bytes:
    if elements.order == "<":
        return data
    import numpy as np

    return np.frombuffer(data, f">u{elements.element_bytes}").byteswap().tobytes()


def _image(series: int, message: Mapping[str, Any]) -> PanelFrame:
    rows_px, columns_px, pixels = _pixels(message.get("data"))
    user = message.get("user_data")
    if not isinstance(user, dict) or "shot" not in user:
        raise WireError("an image without shot in its user_data can't be attached to an exposure")
    if "md5" in user and text(user, "md5", 32) != _md5(pixels):
        raise WireError("md5: is not that of the pixels that came")
    start_us = _time_us(message, "start_time")
    stop_us = _time_us(message, "stop_time")
    return PanelFrame(
        series=series,
        frame_index=integer(message, "image_id", 0, MAX_INTEGER),
        rows_px=rows_px,
        columns_px=columns_px,
        pixels=pixels,
        start_us=start_us,
        stop_us=integer({"stop_time": stop_us}, "stop_time", start_us, MAX_INTEGER),
        panel_id=text(user, "panel", ID_CHARS),
        shot_id=text(user, "shot", ID_CHARS),
        complete=flag(user, "complete"),
    )


def _pixels(channels: object) -> tuple[int, int, bytes]:
    """(rows, columns, little-endian uint16)."""
    if not isinstance(channels, dict) or len(channels) != 1:
        raise WireError(f"data: an image here has one channel, got {shown(channels)}")
    (array,) = channels.values()
    if not isinstance(array, Array) or len(array.sides_count) != 2:
        raise WireError(f"data: an image here has two dimensions, got {shown(array)}")
    elements = array.elements
    if elements.type_name not in PIXEL_TYPES:
        raise WireError(f"data: pixels are {', '.join(PIXEL_TYPES)}, got {elements.type_name}")
    sides = {"rows": array.sides_count[0], "columns": array.sides_count[1]}
    rows_px = integer(sides, "rows", 1, MAX_SIDE_PX)
    columns_px = integer(sides, "columns", 1, MAX_SIDE_PX)
    pixels = little_uint16(array.unpacked(), elements.type_name, elements.order)
    return rows_px, columns_px, pixels


def _time_us(message: Mapping[str, Any], key: str) -> int:
    """Of [numerator, denominator] in seconds."""
    value = message.get(key)
    if not isinstance(value, list) or len(value) != 2:
        raise WireError(f"{key}: must be [numerator, denominator], got {shown(value)}")
    parts = {"numerator": value[0], "denominator": value[1]}
    numerator = integer(parts, "numerator", 0, MAX_INTEGER)
    return numerator * US_PER_S // integer(parts, "denominator", 1, MAX_INTEGER)


def _md5(pixels: bytes) -> str:
    return hashlib.md5(pixels, usedforsecurity=False).hexdigest()


# --- what a simulated panel sends -----------------------------------------------------------------


def encode_start(series: int) -> list[bytes]:
    return [cbor().dumps({"type": "start", "series_id": series} | _unique(series))]


def encode_end(series: int) -> list[bytes]:
    return [cbor().dumps({"type": "end", "series_id": series} | _unique(series))]


def encode_image(frame: PanelFrame, series_start_us: int | None = None) -> list[bytes]:
    """`series_start_us` is the start of the series' first image; None: this is the first."""
    cbor2 = cbor()
    origin_us = frame.start_us if series_start_us is None else series_start_us
    packed = cbor2.CBORTag(
        PACKED, ["bslz4", PIXEL_BYTES, bitshuffle_lz4_packed(frame.pixels, PIXEL_BYTES)]
    )
    array = cbor2.CBORTag(ROW_MAJOR, [[frame.rows_px, frame.columns_px], cbor2.CBORTag(69, packed)])
    message = {"type": "image", "series_id": frame.series} | _unique(frame.series)
    message |= {
        "image_id": frame.frame_index,
        "start_time": [frame.start_us - origin_us, US_PER_S],
        "stop_time": [frame.stop_us - origin_us, US_PER_S],
        "real_time": [frame.stop_us - frame.start_us, US_PER_S],
        "data": {CHANNEL: array},
        "user_data": {
            "shot": frame.shot_id,
            "panel": frame.panel_id,
            "complete": frame.complete,
            "md5": _md5(frame.pixels),
        },
    }
    return [cbor2.dumps(message)]


def _unique(series: int) -> dict[str, Any]:
    return {"series_unique_id": f"SIM-{series}"}
