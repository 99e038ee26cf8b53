"""A panel's conversation in words: control messages, and frames without their pixels.

A frame is decoded whole, so its hash, its size and its packing are checked; what is told of one
that is not sound is the codec's own reason. Events stand as replies: nobody asked for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hal.detectors.stream_panel_wire import (
    Event,
    Question,
    Refused,
    Status,
    decode_answer,
    decode_question,
)
from hal.frame_codec import decode
from hal.ports import Direction, Heard, Kind, PanelFrame, WireError
from hal.stream_v1_header import StreamStart

QUERIES = ("identify", "status")
SHOWN_BYTES = 4096  # a longer part is pixels


def control(direction: Direction, t_us: int, message: Sequence[bytes]) -> Heard:
    try:
        if direction is Direction.TO_DEVICE:
            kind, text = _asked(decode_question(message))
        else:
            kind, text = Kind.REPLY, _answered(message)
    except WireError as error:
        kind, text = Kind.NOISE, str(error)
    return _heard(direction, t_us, message, kind, text)


def frames(direction: Direction, t_us: int, message: Sequence[bytes]) -> Heard:
    try:
        kind, text = Kind.REPLY, _framed(message)
    except WireError as error:
        sizes = ", ".join(str(len(part)) for part in message)
        kind, text = Kind.NOISE, f"{error} (parts of {sizes} bytes)"
    return _heard(direction, t_us, message, kind, text)


def _heard(
    direction: Direction, t_us: int, message: Sequence[bytes], kind: Kind, text: str
) -> Heard:
    raw = b"".join(part for part in message if len(part) <= SHOWN_BYTES)
    return Heard(t_us=t_us, direction=direction, raw=raw, kind=kind, text=text)


def _asked(question: Question) -> tuple[Kind, str]:
    kind = Kind.QUERY if question.do in QUERIES else Kind.ACT
    return kind, " ".join(filter(None, (f"#{question.n}", question.do, question.shot)))


def _answered(message: Sequence[bytes]) -> str:
    found = decode_answer(message)
    if isinstance(found, Refused):
        return f"refused: {found.error}, another controller is served"
    if isinstance(found, Event):
        return f"event {found.k}: {_status(found.status)}"
    return f"#{found.n} {'ok' if found.ok else f'NO, {found.error}'}: {_status(found.status)}"


def _status(status: Status) -> str:
    kept = f", keeps {' '.join(status.kept)}" if status.kept else ""
    pct = "" if status.battery_pct is None else f", battery {status.battery_pct} %"
    frames = f"window {status.window_ms} ms, {status.frame_count} frames{kept}"
    return f"{status.state.value}, {status.panel_id}, {frames}{pct}"


def _framed(message: Sequence[bytes]) -> str:
    found = decode(message)
    if isinstance(found, PanelFrame):
        size = f"{found.columns_px} x {found.rows_px} px, {sum(map(len, message))} bytes"
        checked = "hash ok" if len(message) > 1 else "sound"  # V2 may carry no hash
        late = "" if found.complete else ", WINDOW ENDED BEFORE DROP"
        what = f"series {found.series} frame {found.frame_index}"
        return f"{what}: {size}, {checked}{late}, {found.shot_id}"
    if isinstance(found, StreamStart):
        return f"series {found.series} starts, header {found.header_detail}"
    return f"series {found.series} ends"
