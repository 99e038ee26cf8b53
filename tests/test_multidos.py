"""PTW MULTIDOS against bytes of its manual, and driver and desk on one line in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hal.links import pipe
from hal.meters import Channel, MeterSample
from hal.meters import multidos_wire as wire
from hal.meters.multidos import Driver
from hal.meters.multidos_desk import Desk
from hal.meters.multidos_wire import Data, Refusal
from hal.now import Now
from hal.ports import WireError
from tests.vectors_loader import Vector, load

VECTORS = load("multidos")
QUESTIONS = [v for v in VECTORS if not {"answer", "error", "mode"} & v.fields.keys()]
ANSWERS = [v for v in VECTORS if v not in QUESTIONS]
DATA = [v for v in ANSWERS if "mode" in v.fields]


def named(vectors: list[Vector]) -> dict[str, Any]:
    return {"argvalues": vectors, "ids": [str(vector) for vector in vectors]}


def meant(vector: Vector) -> wire.Reply:
    fields = vector.fields
    if "error" in fields:
        return Refusal(fields["error"])
    if "mode" not in fields:
        return str(fields["answer"])
    one, other = (None if v == "overload" else v for v in fields["values"])
    return Data(
        mode=fields["mode"],
        elapsed_s=fields.get("elapsed_s"),
        status=fields["status"],
        flags=tuple(fields["flags"]),
        values=(one, other),
    )


def read(vector: Vector, *chunks: bytes) -> list[wire.Reply]:
    """All that a codec makes of these chunks; what it refuses is left out."""
    codec, buffer, found = wire.Codec(), bytearray(), []
    for chunk in chunks:
        buffer += chunk
        while buffer:
            try:
                reply = codec.decode(vector.fields["word"], buffer)
            except WireError:
                continue
            if reply is None:
                break
            found.append(reply)
    return found


def assert_holds(vector: Vector) -> None:
    if vector in QUESTIONS:
        assert wire.Codec().encode(vector.fields["word"]) == vector.bytes
    else:
        assert read(vector, vector.bytes) == [meant(vector)]


def holds(vector: Vector) -> bool:
    try:
        assert_holds(vector)
    except (AssertionError, LookupError, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", **named(VECTORS))
def test_a_telegram_is_the_manuals_bytes(vector: Vector) -> None:
    assert_holds(vector)


@pytest.mark.parametrize("vector", **named(ANSWERS))
def test_an_answer_may_be_cut_anywhere_and_end_with_cr_or_lf_alone(vector: Vector) -> None:
    data, wanted = vector.bytes, [meant(vector)]
    assert read(vector, *(bytes((byte,)) for byte in data)) == wanted
    for at in range(1, len(data)):
        assert read(vector, data[:at], data[at:]) == wanted
    assert read(vector, data[:-1]) == wanted
    assert read(vector, data[:-2] + b"\n") == wanted


@pytest.mark.parametrize("vector", **named(ANSWERS))
def test_an_answer_is_found_behind_garbage_and_before_it(vector: Vector) -> None:
    for noise in (b"\xff\x00\r", b"\r\n\n", b"garbage\r\n", b"\x80" * 200 + b"\n"):
        assert read(vector, noise + vector.bytes) == [meant(vector)]
        assert read(vector, vector.bytes + noise) == [meant(vector)]


@pytest.mark.parametrize("vector", **named(DATA))
def test_a_flipped_bit_is_refused_or_a_digit_that_only_a_second_answer_can_show(
    vector: Vector,
) -> None:
    """How the block check is made is not known, so nothing else can."""
    believed = 0
    for at in range(len(vector.bytes) - 2):
        for bit in range(8):
            flipped = bytearray(vector.bytes)
            flipped[at] ^= 1 << bit
            for reply in read(vector, bytes(flipped)):
                believed += isinstance(reply, Data) and reply != meant(vector)
    assert believed <= 60  # of over 500


def test_a_line_without_an_end_is_dropped_when_no_telegram_is_as_long() -> None:
    buffer = bytearray(b"7" * 81)
    with pytest.raises(WireError, match="longer than any telegram"):
        wire.take_line(buffer)
    assert buffer == b""
    short = bytearray(b"7" * 80)
    assert wire.take_line(short) is None
    assert len(short) == 80


def test_every_telegram_of_the_table_has_a_source() -> None:
    assert all(telegram.source.startswith("D177") for telegram in wire.TELEGRAMS.values())


# --- mistakes planted into the table: the vectors alone must find each

Plant = Callable[[pytest.MonkeyPatch], None]


def attribute(name: str, value: object) -> Plant:
    return lambda patch: patch.setattr(wire, name, value)


def entry(table: str, key: str, change: Callable[[Any], Any]) -> Plant:
    honest = getattr(wire, table)
    return lambda patch: patch.setattr(wire, table, {**honest, key: change(honest[key])})


def pattern(word: str, old: str, new: str) -> Plant:
    def change(telegram: wire.Telegram) -> wire.Telegram:
        assert old in telegram.pattern
        return wire.Telegram(
            telegram.word, telegram.meaning, telegram.pattern.replace(old, new), telegram.source
        )

    return entry("TELEGRAMS", word, change)


PLANTED: dict[str, Plant] = {
    "a line ends with LF alone": attribute("END", b"\n"),
    "the two channels swapped": pattern("D", "?P<one>", "?P<x>"),
    "the flags one bit off": attribute("FLAGS", ("nothing", *wire.FLAGS[:-1])),
    "the overload flags forgotten": attribute("FLAGS", wire.FLAGS[::-1]),
    "the serial has five characters": pattern("SER", "{6}", "{5}"),
    "no blank behind MULTIDOS": pattern("PTW", "MULTIDOS ", "MULTIDOS"),
    "a dose rate alone is a unit": pattern("DU", ")?|C|A", ")|C|A"),
    "the mode is one more digit": pattern("D", "[01]", r"\d\d"),
    "RUN is no status": pattern("S", "|RUN", ""),
    "E03 is unknown": lambda patch: patch.delitem(wire.ERRORS, "E03"),
    "an overload is 0": attribute("_value", lambda text: 0.0 if "0L" in text else float(text)),
    "mantissa without exponent": attribute("_value", lambda text: float(text[:6])),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_mistake_is_found_by_the_vectors(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert any(not holds(vector) for vector in VECTORS)


# --- driver and desk


class FakeMeter:
    """A dose that grows by 1 uGy a second while it runs."""

    identity, serial, unit = "3.10Gy", "000123", "Gy"

    def __init__(self) -> None:
        self.status, self.mode = "RES", 0
        self.started_us, self.held_us = 0, 0
        self.keys: list[str] = []

    def data(self, t_us: int) -> Data:
        end_us = t_us if self.status == "RUN" else self.held_us
        seconds = (end_us - self.started_us) / 1e6
        return Data(
            mode=self.mode,
            elapsed_s=int(seconds * 2) / 2,
            status=self.status,
            flags=(),
            values=(round(seconds * 1e-6, 9), None),
        )

    def key(self, t_us: int, word: str) -> bool:
        self.keys.append(word)
        if word == "STA":
            if self.mode == 1:
                return False
            self.status, self.started_us = "RUN", t_us
        elif word == "HLD":
            self.status, self.held_us = "HLD", t_us
        elif word in ("M0", "M1"):
            self.mode = int(word[1])
        return True


class Line:
    def __init__(self) -> None:
        unit_end, self._device_end = pipe(baud=38400)
        self.meter = FakeMeter()
        self.driver, self.desk = Driver(unit_end), Desk(self.meter)
        self.t_us = 0
        self.mute = False
        self.edit: Callable[[bytes], bytes] = lambda data: data

    def run(self, ms: int) -> MeterSample:
        for _ in range(ms // 5):
            self.t_us += 5_000
            now = Now(self.t_us)
            self.desk.receive(now, self._device_end.read(self.t_us))
            leaving = self.desk.poll(now)
            if leaving and not self.mute:
                self._device_end.write(self.t_us, self.edit(leaving))
            self.driver.read(now)
            self.driver.write(now)
        return self.driver.sample


def test_a_meter_is_named_then_read() -> None:
    sample = Line().run(1_000)
    assert (sample.link_ok, sample.model, sample.serial) == (True, "MULTIDOS 3.10 Gy", "000123")
    assert sample.status == "RES"
    assert sample.channels == (Channel(value=0.0, unit="Gy"), Channel(value=None, unit="Gy"))
    assert not sample.settled


def test_a_dose_is_settled_when_the_meter_holds_and_says_it_twice() -> None:
    line = Line()
    line.run(1_000)
    line.driver.order("STA")
    assert line.run(2_000).status == "RUN"
    assert not line.driver.sample.settled
    line.driver.order("HLD")
    held = line.run(1_000)
    assert held.settled
    assert held.channels[0].value == line.meter.data(0).values[0]
    assert line.meter.keys == ["STA", "HLD"]


def test_a_dose_that_a_flipped_digit_made_is_not_settled() -> None:
    line = Line()
    line.run(1_000)
    line.meter.key(line.t_us, "STA")
    line.run(1_000)
    line.meter.key(line.t_us, "HLD")
    answers = iter(range(10_000))
    line.edit = lambda data: data.replace(b"E-06", b"E-0%d" % (next(answers) % 2 + 5))
    assert not line.run(3_000).settled


def test_the_meters_no_is_told_with_its_meaning() -> None:
    line = Line()
    line.run(1_000)
    line.driver.order("M1")
    line.driver.order("STA")
    assert line.run(1_000).refused == "STA: E02: command in wrong context"
    line.desk.in_menu = True
    line.driver.order("RES")
    assert line.run(1_000).refused.startswith("RES: E03")


def test_zeroing_is_waited_for_its_28_seconds() -> None:
    line = Line()
    line.run(1_000)
    line.driver.order("NUL")
    line.run(27_000)
    assert line.driver.sample.link_ok
    before_us = line.driver.sample.taken_us
    line.run(2_000)
    assert line.driver.sample.taken_us > before_us
    assert line.meter.keys == ["NUL"]


def test_a_meter_that_falls_silent_is_lost_and_named_anew_when_it_is_back() -> None:
    line = Line()
    line.run(1_000)
    line.mute = True
    lost = line.run(4_000)
    assert (lost.link_ok, lost.channels, lost.serial) == (False, (), "")
    line.mute = False
    line.meter.serial = "000777"
    assert line.run(3_000).serial == "000777"


def asked(desk: Desk, data: bytes) -> bytes:
    desk.receive(Now(0), data)
    return desk.poll(Now(30_000_000))


def test_the_device_answers_as_its_manual_says_and_one_question_at_a_time() -> None:
    desk = Desk(FakeMeter())
    assert asked(desk, b"S\r\n") == b"SRES\r\n"
    assert asked(desk, b"XYZ\r\n") == b"E01\r\n"
    assert asked(desk, b"\xff\xfe\r\nSER\r\n") == b"SER000123\r\n"
    assert asked(desk, b"SER\r\nPTW\r\n") == b"SER000123\r\n"  # the second was lost
    assert asked(desk, b"SE") == b""


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="known: RES, STA"):
        Line().driver.order("BR")
