"""What stands on a line, told in words: no byte lost, nothing raised, however it is cut."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from hal.generators import names, open_listener
from hal.generators.vj_ixs_wire import COMMANDS, ECHO, Question, frame
from hal.ports import Direction, Heard, Kind, Listener
from hal.room_io import open_listener as open_room_listener
from tests.vectors_loader import Vector, load

TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
OPENED: dict[str, Callable[[], Listener]] = {
    **{name: lambda name=name: open_listener(name) for name in names()},  # type: ignore[misc]
    "waveshare tcp": lambda: open_room_listener("waveshare"),
    "waveshare rtu": lambda: open_room_listener("waveshare", rtu=True),
}
EACH: dict[str, Any] = {"argnames": "opened", "argvalues": OPENED.values(), "ids": list(OPENED)}


def direction_of(vector: Vector) -> Direction:
    fields = vector.fields
    if "issuer" in fields:
        return TO if fields["issuer"] == 17 else FROM
    return TO if "command" in fields or fields.get("side") in ("question", "both") else FROM


KNOWN = {
    direction: [
        vector.bytes
        for name in ("vj_ixs", "r2cp", "modbus", "waveshare", "odel", "technix", "faxitron")
        for vector in load(name)
        if direction_of(vector) is direction
    ]
    for direction in Direction
}


def traffic(chance: random.Random) -> list[tuple[Direction, bytes]]:
    """Frames of several protocols, halves of frames, and noise, both ways."""
    made = []
    for _ in range(60):
        direction = chance.choice(list(Direction))
        data = chance.choice(KNOWN[direction])
        if chance.random() < 0.3:
            data = data[: chance.randrange(len(data))]
        if chance.random() < 0.2:
            data += chance.randbytes(chance.randrange(1, 9))
        made.append((direction, data))
    return made


def hear(listener: Listener, fed: list[tuple[Direction, bytes]], size_bytes: int) -> list[Heard]:
    """Each piece cut into parts of at most `size_bytes`; 0 = whole."""
    heard = []
    for direction, data in fed:
        step = size_bytes or len(data) or 1
        for at in range(0, len(data), step):
            heard += listener.feed(direction, 0, data[at : at + step])
    return heard


def joined(heard: list[Heard]) -> list[tuple[Direction, bytes, Kind, str]]:
    """Noise in one piece, and without its words: these may differ with the cutting."""
    made = []
    for direction in Direction:
        mine = [h for h in heard if h.direction is direction]
        for is_noise, group in groupby(mine, lambda h: h.kind is Kind.NOISE):
            if is_noise:
                made.append((direction, b"".join(h.raw for h in group), Kind.NOISE, ""))
            else:
                made += [(direction, h.raw, h.kind, h.text) for h in group]
    return made


@pytest.mark.parametrize(**EACH)
def test_no_byte_is_lost_and_nothing_raises(opened: Callable[[], Listener]) -> None:
    chance = random.Random(7)
    for _ in range(10):
        listener, fed = opened(), traffic(chance)
        heard = hear(listener, fed, 0) + listener.rest(9)
        for direction in Direction:
            stream = b"".join(data for way, data in fed if way is direction)
            assert b"".join(h.raw for h in heard if h.direction is direction) == stream
        assert all(h.raw and h.text.isprintable() for h in heard)
        assert listener.rest(10) == []


@pytest.mark.parametrize(**EACH)
@pytest.mark.parametrize("size_bytes", [1, 3])
def test_frames_do_not_depend_on_how_the_stream_is_cut(
    opened: Callable[[], Listener], size_bytes: int
) -> None:
    chance = random.Random(8)
    for _ in range(6):
        fed = traffic(chance)
        whole, cut = opened(), opened()
        assert joined(hear(cut, fed, size_bytes)) == joined(hear(whole, fed, 0))


def test_what_waits_for_its_end_is_given_up_as_noise_and_what_stands_behind_is_found() -> None:
    listener = open_room_listener("waveshare", rtu=True)
    good = bytes.fromhex("01 02 01 05 61 8b")
    assert listener.feed(FROM, 5, b"\x01\x01\xf0" + good) == []  # 240 bytes are announced
    first, *more, found = listener.rest(300)
    assert (first.text, first.t_us) == ("unfinished: 01", 300)
    assert {h.kind for h in (first, *more)} == {Kind.NOISE}
    assert b"".join(h.raw for h in (first, *more)) == b"\x01\x01\xf0"
    assert (found.raw, found.kind) == (good, Kind.REPLY)


# --- IXS -------------------------------------------------------------------------------------


def ixs(*said: tuple[Direction, str]) -> list[tuple[Kind, str]]:
    listener = open_listener("vj_ixs")
    heard = [h for way, text in said for h in listener.feed(way, 0, frame(text))]
    return [(h.kind, h.text) for h in heard]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("VP0800", Kind.SET, "tube voltage 80 kV"),
        ("CP02000", Kind.SET, "tube current 0.2 mA"),
        ("OT00500", Kind.SET, "exposure time 5 s"),
        ("OT00000", Kind.ACT, "exposure time 0: continuous"),
        ("PTM05", Kind.SET, "pre-warning time 5 s"),
        ("ENBL1", Kind.BEAM, "start"),
        ("ENBL0", Kind.STOP, "stop"),
        ("STAT", Kind.QUERY, "X-ray on?"),
        ("MON", Kind.QUERY, "monitor?"),
        ("FLT", Kind.QUERY, "fault bits?"),
        ("CLR", Kind.ACT, "clear faults"),
        ("WDOG0", Kind.ACT, "watchdog off"),
        ("WDOG05", Kind.ACT, "watchdog time 5 s"),
        ("CDEN0", Kind.ACT, "temperature cut-off off"),
        ("XYZ", Kind.UNKNOWN, "unknown: 'XYZ' is no command"),
        ("VP80", Kind.UNKNOWN, "unknown: 'VP80': VP takes 4 digits"),
    ],
)
def test_an_ixs_command_is_told_with_what_it_does(text: str, kind: Kind, words: str) -> None:
    assert ixs((TO, text)) == [(kind, words)]


def test_of_all_ixs_commands_four_are_set_points_and_one_starts_a_beam() -> None:
    """With every argument that a command takes: who may send a SET may send all of these."""
    found: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for command in COMMANDS.values():
        for count in (0, 1, command.maximum) if command.digits else (None,):
            question = Question(command, count)
            ((kind, _),) = ixs((TO, question.text))
            found[kind].add(question.text if kind in (Kind.BEAM, Kind.STOP) else command.name)
    assert found[Kind.BEAM] == {"ENBL1"}
    assert found[Kind.STOP] == {"ENBL0"}
    assert found[Kind.SET] == {"VP", "CP", "OT", "PTM"}
    assert found[Kind.ACT] == {"OT", "CLR", "WDOG", "BUZZENBL", "CDEN", "LRAD"}
    assert found[Kind.QUERY] == {n for n, c in COMMANDS.items() if c.form is not ECHO}


@pytest.mark.parametrize(
    ("command", "reply", "words"),
    [
        ("VP0800", "VP0800", "echo: tube voltage 80 kV"),
        ("VP0800", "VP0810", "echo: tube voltage 81 kV, which is not as asked"),
        ("ENBL1", "ENBL1", "started"),
        ("ENBL1", "ENBL0", "not on: stopped, refused, or in pre-warning"),
        ("STAT", "1", "X-ray on? yes"),
        ("WSTAT", "1", "watchdog on? yes"),
        ("PSTAT", "0", "in pre-warning? no"),
        ("PTST", "05", "pre-warning time: 5 s"),
        ("MNUM", "IXS120BP120P366", "model number: IXS120BP120P366"),
        ("FLT", "0 0 0 0 1 0 0 0 0 1 0", "faults: bit 4 arc, bit 9 regulation"),
        ("FLT", "0 0 0 0 0 0 0 0 0 0 0", "faults: none"),
        (
            "MON",
            "0799 02000 0254 1850 2462",
            "monitor: 79.9 kV, 0.2000 mA, oil 25.4 C, filament 1.850 A, battery 24.62 V",
        ),
    ],
)
def test_an_ixs_reply_is_told_by_its_question(command: str, reply: str, words: str) -> None:
    assert ixs((TO, command), (FROM, reply))[1] == (Kind.REPLY, words)


def test_an_off_that_overtakes_a_status_leaves_both_replies_their_questions() -> None:
    said = ixs((TO, "STAT"), (TO, "ENBL0"), (FROM, "1"), (FROM, "ENBL0"))
    assert [text for _, text in said[2:]] == [
        "X-ray on? yes",
        "not on: stopped, refused, or in pre-warning",
    ]


def test_a_reply_is_not_told_by_a_question_that_was_never_answered() -> None:
    said = ixs((TO, "STAT"), (TO, "WSTAT"), (FROM, "1"), (FROM, "1"))
    assert said[2] == (Kind.REPLY, "watchdog on? yes")
    assert said[3] == (Kind.UNKNOWN, "unknown: '1' is no command")


def test_an_echo_without_a_question_says_so() -> None:
    assert ixs((FROM, "ENBL1")) == [(Kind.REPLY, "started, and nobody was heard to ask")]


def test_bytes_outside_an_ixs_frame_are_noise() -> None:
    (heard,) = open_listener("vj_ixs").feed(FROM, 3, b"\xff\x00")
    assert heard == Heard(
        t_us=3, direction=FROM, raw=b"\xff\x00", kind=Kind.NOISE,
        text="bytes outside a frame: ff 00",
    )  # fmt: skip


# --- R2CP ------------------------------------------------------------------------------------

R2CP = {vector.name: vector.bytes for vector in load("r2cp")}


def r2cp(direction: Direction, data: bytes) -> tuple[Kind, str]:
    (heard,) = open_listener("r2cp").feed(direction, 0, data)
    return heard.kind, heard.text


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("status query", Kind.QUERY, "17>6 #1 GET status"),
        ("start exposure", Kind.BEAM, "17>6 #2 SET exposure: start"),
        ("stop exposure", Kind.STOP, "17>6 #2 SET exposure: stop"),
        ("activate procedure 1", Kind.BEAM, "17>6 #8 SET activate: 01 01 01 00 00 00"),
        ("RX disable on", Kind.STOP, "17>6 #11 SET message: message 500074 of node 17 active"),
        ("RX disable off", Kind.BEAM, "17>6 #12 SET message: message 500074 of node 17 not active"),
        ("assign databank 2 to procedure 1, index 1", Kind.SET, "17>6 #7 SET assign: 01 01 02"),
        ("protocol version 6", Kind.ACT, "17>6 #5 SET version: 06 00 41"),
        ("connection request", Kind.ACT, "17>1 #1 ANSWER connect: 11"),
        ("databank 1 query", Kind.QUERY, "17>6 #4 GET databank: 01"),
    ],
)
def test_an_r2cp_command_is_told_with_what_it_does(name: str, kind: Kind, words: str) -> None:
    assert r2cp(TO, R2CP[name]) == (kind, words)


def test_a_deactivation_is_a_stop() -> None:
    data = bytes.fromhex("08 06 11 e0 02 01 00 06 01 00 01 00 00 00")
    assert r2cp(TO, data)[0] is Kind.STOP


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "status: Standby, heat 12, 8, 3 %",
            "6>17 #10 ANSWER status: standby, anode_pct 12, housing_pct 8, generator_pct 3",
        ),
        ("processed: OK for sequence 1", "6>17 #9 PROCESSED status: #1 done"),
        (
            "processed: wrong state",
            "6>17 #11 PROCESSED exposure: #2 exposure was answered 202: "
            "not available in this state",
        ),
        ("generator connected", "1>17 #5 ANSWER node: 06 01"),
        (
            "post-exposure: 79.9 kV, 199.50 mA, 25.00 ms, 4.988 mAs",
            "6>17 #20 ANSWER post_exposure: exposure_count 1, procedure_id 1, sequence_number 1, "
            "kv 79.9, ma 199.5, ms 25, mas 4.988, focus_index 1",
        ),
    ],
)
def test_an_r2cp_answer_is_told(name: str, words: str) -> None:
    assert r2cp(FROM, R2CP[name]) == (Kind.REPLY, words)


@pytest.mark.parametrize(
    ("direction", "data", "kind", "words"),
    [
        (FROM, "01 11 06 20 99 03 00 01 07", Kind.UNKNOWN, "6>17 #1 ANSWER entry 0x20/153: 07"),
        (TO, "01 06 11 20 99 01 00 01 07", Kind.UNKNOWN, "17>6 #1 SET entry 0x20/153: 07"),
        (TO, "01 06 11 20 99 02 00 00", Kind.QUERY, "17>6 #1 GET entry 0x20/153"),
        (
            FROM, "01 11 06 20 99 0a 00 02 04 cb", Kind.UNKNOWN,
            "6>17 #1 PROCESSED entry 0x20/153: #4 entry 0x20/153 was answered 203: "
            "unknown entry, wrong access or wrong size",
        ),
        (
            FROM, "01 11 06 20 93 03 00 0e 0b 00 00 00 00 00 00 00 00 00 00 00 00 00", Kind.REPLY,
            "6>17 #1 ANSWER status: state 11?",
        ),
        (
            FROM, "01 11 06 20 90 03 00 15" + " 00" * 21, Kind.REPLY,
            "6>17 #1 ANSWER post_exposure: all 0",
        ),
        (TO, "01 06 11 20 0c 05 00 02 ff 01", Kind.ACT, "17>6 #1 BLOCK databank: ff 01"),
        (
            FROM, "01 11 06 20 93 0a 00 02 00 00", Kind.UNKNOWN,
            "unknown: MSG_PROCESSED of sequence 0",
        ),
        (TO, "01 06 11 80 01 01 00 0a 06 00 02 24 71 07 01 02 00 00", Kind.UNKNOWN,
         "unknown: system message with active = 7"),
    ],
)  # fmt: skip
def test_what_r2cp_does_not_name_is_told_in_numbers(
    direction: Direction, data: str, kind: Kind, words: str
) -> None:
    assert r2cp(direction, bytes.fromhex(data)) == (kind, words)


# --- Modbus, Waveshare -----------------------------------------------------------------------


def wave(*said: tuple[Direction, str], rtu: bool = False) -> list[tuple[Kind, str]]:
    listener = open_room_listener("waveshare", rtu=rtu)
    heard = [h for way, data in said for h in listener.feed(way, 0, bytes.fromhex(data))]
    return [(h.kind, h.text) for h in heard]


def tcp(pdu: str, transaction_id: int = 1) -> str:
    size_bytes = 1 + len(bytes.fromhex(pdu))
    return f"{transaction_id:04x} 0000 {size_bytes:04x} 01 {pdu}"


@pytest.mark.parametrize(
    ("pdu", "kind", "words"),
    [
        ("02 0000 0008", Kind.QUERY, "read inputs 0-7"),
        ("01 0003 0001", Kind.QUERY, "read coils 3"),
        ("05 0003 ff00", Kind.BEAM, "enable closed"),
        ("05 0003 0000", Kind.STOP, "enable open"),
        ("05 0001 ff00", Kind.ACT, "beam_lamp closed"),
        ("05 0001 0000", Kind.ACT, "beam_lamp open"),
        ("05 0007 ff00", Kind.ACT, "relay 7 closed"),
        ("05 0203 0002", Kind.BEAM, "enable closed for 200 ms"),
        ("05 0202 0005", Kind.ACT, "buzzer closed for 500 ms"),
        ("05 00ff ff00", Kind.BEAM, "all relays closed"),
        ("05 00ff 0000", Kind.STOP, "all relays open"),
        ("05 0004 1234", Kind.UNKNOWN, "write 4: 1234"),
        ("05 0010 ff00", Kind.UNKNOWN, "relay 16 closed"),
        ("06 1000 0001", Kind.UNKNOWN, "write 4096: 0001"),
        ("10 1000 0002 04 0001 000a", Kind.UNKNOWN, "write 4096: 0001, 000a"),
        ("0f 0003 0002 01 01", Kind.BEAM, "enable closed, contactor open"),
        ("0f 0003 0002 01 00", Kind.STOP, "enable open, contactor open"),
        ("0f 0000 0003 01 05", Kind.ACT, "ready_lamp closed, beam_lamp open, buzzer closed"),
    ],
)
def test_a_modbus_question_is_told_with_what_it_does(pdu: str, kind: Kind, words: str) -> None:
    assert wave((TO, tcp(pdu))) == [(kind, f"unit 1: {words}")]


@pytest.mark.parametrize(
    ("question", "reply", "words"),
    [
        (
            "02 0000 0008", "02 01 05",
            "inputs: stage_1=1, stage_2=0, door=1, estop=0, chain=0, key=0, reset=0, "
            "lamp_current=0",
        ),
        ("01 0003 0002", "01 01 02", "coils: enable=0, contactor=1"),
        ("02 0007 0002", "02 01 03", "inputs: lamp_current=1, 8=1"),
        ("03 0010 0002", "03 04 0001 1234", "holding registers: 16=1, 17=4660"),
        ("05 0003 ff00", "05 0003 ff00", "done: enable closed"),
        ("05 0009 ff00", "85 02", "refused with 2, illegal address: relay 9 closed"),
        ("05 0009 ff00", "85 63", "refused with 99, a code that is not known: relay 9 closed"),
    ],
)  # fmt: skip
def test_a_modbus_reply_is_told_by_its_question(question: str, reply: str, words: str) -> None:
    said = wave((TO, tcp(question)), (FROM, tcp(reply)))
    assert said[1] == (Kind.REPLY, f"unit 1: {words}")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("02 01 05", "inputs 05: nobody was heard to ask"),
        ("05 0003 0000", "done: nobody was heard to ask"),
        ("85 02", "refused with 2, illegal address: nobody was heard to ask"),
    ],
)
def test_a_modbus_reply_to_nobody_says_so(reply: str, words: str) -> None:
    """Another transaction, another function, another count, another value: no question of its."""
    for asked in (tcp("02 0000 0008", 9), tcp("04 0000 0001"), tcp("02 0000 0010")):
        assert wave((TO, asked), (FROM, tcp(reply)))[1] == (Kind.REPLY, f"unit 1: {words}")
    if reply.startswith("05"):
        said = wave((TO, tcp("05 0003 ff00")), (FROM, tcp(reply)))
        assert said[1] == (Kind.REPLY, f"unit 1: {words}")


def test_an_overtaken_question_keeps_its_reply() -> None:
    said = wave(
        (TO, tcp("02 0000 0008", 1)), (TO, tcp("05 0003 0000", 2)),
        (FROM, tcp("02 01 00", 1)), (FROM, tcp("05 0003 0000", 2)),
    )  # fmt: skip
    assert said[2][1].startswith("unit 1: inputs: stage_1=0")
    assert said[3][1] == "unit 1: done: enable open"


@pytest.mark.parametrize(
    ("direction", "pdu"),
    [
        (TO, "2b 0e 01 00"),
        (TO, "02 0000 00"),
        (TO, "0f 0000"),
        (TO, "0f 0000 0000 01 00"),
        (TO, "0f 0000 0009 01 00"),
        (TO, "10 0000 0002 02 0001"),
        (FROM, "02 02 05"),
        (FROM, "99 02 01"),
    ],
)
def test_a_tcp_frame_of_another_form_is_unknown(direction: Direction, pdu: str) -> None:
    ((kind, text),) = wave((direction, tcp(pdu)))
    assert kind is Kind.UNKNOWN
    assert text.startswith("unknown: ")


@pytest.mark.parametrize("rtu", [False, True])
def test_a_modbus_vector_is_found_between_garbage(rtu: bool) -> None:
    wire = "rtu" if rtu else "tcp"
    vectors = [
        v for name in ("modbus", "waveshare") for v in load(name) if v.fields.get("wire") == wire
    ]
    assert len(vectors) >= 10
    for vector in vectors:
        direction = direction_of(vector)
        for noise in (b"\xff", b"\x00\x00\xff\xff", b"\x01\x99\x42", b"\x07" * 5):
            listener = open_room_listener("waveshare", rtu=rtu)
            heard = listener.feed(direction, 0, noise + vector.bytes) + listener.rest(0)
            assert [h.raw for h in heard if h.kind is not Kind.NOISE] == [vector.bytes]


def test_a_wrong_crc_is_noise() -> None:
    listener = open_room_listener("waveshare", rtu=True)
    heard = listener.feed(TO, 0, bytes.fromhex("01 05 00 03 ff 00 7c 3b")) + listener.rest(0)
    assert {h.kind for h in heard} == {Kind.NOISE}
    assert heard[0].text.startswith("no Modbus frame, or a wrong CRC: 01")


def test_a_length_that_no_rtu_frame_has_is_noise_at_once() -> None:
    listener = open_room_listener("waveshare", rtu=True)
    (heard,) = listener.feed(FROM, 0, b"\x01\x02\xfe")
    assert heard.raw[:1] == b"\x01"


def test_a_room_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no room I/O driver 'wavesh' in hal/room_io; did you"):
        open_room_listener("wavesh")
    with pytest.raises(ValueError, match="no generator driver named 'vj_ixs_heard'"):
        open_listener("vj_ixs_heard")
