"""What outlives a run, where it lies, and who may touch it.

`$XDG_STATE_HOME/dxrig/BENCH` holds a bench's panel sets, tube heat, journal and
acknowledgements. Everything is private to its owner (security-and-durability.md C29).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rig.exit_codes import DeviceError, UsageError

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def state_home() -> Path:
    """The folder of all benches. A relative XDG path is ignored, as its specification asks."""
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
    return base / "dxrig"


def bench_state(bench_name: str) -> Path:
    """The lasting state of one bench, made if it is not there."""
    return private_folder(state_home() / bench_name)


@contextmanager
def fresh_state(out: Path | None = None) -> Iterator[Path]:
    """State of a single run: kept under its `out` folder, else thrown away afterwards."""
    if out is not None:
        yield private_folder(out / "state")
        return
    with tempfile.TemporaryDirectory(prefix="dxrig-") as name:
        yield Path(name)


def run_folder(parent: Path, bench_name: str, started: datetime, run_id: str) -> Path:
    """A new folder such as 20261121T200405Z-portable-1a2b3c; never one that exists."""
    stamp = started.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    private_folder(parent)
    folder = parent / f"{stamp}-{bench_name}-{run_id}"
    try:
        folder.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError as error:
        raise DeviceError(f"{folder}: exists already; a run never overwrites another") from error
    return folder


def new_folder(folder: Path) -> Path:
    """A folder that somebody named for a run's files: new, or empty. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder}: is not empty; name a new or an empty folder")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{folder}: can't be used as a folder: {why}") from error
    return folder


def private_folder(folder: Path) -> Path:
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077 and folder.is_relative_to(state_home()):
            folder.chmod(PRIVATE_FOLDER)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"{folder}: can't be used ({why.lower()}); set XDG_STATE_HOME to a folder of yours"
        ) from error
    return folder


def write_private(file: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a file."""
    private_folder(file.parent)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
