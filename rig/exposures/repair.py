"""`dxrig exposures repair`: every finding of `verify`, and what was done about it.

Nobody else may own the bench meanwhile, nor write its journal: a recorder that outlived its
session is still saving.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from firmware_py.recorder.store.lock import LockHeldError, OwnedLock
from rig.bench_lock import hold_bench
from rig.exit_codes import DeviceError
from rig.exposures.mended import LEFT, Mended
from rig.exposures.mending import Mending
from rig.exposures.sources import Sources
from rig.exposures.stored import Stored, all_stored
from rig.exposures.verify import journal_findings, left_over
from rig.recovery import journal_of

OWNER = "dxrig exposures repair"
_OF_JOURNAL = "no row is made again; put a sound journal.db of a backup in its place"
_OF_FOLDER = "its journal is another one, or was lost; put that of a backup in its place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    exposures_count: int
    files_count: int
    rows: tuple[Mended, ...]

    @property
    def left_count(self) -> int:
        return sum(not one.is_mended for one in self.rows)


def repair(
    state: Path,
    ids: Sequence[str] | None = None,
    *,
    source: Path | None = None,
    on_exposure: Callable[[str], None] = lambda shot_id: None,
) -> Repaired:
    """`ids`: those exposures alone; None: all, the journal, and what belongs to none.

    `source`: a folder that may hold sound copies. Raises DeviceError: somebody else owns the
    bench, its state can't be written, or the journal can't be read.
    """
    if not journal_of(state).exists():
        return Repaired(exposures_count=0, files_count=0, rows=())
    with _alone(state):
        known = all_stored(state)
        chosen = [one for one in known if ids is None or one.exposure.shot_id in ids]
        mending = Mending(Sources(state, source), datetime.now(UTC))
        rows = [] if ids is not None else [*_journal(state), *_strangers(state, known)]
        for one in chosen:
            rows += mending.exposure(one, _of_its_run(one, known))
            on_exposure(one.exposure.shot_id)
        if ids is None:
            for run in _runs(known):
                rows += mending.run(run)
    return Repaired(
        exposures_count=len(chosen),
        files_count=sum(len(one.sha256) for one in chosen),
        rows=tuple(rows),
    )


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    if not os.access(state, os.W_OK | os.X_OK):
        raise DeviceError(
            f"{state}: can't be written; nothing was changed. "
            "Mount it for writing, or check who owns it"
        )
    with hold_bench(state, OWNER):
        try:
            lock = OwnedLock(journal_of(state), OWNER)
        except LockHeldError as error:
            raise DeviceError(
                f"the journal of bench {state.name} is being written by {error}; end that first"
            ) from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise DeviceError(f"{state}: {why}; nothing was changed") from error
        try:
            yield
        finally:
            lock.release()


def _journal(state: Path) -> Iterator[Mended]:
    for one in journal_findings(state):
        yield Mended(
            exposure="journal", file=journal_of(state).name, found=one.what, done=LEFT,
            why=_OF_JOURNAL, path=journal_of(state),
        )  # fmt: skip


def _strangers(state: Path, known: Sequence[Stored]) -> Iterator[Mended]:
    """They stay: a journal that comes back looks for its exposures where they were."""
    for folder in left_over(state, {one.exposure.shot_id for one in known}):
        yield Mended(
            exposure=folder.name, file="all files", found="unknown to the journal", done=LEFT,
            why=_OF_FOLDER, path=folder,
        )  # fmt: skip


def _of_its_run(one: Stored, known: Sequence[Stored]) -> list[str]:
    run = one.folder and one.folder.parents[1]
    return [o.exposure.shot_id for o in known if o.folder and o.folder.parents[1] == run]


def _runs(known: Sequence[Stored]) -> list[Path]:
    runs = (one.folder.parents[1] for one in known if one.folder is not None)
    return [run for run, _ in groupby(sorted(runs))]
