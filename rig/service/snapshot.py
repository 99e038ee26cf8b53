"""A bench as it is at one moment, in one file; and what differs between two such moments.

Errors are dated by this computer's clock (no device of a bench tells a time over its wire),
so the state of that clock stands beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from rig.bench import Bench
from rig.exit_codes import CheckFailed, DeviceError, DxrigError, UsageError
from rig.run_folder import versions
from rig.serial_ports import serial_ports
from rig.service.attempts import attempts
from rig.service.cause import Place, cause_of
from rig.service.clock_state import clock_state
from rig.service.params_device import Known
from rig.service.runs import lines_of, runs_of

SCHEMA = 1
RUNS_COUNT = 20
WITHOUT_CODES = {"ready_held_too_long": ("READY_TIMEOUT",)}  # a report without a fault
TABLE_ROWS = 3  # more that came or went together are told as one
LISTS = ("errors", "runs")  # compared as what is new, the rest value by value
PASSING = ("taken_at", "computer.clock.max_error_ms", "unit.scans", "unit.latest_us")


def taken(
    bench: Bench,
    state: Path,
    place: Place,
    devices: Mapping[str, Known | str],
    *,
    unit: Mapping[str, Any] | None,
    at: datetime,
    reference: datetime | None,
) -> dict[str, Any]:
    """`devices`: what each said, or why it could not be asked; `unit`: status of one that runs."""
    runs = runs_of(state)[:RUNS_COUNT]
    return {
        "schema": SCHEMA,
        "kind": "snapshot",
        "taken_at": at.isoformat(timespec="milliseconds"),
        "bench": {"name": bench.name, "sha256": bench.hash, "rung": bench.unit.rung},
        "software": versions(),
        "computer": {
            "clock": clock_state(at, reference),
            "device_clocks": "none: no device here tells a time over its wire",
            "ports": {port.path: port.by_id or port.about or "-" for port in serial_ports()},
        },
        "devices": {name: _device(found) for name, found in devices.items()},
        "unit": _unit(unit),
        "counters": _counters(state),
        "errors": [one for run in runs for one in _errors(run, place)],
        "runs": [_run(run) for run in runs],
    }


def _device(found: Known | str) -> dict[str, Any]:
    return {"error": found} if isinstance(found, str) else asdict(found)


def _unit(status: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if status is None:
        return None
    names = ("state", "why", "generator", "panel", "scans", "skipped_scans", "latest_us")
    codes = {key: [one["code"] for one in status[key]] for key in ("faults", "inhibits")}
    return {**{name: status.get(name) for name in names}, **codes}


def _counters(state: Path) -> dict[str, Any]:
    """By the journal: what was irradiated, not what was tried."""
    from rig.exposures.stored import listed

    try:
        known = listed(state, None)
    except DeviceError as error:
        return {"journal": str(error)}
    beams = [one for one in known if one.beam is not False]
    return {
        "exposures": len(known),
        "with_beam": len(beams),
        "mas_indicated": round(sum(one.mas or 0.0 for one in beams), 3),
        "incomplete": sum(one.incomplete for one in known),
        "runs_kept": len(runs_of(state)),
    }


def _started(run: Path) -> tuple[dict[str, Any], datetime | None]:
    try:
        manifest = dict(json.loads((run / "run.json").read_text(encoding="utf-8")))
        return manifest, datetime.fromisoformat(str(manifest["started_at"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:  # killed: only its folder's name tells
        return {}, datetime.strptime(run.name.partition("-")[0], "%Y%m%dT%H%M%S%z")
    except ValueError:
        return {}, None


def _run(run: Path) -> dict[str, Any]:
    manifest, started = _started(run)
    return {
        "run": run.name,
        "started_at": started.isoformat(timespec="seconds") if started else None,
        "end_reason": manifest.get("end_reason", "no manifest: it was killed"),
        "fault": manifest.get("fault"),
    }


def _errors(run: Path, place: Place) -> Iterator[dict[str, Any]]:
    """Refusals and faults of a run, the newest first; a damaged trace is one of them."""
    _, started = _started(run)
    try:
        found = attempts(lines_of(run))
    except CheckFailed as error:
        yield {"at": None, "run": run.name, "codes": [], "text": str(error)}
        return
    for one in reversed(found):
        if codes := one.codes or WITHOUT_CODES.get(one.why, ()):
            at = started + timedelta(microseconds=one.t_us) if started else None
            yield {
                "at": at.isoformat(timespec="milliseconds") if at else None,
                "run": run.name, "codes": list(codes), "text": cause_of(one, place).sentence,
            }  # fmt: skip


# --- the file


def read_snapshot(path: Path) -> dict[str, Any]:
    """Raises UsageError with what is wrong."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{path}: can't be read: {why}") from error
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != "snapshot":
        raise UsageError(f"{path}: is no snapshot; `dxrig snapshot take FILE` makes one")
    if found.get("schema") != SCHEMA:
        raise UsageError(f"{path}: has schema {found.get('schema')!r}; this version reads {SCHEMA}")
    return found


def write_snapshot(path: Path, found: Mapping[str, Any]) -> None:
    """A new file: raises DeviceError rather than overwrite one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DeviceError(f"{path}: can't be written: {why}") from error


# --- two of them


def compared(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """{"changed": [{key, a, b}], "new_errors": [...], "new_runs": [...]}, from a to b."""
    if a["bench"]["name"] != b["bench"]["name"]:
        names = f"{a['bench']['name']} and {b['bench']['name']}"
        raise UsageError(f"these are snapshots of two benches, {names}")
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    keys = [*flat_a, *(key for key in flat_b if key not in flat_a)]
    changed = [
        {"key": key, "a": flat_a.get(key), "b": flat_b.get(key)}
        for key in keys
        if key not in PASSING and flat_a.get(key) != flat_b.get(key)
    ]
    new = {f"new_{name}": [one for one in b[name] if one not in a[name]] for name in LISTS}
    return {"changed": changed, **new}


def changes(changed: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """(key, was, is) for people: what has come or gone as a table is one line."""

    def moved(one: Mapping[str, Any]) -> tuple[str, bool, bool]:
        return one["key"].rpartition(".")[0], one["a"] is None, one["b"] is None

    for (table, came, went), group in groupby(changed, moved):
        rows = list(group)
        if (came or went) and len(rows) > TABLE_ROWS:
            told = f"{len(rows)} values"
            yield (table, "-", told) if came else (table, told, "-")
        else:
            yield from ((one["key"], *_shown_both(one["a"], one["b"])) for one in rows)


def _shown_both(a: Any, b: Any) -> tuple[str, str]:
    """Of lists only what the other has not."""
    if isinstance(a, list) and isinstance(b, list):
        a, b = ("; ".join(x for x in one if x not in other) for one, other in ((a, b), (b, a)))
    return a if a not in (None, "") else "-", b if b not in (None, "") else "-"


def _flat(found: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(found, Mapping):
        for name, inner in found.items():
            if key or name not in LISTS:
                yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, found


def why_not(error: DxrigError) -> str:
    """Why a device could not be asked, for its place in the file."""
    return str(error).splitlines()[0]
