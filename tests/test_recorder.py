"""The recorder and its two plugs: what is acknowledged, when, and what never is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
import pytest

from firmware_py.recorder import frame_file
from firmware_py.recorder.archive import Archive, differences, reprocess
from firmware_py.recorder.dicom.exam import ExamInfo
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.recorder.image.maps import PanelSet, all_parts
from firmware_py.recorder.messages import (
    intent_from_dict,
    intent_to_dict,
    report_from_dict,
    report_to_dict,
    sample_from_dict,
    sample_to_dict,
)
from firmware_py.recorder.ports import BusRecorder, InlineRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.database import MEMORY, JournalError, StorageError
from firmware_py.recorder.store.disk import Disk
from firmware_py.recorder.store.journal import Journal
from hal.frame_pipes import PipeFrames, frame_pipe
from hal.now import Now
from hal.ports import LinkError
from hal.stream_v1 import encode_end, encode_start
from hal.types import EndReason, ExposureReport, RecorderSample, ShotKind
from tests.exposures import (
    NAMESPACE,
    PANEL,
    STARTED,
    intent,
    message,
    report,
    shot,
    unit_config,
)
from tests.test_dicom import entities, verdict

SMALL = {"rows_px": 64, "columns_px": 64}
MS = 1000
MONTH = timedelta(days=30)


def setup(**changed: Any) -> Setup:
    fields: dict[str, Any] = {
        "unit": unit_config(panel=SMALL),
        "started_at": STARTED,
        "uid_namespace": NAMESPACE,
        "simulated": True,
        "software": "dxrig test",
    }
    return Setup(**(fields | changed))


def panel_set(**changed: Any) -> PanelSet:
    fields: dict[str, Any] = {
        "panel_id": PANEL,
        "unit_serial": "SIM-0001",
        "parts": all_parts(created=STARTED - timedelta(days=1), valid_until=STARTED + MONTH),
        "offset": np.full((64, 64), 100, np.float32),
        "gain": np.ones((64, 64), np.float32),
        "defects": np.zeros((64, 64), np.bool_),
        "counts_per_ugy": 1000.0,
        "beam_quality": "RQA5",
    }
    return PanelSet(**(fields | changed))


class Rig:
    """A recorder with an in-memory journal and images in a folder."""

    def __init__(self, folder: Path | None, **changed: Any) -> None:
        self.journal = changed.pop("journal", None) or Journal(MEMORY, durable=False)
        maps = changed.pop("panel_set", panel_set())
        archive = Archive(folder, maps, durable=False) if folder else None
        disk = changed.pop("disk", None)
        self.recorder = Recorder(setup(**changed), self.journal, archive=archive, disk=disk)

    def sample(self, now_us: int = 0) -> RecorderSample:
        return self.recorder.sample(now_us)

    @property
    def told(self) -> str:
        return "\n".join(self.recorder.told)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def saved(rig: Rig) -> tuple[str | None, str | None, str | None, str | None]:
    sample = rig.sample()
    return sample.intent_durable, sample.dose_saved, sample.image_saved, sample.image_failed


# --- one exposure


def test_an_exposure_is_acknowledged_step_by_step(rig: Rig) -> None:
    assert saved(rig) == (None, None, None, None)
    rig.recorder.intent(intent())
    assert saved(rig) == ("S1", None, None, None)
    rig.recorder.report(report())
    assert saved(rig) == ("S1", "S1", None, None)
    rig.recorder.frame(message(), 6_500_000)
    assert saved(rig) == ("S1", "S1", "S1", None)
    assert rig.journal.incomplete() == []
    assert rig.told == ""


def test_the_frame_may_come_before_the_report(rig: Rig) -> None:
    rig.recorder.intent(intent())
    rig.recorder.frame(message(), 6_500_000)
    assert saved(rig) == ("S1", None, None, None)
    rig.recorder.report(report())
    assert saved(rig) == ("S1", "S1", "S1", None)


def test_the_folder_of_an_exposure_holds_all_of_it(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.frame(message(), 6_500_000)
    rig.recorder.report(report())
    folder = tmp_path / "exposures" / "S1"
    assert sorted(path.name for path in folder.iterdir()) == [
        "exposure.json", "frame.stream", "presentation.dcm", "preview.png", "processing.dcm",
    ]  # fmt: skip
    assert frame_file.unpack((folder / "frame.stream").read_bytes()) == message()
    content = json.loads((folder / "exposure.json").read_text())
    assert content["intent"] == intent_to_dict(intent())
    assert content["report"] == report_to_dict(report())
    assert content["imaged_us"] == 6_500_000
    detail = rig.journal.detail("image", "S1")
    assert detail is not None
    assert detail["folder"] == "exposures/S1"
    assert set(content["files"]) == {
        "frame.stream", "presentation.dcm", "preview.png", "processing.dcm",
    }  # fmt: skip


@pytest.mark.req("SR-55")
def test_uids_are_fixed_with_the_intent_and_tie_journal_and_images(
    rig: Rig, tmp_path: Path
) -> None:
    rig.recorder.intent(intent())
    detail = rig.journal.detail("intent", "S1")
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    folder = tmp_path / "exposures" / "S1"
    first = pydicom.dcmread(folder / "processing.dcm")
    second = pydicom.dcmread(folder / "presentation.dcm")
    assert detail is not None
    assert detail["uids"] == {
        "study": first.StudyInstanceUID,
        "irradiation_event": first.IrradiationEventUID,
        "acquisition": first.AcquisitionUID,
        "processing_series": first.SeriesInstanceUID,
        "processing": first.SOPInstanceUID,
        "presentation_series": second.SeriesInstanceUID,
        "presentation": second.SOPInstanceUID,
    }
    assert first.IrradiationEventUID == second.IrradiationEventUID


def test_dates_come_from_the_start_and_the_scan_clock(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    image = pydicom.dcmread(tmp_path / "exposures/S1/processing.dcm")
    assert (image.StudyDate, image.StudyTime) == ("20260102", "030405.000000")
    assert image.AcquisitionDateTime == "20260102030407.000000+0000"  # start_us = 2 s
    assert image.ContentTime == "030411.500000"
    assert image.DetectorActiveTime == 4200
    assert image.ExposureIndex > 0


def test_an_exposure_index_needs_the_calibration_quality(tmp_path: Path) -> None:
    rig = Rig(tmp_path, panel_set=panel_set(beam_quality="90 kV 2.5 mm Al"))
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 0)
    assert "ExposureIndex" not in pydicom.dcmread(tmp_path / "exposures/S1/processing.dcm")


def test_two_runs_with_the_same_dates_and_seeds_give_the_same_files(tmp_path: Path) -> None:
    made = []
    for name in ("one", "other"):
        rig = Rig(tmp_path / name)
        (tmp_path / name).mkdir()
        rig.recorder.intent(intent())
        rig.recorder.report(report())
        rig.recorder.frame(message(), 6_500_000)
        files = sorted((tmp_path / name).rglob("*.*"))
        made.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files})
    assert made[0] == made[1]
    assert len(made[0]) == 6  # five of the exposure, and the maps


# --- attempts that make no image


def test_an_attempt_without_a_beam_needs_no_frame(rig: Rig) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report(reason=EndReason.NO_BEAM, beam=False, mas=0.0))
    assert saved(rig) == ("S1", "S1", None, None)
    assert rig.journal.incomplete() == []


def test_a_frame_without_a_beam_makes_no_image(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.frame(message(), 6_500_000)
    rig.recorder.report(report(reason=EndReason.NO_BEAM, beam=False, mas=0.0))
    assert saved(rig) == ("S1", "S1", None, None)
    assert [path.name for path in (tmp_path / "exposures/S1").iterdir()] == ["frame.stream"]


@pytest.mark.req("SR-53")
def test_an_unknown_dose_stays_unknown(rig: Rig) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report(reason=EndReason.FAULT, mas=None))
    (row,) = rig.journal.exposures()
    assert (row.mas, row.dose_text) == (None, "unknown, at most 3 mAs")


def test_a_dose_without_an_intent_is_recorded_all_the_same(rig: Rig) -> None:
    rig.recorder.report(report())
    (row,) = rig.journal.exposures()
    assert (row.shot_id, row.mas, row.maximum_mas) == ("S1", 2.013, 3.0)
    assert "without an intent" in rig.told


def test_the_intent_that_the_scan_repeats_at_a_later_time_is_the_same(rig: Rig) -> None:
    rig.recorder.intent(intent(at_us=1_000_000))
    rig.recorder.intent(intent(at_us=1_500_000))
    (row,) = rig.journal.exposures()
    assert row.at == "2026-01-02T03:04:06+00:00"
    assert rig.told == ""


@pytest.mark.parametrize(
    ("planned", "why"),
    [
        (replace(shot(), exam_id="E-7"), "it is of exam E-7, the recorder was started for exam"),
        (replace(shot(), panel_id="P-2"), "it is of panel P-2"),
        (replace(shot(), shot_id="../S1"), "names a folder"),
        (replace(shot(), shot_id=""), "names a folder"),
    ],
)
def test_an_intent_that_is_not_for_this_recorder_is_never_acknowledged(
    rig: Rig, planned: Any, why: str
) -> None:
    rig.recorder.intent(replace(intent(), shot=planned))
    assert rig.sample().intent_durable is None
    assert why in rig.told
    assert rig.journal.exposures() == []
    assert rig.sample().disk_ok  # the disk is not to blame


def test_a_refused_attempt_is_reported_and_leaves_the_unit_free(rig: Rig) -> None:
    rig.recorder.intent(replace(intent(), shot=replace(shot(), exam_id="E-7")))
    rig.recorder.report(report(reason=EndReason.NO_BEAM, beam=False, mas=0.0))
    assert saved(rig) == (None, "S1", None, None)
    assert rig.journal.exposures() == []


def test_an_exposure_id_of_an_earlier_run_is_refused(rig: Rig) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    later = Rig(None, journal=rig.journal, uid_namespace=UUID(int=7))
    later.recorder.intent(intent())
    assert later.sample().intent_durable is None
    assert "already made" in later.told


# --- frames that are not what they should be


@pytest.mark.req("F36")
def test_a_frame_that_comes_twice_makes_one_image(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    for _ in range(3):
        rig.recorder.frame(message(), 6_500_000)
    assert len(list((tmp_path / "exposures").iterdir())) == 1
    assert rig.told.count("came twice") == 2


@pytest.mark.req("F37")
def test_a_frame_of_another_exposure_is_kept_aside_and_never_attached(
    rig: Rig, tmp_path: Path
) -> None:
    rig.recorder.intent(intent("S2"))
    rig.recorder.report(report("S2"))
    rig.recorder.frame(message("S1"), 6_500_000)
    assert saved(rig) == ("S2", "S2", None, None)
    stray = tmp_path / "exposures" / "stray-0001.raw"
    assert frame_file.unpack(stray.read_bytes()) == message("S1")
    rig.recorder.frame(message("S2"), 6_600_000)
    assert rig.sample().image_saved == "S2"


@pytest.mark.req("F37")
def test_a_late_frame_finds_its_own_exposure_and_not_the_newest(rig: Rig, tmp_path: Path) -> None:
    for shot_id in ("S1", "S2"):
        rig.recorder.intent(intent(shot_id))
        rig.recorder.report(report(shot_id))
    late = np.full((64, 64), 5000, "<u2").tobytes()
    rig.recorder.frame(message("S1", pixels=late), 9_000_000)
    assert rig.sample().image_saved == "S1"
    assert not (tmp_path / "exposures" / "S2").exists()


@pytest.mark.req("F40")
def test_a_frame_of_another_panel_is_kept_aside(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(panel_id="P-2"), 6_500_000)
    assert rig.sample().image_saved is None
    assert [path.name for path in (tmp_path / "exposures").iterdir()] == ["stray-0001.raw"]
    assert "by another panel, P-2" in rig.told


def test_a_second_different_frame_is_kept_aside(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    rig.recorder.frame(message(pixels=bytes(64 * 64 * 2)), 6_600_000)
    assert (tmp_path / "exposures" / "stray-0001.raw").exists()
    assert frame_file.unpack((tmp_path / "exposures/S1/frame.stream").read_bytes()) == message()


@pytest.mark.req("F35")
def test_a_damaged_frame_is_told_and_a_good_one_after_it_is_taken(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    bad = message()
    bad[2] = b"\xff" + bad[2][1:]
    rig.recorder.frame(bad, 6_500_000)
    assert saved(rig) == ("S1", "S1", None, "S1")
    assert "is not the md5 of the pixels" in rig.told
    rig.recorder.frame(message(), 6_600_000)
    assert saved(rig) == ("S1", "S1", "S1", None)


def test_a_frame_of_another_size_fails_the_exposure(rig: Rig) -> None:
    rig.recorder.intent(intent())
    rig.recorder.frame(message(rows_px=32), 6_500_000)
    assert rig.sample().image_failed == "S1"
    assert "has 32 x 64 pixels, its panel 64 x 64" in rig.told


def test_a_frame_beyond_the_panels_bits_fails_the_exposure_and_is_kept(
    rig: Rig, tmp_path: Path
) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(pixels=np.full((64, 64), 40000, "<u2").tobytes()), 6_500_000)
    assert saved(rig) == ("S1", "S1", None, "S1")
    assert (tmp_path / "exposures/S1/frame.stream").exists()
    assert [row.missing for row in rig.journal.incomplete()] == ["image"]


def test_start_and_end_of_a_series_are_no_frames(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.frame(encode_start(1), 0)
    rig.recorder.frame(encode_end(1), 0)
    assert saved(rig) == ("S1", None, None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"DXFRAME1", b"DXFRAME1\x02\0\0\0", b"GARBAGE!"])
def test_a_file_that_is_no_frame_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame file"):
        frame_file.unpack(data)


def test_the_frame_file_is_what_its_description_says() -> None:
    """Literal bytes: magic, count, then length and part, little-endian."""
    data = b"DXFRAME1\x02\0\0\0\x01\0\0\0\0\0\0\0a\0\0\0\0\0\0\0\0"
    assert b"".join(frame_file.pack([b"a", b""])) == data
    assert frame_file.unpack(data) == [b"a", b""]


# --- maps and disk


@pytest.mark.parametrize(
    ("maps", "why"),
    [
        (None, "no calibration set for panel SIM-PANEL-1"),
        (panel_set(panel_id="P-2"), "is of panel P-2"),
        (
            panel_set(parts=all_parts(created=STARTED - MONTH, valid_until=STARTED - MONTH)),
            "its offset was valid until 2025-12-03",
        ),
    ],
)
def test_without_valid_maps_the_unit_is_told_before_any_dose(
    tmp_path: Path, maps: PanelSet | None, why: str
) -> None:
    rig = Rig(tmp_path, panel_set=maps)
    assert not rig.sample().panel_set_ok
    assert why in rig.told


def test_the_disk_is_asked_at_most_once_a_second() -> None:
    asked: list[Path] = []

    def free(folder: Path) -> int:
        asked.append(folder)
        return 1000 if len(asked) == 1 else 999

    disk = Disk([Path("/")], needed_bytes=1000, free=free)
    assert [disk.ok(t_us) for t_us in (0, 1, 999_999, 1_000_000, 1_999_999)] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert len(asked) == 2


def test_after_a_failed_write_the_disk_is_ok_when_it_took_something_again(tmp_path: Path) -> None:
    disk = Disk([tmp_path], needed_bytes=1)
    assert disk.ok(0)
    disk.failed()
    assert not disk.ok(999_999)
    assert disk.ok(1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_not_ok(tmp_path: Path) -> None:
    assert not Disk([tmp_path / "gone"], needed_bytes=1).ok(0)


class FailingJournal(Journal):
    """Its disk is full as long as `full` says so."""

    full = True

    def add_intent(self, **fields: Any) -> int:
        if self.full:
            raise StorageError("Writing intent: the disk is full. Free space.")
        return super().add_intent(**fields)


@pytest.mark.req("SR-52")
def test_an_intent_that_can_not_be_stored_is_not_acknowledged() -> None:
    rig = Rig(None, journal=FailingJournal(MEMORY, durable=False))
    rig.recorder.intent(intent())
    assert (rig.sample().intent_durable, rig.sample().disk_ok) == (None, False)
    assert "the disk is full" in rig.told


def test_a_frame_that_can_not_be_stored_fails_the_exposure(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("firmware_py.recorder.archive.write_file", full)
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    assert saved(rig) == ("S1", "S1", None, "S1")
    assert not rig.sample().disk_ok
    monkeypatch.undo()
    rig.recorder.frame(message(), 7_000_000)  # the panel sends it again
    assert rig.sample().image_saved == "S1"


# --- after a kill


def test_an_intent_of_an_earlier_run_blocks_until_a_person_has_looked(tmp_path: Path) -> None:
    journal = Journal(MEMORY, durable=False)
    Rig(None, journal=journal).recorder.intent(intent())
    later = Rig(None, journal=journal, uid_namespace=UUID(int=7))
    assert later.sample().incomplete_count == 1
    told = [row.dose_text for row in later.recorder.recover()]
    assert told == ["unknown, at most 3 mAs, by the programme"]
    later.recorder.acknowledge("S1", who="A. Physicist", why="power cut", now_us=5_000_000)
    assert later.sample().incomplete_count == 0
    with pytest.raises(JournalError, match="no such incomplete exposure"):
        later.recorder.acknowledge("S1", who="A. Physicist", why="again", now_us=5_000_000)


@pytest.mark.req("SR-53")
def test_the_next_run_ends_an_intent_that_nobody_can_report_any_more_as_unknown_dose() -> None:
    journal = Journal(MEMORY, durable=False)
    Rig(None, journal=journal).recorder.intent(intent())
    Rig(None, journal=journal)  # the same run goes on: its unit may still report
    assert [row.outcome for row in journal.exposures()] == ["open"]
    for _ in range(2):  # once is enough, twice is no error
        Rig(None, journal=journal, uid_namespace=UUID(int=7))
    (row,) = journal.exposures()
    assert (row.outcome, row.beam, row.mas, row.missing) == ("unknown dose", True, None, "dose")
    detail = journal.detail("dose", "S1")
    assert detail is not None
    assert detail.pop("bound_by") == "the programme"
    assert report_from_dict(detail) == ExposureReport(
        shot=shot(), reason=EndReason.FAULT, fault="UNIT_LOST", beam=True, mas=None, maximum_mas=3.0
    )


@pytest.mark.parametrize(
    "change", ["at = 'nonsense'", "maximum_mas = 0.001", "number = 7", "detail = '{nonsense'"]
)
def test_a_recorder_starts_beside_a_damaged_row_and_waits_for_somebody_to_look(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "journal.db"
    with closing(Journal(path)) as journal:
        Rig(None, journal=journal).recorder.intent(intent())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE intent SET {change}")
    path.with_suffix(".witness").unlink()
    with closing(Journal(path)) as journal:
        later = Rig(None, journal=journal, uid_namespace=UUID(int=7))
        assert later.sample().incomplete_count == 1
        assert [row.missing for row in later.recorder.recover()] == ["record"]
        later.recorder.acknowledge("S1", who="A. Physicist", why="bad disk", now_us=5_000_000)
        assert later.sample().incomplete_count == 0


def test_a_dark_frame_that_nobody_can_report_any_more_was_no_beam() -> None:
    journal = Journal(MEMORY, durable=False)
    dark = replace(intent(), shot=replace(shot(), kind=ShotKind.DARK))
    Rig(None, journal=journal).recorder.intent(dark)
    later = Rig(None, journal=journal, uid_namespace=UUID(int=7))
    assert [row.outcome for row in journal.exposures()] == ["no beam"]
    assert later.sample().incomplete_count == 0


@pytest.mark.parametrize("reported", [True, False])
def test_a_recorder_that_was_killed_goes_on_with_the_exposure_under_way(
    tmp_path: Path, reported: bool
) -> None:
    first = Rig(tmp_path)
    first.recorder.intent(intent())
    if reported:
        first.recorder.report(report())
    second = Rig(tmp_path, journal=first.journal)
    assert second.sample().incomplete_count == 1
    if not reported:
        second.recorder.report(report())
    second.recorder.frame(message(), 6_500_000)
    assert second.sample().image_saved == "S1"
    assert second.sample().incomplete_count == 0
    assert second.told == ""


@pytest.mark.req("SR-53", "SR-56")
def test_what_a_recorder_finished_before_it_was_killed_is_acknowledged_by_the_next(
    tmp_path: Path,
) -> None:
    """The unit asks until it hears; else it would show a lost dose or frame that is there."""
    first = Rig(tmp_path)
    first.recorder.intent(intent())
    first.recorder.report(report())
    first.recorder.frame(message(), 6_500_000)
    second = Rig(tmp_path, journal=first.journal)
    assert saved(second) == (None, None, None, None)
    second.recorder.report(report())
    assert saved(second) == (None, "S1", "S1", None)
    second.recorder.frame(message(), 7_000_000)
    assert second.told == "frame of S1 came twice; one image is made"
    second.recorder.frame(message(pixels=bytes(8192)), 7_500_000)
    assert "second, different frame of S1" in second.told
    assert saved(second) == (None, "S1", "S1", None)


def test_a_report_without_a_beam_settles_the_attempt_of_a_killed_recorder(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.recorder.intent(intent())
    second = Rig(tmp_path, journal=first.journal)
    second.recorder.report(report(reason=EndReason.NO_BEAM, beam=False, mas=0.0))
    assert second.sample().incomplete_count == 0


def test_a_frame_is_not_given_to_an_exposure_of_an_earlier_run(tmp_path: Path) -> None:
    """The id is the same, the UIDs are not: another run has another namespace."""
    first = Rig(tmp_path)
    first.recorder.intent(intent())
    first.recorder.report(report())
    later = Rig(tmp_path, journal=first.journal, uid_namespace=UUID(int=7))
    later.recorder.frame(message(), 6_500_000)
    assert (later.sample().image_saved, later.sample().incomplete_count) == (None, 1)
    assert "an exposure that is not ours" in later.told


def test_a_frame_that_was_safe_before_the_kill_becomes_its_image_after_it(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.recorder.intent(intent())
    first.recorder.frame(message(), 6_500_000)
    first.journal.add_dose(
        shot_id="S1", at=STARTED, beam=True, mas=2.013, reason="planned end",
        detail=report_to_dict(report()),
    )  # fmt: skip
    second = Rig(tmp_path, journal=first.journal)
    second.recorder.resume(9_000_000)
    assert (second.sample().image_saved, second.sample().incomplete_count) == ("S1", 0)


# --- simulated, or not


def test_a_simulated_rung_can_not_pass_for_real() -> None:
    with pytest.raises(ValueError, match="simulated: must be true on the model rung"):
        setup(simulated=False)
    assert not setup(unit=unit_config(panel=SMALL, rung="bench"), simulated=False).simulated


def test_the_presentation_image_is_burned_and_the_processing_image_is_not(
    rig: Rig, tmp_path: Path
) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    flat = np.full((64, 64), 5000, "<u2")
    rig.recorder.frame(message(pixels=flat.tobytes()), 6_500_000)
    folder = tmp_path / "exposures" / "S1"
    plain = pydicom.dcmread(folder / "processing.dcm").pixel_array
    burned = pydicom.dcmread(folder / "presentation.dcm").pixel_array
    assert len(np.unique(plain)) == 1
    assert {0, 16383} <= set(np.unique(burned))


def test_a_setup_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="started_at: needs a time zone"):
        setup(started_at=STARTED.replace(tzinfo=None))


def test_setup_and_messages_survive_json() -> None:
    patient = ExamInfo(exam_id="E-1", patient_id="4711", study_id="1", study_uid="1.2.3")
    made = setup(exam=patient)
    assert Setup.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    for one in (report(), report(mas=None, fault="DOOR_OPEN", reason=EndReason.FAULT)):
        assert report_from_dict(json.loads(json.dumps(report_to_dict(one)))) == one
    assert intent_from_dict(json.loads(json.dumps(intent_to_dict(intent())))) == intent()


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"beam": "yes"}, "beam can't be 'yes'"),
        ({"mas": True}, "mas can't be True"),
        ({"mas": "2"}, "mas can't be '2'"),
        ({"reason": "bored"}, "'bored' is not a valid EndReason"),
        ({"shot": None}, "shot: must be an object"),
        ({"colour": 1}, "has no colour"),
    ],
)
def test_a_report_with_wrong_values_is_refused(changed: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        report_from_dict(report_to_dict(report()) | changed)


def test_a_report_that_lacks_a_value_is_refused() -> None:
    data = report_to_dict(report())
    del data["beam"]
    with pytest.raises(ValueError, match="beam"):
        report_from_dict(data)


@pytest.mark.peer
def test_what_the_recorder_writes_is_clean_to_the_judges(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report(reason=EndReason.RELEASED, fault=None))
    rig.recorder.frame(message(), 6_500_000)
    files = [tmp_path / "exposures/S1" / name for name in ("processing.dcm", "presentation.dcm")]
    assert [verdict(path) for path in files] == [[], []]
    assert entities(*files) == []


# --- replay


def test_stored_images_can_be_made_again_pixel_for_pixel_and_word_for_word(
    rig: Rig, tmp_path: Path
) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    folder = tmp_path / "exposures" / "S1"
    assert differences(folder) == []
    again = reprocess(folder)
    stored = pydicom.dcmread(folder / "processing.dcm")
    assert np.array_equal(again.processing_pixels, stored.pixel_array)


def test_a_replay_sees_one_changed_pixel_and_one_changed_word(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    folder = tmp_path / "exposures" / "S1"
    path = folder / "processing.dcm"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert differences(folder) == ["processing.dcm: the pixels differ"]
    path.write_bytes(data.replace(b"SIM-0001", b"SIM-0002"))
    (found,) = differences(folder)
    assert found.startswith("processing.dcm: DeviceSerialNumber is 'SIM-0002'")


def test_a_folder_that_can_not_be_made_again_says_why(rig: Rig, tmp_path: Path) -> None:
    rig.recorder.intent(intent())
    rig.recorder.report(report())
    rig.recorder.frame(message(), 6_500_000)
    (path,) = tmp_path.glob("panel-set-*.npz")
    path.unlink()
    with pytest.raises(ImageError, match=r"S1 can't be made again: no calibration set at"):
        reprocess(tmp_path / "exposures" / "S1")


# --- inline, with modelled latency


class Inline:
    """An inline recorder without images, and the panel's end of its frame link."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.rig = Rig(None, journal=journal)
        self.panel, link = frame_pipe()
        self.port = InlineRecorder(self.rig.recorder, link)

    def read(self, t_us: int) -> RecorderSample:
        return self.port.read(Now(t_us))

    def write(
        self, t_us: int, intent_: Any = None, report_: Any = None, kept: tuple[str, ...] = ()
    ) -> int:
        now = Now(t_us)
        self.port.write(now, intent_, report_, kept)
        return now.next_us


