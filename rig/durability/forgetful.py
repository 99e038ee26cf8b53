"""A disk in memory that knows what would be left of it if the power went now.

The strict model: a file's content is durable as of its last fsync, a name in a folder as of
the last fsync of that folder; so a new file needs both, and a rename or an unlink that nobody
synced is undone. SQLite's WAL lives with that, because SQLite syncs the folder with the first
sync of a new WAL. With `chance` each page and each name that nobody synced is kept or not, as
on a disk that writes when it likes, in any order. What is not modelled: a disk that lies about
fsync, or tears a page.
"""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

PAGE_BYTES = 4096
KEPT_SHARE = 0.5


@dataclass(slots=True, eq=False)
class File:
    now: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


@dataclass(slots=True, eq=False)
class Folder:
    now: dict[str, File | Folder] = field(default_factory=dict)
    durable: dict[str, File | Folder] = field(default_factory=dict)


class Forgetful:
    """Paths begin with "/". Everything raises OSError as a file system would."""

    def __init__(self) -> None:
        self.root = Folder()

    def find(self, path: str) -> File | Folder:
        here: File | Folder = self.root
        for name in PurePosixPath(path).parts[1:]:
            if not isinstance(here, Folder):
                raise _error(errno.ENOTDIR, path)
            if name not in here.now:
                raise _error(errno.ENOENT, path)
            here = here.now[name]
        return here

    def folder(self, path: str) -> Folder:
        found = self.find(path)
        if not isinstance(found, Folder):
            raise _error(errno.ENOTDIR, path)
        return found

    def file(self, path: str) -> File:
        found = self.find(path)
        if not isinstance(found, File):
            raise _error(errno.EISDIR, path)
        return found

    def create(self, path: str) -> File:
        folder, name = self._place(path)
        file = File()
        folder.now[name] = file
        return file

    def mkdir(self, path: str) -> None:
        folder, name = self._place(path)
        if name in folder.now:
            raise _error(errno.EEXIST, path)
        folder.now[name] = Folder()

    def remove(self, path: str) -> None:
        found = self.find(path)
        if isinstance(found, Folder) and found.now:
            raise _error(errno.ENOTEMPTY, path)
        folder, name = self._place(path)
        del folder.now[name]

    def rename(self, old: str, new: str) -> None:
        found = self.find(old)
        target, new_name = self._place(new)
        source, old_name = self._place(old)
        del source.now[old_name]
        target.now[new_name] = found

    def cut(self, chance: random.Random | None = None) -> None:
        """The power goes: what nobody synced was never there, or is there by chance."""
        _forget(self.root, chance)

    def load(self, folder: Path) -> None:
        """All of a real folder, as if it had been synced long ago."""
        self.root = _loaded(folder)

    def store(self, folder: Path) -> None:
        """What is there now, as plain files."""
        _store(self.root, folder)

    def _place(self, path: str) -> tuple[Folder, str]:
        at = PurePosixPath(path)
        return self.folder(str(at.parent)), at.name


def write_at(file: File, data: bytes, offset: int) -> None:
    if len(file.now) < offset:
        file.now.extend(bytes(offset - len(file.now)))
    file.now[offset : offset + len(data)] = data


def resize(file: File, length: int) -> None:
    del file.now[length:]
    file.now.extend(bytes(length - len(file.now)))


def sync(found: File | Folder) -> None:
    if isinstance(found, File):
        found.durable = bytes(found.now)
    else:
        found.durable = dict(found.now)


def _forget(folder: Folder, chance: random.Random | None) -> None:
    folder.now = _names_left(folder, chance)
    folder.durable = dict(folder.now)
    for found in folder.now.values():
        if isinstance(found, Folder):
            _forget(found, chance)
        elif chance is None:
            found.now = bytearray(found.durable)
        else:
            found.now = _pages_left(found, chance)
            found.durable = bytes(found.now)


def _names_left(folder: Folder, chance: random.Random | None) -> dict[str, File | Folder]:
    left = dict(folder.durable)
    for name in sorted(folder.now.keys() | folder.durable.keys()):
        if chance is None or folder.now.get(name) is folder.durable.get(name):
            continue
        if chance.random() < KEPT_SHARE:
            left.pop(name, None)
            if name in folder.now:
                left[name] = folder.now[name]
    return left


def _pages_left(file: File, chance: random.Random) -> bytearray:
    """Old or new, page by page; the length is one of both."""
    old, new = file.durable, bytes(file.now)
    length = len(chance.choice((old, new)))
    pages = range(0, length, PAGE_BYTES)
    parts = [chance.choice((old, new))[at : at + PAGE_BYTES] for at in pages]
    sizes = [min(PAGE_BYTES, length - at) for at in pages]
    whole = (part[:size].ljust(size, b"\0") for part, size in zip(parts, sizes, strict=True))
    return bytearray(b"".join(whole))


def _loaded(folder: Path) -> Folder:
    made = Folder()
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            made.now[path.name] = _loaded(path)
        else:
            data = path.read_bytes()
            made.now[path.name] = File(bytearray(data), data)
    made.durable = dict(made.now)
    return made


def _store(folder: Folder, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for name, found in folder.now.items():
        if isinstance(found, File):
            (to / name).write_bytes(found.now)
        else:
            _store(found, to / name)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
