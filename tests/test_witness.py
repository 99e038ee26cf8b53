"""The second witness: a journal that lost what it had acknowledged does not go unnoticed."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from firmware_py.recorder.store import witness
from firmware_py.recorder.store.database import StorageError
from firmware_py.recorder.store.exposures import read_exposures
from firmware_py.recorder.store.journal import Journal
from firmware_py.recorder.store.witness import EndSeen, IntentSeen, Witness, read_witness
from tests.exposures import intent as intent_of
from tests.exposures import report
from tests.test_journal import dose, intent
from tests.test_recorder import Rig

pytestmark = pytest.mark.req("SR-52", "SR-53")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def made(path: Path, *shot_ids: str) -> None:
    with closing(Journal(path)) as journal:
        for shot_id in shot_ids:
            intent(journal, shot_id)
            dose(journal, shot_id)


def forget(path: Path, table: str, shot_id: str) -> None:
    """What a disk does that lost the last pages."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DELETE FROM {table} WHERE shot_id = ?", (shot_id,))


# --- what the journal lost


def test_an_older_copy_that_was_put_back_is_found_and_no_number_is_used_twice(path: Path) -> None:
    made(path, "A")
    shutil.copy(path, path.with_name("copy.db"))
    made(path, "B", "C")
    shutil.copy(path.with_name("copy.db"), path)
    with closing(Journal(path)) as journal:
        assert journal.restored == ("B", "C")
        assert intent(journal, "D") == 4
    rows = [(row.number, row.shot_id, row.mas, row.missing) for row in read_exposures(path)]
    assert rows == [
        (1, "A", 2.01, "image"),
        (2, "B", 2.01, "dose"),  # its charge is known; all else of it is gone
        (3, "C", 2.01, "dose"),
        (4, "D", None, "dose"),
    ]


def test_a_dose_that_the_journal_lost_comes_back_with_its_charge(path: Path) -> None:
    made(path, "A")
    forget(path, "dose", "A")
    with closing(Journal(path)) as journal:
        assert journal.restored == ("A",)
        (row,) = journal.incomplete()
    assert (row.mas, row.reason, row.missing) == (2.01, "unit or recorder lost", "dose")


def test_an_intent_of_which_nothing_else_is_known_comes_back_bounded(path: Path) -> None:
    with closing(Journal(path)) as journal:
        intent(journal, "A")
    forget(path, "intent", "A")
    with closing(Journal(path)) as journal:
        (row,) = journal.incomplete()
    assert (row.shot_id, row.at, row.dose_text) == (
        "A", "2026-01-02T03:04:05+00:00", "unknown, at most 5 mAs",
    )  # fmt: skip


def test_what_was_lost_is_told_blocks_and_is_acknowledged_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(Journal(path)) as journal:
        recorder = Rig(None, journal=journal).recorder
        recorder.intent(intent_of())
        recorder.report(report())
    forget(path, "dose", "S1")
    forget(path, "intent", "S1")
    with closing(Journal(path)) as journal:
        later = Rig(None, journal=journal, uid_namespace=UUID(int=7))
        assert "the journal had lost S1, which its second witness saw" in later.told
        assert later.sample().incomplete_count == 1
        later.recorder.acknowledge("S1", who="A. Physicist", why="old copy", now_us=5_000_000)
        assert later.sample().incomplete_count == 0
    with closing(Journal(path)) as journal:
        assert journal.restored == ()


# --- what the witness lost


def test_a_kill_between_commit_and_witness_is_no_loss(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Journal(path)) as journal, monkeypatch.context() as patch:
        patch.setattr(Witness, "add", lambda self, *seen: None)
        intent(journal, "A")
        dose(journal, "A")
    assert list(read_witness(path.with_suffix(".witness"))) == []
    for _ in range(2):  # heard once, and not again
        with closing(Journal(path)) as journal:
            assert journal.restored == ()
        seen = list(read_witness(path.with_suffix(".witness")))
        assert [(type(one), one.shot_id) for one in seen] == [(IntentSeen, "A"), (EndSeen, "A")]


@pytest.mark.parametrize("cut_bytes", [1, 64, 127])
def test_a_record_that_a_power_cut_tore_is_cut_off_and_the_next_one_is_whole(
    path: Path, cut_bytes: int
) -> None:
    made(path, "A")
    file = path.with_suffix(".witness")
    os.truncate(file, file.stat().st_size - cut_bytes)
    made(path, "B")
    seen = list(read_witness(file))
    assert [one.shot_id for one in seen] == ["A", "A", "B", "B"]
    assert file.stat().st_size == 4 * witness.RECORD_BYTES


def test_a_damaged_record_is_left_out_and_the_others_count(path: Path) -> None:
    made(path, "A", "B")
    file = path.with_suffix(".witness")
    data = bytearray(file.read_bytes())
    for at_bytes in range(witness.RECORD_BYTES):
        data[at_bytes] ^= 1
        file.write_bytes(data)
        assert [one.shot_id for one in read_witness(file)] == ["A", "B", "B"]
        data[at_bytes] ^= 1


def test_a_record_is_what_its_description_says(path: Path) -> None:
    file = path.with_suffix(".witness")
    with closing(Witness(file)) as one:
        one.add(IntentSeen(shot_id="S1", number=7, at_s=1.0, kv=70.0, maximum_mas=2.5))
        one.add(EndSeen(shot_id="S1", at_s=2.0, beam=False, mas=0.0))
    data = file.read_bytes()
    assert len(data) == 256
    assert data[:32] == bytes.fromhex(
        "44585731 01000000 07000000 00008c42 000000000000f03f 0000000000000440"
    )
    assert data[32:96] == b"S1" + bytes(62)
    assert data[96:124] == bytes(28)
    assert int.from_bytes(data[124:128], "little") == zlib.crc32(data[:124])
    assert data[128:136] == bytes.fromhex("44585731 03000000")


# --- a disk that takes no more


def test_what_the_witness_could_not_take_is_not_acknowledged_until_it_can(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(handle: int, data: bytes) -> int:
        return write(handle, data[:60])  # a part of it, as a full disk does

    with closing(Journal(path)) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(StorageError, match="No space left on device"):
                intent(journal, "A")
        assert path.with_suffix(".witness").stat().st_size == 0
        assert intent(journal, "A") == 1
    assert [one.shot_id for one in read_witness(path.with_suffix(".witness"))] == ["A"]


def test_after_a_failed_write_both_go_on_on_new_files_and_until_then_nothing_is_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with closing(Journal(path)) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", broken)
            with pytest.raises(StorageError, match="Input/output error"):
                intent(journal, "A")
        assert journal.broken is not None
        with pytest.raises(StorageError, match="Input/output error"):
            intent(journal, "A")
        inode = path.with_suffix(".witness").stat().st_ino
        journal.rebuild()
        assert path.with_suffix(".witness").stat().st_ino != inode
        assert intent(journal, "A") == 1
    assert [one.shot_id for one in read_witness(path.with_suffix(".witness"))] == ["A"]


def test_an_id_that_is_too_long_for_a_record_is_no_shot(tmp_path: Path) -> None:
    with closing(Witness(tmp_path / "w")) as one, pytest.raises(ValueError, match="at most 64"):
        one.add(EndSeen(shot_id="x" * 65, at_s=0.0, beam=False, mas=0.0))