def test_acknowledgements_show_when_their_latency_has_passed_and_not_before() -> None:
    inline = Inline()
    assert inline.write(10_000, intent()) == 15_000
    assert inline.read(14_999).intent_durable is None
    assert inline.read(15_000).intent_durable == "S1"
    inline.write(20_000, None, report())
    inline.panel.write(22_000, message())
    assert inline.read(22_000).dose_saved is None
    assert inline.read(24_999).dose_saved is None
    assert inline.read(25_000).dose_saved == "S1"
    assert inline.read(61_999).image_saved is None
    assert inline.read(62_000).image_saved == "S1"


def test_the_inline_recorder_says_when_it_wants_to_be_read_again() -> None:
    inline = Inline()
    now = Now(0)
    inline.port.read(now)
    assert now.next_us == 250_000  # the sample is renewed
    now = Now(250_000)
    inline.port.read(now)
    assert now.next_us == 500_000
    inline = Inline()
    inline.write(10_000, intent())
    now = Now(12_000)
    inline.port.read(now)
    assert now.next_us == 15_000


def test_the_sample_is_the_same_object_until_it_changes() -> None:
    inline = Inline()
    first = inline.read(0)
    assert inline.read(249_999) is first
    renewed = inline.read(250_000)
    assert renewed is not first
    assert renewed == replace(first, taken_us=250_000)


