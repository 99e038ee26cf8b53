"""Frames of earlier runs, fetched from the panel's memory and made into their images.

No unit runs and nothing is irradiated: only the panel is spoken to. Each frame goes to a
recorder with the setup of the run that made the exposure, so its image has the UIDs that
were fixed at the intent (SR-55, SR-56). The panel forgets a frame once its image is saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from firmware_py.config import UnitConfig
from firmware_py.recorder.archive import Archive
from firmware_py.recorder.earlier_lives import EarlierLives
from firmware_py.recorder.image import maps
from firmware_py.recorder.process import RecorderConfig, read_config
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.journal import Journal
from hal.clock import WallClock
from hal.detectors import open_panel
from hal.frame_codec import decode
from hal.frames import DealerLink, PullLink
from hal.now import Now
from hal.ports import LinkError, PanelFrame, WireError
from hal.types import Outputs, PanelSample, PanelState
from rig.bench_lock import hold_bench
from rig.exit_codes import DeviceError
from rig.recovery import journal_of

POLL_S = 0.005
FIRST_S = 5.0
FRAME_S = 15.0  # three tries, and the time that an image takes

NOT_OURS = "left in the panel: this bench has no exposure of that name"
NO_RUN = "left in the panel: the files of its run are gone"
FREED = "was saved already; the panel has forgotten it"
SAVED = "fetched, image saved"
NO_IMAGE = "fetched and kept raw, but no image can be made of it"
NOT_COME = "left in the panel: it was asked for three times and did not come whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of one frame that the panel kept."""

    shot_id: str
    said: str

    @property
    def done(self) -> bool:
        return self.said in (SAVED, FREED)


def fetch(unit: UnitConfig, state: Path, tell: Callable[[str], None]) -> list[Fetched]:
    """All frames that the panel keeps, the oldest first. `tell`: a line for people.

    Raises DeviceError: somebody else owns the bench, no panel, no journal.
    """
    with (
        hold_bench(state, "dxrig recover --fetch"),
        _journal(state, unit) as journal,
        _panel(unit) as panel,
    ):
        return [_one(panel, journal, state, shot, tell) for shot in panel.first().kept]


@contextmanager
def _journal(state: Path, unit: UnitConfig) -> Iterator[Journal]:
    """What a dead unit left open is ended first: an image needs a dose, known or bounded."""
    try:
        journal = Journal(journal_of(state), owner="dxrig recover --fetch")
    except JournalError as error:
        raise DeviceError(str(error)) from error
    try:
        nobody = Setup(unit=unit, started_at=datetime.now(UTC), uid_namespace=uuid4(),
                       simulated=unit.rung != "bench")  # fmt: skip
        for failed in EarlierLives(nobody, journal, None).end_other_runs():
            raise DeviceError(str(failed)) from failed
        yield journal
    finally:
        journal.close()


@contextmanager
def _panel(unit: UnitConfig) -> Iterator[_Panel]:
    panel = _Panel(unit)
    try:
        yield panel
    finally:
        panel.close()


class _Panel:
    """Control and data of the panel, without a unit between."""

    def __init__(self, unit: UnitConfig) -> None:
        """Raises DeviceError when an endpoint is none."""
        self._url = unit.panel.control_url
        self._clock = WallClock()
        self._trouble = ""
        try:
            self._control = DealerLink(unit.panel.control_url)
            self._data = PullLink(unit.panel.data_url)
        except LinkError as error:
            raise DeviceError(f"panel: {error}") from error
        self._driver = open_panel(unit.panel.driver, self._control, **unit.panel.options())

    def close(self) -> None:
        self._control.close()
        self._data.close()

    def poll(self, outputs: Outputs) -> tuple[PanelSample, list[list[bytes]]]:
        """What it shows, and the frames that have come."""
        time.sleep(POLL_S)
        now = Now(self._clock.now_us())
        sample = self._driver.read(now)
        self._driver.write(now, outputs)
        try:
            return sample, list(self._data.read(now.t_us))
        except LinkError as error:
            self._trouble = str(error)
            return sample, []

    def first(self) -> PanelSample:
        """Raises DeviceError when nobody answers, or frames have nowhere to come from."""
        end_s = time.monotonic() + FIRST_S
        while time.monotonic() < end_s:
            sample, _ = self.poll(Outputs())
            if sample.state is not PanelState.DISCONNECTED and self._data.has_peer:
                return sample
        raise DeviceError(
            f"the panel at {self._url} does not answer{self._why()}; "
            "check its power, its link, and that no unit runs"
        )

    def _why(self) -> str:
        return f" ({self._trouble})" if self._trouble else ""


