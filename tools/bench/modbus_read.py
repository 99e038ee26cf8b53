"""One Modbus read of eight inputs, over TCP and over RTU on a pseudo-terminal.

Ours is what the room I/O's driver uses: `Exchange`, codec and link. The floor sends and
takes the same bytes as they are. Peers are what people would use instead: pymodbus's own
synchronous client, and over RTU minimalmodbus where it is installed (extra `bench`). The
responder says the same bytes to all.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from hal.exchange import Codec, Exchange
from hal.links import SerialLink, TcpLink
from hal.modbus import Question, Reply, RtuClientCodec, TcpClientCodec, crc
from hal.now import Now
from hal.ports import LinkError
from hal.room_io.mapped import ask_inputs
from hal.room_io.mapped_table import module_map
from tools.bench.ends import Waiting, listener, terminal
from tools.bench.responder import Dialogue
from tools.bench.timing import Benchmark, Case, in_turn, one_core

ASK_INPUTS = ask_inputs(module_map("waveshare-8").inputs)
CALLS_COUNT = 50
PEER_CALLS_COUNT = 10
BAUD = 115200
CLOSED = 0x55  # what the responder says: every other input
PDU, REPLY_PDU = bytes.fromhex("01 02 0000 0008"), bytes([1, 2, 1, CLOSED])
TCP = Dialogue(
    request=bytes.fromhex("0001 0000 0006") + PDU,
    reply=bytes.fromhex("0001 0000 0004") + REPLY_PDU,
    copied_bytes=2,
)
RTU = Dialogue(request=PDU + crc(PDU), reply=REPLY_PDU + crc(REPLY_PDU))


def modbus_tcp(seconds: float) -> Benchmark:
    with one_core(), ExitStack() as stack:
        (host, port), ours, theirs = (stack.enter_context(listener(TCP)) for _ in range(3))
        raw = stack.enter_context(socket.create_connection((host, port)))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = TcpLink(*ours)
        stack.callback(link.close)
        client = ModbusTcpClient(theirs[0], port=theirs[1], timeout=2, retries=0)
        cases = _in_turn(seconds, stack, raw.fileno(), TCP, _connected(link),
                         TcpClientCodec(device_id=1), client)  # fmt: skip
    return Benchmark(
        name="modbus_tcp", about="a read of 8 inputs, both ends on one core", cases=cases
    )


def modbus_rtu(seconds: float) -> Benchmark:
    with ExitStack() as stack:
        ends = (stack.enter_context(terminal(RTU)) for _ in range(4))
        (_, fd), (ours, _), (theirs, _), (others, _) = ends
        link = SerialLink(ours, baud=BAUD)
        stack.callback(link.close)
        client = ModbusSerialClient(theirs, baudrate=BAUD, timeout=2, retries=0)
        cases = _in_turn(seconds, stack, fd, RTU, link, RtuClientCodec(device_id=1), client,
                         *_minimalmodbus(others))  # fmt: skip
    return Benchmark(
        name="modbus_rtu", about="a read of 8 inputs over a pseudo-terminal", cases=cases
    )


def _in_turn(
    seconds: float,
    stack: ExitStack,
    fd: int,
    dialogue: Dialogue,
    link: SerialLink | TcpLink,
    codec: Codec[Question, Reply],
    client: Any,
    *others: Case,
) -> Any:
    stack.callback(client.close)
    return in_turn(
        Case(name="raw bytes", run=_raw(fd, dialogue), calls_count=CALLS_COUNT),
        Case(name="ours", run=_ours(link, codec), calls_count=CALLS_COUNT),
        Case(name="pymodbus, synchronous", run=_theirs(client), calls_count=PEER_CALLS_COUNT),
        *others,
        seconds=seconds,
    )


def _raw(fd: int, dialogue: Dialogue) -> Callable[[], None]:
    def read() -> None:
        os.write(fd, dialogue.request)
        left_bytes = len(dialogue.reply)
        while left_bytes:
            left_bytes -= len(os.read(fd, left_bytes))

    return read


def _ours(link: SerialLink | TcpLink, codec: Codec[Question, Reply]) -> Callable[[], None]:
    exchange: Exchange[Question, Reply] = Exchange(link, codec, timeout_us=1)
    wait = Waiting(link.fileno())
    now = Now(0)  # no time passes here: nothing expires

    def read() -> None:
        exchange.ask(now, ASK_INPUTS)
        answer = None
        while answer is None:
            wait()
            answer = exchange.read(now)

    return read


def _theirs(client: Any) -> Callable[[], None]:
    client.connect()

    def read() -> None:
        reply = client.read_discrete_inputs(0, count=8, device_id=1)
        assert not reply.isError(), reply

    return read


def _minimalmodbus(path: str) -> list[Case]:
    """Nothing where it isn't installed."""
    if find_spec("minimalmodbus") is None:
        return []
    import minimalmodbus

    peer = minimalmodbus.Instrument(path, 1)
    peer.serial.baudrate, peer.serial.timeout = BAUD, 2

    def read() -> None:
        assert peer.read_bits(0, 8, functioncode=2) == [1, 0, 1, 0, 1, 0, 1, 0]

    return [Case(name="minimalmodbus", run=read, calls_count=PEER_CALLS_COUNT)]


def _connected(link: TcpLink) -> TcpLink:
    """It connects without blocking: the first read begins, a later one finds it done."""
    for _ in range(1000):
        try:
            link.read(0)
        except LinkError:
            continue
        return link
    raise TimeoutError("no connection")
