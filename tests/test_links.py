"""Byte links: the pipe's modelled line, real ports on this machine, the tap."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hal.device_links import ListenerLink, PtyLink
from hal.links import RECONNECT_US, SerialLink, TcpLink, pipe, tcp_address
from hal.now import NEVER_US
from hal.ports import ByteLink, LinkError
from hal.tap_link import TapLink

# --- the modelled line: 9600 baud 8N1 is 1041.67 us a character -------------------------------


def test_a_pipe_without_pace_delivers_at_once() -> None:
    one, other = pipe()
    one.write(100, b"abc")
    assert (other.arrival_us(), other.read(99), other.read(100)) == (100, b"", b"abc")
    assert other.arrival_us() == NEVER_US


def test_bytes_come_at_the_pace_of_the_line() -> None:
    one, other = pipe(baud=9600)
    one.write(0, b"STATUS")
    assert other.arrival_us() == 6250
    assert [other.read(t_us) for t_us in (1041, 1042, 3125, 6249, 6250)] == [
        b"", b"S", b"TA", b"TU", b"S",
    ]  # fmt: skip


def test_latency_delays_all_and_slows_nothing() -> None:
    one, other = pipe(baud=9600, latency_us=10_000)
    one.write(0, b"ABC")
    assert other.arrival_us() == 13_125
    assert other.read(12_083) == b"A"
    assert other.read(13_125) == b"BC"


def test_a_second_frame_waits_for_the_first_to_leave() -> None:
    one, other = pipe(baud=9600)
    one.write(0, b"ABC")
    one.write(1_000, b"DEF")
    assert other.arrival_us() == 3_125
    assert other.read(3_125) == b"ABC"
    assert other.arrival_us() == 6_250
    assert other.read(6_250) == b"DEF"


def test_the_two_directions_do_not_wait_for_each_other() -> None:
    one, other = pipe(baud=9600)
    one.write(0, b"ABC")
    other.write(0, b"xyz")
    assert (one.read(3_125), other.read(3_125)) == (b"xyz", b"ABC")


def test_eleven_bits_a_character_take_longer() -> None:
    one, other = pipe(baud=19_200, bits=11)
    one.write(0, b"A" * 192)
    assert other.arrival_us() == 110_000


def test_how_often_it_is_read_does_not_change_when_bytes_come() -> None:
    """24 characters end on a scan: a drift of one microsecond would cost a whole one."""
    often, seldom = pipe(baud=9600), pipe(baud=9600)
    for one, _ in (often, seldom):
        one.write(0, b"x" * 24)
    read = b"".join(often[1].read(t_us) for t_us in range(0, 25_000, 100))
    assert len(read) == 23
    assert (often[1].arrival_us(), seldom[1].arrival_us()) == (25_000, 25_000)
    assert often[1].read(25_000) == b"x"
    assert seldom[1].read(25_000) == b"x" * 24


def test_nothing_written_is_nothing_to_wait_for() -> None:
    one, other = pipe(baud=9600)
    one.write(0, b"")
    assert other.arrival_us() == NEVER_US


# --- real ports -------------------------------------------------------------------------------


def soon(read: Callable[[], bytes], count_bytes: int) -> bytes:
    """What real input delivers within a second."""
    data, deadline = b"", time.monotonic() + 1.0
    while len(data) != count_bytes and deadline - time.monotonic() > 0:
        data += read()
    return data


def repeated(call: Callable[[], object]) -> None:
    for _ in range(1000):
        call()


@pytest.fixture
def pty() -> Iterator[PtyLink]:
    with closing(PtyLink()) as link:
        yield link


@pytest.mark.wire
def test_serial_and_pty_carry_all_256_bytes_both_ways(pty: PtyLink) -> None:
    every = bytes(range(256))
    with closing(SerialLink(pty.path)) as unit:
        unit.write(0, every)
        assert soon(lambda: pty.read(0), 256) == every
        pty.write(0, every)
        assert soon(lambda: unit.read(0), 256) == every
        assert (unit.read(0), pty.read(0)) == (b"", b"")
        assert (unit.arrival_us(), pty.arrival_us()) == (NEVER_US, NEVER_US)


@pytest.mark.wire
def test_a_serial_port_has_one_owner(pty: PtyLink) -> None:
    with closing(SerialLink(pty.path)), pytest.raises(LinkError, match="busy, another program"):
        SerialLink(pty.path)


def test_a_port_that_does_not_exist_says_how_to_find_one() -> None:
    with pytest.raises(LinkError, match=r"/dev/ttyNONE: no such port; `dxrig devices`"):
        SerialLink("/dev/ttyNONE")


def test_an_unknown_kind_of_url_is_a_link_error() -> None:
    with pytest.raises(LinkError, match="nonsense://x: can't be opened"):
        SerialLink("nonsense://x")


@pytest.mark.wire
def test_a_port_whose_other_end_is_gone_says_so_in_each_call() -> None:
    device = PtyLink()
    with closing(SerialLink(device.path)) as unit:
        device.close()
        for _ in range(2):
            with pytest.raises(LinkError, match="the port is gone"):
                unit.write(0, b"x")
            with pytest.raises(LinkError, match="the port is gone"):
                unit.read(0)


@pytest.mark.wire
def test_a_port_that_is_plugged_in_again_under_its_name_comes_back(tmp_path: Path) -> None:
    """As /dev/serial/by-id does: the name goes with the device, and comes back as another file."""
    name = tmp_path / "usb-adapter"
    device = PtyLink()
    name.symlink_to(device.path)
    with closing(SerialLink(str(name))) as unit:
        device.close()
        name.unlink()
        held = len(os.listdir("/proc/self/fd"))
        for t_us in (0, 999_999, 1_000_000):  # the first look fails: it is not back yet
            with pytest.raises(LinkError, match="it is looked for every second"):
                unit.read(t_us)
        assert unit.fileno() == -1
        assert len(os.listdir("/proc/self/fd")) < held  # or its name would stay busy
        with closing(PtyLink()) as again:
            name.symlink_to(again.path)
            with pytest.raises(LinkError, match="the port is gone"):
                unit.read(1_999_999)
            assert unit.read(2_000_000) == b""
            unit.write(2_000_000, b"back")
            assert soon(lambda: again.read(0), 4) == b"back"


@pytest.mark.wire
def test_a_serial_line_that_nobody_reads_is_jammed_and_does_not_block(pty: PtyLink) -> None:
    with closing(SerialLink(pty.path)) as unit:
        with pytest.raises(LinkError, match="jammed"):
            repeated(lambda: unit.write(0, b"x" * 1000))
        while pty.read(0):
            pass
        unit.write(0, b"again")  # jammed is not gone
        assert soon(lambda: pty.read(0), 5) == b"again"


@pytest.mark.wire
def test_a_device_whose_line_nobody_reads_loses_bytes_and_does_not_block(pty: PtyLink) -> None:
    for _ in range(100):
        pty.write(0, b"x" * 1000)


@pytest.mark.wire
def test_loop_back_through_pyserials_urls() -> None:
    with closing(SerialLink("loop://")) as link:
        link.write(0, b"\x02STAT\r")
        assert soon(lambda: link.read(0), 6) == b"\x02STAT\r"


def connected(unit: ByteLink, device: ListenerLink) -> None:
    deadline = time.monotonic() + 1.0
    while deadline - time.monotonic() > 0:
        device.read(0)
        try:
            unit.read(0)
        except LinkError:
            continue
        device.read(0)
        return
    raise AssertionError("no connection within a second")


@pytest.fixture
def listener() -> Iterator[ListenerLink]:
    with closing(ListenerLink()) as link:
        yield link


@pytest.mark.wire
def test_tcp_carries_bytes_both_ways(listener: ListenerLink) -> None:
    with closing(TcpLink("127.0.0.1", listener.port)) as unit:
        with pytest.raises(LinkError, match="not connected yet"):
            unit.write(0, b"too early")
        connected(unit, listener)
        unit.write(0, b"question")
        assert soon(lambda: listener.read(0), 8) == b"question"
        listener.write(0, b"reply")
        assert soon(lambda: unit.read(0), 5) == b"reply"
        assert unit.read(0) == b""
        assert len(listener.filenos()) == 2


@pytest.mark.wire
def test_a_refused_connection_is_told_and_tried_again_after_a_second(
    listener: ListenerLink,
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with closing(TcpLink("127.0.0.1", nobody.getsockname()[1])) as unit:
            with pytest.raises(LinkError, match="refused"):
                refused_soon(unit)
            nobody.listen()
            with pytest.raises(LinkError, match="refused"):
                unit.read(RECONNECT_US - 1)  # not tried yet
            for t_us in range(RECONNECT_US, RECONNECT_US + 1000):
                try:
                    assert unit.read(t_us) == b""
                    break
                except LinkError:
                    continue
            else:
                raise AssertionError("never came back")


def refused_soon(unit: TcpLink) -> None:
    for _ in range(1000):
        try:
            unit.read(0)
        except LinkError as error:
            if "refused" in str(error):
                raise


def test_a_host_name_is_asked_once_when_the_link_is_opened(
    monkeypatch: pytest.MonkeyPatch, listener: ListenerLink
) -> None:
    asked = []
    whole = socket.getaddrinfo

    def counted(host: str, *more: Any, **options: Any) -> Any:
        asked.append(host)
        return whole("127.0.0.1", *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    with closing(TcpLink("room-io", listener.port)) as unit:
        connected(unit, listener)
        listener.close()
        with pytest.raises(LinkError, match=r"tcp://room-io:\d+: the device closed"):
            repeated(lambda: unit.read(0))
        with pytest.raises(LinkError):
            unit.read(RECONNECT_US)
    assert asked == ["room-io"]
    assert unit._address == ("127.0.0.1", listener.port)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_an_unknown_host_name_is_told_when_the_link_is_opened(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(LinkError) as told:
        TcpLink("room-io", 502)
    assert str(told.value) == (
        "tcp://room-io:502: no machine of the name 'room-io' is known here; check its spelling "
        "and the network's name server, or write the device's IP address"
    )


def test_a_machine_out_of_sockets_is_a_link_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with closing(TcpLink("127.0.0.1", 9)) as unit:
        monkeypatch.setattr(socket, "socket", none_left)
        with pytest.raises(LinkError, match=r"tcp://127\.0\.0\.1:9: too many open files"):
            unit.read(0)


def test_tcp_addresses_are_a_host_and_a_port() -> None:
    assert tcp_address("tcp://192.168.1.12:502") == ("192.168.1.12", 502)
    assert tcp_address("tcp://room-io:65535") == ("room-io", 65535)
    assert tcp_address("tcp://[::1]:502") == ("::1", 502)


@pytest.mark.parametrize(
    "url",
    ["tcp://host", "tcp://host:", "tcp://:502", "tcp://1.2.3.4:0", "tcp://1.2.3.4:65536", "tcp://",
     "tcp://1.2.3.4:99999999999999999999", "tcp://1.2.3.4:abc", "tcp://1.2.3.4:-1", "tcp://h:²",
     "udp://1.2.3.4:502"],
)  # fmt: skip
def test_what_is_no_tcp_address_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(LinkError) as told:
        tcp_address(url)
    assert str(told.value) == f"{url}: is no address; write tcp://HOST:PORT, PORT 1-65535"


@pytest.mark.wire
def test_a_closed_connection_is_told_once_lost_and_comes_back(listener: ListenerLink) -> None:
    port = listener.port
    with closing(TcpLink("127.0.0.1", port)) as unit:
        connected(unit, listener)
        listener.close()
        with pytest.raises(LinkError, match="the device closed the connection"):
            repeated(lambda: unit.read(0))
        with closing(ListenerLink(port=port)) as again:
            deadline, t_us = time.monotonic() + 1.0, RECONNECT_US
            while deadline - time.monotonic() > 0:
                again.read(0)
                t_us += 1
                try:
                    assert unit.read(t_us) == b""
                    return
                except LinkError:
                    continue
    raise AssertionError("never came back")


@pytest.mark.wire
def test_a_listener_takes_one_client_and_the_next_when_that_one_has_gone(
    listener: ListenerLink,
) -> None:
    address = ("127.0.0.1", listener.port)
    with socket.create_connection(address) as first:
        first.sendall(b"first")
        assert soon(lambda: listener.read(0), 5) == b"first"
        with socket.create_connection(address, timeout=1.0) as second:
            listener.read(0)
            assert second.recv(1) == b""  # turned away
    with socket.create_connection(address) as third:
        third.sendall(b"third")
        assert soon(lambda: listener.read(0), 5) == b"third"


def test_a_taken_port_is_a_link_error(listener: ListenerLink) -> None:
    with pytest.raises(LinkError, match=f"tcp://127.0.0.1:{listener.port}: Address already in use"):
        ListenerLink(port=listener.port)


def test_a_listener_without_a_client_reads_nothing_and_drops_what_is_written() -> None:
    with closing(ListenerLink()) as device:
        device.write(0, b"nobody")
        assert (device.read(0), device.arrival_us()) == (b"", NEVER_US)


# --- the tap ----------------------------------------------------------------------------------


class Notes:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, object]] = []

    def got(self, link: str, data: bytes) -> None:
        self.seen.append(("got", link, data))

    def sent(self, link: str, data: bytes) -> None:
        self.seen.append(("sent", link, data))

    def failed(self, link: str, why: str) -> None:
        self.seen.append(("failed", link, why))

    def not_sent(self, link: str, why: str) -> None:
        self.seen.append(("not sent", link, why))


def test_a_tap_hands_on_and_tells_what_passed() -> None:
    notes = Notes()
    unit, device = pipe()
    tap = TapLink("generator", unit, notes)
    tap.write(0, b"STAT")
    assert device.read(0) == b"STAT"
    device.write(1, b"1")
    assert (tap.arrival_us(), tap.read(1), tap.read(2)) == (1, b"1", b"")
    assert notes.seen == [("sent", "generator", b"STAT"), ("got", "generator", b"1")]


def test_a_tap_tells_that_the_port_has_failed_and_raises_too() -> None:
    notes = Notes()
    tap = TapLink("room", TcpLink("127.0.0.1", 9), notes)
    with closing(tap), pytest.raises(LinkError):
        tap.read(0)
    assert [(kind, link) for kind, link, _ in notes.seen] == [("failed", "room")]


def test_a_tap_tells_a_write_that_failed_from_a_read_that_failed() -> None:
    notes = Notes()
    with closing(TapLink("room", TcpLink("127.0.0.1", 9), notes)) as tap, pytest.raises(LinkError):
        tap.write(0, b"ask")
    assert notes.seen == [
        ("sent", "room", b"ask"),
        ("not sent", "room", "tcp://127.0.0.1:9: not connected yet"),
    ]
