"""The IXS wire against bytes from its documents; both ways, cut anywhere, every bit flipped."""

from __future__ import annotations

from typing import Any

import pytest

from hal.generators.vj_ixs_wire import (
    COMMANDS,
    LONGEST_TEXT_BYTES,
    Codec,
    Monitor,
    Question,
    Reply,
    frame,
    parse_command,
    parse_reply,
    question,
    take_text,
)
from hal.ports import WireError
from tests.vectors_loader import Vector, load

VECTORS = load("vj_ixs")
SENT = [vector for vector in VECTORS if "command" in vector.fields]
ANSWERED = [vector for vector in VECTORS if "to" in vector.fields]


def named(vectors: list[Vector]) -> dict[str, Any]:
    return {"argvalues": vectors, "ids": [vector.name for vector in vectors]}


def asked(vector: Vector) -> Question:
    return question(vector.fields["command"], vector.fields.get("value"))


def meant(vector: Vector) -> Reply:
    reply = vector.fields["reply"]
    if isinstance(reply, dict):
        return Monitor(**reply)
    return tuple(reply) if isinstance(reply, list) else reply


def decoded(vector: Vector, *chunks: bytes) -> list[Reply]:
    """All that the client makes of these chunks while it waits for the vector's reply."""
    buffer, replies = bytearray(), []
    for chunk in chunks:
        buffer += chunk
        while buffer:
            try:
                reply = Codec().decode(parse_command(vector.fields["to"]), buffer)
            except WireError:
                continue
            if reply is None:
                break
            replies.append(reply)
    return replies


def flips(data: bytes) -> list[bytes]:
    return [
        data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
        for at in range(len(data))
        for bit in range(8)
    ]


def test_every_vector_is_a_command_or_a_reply() -> None:
    assert len(SENT) + len(ANSWERED) == len(VECTORS)


def test_every_command_of_the_table_has_a_vector() -> None:
    assert {vector.fields["command"] for vector in SENT} == set(COMMANDS)


@pytest.mark.parametrize("vector", **named(SENT))
def test_a_command_is_the_documents_bytes_both_ways(vector: Vector) -> None:
    assert Codec().encode(asked(vector)) == vector.bytes
    text = take_text(bytearray(vector.bytes))
    assert text is not None
    assert parse_command(text) == asked(vector)


@pytest.mark.parametrize("vector", **named(ANSWERED))
def test_a_reply_means_what_the_document_says(vector: Vector) -> None:
    buffer = bytearray(vector.bytes)
    assert Codec().decode(parse_command(vector.fields["to"]), buffer) == meant(vector)
    assert buffer == b""


@pytest.mark.parametrize("vector", **named(ANSWERED))
def test_a_reply_may_be_cut_anywhere(vector: Vector) -> None:
    data, wanted = vector.bytes, [meant(vector)]
    assert decoded(vector, *(bytes((byte,)) for byte in data)) == wanted
    for at in range(1, len(data)):
        assert decoded(vector, data[:at], data[at:]) == wanted


@pytest.mark.parametrize("vector", **named(ANSWERED))
def test_a_reply_is_found_between_garbage(vector: Vector) -> None:
    data, wanted = vector.bytes, [meant(vector)]
    for before in (b"\r", b"ab\r", b"\x00\xff", b"\x02", b"\x02VP08", b"\x02?\r", b"\x02\x80\r"):
        for after in (b"", b"\r", b"zz", b"\xff\x02"):
            noisy = before + data + after
            assert decoded(vector, noisy) == wanted
            assert decoded(vector, *(bytes((byte,)) for byte in noisy)) == wanted


@pytest.mark.parametrize("vector", **named(ANSWERED))
def test_a_reply_with_any_bit_flipped_is_refused_or_reads_differently(vector: Vector) -> None:
    """Set commands are then caught by comparing the echo; queries have no such check."""
    for flipped in flips(vector.bytes):
        assert meant(vector) not in decoded(vector, flipped)


@pytest.mark.parametrize("vector", **named(SENT))
def test_a_command_with_any_bit_flipped_is_never_taken_for_itself(vector: Vector) -> None:
    for flipped in flips(vector.bytes):
        buffer = bytearray(flipped)
        try:
            text = take_text(buffer)
            assert text is None or parse_command(text) != asked(vector)
        except WireError:
            pass


