"""The Spellman wire against bytes from outside; both ways, cut anywhere, every bit flipped."""

from __future__ import annotations

import contextlib
from itertools import combinations, product

import pytest

from hal.generators import spellman_tables as tables
from hal.generators.spellman_faults import Fault, faults_of, status_of
from hal.generators.spellman_framing import (
    ETX,
    LONGEST_BODY_BYTES,
    STX,
    Dsp,
    Framing,
    Hex,
    Letters,
    checksum,
)
from hal.generators.spellman_identity import fitting, harmless, mismatch
from hal.generators.spellman_opcodes import (
    Codec,
    Does,
    Field,
    Model,
    Opcode,
    OutOfRangeError,
    Question,
    Reply,
    Scale,
    split,
)
from hal.generators.spellman_tables import (
    CODEC_ONLY_MODELS,
    MODELS,
    PMX,
    SLM,
    ST,
    UX,
    UXMAN,
    XRB011,
    XRV,
)
from hal.ports import WireError
from tests.spellman_vectors import (
    ANSWERED,
    OLD,
    SCALE,
    SENT,
    VECTORS,
    answered,
    asked,
    assert_answered,
    assert_means,
    assert_sent,
    codec_of,
    framing_of,
    model_of,
)
from tests.test_vj_ixs_wire import flips
from tests.vectors_loader import Vector

SERIAL = [vector for vector in ANSWERED if framing_of(vector).checksum != "none"]


def replies(vector: Vector, *chunks: bytes) -> list[Reply]:
    """All that the asking side makes of these chunks while it waits for the vector's reply."""
    buffer, found = bytearray(), []
    for chunk in chunks:
        buffer += chunk
        while buffer:
            try:
                reply = codec_of(vector).decode(answered(vector), buffer)
            except WireError:
                continue
            if reply is None:
                break
            found.append(reply)
    return found


# --- the vectors


def test_every_vector_is_a_command_or_a_reply() -> None:
    assert len(SENT) + len(ANSWERED) == len(VECTORS)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_opcode_of_every_table_has_a_vector(model: Model) -> None:
    sent = {v.fields["command"] for v in SENT if model_of(v) is model}
    told = {v.fields["to"] for v in ANSWERED if model_of(v) is model}
    assert sent == set(model.by_name)
    assert {row.name for row in model.opcodes if row.does is Does.ASK} <= told


def test_no_number_and_no_name_stands_twice_in_a_table() -> None:
    for model in MODELS.values():
        assert len(model.opcodes) == len(model.by_name) == len(model.by_number)


@pytest.mark.parametrize("model", MODELS)
def test_a_command_is_the_bytes_of_its_source_both_ways(model: str) -> None:
    for vector in (v for v in SENT if v.fields["model"] == model):
        assert_sent(vector)


@pytest.mark.parametrize("model", MODELS)
def test_a_reply_means_what_its_source_says(model: str) -> None:
    for vector in (v for v in ANSWERED if v.fields["model"] == model):
        assert_answered(vector)


def test_a_reply_may_be_cut_anywhere() -> None:
    for vector in ANSWERED:
        whole = replies(vector, vector.bytes)
        assert len(whole) == 1
        assert replies(vector, *(bytes((byte,)) for byte in vector.bytes)) == whole
        for at in range(1, len(vector.bytes)):
            assert replies(vector, vector.bytes[:at], vector.bytes[at:]) == whole


def test_a_reply_is_found_between_garbage() -> None:
    """A bare error has no mark at its beginning that could end a frame before it."""
    for vector in (v for v in ANSWERED if not v.fields.get("error", "").startswith("E#")):
        for before, after in product((b"\x03", b"zz\x03", b"\x00\xff", b"\x0222", b"\x02\x80,\x03"),
                                     (b"", b"\x03", b"zz", b"\xff\x02")):  # fmt: skip
            found = replies(vector, before + vector.bytes + after)
            assert found == replies(vector, vector.bytes), (vector.name, before, after)


