"""The forgetful disk as a real mount (FUSE): SQLite and the recorder see a file system.

One thread serves one operation after the other, so a cut has a place between two of them.
At the cut the program that asks is killed before it is answered: it acknowledges nothing any
more. After it every operation fails with EIO, the power being off.

An `ordinary` disk has the kernel's cache before it, so a write costs a copy in memory, and serves
operations side by side, so a sync that stalls keeps waiting who asked for it. What concerns
one file or one folder the kernel still asks one after the other.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import mfusepy

from rig.durability.forgetful import File, Folder, Forgetful, resize, sync, write_at
from rig.durability.trouble import Operations

FREE_BLOCKS = 1 << 20
BLOCK_BYTES = 4096
WRITEBACK_CACHE = 1 << 16  # fuse_common.h, FUSE_CAP_WRITEBACK_CACHE


class FuseDisk(mfusepy.Operations):  # type: ignore[misc]
    use_ns = True

    def __init__(
        self,
        disk: Forgetful,
        operations: Operations,
        mounted: Callable[[], None],
        *,
        ordinary: bool = False,
    ) -> None:
        """`mounted` is called once, when the mount answers."""
        self._disk = disk
        self._operations = operations
        self._mounted = mounted
        self._ordinary = ordinary
        self._open: dict[int, File] = {}
        self._next_handle = itertools.count(1)
        self._counting = threading.Lock()
        self._made_ns = time.time_ns()
        self.is_cut = False

    def init_with_config(self, conn_info: Any, config: Any) -> None:
        if self._ordinary:
            conn_info.want |= WRITEBACK_CACHE & conn_info.capable
        self._mounted()

    # --- what is only looked at

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        self._power()
        found = self._open.get(fh or 0) or self._disk.find(path)
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), self._made_ns)
        ids = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        if isinstance(found, Folder):
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2, **times, **ids}
        return {
            "st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": len(found.now),
            **times, **ids,
        }  # fmt: skip

    def readdir(self, path: str, fh: int) -> Iterable[str]:
        self._power()
        return [".", "..", *self._disk.folder(path).now]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._power()
        return bytes(self._open[fh].now[offset : offset + size])

    def statfs(self, path: str) -> dict[str, int]:
        free = {"f_blocks": FREE_BLOCKS, "f_bfree": FREE_BLOCKS, "f_bavail": FREE_BLOCKS}
        return {"f_bsize": BLOCK_BYTES, "f_frsize": BLOCK_BYTES, "f_namemax": 255, **free}

    def open(self, path: str, flags: int) -> int:
        self._power()
        return self._handle(self._disk.file(path))

    def release(self, path: str, fh: int) -> int:
        self._open.pop(fh, None)
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    def chmod(self, path: str, mode: int) -> int:
        return 0

    # --- what changes something

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        self._count("create", path)
        return self._handle(self._disk.create(path))

    def mkdir(self, path: str, mode: int) -> int:
        self._count("create", path)
        self._disk.mkdir(path)
        return 0

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._count("write", path)
        write_at(self._open[fh], data, offset)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._count("truncate", path)
        resize(self._open.get(fh or 0) or self._disk.file(path), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._count("sync", path)
        self._operations.stall()
        sync(self._open[fh])
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._count("sync", path)
        self._operations.stall()
        sync(self._disk.folder(path))
        return 0

    def rename(self, old: str, new: str) -> int:
        self._count("rename", old)
        self._disk.rename(old, new)
        return 0

    def unlink(self, path: str) -> int:
        self._count("remove", path)
        self._disk.remove(path)
        return 0

    def rmdir(self, path: str) -> int:
        return self.unlink(path)

    def _handle(self, file: File) -> int:
        handle = next(self._next_handle)
        self._open[handle] = file
        return handle

    def _power(self) -> None:
        if self.is_cut:
            raise OSError(errno.EIO, "the power is off")

    def _count(self, kind: str, path: str) -> None:
        self._power()
        _, _, pid = mfusepy.fuse_get_context()
        if pid == 0 or path.endswith("-shm"):
            return  # the kernel's own work: nobody waits for it, and nobody could be killed
        with self._counting:
            if self._operations.cuts_now():
                os.kill(pid, signal.SIGKILL)
                self._disk.cut(self._operations.trouble.chance)
                self.is_cut = True
                self._power()
            self._operations.count(kind)
