"""The R2CP wire against bytes from its reference; both ways, cut anywhere, every bit flipped."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from hal.generators import r2cp_layouts as layouts
from hal.generators import r2cp_wire as wire
from hal.generators.r2cp_block import Assembler, packets
from hal.generators.r2cp_layouts import Field, Points, State
from hal.generators.r2cp_wire import ENTRIES, Frame, Function, Node, Question
from hal.ports import WireError
from tests.r2cp_vectors import RECORDS, VECTORS, assert_holds, frame_of, record_of
from tests.vectors_loader import Vector

BYTES = {vector.name: vector.bytes for vector in VECTORS}
ALL: dict[str, Any] = {"argvalues": VECTORS, "ids": [vector.name for vector in VECTORS]}
OTHER = BYTES["databank 1 query"]


def found(*chunks: bytes) -> list[Frame]:
    """All that a reader makes of these chunks."""
    buffer = bytearray()
    frames: list[Frame] = []
    for chunk in chunks:
        buffer += chunk
        frames += wire.frames_of(buffer)
    return frames


def flips(data: bytes) -> list[bytes]:
    return [
        data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
        for at in range(len(data))
        for bit in range(8)
    ]


@pytest.mark.parametrize("vector", **ALL)
def test_a_frame_is_the_references_bytes_both_ways(vector: Vector) -> None:
    assert_holds(vector)


@pytest.mark.parametrize("vector", **ALL)
def test_a_frame_may_be_cut_anywhere(vector: Vector) -> None:
    """The program that the reference was read from drops a frame that a read has cut."""
    data, wanted = vector.bytes, [frame_of(vector)]
    assert found(*(bytes((byte,)) for byte in data)) == wanted
    for at in range(1, len(data)):
        assert found(data[:at], data[at:]) == wanted


@pytest.mark.parametrize("vector", **ALL)
def test_frames_may_come_together(vector: Vector) -> None:
    one = frame_of(vector)
    assert found(vector.bytes + OTHER + vector.bytes)[::2] == [one, one]


@pytest.mark.parametrize("vector", **ALL)
def test_a_frame_is_found_between_garbage(vector: Vector) -> None:
    data, wanted = vector.bytes, [frame_of(vector)]
    for before in (
        b"\x00",
        b"ab\r",
        b"\x00\xff\x7f",
        b"\x11" * 9,
        data[:5],
        data[1:8],
        b"\xff" * 40,
    ):
        for after in (b"", b"\x00", b"~\r\x80", b"\xff" * 20):
            noisy = before + data + after
            assert found(noisy) == wanted
            assert found(*(bytes((byte,)) for byte in noisy)) == wanted


@pytest.mark.parametrize("vector", **ALL)
def test_a_frame_with_any_bit_flipped_is_refused_or_another_one(vector: Vector) -> None:
    """There is no checksum: the driver's read-back has to see the rest."""
    record = record_of(vector)
    for flipped in flips(vector.bytes):
        frames = found(flipped)
        assert frame_of(vector) not in frames
        for frame in frames:
            if record is not None and frame.data != vector.bytes[8:]:
                with suppress(WireError):
                    assert getattr(layouts, RECORDS[record[0]][1])(frame.data) != record[1]


def test_most_flips_of_a_header_are_refused() -> None:
    """Of 56 flips behind the sequence, 14 make another node or another entry without a length."""
    taken = [f for f in flips(BYTES["status: Standby, heat 12, 8, 3 %"])[8 : 8 * 8] if found(f)]
    assert len(taken) == 14


def test_every_entry_of_the_table_has_a_vector() -> None:
    without = {
        "serial",
        "description",
        "acceptance",
        "battery",
    }  # no layout is known, or never asked
    assert {vector.fields["entry"] for vector in VECTORS} == set(ENTRIES) - without


