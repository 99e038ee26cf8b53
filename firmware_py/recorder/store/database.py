"""One SQLite database, opened so that what it acknowledges outlives a power cut.

WAL with synchronous=FULL lost nothing in 32 power cuts, NORMAL lost 1,542 of 22,664
acknowledged rows (security-and-durability.md 6.1, 6.2). Libraries and file systems
change pragmas silently, so each is read back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firmware_py.recorder.store.schema import migrate, teach

MEMORY = ":memory:"

_PRAGMAS: tuple[tuple[str, str, object], ...] = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("busy_timeout", "2000", 2000),
)

_ADVICE = (
    ("SQLITE_FULL", "the disk is full", "Free space on it; nothing recorded is lost."),
    ("SQLITE_READONLY", "the file can't be written", "Check its permissions and the mount."),
    ("SQLITE_BUSY", "another program holds the file", "Close the program that has it open."),
    ("SQLITE_LOCKED", "another program holds the file", "Close the program that has it open."),
    ("SQLITE_CANTOPEN", "the file can't be opened", "Check that its folder exists and is yours."),
    ("SQLITE_NOTADB", "the file is no journal", "Name another file; move this one aside."),
    ("SQLITE_CORRUPT", "the file is damaged", "Move it aside, keep it, and check the disk."),
    ("SQLITE_IOERR", "the disk failed", "Check the disk; what it said was stored may not be."),
)


class JournalError(Exception):
    """The journal can't promise what was asked: what, where, and what to do about it."""


class StorageError(JournalError):
    """The disk or the file is at fault, not the request."""


def explain(what: str, path: str, error: sqlite3.Error | UnicodeDecodeError) -> JournalError:
    """Text that is no text comes from a damaged file."""
    is_text = isinstance(error, UnicodeDecodeError)
    name = "SQLITE_CORRUPT" if is_text else getattr(error, "sqlite_errorname", "")
    for prefix, reason, advice in _ADVICE:
        if name.startswith(prefix):
            return StorageError(f"{what}: {reason} ({path}: {error}). {advice}")
    return JournalError(f"{what}: {error} ({path}).")


def open_database(path: str, *, durable: bool) -> sqlite3.Connection:
    """A connection in autocommit mode, pragmas set and read back. Raises JournalError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise explain("Opening the journal", path, error) from error
    teach(connection)
    try:
        _set_pragmas(connection, path, durable=durable)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        raise explain("Opening the journal", path, error) from error
    except JournalError:
        connection.close()
        raise
    return connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection for lists and reports; the writer is not disturbed. Raises JournalError.

    A journal of an older version is read as today's, from a copy in memory: its file is brought
    up to date by the next writer.
    """
    with ExitStack() as opened:
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            opened.callback(connection.close)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != 1:
                opened.pop_all()
            else:
                connection = _copy_of_today(connection)
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(path), error) from error
    teach(connection)
    return connection


def _copy_of_today(old: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(MEMORY)
    try:
        old.backup(copy)
        migrate(copy)
        copy.commit()
    except sqlite3.Error:
        copy.close()
        raise
    return copy


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; when it returns, COMMIT has returned."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself on some errors
            connection.execute("ROLLBACK")
        raise


def _set_pragmas(connection: sqlite3.Connection, path: str, *, durable: bool) -> None:
    if not durable:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=OFF")
        return
    for name, wanted, expected in _PRAGMAS:
        connection.execute(f"PRAGMA {name}={wanted}")
        (got,) = connection.execute(f"PRAGMA {name}").fetchone()
        if got != expected:
            raise JournalError(
                f"Opening the journal: {name} stayed {got!r} instead of {expected!r} ({path}). "
                "Put it on a local disk: this file system can't keep what it acknowledges."
            )