@pytest.mark.parametrize("vector", OLD, ids=str)
def test_the_older_families_have_their_own_frames(vector: Vector) -> None:
    framing: Framing = Letters() if vector.fields["family"] == 2 else Hex()
    text = vector.fields["text"]
    assert framing.take(bytearray(vector.bytes)) == text
    if "only_read" not in vector.fields:
        assert framing.frame(text) == vector.bytes
    for at in range(1, len(vector.bytes)):
        buffer = bytearray(vector.bytes[:at])
        assert framing.take(buffer) is None
        buffer += vector.bytes[at:]
        assert framing.take(buffer) == text


# --- what the checksum sees, and what it doesn't


def seen_by_checksum(frame: bytes) -> bool:
    try:
        return Dsp().take(bytearray(frame)) is None
    except WireError:
        return True


def test_every_single_flipped_bit_but_those_of_bits_6_and_7_is_seen() -> None:
    """Bit 6 of a sum is overwritten and bit 7 cut off: no checksum of this family knows them."""
    blind = {}
    for vector in VECTORS:
        if framing_of(vector).checksum == "none":
            continue
        for index, flipped in enumerate(flips(vector.bytes)):
            if not seen_by_checksum(flipped):
                blind[index % 8] = flipped
    assert set(blind) == {6}  # bit 7 makes it no text


def test_a_flipped_bit_6_of_a_digit_is_a_letter_and_no_number() -> None:
    for vector in (v for v in SENT if v.fields["values"]):
        for flipped in flips(vector.bytes):
            if seen_by_checksum(flipped):
                continue
            text = Dsp().take(bytearray(flipped))
            assert text is not None
            with pytest.raises(WireError):
                model_of(vector).read(text)


def test_a_flipped_reply_is_refused_or_reads_differently_unless_it_is_text() -> None:
    for vector in SERIAL:
        if "texts" in vector.fields:
            continue
        right = replies(vector, vector.bytes)
        for flipped in flips(vector.bytes):
            for reply in replies(vector, flipped):
                assert [reply] != right


def test_a_text_with_bit_6_flipped_passes_and_is_another_text() -> None:
    """An identity is compared whole, so it is seen there."""
    identity = next(v for v in SERIAL if "texts" in v.fields)
    passed = [found for f in flips(identity.bytes) for found in replies(identity, f)]
    assert passed
    assert all(list(reply.texts) != identity.fields["texts"] for reply in passed)


def test_transposed_digits_pass_the_checksum() -> None:
    """50.0 kV and 85.2 kV of 160 (3.3): only the read-back sees it."""
    right, wrong = b"10,1280,", b"10,2180,"
    assert checksum(right) == checksum(wrong) == 0x7C


def test_a_checksum_is_never_a_comma_and_may_be_del() -> None:
    sums = {checksum(bytes((0x30, 0x30, 0x2C, digit, 0x2C))) for digit in range(0x20, 0x7F)}
    assert min(sums) >= 0x40
    assert max(sums) == 0x7F
    assert Dsp().frame("34,2000,")[-2] == 0x7F


def test_the_exclusive_sum_leaves_the_last_comma_out_where_there_are_arguments() -> None:
    """PSControl.c [R]: a quirk of a unit. 10,1280 sums to 344, `22,` to 144."""
    quirk = Dsp("exclusive")
    assert quirk.frame("10,1280,") == bytes((STX, *b"10,1280,", -344 & 0x7F | 0x40, ETX))
    assert quirk.frame("22,") == Dsp().frame("22,")
    assert quirk.take(bytearray(quirk.frame("10,1280,"))) == "10,1280,"
    with pytest.raises(WireError, match="wrong checksum"):
        quirk.take(bytearray(Dsp().frame("10,1280,")))


def test_a_frame_with_a_checksum_is_none_over_tcp_and_the_other_way_round() -> None:
    for vector in VECTORS:
        if framing_of(vector).checksum == "none":
            continue
        with pytest.raises(WireError):
            Dsp("none").take(bytearray(vector.bytes))
        with pytest.raises(WireError):
            Dsp().take(bytearray(vector.bytes[:-2] + vector.bytes[-1:]))


