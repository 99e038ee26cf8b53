"""What was acknowledged, against what the next start finds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware_py.recorder.store.exposures import Exposure
from firmware_py.recorder.store.journal import Journal
from rig.durability.heard import Heard
from rig.durability.kept import files_wrong, frame_wrong
from rig.durability.story import Planned, planned, setup, shot_id

UNHEARD = "its dose is stored, and its report is never acknowledged, however often it is sent"


@dataclass(frozen=True, slots=True)
class Promised:
    """`rows`: the journal's list, after recovery."""

    seed: int
    heard: Heard
    journal: Journal
    run: Path
    rows: Mapping[str, Exposure]

    def broken(self) -> Iterator[str]:
        for story, number in self.heard.intents.items():
            yield from self._told(story, "intent", self._intent_wrong(self._one(story), number))
        for story in self.heard.doses:
            yield from self._told(story, "dose", self._dose_wrong(self._one(story)))
        for story in self.heard.images:
            yield from self._told(story, "image", self._image_wrong(self._one(story)))
        for what, story in self.heard.silent:
            if what != "dose" or story not in self._stored_unheard():
                yield f"{shot_id(self.seed, story)}: {what}: neither acknowledged nor told"

    def unheard(self) -> Iterator[str]:
        """Stored all the same, so nothing is lost; but the unit waits for the word."""
        for story in self._stored_unheard():
            yield f"{shot_id(self.seed, story)}: {UNHEARD}"

    def recovered_saved(self, incomplete: Collection[str]) -> Iterator[str]:
        """A saved image that must be made again from its frame was not saved."""
        for story in self.heard.images & self.heard.doses:
            shot = shot_id(self.seed, story)
            if shot in incomplete and self.journal.detail("dose", shot) is not None:
                yield f"{shot}: image is gone from the journal"

    def _one(self, story: int) -> Planned:
        return planned(self.seed, story)

    def _told(self, story: int, what: str, wrong: str | None) -> Iterator[str]:
        if wrong is not None:
            yield f"{shot_id(self.seed, story)}: {what} {wrong}"

    def _stored_unheard(self) -> list[int]:
        return sorted(n for n in self.heard.unheard if not self._dose_wrong(self._one(n)))

    def _intent_wrong(self, one: Planned, number: int) -> str | None:
        row = self.rows.get(one.shot_id)
        if row is None:
            return "is gone"
        detail = self.journal.detail("intent", one.shot_id) or {}
        if detail.get("uids") != setup().uids_dict(one.shot_id):
            return "has other UIDs"
        if (row.number, row.maximum_mas) != (number, one.intent.maximum_mas):
            return f"has number {row.number} and at most {row.maximum_mas:g} mAs"
        return None

    def _dose_wrong(self, one: Planned) -> str | None:
        row = self.rows.get(one.shot_id)
        if row is None or row.beam is None:
            return "is gone"
        if (row.beam, row.mas) != (one.report.beam, one.report.mas):
            return f"reads {row.dose_text}, acknowledged was {one.report.mas} mAs"
        return None

    def _image_wrong(self, one: Planned) -> str | None:
        detail = self.journal.detail("image", one.shot_id)
        if detail is None:
            return "is gone"
        found = list(files_wrong(self.run, detail))
        if found:
            return f"is damaged: {'; '.join(found)}"
        return frame_wrong(self.run, one.shot_id, one.frame.pixels if one.frame else None)
