"""Line-oriented generators against bytes from their sources; cut anywhere, every bit flipped."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import product
from typing import Any

import pytest

from hal.generators import CodecOnlyError, names, open_desk, open_generator, open_listener
from hal.generators.odel import Summed
from hal.line_codec import Ended, Framing, Number, Row, Word
from hal.links import pipe
from hal.ports import Direction, Kind, WireError
from tests.fake_generator import FakeModel
from tests.line_vectors import (
    DRIVERS,
    VECTORS,
    assert_holds,
    codec_of,
    direction_of,
    lines,
    meant,
    module_of,
    row_name,
    texts,
)
from tests.vectors_loader import Vector

TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
EACH: dict[str, Any] = {"argnames": "driver", "argvalues": DRIVERS}
ODEL_UNKNOWN = "refused: unknown command"
SHUTTERS = "shutter 4 open, shutter 3 open"
# What may stand in front of a frame and is told from it, and what may follow.
BEFORE = {"odel": (b"\xff\x00", b"ab\x00", b"a\x03b"), "faxitron": (b"\xff\xff", b"zz\n", b"\r")}
AFTER = (b"", b"\xff\x80", b"\x00")


def before(driver: str, vector: Vector) -> tuple[bytes, ...]:
    """Noise in front of a frame: where nothing marks its start, noise has to end like a frame."""
    if driver in BEFORE and (driver == "odel" or direction_of(vector) is FROM):
        return BEFORE[driver]
    end = {"hamamatsu_c8033": b"> "}.get(driver, vector.bytes[-1:])
    end = vector.bytes[-1:] if direction_of(vector) is TO else end
    return (end, b"zz" + end, b"\x00\xff\n" + end, b"?" * 200 + end)


def flips(data: bytes) -> list[bytes]:
    return [
        data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
        for at in range(len(data))
        for bit in range(8)
    ]


def single(data: bytes) -> tuple[bytes, ...]:
    return tuple(bytes((byte,)) for byte in data)


@pytest.mark.parametrize(**EACH)
def test_a_line_is_the_documents_bytes_both_ways(driver: str) -> None:
    for vector in VECTORS[driver]:
        assert_holds(codec_of(driver), vector)


@pytest.mark.parametrize(**EACH)
def test_every_row_of_a_table_has_a_vector(driver: str) -> None:
    held = {(direction_of(vector), row_name(vector)) for vector in VECTORS[driver]}
    assert held == {(row.direction, row.name) for row in codec_of(driver).rows}


@pytest.mark.parametrize(**EACH)
def test_a_name_or_a_form_stands_in_a_table_once(driver: str) -> None:
    """Two rows of one form have to answer different commands."""
    rows = codec_of(driver).rows
    assert len({(row.direction, row.name) for row in rows}) == len(rows)
    questions = [(row.direction, row.form, to) for row in rows for to in row.to or ("",)]
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize(**EACH)
def test_what_a_reply_answers_is_a_command(driver: str) -> None:
    codec = codec_of(driver)
    commands = {row.name for row in codec.rows if row.direction is TO}
    assert {to for row in codec.rows for to in row.to} <= commands


@pytest.mark.parametrize(**EACH)
def test_a_line_may_be_cut_anywhere(driver: str) -> None:
    codec = codec_of(driver)
    for vector in VECTORS[driver]:
        data, wanted = vector.bytes, [meant(codec, vector)]
        assert lines(codec, vector, *single(data)) == wanted
        for at in range(1, len(data)):
            assert lines(codec, vector, data[:at], data[at:]) == wanted


@pytest.mark.parametrize(**EACH)
def test_a_line_is_found_between_garbage(driver: str) -> None:
    codec = codec_of(driver)
    for vector in VECTORS[driver]:
        for noise, after in product(before(driver, vector), AFTER):
            noisy = noise + vector.bytes + after
            assert lines(codec, vector, noisy)[-1] == meant(codec, vector)
            assert lines(codec, vector, *single(noisy)) == lines(codec, vector, noisy)


@pytest.mark.parametrize(**EACH)
def test_after_a_line_with_garbage_in_it_the_line_after_next_is_sound(driver: str) -> None:
    """Not always the next: where an end was spoilt and no start is marked, it takes that along."""
    codec = codec_of(driver)
    for vector in VECTORS[driver]:
        data = vector.bytes
        for at in range(len(data)):
            spoilt = data[:at] + b"\x07" + data[at:]
            assert lines(codec, vector, spoilt + data + data)[-1] == meant(codec, vector)


@pytest.mark.parametrize(**EACH)
def test_a_line_with_any_bit_flipped_is_never_taken_for_itself(driver: str) -> None:
    """Where there is no checksum it may be taken for another: set-points have to be read back."""
    codec = codec_of(driver)
    for vector in VECTORS[driver]:
        for flipped in flips(vector.bytes):
            assert meant(codec, vector) not in lines(codec, vector, flipped)


def test_the_sum_refuses_every_flipped_bit() -> None:
    """But for a lone NAK, which the sum does not cover."""
    codec = codec_of("odel")
    for vector in VECTORS["odel"]:
        for flipped in flips(vector.bytes):
            assert [t for t in texts(codec, direction_of(vector), flipped) if t != "NAK"] == []


@pytest.mark.parametrize(
    ("packet", "text"),
    [("40 40 40 40 03 03", "@@@@"), ("40 40 40 52 03 15", "@@@R")],
)
def test_a_sum_may_look_like_etx_or_nak(packet: str, text: str) -> None:
    """protocol reference 6 [C]: "after ETX always consume exactly one byte"."""
    codec, data = codec_of("odel"), bytes.fromhex(packet)
    assert texts(codec, FROM, data + data) == [text, text]
    assert texts(codec, FROM, *single(data + data)) == [text, text]


def test_a_packet_may_hold_several_replies() -> None:
    """protocol reference 6 [V]: "replies may be a space-separated list"; SUM added up by hand."""
    packet = bytes.fromhex("53 54 30 30 32 20 45 52 32 31 33 03 89")
    (heard,) = open_listener("odel").feed(FROM, 0, packet)
    assert (heard.kind, heard.text) == (Kind.REPLY, "status 2 (standby), refused: bad data")
    (heard,) = open_listener("odel").feed(TO, 0, packet)
    assert heard.kind is Kind.UNKNOWN


def test_a_packet_of_100_bytes_is_taken_and_one_more_is_not() -> None:
    longest, longer = Summed().frame("X" * 98), Summed().frame("X" * 99)
    codec = codec_of("odel")
    assert texts(codec, FROM, longest) == ["X" * 98]
    assert texts(codec, FROM, longer, longest) == ["X" * 98]
    assert texts(codec, FROM, *single(longer + longest)) == ["X" * 98]


@pytest.mark.parametrize(**EACH)
def test_a_line_without_end_never_fills_the_memory(driver: str) -> None:
    codec = codec_of(driver)
    for direction in Direction:
        buffer = bytearray()
        for _ in range(400):
            buffer += b"?" * 10
            for _ in range(10):
                with suppress(WireError):
                    assert codec.take(direction, buffer) is None
            assert len(buffer) <= 110


@pytest.mark.parametrize(**EACH)
def test_lines_do_not_depend_on_how_the_stream_is_cut(driver: str) -> None:
    """Vectors, halves of vectors and noise, in one stream: whole, in single bytes, in pieces."""
    codec, chance = codec_of(driver), random.Random(20)
    for direction in Direction:
        known = [v.bytes for v in VECTORS[driver] if direction_of(v) is direction]
        for _ in range(30):
            stream = b"".join(piece(chance, known) for _ in range(25))
            whole = texts(codec, direction, stream)
            assert texts(codec, direction, *single(stream)) == whole
            assert texts(codec, direction, *pieces(chance, stream)) == whole


def piece(chance: random.Random, known: list[bytes]) -> bytes:
    data = chance.choice(known)
    kind = chance.randrange(5)
    if kind == 0:
        return data[: chance.randrange(len(data))]
    if kind == 1:
        return chance.randbytes(chance.randrange(1, 6))
    return b"?" * chance.randrange(200) if kind == 2 and chance.random() < 0.3 else data


def pieces(chance: random.Random, stream: bytes) -> list[bytes]:
    cuts = sorted(chance.randrange(len(stream)) for _ in range(9))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "name", "value", "range_"),
    [
        ("faxitron", "set tube voltage", 36, "10-35 kV"),
        ("faxitron", "set tube voltage", 9, "10-35 kV"),
        ("faxitron", "set time", 0, "0.1-999.9 s"),
        ("hamamatsu_c8033", "set voltage", 130.1, "0-130 kV"),
        ("isodebyeflex", "set tube current", 81, "2-80 mA"),
        ("isodebyeflex", "open shutter", 5, "1-4"),
        ("odel", "workstation", 7, "1-6"),
        ("technix", "set voltage", 4096, "0-4095"),
        ("yolong_portable", "set tube current", -1, "0 or more mA"),
        ("yolong_portable", "set tube current", "50", "0 or more mA"),
        ("yolong_portable", "set tube current", float("inf"), "0 or more mA"),
        ("yolong_portable", "set tube current", float("nan"), "0 or more mA"),
    ],
)
def test_a_value_outside_the_table_is_refused_with_its_range(
    driver: str, name: str, value: float | str, range_: str
) -> None:
    codec = codec_of(driver)
    with pytest.raises(ValueError, match=f"^{name}: must be {range_}"):
        codec.encode(codec.row(TO, name), value)


def test_a_value_with_more_digits_than_the_wire_has_is_refused() -> None:
    codec = codec_of("isovolt")
    with pytest.raises(ValueError, match="set tube voltage: must have fewer digits, got 1000"):
        codec.encode(codec.row(TO, "set tube voltage"), 1000)


def test_a_word_outside_the_table_is_refused_with_those_that_are_in_it() -> None:
    codec = codec_of("faxitron")
    with pytest.raises(ValueError, match="state: must be W or D or R, got 'X'"):
        codec.encode(codec.row(FROM, "state"), "X")
    with pytest.raises(ValueError, match="must be text, got ''"):
        Word().write("")


def test_a_count_of_values_that_does_not_fit_is_refused() -> None:
    codec = codec_of("isovolt")
    with pytest.raises(ValueError, match="warm-up"):
        codec.encode(codec.row(TO, "warm-up"), 4)


@pytest.mark.parametrize(
    ("driver", "direction", "text"),
    [
        ("yolong_portable", TO, "KVN"),
        ("yolong_portable", TO, "KVN80.5"),
        ("yolong_portable", TO, "kvn80"),
        ("yolong_portable", TO, "KVN123456789"),
        ("yolong_portable", FROM, "KVN80"),
        ("yolong_stationary", FROM, "MXS.5"),
        ("odel", TO, "WS7"),
        ("odel", TO, "WS12"),
        ("odel", FROM, "ST2"),
        ("technix", FROM, "a14096"),
        ("technix", FROM, "E256"),
        ("technix", TO, "P5,2"),
        ("isodebyeflex", FROM, "*40"),  # to what?
        ("isodebyeflex", TO, "SV:61"),
        ("faxitron", TO, "!V9"),
        ("faxitron", FROM, "?SX"),
        ("hamamatsu_c8033", FROM, "READY"),  # to what?
        ("hamamatsu_c8033", TO, "HIV 1301"),
    ],
)
def test_what_the_table_does_not_have_is_no_line(
    driver: str, direction: Direction, text: str
) -> None:
    with pytest.raises(WireError, match="not in the table"):
        codec_of(driver).read(direction, text)


def test_an_answer_is_not_read_as_that_to_another_question() -> None:
    codec = codec_of("isodebyeflex")
    assert codec.read(FROM, "*64", "status 1?").text == "status 1 64 (HV on)"
    assert codec.read(FROM, "*64", "actual voltage?").text == "actual voltage 64 kV"
    with pytest.raises(WireError):
        codec.read(FROM, "*64", "HV on")


def test_a_lost_question_mark_makes_a_state_the_end_of_a_beam() -> None:
    """Nothing on Faxitron's wire can show it: one of the reasons why no beam is made with it."""
    assert texts(codec_of("faxitron"), FROM, b"?SR\r") == ["?SR"]
    assert texts(codec_of("faxitron"), FROM, b"SR\r") == ["S"]


