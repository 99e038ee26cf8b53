"""hal/modbus.py against bytes from outside (tests/vectors), whole, cut, dirty and flipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import modbus
from hal.modbus import (
    ModbusException,
    Question,
    ReadCoils,
    ReadHolding,
    ReadInputs,
    Reply,
    RtuClientCodec,
    TcpClientCodec,
    WriteCoil,
    Written,
)
from hal.modbus_server import ModbusServer, RefusedError, RtuServerFramer, TcpServerFramer
from hal.now import Now
from hal.ports import WireError
from tests.vectors_loader import Vector, load

FILES = ("modbus", "waveshare", "adam", "iologik", "genix3d")
EVERY = [vector for file in FILES for vector in load(file)]
CRCS = [v for v in EVERY if "crc" in v.fields]
QUESTIONS = [v for v in EVERY if v.fields.get("side") in ("question", "both")]
REPLIES = [v for v in EVERY if v.fields.get("side") in ("reply", "both")]

questions = pytest.mark.parametrize("vector", QUESTIONS, ids=str)
replies = pytest.mark.parametrize("vector", REPLIES, ids=str)

Codec = RtuClientCodec | TcpClientCodec


# --- what a vector says -------------------------------------------------------------------------


def question_of(vector: Vector) -> Question:
    ask = dict(vector.fields["ask"])
    kind = getattr(modbus, ask.pop("kind"))
    asked: Question = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in ask.items()})
    return asked


def reply_of(vector: Vector) -> Reply:
    says = vector.fields["says"]
    if says == "written":
        return Written()
    if isinstance(says, dict):
        function = question_of(vector).request().function_code
        return ModbusException(function=function, code=says["exception"])
    return tuple(says)


def is_rtu(vector: Vector) -> bool:
    return bool(vector.fields["wire"] == "rtu")


def device_of(vector: Vector) -> int:
    return vector.bytes[0] if is_rtu(vector) else vector.bytes[6]


def id_of(vector: Vector) -> int:
    return int.from_bytes(vector.bytes[:2], "big")


def codec_for(vector: Vector) -> Codec:
    if is_rtu(vector):
        return RtuClientCodec(device_id=device_of(vector))
    return TcpClientCodec(device_id=device_of(vector), last_transaction_id=id_of(vector) - 1)


def pdu_of(vector: Vector) -> bytes:
    return vector.bytes[1:-2] if is_rtu(vector) else vector.bytes[7:]


def heard(codec: Codec, question: Question, pieces: Sequence[bytes]) -> list[Reply]:
    """Every reply that the pieces contain for one question, as hal.exchange would find them."""
    buffer, found = bytearray(), []
    for piece in pieces:
        buffer += piece
        while buffer:
            try:
                reply = codec.decode(question, buffer)
            except WireError:
                continue
            if reply is None:
                break
            found.append(reply)
    return found


def asked(vector: Vector) -> tuple[Codec, Question]:
    codec, question = codec_for(vector), question_of(vector)
    codec.encode(question)
    return codec, question


def cuts(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [bytes([byte]) for byte in data]
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(flipped)


class Table:
    """Says what it is told to; remembers what it was told."""

    def __init__(self, says: Any = ()) -> None:
        self.says = says
        self.written: list[tuple[Any, ...]] = []

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        self._refuse()
        return [bool(bit) for bit in self.says]

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        self._refuse()
        return list(self.says)

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        self._refuse()
        self.written.append((address, value))

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None:
        self._refuse()
        self.written.append((address, tuple(closed)))

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None:
        self._refuse()
        self.written.append((address, tuple(values)))

    def _refuse(self) -> None:
        if isinstance(self.says, dict):
            raise RefusedError(self.says["exception"])


def served(server: ModbusServer, *pieces: bytes) -> list[bytes]:
    """The replies, after a silence that ends every RTU request."""
    answers = [answer for piece in pieces for answer in server.feed(Now(0), piece)]
    return answers + server.feed(Now(1_000_000), b"")


def server_for(vector: Vector, table: Table) -> ModbusServer:
    return ModbusServer(table, device_id=device_of(vector), rtu=is_rtu(vector))


# --- vectors, both ways -------------------------------------------------------------------------


@pytest.mark.parametrize("vector", CRCS, ids=str)
def test_the_crc_is_that_of_the_catalogue(vector: Vector) -> None:
    assert modbus.crc(vector.bytes) == bytes.fromhex(vector.fields["crc"])


@questions
def test_a_question_is_encoded_as_the_document_shows_it(vector: Vector) -> None:
    assert codec_for(vector).encode(question_of(vector)) == vector.bytes


@pytest.mark.req("F57")
@questions
def test_a_server_finds_the_question_however_it_is_cut(vector: Vector) -> None:
    for pieces in cuts(vector.bytes):
        framer = RtuServerFramer(9600) if is_rtu(vector) else TcpServerFramer()
        found = [request for piece in pieces for request in framer.feed(Now(0), piece)]
        found += framer.feed(Now(1_000_000), b"")
        assert [(r.device_id, r.pdu) for r in found] == [(device_of(vector), pdu_of(vector))]


@questions
def test_a_server_hands_on_exactly_what_was_written(vector: Vector) -> None:
    table = Table(says=[0] * 40)
    served(server_for(vector, table), vector.bytes)
    ask = vector.fields["ask"]
    expected = [] if ask["kind"].startswith("Read") else [(ask["address"], raw_value(ask))]
    assert table.written == expected


def raw_value(ask: dict[str, Any]) -> int | tuple[int, ...]:
    match ask:
        case {"kind": "WriteCoil", "closed": closed}:
            return 0xFF00 if closed else 0x0000
        case {"kind": "PulseCoil", "count": count}:
            return int(count)
        case {"value": value}:
            return (value,)
        case {"closed": values} | {"values": values}:
            return tuple(values)
    raise AssertionError(ask)


@pytest.mark.req("F57")
@replies
def test_a_reply_is_understood_however_it_is_cut(vector: Vector) -> None:
    for pieces in cuts(vector.bytes):
        codec, question = asked(vector)
        assert heard(codec, question, pieces) == [reply_of(vector)]


@replies
def test_a_server_answers_as_the_document_shows_it(vector: Vector) -> None:
    codec = codec_for(vector)
    server = server_for(vector, Table(vector.fields["says"]))
    assert served(server, codec.encode(question_of(vector))) == [vector.bytes]


@replies
@pytest.mark.parametrize("junk", ["00", "ff ff ff", "01", "11 01", "00 01 00 00 00 06 01 02"])
def test_a_reply_is_found_behind_and_before_garbage(vector: Vector, junk: str) -> None:
    garbage = bytes.fromhex(junk)
    for pieces in cuts(garbage + vector.bytes + garbage):
        codec, question = asked(vector)
        assert heard(codec, question, pieces) == [reply_of(vector)]


@replies
def test_a_reply_is_found_behind_its_own_beginning(vector: Vector) -> None:
    """On TCP up to its data only: there nothing but the transport guards the data."""
    unguarded = set() if is_rtu(vector) else data_bytes(vector)
    for count_bytes in range(1, min(unguarded, default=len(vector.bytes))):
        codec, question = asked(vector)
        stream = vector.bytes[:count_bytes] + vector.bytes
        assert heard(codec, question, [stream]) == [reply_of(vector)]


# --- every bit flipped ----------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [v for v in REPLIES if is_rtu(v)], ids=str)
def test_no_rtu_reply_with_a_flipped_bit_is_believed(vector: Vector) -> None:
    codec, question = asked(vector)
    for _, flipped in flips(vector.bytes):
        assert heard(codec, question, [flipped]) == []


@pytest.mark.parametrize("vector", [v for v in QUESTIONS if is_rtu(v)], ids=str)
def test_no_rtu_request_with_a_flipped_bit_is_served(vector: Vector) -> None:
    table = Table(says=[0] * 40)
    for _, flipped in flips(vector.bytes):
        assert served(server_for(vector, table), flipped) == []
    assert table.written == []


def data_bytes(vector: Vector) -> set[int]:
    """Where a TCP reply carries what the question can't foretell."""
    says = vector.fields["says"]
    if says == "written":
        return set()
    return {8} if isinstance(says, dict) else set(range(9, len(vector.bytes)))


