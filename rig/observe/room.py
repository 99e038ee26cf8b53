"""The room that is watched: a real module in real time, or a maker's simulated room in its own.

Both only read. `tick` lets one scan pass and gives what was seen.
"""

from __future__ import annotations

import time
from typing import Protocol

from firmware_py.config import RoomConfig
from firmware_py.real_ports import ROOM_BAUD, open_byte_link
from hal.clock import WallClock
from hal.links import PipeLink, pipe
from hal.now import Now
from hal.ports import ByteLink, LinkError
from hal.room_io import open_room_inputs
from hal.types import Outputs, RoomSample
from rig.exit_codes import DeviceError, UsageError
from sim.console import Dialled, MakersWorld

SCAN_US = 5_000
PRESS_AFTER_US = 700_000  # the simulated person's reaction


class WatchedRoom(Protocol):
    def tick(self) -> tuple[Now, RoomSample]: ...

    def prompted(self, dialled: Dialled) -> None:
        """Somebody was asked to press."""

    def close(self) -> None: ...


class _Reading:
    """One reader over one link; whatever is ordered, it can only ask."""

    def __init__(self, link: ByteLink, config: RoomConfig) -> None:
        try:
            self._reader = open_room_inputs(config.driver, link, config)
        except ValueError as error:
            raise UsageError(f"room.driver: {error}") from error

    def scan(self, t_us: int) -> tuple[Now, RoomSample]:
        now = Now(t_us)
        sample = self._reader.read(now)
        self._reader.write(now, Outputs())
        return now, sample


class RealRoom:
    """Raises DeviceError when the port can't be opened."""

    def __init__(self, config: RoomConfig) -> None:
        try:
            self._link = open_byte_link(config.url, ROOM_BAUD)
        except LinkError as error:
            raise DeviceError(f"room I/O: {error}") from error
        self._reading = _Reading(self._link, config)
        self._clock = WallClock()

    def tick(self) -> tuple[Now, RoomSample]:
        time.sleep(SCAN_US / 1e6)
        return self._reading.scan(self._clock.now_us())

    def prompted(self, dialled: Dialled) -> None:
        return None  # a person presses

    def close(self) -> None:
        self._link.close()


class SimulatedRoom:
    """Virtual time. `hand`: the simulated person sets and presses when prompted."""

    def __init__(
        self, config: RoomConfig, *, seed: int = 1, hand: bool = True, paced: bool = False
    ) -> None:
        """`paced`: not faster than a clock, for somebody real types the answers.

        A maker's tool that makes images is put into `world.tool`.
        """
        unit_end, self.device_end = pipe()
        self.link: PipeLink = unit_end
        self._reading = _Reading(unit_end, config)
        self.world = MakersWorld(self.device_end, config.driver, seed=seed)
        self._hand, self._paced = hand, paced

    def tick(self) -> tuple[Now, RoomSample]:
        if self._paced:
            time.sleep(SCAN_US / 1e6)
        t_us = self.world.t_us + SCAN_US
        self.world.advance(t_us)
        return self._reading.scan(t_us)

    def prompted(self, dialled: Dialled) -> None:
        if self._hand:
            self.world.press(dialled, self.world.t_us + PRESS_AFTER_US)

    def close(self) -> None:
        self.link.close()
