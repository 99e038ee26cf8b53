"""The traffic of a unit that runs, from the record that it writes: nothing is touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from firmware_py.record import RecordError, RecordTail
from rig.exit_codes import DeviceError
from rig.service.tap_view import TapView
from rig.service.tape import passages

T = TypeVar("T")
LOOK_S = 0.05


def follow(run: Path, view: TapView, stopping: Callable[[], bool]) -> None:
    """From now on, until `stopping`. Raises DeviceError when the record can't be read."""
    record = sorted(run.glob("record*.bin"), key=lambda path: (len(path.name), path.name))[-1:]
    if not record:
        raise DeviceError(f"{run}: holds no record yet")
    tail = _read(record[0], lambda: RecordTail(record[0]))
    while not stopping():
        scans = _read(record[0], tail.news)
        for passage in passages(scans):
            view.take(passage)
        if scans:
            view.pause(scans[-1].t_us)
        time.sleep(LOOK_S)
    view.end()


def _read(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except (RecordError, OSError, ValueError, IndexError) as error:
        raise DeviceError(f"{path}: can't be followed: {error}") from error
