"""Readings of a meter on a line, in virtual time; and its file taken by the import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hal.links import PipeLink, pipe
from hal.meters.multidos_desk import Desk
from hal.now import Now
from rig.exit_codes import DeviceError, UsageError
from rig.instruments.column_map import COLUMN_MAPS
from rig.instruments.live import HeldFile, LiveMeter
from rig.instruments.meter_rows import read_meter
from tests.test_multidos import FakeMeter


class Room:
    """A clock that moves when it is waited for, and a meter that lives by it."""

    def __init__(self) -> None:
        self.link, self._device_end = pipe(baud=38400)
        self.meter = FakeMeter()
        self._desk = Desk(self.meter)
        self._t_us = 0
        self.events: dict[int, Callable[[], None]] = {}  # ms -> what happens then
        self.dead = False

    def now_us(self) -> int:
        return self._t_us

    def wait_until(self, t_us: int) -> None:
        self._t_us = t_us
        for ms in [ms for ms in self.events if ms * 1000 <= t_us]:
            self.events.pop(ms)()
        now = Now(t_us)
        self._desk.receive(now, self._device_end.read(t_us))
        leaving = self._desk.poll(now)
        if not self.dead:
            self._device_end.write(t_us, leaving)

    def press(self, ms: int, key: str) -> None:
        def pressed() -> None:
            self.meter.key(self._t_us, key)

        self.events[ms] = pressed


def live(room: Room, link: PipeLink | None = None) -> LiveMeter:
    return LiveMeter(link or room.link, clock=room)  # type: ignore[arg-type]


def test_each_reading_that_the_meter_holds_comes_once() -> None:
    room = Room()
    for ms, key in ((2000, "STA"), (5000, "HLD"), (7000, "STA"), (8000, "HLD")):
        room.press(ms, key)
    meter = live(room)
    assert meter.identified().serial == "000123"
    readings = meter.readings(rearm=False)
    one, other = next(readings), next(readings)
    assert one.values[0] == pytest.approx(3e-6, rel=0.01)
    assert other.values[0] == pytest.approx(1e-6, rel=0.01)
    assert one.values[1] is None
    assert (one.unit, one.elapsed_s) == ("Gy", 3.0)


def test_a_meter_that_is_to_be_armed_is_reset_and_started_after_each_reading() -> None:
    room = Room()
    meter = live(room)
    meter.identified()
    for ms in (3000, 6000):
        room.press(ms, "HLD")
    readings = meter.readings(rearm=True)
    next(readings), next(readings)
    assert room.meter.keys == ["RES", "STA", "HLD", "RES", "STA", "HLD"]


def test_nobody_on_the_line_and_a_meter_that_falls_silent_are_told() -> None:
    room = Room()
    room.dead = True
    with pytest.raises(DeviceError, match="no MULTIDOS answers; check cable, baud rate"):
        live(room).identified()
    room = Room()
    meter = live(room)
    meter.identified()
    room.dead = True
    with pytest.raises(DeviceError, match="has gone silent"):
        next(meter.readings(rearm=False))


def test_its_file_is_taken_by_the_import_and_never_overwritten(tmp_path: Path) -> None:
    room = Room()
    room.press(2000, "STA")
    room.press(5000, "HLD")
    meter = live(room)
    path = tmp_path / "doses.csv"
    file = HeldFile(path, meter.identified())
    file.add(next(meter.readings(rearm=False)))
    file.close()
    found = read_meter(path, COLUMN_MAPS.load("multidos-live"))
    assert (found.instrument.model, found.instrument.serial) == ("MULTIDOS 3.10 Gy", "000123")
    assert found.rows[0].values == {"dose_ugy": pytest.approx(3.0, rel=0.01)}
    assert found.rows[0].start is None
    with pytest.raises(UsageError, match="file exists"):
        HeldFile(path, meter.identified())


def test_a_dose_rate_is_no_dose_and_not_written(tmp_path: Path) -> None:
    room = Room()
    room.meter.unit = "Gy/s"
    room.press(2000, "HLD")
    meter = live(room)
    file = HeldFile(tmp_path / "doses.csv", meter.identified())
    with pytest.raises(UsageError, match="measures Gy/s; set it to dose in Gy"):
        file.add(next(meter.readings(rearm=False)))
    file.close()
