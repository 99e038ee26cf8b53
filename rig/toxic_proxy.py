"""Between a unit and one of its devices, real or simulated: a line that goes wrong by seed.

What it does to chunks is `sim.mischief`, by the clock that really runs. A chunk is what one
read gave: so which bytes are hit depends on the operating system, but the dice don't. It can
also cut: TCP is closed on both sides and refuses for a while, a serial line loses everything.
"""

from __future__ import annotations

import contextlib
import random
import select
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hal.clock import WallClock
from hal.device_links import ListenerLink, PtyLink
from hal.links import SerialLink, TcpLink, tcp_address
from hal.now import NEVER_US, Now, earliest_us
from hal.ports import ByteLink, LinkError
from rig.exit_codes import DeviceError, UsageError
from sim.mischief import ByteChunks, Lane, Mischief

DEVICE, UNIT = "device", "unit"  # towards whom
WAIT_US = 20_000  # how late a signal or a new connection may be noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """`toward`: unit, device or both; `cut`: probability for each chunk, lasting `cut_us`."""

    mischief: Mischief = field(default_factory=Mischief)
    toward: str = "both"
    cut: float = 0.0
    cut_us: int = 500_000


class Front(ByteLink, Protocol):
    """The end that the unit connects to."""

    @property
    def url(self) -> str: ...

    def filenos(self) -> list[int]: ...

    def connected(self) -> bool:
        """False: nobody is there, so what comes now belongs to nobody."""

    def hang_up(self) -> None: ...

    def answer(self) -> None:
        """After `hang_up`: at the same address again. Raises LinkError."""


class SerialFront(PtyLink):
    """A pseudo-terminal. The unit's end stays open: a cut loses what passes meanwhile."""

    @property
    def url(self) -> str:
        return self.path

    def filenos(self) -> list[int]:
        return [self.fileno()]

    def connected(self) -> bool:
        return True

    def hang_up(self) -> None:
        return None

    def answer(self) -> None:
        return None


class TcpFront:
    """A listener on a free port of the loopback, which keeps its number over a cut."""

    def __init__(self) -> None:
        self._listener = ListenerLink()
        self._port = self._listener.port
        self._closed = False
        self.url = f"tcp://{self._listener.host}:{self._port}"

    def read(self, t_us: int) -> bytes:
        return b"" if self._closed else self._listener.read(t_us)

    def write(self, t_us: int, data: bytes) -> None:
        if not self._closed:
            self._listener.write(t_us, data)

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        self.hang_up()

    def filenos(self) -> list[int]:
        return [] if self._closed else self._listener.filenos()

    def connected(self) -> bool:
        return len(self.filenos()) > 1

    def hang_up(self) -> None:
        if not self._closed:
            self._listener.close()
        self._closed = True

    def answer(self) -> None:
        if self._closed:
            self._listener = ListenerLink(port=self._port)
            self._closed = False


