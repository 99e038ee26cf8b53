"""A forgetful disk mounted for one life of a program, in a process of its own.

Bounded in time whatever happens: the process ends itself by an alarm, or with the one that
started it, and the mount is taken away without waiting for those who still use it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

from rig.durability.trouble import Trouble

LONGEST_S = 60  # a life lasts a second
PATIENCE_S = 15.0
DEVICE = Path("/dev/fuse")
TOOL = "fusermount3"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class MountError(Exception):
    """The disk could not be mounted, or its process did not answer in time."""


def why_not() -> str | None:
    """Why no disk can be mounted here; None = it can."""
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} is missing or not ours to use"
    if shutil.which(TOOL) is None:
        return f"{TOOL} is missing (Debian package fuse3)"
    try:
        if importlib.util.find_spec("mfusepy") is None:
            return "the Python package mfusepy is missing"
        import mfusepy  # noqa: F401 - it looks for libfuse when it is imported
    except (OSError, ImportError) as error:
        return f"libfuse can't be loaded: {error}"
    return _refused()


@cache
def _refused() -> str | None:
    """A container may have the device and still not be allowed to mount: only trying tells."""
    with tempfile.TemporaryDirectory(prefix="dxrig-") as name:
        before, after = (Path(name) / word for word in ("before", "after"))
        for folder in (before, after):
            folder.mkdir()
        try:
            with Mount(Path(name) / "disk", Trouble(), before=before, after=after):
                return None
        except (MountError, OSError) as error:
            return f"mounting is refused here ({str(error).strip().splitlines()[-1]})"


class Mount:
    """`before`: a folder whose files are on the disk at first; `after`: what was durable."""

    def __init__(
        self,
        at: Path,
        trouble: Trouble,
        *,
        before: Path,
        after: Path,
        ordinary: bool = False,
        longest_s: int = LONGEST_S,
    ) -> None:
        """`ordinary`: cached and side by side (FuseDisk); then a cut has no place of its own."""
        assert not ordinary or trouble.cut_after_count is None
        self.at = at
        self.counts: dict[str, int] = {}  # operations by kind, when it has ended
        self.is_cut = False
        self.failed_count = 0
        self.stalled_ms: list[float] = []  # each sync that stalled
        at.mkdir(parents=True, exist_ok=True)
        self._pipe, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            serve = partial(_served, writing, at, trouble, before, after, ordinary=ordinary)
            _serve(writing, serve, longest_s)
        os.close(writing)

    def __enter__(self) -> Mount:
        """Raises MountError."""
        try:
            if self._read() != b"mounted\n":
                raise MountError(f"nothing was mounted at {self.at}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """`after` holds what was durable now. Raises MountError."""
        self._unmount()
        try:
            told = b""
            while got := self._read():
                told += got
        finally:
            self._end()
        if not told:
            raise MountError(f"the disk at {self.at} ended without a word")
        answer = json.loads(told)
        if "error" in answer:
            raise MountError(str(answer["error"]))
        self.counts = answer["counts"]
        self.is_cut = answer["is_cut"]
        self.failed_count = answer["failed_count"]
        self.stalled_ms = answer["stalled_ms"]

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._pipe], [], [], PATIENCE_S)
        if not ready:
            raise MountError(f"the disk at {self.at} did not answer within {PATIENCE_S:g} s")
        return os.read(self._pipe, 65_536)

    def _unmount(self) -> None:
        command = [TOOL, "-u", "-z", "-q", str(self.at)]
        subprocess.run(command, check=False, timeout=PATIENCE_S, capture_output=True)

    def _end(self) -> None:
        self._unmount()
        os.close(self._pipe)
        ended, _ = os.waitpid(self._pid, os.WNOHANG)
        if not ended:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _serve(pipe: int, serve: Callable[[], dict[str, Any]], longest_s: int) -> NoReturn:
    """In the child; never returns, so that nothing of the parent's runs twice."""
    try:
        gc.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(longest_s)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # libfuse unmounts then
        answer = serve()
    except BaseException:
        answer = {"error": traceback.format_exc()}
    try:
        os.write(pipe, json.dumps(answer).encode())
    finally:
        os._exit(0)


def _served(
    pipe: int, at: Path, trouble: Trouble, before: Path, after: Path, *, ordinary: bool
) -> dict[str, Any]:
    import mfusepy

    from rig.durability.forgetful import Forgetful
    from rig.durability.fuse_disk import FuseDisk
    from rig.durability.trouble import Operations

    disk, operations = Forgetful(), Operations(trouble)
    disk.load(before)
    served = FuseDisk(disk, operations, lambda: _say_mounted(pipe), ordinary=ordinary)
    mfusepy.FUSE(served, str(at), foreground=True, nothreads=not ordinary, max_idle_threads=8)
    if not served.is_cut:
        disk.cut()
    disk.store(after)
    return {
        "counts": dict(operations.counts),
        "failed_count": operations.failed_count,
        "is_cut": served.is_cut,
        "stalled_ms": operations.stalled_ms,
    }


def _say_mounted(pipe: int) -> None:
    os.write(pipe, b"mounted\n")
