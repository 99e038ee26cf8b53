"""hal.bus and hal.endpoints: who may listen where, what passes, and what is only counted."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal.bus import MESSAGE_BYTES, BusClient, BusServer, Client
from hal.ports import LinkError

pytestmark = pytest.mark.wire

PATIENCE_S = 10.0


def message(kind: str = "status", **fields: Any) -> dict[str, Any]:
    return {"schema": 1, "kind": kind, **fields}


class Bus:
    """A server and clients on one endpoint, closed in the end."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._stack = ExitStack()
        self.server = self.serve()

    def serve(self, endpoint: str | None = None) -> BusServer:
        server = BusServer(endpoint or self.endpoint)
        self._stack.callback(server.close)
        return server

    def connect(self) -> BusClient:
        """A client that the server knows."""
        before_count = self.server.clients_count
        client = BusClient(self.endpoint)
        self._stack.callback(client.close)
        until(lambda: introduced(self.server, client, before_count + 1))
        return client

    def rogue(self) -> zmq.Socket[bytes]:
        """A peer that obeys no rule of ours."""
        rogue: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._stack.callback(rogue.close, 0)
        rogue.connect(self.endpoint)
        return rogue

    def close(self) -> None:
        self._stack.close()


def introduced(server: BusServer, client: BusClient, count: int = 1) -> bool:
    """ZeroMQ greets when either end is used, not before."""
    return not client.poll() and not server.poll() and server.clients_count >= count


