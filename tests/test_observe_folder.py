"""`dxrig observe` with the images that a maker's tool drops: from the beam to DICOM and journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result

from firmware_py.recorder.archive import differences
from firmware_py.recorder.frame_file import unpack
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.exposures import Exposure, read_exposures
from firmware_py.recorder.store.journal import Journal
from hal.generators.manual import Beam, BeamWatch
from rig.bench import Bench, load_bench
from rig.bench_names import BENCHES
from rig.cli import main
from rig.exit_codes import ConfigError, DeviceError
from rig.observe.imaging import simulated
from rig.observe.makers_file import raw_file
from rig.observe.notes import Expected, Notes
from rig.observe.picture_process import Beside
from rig.observe.pictures import News
from rig.observe.room import SimulatedRoom
from rig.observe.shots import Setting
from rig.observe.watching import Watching
from sim.console import Dialled
from sim.makers_tool import MakersTool
from tests.test_observe import Lines, Thinking

TEXT = (BENCHES / "variants" / "observe_folder.toml").read_text()
STARTED_AT = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)
ASKED = Setting(kv=70.0, ma=100.0, mas=10.0)
SHOT = ("--kvp", "70", "--ma", "100", "--mas", "10", "--yes")
S = 1_000_000


@pytest.fixture
def bench_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def write(*changes: tuple[str, str]) -> str:
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "mine.toml").write_text(text)
        return str(tmp_path / "mine.toml")

    return write


def run(*words: str) -> Result:
    return CliRunner().invoke(main, [*words], catch_exceptions=False)


def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "dxrig" / "observe_folder"


DICOM = (('form = "raw"', 'form = "dicom"'), ('files = "*.raw"', 'files = "*.dcm"'),
         ('byte_order = "little"', "#"), ("header_bytes = 64", "#"))  # fmt: skip

# --- as it is typed


@pytest.mark.parametrize("changes", [(), DICOM], ids=["raw", "dicom"])
def test_an_observed_shot_has_its_image_in_journal_and_dicom(
    changes: tuple[tuple[str, str], ...], bench_file: Callable[..., str], tmp_path: Path
) -> None:
    bench = bench_file(*changes)
    result = run("observe", "--bench", bench, *SHOT, "--shots", "2", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["exit_code"]) == (0, 0)
    assert [row["image"] for row in answer["exposures"]] == ["saved", "saved"]
    rows = read_exposures(state(tmp_path) / "journal.db")
    assert [(row.outcome, row.missing, row.kind) for row in rows] == [
        ("observed", None, "imaging")
    ] * 2
    for folder in sorted((state(tmp_path) / "runs").glob("*/exposures/o-*")):
        assert differences(folder) == []
    assert run("exposures", "verify", "--bench", bench).exit_code == 0


def test_its_dicom_says_whose_beam_and_image_it_was(
    bench_file: Callable[..., str], tmp_path: Path
) -> None:
    """Nothing was indicated to us, so no KVP; how it ended nobody knows, so no status."""
    assert run("observe", "--bench", bench_file(), *SHOT).exit_code == 0
    (path,) = (state(tmp_path) / "runs").glob("*/exposures/*/presentation.dcm")
    image = pydicom.dcmread(path)
    absent = ("KVP", "ExposureInuAs", "ExposureStatus", "ExposureControlMode",
              "DetectorActiveTime", "DateOfLastDetectorCalibration")  # fmt: skip
    assert [name for name in absent if name in image] == []
    assert image.CommentsOnRadiationDose == (
        "Nothing indicated or measured; mAs unknown, at most 57.5. "
        "Set by a person: 70 kV, 100 mA, 10 mAs."
    )
    assert "another maker's, watched and recorded by dxrig" in image.ImageComments
    assert "corrected by the maker's tool, not by dxrig" in image.DerivationDescription
    assert image.DetectorID == "MAKERS-1"


def test_an_image_that_is_not_corrected_is_kept_as_it_came(
    bench_file: Callable[..., str], tmp_path: Path
) -> None:
    bench = bench_file(("corrected = true", "corrected = false"))
    assert run("observe", "--bench", bench, *SHOT).exit_code == 0
    (folder,) = (state(tmp_path) / "runs").glob("*/exposures/o-*")
    assert sorted(file.name for file in folder.iterdir()) == ["exposure.json", "frame.stream"]
    assert [row.missing for row in read_exposures(state(tmp_path) / "journal.db")] == [None]


def test_its_record_is_made_again_from_the_journal_and_proved(
    bench_file: Callable[..., str], tmp_path: Path
) -> None:
    bench = bench_file()
    run("observe", "--bench", bench, *SHOT, "--shots", "2")
    record = sorted((state(tmp_path) / "runs").glob("*/exposures/*/exposure.json"))[0]
    before = record.read_bytes()
    record.unlink()
    assert run("exposures", "repair", "--bench", bench).exit_code == 0
    assert record.read_bytes() == before


def test_without_ma_no_image_could_say_what_it_was_made_with(
    bench_file: Callable[..., str],
) -> None:
    result = run("observe", "--bench", bench_file(), "--kvp", "70", "--mas", "10", "--yes")
    assert result.exit_code == 2
    assert "give mA beside mAs" in result.stderr


def test_a_shot_whose_image_does_not_come_is_a_finding_that_a_person_must_resolve(
    bench_file: Callable[..., str], tmp_path: Path
) -> None:
    bench = bench_file(("image_s = 60.0", "image_s = 1.0"))
    result = run("observe", "--bench", bench, *SHOT, "--json")
    assert result.exit_code == 1
    assert "NO IMAGE of exposure 1 came in 1 s" in result.stderr
    assert [row["image"] for row in json.loads(result.stdout)["exposures"]] == ["not come"]
    assert [row.missing for row in read_exposures(state(tmp_path) / "journal.db")] == ["image"]
    assert run("observe", "--bench", bench, *SHOT).exit_code == 4


# --- in a room where more can happen


class Observed:
    """A simulated room with a maker's tool, and a journal."""

    def __init__(self, folder: Path, *lines: str, **changes: Any) -> None:
        self.bench = changed(**changes)
        self.folder = folder
        self.said: list[str] = []
        self.room = SimulatedRoom(self.bench.unit.room)
        setup = Setup(
            unit=self.bench.unit, started_at=STARTED_AT, uid_namespace=UUID(int=7), simulated=True
        )
        self.journal = Journal(folder / "journal.db")
        notes = Notes(self.journal, setup, "lamp_current", imaged=True, run_dir=".")
        self.watching = Watching(
            self.room, BeamWatch(), notes, self.bench.unit.tube, Lines(*lines), wait_us=5 * S,
            say=self.said.append, imaging=simulated(self.bench, setup, self.room, folder),
            image_us=30 * S,
        )  # fmt: skip
        assert self.room.world.tool is not None
        self.tool: MakersTool = self.room.world.tool

    def run(self, *asked: Setting) -> Observed:
        with closing(self.journal):
            self.watching.run(asked)
        return self

    def rows(self) -> list[Exposure]:
        return read_exposures(self.folder / "journal.db")

    @property
    def told(self) -> str:
        return "\n".join(self.said)

    def kept_aside(self) -> list[tuple[dict[str, str], bytes]]:
        parts = [unpack(path.read_bytes())
                 for path in sorted(self.folder.glob("exposures/stray-*.raw"))]  # fmt: skip
        return [(json.loads(about), data) for about, data in parts]


