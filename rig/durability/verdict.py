"""The judge: opens a dead victim's folder as the next start would, and compares.

Nothing that was acknowledged may be missing, and nothing may be there that belongs to
nobody. What was not acknowledged may be there or not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware_py.recorder.archive import FRAME, RECORD, Archive, differences, read_frame
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.journal import Exposure, Journal
from rig.durability.heard import Heard
from rig.durability.story import Planned, panel_set, planned, setup, shot_id
from rig.durability.victim import journal_path, run_folder

UNHEARD = "its dose is stored, and its report is never acknowledged, however often it is sent"
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
        self._archive = Archive(self._run, panel_set(), durable=False)
        self._rows: dict[str, Exposure] = {}

    def go(self) -> None:
        recorder = Recorder(setup(), self._journal, archive=self._archive)
        before = len(recorder.recover())
        self._need_recovery({row.shot_id for row in recorder.recover()})
        recorder.resume(0)
        left = {row.shot_id for row in recorder.recover()}
        self._verdict.recovered_count = before - len(left)
        self._verdict.incomplete_count = len(left)
        self._rows = {row.shot_id: row for row in self._journal.exposures()}
        self._acknowledged()
        for row in self._rows.values():
            self._row(row, is_listed=row.shot_id in left)
        self._orphans()
        self._bounded()

    # --- what was acknowledged

    def _need_recovery(self, incomplete: set[str]) -> None:
        """A saved image that is made again from its frame was not saved."""
        for story in self._heard.images & self._heard.doses:
            shot = shot_id(self._seed, story)
            if shot in incomplete and self._journal.detail("dose", shot) is not None:
                self._wrong(shot, "image is gone from the journal")

    def _acknowledged(self) -> None:
        for story, number in self._heard.intents.items():
            self._tell(story, "intent", self._intent_wrong(planned(self._seed, story), number))
        for story in self._heard.doses:
            self._tell(story, "dose", self._dose_wrong(planned(self._seed, story)))
        for story in self._heard.images:
            self._tell(story, "image", self._image_wrong(planned(self._seed, story)))
        self._refused()

    def _refused(self) -> None:
        """What was not acknowledged must have been told, or be there all the same."""
        stored = {n for n in self._heard.unheard if not self._dose_wrong(planned(self._seed, n))}
        for story in sorted(stored):
            self._verdict.noted.append(f"{shot_id(self._seed, story)}: {UNHEARD}")
        for what, story in self._heard.silent:
            if what != "dose" or story not in stored:
                self._wrong(shot_id(self._seed, story), f"{what}: neither acknowledged nor told")

    def _tell(self, story: int, what: str, wrong: str | None) -> None:
        if wrong is not None:
            self._verdict.lost.append(f"{shot_id(self._seed, story)}: {what} {wrong}")

    def _intent_wrong(self, one: Planned, number: int) -> str | None:
        row = self._rows.get(one.shot_id)
        if row is None:
            return "is gone"
        detail = self._journal.detail("intent", one.shot_id) or {}
        if detail.get("uids") != setup().uids_dict(one.shot_id):
            return "has other UIDs"
        if (row.number, row.maximum_mas) != (number, one.intent.maximum_mas):
            return f"has number {row.number} and at most {row.maximum_mas:g} mAs"
        return None

    def _dose_wrong(self, one: Planned) -> str | None:
        row = self._rows.get(one.shot_id)
        if row is None or row.beam is None:
            return "is gone"
        if (row.beam, row.mas) != (one.report.beam, one.report.mas):
            return f"reads {row.dose_text}, acknowledged was {one.report.mas} mAs"
        return None

    def _image_wrong(self, one: Planned) -> str | None:
        detail = self._journal.detail("image", one.shot_id)
        if detail is None:
            return "is gone"
        found = list(files_wrong(self._run, detail))
        if found:
            return f"is damaged: {'; '.join(found)}"
        try:
            pixels = read_frame(self._exposures / one.shot_id).pixels
        except (ImageError, OSError) as error:
            return f"lost its frame: {self._short(error)}"
        if one.frame is None or pixels != one.frame.pixels:
            return "has other pixels"
        return None

    # --- what is there, acknowledged or not

    def _row(self, row: Exposure, *, is_listed: bool) -> None:
        if (row.missing is not None) != is_listed:
            self._wrong(row.shot_id, f"misses {row.missing}, listed as incomplete: {is_listed}")
        if row.mas is None and row.beam is not False:
            self._verdict.bound_mas += row.maximum_mas
            if not row.dose_text.startswith("unknown, at most"):
                self._wrong(row.shot_id, f"its unknown dose reads {row.dose_text}")
        else:
            self._verdict.known_mas += row.mas or 0.0
        if row.image is not None:
            self._image_row(row.shot_id)
            self._can_be_made_again(row.shot_id)

    def _image_row(self, shot: str) -> None:
        """An image that nobody heard of must be whole, too."""
        if shot not in {shot_id(self._seed, story) for story in self._heard.images}:
            detail = self._journal.detail("image", shot) or {}
            for text in files_wrong(self._run, detail):
                self._wrong(shot, text)

    def _can_be_made_again(self, shot: str) -> None:
        try:
            found = differences(self._exposures / shot)
        except (ImageError, OSError) as error:
            found = [self._short(error)]
        self._verdict.noted += [f"{shot}: {NOT_AGAIN}: {text}" for text in found]

    def _orphans(self) -> None:
        if not self._exposures.exists():
            return
        for path in sorted(self._exposures.iterdir()):
            if path.name.startswith("stray-"):
                self._wrong(path.name, "a frame of nobody")
            elif path.name not in self._rows:
                self._wrong(path.name, "a folder without an intent")
            else:
                self._whole(path)

    def _whole(self, folder: Path) -> None:
        """What has its final name was written to its end, whether acknowledged or not."""
        try:
            if (folder / FRAME).exists():
                read_frame(folder)
            if (folder / RECORD).exists():
                json.loads((folder / RECORD).read_bytes())
        except (ImageError, ValueError) as error:
            self._wrong(
                folder.name, f"a file has its name and not its content: {self._short(error)}"
            )

    def _bounded(self) -> None:
        """Known doses and bounds together are no less than what may have been irradiated."""
        truth_mas = sum(planned(self._seed, n).report.mas or 0.0 for n in self._heard.intents)
        found_mas = self._verdict.known_mas + self._verdict.bound_mas
        if found_mas < truth_mas and not math.isclose(found_mas, truth_mas):
            self._wrong("all", f"at most {found_mas:g} mAs are told of {truth_mas:g} irradiated")

    @property
    def _exposures(self) -> Path:
        return self._run / "exposures"

    def _short(self, error: Exception) -> str:
        return str(error).replace(f"{self._run}/", "")

    def _wrong(self, shot: str, text: str) -> None:
        self._verdict.lost.append(f"{shot}: {text}")


def files_wrong(run: Path, detail: Mapping[str, Any]) -> Iterator[str]:
    """The files of an image row that are not there, or not what the journal says they were."""
    for name, sha256 in detail["files"].items():
        try:
            data = (run / detail["folder"] / name).read_bytes()
        except OSError as error:
            yield f"{name} is gone ({error.strerror})"
            continue
        if hashlib.sha256(data).hexdigest() != sha256:
            yield f"{name} has another sha256 than in the journal"
