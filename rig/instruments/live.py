"""A dosemeter on a line of its own: each reading that it holds, as it comes.

Nothing here knows of a beam. The readings go to a CSV that `dxrig meter import` takes with the map
`multidos-live`; they are paired by order, because a stamp of when somebody pressed HOLD is none of
the beam.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from hal.clock import WallClock
from hal.meters import MeterSample
from hal.meters.multidos import Driver
from hal.now import Now
from hal.ports import ByteLink
from rig.exit_codes import DeviceError, UsageError

POLL_US = 10_000
FIRST_US = 5_000_000
_SILENT = "no MULTIDOS answers; check cable, baud rate, and that its application is Dual Dosemeter"
HEADERS = ("Held at", "Dose (Gy)", "Dose 2 (Gy)", "Elapsed (s)", "Flags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One reading. `values`: of both channels in `unit`; None: overloaded."""

    at: datetime
    values: tuple[float | None, ...]
    unit: str
    elapsed_s: float | None
    flags: tuple[str, ...]


class LiveMeter:
    """Raises DeviceError where nobody answers; LinkError never gets out of the driver."""

    def __init__(self, link: ByteLink, *, clock: WallClock | None = None) -> None:
        self._driver, self._clock = Driver(link), clock or WallClock()

    def identified(self) -> MeterSample:
        """Once it has said who it is, and measured once."""
        end_us = self._clock.now_us() + FIRST_US
        while True:
            sample = self._poll()
            if sample.channels:
                return sample
            if Now(self._clock.now_us()).reached(end_us):
                raise DeviceError(_SILENT + (f"; {sample.refused}" if sample.refused else ""))

    def readings(self, *, rearm: bool) -> Iterator[Held]:
        """For ever. `rearm`: RES and STA first, and again after each reading."""
        was_settled = self._driver.sample.settled
        if rearm:
            self._arm()
        while True:
            sample = self._poll()
            if not sample.link_ok:
                raise DeviceError("the meter has gone silent; check cable and power")
            if sample.settled and not was_settled:
                yield _held(sample)
                if rearm:
                    self._arm()
            was_settled = sample.settled

    def _arm(self) -> None:
        for word in ("RES", "STA"):
            self._driver.order(word)

    def _poll(self) -> MeterSample:
        now = Now(self._clock.now_us())
        sample = self._driver.read(now)
        self._driver.write(now)
        self._clock.wait_until(now.t_us + POLL_US)
        return sample


def _held(sample: MeterSample) -> Held:
    return Held(
        at=datetime.now(UTC),
        values=tuple(channel.value for channel in sample.channels),
        unit=sample.channels[0].unit,
        elapsed_s=sample.elapsed_s,
        flags=sample.flags,
    )


class HeldFile:
    """The CSV, a row a reading, on the disk as it comes. Never over a file that is there."""

    def __init__(self, path: Path, sample: MeterSample) -> None:
        try:
            self._file: IO[str] = path.open("x", newline="", encoding="utf-8")
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"{path}: can't be written: {why}") from error
        self._writer = csv.writer(self._file)
        self._writer.writerows(
            [["Model", sample.model], ["Serial number", sample.serial], list(HEADERS)]
        )
        self._file.flush()

    def add(self, held: Held) -> None:
        """Only doses: what is no Gy is told and not written. Raises UsageError."""
        if held.unit != "Gy":
            raise UsageError(f"the meter measures {held.unit}; set it to dose in Gy for a file")
        cells = ["OL" if value is None else f"{value:.4g}" for value in held.values]
        elapsed = "OL" if held.elapsed_s is None else f"{held.elapsed_s:g}"
        self._writer.writerow([held.at.isoformat(), *cells, elapsed, "; ".join(held.flags)])
        self._file.flush()

    def close(self) -> None:
        self._file.close()
