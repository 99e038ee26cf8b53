"""R2CP messages of more than 100 bytes: cut into BLOCK packets, and put together again.

Section 4.2 of the protocol reference: first packet `fe lenH lenL function`, then `seq data...`
with seq from 00, last packet `ff`. Unverified against a device. Silent, chosen: the last packet
may carry data behind its `ff`; a packet out of turn ends the whole message.
"""

from __future__ import annotations

from dataclasses import replace

from hal.generators.r2cp_wire import DATA_BYTES_MAX, Frame, Function
from hal.ports import WireError

FIRST, LAST = 0xFE, 0xFF
MESSAGE_BYTES_MAX = 300  # 4.1: "in this implementation"


def packets(function: Function, data: bytes) -> list[bytes]:
    """The data of each packet. ValueError for more than 300 bytes."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes of data, a BLOCK has at most {MESSAGE_BYTES_MAX}")
    step = DATA_BYTES_MAX - 1
    parts = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
    *middle, last = parts
    head = bytes((FIRST,)) + len(data).to_bytes(2, "big") + bytes((function,))
    counted = [bytes((number,)) + part for number, part in enumerate(middle)]
    return [head, *counted, bytes((LAST,)) + last]


class Assembler:
    """Takes BLOCK frames in order; gives the message that they carry."""

    def __init__(self) -> None:
        self._head: tuple[Function, int] | None = None
        self._data = b""
        self._next_number = 0

    def add(self, frame: Frame) -> Frame | None:
        """The whole message with the last packet, else None. WireError drops what came so far."""
        if not frame.data:
            raise self._lost("an empty packet")
        kind, rest = frame.data[0], frame.data[1:]
        if kind == FIRST:
            self._begin(rest)
            return None
        if self._head is None:
            raise self._lost("a packet without its first one")
        if kind not in (self._next_number, LAST):
            raise self._lost(f"packet {kind} where {self._next_number} was due")
        self._data += rest
        self._next_number += 1
        return self._end(frame) if kind == LAST else None

    def _begin(self, rest: bytes) -> None:
        size_bytes = int.from_bytes(rest[:2], "big")
        if len(rest) != 3 or size_bytes > MESSAGE_BYTES_MAX or rest[2] not in set(Function):
            raise self._lost(f"first packet {rest.hex(' ')}")
        self._head, self._data, self._next_number = (Function(rest[2]), size_bytes), b"", 0

    def _end(self, frame: Frame) -> Frame:
        assert self._head is not None
        function, size_bytes = self._head
        if len(self._data) != size_bytes:
            raise self._lost(f"{len(self._data)} bytes where {size_bytes} were announced")
        whole = replace(frame, function=function, data=self._data)
        self._head = None
        return whole

    def _lost(self, why: str) -> WireError:
        self._head = None
        return WireError(f"BLOCK: {why}")