def test_a_damaged_frame_shows_as_failed_after_the_image_latency() -> None:
    inline = Inline()
    inline.write(0, intent())
    bad = message()
    bad[2] = bad[2][:-2]
    inline.panel.write(10_000, bad)
    assert inline.read(10_000).image_failed is None
    assert inline.read(49_999).image_failed is None
    assert inline.read(50_000).image_failed == "S1"


def test_an_intent_is_tried_again_until_the_disk_takes_it() -> None:
    journal = FailingJournal(MEMORY, durable=False)
    inline = Inline(journal)
    assert inline.write(0, intent()) == 200_000
    assert inline.read(200_000).intent_durable is None
    journal.full = False
    assert inline.read(399_999).intent_durable is None
    assert inline.read(400_000).intent_durable is None
    assert inline.read(405_000).intent_durable == "S1"


def test_a_retry_that_failed_names_the_time_of_the_next() -> None:
    inline = Inline(FailingJournal(MEMORY, durable=False))
    inline.write(60_000, intent())
    inline.read(250_000)
    now = Now(260_000)
    inline.port.read(now)
    assert now.next_us == 460_000


def test_reading_late_or_often_gives_the_same_acknowledgement_times() -> None:
    """Without arrivals nothing changes before `next_us`, however often it is read."""

    def changes(poll_us: int | None) -> list[tuple[int, str | None]]:
        inline = Inline()
        inline.read(0)
        t_us = 0
        next_us = inline.write(0, intent())
        seen: list[tuple[int, str | None]] = []
        while t_us < 20_000:
            t_us = min(next_us, 20_000) if poll_us is None else t_us + poll_us
            now = Now(t_us)
            sample = inline.port.read(now)
            next_us = now.next_us
            if not seen or seen[-1][1] != sample.intent_durable:
                seen.append((t_us, sample.intent_durable))
        return [change for change in seen if change[1]]

    assert changes(None) == changes(1000) == changes(1) == [(5_000, "S1")]


