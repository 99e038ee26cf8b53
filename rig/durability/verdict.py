"""The judge: opens a dead victim's folder as the next start would, and compares.

Nothing that was acknowledged may be missing, and nothing may be there that belongs to
nobody. What was not acknowledged may be there or not.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from firmware_py.recorder.archive import Archive
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.exposures import Exposure
from firmware_py.recorder.store.journal import Journal
from rig.durability.heard import Heard
from rig.durability.kept import files_wrong, not_again, orphans
from rig.durability.promised import Promised
from rig.durability.story import panel_set, planned, setup, shot_id
from rig.durability.victim import journal_path, run_folder

CLOSING = "closing the journal raised"
NOT_AGAIN = "its images can't be made again"


@dataclass(slots=True)
class Verdict:
    """`lost`: a promise that was broken, one line each. `noted`: broken, but nobody promised it.

    `bound_mas`: most that those exposures may have had whose dose is unknown.
    """

    acknowledged_count: int = 0
    incomplete_count: int = 0
    recovered_count: int = 0  # images made at the next start from frames that were safe
    known_mas: float = 0.0
    bound_mas: float = 0.0
    is_unreadable: bool = False
    lost: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)


def judge(folder: Path, seed: int, heard: Heard) -> Verdict:
    """Starts a recorder there, so that what it can recover is recovered."""
    verdict = Verdict(acknowledged_count=heard.acknowledged_count)
    verdict.lost += [f"crashed: {text}" for text in heard.crashes]
    verdict.noted += [f"{CLOSING}: {text}" for text in heard.closing]
    try:
        with closing(Journal(journal_path(folder))) as journal:
            _Judge(folder, seed, heard, journal, verdict).go()
    except (JournalError, OSError) as error:
        verdict.is_unreadable = True
        verdict.lost.append(f"all {heard.acknowledged_count} that were acknowledged: {error}")
    return verdict


class _Judge:
    def __init__(
        self, folder: Path, seed: int, heard: Heard, journal: Journal, verdict: Verdict
    ) -> None:
        self._run = run_folder(folder)
        self._seed = seed
        self._heard = heard
        self._journal = journal
        self._verdict = verdict

    def go(self) -> None:
        verdict = self._verdict
        rows: dict[str, Exposure] = {}
        promised = Promised(self._seed, self._heard, self._journal, self._run, rows)
        archive = Archive(self._run, panel_set(), durable=False)
        recorder = Recorder(setup(), self._journal, archive=archive)
        before = {row.shot_id for row in recorder.recover()}
        verdict.lost += promised.recovered_saved(before)
        recorder.resume(0)
        left = {row.shot_id for row in recorder.recover()}
        verdict.recovered_count = len(before - left)
        verdict.incomplete_count = len(left)
        rows |= {row.shot_id: row for row in self._journal.exposures()}
        verdict.lost += promised.broken()
        verdict.noted += promised.unheard()
        for row in rows.values():
            self._row(row, is_listed=row.shot_id in left)
        verdict.lost += orphans(self._run, rows)
        self._bounded()

    def _row(self, row: Exposure, *, is_listed: bool) -> None:
        """Acknowledged or not."""
        if (row.missing is not None) != is_listed:
            self._wrong(row, f"misses {row.missing}, listed as incomplete: {is_listed}")
        if row.mas is None and row.beam is not False:
            self._verdict.bound_mas += row.maximum_mas
            if not row.dose_text.startswith("unknown, at most"):
                self._wrong(row, f"its unknown dose reads {row.dose_text}")
        else:
            self._verdict.known_mas += row.mas or 0.0
        if row.image is not None:
            self._image(row)

    def _image(self, row: Exposure) -> None:
        """One that nobody heard of must be whole, too."""
        if row.shot_id not in {shot_id(self._seed, story) for story in self._heard.images}:
            detail = self._journal.detail("image", row.shot_id) or {}
            for text in files_wrong(self._run, detail):
                self._wrong(row, text)
        for text in not_again(self._run, row.shot_id):
            self._verdict.noted.append(f"{row.shot_id}: {NOT_AGAIN}: {text}")

    def _bounded(self) -> None:
        """Known doses and bounds together are no less than what may have been irradiated."""
        truth_mas = sum(planned(self._seed, n).report.mas or 0.0 for n in self._heard.intents)
        found_mas = self._verdict.known_mas + self._verdict.bound_mas
        if found_mas < truth_mas and not math.isclose(found_mas, truth_mas):
            told = f"at most {found_mas:g} mAs are told of {truth_mas:g} irradiated"
            self._verdict.lost.append(f"all: {told}")

    def _wrong(self, row: Exposure, text: str) -> None:
        self._verdict.lost.append(f"{row.shot_id}: {text}")
