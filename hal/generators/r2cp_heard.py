"""An R2CP conversation told in words: entry, function, and what the data mean.

Unverified against a device, as all of R2CP here. BLOCK packets are told one by one.
"""

from __future__ import annotations

from hal.generators.r2cp_layouts import (
    DATABANK,
    POST_EXPOSURE,
    PROCEDURE,
    STATUS,
    Layout,
    State,
    read_battery,
    read_message,
    unpacked,
)
from hal.generators.r2cp_results import RX_DISABLE_ID, message_words, result_words
from hal.generators.r2cp_wire import Entry, Frame, Function, entry_at, processed, take_frame
from hal.listener import WireListener
from hal.ports import Direction, Kind

_LAYOUTS: dict[str, Layout] = {
    "databank": DATABANK, "status": STATUS, "post_exposure": POST_EXPOSURE, "procedure": PROCEDURE,
}  # fmt: skip
_SETTING = ("databank", "procedure", "assign")


def listener() -> WireListener[Frame]:
    return WireListener(_Wire())


class _Wire:
    def take(self, direction: Direction, buffer: bytearray) -> Frame | None:
        return take_frame(buffer)

    def tell(self, direction: Direction, frame: Frame) -> tuple[Kind, str]:
        entry = entry_at(frame.index, frame.subindex)
        text = f"{_head(frame, entry)}{_data(frame, entry)}"
        if direction is Direction.FROM_DEVICE:
            return (Kind.REPLY if entry else Kind.UNKNOWN), text
        return _kind(frame, entry), text


def _head(frame: Frame, entry: Entry | None) -> str:
    name = entry.name if entry else f"entry {frame.index:#04x}/{frame.subindex}"
    return f"{frame.issuer}>{frame.target} #{frame.sequence_index} {frame.function.name} {name}"


def _data(frame: Frame, entry: Entry | None) -> str:
    if frame.function is Function.PROCESSED:
        sequence_index, result_code = processed(frame)
        name = entry.name if entry else f"entry {frame.index:#04x}/{frame.subindex}"
        words = "done" if result_code == 0 else result_words(name, result_code)
        return f": #{sequence_index} {words}"
    if not frame.data:
        return ""
    if frame.function in (Function.SET, Function.ANSWER) and entry is not None:
        return f": {_meaning(frame, entry)}"
    return f": {frame.data.hex(' ')}"


def _meaning(frame: Frame, entry: Entry) -> str:
    if entry.name == "exposure":
        return "start" if frame.data[0] else "stop"
    if entry.name == "message":
        message = read_message(frame.data)
        return f"{message_words(message)} {'active' if message.active else 'not active'}"
    if entry.name == "battery":
        pct = read_battery(frame.data)
        return f"{pct:g} %" if pct is not None else f"no level: {frame.data.hex(' ')}"
    layout = _LAYOUTS.get(entry.name)
    if layout is None:
        return frame.data.hex(" ")
    values = unpacked(layout, frame.data)
    state = _state(values.pop("state_index", None))
    shown = [state] if state else []
    shown += [f"{name} {value:.10g}" for name, value in values.items() if value]
    return ", ".join(shown) or "all 0"


def _state(value: float | None) -> str:
    if value is None:
        return ""
    known = value in set(State)
    return State(int(value)).name.lower().replace("_", " ") if known else f"state {value:g}?"


def _kind(frame: Frame, entry: Entry | None) -> Kind:
    if frame.function is Function.GET:
        return Kind.QUERY
    if entry is None:
        return Kind.UNKNOWN
    if frame.function is not Function.SET:
        return Kind.ACT  # connecting, heart-beats, answers to the hub, BLOCK
    if entry.name == "exposure":
        return Kind.BEAM if frame.data[0] else Kind.STOP
    if entry.name == "activate":  # it readies rotor and filament; byte 1 = 0 ends that
        return Kind.BEAM if frame.data[1] else Kind.STOP
    if entry.name == "message" and read_message(frame.data).message_id == RX_DISABLE_ID:
        return Kind.STOP if read_message(frame.data).active else Kind.BEAM
    return Kind.SET if entry.name in _SETTING else Kind.ACT
