"""Modbus judged by others: mbpoll (libmodbus) and pymodbus's own client and server, on loopback.

Real time, bounded: a peer that hangs fails its test after ten seconds.
"""

from __future__ import annotations

import asyncio
import select
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hal.clock import WallClock
from hal.device_links import ListenerLink, PtyLink
from hal.exchange import Answer, Exchange
from hal.links import TcpLink
from hal.modbus import (
    ModbusException,
    Question,
    ReadCoils,
    ReadHolding,
    ReadInputRegisters,
    ReadInputs,
    Reply,
    TcpClientCodec,
    WriteCoil,
    WriteRegisters,
    Written,
)
from hal.now import Now
from hal.ports import Desk as AnyDesk
from hal.room_io.waveshare import Desk
from tests.peers import require_peer

pytestmark = [pytest.mark.peer, pytest.mark.wire]

LIMIT_US = 10_000_000


@dataclass
class Room:
    contacts: list[bool] = field(default_factory=lambda: [b == "1" for b in "10110010"])
    relays: list[bool] = field(default_factory=lambda: [False] * 8)
    pulses: list[tuple[int, int]] = field(default_factory=list)

    def inputs(self, t_us: int) -> list[bool]:
        return self.contacts

    def coils(self, t_us: int) -> list[bool]:
        return self.relays

    def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None:
        self.relays[coil_index] = closed

    def pulse_coil(self, t_us: int, coil_index: int, duration_us: int) -> None:
        self.pulses.append((coil_index, duration_us))


def pump(desk: AnyDesk, link: ListenerLink | PtyLink, done: Callable[[], bool]) -> None:
    """Serve `desk` on `link` until `done`."""
    clock = WallClock()
    while not done():
        now = Now(clock.now_us())
        assert not now.reached(LIMIT_US), "the peer hangs"
        desk.receive(now, link.read(now.t_us))
        link.write(now.t_us, desk.poll(now))
        ready = [link.fileno()] if isinstance(link, PtyLink) else link.filenos()
        select.select(ready, [], [], 0.001)


@pytest.fixture
def listener() -> Iterator[ListenerLink]:
    link = ListenerLink()
    yield link
    link.close()


# --- mbpoll asks our module ---------------------------------------------------------------------