def _one(
    panel: _Panel, journal: Journal, state: Path, shot_id: str, tell: Callable[[str], None]
) -> Fetched:
    try:
        row = journal.exposure(shot_id)
        if row is None or not row.sound:
            return Fetched(shot_id=shot_id, said=NOT_OURS)
        config = _config_of(journal, state, shot_id)
        if config is None and row.image is None:
            return Fetched(shot_id=shot_id, said=NO_RUN)
        if config is None:
            return _free(panel, shot_id)
        recorder = Recorder(config.setup, journal, archive=_archive(config), tell=tell)
        return _hand_over(panel, recorder, config.setup, shot_id)
    except JournalError as error:
        raise DeviceError(str(error)) from error


def _hand_over(panel: _Panel, recorder: Recorder, setup: Setup, shot_id: str) -> Fetched:
    """Until the panel has forgotten the frame, or there is no more to be tried."""
    came = False
    end_s = time.monotonic() + FRAME_S
    while time.monotonic() < end_s:
        known = recorder.sample(_now_us(setup))
        outputs = Outputs(fetch=known.frames_wanted, free=known.frames_safe)
        sample, messages = panel.poll(outputs)
        for message in messages:
            if _shot_of(message) in (shot_id, None):
                recorder.frame(message, _now_us(setup))
                came = True
        if sample.state is PanelState.DISCONNECTED:
            continue
        if shot_id not in sample.kept:
            return Fetched(shot_id=shot_id, said=SAVED if came else FREED)
        if came and known.image_failed == shot_id and shot_id not in known.frames_wanted:
            return Fetched(shot_id=shot_id, said=NO_IMAGE)
        if shot_id in sample.given_up:
            break
        recorder.kept((shot_id,))
    return Fetched(shot_id=shot_id, said=NOT_COME)


def _free(panel: _Panel, shot_id: str) -> Fetched:
    end_s = time.monotonic() + FIRST_S
    while time.monotonic() < end_s:
        sample, _ = panel.poll(Outputs(free=(shot_id,)))
        if shot_id not in sample.kept:
            return Fetched(shot_id=shot_id, said=FREED)
    return Fetched(shot_id=shot_id, said=NOT_COME)


def _config_of(journal: Journal, state: Path, shot_id: str) -> RecorderConfig | None:
    """Of the recorder that wrote the intent: the one whose UIDs it has. None: not there."""
    detail = journal.detail("intent", shot_id) or {}
    run_dir = state / str(detail.get("run_dir", ""))
    for path in sorted((run_dir / "work").glob("recorder*.json")):
        with suppress(ValueError, OSError):
            config = read_config(path)
            if config.setup.uids_dict(shot_id) == detail.get("uids"):
                return _moved(config, run_dir)
    return None


def _moved(config: RecorderConfig, run_dir: Path) -> RecorderConfig:
    """Where the run lies now: a state that was moved takes its runs along."""
    return config.model_copy(update={"run_dir": run_dir})


def _archive(config: RecorderConfig) -> Archive:
    panel_set = None
    if config.panel_set is not None:
        with suppress(maps.PanelSetError):
            panel_set = maps.load(config.panel_set)
    return Archive(config.run_dir, panel_set)


def _shot_of(message: list[bytes]) -> str | None:
    """None: it says nothing that could be believed."""
    try:
        frame = decode(message)
    except WireError:
        return None
    return frame.shot_id if isinstance(frame, PanelFrame) else ""


def _now_us(setup: Setup) -> int:
    since_start = datetime.now(UTC) - setup.started_at
    return round(since_start.total_seconds() * 1e6)
