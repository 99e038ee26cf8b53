"""Shots that make no image: frames kept as they came, beams and dark frames in the journal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_py.record import requests_from, shot_from
from firmware_py.recorder.archive import differences, raw_files, read_frame
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.recorder.messages import (
    intent_from_dict,
    intent_to_dict,
    report_from_dict,
    report_to_dict,
    sample_from_dict,
    sample_to_dict,
)
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.recorder import level_counts
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.journal import Journal
from firmware_py.recorder.store.tube_use import beam_dates
from hal.frame_pipes import frame_pipe
from hal.now import Now
from hal.types import EndReason, ExposureReport, Intent, Requests, Shot, ShotKind
from tests.exposures import frame, intent, message, report, shot
from tests.test_recorder import Rig, saved

RAW = replace(shot(), raw=True)
DARK = replace(shot(), kind=ShotKind.DARK, raw=True)
BARE = replace(shot(), kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist")
SHOTS = {"imaging": shot(), "raw": RAW, "dark": DARK, "no receptor": BARE}


def planned(one: Shot) -> Intent:
    return replace(intent(), shot=one)


def ended(one: Shot) -> ExposureReport:
    if one.has_beam:
        return report(shot=one)
    return report(shot=one, reason=EndReason.DARK, beam=False, mas=0.0, maximum_mas=0.0)


def made(rig: Rig, one: Shot, **changed: Any) -> None:
    rig.recorder.intent(planned(one))
    rig.recorder.report(ended(one))
    rig.recorder.frame(message(**changed), 6_500_000)


# --- a frame that is kept as it came


@pytest.mark.parametrize("one", [RAW, DARK], ids=["raw", "dark"])
def test_a_frame_that_becomes_no_image_is_kept_with_its_sha256(tmp_path: Path, one: Shot) -> None:
    rig = Rig(tmp_path, panel_set=None)  # nothing to correct it with, and nothing needed
    made(rig, one)
    assert saved(rig) == ("S1", "S1", "S1", None)
    folder = tmp_path / "exposures" / "S1"
    assert sorted(path.name for path in folder.iterdir()) == ["exposure.json", "frame.stream"]
    data = (folder / "frame.stream").read_bytes()
    assert raw_files(folder) == {"frame.stream": hashlib.sha256(data).hexdigest()}
    detail: Any = rig.journal.detail("image", "S1")
    assert detail["files"]["frame.stream"] == hashlib.sha256(data).hexdigest()
    assert rig.journal.incomplete() == []
    kept, sent = read_frame(folder), frame()
    assert (kept.pixels, kept.shot_id, kept.panel_id) == (sent.pixels, "S1", sent.panel_id)
    assert kept.stop_us - kept.start_us == 4_200_000


def test_a_kept_frame_replays_without_difference_and_a_changed_byte_is_told(
    tmp_path: Path,
) -> None:
    made(Rig(tmp_path), RAW)
    folder = tmp_path / "exposures" / "S1"
    assert differences(folder) == []
    path = folder / "frame.stream"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert differences(folder) == ["frame.stream: its sha256 is another than when it was written"]


def test_a_folder_of_images_has_no_kept_frame_and_a_damaged_record_is_told(tmp_path: Path) -> None:
    made(Rig(tmp_path), shot())
    folder = tmp_path / "exposures" / "S1"
    assert raw_files(folder) is None
    (folder / "exposure.json").write_text("{")
    with pytest.raises(ImageError, match=r"S1: exposure\.json is damaged"):
        raw_files(folder)


def test_a_frame_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    made(Rig(tmp_path), RAW)
    folder = tmp_path / "exposures" / "S1"
    (folder / "frame.stream").write_bytes(b"GARBAGE!")
    with pytest.raises(ImageError, match=r"S1: frame\.stream can't be read: .*frame file"):
        read_frame(folder)


def test_a_dark_frame_of_an_attempt_that_ended_before_it_is_no_image(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.recorder.intent(planned(DARK))
    rig.recorder.report(replace(ended(DARK), reason=EndReason.NO_BEAM))
    rig.recorder.frame(message(), 6_500_000)
    assert saved(rig) == ("S1", "S1", None, None)


# --- its level


def test_a_level_is_the_median_of_every_eighth_row_and_column() -> None:
    pixels = np.full((64, 64), 16_000, "<u2")
    pixels[::8, ::8] = np.arange(64).reshape(8, 8) * 100
    assert level_counts(frame(pixels=pixels.tobytes())) == 3150  # of 0, 100 ... 6300


@pytest.mark.parametrize(("one", "level"), [(RAW, 5000), (DARK, 5000), (shot(), None)])
def test_only_a_kept_frame_tells_its_level(tmp_path: Path, one: Shot, level: int | None) -> None:
    rig = Rig(tmp_path)
    made(rig, one, pixels=np.full((64, 64), 5000, "<u2").tobytes())
    assert (rig.sample().image_saved, rig.sample().level_counts) == ("S1", level)


def test_the_level_shows_in_the_same_scan_as_the_frame_that_it_is_of() -> None:
    """Else a routine would set the next flat by the level of the one before."""
    rig = Rig(None)
    panel, link = frame_pipe()
    port = InlineRecorder(rig.recorder, link)
    for at_us, shot_id, level in ((0, "S1", 5000), (1_000_000, "S2", 7000)):
        one = replace(RAW, shot_id=shot_id)
        port.write(Now(at_us), planned(one), ended(one), ())
        pixels = np.full((64, 64), level, "<u2").tobytes()
        panel.write(at_us + 10_000, message(shot_id, pixels=pixels))
        port.read(Now(at_us + 10_000))
        early, shown = port.read(Now(at_us + 49_999)), port.read(Now(at_us + 50_000))
        assert early.image_saved != shot_id
        assert early.level_counts != level
        assert (shown.image_saved, shown.level_counts) == (shot_id, level)


# --- the journal


def test_a_beam_without_a_receptor_is_complete_with_its_dose() -> None:
    rig = Rig(None)
    rig.recorder.intent(planned(BARE))
    assert [row.missing for row in rig.journal.incomplete()] == ["dose"]
    rig.recorder.report(ended(BARE))
    (row,) = rig.journal.exposures()
    assert (row.kind, row.missing, row.dose_text) == ("no receptor", None, "2.013 mAs")
    assert saved(rig) == ("S1", "S1", None, None)


@pytest.mark.parametrize(("name", "kind"), [("imaging", "imaging"), ("raw", "imaging"),
                                            ("dark", "dark")])  # fmt: skip
def test_the_journal_knows_the_kind_of_each_shot(name: str, kind: str) -> None:
    rig = Rig(None)
    rig.recorder.intent(planned(SHOTS[name]))
    assert [row.kind for row in rig.journal.exposures()] == [kind]


@pytest.mark.parametrize(("one", "planned_mas"), [(shot(), 2.0), (DARK, 0.0)])
def test_a_report_without_an_intent_plans_what_its_shot_can_irradiate(
    one: Shot, planned_mas: float
) -> None:
    rig = Rig(None)
    rig.recorder.report(ended(one))
    assert [row.planned_mas for row in rig.journal.exposures()] == [planned_mas]


def test_an_intent_of_before_there_were_kinds_counts_as_imaging() -> None:
    rig = Rig(None)
    old = intent_to_dict(intent())
    for name in ("kind", "raw", "clear_by", "warms", "deferred"):
        del old["shot"][name]
    rig.journal.add_intent(shot_id="S1", at=datetime(2026, 1, 1, tzinfo=UTC), exam_id="TEST",
                           planned_mas=2.0, maximum_mas=3.0, detail=old)  # fmt: skip
    rig.journal.add_dose(shot_id="S1", at=datetime(2026, 1, 1, tzinfo=UTC), beam=True, mas=2.0,
                         reason="planned end", detail={})  # fmt: skip
    (row,) = rig.journal.incomplete()
    assert (row.kind, row.missing) == ("imaging", "image")
    assert intent_from_dict(old) == intent()


# --- as JSON, both ways


@pytest.mark.parametrize("one", SHOTS.values(), ids=SHOTS)
def test_each_kind_survives_json_both_ways(one: Shot) -> None:
    warm = replace(one, warms=True, deferred="chest, now")
    for each in (one, warm):
        sent = json.dumps(intent_to_dict(planned(each)))
        assert intent_from_dict(json.loads(sent)) == planned(each)
        told = json.dumps(report_to_dict(ended(each)))
        assert report_from_dict(json.loads(told)) == ended(each)
        requests = Requests(shot=each)
        assert requests_from(json.loads(json.dumps(asdict(requests)))) == requests


def test_a_kind_stands_in_json_as_its_word() -> None:
    assert json.loads(json.dumps(asdict(BARE)))["kind"] == "no receptor"


def test_a_level_survives_json(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    made(rig, RAW)
    sample = rig.sample()
    assert sample.level_counts is not None
    sent = json.loads(json.dumps(sample_to_dict(sample)))
    assert sample_from_dict(sent, taken_us=sample.taken_us) == sample


def test_an_unknown_kind_is_refused_with_words() -> None:
    data = asdict(shot()) | {"kind": "fluoroscopy"}
    with pytest.raises(ValueError, match="'fluoroscopy' is not a valid ShotKind"):
        shot_from(data)
    with pytest.raises(ValueError, match="'fluoroscopy' is not a valid ShotKind"):
        intent_from_dict(intent_to_dict(intent()) | {"shot": data})


# --- when the tube was used

FIRST = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 4, 0, 0, tzinfo=UTC)


def entered(journal: Journal, one: Shot, at: datetime = FIRST, *, beam: bool | None = True) -> None:
    """`beam` None: its end is not known."""
    journal.add_intent(shot_id=one.shot_id, at=at, exam_id="TEST", planned_mas=2.0,
                       maximum_mas=3.0, detail=intent_to_dict(planned(one)))  # fmt: skip
    if beam is not None:
        journal.add_dose(shot_id=one.shot_id, at=LATER, beam=beam, mas=None, reason="fault",
                         detail={})  # fmt: skip


def test_a_tube_without_a_journal_was_never_used(tmp_path: Path) -> None:
    assert beam_dates(tmp_path / "journal.db") == []


@pytest.mark.parametrize(
    ("one", "beam", "dates"),
    [
        (shot(), True, [LATER]),
        (BARE, True, [LATER]),
        (shot(), False, []),
        (shot(), None, [FIRST]),  # killed: there may have been a beam
        (DARK, False, []),
        (DARK, None, []),  # killed: there was none
    ],
)
@pytest.mark.req("SR-16")
def test_the_tube_was_used_by_each_beam_that_was_or_may_have_been(
    tmp_path: Path, one: Shot, *, beam: bool | None, dates: list[datetime]
) -> None:
    journal = Journal(tmp_path / "journal.db")
    entered(journal, one, beam=beam)
    journal.close()
    assert beam_dates(tmp_path / "journal.db") == dates


@pytest.mark.parametrize(
    ("text", "told"),
    [("yesterday", "a date makes no sense"), ("2026-01-02T03:04:05", "without a time zone")],
)
def test_a_date_that_makes_no_sense_is_refused(tmp_path: Path, text: str, told: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    entered(journal, shot(), beam=None)
    journal._connection.execute("UPDATE intent SET at = ?", (text,))
    journal.close()
    with pytest.raises(JournalError, match=told):
        beam_dates(tmp_path / "journal.db")


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database" * 500)
    with pytest.raises(JournalError, match="Reading the journal"):
        beam_dates(tmp_path / "journal.db")