def changed(**values: Any) -> Bench:
    bench = load_bench("observe_folder")
    assert bench.folder is not None
    return replace(bench, folder=bench.folder.model_copy(update=values))


def test_what_is_no_image_of_the_shot_is_kept_with_its_reason_and_the_shot_has_its_own(
    tmp_path: Path,
) -> None:
    seen = Observed(tmp_path, "", "")
    seen.tool.drop(b"a note", 900_000, name="short.raw", write_us=0, how="in place")
    seen.tool.drop(bytes(140_000), 900_000, name="long.raw", write_us=0, how="in place")
    seen.run(ASKED, ASKED)
    assert [one.image for one in seen.watching.shown] == ["saved", "saved"]
    assert [row.missing for row in seen.rows()] == [None, None]
    ((about, data),) = seen.kept_aside()
    assert about == {
        "file": "long.raw", "verdict": "of a wrong size",
        "why": "140000 bytes, 131136 are needed",
    }  # fmt: skip
    assert data == bytes(140_000)
    assert "short.raw lies in the panel's folder, not whole yet: it is left there" in seen.said


def test_the_image_of_a_beam_that_nobody_was_asked_for_is_put_aside(tmp_path: Path) -> None:
    """While the person still sets the generator; its image comes 3 s later, and is no shot's."""
    seen = Observed(tmp_path)
    seen.watching._answers = Thinking(1_000)  # 5 s
    seen.room.world.press(Dialled(kv=90.0, ma=50.0, ms=200.0), 100_000)
    seen.run(ASKED)
    assert [(one.outcome, one.image) for one in seen.watching.shown] == [
        ("unasked", None), ("seen", "saved"),
    ]  # fmt: skip
    ((about, data),) = seen.kept_aside()
    assert about["verdict"] == "an image that no exposure waits for"
    assert data == seen.tool.drops[0].data
    assert [(row.kind, row.missing) for row in seen.rows()] == [
        ("no receptor", None), ("imaging", None),
    ]  # fmt: skip


@pytest.mark.req("F37")
def test_the_late_image_of_an_unknown_beam_is_never_taken_for_the_next_shot_s(
    tmp_path: Path,
) -> None:
    seen = Observed(tmp_path, "")
    seen.watching._answers = Thinking(60)
    seen.tool.after_us = 4 * S
    seen.room.world.press(Dialled(kv=90.0, ma=50.0, ms=200.0), 10_000)
    seen.run(ASKED)
    assert [(one.outcome, one.image) for one in seen.watching.shown] == [
        ("unasked", None), ("seen", "not come"),
    ]  # fmt: skip
    assert len(seen.kept_aside()) == 2
    assert "whose image never came, or of" in seen.told


