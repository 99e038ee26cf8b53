"""Is everything still as it was when it was called saved? Journal, files, and nothing besides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.exposures import damage
from rig.exit_codes import DeviceError
from rig.exposures.stored import Stored, all_stored
from rig.recovery import journal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`exposure`: its id, or "journal", or the folder that belongs to none."""

    exposure: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    exposures_count: int
    files_count: int
    findings: tuple[Finding, ...]


def verify(
    state: Path,
    chosen: Sequence[Stored] | None = None,
    on_exposure: Callable[[str], None] = lambda shot_id: None,
) -> Verdict:
    """`chosen`: those alone; None: all of them, the journal as a whole, and what is left over.

    Raises DeviceError when the journal can't be read at all.
    """
    found: list[Finding] = []
    if chosen is None:
        found += _journal(state)
        chosen = all_stored(state)
        found += _left_over(state, {one.exposure.shot_id for one in chosen})
    for one in chosen:
        on_exposure(one.exposure.shot_id)
        found += [Finding(exposure=one.exposure.shot_id, what=what) for what in wrong_files(one)]
    return Verdict(
        exposures_count=len(chosen),
        files_count=sum(len(one.sha256) for one in chosen),
        findings=tuple(found),
    )


def wrong_files(one: Stored) -> Iterator[str]:
    if one.folder is None:
        if one.sha256:
            yield f"its {len(one.sha256)} files are not where they were saved"
        return
    for name, sha256 in sorted(one.sha256.items()):
        path = one.folder / name
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    yield f"{path}: is not what was saved; keep it, and check the disk"
        except OSError as error:
            yield f"{path}: {(error.strerror or str(error)).lower()}"


def _journal(state: Path) -> list[Finding]:
    path = journal_of(state)
    if not path.exists():
        return []
    try:
        return [Finding(exposure="journal", what=what) for what in damage(path)]
    except JournalError as error:
        raise DeviceError(str(error)) from error


def _left_over(state: Path, known: set[str]) -> list[Finding]:
    """Frames without an intent: the journal that knew them is another one, or was lost."""
    return [
        Finding(exposure=folder.name, what=f"{folder}: the journal knows no such exposure")
        for folder in sorted(state.glob("runs/*/exposures/*/"))
        if folder.name not in known and not _own_journal(folder.parents[1])
    ]


def _own_journal(run: Path) -> bool:
    """A demo's run: its state is not the bench's, and lies in it."""
    return (run / "state").is_dir()