class ToxicProxy:
    """Moves bytes both ways, one `step` after the other."""

    def __init__(self, front: Front, device: ByteLink, poison: Poison) -> None:
        self.front = front
        self._device = device
        self._poison = poison
        self.counts: Counter[str] = Counter()  # what was done, by kind
        self._dice = random.Random(f"cut {poison.mischief.seed}")
        self._cut_until_us: int | None = None
        self._connected = False  # the unit to us
        self._up = False  # we to the device
        self._lanes = self._fresh_lanes()

    def _fresh_lanes(self) -> dict[str, Lane[bytes]]:
        """Toward whom: a lane. What was under way on a cut line is lost."""
        lanes = {name: Lane(name, ByteChunks(), self.counts) for name in (DEVICE, UNIT)}
        for name, lane in lanes.items():
            meant = self._poison.toward in (name, "both")
            lane.follow(0, self._poison.mischief if meant else None)
        return lanes

    def step(self, t_us: int) -> None:
        """Raises LinkError when a serial port is gone for good."""
        if self._still_cut(t_us):
            return
        self._take(t_us, DEVICE, self.front.read(t_us))
        self._follow_connection()
        self._take(t_us, UNIT, self._heard(t_us))
        for chunk in self._lanes[DEVICE].take(t_us):
            self._tell(t_us, chunk)
        for chunk in self._lanes[UNIT].take(t_us):
            self.front.write(t_us, chunk)

    def filenos(self) -> list[int]:
        """For whoever waits with select."""
        device = self._device.fileno() if isinstance(self._device, SerialLink | TcpLink) else -1
        return [*self.front.filenos(), *([device] if device >= 0 else [])]

    def due_us(self) -> int:
        return earliest_us(
            self._cut_until_us or NEVER_US, *(lane.due_us for lane in self._lanes.values())
        )

    def _take(self, t_us: int, toward: str, data: bytes) -> None:
        if not data or self._cut_until_us is not None:
            return
        if self._dice.random() < self._poison.cut:
            self._cut(t_us)
        else:
            self._lanes[toward].put(t_us, data)

    def _cut(self, t_us: int) -> None:
        self.counts["cut"] += 1
        self._cut_until_us = t_us + self._poison.cut_us
        self._hang_up()

    def _hang_up(self) -> None:
        self.front.hang_up()
        if isinstance(self._device, TcpLink):
            self._device.close()
        self._connected = self._up = False
        self._lanes = self._fresh_lanes()

    def _still_cut(self, t_us: int) -> bool:
        if self._cut_until_us is None:
            return False
        if Now(t_us).reached(self._cut_until_us):
            self._cut_until_us = None
            self.front.answer()
            return False
        self.front.read(t_us)  # a serial line loses it
        if not isinstance(self._device, TcpLink):
            self._device.read(t_us)
        return True

    def _follow_connection(self) -> None:
        """Each connection of the unit is one of the device's: no late reply of an earlier one."""
        before, self._connected = self._connected, self.front.connected()
        if before and not self._connected:
            self._again()

    def _again(self) -> None:
        self._hang_up()
        self.front.answer()

    def _heard(self, t_us: int) -> bytes:
        """A device that closes the connection, or refuses it, closes the unit's, too."""
        try:
            data = self._device.read(t_us)
        except LinkError:
            if not isinstance(self._device, TcpLink):
                raise
            if self._up:
                self._again()
            return b""
        self._up = True
        return data

    def _tell(self, t_us: int, chunk: bytes) -> None:
        with contextlib.suppress(LinkError):  # a lost device is noticed by the next read
            self._device.write(t_us, chunk)

    def close(self) -> None:
        self.front.close()
        self._device.close()


# --- on real ports


def serial_proxy(url: str, poison: Poison, *, baud: int = 9600) -> ToxicProxy:
    """`url`: the device's, any pyserial URL. Raises DeviceError."""
    try:
        device = SerialLink(url, baud=baud)
    except LinkError as error:
        raise DeviceError(str(error)) from error
    return ToxicProxy(SerialFront(), device, poison)


def tcp_proxy(url: str, poison: Poison) -> ToxicProxy:
    """`url`: tcp://HOST:PORT of the device, which need not be there yet.

    Raises UsageError for what is no address, DeviceError for an unknown host.
    """
    try:
        host, port = tcp_address(url)
    except LinkError as error:
        raise UsageError(str(error)) from error
    try:
        return ToxicProxy(TcpFront(), TcpLink(host, port), poison)
    except LinkError as error:
        raise DeviceError(str(error)) from error


def serve(proxy: ToxicProxy, stopping: Callable[[], bool]) -> None:
    """Until `stopping`. Raises DeviceError when the device's port is gone."""
    clock = WallClock()
    try:
        while not stopping():
            proxy.step(clock.now_us())
            wait_us = min(WAIT_US, max(0, proxy.due_us() - clock.now_us()))
            select.select(proxy.filenos(), [], [], wait_us / 1e6)
    except LinkError as error:
        raise DeviceError(str(error)) from error
    finally:
        proxy.close()
