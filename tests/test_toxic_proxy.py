"""The toxic proxy: transparent without poison, exact in virtual time, whole over real ports."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hal.device_links import PtyLink
from hal.links import PipeLink, SerialLink, pipe
from hal.now import NEVER_US
from hal.ports import LinkError
from rig.cli import main
from rig.toxic_proxy import Poison, ToxicProxy
from sim.mischief import Attack, Mischief
from tests.live_bench import LiveBench, ended, live_bench, until

CUT_US = 500_000


class Front(PipeLink):
    """The unit's end in memory; it writes down when it hung up and answered."""

    def __init__(self, link: PipeLink) -> None:
        self.__dict__.update(link.__dict__)
        self.url = "memory"
        self.done: list[str] = []
        self.there = True

    def filenos(self) -> list[int]:
        return []

    def connected(self) -> bool:
        return self.there

    def hang_up(self) -> None:
        self.done.append("hang up")

    def answer(self) -> None:
        self.done.append("answer")


def proxied(**asked: Any) -> tuple[PipeLink, PipeLink, ToxicProxy, Front]:
    """(unit, device, the proxy between them, its front)"""
    unit, near = pipe()
    device, far = pipe()
    front = Front(near)
    cut = {name: asked.pop(name) for name in ("cut", "toward") if name in asked}
    poison = Poison(mischief=Mischief(**asked), cut_us=CUT_US, **cut)
    return unit, device, ToxicProxy(front, far, poison), front


def sent(link: PipeLink, proxy: ToxicProxy, *chunks: bytes) -> None:
    for number, chunk in enumerate(chunks):
        link.write(1_000 * number, chunk)
        proxy.step(1_000 * number)


# --- in virtual time


def test_without_poison_everything_passes_in_the_same_step() -> None:
    unit, device, proxy, front = proxied()
    sent(unit, proxy, b"ab", b"cd")
    assert device.read(1_000) == b"abcd"
    sent(device, proxy, b"ef")
    assert unit.read(1_000) == b"ef"
    assert (proxy.due_us(), proxy.counts.total(), front.done) == (NEVER_US, 0, [])


@pytest.mark.req("F56", "F57", "F63", "F64")
@pytest.mark.parametrize(
    ("attack", "came"),
    [
        (Attack(kind="drop", chunk_index=1), b"abef"),
        (Attack(kind="flip", chunk_index=1, byte_index=0, value_code=0), b"abbdef"),
        (Attack(kind="insert", chunk_index=1, byte_index=2, value_code=33), b"abcd!ef"),
        (Attack(kind="duplicate", chunk_index=1), b"abcdcdef"),
        (Attack(kind="replay", chunk_index=1, value_code=1), b"abcdabef"),
        (Attack(kind="reorder", chunk_index=1), b"abefcd"),
    ],
)
@pytest.mark.parametrize("toward", ["device", "unit"])
def test_what_is_done_is_the_simulator_s_own_mischief(
    attack: Attack, came: bytes, toward: str
) -> None:
    unit, device, proxy, _ = proxied(attacks=(attack,), toward=toward)
    near, far = (unit, device) if toward == "device" else (device, unit)
    sent(near, proxy, b"ab", b"cd", b"ef")
    assert far.read(2_000) == came
    sent(far, proxy, b"ab", b"cd", b"ef")
    assert near.read(2_000) == b"abcdef"  # the other direction is good
    assert +proxy.counts == {attack.kind: 1}


@pytest.mark.req("F62")
def test_a_delayed_chunk_leaves_at_its_own_microsecond() -> None:
    unit, device, proxy, _ = proxied(rates={"delay": 1.0}, delay_us=49_000, toward="device")
    unit.write(100, b"ab")
    proxy.step(100)
    assert proxy.due_us() == 49_100
    proxy.step(49_099)
    assert device.read(49_099) == b""
    proxy.step(49_100)
    assert device.read(49_100) == b"ab"


@pytest.mark.req("F60")
def test_a_cut_loses_everything_until_it_ends_and_then_answers_again() -> None:
    unit, device, proxy, front = proxied(cut=1.0)
    sent(unit, proxy, b"ab")
    assert (device.read(0), front.done, proxy.due_us()) == (b"", ["hang up"], CUT_US)
    unit.write(10, b"cd")
    device.write(10, b"ef")
    proxy.step(CUT_US - 1)
    assert (device.read(CUT_US), unit.read(CUT_US), front.done) == (b"", b"", ["hang up"])
    proxy.step(CUT_US)
    assert front.done == ["hang up", "answer"]
    assert +proxy.counts == {"cut": 1}


def test_a_unit_that_leaves_takes_along_what_was_under_way() -> None:
    unit, device, proxy, front = proxied(rates={"delay": 1.0}, delay_us=5_000, toward="unit")
    sent(unit, proxy, b"ask")
    sent(device, proxy, b"late")
    front.there = False
    proxy.step(1_000)
    assert front.done == ["hang up", "answer"]
    front.there = True
    proxy.step(10_000)
    assert unit.read(10_000) == b""


def test_a_serial_port_that_is_gone_for_good_ends_the_proxy() -> None:
    _, _, proxy, _ = proxied()

    class Gone(PipeLink):
        def read(self, t_us: int) -> bytes:
            raise LinkError("/dev/ttyX: the port is gone")

    proxy._device = Gone(*(pipe()[0].__dict__.values()))
    with pytest.raises(LinkError, match="the port is gone"):
        proxy.step(0)