@pytest.mark.parametrize("framing", [Ended(end=b"\r"), Ended(start=b"\n", end=b"\r")])
def test_the_longest_line_is_taken_and_one_byte_more_is_not(framing: Framing) -> None:
    longest, longer = framing.frame("X" * 80), framing.frame("X" * 81)
    assert framing.take(bytearray(longest)) == "X" * 80
    buffer = bytearray(longer + longest)
    with pytest.raises(WireError, match="too long a line"):
        framing.take(buffer)
    assert framing.take(buffer) == "X" * 80


def test_an_empty_buffer_holds_no_line() -> None:
    for driver in DRIVERS:
        for direction in Direction:
            assert codec_of(driver).take(direction, bytearray()) is None


# --- told in words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "command", "reply", "told"),
    [
        ("yolong_portable", "MAN500", "MAS500", ("set tube current 50 mA", "tube current 50 mA")),
        ("yolong_stationary", "MXN0.5", "MXS2.5", ("set charge 0.5 mAs", "charge 2.5 mAs")),
        ("odel", "ST", "ST002", ("status?", "status 2 (standby)")),
        ("odel", "ST", "ST007", ("status?", "status 7")),
        ("odel", "ET3", "ER???", ("unknown: 'ET3' is not in the table", ODEL_UNKNOWN)),
        ("odel", "ET0", "ER107", ("technique: kV, mA, time", "error 107")),
        ("odel", "ET0", "ER213", ("technique: kV, mA, time", "refused: bad data")),
        ("technix", "E", "E132", ("status?", "status 132 (interlock open, inhibit)")),
        ("technix", "E", "E0", ("status?", "status 0 (none)")),
        ("technix", "a1", "a12047", ("voltage?", "voltage 2047 of 4095")),
        ("isodebyeflex", "SR:04", "*68", ("status 4?", f"status 4 68 ({SHUTTERS})")),
        ("isovolt", "WU:4,030", "OK", ("warm-up 4 30", "reply OK")),
        ("faxitron", "?S", "?SD", ("state?", "state D (door open)")),
        ("faxitron", "?D", "?DDX-50", ("device?", "device DX-50")),
        ("hamamatsu_c8033", "SHV", "HIV 0.0kV", ("voltage?", "voltage 0 kV")),
        ("hamamatsu_c8033", "DAG", "AGING 3 1 YET", ("aging steps?", "aging steps 3 1 YET")),
        ("hamamatsu_c8033", "SAG", "AGING OFF", ("aging?", "aging OFF")),
    ],
)  # fmt: skip
def test_a_conversation_is_told(
    driver: str, command: str, reply: str, told: tuple[str, str]
) -> None:
    codec, listener = codec_of(driver), open_listener(driver)
    heard = listener.feed(TO, 1_000, codec.frame(TO, command))
    heard += listener.feed(FROM, 4_000, codec.frame(FROM, reply))
    assert tuple(h.text for h in heard) == told
    assert [h.t_us for h in heard] == [1_000, 4_000]


