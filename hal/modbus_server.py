"""Modbus over RTU and TCP, fed bytes: the server's side, as a simulated module answers.

An RTU request ends at 3.5 characters of silence, a TCP request by its length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import register_message as registers

from hal.modbus import RTU_SIZE_MAX_BYTES, CoilPdu, crc, known_pdus, silence_us
from hal.now import Now

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_SUCH_UNIT = 0x01, 0x02, 0x03, 0x0B
SERVED_FUNCTIONS = (1, 2, 3, 4, 5, 6, 15, 16)

_REQUESTS = known_pdus(is_server=True)
_RTU, _TCP = FramerRTU(_REQUESTS), FramerSocket(_REQUESTS)


class RefusedError(Exception):
    """A table's "no": one of the exception codes of this file."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class ModbusTable(Protocol):
    """What a server serves. Each method raises RefusedError for what it does not have."""

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        """`function` 1: coils, 2: discrete inputs."""

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        """`function` 3: holding, 4: input registers."""

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        """`value` is raw: ff00 closes, 0000 opens, the rest is the device's own."""

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None: ...

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    device_id: int
    pdu: bytes
    transaction_id: int = 0  # RTU has none


class RtuServerFramer:
    """One burst between two silences is one request, or nothing.

    Silence is judged when the line is looked at: bytes that came late, but before anybody
    looked, still belong to the burst (a poll every 5 ms can't see a gap of 4).
    """

    def __init__(self, baud: int) -> None:
        self._silence_us = silence_us(baud)
        self._burst = bytearray()
        self._last_us = 0

    def feed(self, now: Now, data: bytes) -> list[Request]:
        if data:
            self._burst = (self._burst + data)[: RTU_SIZE_MAX_BYTES + 1]
            self._last_us = now.t_us
        if not self._burst or not now.reached(self._last_us + self._silence_us):
            return []
        burst, self._burst = bytes(self._burst), bytearray()
        if not 4 <= len(burst) <= RTU_SIZE_MAX_BYTES or crc(burst[:-2]) != burst[-2:]:
            return []
        return [Request(device_id=burst[0], pdu=burst[1:-2])]

    def frame(self, request: Request, reply: ModbusPDU) -> bytes:
        reply.dev_id = request.device_id
        return _RTU.buildFrame(reply)


class TcpServerFramer:
    """A request ends by its length; bytes that can't begin a header are dropped one by one."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, now: Now, data: bytes) -> list[Request]:
        self._buffer += data
        requests = []
        while len(self._buffer) >= 6:
            transaction_id, protocol_id, size_bytes = struct.unpack(">HHH", self._buffer[:6])
            if protocol_id != 0 or not 2 <= size_bytes <= 254:
                del self._buffer[0]
                continue
            if len(self._buffer) < 6 + size_bytes:
                break
            device_id, pdu = self._buffer[6], bytes(self._buffer[7 : 6 + size_bytes])
            requests.append(Request(device_id=device_id, pdu=pdu, transaction_id=transaction_id))
            del self._buffer[: 6 + size_bytes]
        return requests

    def frame(self, request: Request, reply: ModbusPDU) -> bytes:
        reply.dev_id, reply.transaction_id = request.device_id, request.transaction_id
        return _TCP.buildFrame(reply)


class ModbusServer:
    """Answers for one unit.

    Another unit's request: RTU stays silent, because that unit may sit on the same line;
    TCP answers 0x0b, because on a line of two a wrong id is a mistake that somebody should
    be told. Unit 0 is RTU's broadcast: done by all, answered by none.
    """

    def __init__(
        self, table: ModbusTable, *, device_id: int = 1, rtu: bool = False, baud: int = 9600
    ) -> None:
        self._table = table
        self._device_id = device_id
        self._rtu = rtu
        self._framer = RtuServerFramer(baud) if rtu else TcpServerFramer()

    def feed(self, now: Now, data: bytes) -> list[bytes]:
        """The replies to the requests that `data` completes; call with b"" to judge silence."""
        replies = []
        for request in self._framer.feed(now, data):
            reply = self._reply(now.t_us, request)
            if reply is not None:
                replies.append(self._framer.frame(request, reply))
        return replies

    def _reply(self, t_us: int, request: Request) -> ModbusPDU | None:
        is_broadcast = self._rtu and request.device_id == 0
        if request.device_id == self._device_id or is_broadcast:
            reply = self._serve(t_us, request.pdu)
            return None if is_broadcast else reply
        return None if self._rtu else _exception(request.pdu[0], NO_SUCH_UNIT)

    def _serve(self, t_us: int, pdu: bytes) -> ModbusPDU:
        if pdu[0] not in SERVED_FUNCTIONS:
            return _exception(pdu[0], ILLEGAL_FUNCTION)
        request = _REQUESTS.decode(pdu)
        if request is None or not _length_fits(pdu):
            return _exception(pdu[0], ILLEGAL_VALUE)
        try:
            return _serve(self._table, t_us, request)
        except RefusedError as refused:
            return _exception(pdu[0], refused.code)


def _exception(function: int, code: int) -> ModbusPDU:
    return ExceptionResponse(function, exception_code=code)


def _length_fits(pdu: bytes) -> bool:
    """FC15 and 16 say their size twice: as a count of coils or registers, and in bytes."""
    if pdu[0] not in (15, 16):
        return len(pdu) == 5
    count = int.from_bytes(pdu[3:5], "big")
    size_bytes = (count + 7) // 8 if pdu[0] == 15 else 2 * count
    return count != 0 and pdu[5] == size_bytes == len(pdu) - 6


def _serve(table: ModbusTable, t_us: int, request: Any) -> ModbusPDU:
    """`request` is a PDU of one of SERVED_FUNCTIONS, so it has an address."""
    function, address = request.function_code, request.address
    if function in (1, 2):
        closed = table.read_bits(t_us, function, address, request.count)
        reads = bits.ReadCoilsResponse if function == 1 else bits.ReadDiscreteInputsResponse
        return reads(bits=closed)
    if function in (3, 4):
        values = table.read_registers(t_us, function, address, request.count)
        holding, inputs = (
            registers.ReadHoldingRegistersResponse,
            registers.ReadInputRegistersResponse,
        )
        return (holding if function == 3 else inputs)(registers=values)
    if function == 5:
        table.write_coil(t_us, address, request.value)
        return CoilPdu(address=address, value=request.value)
    if function == 15:
        table.write_coils(t_us, address, request.bits)
        return bits.WriteMultipleCoilsResponse(address=address, count=request.count)
    table.write_registers(t_us, address, request.registers)
    if function == 6:
        return registers.WriteSingleRegisterResponse(address=address, registers=request.registers)
    return registers.WriteMultipleRegistersResponse(address=address, count=request.count)
