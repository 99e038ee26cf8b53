"""A flat panel with its control on ZeroMQ DEALER/ROUTER and its frames on PUSH/PULL.

The control messages are SYNTHETIC: no maker publishes such a wire, so this one is ours.
What they mean follows public handshakes: request and window are the Canon CXDI-80C's
RX_REQ and RX_COM (protocols.md 9.1.1), the state names are the project's (9.3). Frames
are Stream V1 (hal/stream_v1.py). Not checked against any panel.

One JSON object is one message of one part:

    controller -> panel   {"v":3,"n":7,"do":"request","shot":"S-1"}
    panel -> controller   {"v":3,"n":7,"ok":true,"state":"preparing","panel":"SIM-PANEL-1",
                           "window_ms":5000,"frames":0,"kept":[],"battery_pct":87,"error":null}
    panel, on each change {"v":3,"event":"state","k":3,"state":"readout","panel":...,
                           "window_ms":...,"frames":...,"kept":[...],"battery_pct":...}
    panel, to a second controller {"v":3,"event":"refused","error":"busy"}

`n` counts the questions and `k` the changes; both only go up. T_PREP, request to window,
is 0-300 ms. A request dropped before its window opened opens none, and a panel like
Canon's then needs about 1 s before it works again: the state says so ("recover").

A frame stays in the panel's memory until `free` names its shot, and `resend` sends it once
more; `kept` lists what is there, the oldest first. Version 1 had no memory. `battery_pct`, whole
percent of a full charge, is null where the panel is tethered; version 2 had none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hal.ports import WireError
from hal.stream_v1 import ID_CHARS
from hal.strict_json import MAX_INTEGER, dumps, flag, integer, loads, shown, text, texts
from hal.types import PanelState

# --- 1 commands ---------------------------------------------------------------------------------

COMMANDS = {  # what the panel may answer in `error`, beside "fault"
    "identify": (),
    "status": (),
    "prepare": ("no_consumer",),  # frames would have nowhere to go
    "standby": (),
    "request": ("not_ready", "shot_used"),  # needs "shot"
    "drop": (),  # ends the request, and with it the window; always granted
    "resend": ("no_consumer", "not_kept", "working"),  # needs "shot"
    "free": (),  # needs "shot"; always granted
}
NAMES_SHOT = ("request", "resend", "free")
ERRORS = ("fault", *dict.fromkeys(error for errors in COMMANDS.values() for error in errors))
VERSION = 3
CONTROL_BYTES = 4096
KEPT_COUNT_MAX = 32
WINDOW_MS_MAX = 60_000

# --- 2 encode and decode ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    n: int
    do: str
    shot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    state: PanelState
    panel_id: str
    window_ms: int
    frame_count: int
    kept: tuple[str, ...] = ()
    battery_pct: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    n: int  # of the question
    ok: bool
    status: Status
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    k: int
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The panel serves another controller."""

    error: str


def encode(message: Question | Reply | Event | Refused) -> list[bytes]:
    fields: dict[str, Any] = {"v": VERSION}
    match message:
        case Question(n=n, do=do, shot=shot):
            fields |= {"n": n, "do": do} | ({} if shot is None else {"shot": shot})
        case Reply(n=n, ok=ok, status=status, error=error):
            fields |= {"n": n, "ok": ok, **_status_fields(status), "error": error}
        case Event(k=k, status=status):
            fields |= {"event": "state", "k": k, **_status_fields(status)}
        case _:
            fields |= {"event": "refused", "error": message.error}
    return [dumps(fields)]


def decode_question(message: Sequence[bytes]) -> Question:
    fields = _fields(message)
    do = text(fields, "do", 16)
    if do not in COMMANDS:
        raise WireError(f"do: must be one of {', '.join(COMMANDS)}, got {do!r}")
    needs_shot = do in NAMES_SHOT
    _only(fields, {"v", "n", "do"} | ({"shot"} if needs_shot else set()))
    return Question(
        n=integer(fields, "n", 1, MAX_INTEGER),
        do=do,
        shot=text(fields, "shot", ID_CHARS) if needs_shot else None,
    )


def decode_answer(message: Sequence[bytes]) -> Reply | Event | Refused:
    fields = _fields(message)
    if "event" not in fields:
        return _decode_reply(fields)
    if fields["event"] == "refused":
        _only(fields, {"v", "event", "error"})
        return Refused(error=text(fields, "error", 40))
    if fields["event"] != "state":
        raise WireError(f"event: must be state or refused, got {shown(fields['event'])}")
    _only(fields, {"v", "event", "k", *STATUS_KEYS})
    return Event(k=integer(fields, "k", 1, MAX_INTEGER), status=_decode_status(fields))


def _decode_reply(fields: dict[str, Any]) -> Reply:
    _only(fields, {"v", "n", "ok", "error", *STATUS_KEYS})
    ok, error = flag(fields, "ok"), fields["error"]
    if (error is None) != ok or error not in (None, *ERRORS):
        raise WireError(f"error: must be null if ok, else one of {ERRORS}, got {shown(error)}")
    n = integer(fields, "n", 1, MAX_INTEGER)
    return Reply(n=n, ok=ok, status=_decode_status(fields), error=error)


STATUS_KEYS = ("state", "panel", "window_ms", "frames", "kept", "battery_pct")
REPORTED = {state.value: state for state in PanelState if state is not PanelState.DISCONNECTED}


def _status_fields(status: Status) -> dict[str, Any]:
    return {
        "state": status.state.value,
        "panel": status.panel_id,
        "window_ms": status.window_ms,
        "frames": status.frame_count,
        "kept": list(status.kept),
        "battery_pct": status.battery_pct,
    }


def _decode_status(fields: dict[str, Any]) -> Status:
    state = text(fields, "state", 16)
    if state not in REPORTED:
        raise WireError(f"state: must be one of {', '.join(REPORTED)}, got {state!r}")
    return Status(
        state=REPORTED[state],
        panel_id=text(fields, "panel", ID_CHARS),
        window_ms=integer(fields, "window_ms", 1, WINDOW_MS_MAX),
        frame_count=integer(fields, "frames", 0, MAX_INTEGER),
        kept=texts(fields, "kept", KEPT_COUNT_MAX, ID_CHARS),
        battery_pct=_battery_pct(fields),
    )


def _battery_pct(fields: dict[str, Any]) -> int | None:
    return None if fields["battery_pct"] is None else integer(fields, "battery_pct", 0, 100)


def _fields(message: Sequence[bytes]) -> dict[str, Any]:
    if len(message) != 1:
        raise WireError(f"a control message has 1 part, got {len(message)}")
    fields = loads(message[0], max_bytes=CONTROL_BYTES)
    integer(fields, "v", VERSION, VERSION)
    return fields


def _only(fields: dict[str, Any], keys: set[str]) -> None:
    if fields.keys() != keys:
        raise WireError(f"keys must be {sorted(keys)}, got {shown(sorted(fields))}")