# --- framing


def dropped_by(framing: Framing, data: bytes, why: str) -> bytes:
    buffer = bytearray(data)
    with pytest.raises(WireError, match=why):
        framing.take(buffer)
    return bytes(buffer)


@pytest.mark.parametrize(
    ("framing", "data", "why", "left"),
    [
        (Dsp(), b"abc", "outside", b""),
        (Dsp(), b"abc\x0222,p\x03", "outside", b"\x0222,p\x03"),
        (Dsp(), b"\x0222,\x0222,p\x03", "without end", b"\x0222,p\x03"),
        (Dsp(), b"\x02\x03", "wrong checksum", b""),
        (Dsp(), b"\x0222p\x03", "wrong checksum", b""),
        (Dsp(), b"\x0222,pp\x03", "wrong checksum", b""),
        (Dsp(), b"\x02\x11,\x7f\x03", "no text", b""),
        (Letters(), b"abc", "outside", b""),
        (Letters(), b"zz\x02FLT;\r\n", "outside", b"\x02FLT;\r\n"),
        (Letters(), b"\x02FLT\r\n", "no text of this family", b""),
        (Letters(), b"\x02FLT;ab\r\n", "no text of this family", b""),
        (Letters(), b"\x02F\xffT;\r\n", "no text of this family", b""),
        (Hex(), b"abc", "outside", b""),
        (Hex(), b"zz\x01V56\r", "outside", b"\x01V56\r"),
        (Hex(), b"\x01V57\r", "wrong checksum", b""),
        (Hex(), b"\x0156\r", "wrong checksum", b""),
        (Hex(), b"\x01\xd66\r", "wrong checksum", b""),
    ],
)
def test_what_is_no_frame_is_dropped_and_no_more(
    framing: Framing, data: bytes, why: str, left: bytes
) -> None:
    assert dropped_by(framing, data, why) == left


def test_an_end_that_never_comes_is_given_up() -> None:
    endless = bytes((STX,)) + b"1" * (LONGEST_BODY_BYTES + 1)
    assert Dsp().take(bytearray(endless)) is None
    assert dropped_by(Dsp(), endless + b"1", "longer") == b""
    late = endless + b"111\x03" + Dsp().frame("22,")
    assert dropped_by(Dsp(), late, "longer") == Dsp().frame("22,")


def test_a_bare_error_is_found_before_a_frame_and_waits_for_its_end() -> None:
    tcp = Dsp("none")
    for part in (b"", b"E", b"E#"):
        buffer = bytearray(part)
        assert tcp.take(buffer) is None
        assert bytes(buffer) == part
    buffer = bytearray(b"E#2\x0222,\x03")
    assert (tcp.take(buffer), tcp.take(buffer)) == ("E#2", "22,")
    assert dropped_by(tcp, b"Ex", "outside") == b""


def test_no_text_of_one_family_is_a_frame_of_another() -> None:
    frames: dict[Framing, bytes] = {
        Dsp(): b"\x0222,p\x03",
        Letters(): b"\x02FLT;\r\n",
        Hex(): b"\x01V56\r",
    }
    for (framing, _), (other, frame) in product(frames.items(), frames.items()):
        if framing != other:
            with contextlib.suppress(WireError):
                assert framing.take(bytearray(frame)) is None


# --- 3.14: an opcode is its model's


@pytest.mark.parametrize(("mine", "other"), [(a, b) for a in MODELS for b in MODELS if a != b])
def test_no_opcode_of_one_model_leaves_for_another(mine: str, other: str) -> None:
    for row in MODELS[mine].opcodes:
        question = Question(MODELS[mine], row, (0,) * len(row.sends))
        with pytest.raises(ValueError, match=f"{mine}'s opcodes never leave for {other}"):
            Codec(MODELS[other], Dsp()).encode(question)


