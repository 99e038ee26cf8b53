"""A simulated panel that detects X-rays by itself, behind the module that carries its one line.

`sim.line_panel.SimAedPanel` keeps its times, a `SimPanel` gathers the kerma and makes the frame.
Synthetic: it integrates for its whole window, whether light or a knock began it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from hal.frame_codec import encode_image
from hal.handshakes import HANDSHAKES
from hal.modbus_server import ILLEGAL_ADDRESS, ModbusServer, RefusedError
from hal.now import Now
from sim.detector import SimPanel
from sim.line_panel import LineTimes, SimAedPanel

CHANNELS_COUNT = 64


class AedDesk:
    """`sim.device.MessageDesk`. `light`: enough X-rays at this time? (`sim.aed_sensor`)"""

    def __init__(
        self,
        panel: SimPanel,
        light: Callable[[int], bool],
        *,
        handshake: str,
        channels: dict[str, int],
        device_id: int = 1,
        reply_us: int = 1_000,
    ) -> None:
        self.consumer_present = True
        self._panel, self._light, self._reply_us = panel, light, reply_us
        times = LineTimes(window_us=panel.window_us())
        self._detects = SimAedPanel(HANDSHAKES[handshake], times)
        self._at = channels["TRIGGERED"]
        self._server = ModbusServer(self, device_id=device_id, rtu=False)
        self._leaving: deque[tuple[int, bytes]] = deque()
        self._was_lit = self._was_knocked = False
        self._images_count = 0

    def receive(self, now: Now, message: list[bytes]) -> None:
        self._advance(now)
        for reply in self._server.feed(now, b"".join(message)):
            self._leaving.append((now.t_us + self._reply_us, reply))

    def poll(self, now: Now) -> list[list[bytes]]:
        self._advance(now)
        leaving = []
        while self._leaving and now.reached(self._leaving[0][0]):
            leaving.append([self._leaving.popleft()[1]])
        return leaving

    def frames(self, now: Now) -> list[list[bytes]]:
        self._panel.advance(now)
        return [
            encode_image(frame, frame.start_us, "<") for frame in self._panel.take_frames(now.t_us)
        ]

    def _advance(self, now: Now) -> None:
        """Light or a knock begins an image, where it is armed; its own time ends it."""
        self._detects.advance(now)
        self._panel.advance(now)
        if self._panel.state(now.t_us) == "idle":
            self._panel.prepare(now.t_us)
        if not self._detects.triggered(now.t_us):
            self._panel.drop_request(now.t_us)  # spent: the next trigger opens another window
        lit, knocked = self._light(now.t_us), self._panel.knocked
        begins = (lit and not self._was_lit) or (knocked and not self._was_knocked)
        self._was_lit, self._was_knocked = lit, knocked
        if begins and not self._detects.triggered(now.t_us):
            self._detects.shaken(now.t_us)
            if self._detects.triggered(now.t_us):
                self._images_count += 1
                self._panel.request_window(now.t_us, f"trigger-{self._images_count}")
        self._detects.advance(now)
        self._panel.advance(now)

    # --- the module: `hal.modbus_server.ModbusTable`

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        if function != 2 or not 0 <= address <= CHANNELS_COUNT - count:
            raise RefusedError(ILLEGAL_ADDRESS)
        triggered = self._detects.triggered(t_us)
        return [triggered and at == self._at for at in range(address, address + count)]

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        raise RefusedError(ILLEGAL_ADDRESS)

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        raise RefusedError(ILLEGAL_ADDRESS)

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None:
        raise RefusedError(ILLEGAL_ADDRESS)

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None:
        raise RefusedError(ILLEGAL_ADDRESS)
