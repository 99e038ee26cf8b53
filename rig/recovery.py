"""Exposures of an earlier run that lack their dose or image, and who looked at them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.database import JournalError, explain, open_read_only
from firmware_py.recorder.store.exposures import Exposure, read_exposures
from firmware_py.recorder.store.journal import Journal
from rig.bench_lock import hold_bench
from rig.exit_codes import DeviceError, Refused, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """One that nobody has acknowledged."""

    shot_id: str
    at: str
    technique: dict[str, Any]
    missing: str  # dose | image
    dose: str  # as in "unknown, at most 1 mAs"


def journal_of(state: Path) -> Path:
    return state / "journal.db"


def open_exposures(state: Path) -> list[Open]:
    """Oldest first. Raises DeviceError when the journal can't be read."""
    path = journal_of(state)
    if not path.exists():
        return []
    try:
        rows = [row for row in read_exposures(path) if row.missing and not row.acknowledged_by]
        techniques = _techniques(path)
    except JournalError as error:
        raise DeviceError(str(error)) from error
    return [_open(row, techniques.get(row.shot_id, {})) for row in rows]


def refuse_if_open(state: Path, bench: str) -> None:
    """SR-53: looked at before the next exposure, and before anything is started."""
    found = open_exposures(state)
    if found:
        told = "; ".join(f"{one.shot_id}: {one.missing} missing, dose {one.dose}" for one in found)
        raise Refused(
            f"an exposure of an earlier run is incomplete ({told}); "
            f"look at it with `dxrig recover --bench {bench}`, then acknowledge it there"
        )


def acknowledge(state: Path, shot_id: str, *, who: str, why: str) -> None:
    """Raises DeviceError while somebody else owns the bench, UsageError for a wrong id or text."""
    with hold_bench(state, "dxrig recover"):
        known = [one.shot_id for one in open_exposures(state)]
        if shot_id not in known:
            there_are = f"open: {', '.join(known)}" if known else "none is open"
            raise UsageError(f"no incomplete exposure {shot_id!r}; {there_are}")
        try:
            journal = Journal(journal_of(state), owner="dxrig recover")
            with closing(journal):
                journal.acknowledge(shot_id, who=who, why=why, at=datetime.now(UTC))
        except JournalError as error:
            raise DeviceError(str(error)) from error


def _techniques(path: Path) -> dict[str, dict[str, Any]]:
    with closing(open_read_only(path)) as connection:
        try:
            rows = connection.execute("SELECT shot_id, detail FROM intent").fetchall()
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(path), error) from error
    return {shot_id: _technique(detail) for shot_id, detail in rows}


def _technique(intent: str) -> dict[str, Any]:
    """Empty where it is not known: of a damaged record, or of one that a witness brought back."""
    try:
        return dict(json.loads(intent)["shot"]["technique"])
    except (LookupError, TypeError, ValueError):
        return {}


def _open(row: Exposure, technique: dict[str, Any]) -> Open:
    assert row.missing is not None
    return Open(
        shot_id=row.shot_id,
        at=row.at,
        technique=technique,
        missing=row.missing,
        dose=row.dose_text,
    )
