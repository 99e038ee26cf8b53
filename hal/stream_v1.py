"""Image messages modelled on the public DECTRIS Stream V1 (SIMPLON API reference 1.8, 5.4.3).

Multipart: a start message after arming (`stream_v1_header.py`), one message per image, an
end message after disarming. The project's choices, where the public text leaves or has gaps:
- pixels of any documented type and encoding are taken, and handed on as little-endian
  uint16; a uint32 pixel that does not fit is refused, never cut. `pixel_coding.py` unpacks;
- `shape` is [x, y], that is [columns, rows] (protocols.md 9.4: inferred); a z must be 1;
- `size` is that of part 3 as it comes, packed or not;
- `hash` is the md5 of part 3, the pixels as they come. The text says "of the next message
  part", and the public client ADEiger ignores it;
- N of `bsN-lz4` must be the bits of the type;
- the image appendix names exposure and panel; without it a frame belongs to nothing and
  is refused.
Parts beyond the first three are found by their keys, and foreign ones are let pass.
md5 finds damage, not intent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hal.pixel_coding import (
    ELEMENT_BYTES,
    bitshuffle_lz4,
    bitshuffle_lz4_packed,
    little_uint16,
    lz4_block,
    lz4_packed,
)
from hal.ports import LengthError, PanelFrame, WireError
from hal.stream_v1_header import StreamStart, decode_start
from hal.strict_json import MAX_INTEGER, dumps, flag, integer, loads, shown, text

SOURCE = "DECTRIS SIMPLON API reference 1.8, 5.4.3"
VERIFIED = "against no detector"
MAX_SIDE_PX = 4608
PIXEL_BYTES = 2
MAX_PIXELS_BYTES = MAX_SIDE_PX * MAX_SIDE_PX * PIXEL_BYTES
MAX_PARTS_COUNT = 16
ID_CHARS = 64
PLAIN = ("<", ">")
ENCODINGS = (  # [bs<BIT>][[-]lz4][<|>]; the reference shows those that end in "<"
    *PLAIN,
    *(f"{packing}{order}" for packing in ("lz4", "bs8-lz4", "bs16-lz4", "bs32-lz4")
      for order in PLAIN),
)  # fmt: skip

_PACKS: dict[str, Callable[[bytes], bytes]] = {
    "<": bytes,
    "lz4<": lz4_packed,
    "bs16-lz4<": lambda pixels: bitshuffle_lz4_packed(pixels, PIXEL_BYTES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    series: int


def encode_start(series: int) -> list[bytes]:
    return [dumps({"htype": "dheader-1.0", "series": series, "header_detail": "none"})]


def encode_end(series: int) -> list[bytes]:
    return [dumps({"htype": "dseries_end-1.0", "series": series})]


def encode_image(
    frame: PanelFrame, series_start_us: int | None = None, encoding: str = "<"
) -> list[bytes]:
    """`series_start_us` is the start of the series' first image; None: this is the first.

    `encoding` is "<", "lz4<" or "bs16-lz4<". Of plain pixels the size that rows and columns
    need is announced, whatever pixels there are: a panel that loses some (F34) is found out
    by whom it sends them to.
    """
    blob = _PACKS[encoding](frame.pixels)
    plain_bytes = frame.rows_px * frame.columns_px * PIXEL_BYTES
    origin_us = frame.start_us if series_start_us is None else series_start_us
    return [
        dumps(
            {
                "htype": "dimage-1.0",
                "series": frame.series,
                "frame": frame.frame_index,
                "hash": _md5(blob),
            }
        ),
        dumps(
            {
                "htype": "dimage_d-1.0",
                "shape": [frame.columns_px, frame.rows_px],
                "type": "uint16",
                "encoding": encoding,
                "size": plain_bytes if encoding in PLAIN else len(blob),
            }
        ),
        blob,
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
            return decode_start(series, first, message[1:])
        case "dseries_end-1.0":
            return StreamEnd(series=series)
        case "dimage-1.0":
            return _decode_image(series, first, message)
        case other:
            raise WireError(f"htype: {shown(other)} is not known")


def _decode_image(series: int, first: dict[str, Any], message: Sequence[bytes]) -> PanelFrame:
    if len(message) < 3:
        raise WireError(f"an image has at least 3 parts, got {len(message)}")
    about = _decode_about(loads(message[1]), len(message[2]))
    if text(first, "hash", 32) != _md5(message[2]):
        raise WireError("hash: is not the md5 of the pixels that came")
    config, appendix = _decode_rest(message[3:])
    start_ns = integer(config, "start_time", 0, MAX_INTEGER)
    return PanelFrame(
        series=series,
        frame_index=integer(first, "frame", 0, MAX_INTEGER),
        rows_px=about.rows_px,
        columns_px=about.columns_px,
        pixels=about.unpacked(message[2]),
        start_us=start_ns // 1000,
        stop_us=integer(config, "stop_time", start_ns, MAX_INTEGER) // 1000,
        panel_id=text(appendix, "panel", ID_CHARS),
        shot_id=text(appendix, "shot", ID_CHARS),
        complete=flag(appendix, "complete"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What part 2 says of the pixels."""

    rows_px: int
    columns_px: int
    type_name: str
    packing: str  # the encoding without its byte order: "", "lz4", "bs16-lz4"
    order: str

    @property
    def size_bytes(self) -> int:
        return self.rows_px * self.columns_px * ELEMENT_BYTES[self.type_name]

    def unpacked(self, blob: bytes) -> bytes:
        data = blob
        if self.packing == "lz4":
            data = lz4_block(blob, self.size_bytes)
        elif self.packing:
            data = bitshuffle_lz4(blob, self.size_bytes, ELEMENT_BYTES[self.type_name])
        return little_uint16(data, self.type_name, self.order)


