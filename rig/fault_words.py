"""A fault as people need it: what is wrong, at which device and port, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from firmware_py.config import UnitConfig
from firmware_py.record import RecordError, ScanRecord, read_record
from hal.faults import FAULTS

SILENT = {  # fault -> the link that fell silent
    "GENERATOR_LINK_LOST": "generator",
    "ROOM_IO_LOST": "room",
    "PANEL_LINK_LOST": "panel",
    "COLLIMATOR_LOST": "collimator",
}
LOG = "recorder.log"
# A date, then what came in the place of a frame:
_FRAME_WORDS = re.compile(r"\S+ ((?:second, different |damaged )?frame .*)")
TOGETHER = "SELF_TEST_TIMEOUT"  # says nothing beside the fault that names the device
FOLLOWS = ("WINDOW_ENDED",)  # once a link is silent: nobody could tell the panel to go on
Judge = Callable[[Mapping[str, Any]], bool]
ANSWERS: dict[str, Judge] = {  # does this line of the link's trace say that it answers?
    "generator": lambda line: line.get("state") not in (None, "offline"),
    "room": lambda line: line.get("link_ok") is True,
    "panel": lambda line: line.get("state") not in (None, "disconnected"),
    "collimator": lambda line: line.get("link_ok") is True,
}


def words(code: str, unit: UnitConfig, heard: Mapping[str, str] | None = None) -> str:
    """`heard`: what the record says of each link (`what_was_heard`)."""
    fault, where = FAULTS[code], place(code, unit)
    detail = (heard or {}).get(SILENT.get(code, code), "")
    return "".join(
        (
            fault.text.removesuffix("."),
            f": {where}" if where else "",
            f" ({detail})" if detail else "",
            f". {fault.action}",
        )
    )


def all_words(codes: Sequence[str], unit: UnitConfig, heard: Mapping[str, str]) -> list[str]:
    """The first fault is the cause; what came with it is told as such."""
    named = [code for code in codes if code != TOGETHER] or list(codes)
    if set(named) & set(SILENT):  # stable: what follows from silence comes after it
        named.sort(key=lambda code: code in FOLLOWS)
        first, *others = [words(code, unit, heard) for code in named]
        return [first, *(f"also seen: {text}" for text in others)]
    return [words(code, unit, heard) for code in named]


def place(code: str, unit: UnitConfig) -> str:
    """The device behind a fault, with its port; "" where it is no single device."""
    generator, room, panel = unit.generator, unit.room, unit.panel
    if code.startswith("GENERATOR"):
        return f"{generator.driver} at {generator.url}, {generator.baud} baud"
    if code.startswith(("ROOM_IO", "SELF_TEST_ENABLE")):
        return f"{room.driver} at {room.url}"
    beside = {"COLLIMATOR_LOST": unit.collimator, "DAP_LOST": unit.dap, "DAP_METER": unit.dap}
    if (own := beside.get(code)) is not None:
        return f"{own.driver} at {own.url}"
    if code == "PANEL_WRONG":
        return f"selected {panel.panel_id}, registered {', '.join(panel.registered)}"
    if code in ("FRAME_MISSING",):
        return f"{panel.panel_id} at {panel.data_url}"
    if code.startswith(("PANEL_LINK", "PANEL_NOT", "PANEL_ERROR", "WINDOW_REFUSED")):
        return f"{panel.panel_id} at {panel.control_url}"
    return ""


def what_was_heard(record: Path) -> dict[str, str]:
    """Of each link that failed or said only nonsense: why, from the run's own record."""
    try:
        header, scans, _ = read_record(record)
    except (OSError, RecordError):
        return {}
    found = {}
    lines = _trace_of(record)
    # The links that gave a valid answer in this run:
    answered = {kind for line in lines if ANSWERS.get(kind := line["kind"], _never)(line)}
    for link in header["links"]:
        failed = next((why for scan in reversed(scans) if (why := _why(scan, link))), "")
        got_bytes = sum(len(scan.got.get(link, b"")) for scan in scans)
        if link in answered:
            last_us = max((scan.t_us for scan in scans if _got(scan, link)), default=0)
            found[link] = f"it answered until {last_us / 1000:.1f} ms of this run, then fell silent"
        elif got_bytes:
            found[link] = f"{got_bytes} bytes came, no valid answer: wrong baud rate or device?"
        elif failed:
            found[link] = failed.split(": ", 1)[-1]
    return found | _of_frames(record.with_name(LOG)) | _of_panel(record)


def _of_frames(log: Path) -> dict[str, str]:
    """What became of the last frame that made no image, by the recorder's log."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    told = [match[1] for line in lines if (match := _FRAME_WORDS.match(line))]
    return {"FRAME_MISSING": told[-1]} if told else {}


def _of_panel(record: Path) -> dict[str, str]:
    ids = [line["panel_id"] for line in _trace_of(record) if line.get("panel_id")]
    return {"PANEL_WRONG": f"{ids[-1]} answers"} if ids else {}


def _got(scan: ScanRecord, link: str) -> bool:
    return link in scan.got or link in scan.got_messages


def _trace_of(record: Path) -> list[dict[str, Any]]:
    trace = record.with_name(record.name.replace("record", "trace")).with_suffix(".jsonl")
    try:
        return [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []


def _never(line: Mapping[str, Any]) -> bool:
    return False


def _why(scan: ScanRecord, link: str) -> str:
    """Of a read that failed in this scan, else of a write."""
    not_sent = scan.not_sent.get(link, {})
    return scan.failed.get(link) or next(iter(not_sent.values()), "")
