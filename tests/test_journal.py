"""The journal promises: durable before the beam, nothing lost, nothing taken for zero."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firmware_py.recorder.store.database import MEMORY, JournalError, open_database
from firmware_py.recorder.store.exposures import LOST, damage, read_exposure, read_exposures
from firmware_py.recorder.store.files import make_folder, write_file
from firmware_py.recorder.store.journal import Journal

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DETAIL = {"technique": {"kv": 70.0}, "uids": {"study": "2.25.1"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def intent(journal: Journal, shot_id: str = "S1", **changed: object) -> int:
    fields: dict[str, object] = {
        "at": AT,
        "exam_id": "TEST",
        "planned_mas": 2.0,
        "maximum_mas": 5.0,
        "detail": DETAIL,
    }
    return journal.add_intent(shot_id=shot_id, **(fields | changed))  # type: ignore[arg-type]


def dose(
    journal: Journal, shot_id: str = "S1", *, beam: bool = True, mas: float | None = 2.01
) -> None:
    journal.add_dose(shot_id=shot_id, at=AT, beam=beam, mas=mas, reason="planned end", detail={})


def test_the_pragmas_are_those_that_lost_nothing_in_power_cuts(path: Path) -> None:
    connection = open_database(str(path), durable=True)
    read = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    }
    connection.close()
    assert read == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}


def test_a_database_that_does_not_keep_its_pragmas_is_refused() -> None:
    with pytest.raises(JournalError, match="journal_mode stayed 'memory' instead of 'wal'"):
        open_database(MEMORY, durable=True)


def test_memory_is_never_called_durable() -> None:
    with pytest.raises(JournalError, match="memory is not durable"):
        Journal(MEMORY)


def test_exposures_are_numbered_in_the_order_of_their_intents(journal: Journal) -> None:
    assert [intent(journal, shot_id) for shot_id in ("A", "C", "B")] == [1, 2, 3]


def test_an_intent_is_on_disk_for_others_as_soon_as_it_is_acknowledged(
    journal: Journal, path: Path
) -> None:
    intent(journal)
    (row,) = read_exposures(path)
    assert (row.shot_id, row.at, row.exam_id) == ("S1", "2026-01-02T03:04:05+00:00", "TEST")
    assert journal.detail("intent", "S1") == DETAIL


def test_the_same_intent_again_is_no_second_one(journal: Journal) -> None:
    assert (intent(journal), intent(journal)) == (1, 1)


def test_another_intent_under_a_used_id_is_refused(journal: Journal) -> None:
    intent(journal)
    with pytest.raises(JournalError, match="another one is recorded under this id"):
        intent(journal, detail={"technique": {"kv": 71.0}})


def test_an_exposure_that_was_made_is_not_announced_again(journal: Journal) -> None:
    intent(journal)
    dose(journal, beam=False, mas=0.0)
    with pytest.raises(JournalError, match="this exposure was already made"):
        intent(journal)


def test_an_intent_without_a_dose_is_unknown_and_bounded_never_zero(journal: Journal) -> None:
    intent(journal)
    (row,) = journal.incomplete()
    assert (row.missing, row.mas, row.dose_text) == ("dose", None, "unknown, at most 5 mAs")


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("dosed", "imaged", "outcome"),
    [
        (None, False, "open"),
        ({"beam": False, "mas": 0.0, "reason": "ended before the beam"}, False, "no beam"),
        ({"beam": True, "mas": None, "reason": "fault"}, True, "unknown dose"),
        ({"beam": True, "mas": None, "reason": LOST}, False, "unknown dose"),
        ({"beam": True, "mas": 2.0, "reason": "planned end"}, True, "complete"),
        ({"beam": True, "mas": 2.0, "reason": "planned end"}, False, "aborted"),
        ({"beam": True, "mas": 0.4, "reason": "handswitch released"}, True, "aborted"),
    ],
)
def test_every_exposure_ends_in_one_of_four_ways(
    journal: Journal, dosed: dict[str, Any] | None, imaged: bool, outcome: str
) -> None:
    intent(journal)
    if dosed:
        journal.add_dose(shot_id="S1", at=AT, detail={}, **dosed)
    if imaged:
        journal.add_image(shot_id="S1", at=AT, detail={"folder": "exposures/S1"})
    assert [row.outcome for row in journal.exposures()] == [outcome]


def test_a_beam_onto_no_receptor_is_complete_without_an_image(journal: Journal) -> None:
    intent(journal, detail={"shot": {"kind": "no receptor"}})
    dose(journal)
    assert [row.outcome for row in journal.exposures()] == ["complete"]


def test_the_newest_exposures_are_read_oldest_first_and_one_by_id_or_number(
    journal: Journal, path: Path
) -> None:
    for shot_id in ("S1", "S2", "S3", "1"):
        intent(journal, shot_id)
    dose(journal, "S2")
    assert [row.number for row in read_exposures(path, last=2)] == [3, 4]
    by_id, by_number = read_exposure(path, "S2"), read_exposure(path, "2")
    assert by_id is not None
    assert by_id == by_number
    assert (by_id[0].number, sorted(by_id[1])) == (2, ["dose", "intent"])
    assert read_exposure(path, "S9") is None
    called_1 = read_exposure(path, "1")  # an id counts before a number
    assert called_1 is not None
    assert called_1[0].number == 4


CHANGES = (
    ("intent", "at = '2026-01-02T03:04:06+00:00'"),
    ("intent", "maximum_mas = 4.0"),
    ("intent", "detail = '{}'"),
    ("dose", "mas = 1.01"),
    ("dose", "beam = 0"),
    ("dose", "mas = NULL"),
    ("image", 'detail = \'{"folder": "exposures/S9"}\''),
    ("acknowledgement", "who = 'Somebody else'"),
    ("dose", "seal = ''"),
)


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("table", "change"), CHANGES)
def test_a_row_that_is_not_what_was_written_is_not_believed(
    journal: Journal, path: Path, table: str, change: str
) -> None:
    intent(journal)
    dose(journal)
    if table == "acknowledgement":
        journal.acknowledge("S1", who="A. Physicist", why="no frame came", at=AT)
    else:
        journal.add_image(shot_id="S1", at=AT, detail={"folder": "exposures/S1"})
    assert damage(path) == []
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {change}")
    assert damage(path) == [f"{table} of S1: is not what was written"]
    (row,) = read_exposures(path)
    assert (row.outcome, row.missing) == ("damaged", "record")
    assert row.dose_text == "not known, its record is damaged"


def test_a_beam_of_unknown_dose_stays_unknown(journal: Journal) -> None:
    intent(journal)
    dose(journal, mas=None)
    assert journal.exposures()[0].dose_text == "unknown, at most 5 mAs"


def test_a_beam_without_an_image_is_incomplete(journal: Journal) -> None:
    intent(journal)
    dose(journal)
    (row,) = journal.incomplete()
    assert (row.missing, row.dose_text) == ("image", "2.01 mAs")


def test_a_beam_with_dose_and_image_is_complete(journal: Journal) -> None:
    intent(journal)
    dose(journal)
    journal.add_image(shot_id="S1", at=AT, detail={"sha256": "00"})
    assert journal.incomplete() == []


def test_an_attempt_without_a_beam_needs_no_image(journal: Journal) -> None:
    intent(journal)
    dose(journal, beam=False, mas=0.0)
    assert journal.incomplete() == []
    assert journal.exposures()[0].dose_text == "no beam"


def test_an_acknowledgement_names_who_and_why_and_changes_nothing_else(journal: Journal) -> None:
    intent(journal)
    journal.acknowledge("S1", who="A. Physicist", why="power cut, meter read 2.1 mAs", at=AT)
    assert journal.incomplete() == []
    (row,) = journal.exposures()
    assert (row.acknowledged_by, row.missing) == ("A. Physicist", "dose")


@pytest.mark.parametrize(("who", "why"), [("", "reason"), ("somebody", " ")])
def test_an_acknowledgement_without_name_or_reason_is_refused(
    journal: Journal, who: str, why: str
) -> None:
    intent(journal)
    with pytest.raises(JournalError, match="say who does it, and why"):
        journal.acknowledge("S1", who=who, why=why, at=AT)


def test_only_what_is_incomplete_can_be_acknowledged(journal: Journal) -> None:
    with pytest.raises(JournalError, match="no such incomplete exposure"):
        journal.acknowledge("S9", who="somebody", why="reason", at=AT)


def test_a_dose_without_an_intent_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="FOREIGN KEY"):
        dose(journal, "S9")


def test_a_second_writer_is_refused_and_the_first_one_is_named(
    journal: Journal, path: Path
) -> None:
    with pytest.raises(JournalError, match=rf"recorder \(process {os.getpid()}\) writes it"):
        Journal(path)


def test_after_the_first_writer_has_closed_the_next_finds_everything(path: Path) -> None:
    first = Journal(path)
    intent(first)
    first.close()
    second = Journal(path)
    assert [row.shot_id for row in second.incomplete()] == ["S1"]
    second.close()


def test_a_full_disk_is_told_and_what_was_recorded_stays(journal: Journal) -> None:
    intent(journal)
    # SQLite's own limit raises the same SQLITE_FULL as a full file system.
    journal._connection.execute("PRAGMA max_page_count=1")
    big = {"text": "x" * 200_000}
    with pytest.raises(JournalError, match=r"Writing intent S2: the disk is full .*Free space"):
        intent(journal, "S2", detail=big)
    assert [row.shot_id for row in journal.exposures()] == ["S1"]
    journal._connection.execute("PRAGMA max_page_count=100000")
    assert intent(journal, "S2", detail=big) == 2


def test_a_locked_file_is_told(journal: Journal, path: Path) -> None:
    journal._connection.execute("PRAGMA busy_timeout=0")
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another program holds the file"):
        intent(journal)
    intruder.close()
    assert intent(journal) == 1


def test_a_read_only_journal_is_told(journal: Journal) -> None:
    journal._connection.execute("PRAGMA query_only=ON")
    with pytest.raises(JournalError, match=r"Writing intent S1: the file can't be written"):
        intent(journal)


def test_a_file_that_is_no_journal_is_told(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalError, match=r"the file is no journal .*Name another file"):
        Journal(path)


def test_a_journal_of_another_version_is_told(path: Path) -> None:
    Journal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=7")
    connection.close()
    with pytest.raises(JournalError, match="version 7 instead of 2"):
        Journal(path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="Check that its folder exists"):
        Journal(tmp_path / "missing" / "journal.db")


class FailingDisk:
    """A connection whose disk fails: the fsync behind COMMIT returns an error."""

    in_transaction = False

    def execute(self, *_args: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error


def test_after_a_failed_fsync_nothing_is_believed_again(path: Path) -> None:
    journal = Journal(path)
    good, journal._connection = journal._connection, FailingDisk()  # type: ignore[assignment]
    with pytest.raises(JournalError, match="the disk failed"):
        intent(journal)
    journal._connection = good
    with pytest.raises(JournalError, match="the disk failed"):
        intent(journal)
    journal.close()


_WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from firmware_py.recorder.store.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100_000):
    journal.add_intent(shot_id=f"S{number}", at=datetime(2026, 1, 1, tzinfo=UTC), exam_id="TEST",
                       planned_mas=1.0, maximum_mas=2.0, detail={})
    print(f"S{number}", flush=True)
"""


def test_what_was_acknowledged_before_a_kill_is_there_after_it(path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
    journal = Journal(path)  # the lock died with its owner
    stored = {row.shot_id for row in journal.incomplete()}
    journal.close()
    assert set(acknowledged) <= stored
    assert len(stored) - len(acknowledged) in (0, 1)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "frame.stream"
    make_folder(target.parent)
    write_file(target, [b"first"])

    def torn() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_file(target, torn())
    assert target.read_bytes() == b"first"


def test_file_and_folder_are_synced_in_that_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: steps.append(os.readlink(f"/proc/self/fd/{handle}"))
    )
    write_file(tmp_path / "a.raw", [b"x"])
    assert steps == [str(tmp_path / "a.raw.part"), str(tmp_path)]
