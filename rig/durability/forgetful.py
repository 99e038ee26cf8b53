"""A disk in memory that knows what would be left of it if the power went now.

The strict model: a file's content is durable as of its last fsync, a name in a folder as of
the last fsync of that folder; so a new file needs both, and a rename or an unlink that nobody
synced is undone. SQLite's WAL lives with that, because SQLite syncs the folder with the first
sync of a new WAL. What is not modelled: a write that is torn or reordered within one file,
and a disk that lies about fsync.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


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

    def cut(self) -> None:
        """The power goes: what nobody synced was never there."""
        _forget(self.root)

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


def _forget(folder: Folder) -> None:
    folder.now = dict(folder.durable)
    for found in folder.now.values():
        if isinstance(found, File):
            found.now = bytearray(found.durable)
        else:
            _forget(found)


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
