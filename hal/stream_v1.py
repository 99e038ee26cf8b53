"""Image messages modelled on the public DECTRIS Stream V1 (SIMPLON API reference 1.8, 5.4.3).

Multipart: a start message after arming, one message per image, an end message after
disarming. The project's choices, where the public text leaves or has gaps:
- pixels are uint16, little-endian, not compressed: type "uint16", encoding "<";
- `shape` is [x, y], that is [columns, rows] (protocols.md 9.4: inferred);
- `hash` is the md5 of part 3, the pixels. The text says "of the next message part", and
  the public client ADEiger ignores it;
- the image appendix names exposure and panel; without it a frame belongs to nothing and
  is refused.
Parts beyond the first three are found by their keys, and foreign ones are let pass.
md5 finds damage, not intent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hal.ports import PanelFrame, WireError
from hal.strict_json import MAX_INTEGER, dumps, flag, integer, loads, shown, text

MAX_SIDE_PX = 4608
PIXEL_BYTES = 2
MAX_PIXELS_BYTES = MAX_SIDE_PX * MAX_SIDE_PX * PIXEL_BYTES
MAX_PARTS_COUNT = 16
ID_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    series: int
    header_detail: str  # "none", "basic" or "all"; what follows it is not used here


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    series: int


def encode_start(series: int) -> list[bytes]:
    return [dumps({"htype": "dheader-1.0", "series": series, "header_detail": "none"})]


def encode_end(series: int) -> list[bytes]:
    return [dumps({"htype": "dseries_end-1.0", "series": series})]


def encode_image(frame: PanelFrame, series_start_us: int | None = None) -> list[bytes]:
    """`series_start_us` is the start of the series' first image; None: this is the first.

    The size that rows and columns need is announced, whatever pixels there are: a panel
    that loses some (F34) is found out by whom it sends them to.
    """
    size_bytes = frame.rows_px * frame.columns_px * PIXEL_BYTES
    origin_us = frame.start_us if series_start_us is None else series_start_us
    return [
        dumps(
            {
                "htype": "dimage-1.0",
                "series": frame.series,
                "frame": frame.frame_index,
                "hash": _md5(frame.pixels),
            }
        ),
        dumps(
            {
                "htype": "dimage_d-1.0",
                "shape": [frame.columns_px, frame.rows_px],
                "type": "uint16",
                "encoding": "<",
                "size": size_bytes,
            }
        ),
        frame.pixels,
        dumps(
            {
                "htype": "dconfig-1.0",
                "start_time": (frame.start_us - origin_us) * 1000,
                "stop_time": (frame.stop_us - origin_us) * 1000,
                "real_time": (frame.stop_us - frame.start_us) * 1000,
            }
        ),
        dumps({"shot": frame.shot_id, "panel": frame.panel_id, "complete": frame.complete}),
    ]


def decode(message: Sequence[bytes]) -> StreamStart | PanelFrame | StreamEnd:
    """One whole message; WireError with the reason for anything that is not certain.

    The times of a decoded frame count from the start of the first image of its series.
    """
    if not 1 <= len(message) <= MAX_PARTS_COUNT:
        raise WireError(f"a message has 1 to {MAX_PARTS_COUNT} parts, got {len(message)}")
    first = loads(message[0])
    series = integer(first, "series", 0, MAX_INTEGER)
    match first.get("htype"):
        case "dheader-1.0":
            return StreamStart(series=series, header_detail=_header_detail(first))
        case "dseries_end-1.0":
            return StreamEnd(series=series)
        case "dimage-1.0":
            return _decode_image(series, first, message)
        case other:
            raise WireError(f"htype: {shown(other)} is not known")


def _header_detail(first: dict[str, Any]) -> str:
    detail = text(first, "header_detail", 8)
    if detail not in ("none", "basic", "all"):
        raise WireError(f"header_detail: must be none, basic or all, got {detail!r}")
    return detail


def _decode_image(series: int, first: dict[str, Any], message: Sequence[bytes]) -> PanelFrame:
    if len(message) < 3:
        raise WireError(f"an image has at least 3 parts, got {len(message)}")
    pixels = message[2]
    rows_px, columns_px = _decode_shape(loads(message[1]), len(pixels))
    if text(first, "hash", 32) != _md5(pixels):
        raise WireError("hash: is not the md5 of the pixels that came")
    config, appendix = _decode_rest(message[3:])
    start_ns = integer(config, "start_time", 0, MAX_INTEGER)
    return PanelFrame(
        series=series,
        frame_index=integer(first, "frame", 0, MAX_INTEGER),
        rows_px=rows_px,
        columns_px=columns_px,
        pixels=pixels,
        start_us=start_ns // 1000,
        stop_us=integer(config, "stop_time", start_ns, MAX_INTEGER) // 1000,
        panel_id=text(appendix, "panel", ID_CHARS),
        shot_id=text(appendix, "shot", ID_CHARS),
        complete=flag(appendix, "complete"),
    )


def _decode_shape(about: dict[str, Any], payload_bytes: int) -> tuple[int, int]:
    """(rows, columns). All in Python integers: nothing overflows, nothing is allocated."""
    for key, wanted in (("htype", "dimage_d-1.0"), ("type", "uint16"), ("encoding", "<")):
        if about.get(key) != wanted:
            raise WireError(f"{key}: only {wanted!r} is taken, got {shown(about.get(key))}")
    shape = about.get("shape")
    if not isinstance(shape, list) or len(shape) != 2:
        raise WireError(f"shape: must be [x, y], got {shown(shape)}")
    sides = {"x": shape[0], "y": shape[1]}
    columns_px = integer(sides, "x", 1, MAX_SIDE_PX)
    rows_px = integer(sides, "y", 1, MAX_SIDE_PX)
    size_bytes = rows_px * columns_px * PIXEL_BYTES
    if integer(about, "size", 0, MAX_PIXELS_BYTES) != size_bytes:
        raise WireError(f"size: {shape} needs {size_bytes} bytes, got {about['size']}")
    if payload_bytes != size_bytes:
        raise WireError(f"the pixels have {payload_bytes} bytes, {size_bytes} were announced")
    return rows_px, columns_px


def _decode_rest(parts: Sequence[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(dconfig, appendix), by key; foreign parts pass."""
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        if not part.startswith(b"{"):
            continue
        content = loads(part)
        name = "appendix" if "shot" in content else str(content.get("htype"))
        if name in found:
            raise WireError(f"{shown(name)} is given twice")
        found[name] = content
    for name in ("dconfig-1.0", "appendix"):
        if name not in found:
            raise WireError(f"an image without {name} can't be attached to an exposure")
    return found["dconfig-1.0"], found["appendix"]


def _md5(pixels: bytes) -> str:
    return hashlib.md5(pixels, usedforsecurity=False).hexdigest()
