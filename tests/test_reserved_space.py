"""The frame's place on the disk is taken before the beam, so that no dose is given for nothing."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firmware_py.recorder.archive import Archive
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store import files
from firmware_py.recorder.store.database import MEMORY
from firmware_py.recorder.store.files import give_back, reserve, write_file
from firmware_py.recorder.store.journal import Journal
from hal.types import EndReason, ShotKind
from tests.exposures import intent, message, report, shot
from tests.test_recorder import panel_set, setup

FRAME_BYTES = 2 * 64 * 64


def recorder_in(folder: Path) -> Recorder:
    archive = Archive(folder, panel_set())
    return Recorder(setup(), Journal(MEMORY, durable=False), archive=archive)


def reserved(folder: Path) -> Path:
    return folder / "exposures" / "S1" / "frame.stream.part"


@pytest.mark.req("SR-52")
def test_an_intent_is_acknowledged_with_its_frames_place_on_the_disk(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.intent(intent())
    assert recorder.sample(0).intent_durable == "S1"
    status = reserved(tmp_path).stat()
    assert status.st_size == FRAME_BYTES + 16_384
    assert status.st_blocks * 512 >= FRAME_BYTES  # taken, not only promised


@pytest.mark.req("SR-52")
def test_an_intent_without_a_place_for_its_frame_is_not_acknowledged_until_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    recorder = recorder_in(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        recorder.intent(intent())
        assert recorder.sample(0).intent_durable is None
        assert recorder.sample(0).disk_ok is False
    recorder.intent(intent())
    assert recorder.sample(1_000_000).intent_durable == "S1"


def test_the_frame_takes_its_place_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.intent(intent())
    recorder.report(report())
    recorder.frame(message(), 6_500_000)
    folder = tmp_path / "exposures" / "S1"
    assert not reserved(tmp_path).exists()
    size_bytes = (folder / "frame.stream").stat().st_size
    assert FRAME_BYTES < size_bytes < FRAME_BYTES + 16_384
    assert recorder.sample(7_000_000).image_saved == "S1"


def test_the_place_is_given_back_when_there_was_no_beam(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.intent(intent())
    recorder.report(report(reason=EndReason.NO_BEAM, beam=False, mas=0.0))
    assert list((tmp_path / "exposures").iterdir()) == []


@pytest.mark.req("SR-52")
def test_a_folder_whose_name_was_not_synced_is_synced_by_the_next_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it died first, or met a failing disk: a power cut would take its name."""
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    (tmp_path / "exposures" / "S1").mkdir(parents=True)
    recorder_in(tmp_path).intent(intent())
    assert synced[:2] == [tmp_path, tmp_path / "exposures"]


def test_a_beam_that_makes_no_image_needs_no_place(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.intent(replace(intent(), shot=replace(shot(), kind=ShotKind.NO_RECEPTOR)))
    assert recorder.sample(0).intent_durable == "S1"
    assert not reserved(tmp_path).exists()


def test_a_reserved_file_becomes_what_is_written_and_not_a_byte_more(tmp_path: Path) -> None:
    path = tmp_path / "frame"
    reserve(path, 100_000)
    inode = path.with_name("frame.part").stat().st_ino
    write_file(path, [b"abc"])
    assert (path.read_bytes(), path.stat().st_ino) == (b"abc", inode)  # the very blocks
    give_back(path)  # nothing is left to give back
    assert [one.name for one in tmp_path.iterdir()] == ["frame"]
