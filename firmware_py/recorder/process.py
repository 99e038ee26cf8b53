"""The recorder as a process of its own (wire and bench): frames in, journal and files out.

On the bus it answers `intent`, `report`, `kept`, `incomplete` and `acknowledge`, and tells all
clients its sample every 50 ms and at once when it changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from pydantic import AwareDatetime, ValidationError

from firmware_py.config import FolderConfig, Strict, UnitConfig
from firmware_py.recorder.archive import Archive
from firmware_py.recorder.dicom.exam import TEST_EXAM, ExamInfo
from firmware_py.recorder.folder_files import DiskFolder, folder_link
from firmware_py.recorder.image import maps
from firmware_py.recorder.image.correct import warm_up
from firmware_py.recorder.messages import (
    SCHEMA,
    intent_from_dict,
    report_from_dict,
    sample_to_dict,
)
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.disk import Disk, needed_bytes
from firmware_py.recorder.store.files import make_folder
from firmware_py.recorder.store.journal import Journal
from firmware_py.word_file import read_words
from hal.bus import BusServer, Client
from hal.frames import PullLink
from hal.now import Now, latest_us
from hal.ports import FrameLink, LinkError
from hal.types import RecorderSample

HEARTBEAT_US = 50_000
PAUSE_S = 0.002
LOG = "recorder.log"
MOST_CHARS = 200


class RecorderConfig(Strict):
    """The file that starts the process; README.md says what each key is."""

    state_dir: Path
    run_dir: Path
    bus: str
    data_url: str
    unit: UnitConfig
    started_at: AwareDatetime
    uid_namespace: UUID
    simulated: bool
    exam: ExamInfo = TEST_EXAM
    panel_set: Path | None = None
    folder: FolderConfig | None = None  # frames come from there, and not from `data_url`
    software: str = "dxrig"

    @property
    def setup(self) -> Setup:
        """Raises ValueError."""
        names = ("unit", "started_at", "uid_namespace", "simulated", "exam", "software")
        return Setup(**{name: getattr(self, name) for name in names})


def read_config(path: Path) -> RecorderConfig:
    """Raises ValueError with every mistake, or OSError."""
    try:
        config = RecorderConfig.model_validate_json(path.read_bytes())
        _ = config.setup
    except ValidationError as error:
        mistakes = [
            f"{path.name}: {'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}"
            for one in error.errors()
        ]
        raise ValueError("\n".join(mistakes)) from None
    return config


class ScanClock:
    """The unit's time, as far as its messages tell: they are never from the future."""

    def __init__(self) -> None:
        self._zero_ns = time.monotonic_ns()

    def now_us(self) -> int:
        return (time.monotonic_ns() - self._zero_ns) // 1000

    def follow(self, at_us: int) -> None:
        ahead_us = latest_us(0, at_us - self.now_us())
        self._zero_ns -= 1000 * ahead_us


