"""A scenario on the model rung: unit, recorder and world in one process and no real time.

Dates, UIDs and seeds come from bench and scenario, so two runs leave identical files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from firmware_py.last_words import Word
from firmware_py.record import Recording
from firmware_py.recorder.archive import Archive
from firmware_py.recorder.image.maps import PanelSet, all_parts
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.journal import Journal
from firmware_py.trace import Line
from hal.detectors.folder import FolderLink
from hal.ports import FrameLink, RecorderPort
from hal.types import TEST_EXAM_ID, Requests, Shot, ShotKind
from rig.bench import Bench
from rig.distance import sid_problems
from rig.drivers import generator_of, nobody
from rig.exit_codes import UsageError
from rig.judge import BeamSeen, Seen
from rig.model import ModelRung, setting_of
from rig.run_folder import as_dict, finish, life_mark, record_header, write_trace
from rig.scenario import Scenario, ShotSection
from rig.scenario_on import on_bench, technique_on
from sim.build import pixel_model
from sim.lag import shares
from sim.pixels import PixelModel
from sim.script import Script
from sim.world import World

STARTED_AT = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)  # the model rung's own calendar
# As `dxrig calibrate lag` follows a flat with dark frames on the portable bench: the first window
# opens so long after the flat's; its length; from window to window.
LAG_RHYTHM_US = (1_130_000, 1_005_000, 1_580_000)
SET_VALID = timedelta(days=365)


def shot_of(bench: Bench, asked: ShotSection, shot_id: str) -> Shot:
    """As the generator can make it. Raises ValueError or UsageError with field and range."""
    generator = generator_of(bench.unit.generator, nobody())
    technique = technique_on(asked, bench)
    if problems := sid_problems(bench.unit, asked.sid_mm):
        raise UsageError("; ".join(problems))
    return Shot(
        shot_id=shot_id,
        technique=generator.effective(technique),
        exam_id=TEST_EXAM_ID,
        panel_id=bench.unit.panel.panel_id,
        kind=ShotKind(asked.kind),
        raw=asked.raw,
        clear_by=asked.clear_by,
        sid_mm=asked.sid_mm,
    )


def valid_set(bench: Bench, pixels: PixelModel, created: datetime) -> PanelSet:
    """What a perfect calibration of the simulated panel would have found yesterday."""
    maps = pixels.maps(window_us=1_000_000)
    bow = maps.bow_pct / 100.0
    return PanelSet(
        panel_id=bench.unit.panel.panel_id,
        unit_serial=bench.unit.site.serial,
        parts=all_parts(created=created - timedelta(days=1), valid_until=created + SET_VALID),
        offset=maps.offset,
        gain=maps.gain,
        defects=maps.defects,
        linearity=(bow, 2.0 * bow**2),  # counts = s * (1 - bow * s / full scale), solved for s
        lag=shares(*LAG_RHYTHM_US),
        bits_stored=bench.unit.panel.bits_stored,
        beam_quality="simulated, truth",
    )


class Life:
    """One unit from start to end (or kill): its record and its trace."""

    def __init__(self, bench: Bench, *, start_us: int, **facts: Any) -> None:
        """`facts`: more of the record's header."""
        self._record = io.BytesIO()
        header = record_header(bench, rung="model", start_us=start_us, **facts)
        self.recording = Recording(self._record, header)
        self.lines: list[Line] = []

    def write(self, folder: Path, mark: str) -> None:
        (folder / f"record{mark}.bin").write_bytes(self._record.getvalue())
        write_trace(folder / f"trace{mark}.jsonl", self.lines)