@pytest.mark.parametrize("vector", [v for v in REPLIES if not is_rtu(v)], ids=str)
def test_in_a_tcp_reply_only_data_can_flip_unseen(vector: Vector) -> None:
    codec, question = asked(vector)
    believed = {at for at, flipped in flips(vector.bytes) if heard(codec, question, [flipped])}
    assert believed == data_bytes(vector)


SINGLE_WRITES = ("WriteCoil", "PulseCoil", "WriteRegister")


@pytest.mark.parametrize(
    "vector",
    [v for v in QUESTIONS if not is_rtu(v) and v.fields["ask"]["kind"] in SINGLE_WRITES],
    ids=str,
)
def test_a_flipped_bit_in_a_tcp_write_is_caught_by_its_echo(vector: Vector) -> None:
    """FC15 and FC16 echo no values: their flips show in a read-back only."""
    codec, question = asked(vector)
    for _, flipped in flips(vector.bytes):
        answers = served(server_for(vector, Table()), flipped)
        assert Written() not in heard(codec, question, answers)


# --- what pymodbus's own framers let through (design, section 5) --------------------------------

INPUTS = ReadInputs(address=0, count=8)
GOOD_RTU = bytes.fromhex("01 02 01 05 61 8b")
GOOD_TCP = bytes.fromhex("00 05 00 00 00 04 01 02 01 05")
BITS = (1, 0, 1, 0, 0, 0, 0, 0)


