"""ADAM, ioLogik and GeniX3D judged by others: mbpoll and pymodbus, both sides, on loopback.

The maps are ours; so what is asked for here stands as plain numbers, from protocols.md 8.1 and 8.2.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from firmware_py.config import RoomConfig
from hal.clock import WallClock
from hal.device_links import ListenerLink, PtyLink
from hal.generators.genix3d import Driver as GenixDriver
from hal.generators.genix3d_desk import Desk as GenixDesk
from hal.links import TcpLink
from hal.now import Now
from hal.room_io import mapped, open_room_io
from hal.room_io.adam import Desk as AdamDesk
from hal.room_io.iologik import Desk as IologikDesk
from hal.room_io.mapped_desk import Desk as MappedDesk
from hal.types import GeneratorState, Outputs
from tests.fake_generator import FakeModel
from tests.test_modbus_peers import LIMIT_US, Room, listener, mbpoll, pump, values
from tests.test_room_maps import GOOD

pytestmark = [pytest.mark.peer, pytest.mark.wire]
__all__ = ["listener"]  # a fixture

CLOSED = [True, False, True, True, False, False, True, False]


def room() -> Room:
    return Room(contacts=list(CLOSED))


# --- mbpoll asks our devices ---------------------------------------------------------------------


def test_mbpoll_reads_an_adam_s_inputs_as_coils(listener: ListenerLink) -> None:
    code, said = mbpoll(AdamDesk(room()), listener, "-t 0 -r 0 -c 12")
    assert (code, values(said)) == (0, [1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0])


def test_mbpoll_switches_an_adam_s_output_at_coil_17(listener: ListenerLink) -> None:
    made = room()
    code, _ = mbpoll(AdamDesk(made), listener, "-t 0 -r 16", write="1")
    assert (code, made.relays) == (0, [True] + [False] * 7)
    code, said = mbpoll(AdamDesk(made), listener, "-t 0 -r 16 -c 6")
    assert (code, values(said)) == (0, [1, 0, 0, 0, 0, 0])
    code, said = mbpoll(AdamDesk(made), listener, "-t 1 -r 0 -c 8")
    assert (code, "Illegal data address" in said) == (1, True)


def test_mbpoll_reads_an_iologik_and_starts_its_pulse(listener: ListenerLink) -> None:
    made = room()
    code, said = mbpoll(IologikDesk(made), listener, "-t 1 -r 0 -c 8")
    assert (code, values(said)) == (0, [int(bit) for bit in CLOSED])
    code, _ = mbpoll(IologikDesk(made), listener, "-t 0 -r 19", write="1")
    assert (code, made.pulses) == (0, [(3, 200_000)])
    code, _ = mbpoll(IologikDesk(made), listener, "-t 0 -r 4", write="1")
    assert (code, made.relays[4]) == (0, True)


def test_mbpoll_reads_a_module_with_words_over_rtu() -> None:
    """Inverted channels 3 and 5 of GOOD show 1 when open."""
    link, desk = PtyLink(), MappedDesk(room(), GOOD, device_id=1, rtu=True)
    try:
        code, said = mbpoll(desk, link, "-t 3 -r 48 -c 1")
    finally:
        link.close()
    assert (code, values(said)) == (0, [0b0110_0101])


def test_mbpoll_reads_the_status_and_the_power_of_a_genix3d(listener: ListenerLink) -> None:
    desk = GenixDesk(FakeModel(), standby_us=0)
    code, said = mbpoll(desk, listener, "-t 0 -r 210 -c 36")
    set_bits = [index for index, value in enumerate(values(said)) if value]
    assert code == 0
    assert set(set_bits) - {24} == {0, 4, 25, 26}  # remote, conditions, interlock, closed; blink
    for coil in (251, 250):
        assert mbpoll(desk, listener, f"-t 0 -r {coil}", write="1")[0] == 0
    code, said = mbpoll(desk, listener, "-t 4 -r 50 -c 2")
    assert (code, values(said)) == (0, [3000, 30])
    code, said = mbpoll(desk, listener, "-t 4 -r 252", write="500")
    assert (code, "Illegal data address" in said) == (1, True)


# --- pymodbus's client asks our devices ----------------------------------------------------------


def asked(listener: ListenerLink, desk: Any, talk: Callable[[ModbusTcpClient], None]) -> None:
    def client() -> None:
        with ModbusTcpClient(listener.host, port=listener.port, timeout=2, retries=0) as peer:
            talk(peer)

    thread = threading.Thread(target=client, daemon=True)
    thread.start()
    pump(desk, listener, lambda: not thread.is_alive())


def test_pymodbus_drives_an_adam_and_an_iologik(listener: ListenerLink) -> None:
    made, seen = room(), []

    def adam(peer: ModbusTcpClient) -> None:
        seen.append(peer.read_coils(0, count=8, device_id=1).bits[:8] == CLOSED)
        seen.append(peer.write_coils(16, [True, False, True], device_id=1).isError())

    def iologik(peer: ModbusTcpClient) -> None:
        seen.append(peer.read_discrete_inputs(0, count=8, device_id=1).bits == CLOSED)
        seen.append(
            peer.read_coils(0, count=8, device_id=1).bits == [True, False, True] + [False] * 5
        )
        seen.append(peer.write_coil(19, False, device_id=1).isError())

    asked(listener, AdamDesk(made), adam)
    asked(listener, IologikDesk(made), iologik)
    assert seen == [True, False, True, True, False]
    assert made.relays == [True, False, True] + [False] * 5


def test_pymodbus_makes_a_beam_on_a_genix3d(listener: ListenerLink) -> None:
    model = FakeModel()
    seen: list[object] = []
    desk = GenixDesk(model, standby_us=0)

    def talk(peer: ModbusTcpClient) -> None:
        for coil, closed in ((251, True), (250, True), (248, False), (247, True), (247, False)):
            assert not peer.write_coil(coil, closed, device_id=1).isError()
        seen.append(peer.read_holding_registers(50, count=2, device_id=1).registers)
        assert not peer.write_coil(251, False, device_id=1).isError()
        seen.append(peer.read_input_registers(50, count=2, device_id=1).exception_code)

    asked(listener, desk, talk)
    assert seen == [[3000, 30], 1]
    assert (len(model.starts_us), len(model.ends_us)) == (1, 1)


# --- our clients ask pymodbus's server, laid out by the reference --------------------------------


def bits(count: int, **set_at: bool) -> list[bool]:
    return [set_at.get(f"at_{index}", False) for index in range(count)]


@contextmanager
def served(coils: list[bool], inputs: list[bool], holding: list[int]) -> Iterator[int]:
    """The port of pymodbus's own server, in a thread of its own."""
    loop = asyncio.new_event_loop()
    blocks = (
        [SimData(0, values=coils, datatype=DataType.BITS)],
        [SimData(0, values=inputs, datatype=DataType.BITS)],
        [SimData(0, values=holding, datatype=DataType.REGISTERS)],
        [SimData(0, values=[0, 0], datatype=DataType.REGISTERS)],
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve() -> Any:
        server = ModbusTcpServer(SimDevice(1, blocks), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        return server

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(5)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def scanned(driver: Any, outputs: Outputs, done: Callable[[], bool]) -> None:
    clock = WallClock()
    while not done():
        now = Now(clock.now_us())
        assert not now.reached(LIMIT_US), "the peer hangs"
        driver.read(now)
        driver.write(now, outputs)
        clock.wait_until(now.t_us + 2_000)


@pytest.mark.parametrize("family", ["adam", "iologik", "waveshare"])
def test_our_driver_drives_pymodbus_server(family: str) -> None:
    """It has plain coils only: the pulse of Waveshare (another value than ff00) is not tried."""
    padded = CLOSED + [False] * 24
    coils = padded if family == "adam" else bits(32)
    with served(coils, padded, [0] * 4) as port:
        link = TcpLink("127.0.0.1", port)
        driver = open_room_io(family, link, RoomConfig(driver=family, url="tcp://127.0.0.1:1"))
        assert isinstance(driver, mapped.Driver)
        scanned(driver, Outputs(), lambda: driver.sample.enable_readback is False)
        wanted = Outputs(contactor=True, beam_lamp=True)
        scanned(driver, wanted, lambda: driver.coils()["contactor"] is True)
        scanned(driver, wanted, lambda: driver.coils()["beam_lamp"] is True)
        link.close()
        sample = driver.sample
        with ModbusTcpClient("127.0.0.1", port=port, timeout=2, retries=0) as peer:
            first = 16 if family == "adam" else 0
            shown = peer.read_coils(first, count=6, device_id=1).bits[:6]
    assert [sample.stage_1, sample.stage_2, sample.door, sample.estop] == CLOSED[:4]
    assert [sample.chain, sample.key, sample.reset, sample.lamp_current] == CLOSED[4:]
    assert shown == [False, True, False, False, True, False]


def test_our_genix3d_driver_understands_pymodbus_server() -> None:
    """Status from coil 210 on: remote, tube of 50 W, interlock ok, shutter closed."""
    coils = bits(256, at_210=True, at_217=True, at_235=True, at_236=True)
    with served(coils, [False] * 8, [0] * 50 + [5000, 60, 0, 0]) as port:
        link = TcpLink("127.0.0.1", port)
        driver = GenixDriver(link, standby_poll_us=20_000)
        scanned(driver, Outputs(), lambda: driver.sample.off_confirmed_us is not None)
        scanned(driver, Outputs(), lambda: driver.sample.state is GeneratorState.STANDBY)
        link.close()
    sample = driver.sample
    assert sample.identity == "GeniX3D 50 W"
    assert (sample.interlock_closed, sample.beam_on) == (True, False)
    assert sample.faults == ()
