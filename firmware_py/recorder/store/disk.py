"""Can the disk take another exposure? Asked before PREP, so that a full disk costs no dose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from firmware_py.recorder.store.files import free_bytes, write_file
from hal.now import Now

CHECK_US = 1_000_000  # statvfs at most once a second
IMAGES_COUNT = 3
RESERVE_BYTES = 64 << 20


def needed_bytes(rows_px: int, columns_px: int) -> int:
    """Three images, each raw frame and two DICOM files, and a reserve for the journal."""
    return IMAGES_COUNT * 3 * 2 * rows_px * columns_px + RESERVE_BYTES


class Disk:
    def __init__(
        self,
        folders: Sequence[Path] = (),
        *,
        needed_bytes: int = RESERVE_BYTES,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """`folders`: where journal and images lie. Without any there is nothing to run out of."""
        self._folders = folders
        self._needed_bytes = needed_bytes
        self._free = free
        self._check_us = 0
        self._is_ok = True
        self._has_failed = False

    def ok(self, now_us: int) -> bool:
        if Now(now_us).reached(self._check_us):
            self._check_us = now_us + CHECK_US
            self._is_ok = all(self._takes_more(folder) for folder in self._folders)
        return self._is_ok and not self._has_failed

    def failed(self) -> None:
        """A write failed: not ok until a later check has written something again."""
        self._has_failed = True

    def _takes_more(self, folder: Path) -> bool:
        try:
            if self._has_failed:
                probe = folder / "probe"
                write_file(probe, [bytes(4096)])
                probe.unlink()
                self._has_failed = False
            return self._free(folder) >= self._needed_bytes
        except OSError:
            self._has_failed = True
            return False