def tcp_codec() -> TcpClientCodec:
    """Its question about the inputs has id 5."""
    codec = TcpClientCodec(device_id=1, last_transaction_id=4)
    codec.encode(INPUTS)
    return codec


@pytest.mark.req("F59")
def test_a_good_rtu_reply_behind_garbage_is_not_swallowed() -> None:
    codec = RtuClientCodec(device_id=1)
    assert heard(codec, INPUTS, [bytes.fromhex("01 02 03") + GOOD_RTU]) == [BITS]


@pytest.mark.req("F59")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("00 00 00 00 00 04 01 02 01 05", id="transaction id 0"),
        pytest.param("00 04 00 00 00 04 01 02 01 05", id="the previous transaction id"),
        pytest.param("00 05 00 01 00 04 01 02 01 05", id="protocol id 1"),
        pytest.param("00 05 00 00 00 04 02 02 01 05", id="another unit"),
        pytest.param("00 05 00 00 00 04 01 01 01 05", id="another function"),
        pytest.param("00 05 00 00 00 03 01 81 02", id="an exception to another function"),
        pytest.param("00 05 00 00 00 03 01 82 00", id="exception 0, which is none"),
        pytest.param("00 05 00 00 00 04 01 02 02 05", id="byte count above the data"),
        pytest.param("00 05 00 00 00 05 01 02 02 05 00", id="more bytes than asked for"),
        pytest.param("00 05 00 00 00 03 01 02 01", id="short PDU"),
        pytest.param("00 05 00 00 00 02 01 02", id="no PDU but the function"),
        pytest.param("00 05 00 00 00 01 01", id="length 1"),
        pytest.param("00 05 00 00 00 00", id="length 0"),
        pytest.param("00 05 00 00 01 2c 01 02 01 05", id="length 300"),
        pytest.param("00 05 00 00 ff ff 01 02 01 05", id="length 65535"),
    ],
)
def test_a_wrong_tcp_reply_is_rejected_and_the_good_one_behind_it_found(wrong: str) -> None:
    for pieces in cuts(bytes.fromhex(wrong)):
        assert heard(tcp_codec(), INPUTS, pieces) == []
    for pieces in cuts(bytes.fromhex(wrong) + GOOD_TCP):
        assert heard(tcp_codec(), INPUTS, pieces) == [BITS]


@pytest.mark.req("F59")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("02 02 01 05 61 cf", id="another unit"),
        pytest.param("01 01 01 05 91 8b", id="another function"),
        pytest.param("01 82 00 40 a0", id="exception 0, which is none"),
        pytest.param("01 02 02 05 61 7b", id="byte count above the data"),
        pytest.param("01 02 01 05 61 8c", id="bad CRC"),
        pytest.param("01 02 ff", id="a length that never comes"),
    ],
)
def test_a_wrong_rtu_reply_is_rejected_and_the_good_one_behind_it_found(wrong: str) -> None:
    codec = RtuClientCodec(device_id=1)
    for pieces in cuts(bytes.fromhex(wrong)):
        assert heard(codec, INPUTS, pieces) == []
    for pieces in cuts(bytes.fromhex(wrong) + GOOD_RTU):
        assert heard(codec, INPUTS, pieces) == [BITS]


def test_an_illegal_length_is_reported_and_not_waited_for() -> None:
    buffer = bytearray(bytes.fromhex("00 05 00 00 ff ff 01 02 01 05"))
    with pytest.raises(WireError, match="not the reply that was asked for: 00"):
        tcp_codec().decode(INPUTS, buffer)
    assert len(buffer) == 9


def test_a_rejected_reply_never_leaves_the_buffer_as_it_was() -> None:
    """hal.exchange would clear everything then, good bytes too."""
    buffer = bytearray(b"\xff" * 40)
    while True:
        before_bytes = len(buffer)
        try:
            assert tcp_codec().decode(INPUTS, buffer) is None
            break
        except WireError:
            assert len(buffer) < before_bytes
    assert len(buffer) == 9  # what may still be the beginning of a reply