def test_a_name_that_a_model_has_not_can_not_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"a Spellman uX has no 'scaling' \(118153-001"):
        UX.query("scaling")
    with pytest.raises(ValueError, match="a Spellman PMX has no 'hv'"):
        PMX.question("hv", 1, scale=SCALE)
    with pytest.raises(ValueError, match="XRV hv takes 1 values"):
        XRV.query("hv")
    with pytest.raises(ValueError, match="XRV status takes 0 values"):
        XRV.question("status", 1, scale=SCALE)


def test_the_conflicts_of_the_hazard_table_stand_in_the_tables() -> None:
    assert [m.by_number[12].name for m in (XRV, UX)] == [
        "set_filament_limit", "set_filament_preheat",
    ]  # fmt: skip
    assert (XRV.by_number[28].does, XRB011.by_number[28].name) == (Does.ASK, "set_watchdog")
    assert (XRV.by_number[32].name, UX.by_number[32].does) == ("set_focus", Does.ASK)
    assert (ST.by_number[74].name, PMX.by_number[74].name) == ("clear", "set_mas")
    assert (XRV.by_number[98].name, XRB011.by_number[98].does) == ("hv", Does.ASK)
    assert [m.by_number[99].name for m in (UX, XRB011, SLM, ST)] == ["hv", "hv", "remote", "remote"]
    assert (SLM.by_number[50].does, PMX.by_number[50].name) == (Does.ASK, "set_exposure")


def test_one_bit_says_open_on_one_model_and_closed_on_another() -> None:
    def shut(model: Model, text: str) -> bool:
        reply = model.reply(model.query("status"), text)
        return status_of(model, reply).interlock_closed

    assert not shut(UX, "22,0,1,0,")
    assert shut(UX, "22,0,0,0,")
    assert shut(XRV, "22,0,1,1," + "0," * 14)
    assert not shut(XRV, "22,0,1,0," + "0," * 14)
    assert not shut(XRV, "22,0,0,1," + "0," * 14)


# --- who is there?


def test_harmless_opcodes_are_queries_on_every_model() -> None:
    assert harmless() == {
        14, 15, 16, 17, 20, 22, 23, 25, 26, 27, 38, 43, 48, 51, 53, 60, 61, 68, 69, 78, 84,
    }  # fmt: skip
    for number, model in product(harmless(), MODELS.values()):
        row = model.by_number.get(number)
        assert row is None or row.does is Does.ASK
        assert number not in model.unknown


def test_what_is_a_command_or_of_unknown_effect_anywhere_is_not_harmless() -> None:
    named_in_3_14 = {10, 12, 13, 28, 32, 50, 74, 98, 99, 31, 52, 19, 21, 30, 65, 66}
    assert not harmless() & named_in_3_14


def test_a_command_added_to_one_table_takes_its_opcode_from_the_harmless() -> None:
    sets_22 = Model("X", (Opcode(22, "set", Does.SET, "test"),), {}, "test")
    assert 22 not in harmless((*MODELS.values(), sets_22))
    hides_23 = Model("X", (), {}, "test", unknown=frozenset({23}))
    assert 23 not in harmless((*MODELS.values(), hides_23))


def test_the_number_of_values_tells_models_apart() -> None:
    assert fitting(22, 3) == ("uX", "uXMAN")
    assert fitting(22, 17) == ("XRV", "ST")
    assert fitting(22, 26) == ("PMX",)
    assert (fitting(68, 27), fitting(68, 9), fitting(68, 7)) == (("XRV",), ("ST",), ("SLM",))
    assert fitting(23, 2) == ()


def test_a_mismatch_names_both() -> None:
    assert mismatch(XRV, 22, 17) == mismatch(XRV, 23, 9) == ""
    assert mismatch(XRV, 22, 3) == (
        "the bench names a Spellman XRV, but what answers is a Spellman uX or uXMAN: "
        "22 has 3 values, not 17"
    )
    assert "no Spellman that is known here" in mismatch(UX, 22, 5)