def _decode_about(fields: dict[str, Any], payload_bytes: int) -> _About:
    """All in Python integers: nothing overflows, nothing is allocated."""
    if fields.get("htype") != "dimage_d-1.0":
        raise WireError(f"htype: only 'dimage_d-1.0' is taken, got {shown(fields.get('htype'))}")
    type_name = _one_of(fields, "type", tuple(ELEMENT_BYTES))
    encoding = _one_of(fields, "encoding", ENCODINGS)
    packing, order = encoding[:-1], encoding[-1]
    if packing.startswith("bs") and f"uint{packing[2:-4]}" != type_name:
        raise WireError(f"encoding: {encoding} does not fit pixels of {type_name}")
    columns_px, rows_px = decode_shape(fields.get("shape"))
    about = _About(
        rows_px=rows_px, columns_px=columns_px, type_name=type_name, packing=packing, order=order
    )
    _check_size(fields, about, payload_bytes)
    return about


def _check_size(fields: dict[str, Any], about: _About, payload_bytes: int) -> None:
    announced_bytes = integer(fields, "size", 0, MAX_PIXELS_BYTES)
    if not about.packing and announced_bytes != about.size_bytes:
        raise WireError(
            f"size: {fields['shape']} needs {about.size_bytes} bytes, got {announced_bytes}"
        )
    if payload_bytes != announced_bytes:
        raise LengthError(
            f"the pixels have {payload_bytes} bytes, {announced_bytes} were announced"
        )


def decode_shape(shape: object) -> tuple[int, int]:
    """(x, y) of [x, y] or [x, y, 1]; WireError."""
    if not isinstance(shape, list) or len(shape) not in (2, 3):
        raise WireError(f"shape: must be [x, y], got {shown(shape)}")
    sides = dict(zip(("x", "y", "z"), [*shape, 1], strict=False))
    integer(sides, "z", 1, 1)
    return integer(sides, "x", 1, MAX_SIDE_PX), integer(sides, "y", 1, MAX_SIDE_PX)


def _one_of(fields: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or value not in known:
        raise WireError(f"{key}: only {', '.join(known)} are taken, got {shown(value)}")
    return value


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