def until(true: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def all_arrive() -> None:
    """Before the server looks for the first time: ZeroMQ tells nobody how long its queues are."""
    time.sleep(0.05)


def heard(end: BusServer | BusClient, count: int = 1) -> list[Any]:
    """The next `count` messages."""
    found: list[Any] = []

    def enough() -> bool:
        found.extend(end.poll())
        return len(found) >= count

    until(enough)
    return found


@pytest.fixture(params=["ipc", "inproc"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    name = f"{tmp_path}/run/bus" if request.param == "ipc" else f"bus-{uuid4().hex}"
    bus = Bus(f"{request.param}://{name}")
    yield bus
    bus.close()


@pytest.fixture
def ipc(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(f"ipc://{tmp_path}/run/bus")
    yield bus
    bus.close()


# --- what passes --------------------------------------------------------------------------------


def test_a_message_and_its_reply_cross(bus: Bus) -> None:
    client = bus.connect()
    client.send(message(technique={"kv": 90.0, "mas": None}))
    ((sender, got),) = heard(bus.server)
    assert got == message(technique={"kv": 90.0, "mas": None})
    bus.server.reply(sender, message("ok"))
    assert heard(client) == [message("ok")]
    assert client.poll() == []


def test_a_reply_goes_to_who_asked_and_to_nobody_else(bus: Bus) -> None:
    one, other = bus.connect(), bus.connect()
    other.send(message())
    ((sender, _),) = heard(bus.server)
    bus.server.reply(sender, message("yours"))
    assert heard(other) == [message("yours")]
    assert one.poll() == []


def test_what_is_published_reaches_every_client_even_one_that_never_spoke(bus: Bus) -> None:
    clients = [bus.connect() for _ in range(3)]
    bus.server.publish(message("state", state="READY"))
    assert [heard(client) for client in clients] == [[message("state", state="READY")]] * 3


def test_a_client_that_has_gone_is_forgotten(bus: Bus) -> None:
    client = bus.connect()
    client.close()

    def forgotten() -> bool:
        bus.server.publish(message())
        return bus.server.clients_count == 0

    until(forgotten)


def test_a_stop_of_any_client_is_handed_out_before_all_else(bus: Bus) -> None:
    busy, other = bus.connect(), bus.connect()
    for number in range(20):
        busy.send(message("note", number=number))
    other.send(message("stop"))
    all_arrive()
    kinds = [got["kind"] for _, got in heard(bus.server, 21)]
    assert kinds == ["stop"] + ["note"] * 20


def test_a_flood_of_one_client_does_not_hold_up_a_stop_of_another(bus: Bus) -> None:
    flood, other = bus.connect(), bus.connect()
    for _ in range(200):
        flood.send(message("note"))
    other.send(message("stop"))
    all_arrive()
    first = bus.server.poll()
    assert len(first) == 64
    assert first[0][1]["kind"] == "stop"


def test_a_thousand_stops_are_a_thousand_messages_and_nothing_worse(bus: Bus) -> None:
    client = bus.connect()
    for _ in range(10):
        for _ in range(100):
            client.send(message("stop"))
        assert len(heard(bus.server, 100)) == 100


# --- asking -------------------------------------------------------------------------------------


ASKER = """
import json, sys
from hal.bus import BusClient
client = BusClient(sys.argv[1])
print(json.dumps(client.ask({"schema": 1, "kind": "status"}, 10)))
print(json.dumps(client.poll()))
client.close()
"""


def test_a_question_from_another_process_gets_its_own_answer(ipc: Bus) -> None:
    command = [sys.executable, "-c", ASKER, ipc.endpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asker:
        ((sender, got),) = heard(ipc.server)
        assert got == message()
        ipc.server.publish(message("state", state="READY"))
        ipc.server.reply(Client(sender.identity, 99), message("an answer to something else"))
        ipc.server.reply(sender, message("answer", lateness_ms=0.25))
        output, _ = asker.communicate(timeout=20)
    assert output.splitlines() == [
        '{"schema": 1, "kind": "answer", "lateness_ms": 0.25}',
        '[{"schema": 1, "kind": "state", "state": "READY"}]',
    ]


def test_a_question_to_nobody_ends_in_time_and_says_so(tmp_path: Path) -> None:
    client = BusClient(f"ipc://{tmp_path}/nobody")
    start_s = time.monotonic()
    with pytest.raises(LinkError, match="nobody answers; is its process running"):
        client.ask(message(), timeout_s=0.05)
    assert time.monotonic() - start_s < PATIENCE_S
    with pytest.raises(LinkError, match="nobody answers"):
        client.send(message())
    client.close()


def test_a_question_that_gets_no_answer_ends_in_time_and_says_so(bus: Bus) -> None:
    client = bus.connect()
    with pytest.raises(LinkError, match=r"connected, but no answer within 0\.05 s"):
        client.ask(message(), timeout_s=0.05)
    assert heard(bus.server)[0][1] == message()


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next(bus: Bus) -> None:
    client = bus.connect()
    with pytest.raises(LinkError):
        client.ask(message("first"), timeout_s=0.01)
    ((sender, _),) = heard(bus.server)
    bus.server.reply(sender, message("late"))
    bus.server.reply(Client(sender.identity, 2), message("answer to the second"))
    assert client.ask(message("second"), timeout_s=5)["kind"] == "answer to the second"


# --- what does not pass -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"", b""],
        [b"not json"],
        [b'{"schema":1,"kind":"status"}', b"x"],
        [b'{"schema":2,"kind":"status"}'],
        [b'{"schema":true,"kind":"status"}'],
        [b'{"kind":"status"}'],
        [b'{"schema":1}'],
        [b'{"schema":1,"kind":7}'],
        [b'{"schema":1,"kind":"a\\nb"}'],
        [b'{"schema":1,"kind":"status","kv":NaN}'],
        [b'{"schema":1,"kind":"status","kv":Infinity}'],
        [b'{"schema":1,"kind":"status","kv":1e999}'],
        [b'{"schema":1,"kind":"status","kind":"stop"}'],
        [b'{"schema":1,"kind":"status","ask":"x"}'],
        [b'{"schema":1,"kind":"status","ask":-1}'],
        [b'{"schema":1,"kind":"status","a":' + b"[" * 40 + b"]" * 40 + b"}"],
        [b"[1]"],
        [b"\xff\xfe"],
        [b"\x80\x04K\x01."],  # a pickle
        [b"{}"] * 100,
    ],
)
def test_a_malformed_message_is_dropped_and_the_next_one_passes(
    bus: Bus, parts: list[bytes]
) -> None:
    rogue = bus.rogue()
    rogue.send_multipart(parts)
    rogue.send(b'{"schema":1,"kind":"after"}')
    assert [got for _, got in heard(bus.server)] == [message("after")]
    assert bus.server.garbage_count == (0 if parts == [b""] else 1)  # b"" is a greeting


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_never_raises_in_the_server(ipc: Bus, parts: list[bytes]) -> None:
    rogue: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    rogue.connect(ipc.endpoint)
    rogue.send_multipart(parts)
    rogue.send(b'{"schema":1,"kind":"after"}')
    assert [got for _, got in heard(ipc.server)] == [message("after")]
    rogue.close(0)


def test_garbage_from_a_server_never_raises_in_a_client(bus: Bus) -> None:
    client = bus.connect()
    (identity,) = bus.server._clients
    bus.server._socket.send_multipart([identity, b"{"])
    bus.server._socket.send_multipart([identity, b""])
    bus.server.publish(message("after"))
    assert heard(client) == [message("after")]
    assert client.garbage_count == 2


def test_an_oversized_message_never_arrives(ipc: Bus) -> None:
    rogue = ipc.rogue()
    rogue.send(b'{"schema":1,"kind":"' + b"x" * MESSAGE_BYTES + b'"}')
    client = ipc.connect()
    client.send(message())
    assert [got for _, got in heard(ipc.server)] == [message()]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (message(kv=float("nan")), "JSON compliant"),
        (message(kv=float("inf")), "JSON compliant"),
        ({"kind": "status"}, "schema"),
        ({"schema": 1}, "kind"),
        (message(text="x" * MESSAGE_BYTES), "at most 262144"),
    ],
)
def test_what_must_not_leave_is_an_error_of_the_sender(
    bus: Bus, wrong: dict[str, Any], reason: str
) -> None:
    client = bus.connect()
    with pytest.raises(ValueError, match=reason):
        client.send(wrong)
    with pytest.raises(ValueError, match=reason):
        bus.server.publish(wrong)
    with pytest.raises(ValueError, match=reason):
        bus.server.reply(Client(b"anyone"), wrong)


def test_a_reply_to_a_client_that_is_not_there_harms_nobody(bus: Bus) -> None:
    bus.server.reply(Client(b"nobody"), message())
    assert bus.server.lost_count == 0


def test_a_client_that_takes_nothing_loses_messages_and_holds_nobody_up(ipc: Bus) -> None:
    ipc.connect()
    big = message(text="x" * 100_000)
    for _ in range(1000):
        ipc.server.publish(big)
    assert ipc.server.lost_count > 0


def test_only_so_many_clients_are_known_at_once(bus: Bus) -> None:
    for number in range(100):
        bus.server._know(b"%d" % number)
    bus.server._know(b"50")
    assert bus.server.clients_count == 64
    assert next(iter(bus.server._clients)) == b"36"
    assert list(bus.server._clients)[-1] == b"50"


# --- where a server listens ---------------------------------------------------------------------


def test_the_socket_is_its_owners_alone(ipc: Bus, tmp_path: Path) -> None:
    path = tmp_path / "run" / "bus"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(LinkError, match="chmod 700"):
        BusServer(f"ipc://{folder}/bus")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs to give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(LinkError, match="another user"):
        BusServer(f"ipc://{folder}/bus")


def test_a_living_server_is_not_displaced_and_is_named(ipc: Bus) -> None:
    with pytest.raises(LinkError, match=f"{ipc.endpoint}: already served by process {os.getpid()}"):
        BusServer(ipc.endpoint)
    client = ipc.connect()
    client.send(message())
    assert [got for _, got in heard(ipc.server)] == [message()]


def test_a_socket_whose_owner_was_killed_is_replaced(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/bus"
    script = (
        "import sys, hal.bus; b = hal.bus.BusServer(sys.argv[1]); print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", script, endpoint]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"1\n"
        with pytest.raises(LinkError, match=f"already served by process {owner.pid}"):
            BusServer(endpoint)
        owner.kill()
        owner.wait()
    assert (tmp_path / "bus").is_socket()
    bus = Bus(endpoint)
    bus.connect().send(message())
    assert [got for _, got in heard(bus.server)] == [message()]
    bus.close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bus").write_text("precious")
    with pytest.raises(LinkError, match="is a file and no socket"):
        BusServer(f"ipc://{tmp_path}/bus")
    assert (tmp_path / "bus").read_text() == "precious"


def test_a_listener_that_is_not_ours_is_not_displaced_either(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/bus")
        listener.listen()
        with pytest.raises(LinkError, match="already served by process"):
            BusServer(f"ipc://{tmp_path}/bus")


@pytest.mark.req("SR-12", "SR-41")
@pytest.mark.parametrize("endpoint", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://10.0.0.1:5555"])
def test_a_bus_beyond_this_machine_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="neither encrypted nor authenticated"):
        BusServer(endpoint)


def test_a_client_finds_a_server_that_was_restarted(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/bus"
    first = BusServer(endpoint)
    client = BusClient(endpoint)
    until(lambda: introduced(first, client))
    first.close()
    assert not (tmp_path / "bus").exists()
    second = BusServer(endpoint)
    until(lambda: introduced(second, client))
    second.publish(message("hello again"))
    assert heard(client) == [message("hello again")]
    client.close()
    second.close()


def test_no_bus_socket_keeps_the_defaults_that_hang_or_know_no_limit(bus: Bus) -> None:
    options = (zmq.LINGER, zmq.MAXMSGSIZE, zmq.SNDHWM, zmq.RCVHWM)
    for end in (bus.server, bus.connect()):
        assert [end._socket.getsockopt(one) for one in options] == [0, 262_144, 256, 256]


def test_waiting_ends_when_a_message_comes(bus: Bus) -> None:
    client = bus.connect()
    assert bus.server.wait(0) is False
    client.send(message())
    assert bus.server.wait(PATIENCE_S) is True
    bus.server.publish(message())
    assert client.wait(PATIENCE_S) is True


def test_the_bus_is_imported_without_anything_heavy() -> None:
    script = (
        "import sys, hal.bus\n"
        "print([m for m in ('numpy', 'pydantic', 'pydicom', 'asyncio') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert output.stdout == "[]\n", output.stderr
