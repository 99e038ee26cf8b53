"""The panel's side of a handshake over lines: an I/O module, and behind it a panel model.

Synthetic where the documents are silent: a panel without a PREPARE line is prepared whenever it
stands idle; its frames carry no exposure's name, for nobody has told it one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from hal.frame_codec import encode_image
from hal.handshakes import HANDSHAKES, TO_PANEL, Signal
from hal.modbus import COIL_ON
from hal.modbus_server import ILLEGAL_ADDRESS, ModbusServer, RefusedError
from hal.now import Now
from hal.ports import PanelModel

CHANNELS_COUNT = 64
AT_WORK = ("init", "error", "disconnected")  # takes no preparation


class Desk:
    """`sim.device.MessageDesk`: control messages are pieces of the module's bytes."""

    def __init__(
        self,
        model: PanelModel,
        *,
        handshake: str,
        channels: Mapping[str, int],
        device_id: int = 1,
        reply_us: int = 1_000,
    ) -> None:
        self.consumer_present = True
        self.garbage_count = 0
        self._model, self._reply_us = model, reply_us
        self._lines = HANDSHAKES[handshake].lines
        self._channels = {s: channels[name] for s, name in self._lines.items()}
        self._coils = [False] * CHANNELS_COUNT
        self._server = ModbusServer(self, device_id=device_id, rtu=False)
        self._leaving: deque[tuple[int, bytes]] = deque()
        self._asked_count = 0

    def receive(self, now: Now, message: list[bytes]) -> None:
        self._model.advance(now)
        for reply in self._server.feed(now, b"".join(message)):
            self._leaving.append((now.t_us + self._reply_us, reply))

    def poll(self, now: Now) -> list[list[bytes]]:
        self._model.advance(now)
        if Signal.PREPARE not in self._lines and self._model.state(now.t_us) == "idle":
            self._model.prepare(now.t_us)
            self._model.advance(now)
        leaving = []
        while self._leaving and now.reached(self._leaving[0][0]):
            leaving.append([self._leaving.popleft()[1]])
        return leaving

    def frames(self, now: Now) -> list[list[bytes]]:
        self._model.advance(now)
        return [
            encode_image(frame, frame.start_us, "<") for frame in self._model.take_frames(now.t_us)
        ]

    # --- the module: `hal.modbus_server.ModbusTable`

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        bits = self._coils if function == 1 else self._shown(t_us)
        if not 0 <= address <= CHANNELS_COUNT - count:
            raise RefusedError(ILLEGAL_ADDRESS)
        return bits[address : address + count]

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        raise RefusedError(ILLEGAL_ADDRESS)

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        self.write_coils(t_us, address, [value == COIL_ON])

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None:
        if not 0 <= address <= CHANNELS_COUNT - len(closed):
            raise RefusedError(ILLEGAL_ADDRESS)
        before = dict(self._driven())
        self._coils[address : address + len(closed)] = closed
        for signal, active in self._driven().items():
            if active is not before[signal]:
                self._obey(t_us, signal, active=active)

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None:
        raise RefusedError(ILLEGAL_ADDRESS)

    def _driven(self) -> dict[Signal, bool]:
        return {s: self._coils[at] for s, at in self._channels.items() if s in TO_PANEL}

    def _shown(self, t_us: int) -> list[bool]:
        state = self._model.state(t_us)
        active = {
            Signal.GRANT: state == "integrating",
            Signal.SYSTEM_READY: state not in AT_WORK,
            Signal.ERROR: state == "error",
        }
        bits = [False] * CHANNELS_COUNT
        for signal, at in self._channels.items():
            if signal not in TO_PANEL:
                bits[at] = active[signal]
        return bits

    def _obey(self, t_us: int, signal: Signal, *, active: bool) -> None:
        match signal, active:
            case Signal.PREPARE, True:
                self._model.prepare(t_us)
            case Signal.PREPARE, False:
                self._model.standby(t_us)
            case Signal.REQUEST, True:
                self._asked_count += 1
                self._model.request_window(t_us, f"request-{self._asked_count}")
            case Signal.REQUEST, False:
                self._model.drop_request(t_us)
            case _:
                pass  # it hears that the generator lives, and that X-rays are on
