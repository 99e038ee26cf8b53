"""Parity, stop and data bits of a serial line: in the bench file, at the port, and in its time."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import serial

from hal.device_links import ListenerLink, PtyLink
from hal.line_form import LINES, line_form
from hal.links import SerialLink
from hal.now import NEVER_US
from rig.bench import Bench, bench_of, load_bench
from rig.bench_names import BENCHES
from rig.drivers import generator_of, nobody
from rig.exit_codes import ConfigError
from rig.model import ModelRung
from rig.sim_server import SimServer

BITS = {  # start, data, parity and stop bits: counted by hand
    "8N1": 10, "8E1": 11, "8O1": 11, "8N2": 11, "8E2": 12, "8O2": 12,
    "7N1": 9, "7E1": 10, "7O1": 10, "7N2": 10, "7E2": 11, "7O2": 11,
}  # fmt: skip


def with_line(name: str, baud: int, line: str | None) -> Bench:
    bench = load_bench(name)
    generator = bench.unit.generator.model_copy(update={"baud": baud, "line": line})
    return replace(bench, unit=bench.unit.model_copy(update={"generator": generator}))


@pytest.mark.parametrize(("word", "bits"), BITS.items())
def test_a_character_has_the_bits_of_its_form(word: str, bits: int) -> None:
    assert set(BITS) == set(LINES)
    assert line_form(word).bits_count == bits


# --- the time that a line takes

REPLY_US = 3_000  # of the simulated devices: command complete -> first byte of the reply
ASKED = {  # a query of each serial bench driver and the bytes of its reply
    "portable": ("02 53 54 41 54 0d", 3),  # STAT: protocols.md 2.7
    "industrial": ("02 32 32 2c 70 03", 40),  # 22: 17 flags, protocols.md 3.5.1
    # status: 8 of header and 14, and MSG_PROCESSED with 8 and 2 behind it; protocols.md 4.2, 4.5
    "mobile": ("01 06 11 20 93 02 00 00", 32),
}


@pytest.mark.parametrize("line", [None, "8N1", "8E1", "7E1", "7N1", "8E2"])
@pytest.mark.parametrize("name", ASKED)
def test_a_line_at_9600_baud_takes_the_time_that_9600_baud_takes(
    name: str, line: str | None
) -> None:
    text, reply_bytes = ASKED[name]
    data = bytes.fromhex(text)
    byte_us = Fraction(BITS[line or "8N1"] * 1_000_000, 9600)
    there_us, back_us = round(len(data) * byte_us), round(reply_bytes * byte_us)
    rung = ModelRung(with_line(name, 9600, line))
    link, world = rung._links.generator, rung.world
    link.write(0, data)
    while link.arrival_us() == NEVER_US:
        world.event(NEVER_US)
    assert world.heard_us()["generator"] == there_us
    assert link.arrival_us() == there_us + REPLY_US + back_us
    assert len(link.read(link.arrival_us())) == reply_bytes


@pytest.mark.parametrize(("line", "baud"), [(None, 9600), ("8E1", 8727), ("8E2", 8000)])
def test_a_driver_waits_for_as_long_as_such_a_line_takes(line: str | None, baud: int) -> None:
    """It counts ten bits a character; rounded down, so that it never gives up too early."""
    assert with_line("portable", 9600, line).unit.generator.options()["baud"] == baud


def test_each_reply_of_a_slower_line_is_awaited_longer() -> None:
    longest = [
        generator_of(with_line("portable", 9600, line).unit.generator, nobody())
        .capabilities.longest_exchange_us["start"]
        for line in ("8N1", "8E2")
    ]  # fmt: skip
    assert longest[0] < longest[1]


# --- at the port


class Opened:
    """What pyserial was asked for."""

    def __init__(self, url: str, **form: Any) -> None:
        self.form = form

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        return None


@pytest.mark.parametrize(("word", "form"), [("7E1", (7, "E", 1)), ("8O2", (8, "O", 2))])
def test_a_port_is_opened_in_the_form_of_its_line(
    monkeypatch: pytest.MonkeyPatch, word: str, form: tuple[int, str, int]
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        serial, "serial_for_url", lambda url, **given: asked.update(given) or Opened(url)
    )
    SerialLink("/dev/ttyX", line=word, baud=4800)
    assert (asked["bytesize"], asked["parity"], asked["stopbits"]) == form
    assert asked["baudrate"] == 4800


@pytest.mark.parametrize("word", [word for word in LINES if line_form(word).pty_can])
def test_a_pseudo_terminal_takes_the_forms_that_the_simulator_uses_it_for(word: str) -> None:
    with closing(PtyLink()) as device:
        SerialLink(device.path, line=word).close()
        SerialLink(device.path, line=word).close()  # raw by now


def test_a_line_with_parity_goes_over_a_socket() -> None:
    with closing(ListenerLink()) as device:
        url = f"socket://{device.host}:{device.port}"
        with closing(SerialLink(url, line="8E1")) as unit:
            device.read(0)
            unit.write(0, bytes(range(256)))
            got = b""
            while len(got) < 256:
                got += device.read(0)
            assert got == bytes(range(256))


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir(mode=0o700)
    return tmp_path / "s"


@pytest.mark.parametrize(
    ("name", "line", "scheme"),
    [
        ("portable", None, "/dev/"),
        ("portable", "8E1", "socket://127.0.0.1:"),
        ("portable", "7N1", "socket://127.0.0.1:"),
        ("mobile", None, "tcp://127.0.0.1:"),
    ],
)
def test_the_simulator_serves_a_line_where_its_form_can_be_had(
    sockets: Path, name: str, line: str | None, scheme: str
) -> None:
    server = SimServer(with_line(name, 9600, line), sockets)
    try:
        assert server.announcement()["generator"]["url"].startswith(scheme)
    finally:
        server.close()


# --- in the bench file


def told(name: str, old: str, new: str) -> str:
    text = (BENCHES / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ConfigError) as wrong:
        bench_of(text.replace(old, new, 1), Path("mine.toml"))
    return str(wrong.value)


def test_a_bench_names_its_line() -> None:
    text = (BENCHES / "portable.toml").read_text(encoding="utf-8")
    bench = bench_of(text.replace("baud = 9600", 'baud = 9600\nline = "7E1"', 1), Path("x.toml"))
    assert bench.unit.generator.form == line_form("7E1")
    assert bench.hash != load_bench("portable").hash


@pytest.mark.parametrize(
    ("name", "line", "url", "why"),
    [
        ("portable", "8X1", "sim", "generator.line: "),
        ("portable", "9N1", "sim", "generator.line: "),
        ("mobile", "7E1", "sim", "r2cp sends bytes above 127; allowed: 8N1, 8E1"),
        ("portable", "8E1", "tcp://10.0.0.2:4000", "a tcp:// connection has no parity"),
    ],
)
def test_a_line_that_can_not_be_is_told_with_its_place(
    name: str, line: str, url: str, why: str
) -> None:
    found = told(name, 'url = "sim"', f'url = "{url}"\nline = "{line}"')
    assert why in found
    assert "mine.toml:" in found
