"""What recorders before this one left in the journal: of this run it goes on, else it is ended.

Another run has other UIDs, and whoever could report its doses is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from firmware_py.last_words import Word
from firmware_py.recorder.lost_exposure import end_lost, report_of
from firmware_py.recorder.messages import intent_from_dict
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.journal import Journal
from hal.frame_codec import decode
from hal.ports import PanelFrame, WireError
from hal.types import ExposureReport, Intent

if TYPE_CHECKING:
    from firmware_py.recorder.archive import Archive


@dataclass(slots=True, kw_only=True)
class ExposureSoFar:
    """What is known of one exposure."""

    intent: Intent
    report: ExposureReport | None = None
    frame: PanelFrame | None = None  # until the image is saved
    frame_us: int = 0
    digest: bytes | None = None  # of the frame's pixels
    imaged: bool = False  # the image is saved


class EarlierLives:
    def __init__(
        self,
        setup: Setup,
        journal: Journal,
        archive: Archive | None,
        words: Sequence[Word] = (),
    ) -> None:
        """`words`: the newest that units of this bench have left which died."""
        self._words = words
        self._setup = setup
        self._journal = journal
        self._archive = archive

    def restored(self) -> Iterator[str]:
        """What a person must be told of."""
        if self._journal.restored:
            yield (
                f"the journal had lost {', '.join(self._journal.restored)}, which its second "
                "witness saw: an older copy was put back, or the disk lost what it had taken. "
                "They are in it again; look at each with `dxrig recover`, and check the disk"
            )

    def end_other_runs(self) -> Iterator[JournalError]:
        """I2: a dose that nobody can report any more stays unknown, and bounded. What failed.

        One that a person has acknowledged meanwhile is ended as well.
        """
        for row in self._journal.exposures():
            if row.beam is not None or not row.sound or self._own_intent(row.shot_id):
                continue
            try:
                end_lost(self._journal, row, self._words)
            except JournalError as error:
                yield error

    def left(self, shot_id: str) -> ExposureSoFar | None:
        """Of this run; None: nobody began it, or another run did. Raises JournalError."""
        row = self._journal.exposure(shot_id)
        detail = self._own_intent(shot_id) if row is not None and row.sound else None
        if row is None or detail is None:
            return None
        since_start = datetime.fromisoformat(row.at) - self._setup.started_at
        at_us = round(since_start / timedelta(microseconds=1))
        intent = intent_from_dict(detail | {"at_us": at_us})
        dose = self._journal.detail("dose", shot_id)
        return ExposureSoFar(
            intent=intent,
            report=None if dose is None else report_of(dose, intent, row),
            digest=None if row.image is None else self._kept_digest(shot_id),
            imaged=row.image is not None,
        )

    def _own_intent(self, shot_id: str) -> dict[str, object] | None:
        detail = self._journal.detail("intent", shot_id) or {}
        if detail.get("uids") != self._setup.uids_dict(shot_id):
            return None
        return {name: value for name, value in detail.items() if name not in ("uids", "run_dir")}

    def _kept_digest(self, shot_id: str) -> bytes:
        message = self._archive.kept_frame(shot_id) if self._archive else None
        try:
            frame = None if message is None else decode(message)
        except WireError:
            frame = None
        return hashlib.sha256(frame.pixels).digest() if isinstance(frame, PanelFrame) else b""
