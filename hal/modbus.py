"""Modbus over RTU and TCP, fed bytes: questions, their frames, and the client's side.

Only this file and `modbus_server.py` know pymodbus.

Rules:
- pymodbus gives the PDUs, their encoding, the CRC and `buildFrame`. Cutting the stream is
  ours: its `handleFrame` swallows a good RTU frame behind garbage, waits for ever on an
  illegal length, and takes transaction id 0 or a wrong function for an answer (all tried).
- Client: a reply is believed only as *the* answer to its question. After each byte: are the
  last n bytes the expected reply or its exception? So unit, function, count, length and on
  TCP the transaction id are checked in one place, and nothing waits for a length that the
  peer made up.

pymodbus is pinned (its names move between minor releases); PDU arguments go by keyword.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import register_message as registers

from hal.ports import WireError

# It logs each refused frame, with the frames before it; ours are counted by the driver.
logging.getLogger("pymodbus.logging").disabled = True

COIL_ON, COIL_OFF = 0xFF00, 0x0000
RTU_SIZE_MAX_BYTES = 256  # Modbus over serial line 1.02, 2.5.1: 1 + 253 + 2


class CoilPdu(ModbusPDU):
    """FC05 with its raw value, question and reply alike.

    pymodbus knows ff00 and 0000 only; Waveshare's timed pulse is another value.
    """

    function_code = 5
    rtu_frame_size = 8

    def __init__(self, *, address: int = 0, value: int = COIL_OFF) -> None:
        super().__init__(address=address)
        self.value = value

    def encode(self) -> bytes:
        return struct.pack(">HH", self.address, self.value)

    def decode(self, data: bytes) -> None:
        self.address, self.value = struct.unpack(">HH", data[:4])


def known_pdus(*, is_server: bool) -> DecodePDU:
    pdus = DecodePDU(is_server)
    pdus.register(CoilPdu)
    return pdus


_REPLIES = known_pdus(is_server=False)
_RTU, _TCP = FramerRTU(_REPLIES), FramerSocket(_REPLIES)


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS (0xa001 reflected, start 0xffff) as it goes on the line, low byte first."""
    return FramerRTU.compute_CRC(data).to_bytes(2, "big")


def silence_us(baud: int) -> int:
    """3.5 characters of 11 bits, at least 1.75 ms (Modbus over serial line 1.02, 2.5.1.1)."""
    return max(1750, round(3.5 * 11 * 1e6 / baud))


