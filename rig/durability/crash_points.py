"""Places inside the recorder at which a victim ends itself by SIGKILL, for the n-th time.

The recorder knows nothing of them: its store's functions are wrapped from outside, in the
victim's process only.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from firmware_py.recorder.store import files, journal

# What of a file's name says whose step it is.
_FILES = {"frame.stream": "frame", "processing.dcm": "image", "exposure.json": "record"}

POINTS = (
    *(f"{when}_{table}_commit" for table in ("intent", "dose", "image")
      for when in ("before", "after")),
    *(f"before_{what}_acknowledge" for what in ("intent", "dose", "image")),
    *(f"{place}_{name}_{step}" for name in ("frame", "image", "record")
      for place, step in (("before", "sync"), ("before", "rename"), ("after", "rename"))),
    "before_folder_sync", "after_folder_sync",
)  # fmt: skip


def replace_in(module: ModuleType, name: str, new: Any) -> Any:
    """What stood there before. Raises AttributeError where there is nothing to replace."""
    real = getattr(module, name)
    setattr(module, name, new)
    return real


class CrashPoints:
    """`at`: "NAME:N" or "NAME"; None = nowhere. Raises ValueError for a name that there is not."""

    def __init__(self, at: str | None) -> None:
        name, _, nth = (at or "").partition(":")
        if at is not None and name not in POINTS:
            raise ValueError(f"no crash point {name!r}; there are {', '.join(POINTS)}")
        self._name = name
        self._nth = int(nth or 1)
        self._reached: Counter[str] = Counter()
        self._table = ""

    def reach(self, name: str) -> None:
        self._reached[name] += 1
        if name == self._name and self._reached[name] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self) -> None:
        """In this process, for good."""
        if not self._name:
            return
        for table in ("intent", "dose", "image"):
            self._wrap_add(table)
        self._wrap_transaction()
        self._wrap_rename()
        self._wrap_sync()

    def _wrap_add(self, table: str) -> None:
        name = f"add_{table}"
        real: Callable[..., Any] = getattr(journal.Journal, name)

        def add(*args: Any, **fields: Any) -> Any:
            self._table = table
            return real(*args, **fields)

        setattr(journal.Journal, name, add)

    def _wrap_transaction(self) -> None:
        @contextmanager
        def transaction(connection: sqlite3.Connection) -> Iterator[None]:
            with real(connection):
                yield
                self.reach(f"before_{self._table}_commit")
            self.reach(f"after_{self._table}_commit")

        real = replace_in(journal, "transaction", transaction)

    def _wrap_rename(self) -> None:
        real = Path.replace

        def replace(path: Path, target: Any) -> Path:
            name = _FILES.get(Path(target).name, "other")
            self.reach(f"before_{name}_rename")
            moved = real(path, target)
            self.reach(f"after_{name}_rename")
            return moved

        Path.replace = replace  # type: ignore[method-assign, assignment]

    def _wrap_sync(self) -> None:
        """A part file is known by the name that its handle was opened with."""
        real_sync, real_folder = os.fsync, files.sync_folder

        def fsync(handle: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            self.reach(f"before_{_FILES.get(path.stem, 'other')}_sync")
            real_sync(handle)

        def sync_folder(folder: Path) -> None:
            self.reach("before_folder_sync")
            real_folder(folder)
            self.reach("after_folder_sync")

        os.fsync = fsync  # type: ignore[assignment]
        files.sync_folder = sync_folder
