"""A journal goes on on a new file: after a failed fsync, and from an older version's tables."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firmware_py.recorder.store import rebuild
from firmware_py.recorder.store.database import JournalError, StorageError
from firmware_py.recorder.store.disk import Disk
from firmware_py.recorder.store.exposures import read_exposures
from firmware_py.recorder.store.journal import Journal
from firmware_py.recorder.store.rebuild import put_on_new_file
from rig.cli import main
from tests.exposures import intent as intent_of
from tests.exposures import message, report
from tests.test_journal import FailingDisk, dose, intent
from tests.test_recorder import Rig

# The tables as version 1 wrote them; frozen, so that a journal of that time is always read.
VERSION_1 = """
CREATE TABLE intent (
    shot_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, at TEXT NOT NULL,
    exam_id TEXT NOT NULL, planned_mas REAL NOT NULL, maximum_mas REAL NOT NULL,
    detail TEXT NOT NULL) STRICT;
CREATE TABLE dose (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL,
    beam INTEGER NOT NULL CHECK (beam IN (0, 1)), mas REAL CHECK (mas >= 0),
    reason TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE image (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE acknowledgement (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL) STRICT;
PRAGMA user_version=1;
INSERT INTO intent VALUES ('OLD-1', 1, '2026-01-01T00:00:00+00:00', 'TEST', 2.0, 5.0,
    '{"uids": {"irradiation_event": "2.25.1"}}');
INSERT INTO dose VALUES ('OLD-1', '2026-01-01T00:00:01+00:00', 1, 2.5, 'planned end', '{}');
INSERT INTO image VALUES ('OLD-1', '2026-01-01T00:00:02+00:00', '{}');
INSERT INTO intent VALUES ('OLD-2', 2, '2026-01-01T00:01:00+00:00', 'TEST', 2.0, 4.0, '{}');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def of_version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(VERSION_1)


# --- of an older version


def test_a_journal_of_version_1_is_read_on_and_the_old_file_stays(path: Path) -> None:
    of_version_1(path)
    with closing(Journal(path)) as journal:
        rows = [(r.shot_id, r.number, r.outcome, r.dose_text) for r in journal.exposures()]
        assert rows == [
            ("OLD-1", 1, "complete", "2.5 mAs"),
            ("OLD-2", 2, "open", "unknown, at most 4 mAs"),
        ]
        assert intent(journal, "NEW") == 3
    with closing(sqlite3.connect(path.with_name("journal.db.before-1"))) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert old.execute("SELECT count(*) FROM intent").fetchone() == (2,)
    with closing(Journal(path)):
        assert not path.with_name("journal.db.before-2").exists()  # once is enough


@pytest.mark.parametrize(
    ("words", "code"),
    [(["recover"], 1), (["exposures", "list"], 0), (["exposures", "show", "1"], 0)],
    ids=["recover", "list", "show"],
)
def test_a_journal_of_version_1_is_read_before_anybody_has_written_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    """Whoever wants to expose is asked to recover first: that must not need a writer."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "dxrig" / "portable" / "journal.db"
    path.parent.mkdir(parents=True)
    of_version_1(path)
    before = path.read_bytes()
    result = CliRunner().invoke(main, [*words, "--bench", "portable"])
    assert result.exit_code == code, result.output
    assert "OLD-" in result.output
    assert path.read_bytes() == before


@pytest.mark.req("SR-55")
def test_an_irradiation_event_uid_is_used_once_whatever_the_exposure_is_called(path: Path) -> None:
    of_version_1(path)
    detail = {"uids": {"irradiation_event": "2.25.1"}}
    with closing(Journal(path)) as journal, pytest.raises(JournalError, match="event_uid"):
        intent(journal, "ANOTHER", detail=detail)


# --- after a failed fsync


def broken(path: Path) -> Journal:
    """With two exposures, and a third whose intent met a failing disk."""
    journal = Journal(path)
    intent(journal, "A")
    dose(journal, "A")
    intent(journal, "B")
    good, journal._connection = journal._connection, FailingDisk()  # type: ignore[assignment]
    with pytest.raises(StorageError, match="the disk failed"):
        intent(journal, "C")
    journal._connection = good
    return journal


@pytest.mark.req("SR-52")
def test_after_a_failed_fsync_the_journal_goes_on_on_a_new_file_with_all_it_had(path: Path) -> None:
    with closing(broken(path)) as journal:
        inode = path.stat().st_ino
        kept = journal.rebuild()
        assert (kept, kept.stat().st_ino) == (path.with_name("journal.db.before-1"), inode)
        assert path.stat().st_ino != inode
        assert journal.broken is None
        assert journal.restored == ()
        assert intent(journal, "C") == 3
    assert [row.shot_id for row in read_exposures(path)] == ["A", "B", "C"]


@pytest.mark.req("SR-52")
def test_the_recorder_does_so_by_itself_tells_it_and_takes_the_next_intent(path: Path) -> None:
    with closing(Journal(path)) as journal:
        rig = Rig(None, journal=journal)
        good, journal._connection = journal._connection, FailingDisk()  # type: ignore[assignment]
        rig.recorder.intent(intent_of())
        journal._connection = good
        assert rig.sample(0).intent_durable is None
        assert "the journal goes on on a new file; the old one is" in rig.told
        rig.recorder.intent(intent_of())  # as the unit does until it is acknowledged
        assert rig.sample(2_000_000).intent_durable == "S1"


def test_a_frame_and_a_report_of_nobody_beside_a_broken_journal_end_nothing(path: Path) -> None:
    """Whose they are can't be looked up; the frame is kept aside, the rest is told."""
    with closing(Journal(path)) as journal:
        rig = Rig(path.parent, journal=journal)
        good, journal._connection = journal._connection, FailingDisk()  # type: ignore[assignment]
        rig.recorder.intent(intent_of())
        rig.recorder.frame(message("S9"), 1_000_000)
        rig.recorder.report(report("S9"))
        journal._connection = good
        assert [one.name for one in (path.parent / "exposures").glob("stray-*")] == [
            "stray-0001.raw"
        ]
        assert rig.sample(0).dose_saved is None


def test_while_the_disk_lets_it_not_go_on_nothing_is_acknowledged_and_that_is_told_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with closing(Journal(path)) as journal:
        intent(journal, "A")
        rig = Rig(None, journal=journal, disk=Disk((path.parent,), needed_bytes=1))
        good, journal._connection = journal._connection, FailingDisk()  # type: ignore[assignment]
        rig.recorder.intent(intent_of())
        journal._connection = good
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fails)
            samples = [rig.sample(t_us) for t_us in range(0, 10_000_000, 500_000)]
            assert {sample.disk_ok for sample in samples} == {False}
            assert rig.told.count("Putting the journal on a new file") == 1
            rig.recorder.intent(intent_of())
            assert rig.sample(10_000_000).intent_durable is None
        assert rig.sample(20_000_000).disk_ok is True
    assert [row.shot_id for row in read_exposures(path)] == ["A"]


def test_tries_that_fail_leave_no_heap_of_old_files(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two seconds one, for as long as the disk fails."""

    def fails(_folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with closing(Journal(path)) as journal:
        intent(journal, "A")
    before = {one.name for one in path.parent.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "sync_folder", fails)
        for _ in range(3):
            with pytest.raises(OSError, match="Input/output error"):
                put_on_new_file(path)
    after = {one.name for one in path.parent.iterdir()}
    assert after - before <= {"journal.db.ready", "journal.db-wal", "journal.db-shm"}
    with closing(Journal(path)) as journal:
        assert [row.shot_id for row in journal.exposures()] == ["A"]


# --- killed on the way

STEPS = ("fsync", "link", "rename", "replace", "unlink")  # of os, and of Path by os


class Killed(BaseException):
    pass


def kill_at(patch: pytest.MonkeyPatch, count: int) -> Callable[[], int]:
    """The nth of these steps is not done any more, nor anything after it; how many were done."""
    done = [0]

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if done[0] == count:
                raise Killed
            done[0] += 1
            return step(*args, **kwargs)

        return call

    for name in STEPS:
        patch.setattr(os, name, counted(getattr(os, name)))
    return lambda: done[0]


@pytest.mark.req("SR-52")
def test_killed_at_any_step_of_it_the_journal_has_all_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_count = 0
    for count in range(40):
        folder = tmp_path / str(count)
        folder.mkdir()
        path = folder / "journal.db"
        with closing(Journal(path)) as journal:
            intent(journal, "A")
            dose(journal, "A")
        with monkeypatch.context() as patch:
            kill_at(patch, count)
            try:
                put_on_new_file(path)
            except Killed:
                killed_count += 1
        with closing(Journal(path)) as journal:
            assert journal.restored == (), count  # the journal itself still knows
            rows = [(row.shot_id, row.mas) for row in journal.exposures()]
            assert rows == [("A", 2.01)], count
            assert intent(journal, "B") == 2
    assert 8 <= killed_count < 40  # each step had its turn, and some runs got through


def test_what_half_a_copy_left_behind_is_not_in_the_way(path: Path) -> None:
    with closing(Journal(path)) as journal:
        intent(journal, "A")
    path.with_name("journal.db.new").write_bytes(b"half of it")
    path.with_name("journal.db.new-wal").write_bytes(b"of another one")
    put_on_new_file(path)
    with closing(Journal(path)) as journal:
        assert [row.shot_id for row in journal.exposures()] == ["A"]


def test_a_damaged_copy_does_not_take_the_journals_place(path: Path) -> None:
    with closing(Journal(path)) as journal:
        intent(journal, "A")
        dose(journal, "A")

    def orphan(copy: sqlite3.Connection) -> None:
        copy.execute("DELETE FROM intent")

    with pytest.raises(ValueError, match="the copy is damaged"):
        put_on_new_file(path, orphan)
    with closing(Journal(path)) as journal:
        assert [row.shot_id for row in journal.exposures()] == ["A"]


def test_where_a_file_can_have_one_name_only_the_old_one_is_kept_as_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with closing(Journal(path)) as journal:
        intent(journal, "A")
    monkeypatch.setattr(os, "link", no_links)
    kept = put_on_new_file(path)
    with closing(sqlite3.connect(kept)) as old:
        assert old.execute("SELECT shot_id FROM intent").fetchall() == [("A",)]