class TwoAnswers:
    """At once, and again after 10 s."""

    def __init__(self) -> None:
        self._polls_count = 0

    def poll(self) -> str | None:
        self._polls_count += 1
        return "" if self._polls_count in (1, 2_000) else None


@pytest.mark.req("F37")
def test_an_image_that_is_given_up_and_comes_after_all_is_kept_aside(tmp_path: Path) -> None:
    seen = Observed(tmp_path)
    seen.watching._answers, seen.watching._image_us = TwoAnswers(), 1 * S
    seen.run(ASKED, ASKED)
    assert [one.image for one in seen.watching.shown] == ["not come", "not come"]
    ((about, data),) = seen.kept_aside()  # the second one's comes after the session
    assert about["verdict"] == "an image that no exposure waits for"
    assert data == seen.tool.drops[0].data
    assert not list(tmp_path.glob("exposures/o-*"))


def test_a_share_that_is_gone_is_told_once_and_the_image_comes_when_it_is_back(
    tmp_path: Path,
) -> None:
    seen = Observed(tmp_path, "")
    tool, world = seen.tool, seen.room.world
    world.at(1 * S, lambda t_us: setattr(tool, "broken", True))
    world.at(9 * S, lambda t_us: setattr(tool, "broken", False))
    seen.run(ASKED)
    assert [one.image for one in seen.watching.shown] == ["saved"]
    assert seen.told.count("the panel's folder can't be listed: Input/output error") == 1


def test_a_disk_that_takes_no_image_is_told_and_the_shot_stays_open(tmp_path: Path) -> None:
    seen = Observed(tmp_path, "")
    (tmp_path / "exposures").write_text("in the way")
    seen.run(ASKED)
    assert [one.image for one in seen.watching.shown] == ["not made"]
    assert [row.missing for row in seen.rows()] == ["image"]
    assert "the image of exposure 1 can't be made" in seen.told


# --- the real folder, read by a process of its own


@pytest.mark.wire
def test_a_process_of_its_own_takes_the_image_from_a_real_folder(tmp_path: Path) -> None:
    drop, out = tmp_path / "drop", tmp_path / "run"
    drop.mkdir()
    bench = changed(path=str(drop), settle_ms=100)
    assert bench.folder is not None
    started_at = datetime.now(UTC) - timedelta(seconds=10)
    setup = Setup(unit=bench.unit, started_at=started_at, uid_namespace=UUID(int=7), simulated=True)
    with closing(Beside(setup, bench.folder, out)) as beside:
        beside.expect(expected(setup))
        pixels = np.full((256, 256), 700, np.uint16)
        (drop / "a.tmp").write_bytes(raw_file(pixels, bench.folder))
        (drop / "a.tmp").rename(drop / "a.raw")
        (news,) = waited(beside)
    assert (news.shot_id, news.failed) == ("o-1", False)
    assert news.detail is not None
    assert differences(out / "exposures" / "o-1") == []


def expected(setup: Setup) -> Expected:
    with closing(Journal(":memory:", durable=False)) as journal:
        notes = Notes(journal, setup, "lamp_current", imaged=True)
        beam = Beam(start_us=9 * S, not_before_us=9 * S, end_us=9 * S + 1, not_after_us=9 * S + 2)
        notes.number = lambda shot_id: 1  # type: ignore[method-assign]
        return notes.picture_of("o-1", ASKED, 8 * S, beam)


def waited(beside: Beside) -> list[News]:
    """At most a minute: a machine may be busy."""
    for _ in range(3_000):
        found = [news for news in beside.poll(0) if news.shot_id is not None]
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("no image came")


@pytest.mark.wire
def test_a_folder_that_is_not_there_ends_the_session_before_any_prompt(tmp_path: Path) -> None:
    bench = changed(path=str(tmp_path / "none"))
    assert bench.folder is not None
    setup = Setup(unit=bench.unit, started_at=STARTED_AT, uid_namespace=UUID(int=7), simulated=True)
    with pytest.raises(DeviceError, match="can't be listed: No such file or directory"):
        Beside(setup, bench.folder, tmp_path / "run")


# --- the bench file


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('driver = "folder"', 'driver = "stream_panel"', "folder: is for panel.driver = folder or"),
        ("[folder]", "[sim]", 'folder: is missing: driver = "folder" needs path, form and corr'),
        ('form = "raw"', 'form = "dicom"', 'header_bytes: is for form = "raw"'),
        ('form = "raw"', 'form = "png"', "folder.form"),
        ('rung = "model"', 'rung = "bench"', '"sim" is no folder; rung = "bench" needs one'),
        ("settle_ms = 1000", "settle_ms = 5", "folder.settle_ms"),
    ],
)
def test_a_folder_section_that_does_not_fit_is_refused_with_the_reason(
    old: str, new: str, told: str, bench_file: Callable[..., str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_bench(bench_file((old, new)))
    assert any(told in line for line in caught.value.messages)


def test_a_commanded_generator_can_t_have_a_panel_without_control(
    bench_file: Callable[..., str],
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_bench(bench_file(('driver = "manual"', 'driver = "vj_ixs"')))
    assert any('"folder" has no control' in line for line in caught.value.messages)
