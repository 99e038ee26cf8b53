"""Where images are made: beside the room's watch, or in the same process where time is virtual.

A share that hangs, or an image of 18 MB, must not hold up whoever watches for beams.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from firmware_py.config import FolderConfig
from firmware_py.recorder.folder_files import DiskFolder
from firmware_py.recorder.setup import Setup
from hal.ports import LinkError
from rig.exit_codes import DeviceError
from rig.observe.notes import Expected
from rig.observe.pictures import News, Pictures, Unasked

LOOK_S = 0.05
START_S = 20.0
END_S = 5.0
END, NOTHING = "end", "nothing"


class Imaging(Protocol):
    """`expect` one at a time; `poll` never waits. Both raise DeviceError.

    `close` tells what is left to tell; it may be called twice.
    """

    def expect(self, one: Expected | Unasked | None) -> None: ...

    def poll(self, t_us: int) -> Sequence[News]: ...

    def close(self) -> Sequence[News]: ...


class Inline:
    """In this process, in its own virtual time."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def expect(self, one: Expected | Unasked | None) -> None:
        self._pictures.expect(one)

    def poll(self, t_us: int) -> Sequence[News]:
        return self._pictures.step(t_us)

    def close(self) -> Sequence[News]:
        return self._pictures.left()


class Beside:
    """In a process of its own, which asks the clock by itself."""

    def __init__(self, setup: Setup, config: FolderConfig, run_dir: Path) -> None:
        """Raises DeviceError where the folder can't be listed."""
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        work = (theirs, setup, config, run_dir)
        self._process = context.Process(target=_work, args=work, daemon=True)
        self._process.start()
        theirs.close()
        if not self._ours.poll(START_S):
            self.close()
            raise DeviceError(f"the panel's folder {config.path} does not answer")
        trouble = self._received()
        if trouble is not None:
            self.close()
            raise DeviceError(f"{config.path}: {trouble}")

    def expect(self, one: Expected | Unasked | None) -> None:
        try:
            self._ours.send(one)
        except OSError as error:
            raise DeviceError("whoever takes the images has ended; see its error above") from error

    def poll(self, t_us: int) -> Sequence[News]:
        found: list[News] = []
        while self._ours.poll():
            found += self._received()
        return found

    def close(self) -> Sequence[News]:
        found: list[News] = []
        if not self._ours.closed:
            with suppress(DeviceError, OSError):
                self._ours.send(END)
                while self._ours.poll(END_S):
                    found += self._received()
            self._ours.close()
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(END_S)
        return found

    def _received(self) -> list[News]:
        try:
            found: list[News] = self._ours.recv()
        except EOFError as error:
            raise DeviceError("whoever takes the images has ended; see its error above") from error
        return found


def _work(asked: Connection, setup: Setup, config: FolderConfig, run_dir: Path) -> None:
    """Until the other end is closed. Ctrl-C is the watcher's: it waits for the beam's end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        folder = DiskFolder(Path(config.path), setup.started_at)
        pictures = Pictures(setup, config, folder, run_dir)
    except LinkError as error:
        asked.send(str(error))
        return
    asked.send(None)
    try:
        while True:
            one: Any = asked.recv() if asked.poll(LOOK_S) else NOTHING
            if one == END:
                asked.send(pictures.left())
                return
            if one != NOTHING:
                pictures.expect(one)
            news = pictures.step(_t_us(setup))
            if news:
                asked.send(news)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _t_us(setup: Setup) -> int:
    return round((datetime.now(UTC) - setup.started_at).total_seconds() * 1e6)
