"""The device's side of any Modbus remote I/O module, from the map that its driver uses.

Where the makers' texts are silent this desk chooses, and each choice is *synthetic*:
- a pulse that is asked for while one runs begins anew; an ordinary OFF ends it;
- a started pulse ("start") has the width that the simulator was told, as set in the module;
- outputs that no coil of ours hangs on keep what they were told;
- another unit id on TCP gets exception 0x0b, a pulse of no time exception 3;
- the watchdog opens all outputs at once; the next request is served as if nothing had been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from hal.modbus import COIL_OFF, COIL_ON
from hal.modbus_server import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusServer, RefusedError
from hal.now import Now, latest_us
from hal.ports import RoomModel
from hal.room_io.mapped_table import COILS, WORD_BITS, ModuleMap, Pulse, map_name, module_map
from hal.types import CONTACTS


class Desk:
    """The module on the wall: answers one request after the other, `reply_us` after each."""

    family: ClassVar[str] = "mapped"

    def __init__(
        self,
        model: RoomModel,
        named: str | None = None,
        *,
        device_id: int | None = None,
        rtu: bool = False,
        baud: int = 9600,
        reply_us: int = 1_000,
        pulse_ms: int = 200,
        watchdog_ms: int | None = None,
    ) -> None:
        """`pulse_ms`, `watchdog_ms`: what is set in the module, where its map leaves it there."""
        module = module_map(map_name(self.family, named))
        self._module = _Module(module, model, pulse_ms)
        self._server = ModbusServer(
            self._module, device_id=device_id or module.device_id, rtu=rtu, baud=baud
        )
        self._reply_us = reply_us
        self._leaving: deque[tuple[int, bytes]] = deque()
        self._last_us = 0
        self._watchdog_us = watchdog_ms * 1000 if watchdog_ms and module.watchdog else None
        self._heard_us: int | None = None  # None: silent for so long that all is open already

    def receive(self, now: Now, data: bytes) -> None:
        for reply in self._server.feed(now, data):
            self._last_us = latest_us(now.t_us, self._last_us) + self._reply_us
            self._leaving.append((self._last_us, reply))
            self._heard_us = now.t_us

    def poll(self, now: Now) -> bytes:
        self.receive(now, b"")  # RTU: a silence may have ended a request
        self._watch(now)
        replies = b""
        while self._leaving and now.reached(self._leaving[0][0]):
            replies += self._leaving.popleft()[1]
        return replies

    def _watch(self, now: Now) -> None:
        if self._watchdog_us is None or self._heard_us is None:
            return
        if now.reached(self._heard_us + self._watchdog_us):
            self._heard_us = None
            self._module.open_all(now.t_us)


class _Module:
    """The rows of the map over the room's contacts and relays."""

    def __init__(self, module: ModuleMap, model: RoomModel, pulse_ms: int) -> None:
        self._inputs, self._outputs, self._pulse = module.inputs, module.outputs, module.pulse
        self._model = model
        self._pulse_us = pulse_ms * 1000
        self._unwired = [False] * module.outputs.count

    def open_all(self, t_us: int) -> None:
        self.write_coils(t_us, self._outputs.address, [False] * self._outputs.count)

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        tables = [(self._inputs.address, self._shown(t_us))] * (function == self._inputs.function)
        if function == 1:
            tables.append((self._outputs.address, self._coils(t_us)))
            if self._pulse is not None and self._pulse.value == "start":
                tables.append((self._pulse.address, self._coils(t_us)))
        for first, bits in tables:
            if first <= address and address + count <= first + len(bits):
                return bits[address - first : address - first + count]
        raise RefusedError(ILLEGAL_ADDRESS)

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        bits, first = self._shown(t_us), address - self._inputs.address
        words = [
            sum(bit << place for place, bit in enumerate(bits[at : at + WORD_BITS]))
            for at in range(0, len(bits), WORD_BITS)
        ]
        if function != self._inputs.function or not 0 <= first <= len(words) - count:
            raise RefusedError(ILLEGAL_ADDRESS)
        return words[first : first + count]

    def _shown(self, t_us: int) -> list[bool]:
        closed = dict(zip(CONTACTS, self._model.inputs(t_us), strict=True))
        names = self._inputs.contacts
        bits = [closed[name] is not (name in self._inputs.inverted) for name in names]
        return bits + [False] * (self._inputs.count - len(names))

    def _coils(self, t_us: int) -> list[bool]:
        closed = self._model.coils(t_us)
        bits = list(self._unwired)
        for channel, name in enumerate(self._outputs.coils):
            bits[channel] = closed[COILS.index(name)]
        return bits

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        channel = None if self._pulse is None else address - self._pulse.address
        if channel is not None and 0 <= channel < self._outputs.count:
            assert self._pulse is not None
            self._write_pulse(t_us, self._pulse, channel, value)
        elif address == self._outputs.all_address:
            closed = [_closes(value)] * self._outputs.count
            self.write_coils(t_us, self._outputs.address, closed)
        else:
            self._channels(address, 1)
            self.write_coils(t_us, address, [_closes(value)])

    def _write_pulse(self, t_us: int, pulse: Pulse, channel: int, value: int) -> None:
        names = self._outputs.coils
        if pulse.unit_ms is None or pulse.longest_count is None:
            duration_us = self._pulse_us if _closes(value) else 0
        else:
            if not 1 <= value <= pulse.longest_count:
                raise RefusedError(ILLEGAL_VALUE)
            duration_us = value * pulse.unit_ms * 1000
        if channel >= len(names):
            return
        if duration_us:
            self._model.pulse_coil(t_us, COILS.index(names[channel]), duration_us)
        else:
            self._model.set_coil(t_us, COILS.index(names[channel]), False)

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None:
        names = self._outputs.coils
        for channel, is_closed in zip(self._channels(address, len(closed)), closed, strict=True):
            if channel < len(names):
                self._model.set_coil(t_us, COILS.index(names[channel]), is_closed)
            else:
                self._unwired[channel] = is_closed

    def _channels(self, address: int, count: int) -> range:
        first = address - self._outputs.address
        if first < 0 or first + count > self._outputs.count:
            raise RefusedError(ILLEGAL_ADDRESS)
        return range(first, first + count)

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None:
        raise RefusedError(ILLEGAL_ADDRESS)


def _closes(value: int) -> bool:
    if value not in (COIL_ON, COIL_OFF):
        raise RefusedError(ILLEGAL_VALUE)
    return value == COIL_ON
