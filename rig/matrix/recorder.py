"""A recorder that can go wrong: its disk, its writes, its speed, its life."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.store.database import StorageError
from firmware_py.recorder.store.disk import Disk
from firmware_py.recorder.store.journal import Journal
from hal.now import Now
from hal.types import ExposureReport, Intent, RecorderSample


class FaultyDisk(Disk):
    """`full`: no room for another exposure."""

    full = False

    def ok(self, now_us: int) -> bool:
        return super().ok(now_us) and not self.full


class FaultyJournal(Journal):
    """In memory. `fails`: what a write that the disk refuses looks like to the recorder."""

    fails = False

    def __init__(self) -> None:
        super().__init__(":memory:", durable=False)

    def _write(self, what: str, sql: str, row: tuple[object, ...]) -> None:
        if self.fails:
            raise StorageError(f"Writing {what} {row[0]}: input/output error (simulated)")
        super()._write(what, sql, row)


class FaultyRecorder:
    """`RecorderPort` around an honest one.

    `dead`: no heartbeat. `stalled_us`: until then it shows nothing new. `set_expired`: the
    panel's calibration set is no longer valid.
    """

    def __init__(self, port: InlineRecorder) -> None:
        self._port = port
        self.sample = port.sample
        self.dead = self.set_expired = False
        self.stalled_us = 0

    def read(self, now: Now) -> RecorderSample:
        if self.dead:
            self.sample = replace(self.sample, alive=False)
        elif now.reached(self.stalled_us):
            self.sample = self._honest(self._port.read(now))
        return self.sample

    def _honest(self, sample: RecorderSample) -> RecorderSample:
        return replace(sample, panel_set_ok=False) if self.set_expired else sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        if self.dead:
            return
        self._port.write(now, intent, report, kept)
        now.reached(self.stalled_us)


class Store:
    """Disk, journal and recorder of one room, and what may be wrong with them."""

    def __init__(self) -> None:
        self.disk, self.journal = FaultyDisk(), FaultyJournal()
        self.port: FaultyRecorder | None = None

    def go_wrong(self, t_us: int, values: dict[str, Any]) -> None:
        """`values`: arguments of the verb "recorder"."""
        self.disk.full = values.get("disk_full", self.disk.full)
        self.journal.fails = values.get("writes_fail", self.journal.fails)
        if self.port is None:
            return
        self.port.dead = values.get("dead", self.port.dead)
        self.port.set_expired = values.get("set_expired", self.port.set_expired)
        if values.get("stall_ms"):
            self.port.stalled_us = t_us + round(values["stall_ms"] * 1000)