def test_layouts_have_no_holes_and_their_entrys_length() -> None:
    sizes = {"databank": 27, "status": 14, "post": 21, "message": 10, "procedure": 16}
    tables = (
        layouts.DATABANK, layouts.STATUS, layouts.POST_EXPOSURE, layouts.MESSAGE, layouts.PROCEDURE,
    )  # fmt: skip
    for table, size_bytes in zip(tables, sizes.values(), strict=True):
        at = 0
        for field in table:
            assert field.at_index == at
            at += field.size_bytes
        assert at == size_bytes


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("00 06 11 20 93 02 00 00", "sequence 0"),
        ("01 02 11 20 93 02 00 00", "from node 17 to node 2"),
        ("01 06 07 20 93 02 00 00", "from node 7 to node 6"),
        ("01 06 00 20 93 02 00 00", "from node 0 to node 6"),
        ("01 11 11 20 93 02 00 00", "from node 17 to node 17"),
        ("01 06 11 21 93 02 00 00", "no index 0x21"),
        ("01 06 11 20 93 00 00 00", "no function 0"),
        ("01 06 11 20 93 04 00 00", "no function 4"),
        ("01 06 11 20 50 02 00 65", "101 bytes of data, at most 100"),
        ("01 06 11 20 93 02 00 01", "GET of status with 1 bytes of data, not 0"),
        ("01 06 11 20 0c 01 00 1a", "SET of databank with 26 bytes of data, not 27"),
        ("01 11 06 20 50 0a 00 03", "PROCESSED of an entry with 3 bytes of data, not 2"),
    ],
)
def test_a_header_that_is_none_is_refused_with_its_reason(data: str, why: str) -> None:
    buffer = bytearray(bytes.fromhex(data))
    with pytest.raises(WireError, match=why):
        wire.take_frame(buffer)
    assert len(buffer) == 7


def test_an_entry_that_is_not_known_passes_as_it_is() -> None:
    """A positioner's event must not cost the frame behind it."""
    event = bytes.fromhex("01 11 06 40 07 03 00 03 01 02 03")
    frames = found(event + OTHER)
    assert (frames[0].index, frames[0].subindex, frames[0].data) == (0x40, 7, b"\x01\x02\x03")
    assert len(frames) == 2


def test_the_longest_frame_is_taken() -> None:
    assert found(bytes.fromhex("01 06 11 20 50 02 00 64") + b"\x07" * 100)[0].data == b"\x07" * 100


def test_what_no_frame_can_carry_is_not_written() -> None:
    with pytest.raises(ValueError, match="SET of exposure with 2 bytes"):
        wire.encode(Question("exposure", wire.SET, b"\x01\x00").framed(1))
    with pytest.raises(ValueError, match="sequence 0"):
        wire.encode(wire.START.framed(0))


@pytest.mark.parametrize("sequence", [0, 64, 255])
def test_a_processed_of_no_sequence_is_refused(sequence: int) -> None:
    frame = found(BYTES["processed: OK for sequence 1"][:8] + bytes((sequence, 0)))[0]
    with pytest.raises(WireError, match=f"sequence {sequence}"):
        wire.processed(frame)


def test_a_heartbeat_is_answered_with_the_second_byte_turned_over() -> None:
    asked = found(BYTES["heartbeat query"])[0]
    assert wire.heartbeat_answer(asked) == BYTES["heartbeat answer"][8:]


def test_ready_made_questions_are_the_references_bytes() -> None:
    for question, name in (
        (wire.START, "start exposure"), (wire.STOP, "stop exposure"),
        (wire.ASK_STATUS, "status query"), (wire.ASK_VERSION, "protocol version query"),
        (wire.ASK_MESSAGES, "all messages query"), (wire.USE_V6, "protocol version 6"),
        (wire.ASK_NODE[6], "node status query, generator"),
        (wire.ASK_NODE[17], "node status query, application"),
        (wire.CONNECT, "connection request"),
    ):  # fmt: skip
        assert wire.encode(question.framed(BYTES[name][0])) == BYTES[name]


# --- data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [11, 12, 200, 255])
def test_a_state_without_a_name_is_refused(state: int) -> None:
    data = bytes((state,)) + BYTES["status: Standby, heat 12, 8, 3 %"][9:]
    with pytest.raises(WireError, match=f"state {state}"):
        layouts.read_status(data)