def test_transaction_ids_count_from_1_to_65535() -> None:
    codec = TcpClientCodec(device_id=1, last_transaction_id=0xFFFE)
    ids = [codec.encode(INPUTS)[:2].hex() for _ in range(3)]
    assert ids == ["ffff", "0001", "0002"]
    assert TcpClientCodec(device_id=1).encode(INPUTS)[:2].hex() == "0001"


def test_an_overtaken_question_still_knows_its_transaction_id() -> None:
    codec = tcp_codec()
    off = WriteCoil(address=3, closed=False)
    codec.encode(off)  # id 6, sent while 5 was unanswered
    stray = bytes.fromhex("00 06 00 00 00 06 01 05 00 03 00 00")
    assert heard(codec, INPUTS, [GOOD_TCP]) == [BITS]
    codec.encode(off)  # id 7
    assert heard(codec, off, [stray]) == []
    assert heard(codec, off, [stray + stray[:1] + b"\x07" + stray[2:]]) == [Written()]


def test_reading_the_same_bits_as_coils_and_as_inputs_are_two_questions() -> None:
    asked_of_coils: Question = ReadCoils(address=0, count=8)
    assert asked_of_coils != ReadInputs(address=0, count=8)


# --- server -----------------------------------------------------------------------------------


def tcp_answer(request: str, table: Table | None = None) -> str:
    server = ModbusServer(table or Table(), device_id=1)
    return b"".join(server.feed(Now(0), bytes.fromhex(request))).hex(" ")


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        pytest.param("00 01 00 00 00 02 01 07", "87 01", id="read exception status"),
        pytest.param("00 01 00 00 00 05 01 2b 0e 01 00", "ab 01", id="device identification"),
        pytest.param("00 01 00 00 00 06 01 02 00 00 00 00", "82 03", id="no inputs"),
        pytest.param("00 01 00 00 00 06 01 01 00 00 07 d1", "81 03", id="2001 coils"),
        pytest.param("00 01 00 00 00 06 01 03 00 00 00 7e", "83 03", id="126 registers"),
        pytest.param("00 01 00 00 00 04 01 02 00 00", "82 03", id="short read"),
        pytest.param("00 01 00 00 00 07 01 05 00 00 ff 00 00", "85 03", id="long write"),
        pytest.param("00 01 00 00 00 07 01 0f 00 00 00 08 01", "8f 03", id="coils missing"),
        pytest.param("00 01 00 00 00 08 01 0f 00 00 00 08 02 ff", "8f 03", id="wrong byte count"),
        pytest.param("00 01 00 00 00 07 01 10 00 00 00 00 00", "90 03", id="no registers"),
        pytest.param("00 01 00 00 00 09 01 10 00 00 00 01 01 00 03", "90 03", id="half a register"),
    ],
)
def test_a_server_refuses_with_the_exception_that_fits(request_bytes: str, code: str) -> None:
    assert tcp_answer(request_bytes) == f"00 01 00 00 00 03 01 {code}"


def test_the_tables_own_refusal_becomes_an_exception() -> None:
    table = Table({"exception": 2})
    assert tcp_answer("00 02 00 00 00 06 01 05 00 10 ff 00", table) == "00 02 00 00 00 03 01 85 02"
    assert table.written == []


def test_on_tcp_another_unit_id_is_told_that_nobody_is_there() -> None:
    assert tcp_answer("00 01 00 00 00 06 02 02 00 00 00 08") == "00 01 00 00 00 03 02 82 0b"


def test_on_rtu_another_unit_id_is_met_with_silence() -> None:
    table = Table()
    server = ModbusServer(table, device_id=2, rtu=True)
    assert served(server, bytes.fromhex("01 05 00 00 ff 00 8c 3a")) == []
    assert table.written == []


def test_an_rtu_broadcast_is_done_and_not_answered() -> None:
    table = Table()
    body = bytes.fromhex("00 05 00 00 ff 00")
    assert served(ModbusServer(table, rtu=True), body + modbus.crc(body)) == []
    assert table.written == [(0, 0xFF00)]


def test_an_rtu_request_ends_at_three_and_a_half_characters_of_silence() -> None:
    framer = RtuServerFramer(9600)
    now = Now(1_000_000)
    assert framer.feed(now, bytes.fromhex("01 02 00 00 00 08 79 cc")) == []
    assert now.next_us == 1_004_010  # 3.5 x 11 bits at 9600 baud
    assert framer.feed(Now(1_004_009), b"") == []
    assert [r.pdu.hex(" ") for r in framer.feed(Now(1_004_010), b"")] == ["02 00 00 00 08"]
    assert modbus.silence_us(115200) == 1750


