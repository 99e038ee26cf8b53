"""A man in the middle of one link who changes no byte: between a client and a device's real port.

The client (a unit, or a maker's own program) connects to our end. A device that is pulled out
is waited for under its name; what the client says meanwhile is lost, as on a pulled cable, and
told. Each connection of a TCP client is one of the device's own.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from typing import Protocol

from firmware_py.config import UnitConfig
from hal.clock import WallClock
from hal.links import SerialLink, TcpLink
from hal.ports import ByteLink, Direction, LinkError
from rig.exit_codes import DeviceError
from rig.service.port import open_link
from rig.service.tape import CONNECTING, Passage
from rig.toxic_proxy import Front, SerialFront, TcpFront

WAIT_S = 0.02  # how late a signal, a new connection or a port that is back may be noticed


class Between(Protocol):
    """Whatever stands in the middle, of a byte link or of a panel."""

    wait_s: float  # how long to wait for one of `filenos`

    @property
    def url(self) -> str:
        """Where the client connects to."""

    def step(self, t_us: int) -> None: ...

    def filenos(self) -> list[int]: ...

    def close(self) -> None: ...


class Middle:
    """`tell` gets what passed, right after it was handed on."""

    wait_s = WAIT_S

    def __init__(
        self, link: str, front: Front, device: ByteLink, tell: Callable[[Passage], None]
    ) -> None:
        self.front = front
        self._link = link
        self._device = device
        self._tell = tell
        self._down = ""  # why the device's port is gone, as it was told
        self._was_up = False
        self._connected = False

    @property
    def url(self) -> str:
        return self.front.url

    def step(self, t_us: int) -> None:
        to_device = self.front.read(t_us)
        self._follow_client()
        self._hand_back(t_us)
        if to_device:
            self._hand_on(t_us, to_device)

    def _hand_on(self, t_us: int, data: bytes) -> None:
        try:
            self._device.write(t_us, data)
        except LinkError as error:
            self._trouble(t_us, f"{data.hex(' ')} was lost: {error}")
            return
        self._tell(Passage(t_us=t_us, link=self._link, direction=Direction.TO_DEVICE, data=data))

    def _hand_back(self, t_us: int) -> None:
        try:
            data = self._device.read(t_us)
        except LinkError as error:
            self._lost(t_us, str(error))
            return
        if self._down:
            self._down = ""
            self._trouble(t_us, "the port is back")
        self._was_up = True
        if data:
            self.front.write(t_us, data)
            self._tell(
                Passage(t_us=t_us, link=self._link, direction=Direction.FROM_DEVICE, data=data)
            )

    def _lost(self, t_us: int, why: str) -> None:
        """A TCP device that hangs up or is not there hangs up on the client, too."""
        if self._was_up:
            self.front.hang_up()
            with contextlib.suppress(LinkError):
                self.front.answer()
        self._was_up = False
        connecting = CONNECTING in why
        if not connecting and why != self._down:
            self._down = why
            self._trouble(t_us, why)

    def _follow_client(self) -> None:
        before, self._connected = self._connected, self.front.connected()
        if before and not self._connected and isinstance(self._device, TcpLink):
            self._device.close()
            self._was_up = False

    def _trouble(self, t_us: int, why: str) -> None:
        self._tell(
            Passage(t_us=t_us, link=self._link, direction=Direction.FROM_DEVICE, trouble=why)
        )

    def filenos(self) -> list[int]:
        """For whoever waits with select."""
        device = self._device.fileno() if isinstance(self._device, SerialLink | TcpLink) else -1
        return [*self.front.filenos(), *([device] if device >= 0 else [])]

    def close(self) -> None:
        self.front.close()
        self._device.close()


def open_middle(link: str, unit: UnitConfig, tell: Callable[[Passage], None]) -> Between:
    """Raises DeviceError when the device's port can't be opened."""
    if link == "panel":
        from rig.service.middle_panel import open_panel_middle

        return open_panel_middle(unit, tell)
    try:
        device = open_link(unit, link)
    except LinkError as error:
        raise DeviceError(str(error)) from error
    front = TcpFront() if isinstance(device, TcpLink) else SerialFront()
    return Middle(link, front, device, tell)


def serve(middle: Between, stopping: Callable[[int], bool]) -> None:
    """Until `stopping`, which is asked with the time of every step."""
    clock = WallClock()
    while not stopping(t_us := clock.now_us()):
        middle.step(t_us)
        select.select(middle.filenos(), [], [], middle.wait_s)
