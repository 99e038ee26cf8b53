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
    part = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    with part.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    part.replace(path)
    if durable:
        sync_folder(path.parent)
    return digest.hexdigest()


def make_folder(path: Path, *, durable: bool = True) -> None:
    """Make `path` and its parents; with `durable` their names are on disk too."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if durable:
        for folder in missing:
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
