"""The room I/O alone: its contacts as they come, its outputs one at a time.

No generator is addressed and no unit runs. Whenever it is polled, everything that is not
asked for on purpose is switched off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from firmware_py.config import UnitConfig
from firmware_py.real_ports import ROOM_BAUD, open_byte_link
from hal.clock import WallClock
from hal.now import Now, since
from hal.ports import LinkError
from hal.room_io import open_room_io
from hal.tap_link import TapLink
from hal.types import Outputs, RoomSample
from rig.exit_codes import DeviceError

POLL_S = 0.005
FIRST_S = 3.0
SAFE_S = 0.5


@runtime_checkable
class ShowsCoils(Protocol):
    """A driver that reads its outputs back."""

    def coils(self) -> Mapping[str, bool | None]: ...


class RoomWatch:
    """Raises DeviceError when the port can't be opened or nobody answers on it."""

    def __init__(self, unit: UnitConfig) -> None:
        self._url = unit.room.url
        self._driver_name = unit.room.driver
        try:
            self._link = open_byte_link(unit.room.url, ROOM_BAUD)
        except LinkError as error:
            raise DeviceError(f"room I/O: {error}") from error
        self._heard = _Heard()
        tapped = TapLink("room", self._link, self._heard)
        self._driver = open_room_io(unit.room.driver, tapped, unit.room)
        self._clock = WallClock()

    def __enter__(self) -> RoomWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.make_safe()
        self._link.close()

    def poll(self, outputs: Outputs | None = None) -> RoomSample:
        now = Now(self._clock.now_us())
        sample = self._driver.read(now)
        self._driver.write(now, outputs or Outputs())
        return sample

    def hold(self, outputs: Outputs, for_s: float) -> RoomSample:
        end_s = time.monotonic() + for_s
        while time.monotonic() < end_s:
            self.poll(outputs)
            time.sleep(POLL_S)
        return self._driver.sample

    def first_sample(self) -> RoomSample:
        end_s = time.monotonic() + FIRST_S
        while time.monotonic() < end_s:
            if self.poll().link_ok:
                return self._driver.sample
            time.sleep(POLL_S)
        raise DeviceError(
            f"room I/O ({self._driver_name}) at {self._url} does not answer{self._why()}; "
            "check its power, cable and address"
        )

    def coils(self) -> dict[str, bool | None]:
        """The outputs as the module reports them; None = not known."""
        return dict(self._driver.coils()) if isinstance(self._driver, ShowsCoils) else {}

    def read_back(self) -> dict[str, bool | None]:
        """The outputs as the module answers when it is asked now; an echo of a write is no proof.

        None = it did not say.
        """
        asked_us = self._clock.now_us()
        end_s = time.monotonic() + FIRST_S
        while time.monotonic() < end_s:
            taken_us = self.poll().enable_taken_us
            if taken_us is not None and since(taken_us, asked_us):
                return self.coils()
            time.sleep(POLL_S)
        return dict.fromkeys(self.coils(), None)

    def make_safe(self) -> None:
        """Everything off, and asked for again until the module says so."""
        end_s = time.monotonic() + SAFE_S
        while time.monotonic() < end_s and self._driver.sample.link_ok:
            self.poll()
            if self.coils() and not any(on is not False for on in self.coils().values()):
                return
            time.sleep(POLL_S)

    def _why(self) -> str:
        if self._heard.bytes_count:
            return f" as one ({self._heard.bytes_count} bytes came, none of them a valid reply)"
        return f" ({self._heard.trouble})" if self._heard.trouble else ""


class _Heard:
    """What came over the link: enough to say why it is not believed."""

    def __init__(self) -> None:
        self.bytes_count = 0
        self.trouble = ""

    def got(self, link: str, data: bytes) -> None:
        self.bytes_count += len(data)

    def sent(self, link: str, data: bytes) -> None:
        return None

    def failed(self, link: str, why: str) -> None:
        self.trouble = why.rpartition(": ")[2]

    def not_sent(self, link: str, why: str) -> None:
        self.failed(link, why)
