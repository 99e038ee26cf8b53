"""A man in the middle of a panel: its control and its frames, handed on as they are.

Frames are taken from the panel only while a client takes them from us: a panel that nobody
listens to must still say so. What the client can't take yet stays with the panel.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence

from firmware_py.config import UnitConfig
from hal.detectors.stream_panel_desk import REFUSAL
from hal.frames import DealerLink, PullLink, PushLink, RouterLink
from hal.ports import Direction, FrameLink, LinkError
from rig.exit_codes import DeviceError
from rig.service.hearing import FRAMES
from rig.service.tape import CONNECTING, Passage

TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
WAITING_COUNT = 2  # messages that a client has not taken: no more are fetched
LOOPBACK = "tcp://127.0.0.1:*"


class PanelMiddle:
    """`control_url` and `data_url`: the panel's own."""

    wait_s = 0.001  # ZeroMQ's sockets are asked, not selected

    def __init__(self, control_url: str, data_url: str, tell: Callable[[Passage], None]) -> None:
        self._data_url = data_url
        self._tell = tell
        self._down: dict[str, str] = {}
        self._data: FrameLink | None = None
        with contextlib.ExitStack() as opened:
            self._folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="dxrig-"))
            self._router = RouterLink(self._at(control_url, "panel"), REFUSAL)
            opened.callback(self._router.close)
            self._push = PushLink(self._at(data_url, FRAMES))
            opened.callback(self._push.close)
            self._dealer = DealerLink(control_url)
            opened.callback(self._dealer.close)
            self._opened = opened.pop_all()

    def _at(self, url: str, name: str) -> str:
        """As the panel's own: a socket file for a socket file."""
        return f"ipc://{self._folder}/{name}" if url.startswith("ipc:") else LOOPBACK

    @property
    def url(self) -> str:
        return f"{self._router.endpoint} (frames {self._push.endpoint})"

    def step(self, t_us: int) -> None:
        for message in self._router.read(t_us):
            self._ask(t_us, message)
        for message in self._read("panel", self._dealer, t_us):
            self._router.write(t_us, message)
            self._passed(t_us, "panel", FROM, message)
        self._push.read(t_us)
        self._follow_consumer()
        if self._data is not None and self._push.kept_count < WAITING_COUNT:
            for message in self._read(FRAMES, self._data, t_us):
                self._hand_back(t_us, message)

    def _ask(self, t_us: int, message: list[bytes]) -> None:
        try:
            self._dealer.write(t_us, message)
        except LinkError as error:
            self._trouble(t_us, "panel", f"{b' '.join(message)!r} was lost: {error}")
            return
        self._passed(t_us, "panel", TO, message)

    def _hand_back(self, t_us: int, message: list[bytes]) -> None:
        try:
            self._push.write(t_us, message)
        except LinkError as error:
            self._trouble(t_us, FRAMES, f"a message was lost: {error}")
            return
        self._passed(t_us, FRAMES, FROM, message)

    def _follow_consumer(self) -> None:
        if self._push.has_peer and self._data is None:
            self._data = PullLink(self._data_url)
        elif not self._push.has_peer and self._data is not None:
            self._data.close()
            self._data = None

    def _read(self, link: str, device: FrameLink, t_us: int) -> Sequence[list[bytes]]:
        try:
            found = device.read(t_us)
        except LinkError as error:
            why = str(error)
            if CONNECTING not in why and self._down.get(link) != why:
                self._down[link] = why
                self._trouble(t_us, link, why)
            return ()
        if self._down.pop(link, None):
            self._trouble(t_us, link, "the port is back")
        return found

    def _passed(self, t_us: int, link: str, way: Direction, message: list[bytes]) -> None:
        self._tell(Passage(t_us=t_us, link=link, direction=way, message=tuple(message)))

    def _trouble(self, t_us: int, link: str, why: str) -> None:
        self._tell(Passage(t_us=t_us, link=link, direction=FROM, trouble=why))

    def filenos(self) -> list[int]:
        return []

    def close(self) -> None:
        if self._data is not None:
            self._data.close()
        self._opened.close()


def open_panel_middle(unit: UnitConfig, tell: Callable[[Passage], None]) -> PanelMiddle:
    """Raises DeviceError where nothing can be served or reached."""
    try:
        return PanelMiddle(unit.panel.control_url, unit.panel.data_url, tell)
    except LinkError as error:
        raise DeviceError(str(error)) from error
