"""Images of an observed generator: from the maker's files to frames, DICOM and news of them.

`Pictures` lists, reads, judges and writes, all of which may take seconds; so it lives in a
process of its own (`picture_process.py`) wherever time is real. The journal is not its: whoever
watches the room writes the row, when the news comes that all files are there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np

from firmware_py.config import FolderConfig
from firmware_py.recorder.archive import Archive
from firmware_py.recorder.exposure_record import ExposureRecord, ImageError
from firmware_py.recorder.folder_files import folder_link
from firmware_py.recorder.image.maps import PanelSet, all_parts
from firmware_py.recorder.setup import Setup
from hal.detectors.folder import Aside, Folder, Waiting
from hal.frame_codec import decode
from hal.ports import LinkError, PanelFrame
from rig.observe.notes import Expected

BY_THE_MAKER = "corrected by the maker's tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """`detail`: of the journal's row, when the image of `shot_id` is saved; else `text` counts."""

    shot_id: str | None = None
    detail: dict[str, object] | None = None
    text: str = ""
    failed: bool = False  # the image of `shot_id` came, and can't be made


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A beam of which nothing is known: its image is put aside, not taken for the next one's."""

    shot_id: str
    start_us: int
    end_us: int


@dataclass(slots=True)
class _Told:
    """What is wrong with the folder, once."""

    trouble: str | None = None
    news: list[News] = field(default_factory=list)


class Pictures:
    def __init__(self, setup: Setup, config: FolderConfig, folder: Folder, run_dir: Path) -> None:
        """Raises LinkError where the folder can't be listed."""
        self._setup, self._corrected = setup, config.corrected
        self._link = folder_link(folder, config, setup.unit.panel, setup.started_at)
        panel_set = as_delivered(setup) if config.corrected else None
        durable = setup.unit.rung == "bench"
        self._archive = Archive(run_dir, panel_set, durable=durable)
        self._expected: Expected | None = None
        self._told = _Told()
        if self._link.before_count:
            self._say(
                f"{self._link.before_count} files lie in the panel's folder already: not ours"
            )

    def expect(self, one: Expected | Unasked | None) -> None:
        """None: waited long enough."""
        self._expected = one if isinstance(one, Expected) else None
        waiting: Waiting | None
        if isinstance(one, Expected):
            report = one.report
            assert report.end_us is not None
            start_us = report.end_us if report.start_us is None else report.start_us
            waiting = Waiting(shot_id=report.shot.shot_id, start_us=start_us, end_us=report.end_us)
        elif one is not None:
            waiting = Waiting(
                shot_id=one.shot_id, start_us=one.start_us, end_us=one.end_us, asked=False
            )
        else:
            waiting = None
        self._link.expect(waiting)

    def step(self, t_us: int) -> list[News]:
        """What there is to tell since the last one."""
        try:
            for message in self._link.read(t_us):
                self._take(message, t_us)
            self._told.trouble = None
        except LinkError as error:
            if self._told.trouble != str(error):
                self._told.trouble = str(error)
                self._say(str(error))
        asides, self._link.asides = self._link.asides, []
        for aside in asides:
            self._keep(aside)
        news, self._told.news = self._told.news, []
        return news

    def left(self) -> list[News]:
        """At the end of a session: what may still become an image, and will be nobody's."""
        return [
            News(text=f"{name} lies in the panel's folder, not whole yet: it is left there")
            for name in self._link.unfinished()
        ]

    def _say(self, text: str) -> None:
        self._told.news.append(News(text=text))

    def _take(self, message: list[bytes], t_us: int) -> None:
        one, self._expected = self._expected, None
        frame = decode(message)
        assert one is not None, "the link gives a frame only while one is awaited"
        assert isinstance(frame, PanelFrame)
        shot_id = frame.shot_id
        try:
            self._archive.keep_frame(shot_id, message)
            record = ExposureRecord(
                setup=self._setup, intent=one.intent, report=one.report, number=one.number,
                imaged_us=t_us,
            )  # fmt: skip
            saved = (
                self._archive.save(record, frame)
                if self._corrected
                else self._archive.save_raw(record)
            )
        except (ImageError, OSError) as error:
            self._told.news.append(News(shot_id=shot_id, text=str(error), failed=True))
            return
        self._told.news.append(News(shot_id=shot_id, detail=saved))

    def _keep(self, aside: Aside) -> None:
        """Beside the exposures, with its name and the reason; what lies in the folder stays."""
        what = f"{aside.name} is {aside.verdict.value}: {aside.why}"
        if aside.data is None:
            self._say(f"{what}; it is left where it lies")
            return
        about = {"file": aside.name, "verdict": aside.verdict.value, "why": aside.why}
        try:
            path = self._archive.keep_stray([json.dumps(about).encode(), aside.data])
        except OSError as error:
            self._say(f"{what}; it can't be kept ({error}) and is left where it lies")
        else:
            self._say(f"{what}; taken for no exposure, kept as {path.name}")


def as_delivered(setup: Setup) -> PanelSet:
    """Maps that change nothing: offset, gain and defects are the maker's business."""
    panel = setup.unit.panel
    shape = (panel.rows_px, panel.columns_px)
    return PanelSet(
        panel_id=panel.panel_id,
        unit_serial=setup.unit.site.serial,
        offset=np.zeros(shape, np.float32),
        gain=np.ones(shape, np.float32),
        defects=np.zeros(shape, np.bool_),
        parts=all_parts(
            created=setup.started_at,
            valid_until=setup.started_at + timedelta(days=1),
            routine=BY_THE_MAKER,
        ),
        bits_stored=panel.bits_stored,
    )