def test_one_flipped_bit_turns_a_status_around() -> None:
    """The wire has no checksum: this can't be seen, so no single status may be trusted long."""
    buffer = bytearray(b"\x02\x31\r".replace(b"\x31", bytes((0x31 ^ 1,))))
    assert Codec().decode(question("STAT"), buffer) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VP", "VP800"),
        ("VP", "VP08000"),
        ("VP", "CP0800"),
        ("VP", "0800"),
        ("ENBL", "ENBL"),
        ("CLR", "CLR0"),
        ("STAT", "2"),
        ("STAT", "10"),
        ("STAT", ""),
        ("PTST", "5"),
        ("WDTE", "ok"),
        ("MNUM", "IXS120BP120P36"),
        ("SNUM", "S17085-A000011"),
        ("FREV", "200"),
        ("FLT", "0 0 0 0 0 0 0 0 0 0"),
        ("FLT", "0 0 0 0 0 0 0 0 0 0 0 0 0"),
        ("FLT", "0 0 0 0 0 0 0 0 2 0 0"),
        ("FLT", "00000000000"),
        ("MON", "0799 02000 0254 1850"),
        ("MON", "0799 02000 0254 1850 2462 0"),
        ("MON", "0799  2000 0254 1850 2462"),
        ("MON", "-799 02000 0254 1850 2462"),
    ],
)
def test_a_text_of_another_form_is_no_reply(name: str, text: str) -> None:
    with pytest.raises(WireError, match=name):
        parse_reply(COMMANDS[name], text)


@pytest.mark.parametrize("name", ["MON", "MOD"])
@pytest.mark.parametrize("oil", ["0254", "+0254"])
def test_both_dialects_take_a_temperature_with_and_without_sign(name: str, oil: str) -> None:
    reply = parse_reply(COMMANDS[name], f"0799 02000 {oil} 1850 2462")
    assert isinstance(reply, Monitor)
    assert reply.oil_c == 25.4


@pytest.mark.parametrize("name", ["FLT", "FLD"])
@pytest.mark.parametrize("count", [11, 12])
def test_both_dialects_take_11_and_12_fault_bits(name: str, count: int) -> None:
    assert parse_reply(COMMANDS[name], " ".join("0" * count)) == (False,) * count


UNDEFINED = ("VP", "VP12", "VP1201", "CP10001", "PTM61", "PTM5", "WDOG31", "WDOG", "ENBL2", "STAT1")


@pytest.mark.parametrize("text", ["", "VP 800", "XYZ", "vp0800", *UNDEFINED])
def test_a_device_refuses_what_the_document_does_not_define(text: str) -> None:
    with pytest.raises(WireError):
        parse_command(text)


def test_the_watchdog_takes_one_digit_or_two() -> None:
    assert parse_command("WDOG5") == parse_command("WDOG05") == question("WDOG", 5)


@pytest.mark.parametrize(
    ("name", "value"), [("VP", 120.1), ("VP", -1.0), ("OT", 1000.0), ("PTM", 61), ("ENBL", 2)]
)
def test_a_value_outside_the_table_is_refused_with_its_range(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0-"):
        question(name, value)


def test_a_line_without_end_is_dropped() -> None:
    buffer = bytearray(frame("X" * (LONGEST_TEXT_BYTES + 1))[:-1])
    with pytest.raises(WireError, match="longer than any frame"):
        take_text(buffer)
    assert buffer == b""


def test_the_longest_frame_is_taken_and_one_byte_more_is_not() -> None:
    assert take_text(bytearray(frame("X" * LONGEST_TEXT_BYTES))) == "X" * LONGEST_TEXT_BYTES
    buffer = bytearray(frame("X" * (LONGEST_TEXT_BYTES + 1)) + frame("OK"))
    with pytest.raises(WireError, match="longer than any frame"):
        take_text(buffer)
    assert take_text(buffer) == "OK"


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x0A, 0x1F, 0x7F, 0x80, 0xFF])
def test_bytes_that_are_no_text_are_refused(byte: int) -> None:
    buffer = bytearray((0x02, byte, 0x0D)) + frame("OK")
    with pytest.raises(WireError, match="no text"):
        take_text(buffer)
    assert take_text(buffer) == "OK"
