"""The journal: what was about to be irradiated, what was, and which image came of it.

`add_intent` returns when the intent is committed and read back: only then may a beam
start (SR-52, invariant I1). An intent without a dose means "unknown, bounded by
`maximum_mas`", never zero (SR-53). One writer; others read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.database import (
    MEMORY,
    JournalError,
    StorageError,
    explain,
    open_database,
    transaction,
)
from firmware_py.recorder.store.exposures import LOST, Exposure, exposure_of, exposures_of
from firmware_py.recorder.store.files import sync_folder
from firmware_py.recorder.store.lock import LockHeldError, OwnedLock
from firmware_py.recorder.store.rebuild import finish, put_on_new_file
from firmware_py.recorder.store.schema import COLUMNS, SCHEMA, SCHEMA_VERSION, migrate, sound
from firmware_py.recorder.store.witness import EndSeen, IntentSeen, Seen, Witness, renew, unknown_to

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# After these nothing is tried again: a failed fsync marks pages clean (security 6.4).
_FATAL = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")


class Journal:
    """The one writer of a journal file. All methods raise JournalError."""

    def __init__(self, path: Path | str, *, durable: bool = True, owner: str = "recorder") -> None:
        """`path` MEMORY or `durable=False` promise nothing: for model-rung runs only."""
        self.path = str(path)
        if self.path == MEMORY and durable:
            raise JournalError("Opening the journal: memory is not durable; name a file.")
        self._broken: str | None = None
        self._lock = None if self.path == MEMORY else _lock(Path(path), owner)
        self._files = ExitStack()
        self._witness: Witness | None = None
        self.restored: tuple[str, ...] = ()  # exposures that only the second witness knew
        self._durable = durable
        try:
            self._open()
        except BaseException:
            self._files.close()
            self._unlock()
            raise

    def close(self) -> None:
        self._files.close()
        self._unlock()

    def rebuild(self) -> Path:
        """On a new file, after it broke; where the old one is kept. It may break again.

        What was acknowledged is not believed to be on the disk after a failed fsync, and the same
        descriptor is not asked again (security 6.4).
        """
        assert self._durable, "what promises nothing can't break a promise"
        self._files.close()
        try:
            renew(self._witness_path)
            kept = put_on_new_file(Path(self.path))
            self._broken = None
            self._open()
        except (sqlite3.Error, OSError, ValueError, JournalError) as error:
            raise self._break(f"Putting the journal on a new file: {error}") from error
        return kept

    def add_intent(
        self,
        *,
        shot_id: str,
        at: datetime,
        exam_id: str,
        planned_mas: float,
        maximum_mas: float,
        detail: Mapping[str, object],
    ) -> int:
        """The exposure's number. The same intent again is no error until its dose is known."""
        if self._detail("dose", shot_id) is not None:
            raise JournalError(
                f"Writing intent {shot_id}: this exposure was already made ({self.path}). "
                "An exposure id is used once; programme the next."
            )
        sql = _sealed(
            "intent",
            "SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, "
            "json_extract(?6, '$.uids.irradiation_event') FROM intent",
        )
        row = (at.isoformat(), exam_id, float(planned_mas), float(maximum_mas))
        self._add("intent", sql, shot_id, row, detail)
        number = self.number(shot_id)
        seen = IntentSeen(
            shot_id=shot_id, number=number, at_s=at.timestamp(), kv=_kv(detail),
            maximum_mas=float(maximum_mas),
        )  # fmt: skip
        self._testify(f"intent {shot_id}", seen)
        return number

    def add_dose(
        self,
        *,
        shot_id: str,
        at: datetime,
        beam: bool,
        mas: float | None,
        reason: str,
        detail: Mapping[str, object],
    ) -> None:
        """`mas=None` with a beam is an unknown dose, bounded by the intent's maximum."""
        row = (at.isoformat(), int(beam), None if mas is None else float(mas), reason)
        self._add("dose", _sealed("dose", "VALUES (?, ?, ?, ?, ?, ?)"), shot_id, row, detail)
        seen = EndSeen(shot_id=shot_id, at_s=at.timestamp(), beam=beam, mas=row[2])
        self._testify(f"dose {shot_id}", seen)

    def add_image(self, *, shot_id: str, at: datetime, detail: Mapping[str, object]) -> None:
        sql = _sealed("image", "VALUES (?, ?, ?)")
        self._add("image", sql, shot_id, (at.isoformat(),), detail)

    def acknowledge(self, shot_id: str, *, who: str, why: str, at: datetime) -> None:
        """A person has looked at an incomplete exposure. The record itself stays as it is."""
        if not who.strip() or not why.strip():
            raise JournalError(f"Acknowledging {shot_id}: say who does it, and why.")
        if shot_id not in {exposure.shot_id for exposure in self.incomplete()}:
            raise JournalError(f"Acknowledging {shot_id}: no such incomplete exposure.")
        row = (shot_id, at.isoformat(), who, why)
        self._write("acknowledgement", _sealed("acknowledgement", "VALUES (?, ?, ?, ?)"), row)

    def exposures(self) -> list[Exposure]:
        with self._guard("Reading the journal"):
            return exposures_of(self._connection)

    def exposure(self, shot_id: str) -> Exposure | None:
        with self._guard("Reading the journal"):
            return exposure_of(self._connection, shot_id)

    def incomplete(self) -> list[Exposure]:
        """Intents without a dose, and beams without an image, that nobody acknowledged."""
        return [exposure for exposure in self.exposures() if exposure.incomplete]

    @property
    def folder(self) -> Path | None:
        """Where the file lies; None: in memory."""
        return None if self.path == MEMORY else Path(self.path).parent

    @property
    def durable(self) -> bool:
        return self._durable

    @property
    def broken(self) -> str | None:
        """Why nothing is believed any more; None = in order."""
        return self._broken

    def number(self, shot_id: str) -> int:
        with self._guard("Reading the journal"):
            sql = "SELECT number FROM intent WHERE shot_id = ?"
            row = self._connection.execute(sql, (shot_id,)).fetchone()
        if row is None:
            raise JournalError(f"Reading the journal: no intent {shot_id!r} ({self.path}).")
        return int(row[0])

    def detail(self, table: str, shot_id: str) -> dict[str, object] | None:
        """What was handed in as `detail` for "intent", "dose" or "image"; None = no such row."""
        text = self._detail(table, shot_id)
        return None if text is None else dict(json.loads(text))

    def _add(
        self,
        table: str,
        sql: str,
        shot_id: str,
        row: tuple[object, ...],
        detail: Mapping[str, object],
    ) -> None:
        text = json.dumps(detail, sort_keys=True, allow_nan=False)
        stored = self._detail(table, shot_id)
        if stored is None:
            self._write(table, sql, (shot_id, *row, text))
            stored = self._detail(table, shot_id)
            if stored != text or not self._is_sound(table, shot_id):
                raise self._break(f"Writing {table} {shot_id}: it reads back differently")
        elif stored != text:
            raise JournalError(
                f"Writing {table} {shot_id}: another one is recorded under this id ({self.path}). "
                "An exposure id is used once; programme the next."
            )

    # --- the second witness

    @property
    def _witness_path(self) -> Path:
        return Path(self.path).with_suffix(".witness")

    def _testify(self, what: str, *seen: Seen) -> None:
        """After the commit, before anybody is told."""
        if self._witness is None:
            return
        try:
            self._witness.add(*seen)
        except OSError as error:
            told = (
                f"Writing {what}: {error.strerror} (the journal's witness). "
                "Free space, or check the disk; nothing recorded is lost."
            )
            if self._witness.failed:
                self._broken = told
            raise StorageError(told) from error

    def _hear_witness(self, path: Path) -> None:
        """What the journal does not know is put back into it, to be looked at by a person."""
        try:
            self._witness = self._files.enter_context(closing(Witness(path)))
        except OSError as error:
            raise StorageError(f"Opening the journal: {path}: {error.strerror}.") from error
        known = {exposure.shot_id: exposure for exposure in self.exposures()}
        lost = unknown_to(known, self._witness.found)
        for intent in lost.intents:
            self._restore_intent(intent)
        for end in lost.ends:
            self._restore_end(end)
        self.restored = lost.shot_ids
        self._testify("what it lacks", *self._not_heard(known.values()))

    def _restore_intent(self, seen: IntentSeen) -> None:
        detail = {"shot": {"technique": {"kv": seen.kv}}, "restored": True}
        sql = _sealed(
            "intent",
            "SELECT ?1, CASE WHEN ?2 IN (SELECT number FROM intent) "
            "THEN (SELECT max(number) + 1 FROM intent) ELSE ?2 END, ?3, '', 0.0, ?4, ?5, NULL",
        )
        row = (seen.number, _date(seen.at_s), seen.maximum_mas, json.dumps(detail))
        self._write("intent", sql, (seen.shot_id, *row))

    def _restore_end(self, seen: EndSeen) -> None:
        row = (_date(seen.at_s), int(seen.beam), seen.mas, LOST, json.dumps({"restored": True}))
        self._write("dose", _sealed("dose", "VALUES (?, ?, ?, ?, ?, ?)"), (seen.shot_id, *row))

    def _not_heard(self, exposures: Iterable[Exposure]) -> Iterator[Seen]:
        """A kill between commit and witness, or a journal from before there was one."""
        for one in exposures:
            if not one.sound:
                continue  # what it says now was never written
            at_s = datetime.fromisoformat(one.at).timestamp()
            if not self._heard(IntentSeen, one.shot_id):
                kv = _kv(self.detail("intent", one.shot_id) or {})
                yield IntentSeen(
                    shot_id=one.shot_id, number=one.number, at_s=at_s, kv=kv,
                    maximum_mas=one.maximum_mas,
                )  # fmt: skip
            if one.beam is not None and not self._heard(EndSeen, one.shot_id):
                yield EndSeen(shot_id=one.shot_id, at_s=at_s, beam=one.beam, mas=one.mas)

    def _heard(self, kind: type[Seen], shot_id: str) -> bool:
        return self._witness is not None and self._witness.heard(kind, shot_id)

    def _write(self, what: str, sql: str, row: tuple[object, ...]) -> None:
        with self._guard(f"Writing {what} {row[0]}"), transaction(self._connection):
            self._connection.execute(sql, row)

    def _detail(self, table: str, shot_id: str) -> str | None:
        assert table in ("intent", "dose", "image")
        with self._guard("Reading the journal"):
            sql = f"SELECT detail FROM {table} WHERE shot_id = ?"
            row = self._connection.execute(sql, (shot_id,)).fetchone()
        return None if row is None else str(row[0])

    def _is_sound(self, table: str, shot_id: str) -> bool:
        with self._guard("Reading the journal"):
            sql = f"SELECT {sound(table, 't')} FROM {table} AS t WHERE shot_id = ?"
            return bool(self._connection.execute(sql, (shot_id,)).fetchone()[0])

    def _open(self) -> None:
        path = Path(self.path)
        if self._durable:
            with self._told("Opening the journal"):
                finish(path)
        self._connect()
        if self._durable and self._version() == 1:
            self._files.close()
            with self._told("Bringing the journal to this version"):
                put_on_new_file(path, migrate)
            self._connect()
        self._check_schema()
        if self._durable:
            self._hear_witness(self._witness_path)
            with self._told("Opening the journal"):
                sync_folder(path.absolute().parent)

    def _connect(self) -> None:
        connection = open_database(self.path, durable=self._durable)
        self._connection = self._files.enter_context(closing(connection))

    def _version(self) -> int:
        with self._guard("Opening the journal"):
            return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _check_schema(self) -> None:
        version = self._version()
        with self._guard("Opening the journal"):
            if version == 0:
                with transaction(self._connection):
                    for statement in SCHEMA.split(";"):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise JournalError(
                    f"Opening the journal: version {version} instead of {SCHEMA_VERSION} "
                    f"({self.path}). Use the program version that made it."
                )
            (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise self._break(f"Opening the journal: the file is damaged: {verdict}")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Of steps on whole files, which leave the journal as it was when they fail."""
        try:
            yield
        except sqlite3.Error as error:
            raise explain(what, self.path, error) from error
        except (OSError, ValueError) as error:
            raise StorageError(f"{what}: {error} ({self.path}). Check the disk.") from error

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        if self._broken:
            raise StorageError(self._broken)
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            found = explain(what, self.path, error)
            if getattr(error, "sqlite_errorname", "").startswith(_FATAL):
                self._broken = str(found)
            raise found from error

    def _break(self, what: str) -> JournalError:
        self._broken = f"{what} ({self.path}). Move it aside, keep it, and check the disk."
        return StorageError(self._broken)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _sealed(table: str, row: str) -> str:
    """SQL that adds `row` (VALUES or SELECT) to a table, with its seal."""
    columns = ", ".join(COLUMNS[table])
    sealed = f"SELECT *, seal('{table}', {columns}) FROM t"
    return f"INSERT INTO {table} WITH t({columns}) AS ({row}) {sealed}"


def _kv(intent: Mapping[str, Any]) -> float:
    """0 where the intent has none: the heat of its beam is then not known."""
    try:
        return float(intent["shot"]["technique"]["kv"])
    except (LookupError, TypeError, ValueError):
        return 0.0


def _date(at_s: float) -> str:
    return (EPOCH + timedelta(seconds=at_s)).isoformat()


def _lock(path: Path, owner: str) -> OwnedLock:
    try:
        return OwnedLock(path, owner)
    except LockHeldError as error:
        raise JournalError(
            f"Opening the journal: {error} writes it already ({path}). "
            "There is one writer; use that one, or stop it."
        ) from None
    except OSError as error:
        raise JournalError(
            f"Opening the journal: {error.strerror} ({path}). "
            "Check that its folder exists and can be written."
        ) from error