def test_a_gone_frame_link_does_not_stop_the_inline_recorder() -> None:
    class Gone(PipeFrames):
        def read(self, t_us: int) -> list[list[bytes]]:
            raise LinkError("the panel is gone")

    pipe, _ = frame_pipe()
    gone = Gone(pipe._inbound, pipe._outbound)
    port = InlineRecorder(Rig(None).recorder, gone)
    assert port.read(Now(1000)).alive


# --- over the bus


class FakeBus:
    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.arriving: list[Mapping[str, Any]] = []
        self.gone = False

    def poll(self) -> Sequence[Mapping[str, Any]]:
        if self.gone:
            raise LinkError("nobody there")
        taken, self.arriving = self.arriving, []
        return taken

    def send(self, message: Mapping[str, Any]) -> None:
        if self.gone:
            raise LinkError("nobody there")
        self.sent.append(message)

    def beat(self, **changed: Any) -> None:
        sample = RecorderSample(taken_us=0, alive=True, disk_ok=True, panel_set_ok=True)
        content = sample_to_dict(replace(sample, **changed))
        self.arriving.append({"schema": 1, "kind": "recorder", "sample": content})


def test_the_recorder_is_alive_from_its_first_heartbeat_until_half_a_second_of_silence() -> None:
    bus = FakeBus()
    port = BusRecorder(bus)
    assert not port.read(Now(0)).alive
    bus.beat()
    now = Now(100 * MS)
    assert port.read(now).alive
    assert port.sample.taken_us == 100 * MS
    assert port.read(Now(599_999)).alive
    assert not port.read(Now(600 * MS)).alive
    bus.beat()
    assert port.read(Now(700 * MS)).alive


