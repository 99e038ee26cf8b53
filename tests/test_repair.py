"""`dxrig exposures repair`: what is rotten is put right where that is proved, and kept aside."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest

from firmware_py.recorder import develop
from firmware_py.recorder.dicom import write as dicom_write
from firmware_py.recorder.store.journal import Journal
from rig.bench_lock import hold_bench
from tests.exposures import STARTED
from tests.rotten import FILES, IMAGES, SHOTS, Bench, answer, flip, told
from tests.test_dicom import verdict


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("DXRIG_BENCH", raising=False)
    return Bench(tmp_path / "dxrig" / "portable")


def findings(*words: str, code: int = 0) -> list[tuple[str, str, str]]:
    found = answer("repair", *words, code=code)["findings"]
    return [(one["exposure"], one["file"], one["done"]) for one in found]


# --- what can be made again


@pytest.mark.req("F79")
@pytest.mark.parametrize("at", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("name", [*IMAGES, "exposure.json"])
def test_one_turned_bit_is_found_put_right_and_then_not_found_any_more(
    bench: Bench, name: str, at: float
) -> None:
    rotten = bench.rot("S2", name, at)
    told("verify", code=1)
    assert findings() == [("S2", name, "made again")]
    assert bench.sha256sum() == bench.sums
    assert bench.kept() == [rotten]
    told("verify")
    assert findings() == []  # a second time there is nothing to do
    assert bench.kept() == [rotten]


@pytest.mark.req("F79")
def test_all_that_can_be_made_again_of_an_exposure_is_made_at_once(bench: Bench) -> None:
    for name in (*IMAGES, "exposure.json"):
        bench.rot("S3", name)
    (maps,) = bench.run.glob("panel-set-*.npz")
    (bench.run / "work" / "panel-set.npz").write_bytes(maps.read_bytes())  # as the session does
    flip(maps)
    told("verify", code=1)
    done = {file: done for _, file, done in findings()}
    assert done == {
        "exposure.json": "made again", maps.name: "copied back", "preview.png": "made again",
        "presentation.dcm": "made again", "processing.dcm": "made again",
    }  # fmt: skip
    assert bench.sha256sum() == bench.sums
    told("verify")


def test_a_missing_file_is_made_again_and_nothing_is_put_aside(bench: Bench) -> None:
    for name in (*IMAGES, "exposure.json"):
        bench.path("S1", name).unlink()
    assert {done for *_, done in findings()} == {"made again"}
    assert bench.sha256sum() == bench.sums
    assert bench.kept() == []


@pytest.mark.peer
def test_what_is_made_again_is_clean_to_the_judges(bench: Bench) -> None:
    for name in ("processing.dcm", "presentation.dcm"):
        before = pydicom.dcmread(bench.path("S2", name)).pixel_array
        bench.rot("S2", name, 0.9)
        told("repair")
        assert verdict(bench.path("S2", name)) == []
        assert np.array_equal(pydicom.dcmread(bench.path("S2", name)).pixel_array, before)


def test_the_list_says_what_was_moved_when_from_where_and_both_sums(bench: Bench) -> None:
    bench.rot("S2", "processing.dcm")
    found = bench.sha256sum()["exposures/S2/processing.dcm"]
    told("repair")
    aside, replaced = bench.log()
    assert (aside["event"], aside["file"]) == ("put aside", "exposures/S2/processing.dcm")
    assert (aside["expected"], aside["found"]) == (bench.sums[aside["file"]], found)
    assert aside["at"].endswith("+00:00")
    assert (bench.run / aside["kept"]).is_file()
    assert Path(aside["kept"]).name.startswith("S2-processing.dcm-2")
    assert (replaced["event"], replaced["found"]) == ("replaced", aside["expected"])


@pytest.mark.req("F83")
def test_the_same_file_that_rots_again_never_takes_the_place_of_the_one_before(
    bench: Bench,
) -> None:
    first = bench.rot("S2", "preview.png", 0.3)
    told("repair")
    second = bench.rot("S2", "preview.png", 0.7)
    told("repair")
    assert sorted(bench.kept()) == sorted([first, second])
    assert len({path.name for path in bench.quarantine.iterdir()}) == 3


def test_an_exposure_says_what_was_done_to_its_files(bench: Bench) -> None:
    bench.rot("S2", "preview.png")
    told("repair")
    shown = told("show", "S2").stdout
    assert "preview.png put aside (not what was saved): quarantine/S2-preview.png-" in shown
    assert "preview.png replaced (made again from the raw frame)" in shown
    assert [one["event"] for one in answer("show", "S2")["quarantine"]] == ["put aside", "replaced"]
    assert "preview.png put aside" not in told("show", "S1").stdout


# --- what can't be


@pytest.mark.req("F79")
def test_a_rotten_raw_frame_is_named_and_stays_where_it_is(bench: Bench) -> None:
    rotten = bench.rot("S1", "frame.stream")
    (row,) = answer("repair", code=1)["findings"]
    assert (row["file"], row["done"], row["mended"]) == ("frame.stream", "left", False)
    assert row["why"] == "nothing makes a raw frame again"
    assert bench.path("S1", "frame.stream").read_bytes() == rotten
    assert "frame.stream left in its place (not what was saved)" in told("show", "S1").stdout
    told("repair", code=1)
    assert len(bench.log()) == 1  # said once
    assert bench.kept() == []


@pytest.mark.req("F79")
def test_images_are_not_made_of_a_rotten_frame_nor_of_one_whose_lag_they_hold(
    bench: Bench,
) -> None:
    bench.rot("S1", "frame.stream")
    for shot_id in SHOTS:
        bench.rot(shot_id, "processing.dcm")
    rows = {(row["exposure"], row["file"]): row for row in answer("repair", code=1)["findings"]}
    assert rows["S1", "processing.dcm"]["why"] == "its raw frame is not what was saved"
    for shot_id in ("S2", "S3"):
        why = rows[shot_id, "processing.dcm"]["why"]
        assert why == "the raw frame of S1, whose lag is in it, is not what was saved"
    assert bench.kept() == []


@pytest.mark.req("F79")
def test_a_raw_frame_is_put_back_from_an_export_and_what_hangs_on_it_is_made_again(
    bench: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told("export", str(out), "--all")
    rotten = bench.rot("S1", "frame.stream")
    for name in IMAGES:
        bench.rot("S3", name)
    told("repair", code=1)
    done = findings("--from", str(out))
    assert ("S1", "frame.stream", "copied back") in done
    assert bench.sha256sum() == bench.sums
    assert rotten in bench.kept()
    told("verify")


def test_a_copy_that_is_rotten_too_is_not_taken(bench: Bench, tmp_path: Path) -> None:
    told("export", str(tmp_path / "out"), "S1")
    flip(tmp_path / "out" / "0001-S1" / "frame.stream")
    bench.rot("S1", "frame.stream", 0.1)
    assert findings("--from", str(tmp_path / "out"), code=1) == [("S1", "frame.stream", "left")]


def test_without_its_panel_set_an_image_is_left_and_says_so(bench: Bench) -> None:
    (maps,) = bench.run.glob("panel-set-*.npz")
    flip(maps)
    bench.rot("S2", "processing.dcm")
    rows = answer("repair", code=1)["findings"]
    assert [row["done"] for row in rows] == ["left", "left"]
    assert rows[0]["why"] == "there is no other copy of this set"
    assert maps.name in rows[1]["why"]


@pytest.mark.req("F79")
def test_what_another_version_makes_otherwise_takes_no_place_but_lies_beside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotten = bench.rot("S2", "preview.png")
    monkeypatch.setattr(develop, "preview_png", lambda *_: b"another encoder's")
    for _ in range(2):
        (row,) = answer("repair", code=1)["findings"]
        assert "made again to other bytes" in row["why"]
        assert Path(row["quarantined"]).read_bytes() == b"another encoder's"
    assert bench.path("S2", "preview.png").read_bytes() == rotten
    assert bench.kept() == [b"another encoder's"]  # once


@pytest.mark.parametrize("at", [0.15, 0.99])
def test_an_image_is_put_together_of_what_is_sound_and_what_is_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: float
) -> None:
    """Another version writes other words in its meta header; rot is in attributes, or pixels."""
    bench.rot("S2", "processing.dcm", at)
    monkeypatch.setattr(dicom_write, "IMPLEMENTATION_NAME", "DXRIG_NEXT")
    assert findings() == [("S2", "processing.dcm", "made again")]
    assert bench.sha256sum() == bench.sums


def test_rot_in_the_very_part_that_another_version_writes_otherwise_is_not_guessed_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.rot("S2", "processing.dcm", 0.02)
    monkeypatch.setattr(dicom_write, "IMPLEMENTATION_NAME", "DXRIG_NEXT")
    assert findings(code=1) == [("S2", "processing.dcm", "left")]


def test_a_record_that_nothing_says_is_left_with_its_images(bench: Bench) -> None:
    (bench.run / "work" / "recorder.json").unlink()
    for shot_id in SHOTS:
        bench.path(shot_id, "exposure.json").write_bytes(b"\0" * 100)
    bench.rot("S1", "preview.png")
    rows = {(row["exposure"], row["file"]): row for row in answer("repair", code=1)["findings"]}
    assert len(rows) == 4
    assert "gives another record" in rows["S1", "exposure.json"]["why"]
    assert rows["S1", "preview.png"]["why"] == "its exposure record is not what was saved"


def test_a_damaged_row_is_named_and_left_with_what_to_do(bench: Bench) -> None:
    with closing(sqlite3.connect(bench.state / "journal.db")) as connection, connection:
        connection.execute("UPDATE dose SET mas = 0.013 WHERE shot_id = 'S1'")
    (row,) = answer("repair", code=1)["findings"]
    assert (row["exposure"], row["file"], row["done"]) == ("journal", "journal.db", "left")
    assert row["found"] == "dose of S1: is not what was written"
    assert "of a backup" in row["why"]


def test_a_folder_that_the_journal_does_not_know_stays_for_a_journal_that_comes_back(
    bench: Bench,
) -> None:
    stranger = bench.run / "exposures" / "stranger"
    stranger.mkdir()
    (row,) = answer("repair", code=1)["findings"]
    assert (row["exposure"], row["done"], row["path"]) == ("stranger", "left", str(stranger))
    assert stranger.is_dir()


# --- left-overs


def reserve(path: Path, size_bytes: int = 24_576) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)


def test_space_that_was_reserved_for_a_frame_which_never_came_is_given_back(bench: Bench) -> None:
    reserve(bench.path("S1", "frame.stream.part"))
    told("verify", code=1)
    assert findings() == [("S1", "frame.stream.part", "given back")]
    assert not bench.path("S1", "frame.stream.part").exists()
    assert bench.kept() == []
    told("verify")


def test_an_exposure_that_is_open_keeps_its_space_until_somebody_has_looked(bench: Bench) -> None:
    detail = {"shot": {"kind": "imaging"}, "run_dir": os.path.relpath(bench.run, bench.state)}
    with closing(Journal(bench.state / "journal.db")) as journal:
        journal.add_intent(
            shot_id="open", at=STARTED, exam_id="TEST", planned_mas=1.0, maximum_mas=2.0,
            detail=detail,
        )  # fmt: skip
    part = bench.path("open", "frame.stream.part")
    part.parent.mkdir()
    reserve(part)
    assert findings() == []
    assert part.exists()
    with closing(Journal(bench.state / "journal.db")) as journal:
        journal.acknowledge("open", who="R. Hoffmann", why="phantom only", at=STARTED)
    assert findings() == [("open", "frame.stream.part", "given back")]
    assert not part.parent.exists()  # nothing else was in it


@pytest.mark.req("F79")
@pytest.mark.parametrize("whole", [True, False])
def test_a_half_that_holds_bytes_of_a_frame_is_kept_aside_and_never_deleted(
    bench: Bench, whole: bool
) -> None:
    content = bench.path("S2", "frame.stream").read_bytes()
    content = content if whole else content[:5000] + bytes(5000)
    bench.path("S2", "frame.stream.part").write_bytes(content)
    (row,) = answer("repair")["findings"]
    assert row["found"] == ("a whole frame" if whole else "half-written")
    assert row["done"] == "put aside"
    assert bench.kept() == [content]
    told("verify")


def test_a_half_beside_the_exposures_and_a_file_of_nobody_are_kept_aside(bench: Bench) -> None:
    (bench.run / "exposures" / "stray-0001.raw.part").write_bytes(b"DXFRAME1 half")
    bench.path("S1", "notes.txt").write_text("of nobody")
    assert {(file, done) for _, file, done in findings()} == {
        ("stray-0001.raw.part", "put aside"),
        ("notes.txt", "put aside"),
    }
    assert sorted(bench.kept()) == [b"DXFRAME1 half", b"of nobody"]
    told("verify")


def test_while_somebody_owns_the_bench_a_half_is_no_finding(bench: Bench) -> None:
    reserve(bench.path("S1", "frame.stream.part"))
    with hold_bench(bench.state, "dxrig expose"):
        told("verify")


# --- who may, and what is said


def test_a_second_owner_is_refused_and_the_first_named(bench: Bench) -> None:
    bench.rot("S1", "preview.png")
    with hold_bench(bench.state, "dxrig expose"):
        assert "`dxrig expose`" in told("repair", code=3).stderr
    assert bench.kept() == []


def test_a_recorder_that_outlived_its_session_is_not_disturbed(bench: Bench) -> None:
    """In a process of its own, because a lock is free to the one that has it."""
    bench.rot("S1", "preview.png")
    holder = (
        "import sys, pathlib; from firmware_py.recorder.store.journal import Journal; "
        "held = Journal(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(bench.state / "journal.db")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        text = told("repair", code=3).stderr
        process.communicate()
    assert "is being written by recorder (process" in text
    told("repair")


def test_an_answer_for_programs_has_counts_sums_and_places(bench: Bench) -> None:
    bench.rot("S1", "preview.png")
    bench.rot("S2", "frame.stream")
    found = answer("repair", "S1", "S2", code=1)
    assert {name: found[name] for name in ("bench", "exposures", "files", "mended", "left")} == {
        "bench": "portable", "exposures": 2, "files": 10, "mended": 1, "left": 1,
    }  # fmt: skip
    made, left = found["findings"]
    assert made["sha256_expected"] == bench.sums["exposures/S1/preview.png"]
    assert Path(made["quarantined"]).is_file()
    assert left["quarantined"] is None


def test_only_what_was_chosen_is_touched(bench: Bench) -> None:
    bench.rot("S1", "preview.png")
    bench.rot("S2", "preview.png")
    assert findings("--last", "2") == [("S2", "preview.png", "made again")]
    assert findings("1") == [("S1", "preview.png", "made again")]


def test_a_person_is_told_each_finding_what_stays_to_do_and_the_sum(bench: Bench) -> None:
    bench.rot("S2", "frame.stream")
    bench.path("S1", "preview.png").unlink()
    lines = told("repair", code=1).stdout.splitlines()
    assert lines[2].split() == ["S1", "preview.png", "missing", "made", "again"]
    assert lines[3].split() == ["S2", "frame.stream", "not", "what", "was", "saved", "left"]
    assert lines[4] == "S2 frame.stream: nothing makes a raw frame again"
    assert lines[-2] == "3 exposures, 15 files: 2 findings, 1 put right, 1 left"
    assert lines[-1].endswith("dxrig exposures repair --bench portable --from FOLDER")
    assert all(len(line) <= 80 for line in lines)


def test_verify_changes_nothing_and_names_the_command_that_does(bench: Bench) -> None:
    rotten = bench.rot("S1", "preview.png")
    before = sorted(bench.run.rglob("*"))
    text = told("verify", code=1).stdout
    assert text.splitlines()[-1] == "Put right what can be: dxrig exposures repair --bench portable"
    assert sorted(bench.run.rglob("*")) == before
    assert bench.path("S1", "preview.png").read_bytes() == rotten


def test_a_bench_that_made_none_has_nothing_to_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert told("repair").stdout == "0 exposures, 0 files: as saved\n"
    assert list(tmp_path.iterdir()) == []


def test_a_list_whose_last_line_is_torn_goes_on_on_the_next(bench: Bench) -> None:
    bench.rot("S1", "preview.png", 0.2)
    told("repair")
    with (bench.quarantine / "quarantine.jsonl").open("a") as file:
        file.write('{"schema": 1, "at": "2026')
    bench.rot("S1", "preview.png", 0.8)
    told("repair")
    assert len(answer("show", "S1")["quarantine"]) == 4
    text = (bench.quarantine / "quarantine.jsonl").read_text()
    assert json.loads(text.splitlines()[-1])["event"] == "replaced"


def test_every_file_of_an_exposure_has_its_sum_in_the_journal(bench: Bench) -> None:
    """What the tests above let rot is all there is."""
    assert set(answer("show", "S1")["files"]) == set(FILES)
