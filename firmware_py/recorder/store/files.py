"""Files that survive a power cut: part file, fsync, rename, fsync of the folder.

The order is the one of security-and-durability.md 6.4; a file under its final name is
whole, and what stops half-way leaves a `.part` that nobody reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def write_file(path: Path, chunks: Iterable[bytes | memoryview], *, durable: bool = True) -> str:
    """Write `chunks` to `path`, replacing it as a whole; their sha256. Raises OSError.

    `durable=False` skips both fsyncs: for runs whose files need not outlive a power cut.
    """
    part = part_of(path)
    digest = hashlib.sha256()
    with open(os.open(part, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
        file.truncate()  # it may have been reserved; not before, or its space would be lost
        file.flush()
        if durable:
            os.fsync(file.fileno())
    part.replace(path)
    if durable:
        sync_folder(path.parent)
    return digest.hexdigest()


def reserve(path: Path, size_bytes: int) -> None:
    """Space on the disk that nobody else gets, until `write_file`. Raises OSError."""
    handle = os.open(part_of(path), os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.posix_fallocate(handle, 0, size_bytes)
    finally:
        os.close(handle)


def give_back(path: Path) -> None:
    """What was reserved and never written. Raises OSError."""
    part_of(path).unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def make_folder(path: Path, *, durable: bool = True) -> None:
    """Make `path` and its parents; with `durable` their names are on disk too.

    That of `path` also when it is there: whoever made it may have died before the sync.
    """
    missing = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if durable:
        for folder in (path, *missing):
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(folder: Path) -> int:
    """Space that an ordinary user may still fill. Raises OSError when the folder is gone."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