def test_heartbeats_without_news_renew_the_sample_now_and_then() -> None:
    bus = FakeBus()
    port = BusRecorder(bus)
    bus.beat()
    first = port.read(Now(0))
    for t_us in range(50 * MS, 250 * MS, 50 * MS):
        bus.beat()
        assert port.read(Now(t_us)) is first
    bus.beat()
    assert port.read(Now(250 * MS)).taken_us == 250 * MS


def test_an_intent_is_sent_again_until_it_is_acknowledged() -> None:
    bus = FakeBus()
    port = BusRecorder(bus)
    for t_us in (0, 5 * MS, 199_999, 200 * MS, 399_999, 400 * MS):
        port.write(Now(t_us), intent(), None, ())
    assert [sent["kind"] for sent in bus.sent] == ["intent"] * 3
    assert intent_from_dict(bus.sent[0]["intent"]) == intent()
    bus.beat(intent_durable="S1")
    port.read(Now(450 * MS))
    port.write(Now(800 * MS), intent(), None, ())
    assert len(bus.sent) == 3


def test_the_next_exposure_is_not_held_back_by_the_retry_of_the_last() -> None:
    bus = FakeBus()
    port = BusRecorder(bus)
    port.write(Now(0), None, report("S1"), ())
    port.write(Now(5 * MS), intent("S2"), report("S2"), ())
    assert [(sent["kind"], sent[sent["kind"]]["shot"]["shot_id"]) for sent in bus.sent] == [
        ("report", "S1"), ("intent", "S2"), ("report", "S2"),
    ]  # fmt: skip