class Process:
    """Everything that is open while the recorder runs. Raises JournalError, LinkError, OSError."""

    def __init__(self, config: RecorderConfig) -> None:
        make_folder(config.state_dir)
        make_folder(config.run_dir)
        self._setup = config.setup
        self._clock = ScanClock()
        self._journal = Journal(config.state_dir / "journal.db")
        self._log: TextIO = (config.run_dir / LOG).open("a", encoding="utf-8", buffering=1)
        self._bus: BusServer | None = None
        self._frames: FrameLink | None = None
        self._told_link: str | None = None
        self._beat_us = 0
        self._sent: RecorderSample | None = None
        try:
            self._recorder = self._start(config)
            self._bus = BusServer(config.bus)
            self._frames = self._open_frames(config)
        except BaseException:
            self.close()
            raise

    def run(self, is_wanted: Callable[[], bool]) -> None:
        """Until `is_wanted` says no."""
        assert self._bus is not None
        while is_wanted():
            self.step()
            self._bus.wait(PAUSE_S)

    @property
    def alone(self) -> bool:
        """No client is connected."""
        return self._bus is None or self._bus.clients_count == 0

    def step(self) -> None:
        """Take what has arrived, and tell."""
        assert self._bus is not None
        for client, message in self._bus.poll():
            self._answer(client, message)
        for frame in self._new_frames():
            self._recorder.frame(frame, self._clock.now_us())
        self._beat(self._bus)

    def close(self) -> None:
        for part in (self._bus, self._frames, self._journal):
            if part is not None:
                part.close()
        with suppress(OSError):
            self._log.close()

    def tell(self, text: str) -> None:
        """One line of the log; it holds what went wrong, and nothing else.

        A full disk takes no line that says it is full; the sample says so (`disk_ok`).
        """
        with suppress(OSError):
            self._log.write(f"{self._setup.at(self._clock.now_us()).isoformat()} {text}\n")

    def _start(self, config: RecorderConfig) -> Recorder:
        panel = config.unit.panel
        warm_up((panel.rows_px, panel.columns_px))
        recorder = Recorder(
            self._setup,
            self._journal,
            archive=Archive(config.run_dir, self._load_maps(config.panel_set)),
            disk=Disk(
                (config.run_dir, config.state_dir),
                needed_bytes=needed_bytes(panel.rows_px, panel.columns_px),
            ),
            tell=self.tell,
            words=read_words(config.state_dir),
        )
        recorder.resume(self._clock.now_us())
        return recorder

    def _open_frames(self, config: RecorderConfig) -> FrameLink:
        if config.folder is None:
            return PullLink(config.data_url)
        disk = DiskFolder(Path(config.folder.path), config.started_at)
        link = folder_link(disk, config.folder, config.unit.panel, config.started_at)
        link.follow(self._recorder.awaited, self._recorder.aside)
        return link

    def _load_maps(self, path: Path | None) -> maps.PanelSet | None:
        try:
            return None if path is None else maps.load(path)
        except maps.PanelSetError as error:
            self.tell(str(error))
            return None

    def _new_frames(self) -> Sequence[list[bytes]]:
        """A panel that is not there is told once; it comes back by itself."""
        assert self._frames is not None
        try:
            found = self._frames.read(self._clock.now_us())
        except LinkError as error:
            if self._told_link != str(error):
                self._told_link = str(error)
                self.tell(self._told_link)
            return []
        return found

    def _beat(self, bus: BusServer) -> None:
        now_us = self._clock.now_us()
        sample = self._recorder.sample(now_us)
        if sample is self._sent and not Now(now_us).reached(self._beat_us):
            return
        self._sent, self._beat_us = sample, now_us + HEARTBEAT_US
        bus.publish(
            {"schema": SCHEMA, "kind": "recorder", "sample": sample_to_dict(sample)},
        )

    def _answer(self, client: Client, message: Mapping[str, Any]) -> None:
        kind = message["kind"]
        try:
            reply = _ANSWERS.get(kind, Process._on_unknown)(self, message)
        except (ValueError, JournalError) as error:
            self.tell(f"{kind}: {error}")
            reply = {"kind": "error", "text": str(error)}
        if client.ask is not None and self._bus is not None:
            self._bus.reply(client, {"schema": SCHEMA, **reply})

    def _on_intent(self, message: Mapping[str, Any]) -> dict[str, Any]:
        intent = intent_from_dict(message.get("intent"))
        self._clock.follow(intent.at_us)
        self._recorder.intent(intent)
        return {"kind": "done"}

    def _on_report(self, message: Mapping[str, Any]) -> dict[str, Any]:
        report = report_from_dict(message.get("report"))
        self._clock.follow(report.end_us or 0)
        self._recorder.report(report)
        return {"kind": "done"}

    def _on_kept(self, message: Mapping[str, Any]) -> dict[str, Any]:
        shots = message.get("shots")
        if not isinstance(shots, list) or not all(isinstance(one, str) for one in shots):
            raise ValueError(f"shots: must be a list of texts, got {shots!r}")
        self._recorder.kept(tuple(shots))
        return {"kind": "done"}

    def _on_incomplete(self, _message: Mapping[str, Any]) -> dict[str, Any]:
        rows = [
            asdict(row) | {"missing": row.missing, "dose": row.dose_text}
            for row in self._recorder.recover()
        ]
        return {"kind": "incomplete", "exposures": rows}

    def _on_acknowledge(self, message: Mapping[str, Any]) -> dict[str, Any]:
        shot_id, who, why = (_words(message, key) for key in ("shot_id", "who", "why"))
        self._recorder.acknowledge(shot_id, who=who, why=why, now_us=self._clock.now_us())
        return {"kind": "done"}

    def _on_unknown(self, message: Mapping[str, Any]) -> dict[str, Any]:
        raise ValueError(f"is no question for the recorder; it knows {', '.join(_ANSWERS)}")


def _words(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or len(value) > MOST_CHARS:
        raise ValueError(f"{key}: must be a text of at most {MOST_CHARS} characters, got {value!r}")
    return value


_ANSWERS: dict[str, Callable[[Process, Mapping[str, Any]], dict[str, Any]]] = {
    "intent": Process._on_intent,
    "report": Process._on_report,
    "kept": Process._on_kept,
    "incomplete": Process._on_incomplete,
    "acknowledge": Process._on_acknowledge,
}