def mbpoll(
    desk: AnyDesk, link: ListenerLink | PtyLink, options: str, write: str = ""
) -> tuple[int, str]:
    """The exit code and all that mbpoll says, with each frame; it asks once, by PDU addresses."""
    if isinstance(link, PtyLink):
        where = ["-m", "rtu", "-b", "9600", "-P", "none", link.path]
    else:
        where = ["-m", "tcp", "-p", str(link.port), "127.0.0.1"]
    process = subprocess.Popen(
        [
            require_peer("mbpoll"),
            *("-v", "-0", "-1", "-a", "1"),
            *options.split(),
            *where,
            *write.split(),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        pump(desk, link, lambda: process.poll() is not None)
        said, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    return process.returncode, said


def values(said: str) -> list[int]:
    """One value a line: `[3]: <tab>1`."""
    lines = (line.split() for line in said.splitlines())
    return [int(words[1]) for words in lines if len(words) == 2 and words[0].endswith("]:")]


def test_mbpoll_reads_our_inputs_over_tcp(listener: ListenerLink) -> None:
    code, said = mbpoll(Desk(Room()), listener, "-t 1 -r 0 -c 8")
    assert code == 0
    assert values(said) == [1, 0, 1, 1, 0, 0, 1, 0]


def test_mbpoll_reads_our_relays_over_tcp(listener: ListenerLink) -> None:
    room = Room(relays=[False, True, False, False, True, True, False, True])
    code, said = mbpoll(Desk(room), listener, "-t 0 -r 1 -c 7")
    assert code == 0
    assert values(said) == [1, 0, 0, 1, 1, 0, 1]


def test_mbpoll_writes_one_relay_and_several_over_tcp(listener: ListenerLink) -> None:
    room = Room()
    code, said = mbpoll(Desk(room), listener, "-t 0 -r 4", write="1")
    assert (code, room.relays) == (0, [False] * 4 + [True] + [False] * 3)
    code, said = mbpoll(Desk(room), listener, "-t 0 -r 0", write="1 0 1 0 0 1 1 0")
    assert "Written 8 references." in said
    assert room.relays == [True, False, True, False, False, True, True, False]


def test_mbpoll_is_told_which_address_is_illegal(listener: ListenerLink) -> None:
    code, said = mbpoll(Desk(Room()), listener, "-t 0 -r 4 -c 5")
    assert code == 1
    assert "Read discrete output (coil) failed: Illegal data address" in said


def test_mbpoll_is_told_that_another_unit_is_not_there(listener: ListenerLink) -> None:
    code, said = mbpoll(Desk(Room(), device_id=7), listener, "-t 1 -r 0 -c 8")
    assert code == 1
    assert "Target device failed to respond" in said


def test_mbpoll_reads_and_writes_over_rtu_with_the_frames_of_the_vectors() -> None:
    link = PtyLink()
    room = Room(contacts=[True, False, True] + [False] * 5)
    try:
        code, said = mbpoll(Desk(room, rtu=True), link, "-t 1 -r 0 -c 8")
        assert (code, values(said)) == (0, [1, 0, 1, 0, 0, 0, 0, 0])
        assert "[01][02][00][00][00][08][79][CC]" in said
        assert "<01><02><01><05><61><8B>" in said
        code, said = mbpoll(Desk(room, rtu=True), link, "-t 0 -r 0", write="1")
        assert (code, room.relays[0]) == (0, True)
        assert "<01><05><00><00><FF><00><8C><3A>" in said
    finally:
        link.close()


# --- pymodbus's client asks our module -----------------------------------------------------------


def test_pymodbus_reads_writes_and_is_refused(listener: ListenerLink) -> None:
    room, seen = Room(), []

    def client() -> None:
        with ModbusTcpClient(listener.host, port=listener.port, timeout=2, retries=0) as peer:
            seen.append(peer.read_discrete_inputs(0, count=8, device_id=1).bits)
            seen.append(peer.write_coil(4, True, device_id=1).isError())
            seen.append(peer.write_coils(5, [True, True], device_id=1).isError())
            seen.append(peer.read_coils(0, count=8, device_id=1).bits)
            seen.append(peer.read_holding_registers(0x1000, count=8, device_id=1).exception_code)

    thread = threading.Thread(target=client, daemon=True)
    thread.start()
    pump(Desk(room), listener, lambda: not thread.is_alive())
    coils = [False] * 4 + [True] * 3 + [False]
    assert seen == [room.contacts, False, False, coils, 2]


# --- our client asks pymodbus's server ------------------------------------------------------------


@pytest.fixture
def server_port() -> Iterator[int]:
    """Coils, inputs, holding and input registers from address 0 on, in a thread of its own."""
    loop = asyncio.new_event_loop()
    inputs = [True, False, True, True, False, False, True, False] * 2
    blocks = (
        [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
        [SimData(0, values=inputs, datatype=DataType.BITS)],
        [SimData(0, values=[1, 2, 3, 0xFFFF], datatype=DataType.REGISTERS)],
        [SimData(0, values=[0xAE41, 0x5652], datatype=DataType.REGISTERS)],
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve() -> Any:
        server = ModbusTcpServer(SimDevice(1, blocks), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        return server

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(5)
    yield server.transport.sockets[0].getsockname()[1]
    asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def ask(port: int, *questions: Question) -> list[Reply]:
    """The answers over one connection, polled as the scan does it."""
    clock, link = WallClock(), TcpLink("127.0.0.1", port)
    exchange: Exchange[Question, Reply] = Exchange(
        link, TcpClientCodec(device_id=1), timeout_us=1_000_000
    )
    replies: list[Reply] = []
    try:
        while len(replies) < len(questions):
            now = Now(clock.now_us())
            assert not now.reached(LIMIT_US), "the peer hangs"
            answer: Answer[Question, Reply] | None = exchange.read(now)
            if answer is not None:
                replies.append(answer.reply)
            elif exchange.down is None and exchange.free:
                exchange.ask(now, questions[len(replies)])
            clock.wait_until(now.t_us + 1_000)
    finally:
        link.close()
    return replies


def test_our_client_understands_pymodbus_server(server_port: int) -> None:
    assert ask(
        server_port,
        ReadInputs(address=0, count=8),
        WriteCoil(address=4, closed=True),
        ReadCoils(address=0, count=8),
        WriteRegisters(address=1, values=(10, 258)),
        ReadHolding(address=0, count=4),
        ReadInputRegisters(address=0, count=2),
        ReadInputRegisters(address=9, count=1),
    ) == [
        (True, False, True, True, False, False, True, False),
        Written(),
        (False, False, False, False, True, False, False, False),
        Written(),
        (1, 10, 258, 0xFFFF),
        (0xAE41, 0x5652),
        ModbusException(function=4, code=2),
    ]
