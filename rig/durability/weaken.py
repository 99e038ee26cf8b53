"""The recorder made worse on purpose: a harness that finds nothing wrong with these finds nothing.

Each is one promise taken away, in the victim's process only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from firmware_py.recorder import archive
from firmware_py.recorder.dicom import write as dicom_write
from firmware_py.recorder.store import database, files, journal
from rig.durability.crash_points import replace_in


def synchronous_normal() -> None:
    """SQLite's COMMIT returns before the WAL is synced."""
    database._PRAGMAS = tuple(
        ("synchronous", "NORMAL", 1) if name == "synchronous" else (name, wanted, got)
        for name, wanted, got in database._PRAGMAS
    )


def no_folder_sync() -> None:
    """Files are synced, their names are not."""

    def nothing(folder: Path) -> None:
        pass

    for module in (files, journal):
        replace_in(module, "sync_folder", nothing)


def rename_before_fsync() -> None:
    """A file gets its name at once and its content on disk only with the next file."""
    waiting: list[Path] = []

    def write_file(
        path: Path, chunks: Iterable[bytes | memoryview], *, durable: bool = True
    ) -> str:
        while waiting:
            handle = os.open(waiting.pop(), os.O_RDWR)
            os.fsync(handle)
            os.close(handle)
        part = path.with_name(path.name + ".part")
        content = b"".join(bytes(chunk) for chunk in chunks)
        part.write_bytes(content)
        part.replace(path)
        files.sync_folder(path.parent)
        waiting.append(path)
        return hashlib.sha256(content).hexdigest()

    for module in (files, archive, dicom_write):
        replace_in(module, "write_file", write_file)


def late_commit() -> None:
    """A dose is acknowledged, and committed with what comes next: a kill is enough to lose it."""
    waiting: list[Callable[[], Any]] = []

    def wrapped(name: str, *, is_late: bool) -> None:
        real: Callable[..., Any] = getattr(journal.Journal, name)

        def add(*args: Any, **fields: Any) -> Any:
            while waiting:
                waiting.pop()()
            if not is_late:
                return real(*args, **fields)
            waiting.append(lambda: real(*args, **fields))
            return None

        setattr(journal.Journal, name, add)

    for name, is_late in (("add_intent", False), ("add_dose", True), ("add_image", False)):
        wrapped(name, is_late=is_late)


def ignore_sync_errors() -> None:
    """A sync that failed is taken for one that worked: the pages are clean, the data is gone."""
    real = os.fsync

    def fsync(handle: int) -> None:
        with suppress(OSError):
            real(handle)

    replace_in(os, "fsync", fsync)


WEAKENINGS: dict[str, Callable[[], None]] = {
    "synchronous-normal": synchronous_normal,
    "no-folder-sync": no_folder_sync,
    "rename-before-fsync": rename_before_fsync,
    "late-commit": late_commit,
    "ignore-sync-errors": ignore_sync_errors,
}