def test_a_silence_inside_an_rtu_request_drops_both_halves() -> None:
    framer = RtuServerFramer(9600)
    frame = bytes.fromhex("01 02 00 00 00 08 79 cc")
    assert framer.feed(Now(0), frame[:4]) == []
    assert framer.feed(Now(5_000), b"") == []
    assert framer.feed(Now(5_001), frame[4:]) == []
    assert framer.feed(Now(10_000), b"") == []
    assert framer.feed(Now(11_000), frame) == []
    assert len(framer.feed(Now(16_000), b"")) == 1


def test_an_endless_burst_is_no_request_and_takes_no_memory() -> None:
    framer = RtuServerFramer(9600)
    for t_us in range(1000):
        assert framer.feed(Now(t_us), b"\x01" * 100) == []
    assert framer.feed(Now(1_000_000), b"") == []
    assert framer.feed(Now(1_000_001), b"") == []


def test_two_tcp_requests_in_one_read_are_two_answers() -> None:
    one = bytes.fromhex("00 01 00 00 00 06 01 02 00 00 00 08")
    two = bytes.fromhex("00 02 00 00 00 06 01 02 00 00 00 08")
    answers = ModbusServer(Table(BITS)).feed(Now(0), one + two)
    assert [a.hex(" ") for a in answers] == [
        "00 01 00 00 00 04 01 02 01 05",
        "00 02 00 00 00 04 01 02 01 05",
    ]


def test_a_tcp_server_finds_the_request_behind_garbage() -> None:
    good = bytes.fromhex("00 01 00 00 00 06 01 02 00 00 00 08")
    for pieces in cuts(b"\xff\xff\xff" + good):
        server = ModbusServer(Table(BITS))
        answers = [a for piece in pieces for a in server.feed(Now(0), piece)]
        assert [a.hex(" ") for a in answers] == ["00 01 00 00 00 04 01 02 01 05"]


@pytest.mark.req("F59")
@pytest.mark.parametrize("size", ["00 00", "00 01", "00 ff", "ff ff"])
def test_a_tcp_server_does_not_wait_for_an_illegal_length(size: str) -> None:
    good = bytes.fromhex("00 02 00 00 00 06 01 02 00 00 00 08")
    server = ModbusServer(Table(BITS))
    answers = server.feed(Now(0), bytes.fromhex(f"00 01 00 00 {size} 01") + good)
    assert [a.hex(" ") for a in answers] == ["00 02 00 00 00 04 01 02 01 05"]


# --- anything at all ------------------------------------------------------------------------------


@given(garbage=st.binary(max_size=24), sizes=st.lists(st.integers(1, 7), max_size=40))
def test_how_a_stream_is_cut_changes_nothing(garbage: bytes, sizes: list[int]) -> None:
    stream = garbage + GOOD_TCP
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    whole = heard(tcp_codec(), INPUTS, [stream])
    assert heard(tcp_codec(), INPUTS, [*pieces, stream[at:]]) == whole
    assert BITS in whole


@given(garbage=st.binary(max_size=24))
def test_an_rtu_reply_survives_any_garbage_before_it(garbage: bytes) -> None:
    codec = RtuClientCodec(device_id=1)
    assert heard(codec, INPUTS, [garbage + GOOD_RTU])[-1] == BITS


@given(pieces=st.lists(st.binary(max_size=20), max_size=10), rtu=st.booleans())
def test_no_bytes_whatever_stop_a_server(pieces: list[bytes], rtu: bool) -> None:
    server = ModbusServer(Table(says=[0] * 2000), rtu=rtu)
    served(server, *pieces)


@given(pdu=st.binary(min_size=1, max_size=253))
def test_every_framed_request_gets_one_answer_of_its_function(pdu: bytes) -> None:
    head = b"\x00\x09\x00\x00" + (len(pdu) + 1).to_bytes(2, "big") + b"\x01"
    answers = ModbusServer(Table(says=[0] * 125)).feed(Now(0), head + pdu)
    assert len(answers) == 1
    assert answers[0][:4] == b"\x00\x09\x00\x00"
    assert answers[0][7] & 0x7F == pdu[0] & 0x7F


@given(data=st.binary(max_size=60))
def test_no_reply_is_invented(data: bytes) -> None:
    question = ReadHolding(address=0x6B, count=3)
    codec = TcpClientCodec(device_id=0x11, last_transaction_id=0x1233)
    codec.encode(question)
    for reply in heard(codec, question, [data]):
        assert b"\x12\x34\x00\x00" in data
        assert isinstance(reply, (tuple, ModbusException))
