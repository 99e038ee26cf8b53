"""One owner per bench: a second one is refused with the name of the first.

The operating system's lock decides, and it ends with its process; so a lock left by a
killed process is simply free. The owner file beside it only says who it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rig.exit_codes import DeviceError
from rig.state_dir import private_folder, write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    pid: int
    command: str
    since: str  # ISO 8601, UTC


@contextmanager
def hold_bench(state: Path, command: str) -> Iterator[Owner]:
    """Own the bench whose state this is. Raises DeviceError while somebody else does."""
    from filelock import FileLock, Timeout  # 75 ms: not at the start of every command

    private_folder(state)
    lock = FileLock(state / "bench.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise DeviceError(_refusal(state)) from None
    try:
        owner = Owner(
            pid=os.getpid(),
            command=command,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_private(state / "owner.json", json.dumps(asdict(owner)))
        yield owner
    finally:
        (state / "owner.json").unlink(missing_ok=True)
        lock.release()


def owner_of(state: Path) -> Owner | None:
    """Who the owner file names; None if nobody, or if it can't be read."""
    try:
        found = json.loads((state / "owner.json").read_text(encoding="utf-8"))
        return Owner(
            pid=int(found["pid"]), command=str(found["command"]), since=str(found["since"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_owned(state: Path) -> bool:
    """Does whoever the owner file names still live? Only a look: nothing is taken or written."""
    owner = owner_of(state)
    if owner is None:
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _refusal(state: Path) -> str:
    owner = owner_of(state)
    if owner is None:
        return f"bench {state.name} is in use by another process (lock: {state / 'bench.lock'})"
    return (
        f"bench {state.name} is in use by `{owner.command}` "
        f"(process {owner.pid}, since {owner.since}); end that first"
    )