# --- what people type


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "name one device: --serial PORT or --tcp tcp://HOST:PORT"),
        (["--serial", "a", "--tcp", "b"], 2, "name one device: "),
        (["--tcp", "127.0.0.1"], 2, "127.0.0.1: is no address; write tcp://HOST:PORT"),
        (["--serial", "/dev/ttyNONE"], 3, "/dev/ttyNONE: no such port; `dxrig devices` lists"),
        (["--tcp", "tcp://127.0.0.1:9", "--flip", "2"], 2, "2.0 is not in the range 0.0<=x<=1.0"),
        (["--tcp", "tcp://127.0.0.1:9", "--flop", "0.1"], 2, "--flop"),
    ],
)
def test_wrong_options_are_told(arguments: list[str], code: int, told: str) -> None:
    done = CliRunner().invoke(main, ["sim", "proxy", *arguments])
    assert (done.exit_code, told in done.output) == (code, True), done.output


# --- over real ports


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "sim", "proxy", "--json", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.terminate()
        ended(process)


def got(fileno: int, count_bytes: int) -> bytes:
    """So many bytes, as they come."""
    data = b""
    while len(data) < count_bytes:
        assert select.select([fileno], [], [], 20.0)[0], f"only {data!r} came"
        data += os.read(fileno, count_bytes - len(data))
    return data


@pytest.mark.wire
def test_serial_bytes_pass_both_ways_through_a_port_of_its_own() -> None:
    device = PtyLink()
    with running("--serial", device.path) as (process, facts):
        assert facts["device"] == device.path != facts["url"]
        unit = SerialLink(facts["url"])
        unit.write(0, b"\x02STAT\r")
        assert got(device.fileno(), 6) == b"\x02STAT\r"
        device.write(0, b"\x021\r")
        assert got(unit.fileno(), 3) == b"\x021\r"
        process.send_signal(2)
        done = ended(process)
        unit.close()
    device.close()
    assert (done.returncode, done.stderr) == (0, "done: nothing\n")


@pytest.mark.wire
@pytest.mark.req("F60")
def test_tcp_is_cut_on_both_sides_and_comes_back_at_the_same_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with running("--tcp", url, "--cut", "1", "--cut-ms", "1") as (process, facts):
            host, port = facts["url"].removeprefix("tcp://").split(":")
            assert host == "127.0.0.1"
            device, _ = listener.accept()
            with socket.create_connection((host, int(port))) as unit:
                unit.sendall(b"ask")
                assert closed(unit)
            assert closed(device)
            device.close()
            again, _ = listener.accept()
            again.close()
            until(lambda: reached(int(port)))
            process.terminate()
            assert "x cut" in ended(process).stderr


def closed(peer: socket.socket) -> bool:
    peer.settimeout(20.0)
    with suppress(ConnectionResetError):
        return peer.recv(16) == b""
    return True


def reached(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.mark.wire
def test_it_ends_with_the_program_that_started_it() -> None:
    device = PtyLink()
    starter = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'rig', 'sim', 'proxy', '--json', '--serial',"
        " sys.argv[1]], stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\n"
        "print(p.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter, device.path],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    until(lambda: gone(int(done.stdout)))
    device.close()


def gone(pid: int) -> bool:
    """Ended: a zombie that nobody waits for has ended, too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.req("SR-44", "F56", "F57")
def test_an_exposure_through_two_bad_lines_is_whole_or_a_fault_with_its_beam_told(
    tmp_path: Path,
) -> None:
    """The unit is a bench of real ports; both of its byte lines go through a proxy."""
    with live_bench(tmp_path) as live:
        generator = live.facts["generator"]["url"]
        room = live.facts["room"]["url"]
        with (
            running("--serial", generator, "--seed", "3", "--split", "0.3", "--delay-ms", "3",
                    "--flip", "0.01") as (_, serial_facts),
            running("--tcp", room, "--seed", "3", "--split", "0.2", "--delay-ms", "2") as (
                _, tcp_facts,
            ),
        ):  # fmt: skip
            answer = exposed(live, serial_facts["url"], tcp_facts["url"])
        beams = live.show()["beams"]
    ordered = any(state["state"] == "EXPOSE" for state in answer["timeline"])
    assert len(beams) <= int(ordered)
    assert all(beam["off_us"] is not None for beam in beams)
    if answer["end_reason"] == "planned end":
        (beam,) = beams
        assert beam["mas"] <= answer["measured"]["maximum_mas"]
    else:
        assert answer["fault"] or not beams


def exposed(live: LiveBench, generator_url: str, room_url: str) -> dict[str, Any]:
    """What `dxrig expose` says of one exposure by the simulated hand."""
    file = live.bench_file("mine", generator_url=generator_url, room_url=room_url)
    live.calibrate(file)
    process = live.start(
        "expose", "--bench", str(file), "--kvp", "60", "--mas", "0.3", "--allow-exposure", "--json"
    )
    assert process.stderr is not None
    told = {"press stage 1": ("press", 1), "now press stage 2": ("press", 2)}
    for line in process.stderr:
        for words, (verb, stage) in told.items():
            if words in line:
                live.do(verb, stage=stage)
        if "release the handswitch" in line or "cure it" in line:
            live.do("release")
    done = ended(process)
    return dict(json.loads(done.stdout))