class ModelRun:
    """One scenario from power-up to its end; `finish()` afterwards where the folder is kept."""

    def __init__(
        self,
        bench: Bench,
        scenario: Scenario,
        folder: Path | None = None,
        *,
        seed: int | None = None,
        jump: bool = True,
        poll_all: bool = False,
        pixels: PixelModel | None = None,
        on_line: Callable[[Line], None] = lambda line: None,
    ) -> None:
        """`folder`: where record, trace and images go; None = nothing is written."""
        self.bench, self.scenario, self.folder = bench, on_bench(scenario, bench), folder
        self.seed = bench.sim.seed if seed is None else seed
        self._pixels = pixels or pixel_model(setting_of(bench, self.seed))
        self._on_line = on_line
        self.shot = shot_of(bench, scenario.shot, f"{scenario.name or 'shot'}-1")
        self.lives: list[Life] = []
        self.rung = ModelRung(
            bench, seed=self.seed, jump=jump, poll_all=poll_all, pixels=self._pixels
        )
        self.rung.on_lines = self._took
        if self.shot.sid_mm is not None:  # a person moves the tube to where the shot has it
            self.rung.world.geometry.move(sid_mm=self.shot.sid_mm)
        self.script = Script(self.rung.world, scenario.steps(), self._unit_verb)
        self._journal: Journal | None = None
        self._incomplete_count = 0  # at the end, by the journal
        self._state_count = 0

    def run(self) -> Seen:
        self._start_unit()
        self.script.event("start")
        limit_us = round(self.scenario.deadline_s * 1e6)
        until = self.scenario.until
        after_us = round(until.after_ms * 1000)
        if self._run_until(lambda: self._state_count >= until.nth, limit_us):
            self._run_until(lambda: False, self.rung.t_us + after_us)
            if self._owes_report():  # a beam's end that is hard to prove is told seconds later
                self._run_until(lambda: not self._owes_report(), limit_us)
                self._run_until(lambda: False, self.rung.t_us + after_us)
        self._close()
        return self.seen()

    def _owes_report(self) -> bool:
        """A beam's end is not proved yet, or its meter not read."""
        unit = self.rung.unit
        return unit is not None and (unit.memory.ending or unit.memory.unread) is not None

    def finish(self) -> dict[str, Any]:
        """Tie the folder together; returns the manifest."""
        assert self.folder is not None
        return finish(
            self.folder,
            self.bench,
            technique=self.shot.technique,
            rung="model",
            simulated=True,
            seed=self.seed,
            scenario=self.scenario.name,
            started_at=STARTED_AT.isoformat(),
            scans=self.rung.scan_count,
        )

    def _run_until(self, done: Callable[[], bool], deadline_us: int) -> bool:
        return self.rung.run_until(done, deadline_us)

    # --- the unit's life

    def _start_unit(self) -> None:
        life = Life(self.bench, start_us=self.rung.t_us)
        self.lives.append(life)
        unit = self.rung.start_unit(self._open_recorder, life.recording)
        unit.request(Requests(shot=self.shot))

    def _open_recorder(self, frames: FrameLink) -> RecorderPort:
        setup = Setup(
            unit=self.bench.unit,
            started_at=STARTED_AT,
            uid_namespace=self._namespace(),
            simulated=True,
        )
        folder = self.folder
        if self._journal is None:  # it outlives a killed unit, as a file would
            self._journal = _journal(folder)
        archive = None
        if folder is not None:
            panel_set = valid_set(self.bench, self._pixels, STARTED_AT)
            archive = Archive(folder, panel_set, durable=False)
        recorder = Recorder(setup, self._journal, archive=archive, words=self._words_left())
        if isinstance(frames, FolderLink):
            frames.follow(recorder.awaited, recorder.aside)
        return InlineRecorder(recorder, frames, t_us=self.rung.t_us)

    def _words_left(self) -> Sequence[Word]:
        """None here: they lie outside of what makes two runs equal."""
        return ()

    def _namespace(self) -> UUID:
        facts = (self.bench.hash, self.scenario.name, self.seed, self.shot.technique)
        return uuid5(NAMESPACE_OID, " ".join(map(str, facts)))

    def _unit_verb(self, verb: str) -> None:
        """SIGKILL, SIGSTOP, SIGCONT and a fresh start, as the wire rung does them for real."""
        if verb == "kill unit":
            self.rung.kill_unit()
        elif verb == "start unit":
            self._start_unit()
        else:
            self.rung.freeze_unit(frozen=verb == "stop unit")

    def _took(self, lines: Sequence[Line]) -> None:
        self.lives[-1].lines += lines
        for line in lines:
            self._on_line(line)
            if line.kind == "state":
                state = line.data["to"]
                self._state_count += state == self.scenario.until.event
                self.script.event(state)

    # --- what is left

    @property
    def lines(self) -> list[Line]:
        return [line for life in self.lives for line in life.lines]

    def seen(self) -> Seen:
        return Seen(
            lines=[as_dict(line) for line in self.lines],
            beams=beams_of(self.rung.world),
            actions=self.script.done,
            image_count=self._image_count(),
            incomplete_count=self._incomplete_count,
            kind=self.shot.kind,
        )

    def _image_count(self) -> int:
        saved = {
            line.data["image_saved"]
            for line in self.lines
            if line.kind == "recorder" and line.data.get("image_saved")
        }
        return len(saved)

    def _close(self) -> None:
        if self._journal is not None:
            self._incomplete_count = len(self._journal.incomplete())
            self._journal.close()
        if self.folder is None:
            return
        for index, life in enumerate(self.lives):
            life.write(self.folder, life_mark(index))


def _journal(folder: Path | None) -> Journal:
    if folder is None:
        return Journal(":memory:", durable=False)
    (folder / "state").mkdir(exist_ok=True)
    return Journal(folder / "state" / "journal.db")


def beams_of(world: World) -> list[BeamSeen]:
    """Every beam by the simulator's own integral, tail included."""
    return [
        BeamSeen(
            on_us=course.on_us,
            off_us=course.off_us,
            gone_us=course.gone_us(),
            mas=course.charge_mas(course.on_us, world.t_us),
        )
        for course in world.generator.courses
    ]
