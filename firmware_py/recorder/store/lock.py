"""One writer, and a name for whoever comes second."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import filelock


class LockHeldError(Exception):
    """Somebody else has it; the text names them."""


class OwnedLock:
    """A lock that ends with its process, also when that is killed.

    The owner's name lies beside it in `.owner`: the lock file itself is truncated by
    every attempt to take it.
    """

    def __init__(self, path: Path, owner: str) -> None:
        """Takes the lock. Raises LockHeldError, or OSError when the folder can't be written."""
        self._owner_path = path.with_name(path.name + ".owner")
        if not path.parent.is_dir():  # filelock would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
        self._lock = filelock.FileLock(path.with_name(path.name + ".lock"))
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise LockHeldError(self._named()) from None
        self._owner_path.write_text(f"{owner} (process {os.getpid()})", encoding="utf-8")

    def release(self) -> None:
        with suppress(OSError):  # a failing disk keeps the name, not the lock
            self._owner_path.unlink(missing_ok=True)
        self._lock.release()

    def _named(self) -> str:
        with suppress(OSError):
            return self._owner_path.read_text(encoding="utf-8") or "an unnamed program"
        return "an unnamed program"
