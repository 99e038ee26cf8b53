"""What people are told of a fault: the device that fell silent, the cause before its effects."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_py.record import read_record
from rig.bench import load_bench
from rig.exposure_view import coloured
from rig.fault_words import all_words, what_was_heard
from tests.model_runs import kept


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept("generator_silent_in_beam", tmp_path_factory.mktemp("silent"))


def test_a_device_that_answered_before_is_not_suspected_of_a_wrong_baud_rate(
    silent: Path,
) -> None:
    scans = read_record(silent / "record.bin").scans
    last_us = max(scan.t_us for scan in scans if scan.got.get("generator"))
    told = what_was_heard(silent / "record.bin")["generator"]
    assert told == f"it answered until {last_us / 1000:.1f} ms of this run, then fell silent"


def test_one_that_never_answered_validly_is(silent: Path, tmp_path: Path) -> None:
    (tmp_path / "record.bin").write_bytes((silent / "record.bin").read_bytes())
    told = what_was_heard(tmp_path / "record.bin")["generator"]
    assert told.endswith(" bytes came, no valid answer: wrong baud rate or device?")


@pytest.mark.req("SR-56")
def test_a_missing_frame_is_told_with_what_came_in_its_place(silent: Path, tmp_path: Path) -> None:
    (tmp_path / "record.bin").write_bytes((silent / "record.bin").read_bytes())
    (tmp_path / "recorder.log").write_text(
        "2026-11-22T10:00:00+00:00 damaged frame (hash: is wrong): kept aside\n"
        "2026-11-22T10:00:01+00:00 frame of S-1 by another panel, P-9: kept aside\n"
        "2026-11-22T10:00:02+00:00 the disk is full\n"
    )
    heard = what_was_heard(tmp_path / "record.bin")
    (told,) = all_words(["FRAME_MISSING"], load_bench("portable").unit, heard)
    assert "(frame of S-1 by another panel, P-9: kept aside)" in told


@pytest.mark.req("SR-50")
def test_a_wrong_panel_is_told_with_who_answers_and_who_may(silent: Path) -> None:
    unit = load_bench("portable").unit
    assert what_was_heard(silent / "record.bin")["PANEL_WRONG"] == "SIM-PANEL-1 answers"
    (told,) = all_words(["PANEL_WRONG"], unit, {"PANEL_WRONG": "P-9 answers"})
    assert "selected SIM-PANEL-1, registered SIM-PANEL-1 (P-9 answers)" in told


def test_the_window_that_ends_with_a_lost_link_is_no_cause() -> None:
    unit = load_bench("portable").unit
    first, second, third = all_words(["WINDOW_ENDED", "PANEL_LINK_LOST", "ROOM_IO_LOST"], unit, {})
    assert first.startswith("The panel does not answer")
    assert second.startswith("also seen: The room I/O does not answer")
    assert third.startswith("also seen: The exposure window closed during the beam")


def test_a_dumb_terminal_gets_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("FAULT", 6) == "\x1b[31m\x1b[1mFAULT \x1b[0m"
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("FAULT", 6) == "FAULT "