def test_states_and_points_are_those_of_the_reference() -> None:
    assert [state.name for state in State] == [
        "INVALID", "INITIALIZATION", "STANDBY", "PREPARATION", "READY", "EXPOSURE_REQUESTED",
        "EXPOSING", "WAIT_RELEASE", "SHUTDOWN", "ERROR", "SERVICE",
    ]  # fmt: skip
    assert [state.value for state in State] == list(range(11))
    assert (Points.TWO, Points.THREE, Points.FALLING_LOAD) == (2, 3, 4)
    assert (Points.AUTO, Points.TWO_MAX_MS) == (5, 6)


@pytest.mark.parametrize("at", [5, 6, 8])
def test_a_flag_that_is_neither_is_refused(at: int) -> None:
    data = bytearray(BYTES["message 140401 is active"][8:])
    data[at] = 2
    with pytest.raises(WireError, match="= 2"):
        layouts.read_message(bytes(data))


def test_data_of_another_length_are_refused() -> None:
    with pytest.raises(WireError, match="13 bytes where the layout has 14"):
        layouts.read_status(b"\x02" + bytes(12))


@pytest.mark.parametrize(("value", "words"), [(6553.6, "kv must be 0-6553.5 kV"), (-0.1, "kv")])
def test_a_value_that_its_field_cannot_carry_is_refused(value: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layouts.packed((Field("kv", 0, 2, 10, "kV"),), {"kv": value})


def test_the_high_nibble_of_byte_1_is_no_active_message() -> None:
    assert not layouts.Status(state_index=2, messages_index=0x10).has_messages
    assert layouts.Status(state_index=2, messages_index=0x01).has_messages


# --- BLOCK: rule of 4.2; no worked frame exists ----------------------------------------------


def blocks(*data: bytes) -> list[Frame]:
    return [
        Frame(
            sequence_index=number + 1, target=Node.APPLICATION, issuer=Node.GENERATOR, index=0,
            subindex=12, function=Function.BLOCK, data=part,
        )
        for number, part in enumerate(data)
    ]  # fmt: skip


def test_a_block_is_the_rules_packets() -> None:
    data = bytes(range(200)) + b"!"
    parts = packets(Function.ANSWER, data)
    assert parts == [
        b"\xfe\x00\xc9\x03", b"\x00" + data[:99], b"\x01" + data[99:198], b"\xff" + data[198:],
    ]  # fmt: skip
    taker = Assembler()
    whole = [taker.add(frame) for frame in blocks(*parts)]
    assert whole[:3] == [None] * 3
    assert whole[3] is not None
    assert (whole[3].function, whole[3].data) == (Function.ANSWER, data)


def test_a_last_packet_may_be_empty() -> None:
    taker = Assembler()
    *_, whole = (taker.add(f) for f in blocks(b"\xfe\x00\x02\x03", b"\x00ab", b"\xff"))
    assert whole is not None
    assert whole.data == b"ab"
    assert packets(Function.ANSWER, b"") == [b"\xfe\x00\x00\x03", b"\xff"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([b""], "an empty packet"),
        ([b"\x00ab"], "without its first"),
        ([b"\xfe\x00\x04\x03", b"\x01ab"], "packet 1 where 0 was due"),
        ([b"\xfe\x00\x04\x03", b"\x00ab", b"\xffc"], "3 bytes where 4"),
        ([b"\xfe\x00\x04"], "first packet"),
        ([b"\xfe\x01\x2d\x03"], "first packet"),
        ([b"\xfe\x00\x04\x00"], "first packet"),
    ],
)
def test_a_block_out_of_order_is_refused_and_the_next_one_is_taken(
    data: list[bytes], why: str
) -> None:
    taker = Assembler()
    *good, bad = blocks(*data)
    for frame in good:
        assert taker.add(frame) is None
    with pytest.raises(WireError, match=why):
        taker.add(bad)
    with pytest.raises(WireError, match="without its first"):
        taker.add(blocks(b"\xffc")[0])
    *_, whole = (taker.add(frame) for frame in blocks(b"\xfe\x00\x01\x03", b"\xffz"))
    assert whole is not None


def test_a_block_has_at_most_300_bytes() -> None:
    assert len(packets(Function.SET, bytes(300))) == 5
    with pytest.raises(ValueError, match="at most 300"):
        packets(Function.SET, bytes(301))
