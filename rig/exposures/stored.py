"""One exposure as the journal and its folder have it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.exposures import Exposure, read_exposure, read_exposures
from rig.exit_codes import DeviceError, UsageError
from rig.recovery import journal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """`folder`: where its files lie; None: it has none, or nobody wrote down where."""

    exposure: Exposure
    intent: dict[str, Any]
    dose: dict[str, Any] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def sha256(self) -> dict[str, str]:
        """By file name, as they were when the image was saved."""
        files: dict[str, str] = self.image.get("files", {})
        return files


def listed(state: Path, last: int | None) -> list[Exposure]:
    """Oldest first; without a journal there is none. Raises DeviceError."""
    journal = journal_of(state)
    if not journal.exists():
        return []
    try:
        return read_exposures(journal, last)
    except JournalError as error:
        raise DeviceError(str(error)) from error


def stored(state: Path, which: str) -> Stored:
    """By id or number. Raises UsageError with the nearest id, DeviceError."""
    journal = journal_of(state)
    try:
        found = read_exposure(journal, which) if journal.exists() else None
    except JournalError as error:
        raise DeviceError(str(error)) from error
    if found is None:
        raise UsageError(f"no exposure {which!r}; {_near(state, which)}")
    exposure, texts = found
    if not exposure.sound:  # what its rows say now was never written
        return Stored(exposure=exposure, intent={}, folder=_folder(state, exposure.shot_id, {}))
    details = {table: dict(json.loads(text)) for table, text in texts.items()}
    folder = _folder(state, exposure.shot_id, details["intent"])
    return Stored(exposure=exposure, folder=folder, **details)


def all_stored(state: Path) -> list[Stored]:
    return [stored(state, exposure.shot_id) for exposure in listed(state, None)]


def _near(state: Path, which: str) -> str:
    from rig.config_errors import nearest

    known = listed(state, None)
    if not known:
        return "this bench has made none"
    near = nearest(which, [exposure.shot_id for exposure in known])
    numbers = f"numbers 1 to {known[-1].number}"
    return f"did you mean '{near}'? ({numbers})" if near else f"there are {numbers}"


def _folder(state: Path, shot_id: str, intent: dict[str, Any]) -> Path | None:
    """Of the run that the intent names; a state folder that was moved has its runs with it."""
    named = Path(str(intent.get("run_dir", "")))
    beside = state / "runs" / named.name
    for run in (state / named, beside) if named.name else state.glob("runs/*"):
        folder = run / "exposures" / shot_id
        if folder.is_dir():
            return folder.resolve()  # as one types it: the journal has it relative to itself
    return None
