"""Is everything still as it was when it was called saved? Journal, files, and nothing besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.exposures import damage
from rig.bench_lock import is_owned
from rig.exit_codes import DeviceError
from rig.exposures.leftovers import leftovers, stray_halves
from rig.exposures.panel_set import needed_set, wrong_set
from rig.exposures.stored import Stored, all_stored
from rig.exposures.wrong import MISSING, wrong_in
from rig.recovery import journal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`exposure`: its id, or "journal", or the folder that belongs to none; "": of a run."""

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

    What is half-written is no finding while somebody owns the bench. Raises DeviceError when the
    journal can't be read at all.
    """
    found: list[Finding] = []
    is_busy, is_whole, sets = is_owned(state), chosen is None, set[Path]()
    if chosen is None:
        found += journal_findings(state)
        chosen = all_stored(state)
        found += [
            Finding(exposure=folder.name, what=f"{folder}: the journal knows no such exposure")
            for folder in left_over(state, {one.exposure.shot_id for one in chosen})
        ]
    for one in chosen:
        texts = [*wrong_files(one), *_wrong_set(one, sets)]
        if not is_busy:
            texts += _leftovers(one)
        found += [Finding(exposure=one.exposure.shot_id, what=what) for what in texts]
        on_exposure(one.exposure.shot_id)
    if is_whole and not is_busy:
        for run in sorted({one.folder.parents[1] for one in chosen if one.folder is not None}):
            halves = [f"{left.path}: {left.what}" for left in stray_halves(run)]
            found += [Finding(exposure="", what=what) for what in halves]
    return Verdict(
        exposures_count=len(chosen),
        files_count=sum(len(one.sha256) for one in chosen),
        findings=tuple(found),
    )


def wrong_files(one: Stored) -> Iterator[str]:
    if one.folder is None and one.sha256:
        yield f"its {len(one.sha256)} files are not where they were saved"
    yield from (wrong.text for wrong in wrong_in(one))


def journal_findings(state: Path) -> list[Finding]:
    """Of the whole file. Raises DeviceError when it can't be read at all."""
    path = journal_of(state)
    if not path.exists():
        return []
    try:
        return [Finding(exposure="journal", what=what) for what in damage(path)]
    except JournalError as error:
        raise DeviceError(str(error)) from error


def left_over(state: Path, known: set[str]) -> list[Path]:
    """Frames without an intent: the journal that knew them is another one, or was lost."""
    return [
        folder
        for folder in sorted(state.glob("runs/*/exposures/*/"))
        if folder.name not in known and not _own_journal(folder.parents[1])
    ]


def _wrong_set(one: Stored, seen: set[Path]) -> Iterator[str]:
    """Each once: it is large, and of a whole run."""
    needed = needed_set(one)
    if needed is None or needed[0] in seen:
        return
    seen.add(needed[0])
    if what := wrong_set(*needed):
        yield f"{needed[0]}: is {what}" if what == MISSING else f"{needed[0]}: is not what was used"


def _leftovers(one: Stored) -> Iterator[str]:
    try:
        yield from (f"{left.path}: {left.what}" for left in leftovers(one))
    except OSError as error:
        yield f"{error.filename}: {(error.strerror or str(error)).lower()}"


def _own_journal(run: Path) -> bool:
    """A demo's run: its state is not the bench's, and lies in it."""
    return (run / "state").is_dir()
