"""A Modbus conversation cut and told in words, TCP and RTU, both directions.

On RTU a frame is as long as its function says, and its CRC must be right; on TCP its header says
how long it is. Reads are answered without an address, so a reply is read by its question: the
newest that it can be an answer to.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from hal.listener import WireListener
from hal.modbus import RTU_SIZE_MAX_BYTES, crc
from hal.ports import Direction, Kind, WireError

OPEN_COUNT_MAX = 4  # questions that may wait for a reply
ADU_BYTES_MAX = 260  # TCP: 7 of header and 253; RTU has fewer
READS = {1: "coils", 2: "inputs", 3: "holding registers", 4: "input registers"}
WRITES = {5: "coil", 6: "register", 15: "coils", 16: "registers"}
EXCEPTIONS = {  # application protocol 1.1b3, section 7
    1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure",
    5: "acknowledge", 6: "busy", 8: "memory parity error", 10: "gateway path unavailable",
    11: "no such unit answers",
}  # fmt: skip


class Map(Protocol):
    """What a device's addresses mean; "" = no name of its own."""

    def name(self, function: int, address: int) -> str: ...

    def written(self, function: int, address: int, values: tuple[int, ...]) -> tuple[Kind, str]:
        """What a write does. `values` are raw; FC15: 1 closes, 0 opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    unit_id: int
    pdu: bytes
    transaction_id: int | None  # RTU has none


def modbus_listener(names: Map, *, rtu: bool) -> WireListener[Frame]:
    return WireListener(_Wire(names, rtu=rtu))


class _Wire:
    def __init__(self, names: Map, *, rtu: bool) -> None:
        self._map = names
        self._size_bytes = _rtu_bytes if rtu else _tcp_bytes
        self._head_bytes, self._tail_bytes = (0, 2) if rtu else (6, 0)
        self._open: deque[Frame] = deque(maxlen=OPEN_COUNT_MAX)

    def take(self, direction: Direction, buffer: bytearray) -> Frame | None:
        noise_bytes = 0
        while (size_bytes := self._begins(direction, buffer, noise_bytes)) == 0:
            noise_bytes += 1
        if noise_bytes:
            noise = bytes(buffer[:noise_bytes])
            del buffer[:noise_bytes]
            raise WireError(f"no Modbus frame, or a wrong CRC: {noise.hex(' ')}")
        if size_bytes is None:
            return None
        raw = bytes(buffer[:size_bytes])
        del buffer[:size_bytes]
        adu = raw[self._head_bytes : len(raw) - self._tail_bytes]
        transaction_id = int.from_bytes(raw[:2], "big") if self._head_bytes else None
        return Frame(unit_id=adu[0], pdu=adu[1:], transaction_id=transaction_id)

    def _begins(self, direction: Direction, buffer: bytearray, at: int) -> int | None:
        return self._size_bytes(direction, bytes(buffer[at : at + ADU_BYTES_MAX]))

    def tell(self, direction: Direction, frame: Frame) -> tuple[Kind, str]:
        if pdu_bytes(direction, frame.pdu) != len(frame.pdu):
            raise WireError(
                f"function {frame.pdu[0]} of unit {frame.unit_id}: {frame.pdu.hex(' ')}"
            )
        if direction is Direction.FROM_DEVICE:
            return Kind.REPLY, f"unit {frame.unit_id}: {self._reply(frame)}"
        kind, text = asked(self._map, frame.pdu)
        self._open.append(frame)
        return kind, f"unit {frame.unit_id}: {text}"

    def _reply(self, frame: Frame) -> str:
        question = self._question(frame)
        words = asked(self._map, question.pdu)[1] if question else "nobody was heard to ask"
        function = frame.pdu[0]
        if function & 0x80:
            why = EXCEPTIONS.get(frame.pdu[1], "a code that is not known")
            return f"refused with {frame.pdu[1]}, {why}: {words}"
        if function in WRITES:
            return f"done: {words}"
        if question is None:
            return f"{READS[function]} {frame.pdu[2:].hex(' ')}: {words}"
        return _values(self._map, question.pdu, frame.pdu)

    def _question(self, frame: Frame) -> Frame | None:
        for question in reversed(self._open):
            if _answers(question, frame):
                while self._open.popleft() is not question:
                    pass  # older ones were never answered
                return question
        return None


# --- cutting: the size of the frame that begins here; None = more bytes are needed, 0 = none does


def pdu_bytes(direction: Direction, pdu: bytes) -> int | None:
    if not pdu:
        return None
    function = pdu[0]
    if direction is Direction.TO_DEVICE:
        if function in (15, 16):
            return 6 + pdu[5] if len(pdu) >= 6 else None
        return 5 if function in range(1, 7) else 0
    if function in READS:
        return 2 + pdu[1] if len(pdu) >= 2 else None
    if function in WRITES:
        return 5
    return 2 if function & 0x7F in (*READS, *WRITES) else 0


def _rtu_bytes(direction: Direction, data: bytes) -> int | None:
    inner_bytes = pdu_bytes(direction, data[1:])
    if not inner_bytes:
        return inner_bytes
    size_bytes = 1 + inner_bytes + 2
    if len(data) < size_bytes:
        return None if size_bytes <= RTU_SIZE_MAX_BYTES else 0
    return size_bytes if crc(data[: size_bytes - 2]) == data[size_bytes - 2 : size_bytes] else 0


def _tcp_bytes(direction: Direction, data: bytes) -> int | None:
    """MBAP: transaction, protocol 0, length of what follows (messaging guide 3.1.3)."""
    if data[2:4] != bytes(len(data[2:4])) or data[4:5] not in (b"", b"\0"):
        return 0
    if len(data) < 6:
        return None
    if not 3 <= data[5] <= 254:
        return 0
    size_bytes = 6 + data[5]
    return size_bytes if len(data) >= size_bytes else None


# --- words --------------------------------------------------------------------------------------


def asked(names: Map, pdu: bytes) -> tuple[Kind, str]:
    """What a sound request does."""
    function, address, second = struct.unpack(">BHH", pdu[:5])
    if function in READS:
        return Kind.QUERY, f"read {READS[function]} {_span(address, second)}"
    if function in (5, 6):
        return names.written(function, address, (second,))
    if not second or pdu[5] != (_bits_bytes(second) if function == 15 else 2 * second):
        raise WireError(f"{second} {WRITES[function]} in {pdu[5]} bytes: {pdu.hex(' ')}")
    if function == 15:
        return names.written(function, address, _bits(pdu[6:], second))
    return names.written(function, address, struct.unpack(f">{second}H", pdu[6:]))


def _bits_bytes(count: int) -> int:
    return (count + 7) // 8


def _bits(data: bytes, count: int) -> tuple[int, ...]:
    return tuple(data[at // 8] >> at % 8 & 1 for at in range(count))


def _span(address: int, count: int) -> str:
    return str(address) if count == 1 else f"{address}-{address + count - 1}"


def _answers(question: Frame, reply: Frame) -> bool:
    same = (question.transaction_id, question.unit_id) == (reply.transaction_id, reply.unit_id)
    function = question.pdu[0]
    if not same or reply.pdu[0] & 0x7F != function:
        return False
    if reply.pdu[0] & 0x80:
        return True
    if function in WRITES:
        return reply.pdu[1:5] == question.pdu[1:5]
    count = int.from_bytes(question.pdu[3:5], "big")
    return reply.pdu[1] == (_bits_bytes(count) if function in (1, 2) else 2 * count)


def _values(names: Map, question: bytes, reply: bytes) -> str:
    """`reply` is a sound one to the read `question`."""
    function, address, count = struct.unpack(">BHH", question)
    if function in (1, 2):
        values = _bits(reply[2:], count)
    else:
        values = struct.unpack(f">{count}H", reply[2:])
    shown = [f"{_called(names, function, address + at)}={v}" for at, v in enumerate(values)]
    return f"{READS[function]}: {', '.join(shown)}"


def _called(names: Map, function: int, address: int) -> str:
    return names.name(function, address) or str(address)
