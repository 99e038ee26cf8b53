"""Where a file's content can be had once more: made again, or a copy; proved by its sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_py.recorder.archive import FRAME, RECORD
from firmware_py.recorder.store.exposures import read_image_at
from rig.exposures.copies import copy_of, panel_set_copy, panel_sets
from rig.exposures.made_again import NotAgainError, images_again, proved
from rig.exposures.mended import COPIED, MADE
from rig.exposures.record_again import Around, record_again
from rig.exposures.stored import Stored, stored
from rig.recovery import journal_of


class UnprovedError(NotAgainError):
    """It was made again, and nothing proves that it is the same."""

    def __init__(self, content: bytes) -> None:
        super().__init__(
            "made again to other bytes, by another version perhaps; in quarantine, to compare"
        )
        self.content = content


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    content: bytes
    done: str  # MADE, COPIED
    how: str  # for the list in quarantine


@dataclass(frozen=True, slots=True)
class Sources:
    """`folder`: a backup or an export that somebody named; it is asked last."""

    state: Path
    folder: Path | None = None

    def of(self, one: Stored, run_ids: Sequence[str]) -> Callable[[str], Had]:
        """What gives an exposure's files by name; its images are made once.

        `run_ids`: all exposures of its run, oldest first. Raises NotAgainError.
        """
        made: list[dict[str, bytes] | NotAgainError] = []

        def had(name: str) -> Had:
            try:
                if name == FRAME:
                    raise NotAgainError("nothing makes a raw frame again")
                if name == RECORD:
                    content = self._record(one, run_ids)
                    return Had(content=content, done=MADE, how="from the journal")
                content = self._image(one, name, made)
                return Had(content=content, done=MADE, how="from the raw frame")
            except NotAgainError:
                copy = self._copied(one, name)
                if copy is None:
                    raise
                return copy

        return had

    def panel_set(self, run: Path, sha256: str) -> Had:
        """Raises NotAgainError."""
        path = panel_set_copy(self.state, run, sha256, self.folder)
        if path is None:
            raise NotAgainError("there is no other copy of this set")
        return Had(content=path.read_bytes(), done=COPIED, how=f"from {path}")

    def _copied(self, one: Stored, name: str) -> Had | None:
        path = copy_of(name, one.exposure.shot_id, one.sha256[name], self.folder)
        if path is None:
            return None
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != one.sha256[name]:
            return None  # a medium that reads differently the second time
        return Had(content=content, done=COPIED, how=f"from {path}")

    def _record(self, one: Stored, run_ids: Sequence[str]) -> bytes:
        shot_id = one.exposure.shot_id
        assert one.folder is not None
        imaged_at = read_image_at(journal_of(self.state), shot_id)
        assert imaged_at is not None, "a file has a sum, so it has an image"
        around = Around(
            imaged_at=imaged_at,
            before=run_ids[: list(run_ids).index(shot_id)],
            panel_sets=panel_sets(self.state, one.folder.parents[1], self.folder),
        )
        return record_again(one, around)

    def _image(self, one: Stored, name: str, made: list[dict[str, bytes] | NotAgainError]) -> bytes:
        assert one.folder is not None
        if not made:
            try:
                made.append(images_again(one, lambda shot_id: stored(self.state, shot_id)))
            except NotAgainError as error:
                made.append(error)
        if isinstance(made[0], NotAgainError):
            raise made[0]
        again = made[0].get(name)
        if again is None:
            raise NotAgainError("it is no file that is made of a frame")
        content = proved(again, one.folder / name, one.sha256[name])
        if content is None:
            raise UnprovedError(again)
        return content
