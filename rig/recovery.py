"""Exposures of an earlier run that lack their dose or image, and who looked at them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.database import JournalError, explain, open_read_only
from firmware_py.recorder.store.exposures import Exposure, read_exposures
from firmware_py.recorder.store.journal import Journal
from hal.types import ShotKind
from rig.bench_lock import hold_bench
from rig.exit_codes import DeviceError, Refused, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """One that nobody has acknowledged."""

    shot_id: str
    at: str
    technique: dict[str, Any]
    missing: str  # dose | image
    dose: str  # as in "unknown, at most 1 mAs, by the programme"
    image: str  # saved | missing | not awaited | not known


def journal_of(state: Path) -> Path:
    return state / "journal.db"


def open_exposures(state: Path) -> list[Open]:
    """Oldest first; only read. Raises DeviceError when the journal can't be read.

    One that nobody has ended yet is shown as the next run or `acknowledge` will end it.
    """
    path = journal_of(state)
    if not path.exists():
        return []
    try:
        rows = [row for row in read_exposures(path) if row.incomplete]
        intents = _intents(path)
    except JournalError as error:
        raise DeviceError(str(error)) from error
    if not rows:
        return []
    from firmware_py.recorder.lost_exposure import as_ended  # pydantic: 190 ms
    from firmware_py.word_file import read_words

    words = read_words(state)
    ended = [as_ended(row, intents.get(row.shot_id, {}), words) for row in rows]
    return [_open(row, _technique(intents.get(row.shot_id, {}))) for row in ended if row.incomplete]


def end_lost(state: Path) -> None:
    """Write down what units that died still owed; the bench must be held, and nothing of it run.

    What can't be written stays open.
    """
    from firmware_py.recorder.lost_exposure import end_lost as end_lost_exposure  # as above
    from firmware_py.word_file import forget, read_words

    path = journal_of(state)
    if not path.exists():
        return
    with suppress(JournalError):
        if any(row.beam is None and row.sound for row in read_exposures(path)):
            with closing(Journal(path, owner="dxrig recover")) as journal:
                for row in journal.exposures():
                    if row.beam is None and row.sound:
                        end_lost_exposure(journal, row, read_words(state))
        forget(state)


def refuse_if_open(state: Path, bench: str) -> None:
    """SR-53: looked at before the next exposure, and before anything is started."""
    end_lost(state)
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
        end_lost(state)
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


def _intents(path: Path) -> dict[str, dict[str, Any]]:
    with closing(open_read_only(path)) as connection:
        try:
            rows = connection.execute("SELECT shot_id, detail FROM intent").fetchall()
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(path), error) from error
    return {shot_id: _content(detail) for shot_id, detail in rows}


def _content(intent: str) -> dict[str, Any]:
    """Empty for a damaged record."""
    try:
        return dict(json.loads(intent))
    except (TypeError, ValueError):
        return {}


def _technique(intent: dict[str, Any]) -> dict[str, Any]:
    """Empty where it is not known: of a damaged record, or of one that a witness brought back."""
    try:
        return dict(intent["shot"]["technique"])
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
        image=_image(row),
    )


def _image(row: Exposure) -> str:
    if not row.sound:
        return "not known"
    if row.image is not None:
        return "saved"
    return "missing" if row.beam and row.kind != ShotKind.NO_RECEPTOR else "not awaited"
