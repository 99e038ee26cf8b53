"""Which files of an exposure are not what the journal says they were when they were saved."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.exposures.stored import Stored

NOT_AS_SAVED, MISSING = "not what was saved", "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """`found`: its sha256 now; None: it is missing, or can't be read to its end."""

    path: Path
    expected: str
    found: str | None
    what: str  # NOT_AS_SAVED, MISSING, or what the operating system says

    @property
    def may_be_replaced(self) -> bool:
        """Not a file that is sound and only closed to us."""
        return self.what in (NOT_AS_SAVED, MISSING, _said(errno.EIO))

    @property
    def text(self) -> str:
        if self.what == NOT_AS_SAVED:
            return f"{self.path}: is not what was saved; keep it, and check the disk"
        return f"{self.path}: {_said(errno.ENOENT) if self.what == MISSING else self.what}"


def wrong_in(one: Stored) -> Iterator[Wrong]:
    """Of an exposure whose folder is there, in the order of their names."""
    if one.folder is None:
        return
    for name, sha256 in sorted(one.sha256.items()):
        wrong = wrong_file(one.folder / name, sha256)
        if wrong is not None:
            yield wrong


def wrong_file(path: Path, expected: str) -> Wrong | None:
    found, what = None, NOT_AS_SAVED
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        what = MISSING
    except OSError as error:
        what = (error.strerror or str(error)).lower()
    if found == expected:
        return None
    return Wrong(path=path, expected=expected, found=found, what=what)


def sha256_of(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _said(number: int) -> str:
    return os.strerror(number).lower()