def test_a_reply_is_told_by_the_newest_question_that_it_can_answer() -> None:
    codec, listener = codec_of("hamamatsu_c8033"), open_listener("hamamatsu_c8033")
    for command in ("SRL", "STS", "SRB", "XOF"):  # the first two are never answered
        listener.feed(TO, 0, codec.frame(TO, command))
    told = listener.feed(FROM, 0, b"READY\r\n> XOF\r\n> READY\r\n> ")
    assert [(h.kind, h.text) for h in told] == [
        (Kind.REPLY, "readiness READY"),
        (Kind.REPLY, "X-ray off"),
        (Kind.UNKNOWN, "unknown: 'READY' is not in the table"),
    ]


@pytest.mark.parametrize(
    ("driver", "beam", "stop"),
    [
        ("yolong_portable", {"PRI", "XRII", "XRIO"}, {"PRO", "XROO"}),
        ("yolong_stationary", {"PRI", "XRII", "XRIO"}, {"PRO", "XROO"}),
        ("odel", set(), set()),
        ("technix", {"P5,1", "P5,0", "P8,0"}, {"P6,1", "P6,0", "P7,1", "P8,1"}),
        ("isodebyeflex", {"HV:1", "OS:{}"}, {"HV:0", "CS:{}"}),
        ("isovolt", {"HV:1", "WU:{},{}"}, {"HV:0"}),
        ("faxitron", {"!B", "C"}, {"A"}),
        ("hamamatsu_c8033", {"XON", "AGN {} {}"}, {"XOF"}),
    ],
)
def test_the_table_marks_what_makes_and_what_ends_a_beam(
    driver: str, beam: set[str], stop: set[str]
) -> None:
    rows = codec_of(driver).rows
    assert {row.form for row in rows if row.kind is Kind.BEAM} == beam
    assert {row.form for row in rows if row.kind is Kind.STOP} == stop


# --- what a bench may do with them ---------------------------------------------------------------


@pytest.mark.parametrize(**EACH)
def test_a_codec_only_generator_makes_no_beam_and_says_why(driver: str) -> None:
    module = module_of(driver)
    said = f"{driver}: codec only: {module.CODEC_ONLY}; dxrig will not make a beam with it"
    assert module.DRIVES_BEAM is False
    for refused in (
        lambda: open_generator(driver, pipe()[0]),
        lambda: open_desk(driver, FakeModel()),
    ):
        with pytest.raises(CodecOnlyError) as told:
            refused()
        assert str(told.value) == said


def test_a_helper_is_no_driver() -> None:
    assert set(DRIVERS) < set(names())
    assert not [name for name in names() if name.startswith("_") or name == "yolong"]
    with pytest.raises(ValueError, match="no generator driver named '_yolong'"):
        open_listener("_yolong")


def test_a_row_says_its_direction_by_its_kind() -> None:
    row = Row(name="x", form="X{}", kind=Kind.REPLY, values=(Number(),), source="none")
    assert row.direction is FROM