def test_the_models_that_drive_a_beam_have_on_off_and_status() -> None:
    assert {m.name for m in MODELS.values() if m.drives_beam} == {"XRV", "uX", "uXMAN"}
    assert {"hv", "status", "faults", "monitor", "get_kv", "get_ma", "clear"} <= set(XRV.by_name)
    assert CODEC_ONLY_MODELS == ("SLM", "ST", "ESL", "XRB011", "PMX", "695", "X2364")
    assert tables.MONOBLOCK_695_FAULTS[7] == "watchdog"


# --- replies that are none


@pytest.mark.parametrize(
    ("model", "name", "text", "words"),
    [
        (XRV, "status", "68,0,", "no reply to '22,'"),
        (XRV, "status", "22,1,1,", "2 values for status of XRV, not 17 to 17"),
        (XRV, "status", "22," + "2," * 17, "hv_on 2 is not 0-1"),
        (XRV, "status", "22," + "x," * 17, "no number"),
        (XRV, "faults", "68," + "0," * 33, "33 values for faults of XRV, not 27 to 32"),
        (XRV, "get_kv", "14,4096,", "kv 4096 is not 0-4095"),
        (XRV, "get_kv", "14,-1,", "kv -1 is not"),
        (XRV, "status", "2,1,", "no opcode"),
        (XRV, "status", "022,1,", "no opcode"),
        (XRV, "status", "", "no opcode"),
        (UX, "status", "22,1,1,1,1,", "4 values for status of uX"),
        (UX, "faults", "32,1,1,1,1,", "4 values for faults of uX, not 5 to 12"),
    ],
)
def test_an_answer_of_another_form_is_none(model: Model, name: str, text: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        model.reply(model.query(name), text)


@pytest.mark.parametrize(
    ("model", "name", "text", "words"),
    [
        (XRV, "hv", "98,7,", "7 (not in its manual)"),
        (XRV, "hv", "98,", " (not in its manual)"),
        (UX, "set_kv", "10,1,", "1 (out of range)"),
        (UX, "monitor", "20,1,", "1 (out of range)"),
        (UXMAN, "set_kv", "E#2", "E#2 (interlock)"),
        (ST, "set_kv", "10,!,4,", "!,4 (packet overrun)"),
        (PMX, "set_mas", "74,9,", "9 (X-ray is on)"),
        (PMX, "set_mas", "74,5,", "5 (refused, value ignored)"),
    ],
)
def test_a_refusal_is_told_in_words(model: Model, name: str, text: str, words: str) -> None:
    reply = model.reply(Question(model, model.by_name[name]), text)
    assert (reply.accepted, reply.error) == (False, words)


@pytest.mark.parametrize("text", ["10,", "10,1,2,", "10,x,", "11,-1,", "77,", "10,1234567,", "x"])
def test_a_device_ignores_what_its_table_does_not_have(text: str) -> None:
    with pytest.raises(WireError) as error:
        XRV.read(text)
    assert not isinstance(error.value, OutOfRangeError)


@pytest.mark.parametrize("text", ["10,4096,", "07,6,", "07,0,", "98,2,"])
def test_a_value_beyond_its_field_is_known_as_that(text: str) -> None:
    with pytest.raises(OutOfRangeError):
        XRV.read(text)


@pytest.mark.parametrize(("first", "second"), [("42", "042"), ("042", "0042")])
def test_numbers_may_have_leading_zeros(first: str, second: str) -> None:
    assert XRV.read(f"10,{first},") == XRV.read(f"10,{second},")


def test_a_value_outside_its_field_is_refused_with_the_range_in_its_unit() -> None:
    with pytest.raises(ValueError, match=r"kv must be 0-160 kV, got 160.1"):
        XRV.question("set_kv", 160.1, scale=SCALE)
    with pytest.raises(ValueError, match=r"kv must be 0-50 kV, got 60"):
        XRV.question("set_kv", 60, scale=Scale(kv=50.0, ma=1.0))
    with pytest.raises(ValueError, match=r"ms must be 2000-5000 ms, got 1999"):
        PMX.question("set_ready_time", 1999, scale=SCALE)


def test_split_keeps_empty_values() -> None:
    assert split("10,,1,") == (10, ("", "1"))


# --- flags to faults


def told(model: Model, *on: int, count: int) -> tuple[Fault, ...]:
    text = "".join(f"{int(at in on)}," for at in range(count))
    number = model.by_name["faults"].number
    return faults_of(model, model.reply(model.query("faults"), f"{number},{text}"))


def test_flags_become_our_codes_with_their_number_and_name() -> None:
    assert told(XRV, count=27) == ()
    assert told(XRV, 2, 21, count=27) == (
        Fault("OVER_VOLTAGE", "flag 2 over_voltage"), Fault("GENERATOR_FAULT", "flag 21 watchdog"),
    )  # fmt: skip
    assert told(XRV, 11, count=27)[0].code == told(XRV, 12, count=27)[0].code == "ARC"
    assert told(UX, 3, count=7) == (Fault("OVER_VOLTAGE", "flag 3 over_voltage"),)


def test_a_flag_that_no_document_names_is_unknown_by_its_number() -> None:
    assert told(XRV, 29, count=30) == (Fault("GENERATOR_UNKNOWN", "flag 29"),)
    assert told(UX, 8, count=9) == (Fault("GENERATOR_UNKNOWN", "flag 8"),)


def test_states_in_the_list_of_a_ux_are_no_faults() -> None:
    assert told(UX, 0, 1, count=7) == ()


# --- every corruption of a set-point that a line may make


def settings_of(frame: bytes) -> Question | None:
    """What the device takes this frame for; None: it ignores it."""
    try:
        text = Dsp().take(bytearray(frame))
        return None if text is None else XRV.read(text)
    except WireError:
        return None


def corrupted(frame: bytes) -> set[bytes]:
    """Every byte another, every pair of bits flipped, every pair of digits others or swapped."""
    found = set()
    for at in range(len(frame)):
        found |= {frame[:at] + bytes((byte,)) + frame[at + 1 :] for byte in range(256)}
    bits = [(at, bit) for at in range(len(frame)) for bit in range(8)]
    for (a, i), (b, j) in combinations(bits, 2):
        made = bytearray(frame)
        made[a] ^= 1 << i
        made[b] ^= 1 << j
        found.add(bytes(made))
    digits = [at for at, byte in enumerate(frame[:-2]) if chr(byte).isdigit()]
    for a, b in combinations(digits, 2):
        for first, second in product(b"0123456789", repeat=2):
            made = bytearray(frame)
            made[a], made[b] = first, second
            found.add(bytes(made))
    return found - {frame}


@pytest.mark.req("SR-05")
def test_no_corruption_of_a_set_point_starts_a_beam_or_switches_a_protection() -> None:
    """What passes is another number, or the other set-point: those are read back."""
    passed = [
        (settings_of(made), value)
        for value in (1280, 68, 2048, 4095)
        for number in (10, 11)
        for made in corrupted(Dsp().frame(f"{number},{value},"))
    ]
    taken = [(question, value) for question, value in passed if question is not None]
    assert len(taken) > 100
    assert {q.opcode.name for q, _ in taken} <= {
        "set_kv", "set_ma", "set_filament_limit", "set_filament_preheat",
    }  # fmt: skip


def test_fields_without_a_scale_are_counts() -> None:
    assert Field("counts").value(1768, SCALE) == 1768


def test_vectors_meaning_is_not_lost_in_the_helpers() -> None:
    """A helper that compares nothing would let every vector through."""
    kv = next(v for v in ANSWERED if v.fields["to"] == "get_kv" and model_of(v) is XRV)
    with pytest.raises(AssertionError):
        assert_means(kv, Reply(("9",), (9.0,)))
    assert asked(SENT[0]).model is model_of(SENT[0])
