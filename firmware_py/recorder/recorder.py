"""The recorder: brings intent, report and frame of one exposure together, in any order.

Synchronous, without bus or clock: `ports.py` runs it inline, `__main__.py` as a process.
It raises nothing that a disk or a panel can cause: what can't be promised is not
acknowledged, and told. It never gives a frame to another exposure than the one that the
frame names (F37, F40), and makes one image of a frame that came twice (F36).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from firmware_py.last_words import Word
from firmware_py.recorder.earlier_frames import EarlierFrames
from firmware_py.recorder.earlier_lives import EarlierLives, ExposureSoFar
from firmware_py.recorder.exposure_record import ExposureRecord, ImageError
from firmware_py.recorder.kept_frames import KeptFrames
from firmware_py.recorder.messages import intent_to_dict, report_to_dict, same_news
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.database import JournalError, StorageError
from firmware_py.recorder.store.disk import Disk
from firmware_py.recorder.store.exposures import Exposure
from firmware_py.recorder.store.journal import Journal
from hal.detectors.folder import Aside, Waiting
from hal.frame_codec import decode
from hal.now import Now
from hal.ports import LengthError, PanelFrame, WireError
from hal.types import EndReason, ExposureReport, Intent, RecorderSample, Shot, ShotKind

if TYPE_CHECKING:  # images need numpy and PIL; runs without them don't wait for that
    from firmware_py.recorder.archive import Archive

MEND_US = 2_000_000
KEPT_SHOTS_COUNT = 16  # of which a late or repeated frame is still recognised
_SHOT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it names a folder


class Recorder:
    def __init__(
        self,
        setup: Setup,
        journal: Journal,
        *,
        archive: Archive | None = None,
        disk: Disk | None = None,
        tell: Callable[[str], None] | None = None,
        words: Sequence[Word] = (),
    ) -> None:
        """Without `archive` nothing but the journal is written: for runs without images.

        `words`: the last ones of units of this bench that died.
        """
        self.told: deque[str] = deque(maxlen=100)
        self._setup = setup
        self._journal = journal
        self._archive = archive
        self._disk = disk or Disk()
        self._tell = tell or self.told.append
        self._exposures: dict[str, ExposureSoFar] = {}
        self._earlier = EarlierLives(setup, journal, archive, words)
        for text in self._earlier.restored():
            self._tell(text)
        for error in self._earlier.end_other_runs():
            self._fail(error)
        self._inherited = journal.incomplete()
        self._without_image: set[str] = set()  # of this recorder: irradiated, not imaged (SR-56)
        self._panel_set_ok = self._check_panel_set()
        self._intent_durable: str | None = None
        self._dose_saved: str | None = None
        self._image_saved: str | None = None
        self._image_failed: str | None = None
        self._level_counts: int | None = None
        self._frames = EarlierFrames()
        self._kept = KeptFrames(
            self._of_this_run, journal.exposure, makes_images=archive is not None
        )
        self._strays: deque[bytes] = deque(maxlen=KEPT_SHOTS_COUNT)  # digests of what is aside
        self._mend_us = 0
        self._told_broken = ""
        self._refused: str | None = None  # the newest id that can't be an exposure
        self._sample: RecorderSample | None = None

    # --- what comes in

    def intent(self, intent: Intent) -> None:
        """Durable when the sample's `intent_durable` names the shot, not before."""
        shot_id = intent.shot.shot_id
        try:
            self._write_intent(intent)
            self._reserve(intent.shot)
        except (JournalError, OSError) as error:
            is_storage = isinstance(error, StorageError | OSError)
            self._refused = None if is_storage else shot_id
            self._fail(error)
            return
        if shot_id not in self._exposures:
            self._remember(ExposureSoFar(intent=intent))
        self._intent_durable = shot_id

    def report(self, report: ExposureReport) -> None:
        """Saved when the sample's `dose_saved` names the shot."""
        shot_id = report.shot.shot_id
        exposure = self._known(shot_id) or self._after_the_fact(report)
        if exposure is None:
            if shot_id == self._refused and not report.beam:
                self._dose_saved = shot_id  # refused, and so nothing was irradiated
            return
        try:
            self._write_dose(exposure, report)
        except JournalError as error:
            self._fail(error)
            return
        self._dose_saved = shot_id
        exposure.report = report
        if exposure.imaged:
            self._image_saved = shot_id
        elif report.beam and report.shot.has_frame:
            self._without_image.add(shot_id)
        if not report.beam:
            self._settled(shot_id)
        if not report.beam and not _is_dark(report):
            self._give_back(shot_id)
        self._finish(exposure)
        self._judge_kept(self._kept.shots)

    def frame(self, message: list[bytes], now_us: int) -> None:
        """Any message of the panel's data stream; only images matter here."""
        try:
            frame = decode(message)
        except WireError as error:
            self._damaged(message, error)
            return
        if isinstance(frame, PanelFrame):
            self._take(frame, message, now_us)
            self._judge_kept(self._kept.shots)

    def awaited(self) -> Waiting | None:
        """The newest exposure, once its beam is over and until its frame is there: for frames
        that come by a folder and name no shot.
        """
        one = next(reversed(self._exposures.values()), None)
        if one is None or one.digest is not None:
            return None
        report = one.report
        if report is None or not (report.beam or _is_dark(report)) or not report.shot.has_frame:
            return None
        end_us = one.intent.at_us if report.end_us is None else report.end_us
        start_us = end_us if report.start_us is None else report.start_us
        return Waiting(shot_id=report.shot.shot_id, start_us=start_us, end_us=end_us)

    def aside(self, file: Aside) -> None:
        """A file of that folder that became no frame."""
        what = f"{file.name} is {file.verdict.value} ({file.why})"
        if file.data is None:
            self._tell(f"{what}: it is left where it lies")
        else:
            self._stray([file.name.encode(), file.data], what)

    def kept(self, shots: tuple[str, ...]) -> None:
        """Shots whose frames the panel's memory holds; the sample says what it may do with them."""
        if shots != self._kept.shots:
            self._judge_kept(shots)

    def resume(self, now_us: int) -> None:
        """Make the images whose frame and dose a recorder before this one left, same UIDs."""
        for row in list(self._inherited):
            message = self._archive.kept_frame(row.shot_id) if self._archive else None
            if row.missing == "image" and message is not None:
                self.frame(message, now_us)

    def recover(self) -> list[Exposure]:
        """Irradiated, without dose or image, and nobody has acknowledged it.

        Raises JournalError.
        """
        own = [self._journal.exposure(shot_id) for shot_id in sorted(self._without_image)]
        return self._inherited + [row for row in own if row is not None]

    def acknowledge(self, shot_id: str, *, who: str, why: str, now_us: int) -> None:
        """Raises JournalError: a person waits for the answer."""
        self._journal.acknowledge(shot_id, who=who, why=why, at=self._setup.at(now_us))
        self._settled(shot_id)

    # --- what goes out

    def sample(self, now_us: int) -> RecorderSample:
        """The same object until something in it changes."""
        self._mend(now_us)
        found = RecorderSample(
            taken_us=now_us,
            alive=True,
            disk_ok=self._disk.ok(now_us) and self._journal.broken is None,
            panel_set_ok=self._panel_set_ok,
            incomplete_count=len(self._inherited) + len(self._without_image),
            intent_durable=self._intent_durable,
            dose_saved=self._dose_saved,
            image_saved=self._image_saved,
            image_failed=self._image_failed,
            level_counts=self._level_counts,
            frames_safe=self._kept.safe,
            frames_wanted=self._kept.wanted,
        )
        if self._sample is None or not same_news(self._sample, found):
            self._sample = found
        return self._sample

    # --- intent and dose

    def _write_intent(self, intent: Intent) -> None:
        """The scan may repeat an intent with a later time; the first one counts."""
        shot_id = intent.shot.shot_id
        self._check_shot(intent.shot)
        detail = intent_to_dict(intent) | {"uids": self._setup.uids_dict(shot_id)}
        del detail["at_us"]
        if self._archive is not None and self._journal.folder is not None:
            run_dir = os.path.relpath(self._archive.run_dir, self._journal.folder)
            detail["run_dir"] = run_dir  # so that a state which is moved finds its runs
        self._journal.add_intent(
            shot_id=shot_id,
            at=self._setup.at(intent.at_us),
            exam_id=intent.shot.exam_id,
            planned_mas=intent.planned_mas,
            maximum_mas=intent.maximum_mas,
            detail=detail,
        )

    def _reserve(self, shot: Shot) -> None:
        if self._archive is not None and shot.kind != ShotKind.NO_RECEPTOR:
            panel = self._setup.unit.panel
            self._archive.reserve_frame(shot.shot_id, 2 * panel.rows_px * panel.columns_px)

    def _give_back(self, shot_id: str) -> None:
        if self._archive is None:
            return
        try:
            self._archive.expect_no_frame(shot_id)
        except OSError as error:
            self._fail(error)

    def _check_shot(self, shot: Shot) -> None:
        """An image must not get another exam's name, or another panel's maps (SR-10, SR-13)."""
        if not _SHOT_ID.fullmatch(shot.shot_id):
            raise JournalError(
                f"Writing intent {shot.shot_id!r}: an id has letters, digits, '.', '_' and '-', "
                "at most 64, and names a folder."
            )
        for what, asked, ours in (
            ("exam", shot.exam_id, self._setup.exam.exam_id),
            ("panel", shot.panel_id, self._setup.unit.panel.panel_id),
        ):
            if asked != ours:
                raise JournalError(
                    f"Writing intent {shot.shot_id}: it is of {what} {asked}, "
                    f"the recorder was started for {what} {ours}."
                )

    def _write_dose(self, exposure: ExposureSoFar, report: ExposureReport) -> None:
        end_us = exposure.intent.at_us if report.end_us is None else report.end_us
        self._journal.add_dose(
            shot_id=report.shot.shot_id,
            at=self._setup.at(end_us),
            beam=report.beam,
            mas=report.mas,
            reason=report.reason.value,
            detail=report_to_dict(report),
        )

    def _after_the_fact(self, report: ExposureReport) -> ExposureSoFar | None:
        """A dose is recorded even when its intent was not: then the report stands for both."""
        shot = report.shot
        if shot.shot_id == self._refused:
            return None
        self._tell(f"report {shot.shot_id}: without an intent; both are written down now")
        self.intent(
            Intent(
                shot=shot,
                planned_mas=shot.technique.expected_mas if shot.has_beam else 0.0,
                maximum_mas=report.maximum_mas,
                at_us=report.start_us or report.end_us or 0,
            )
        )
        return self._exposures.get(shot.shot_id)

    def _known(self, shot_id: str) -> ExposureSoFar | None:
        """None: it is not of this run, or nobody can say whose it is."""
        try:
            return self._of_this_run(shot_id)
        except JournalError as error:
            self._fail(error)
            return None

    def _of_this_run(self, shot_id: str) -> ExposureSoFar | None:
        """Begun by this recorder, or by one before it in the same run. Raises JournalError."""
        if shot_id in self._exposures:
            return self._exposures[shot_id]
        left = self._earlier.left(shot_id)
        return None if left is None else self._remember(left)

    def _judge_kept(self, shots: tuple[str, ...]) -> None:
        if self._journal.broken is not None:
            return  # it is told already
        try:
            self._kept.judge(shots)
        except JournalError as error:
            self._fail(error)

    def _remember(self, exposure: ExposureSoFar) -> ExposureSoFar:
        self._exposures[exposure.intent.shot.shot_id] = exposure
        if len(self._exposures) > KEPT_SHOTS_COUNT:
            del self._exposures[next(iter(self._exposures))]
        return exposure

    def _settled(self, shot_id: str) -> None:
        self._inherited = [row for row in self._inherited if row.shot_id != shot_id]
        self._without_image.discard(shot_id)

    # --- frames

    def _take(self, frame: PanelFrame, message: list[bytes], now_us: int) -> None:
        exposure = self._known(frame.shot_id)
        digest = hashlib.sha256(frame.pixels).digest()
        if exposure is None:
            self._stray(message, f"frame of {frame.shot_id}, an exposure that is not ours")
        elif frame.panel_id != exposure.intent.shot.panel_id:
            self._stray(message, f"frame of {frame.shot_id} by another panel, {frame.panel_id}")
        elif exposure.digest is None:
            exposure.digest, exposure.frame_us = digest, now_us
            self._attach(exposure, frame, message)
        elif exposure.digest == digest:
            self._tell(self._twice(frame.shot_id))
        else:
            self._stray(message, f"second, different frame of {frame.shot_id}")

    def _twice(self, shot_id: str) -> str:
        """F36; or F37, where a later exposure waits for its own frame."""
        waiting = next((shot for shot in reversed(self._exposures)), shot_id)
        if waiting != shot_id and self._exposures[waiting].digest is None:
            return f"frame of {shot_id}, an earlier exposure, came in the place of {waiting}'s"
        return f"frame of {shot_id} came twice; one image is made"

    def _attach(self, exposure: ExposureSoFar, frame: PanelFrame, message: list[bytes]) -> None:
        """The raw frame is safe before anything else is done with it."""
        try:
            self._check_size(frame)
            if self._archive is not None:
                self._archive.keep_frame(frame.shot_id, message)
        except (ImageError, OSError) as error:
            exposure.digest = None
            self._image_failed = frame.shot_id
            self._fail(error)
            return
        exposure.frame = frame
        window_us = frame.stop_us - frame.start_us
        self._frames.add(frame.shot_id, arrived_us=exposure.frame_us, window_us=window_us)
        self._finish(exposure)

    def _check_size(self, frame: PanelFrame) -> None:
        panel = self._setup.unit.panel
        if (frame.rows_px, frame.columns_px) != (panel.rows_px, panel.columns_px):
            raise ImageError(
                f"frame of {frame.shot_id} has {frame.rows_px} x {frame.columns_px} pixels, "
                f"its panel {panel.rows_px} x {panel.columns_px}"
            )

    def _damaged(self, message: list[bytes], error: WireError) -> None:
        """Whose it was can't be known; the newest exposure without a frame goes without."""
        self._frames.damaged()
        what = "frame of a wrong length" if isinstance(error, LengthError) else "damaged frame"
        self._stray(message, f"{what} ({error})")
        waiting = [shot_id for shot_id, e in self._exposures.items() if e.digest is None]
        if waiting:
            self._image_failed = waiting[-1]

    def _stray(self, message: list[bytes], what: str) -> None:
        digest = hashlib.sha256(max(message, key=len, default=b"")).digest()
        if digest in self._strays:
            self._tell(f"{what}: came again, and is kept aside already")
            return
        self._strays.append(digest)
        self._tell(f"{what}: kept aside, attached to nothing")
        try:
            if self._archive is not None:
                self._archive.keep_stray(message)
        except OSError as error:
            self._fail(error)

    def _finish(self, exposure: ExposureSoFar) -> None:
        """Make the image once dose and frame are both there."""
        report, frame = exposure.report, exposure.frame
        if report is None or frame is None or not (report.beam or _is_dark(report)):
            return
        shot_id = report.shot.shot_id
        try:
            self._write_image(exposure, report, frame)
        except (ImageError, OSError, JournalError) as error:
            self._image_failed = shot_id
            self._fail(error)
            return
        exposure.frame = None
        exposure.imaged = True
        self._level_counts = None if report.shot.needs_set else level_counts(frame)
        self._image_saved = shot_id
        if self._image_failed == shot_id:
            self._image_failed = None
        self._settled(shot_id)

    def _write_image(
        self, exposure: ExposureSoFar, report: ExposureReport, frame: PanelFrame
    ) -> None:
        shot_id = report.shot.shot_id
        detail: dict[str, object] = {}
        if self._archive is not None:
            record = ExposureRecord(
                setup=self._setup,
                intent=exposure.intent,
                report=report,
                number=self._journal.number(shot_id),
                imaged_us=exposure.frame_us,
            )
            if report.shot.needs_set:
                detail = self._archive.save(record, frame, self._frames.before(shot_id))
            else:
                detail = self._archive.save_raw(record)
        at = self._setup.at(exposure.frame_us)
        self._journal.add_image(shot_id=shot_id, at=at, detail=detail)

    # --- the disk

    def _fail(self, error: Exception) -> None:
        if isinstance(error, OSError | StorageError):
            self._disk.failed()
        self._tell(str(error))

    def _mend(self, now_us: int) -> None:
        """A journal that broke goes on on a new file; a disk that lets it not is asked again."""
        if self._journal.broken is None or not self._journal.durable:
            return
        if not Now(now_us).reached(self._mend_us):
            return
        self._mend_us = now_us + MEND_US
        try:
            kept = self._journal.rebuild()
        except JournalError as error:
            if str(error) != self._told_broken:
                self._told_broken = str(error)
                self._fail(error)
        else:
            self._tell(f"the journal goes on on a new file; the old one is {kept}. Check the disk")

    def _check_panel_set(self) -> bool:
        if self._archive is None:
            return True
        panel = self._setup.unit.panel
        problem = self._archive.panel_set_problem(
            panel_id=panel.panel_id,
            rows_px=panel.rows_px,
            columns_px=panel.columns_px,
            at=self._setup.started_at,
            unit_serial=self._setup.unit.site.serial,
        )
        if problem:
            self._tell(problem)
        return problem is None


def _is_dark(report: ExposureReport) -> bool:
    """A read-out without a beam, as asked: its frame is what it was made for."""
    return report.reason is EndReason.DARK


def level_counts(frame: PanelFrame) -> int:
    """Median of the raw counts, from every 8th row and column: what a flat's level is set by."""
    import numpy as np

    raw = np.frombuffer(frame.pixels, "<u2").reshape(frame.rows_px, frame.columns_px)
    return int(np.median(raw[::8, ::8]))