# --- questions and replies -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusException:
    """The peer spoke correctly and said no: an answer, not a WireError."""

    function: int
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The echo of a write."""


Reply: TypeAlias = "tuple[bool, ...] | tuple[int, ...] | Written | ModbusException"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    address: int
    count: int
    pdu_class: ClassVar[type[ModbusPDU]]

    def request(self) -> ModbusPDU:
        return self.pdu_class(address=self.address, count=self.count)


class _ReadBits(_Read):
    __slots__ = ()

    @property
    def reply_bytes(self) -> int:
        return 2 + (self.count + 7) // 8

    def values(self, reply: ModbusPDU) -> tuple[bool, ...]:
        return tuple(reply.bits[: self.count])  # the rest of the last byte is padding


class _ReadRegisters(_Read):
    __slots__ = ()

    @property
    def reply_bytes(self) -> int:
        return 2 + 2 * self.count

    def values(self, reply: ModbusPDU) -> tuple[int, ...]:
        return tuple(reply.registers)


class ReadCoils(_ReadBits):
    __slots__ = ()
    pdu_class = bits.ReadCoilsRequest


class ReadInputs(_ReadBits):
    __slots__ = ()
    pdu_class = bits.ReadDiscreteInputsRequest


class ReadHolding(_ReadRegisters):
    __slots__ = ()
    pdu_class = registers.ReadHoldingRegistersRequest


class ReadInputRegisters(_ReadRegisters):
    __slots__ = ()
    pdu_class = registers.ReadInputRegistersRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCoil:
    address: int
    closed: bool

    def request(self) -> ModbusPDU:
        return CoilPdu(address=self.address, value=COIL_ON if self.closed else COIL_OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseCoil:
    """FC05 whose raw value is a time, a `count` of the module's own unit (Waveshare: 100 ms)."""

    address: int
    count: int

    def request(self) -> ModbusPDU:
        return CoilPdu(address=self.address, value=self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCoils:
    address: int
    closed: tuple[bool, ...]

    def request(self) -> ModbusPDU:
        return bits.WriteMultipleCoilsRequest(address=self.address, bits=self.closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRegister:
    address: int
    value: int

    def request(self) -> ModbusPDU:
        return registers.WriteSingleRegisterRequest(address=self.address, registers=[self.value])


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRegisters:
    address: int
    values: tuple[int, ...]

    def request(self) -> ModbusPDU:
        return registers.WriteMultipleRegistersRequest(address=self.address, registers=self.values)


Write: TypeAlias = WriteCoil | PulseCoil | WriteCoils | WriteRegister | WriteRegisters
Question: TypeAlias = _ReadBits | _ReadRegisters | Write


@lru_cache(maxsize=256)
def _pdu(question: Question) -> bytes:
    """Function and data. A driver asks the same few questions for ever."""
    request = question.request()
    return bytes((request.function_code, *request.encode()))


@lru_cache(maxsize=256)
def _framed(framer: FramerRTU | FramerSocket, question: Question, device_id: int) -> bytes:
    """As pymodbus builds it; over TCP with transaction id 0."""
    request = question.request()
    request.dev_id, request.transaction_id = device_id, 0
    return framer.buildFrame(request)


def _reply_bytes(question: Question) -> int:
    return question.reply_bytes if isinstance(question, _Read) else 5


@lru_cache(maxsize=256)
def _answer(question: Question, pdu: bytes) -> Reply | None:
    """The answer to `question` that the reply `pdu` is; None if it can't be one.

    Kept, since contacts that don't change are most of what a room ever says.
    """
    asked = _pdu(question)
    function = asked[0]
    if pdu[0] == function | 0x80 and len(pdu) == 2 and pdu[1]:  # 0 is no exception code
        return ModbusException(function=function, code=pdu[1])
    if pdu[0] != function or len(pdu) != _reply_bytes(question):
        return None
    if not isinstance(question, _Read):  # address and value, or address and count, come back
        return Written() if pdu[1:] == asked[1:5] else None
    if pdu[1] != len(pdu) - 2:  # pymodbus reads past the byte count
        return None
    reply = _REPLIES.decode(pdu)
    return None if reply is None else question.values(reply)


# --- the client's side -----------------------------------------------------------------------


def _search(
    buffer: bytearray, sizes_bytes: tuple[int, int], believe: Callable[[bytes], Reply | None]
) -> Reply | None:
    """The first reply in `buffer`, consumed with it; what can't be part of one is dropped.

    That a reply hides *inside* a sound frame of another question is excluded by the CRC
    on RTU, and on TCP by eight bytes of header that all have to fit.
    """
    if len(buffer) in sizes_bytes and (reply := believe(bytes(buffer))) is not None:
        buffer.clear()  # whole and alone, as nearly always
        return reply
    for end in range(min(sizes_bytes), len(buffer) + 1):
        for size_bytes in sizes_bytes:
            start = end - size_bytes
            if start < 0 or (reply := believe(bytes(buffer[start:end]))) is None:
                continue
            if start:  # the reply itself waits for the next call
                raise _dropped(buffer, start)
            del buffer[:end]
            return reply
    if len(buffer) >= max(sizes_bytes):
        raise _dropped(buffer, len(buffer) - max(sizes_bytes) + 1)
    return None


def _dropped(buffer: bytearray, count_bytes: int) -> WireError:
    junk = buffer[:count_bytes].hex(" ")
    del buffer[:count_bytes]
    return WireError(f"not the reply that was asked for: {junk}")


class RtuClientCodec:
    """A `Codec` for hal.exchange. Late replies bear no mark here: silence must sort them out."""

    def __init__(self, *, device_id: int) -> None:
        self._device_id = device_id

    def encode(self, question: Question) -> bytes:
        return _framed(_RTU, question, self._device_id)

    def decode(self, question: Question, buffer: bytearray) -> Reply | None:
        def believe(frame: bytes) -> Reply | None:
            sound = frame[0] == self._device_id and crc(frame[:-2]) == frame[-2:]
            return _answer(question, frame[1:-2]) if sound else None

        return _search(buffer, (1 + _reply_bytes(question) + 2, 5), believe)


class TcpClientCodec:
    """A `Codec` for hal.exchange that numbers its questions 1 to 65535, never 0."""

    def __init__(self, *, device_id: int, last_transaction_id: int = 0) -> None:
        self._device_id = device_id
        self._transaction_id = last_transaction_id
        # One question is outstanding, and one more may have overtaken it (Exchange.preempt).
        self._asked: deque[tuple[Question, bytes]] = deque(maxlen=2)

    def encode(self, question: Question) -> bytes:
        self._transaction_id = self._transaction_id % 0xFFFF + 1
        number = self._transaction_id.to_bytes(2, "big")
        self._asked.append((question, number))
        return number + _framed(_TCP, question, self._device_id)[2:]

    def decode(self, question: Question, buffer: bytearray) -> Reply | None:
        # The newest, if it was asked twice.
        number = next(number for asked, number in reversed(self._asked) if asked == question)
        start = number + b"\x00\x00"

        def believe(frame: bytes) -> Reply | None:
            if frame[:4] != start or frame[6] != self._device_id:
                return None
            return (
                _answer(question, frame[7:]) if frame[4] << 8 | frame[5] == len(frame) - 6 else None
            )

        return _search(buffer, (7 + _reply_bytes(question), 9), believe)
