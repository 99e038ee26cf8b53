"""A journal on a new file: after a failed fsync, and when its tables are of an older version.

What was acknowledged may be in memory only after a failed fsync, and asking the same
descriptor again gives no truth (security-and-durability.md 6.4). So all that can be read goes
into a copy, durably, and the copy takes the journal's place:

    journal.db.new      being written; half of one is thrown away
    journal.db.ready    whole and synced: from here on it counts, a kill changes nothing
    journal.db          replaced; the file before it stays as journal.db.before-1, -2, ...
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from firmware_py.recorder.store.files import sync_folder

SIDE_FILES = ("-wal", "-shm")


def put_on_new_file(
    path: Path, change: Callable[[sqlite3.Connection], None] = lambda connection: None
) -> Path:
    """Copy, `change` the copy, check it, put it in place; where the old file went.

    Nobody may have the journal open. Raises sqlite3.Error, OSError, ValueError (the copy is
    damaged); then the journal is as it was.
    """
    new, ready = _beside(path, ".new"), _beside(path, ".ready")
    for name in ("", *SIDE_FILES):
        _beside(new, name).unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(new)) as copy:
        old.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
        change(copy)
        copy.commit()
        problems = [
            *(str(row) for row in copy.execute("PRAGMA foreign_key_check")),
            *(text for (text,) in copy.execute("PRAGMA integrity_check(1)") if text != "ok"),
        ]
    if problems:
        raise ValueError(f"the copy is damaged: {problems[0]}")
    _sync(new)
    kept = _keep(path)
    try:
        new.rename(ready)
        sync_folder(path.absolute().parent)
    except OSError:
        _forget(kept)  # else each try on a failing disk leaves one more
        raise
    finish(path)
    return kept


def finish(path: Path) -> None:
    """Of a copy that was ready when somebody was killed, too. Raises OSError."""
    ready = _beside(path, ".ready")
    if not ready.exists():
        return
    for name in SIDE_FILES:  # they belong to the old file; SQLite would read them into the new
        _beside(path, name).unlink(missing_ok=True)
    ready.replace(path)
    sync_folder(path.absolute().parent)


def _keep(path: Path) -> Path:
    """The old file and what it had not taken in yet, under names of their own."""
    number = 1
    while (kept := _beside(path, f".before-{number}")).exists():
        number += 1
    for name in ("", *SIDE_FILES):
        if _beside(path, name).exists():
            _link(_beside(path, name), _beside(kept, name))
    return kept


def _forget(kept: Path) -> None:
    for name in ("", *SIDE_FILES):
        with suppress(OSError):
            _beside(kept, name).unlink(missing_ok=True)


def _link(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a stick's file system knows no second name
        shutil.copy2(path, name)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