def test_a_bus_that_is_gone_is_silence_and_no_error() -> None:
    bus = FakeBus()
    bus.gone = True
    port = BusRecorder(bus)
    assert not port.read(Now(0)).alive
    port.write(Now(0), intent(), None, ())
    bus.gone = False
    port.write(Now(200 * MS), intent(), None, ())
    assert len(bus.sent) == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        {"schema": 1, "kind": "recorder"},
        {"schema": 1, "kind": "recorder", "sample": 5},
        {"schema": 1, "kind": "recorder", "sample": {"alive": "yes"}},
        {"schema": 1, "kind": "recorder", "sample": {"incomplete_count": True}},
        {"schema": 1, "kind": "recorder", "sample": {"colour": 1}},
        {"schema": 2, "kind": "recorder", "sample": {"alive": True}},
        {"kind": "weather"},
    ],
)
def test_nonsense_on_the_bus_is_no_heartbeat(nonsense: dict[str, Any]) -> None:
    bus = FakeBus()
    port = BusRecorder(bus)
    bus.arriving.append(nonsense)
    assert not port.read(Now(0)).alive


def test_a_sample_takes_its_time_from_the_readers_clock() -> None:
    sent = sample_to_dict(RecorderSample(taken_us=7, alive=True))
    assert sample_from_dict(sent, taken_us=99) == RecorderSample(taken_us=99, alive=True)
