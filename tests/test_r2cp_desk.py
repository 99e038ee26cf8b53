"""The device's side of R2CP: its bytes are the reference's, its behaviour is synthetic."""

from __future__ import annotations

from typing import Any

import pytest

from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import Message, State, read_databank, read_message, read_status
from hal.generators.r2cp_ratings import databank_of, load
from hal.generators.r2cp_wire import ANSWER, GET, PROCESSED, SET, Frame, Question, encode, frames_of
from hal.now import NEVER_US, Now
from hal.types import Technique
from tests.fake_generator import FakeModel
from tests.r2cp_vectors import VECTORS

BYTES = {vector.name: vector.bytes for vector in VECTORS}
DEFINE = BYTES["define procedure 1: standard RAD, by software"]
LOAD = BYTES["databank 1: 2-point, 80.0 kV, 5.000 mAs"]
ASSIGN = encode(Question("assign", SET, b"\x01\x01\x01").framed(7))
ACTIVATE = BYTES["activate procedure 1"]
PREP_US = 1_500_000


def asked(desk: Desk, data: bytes, t_us: int = 0) -> list[tuple[int, bytes]]:
    """(when, bytes) of all that follows within 9 ms."""
    now = Now(t_us)
    desk.receive(now, data)
    found = []
    while now.next_us - t_us < 9_000:
        now = Now(now.next_us)
        reply = desk.poll(now)
        if reply:
            found.append((now.t_us, reply))
    return found


def said(desk: Desk, data: bytes, t_us: int = 0) -> list[Frame]:
    return list(frames_of(bytearray(b"".join(part for _, part in asked(desk, data, t_us)))))


def result(desk: Desk, data: bytes, t_us: int = 0) -> int:
    """What MSG_PROCESSED says, of this question's number."""
    last = said(desk, data, t_us)[-1]
    assert (last.function, last.data[0]) == (PROCESSED, data[0])
    return last.data[1]


def state(desk: Desk, t_us: int) -> State:
    return read_status(said(desk, BYTES["status query"], t_us)[0].data).state


def prepared(**options: Any) -> tuple[Desk, FakeModel]:
    """Ready since 2 s."""
    model = FakeModel()
    desk = Desk(model, **options)
    for data in (DEFINE, LOAD, ASSIGN):
        assert result(desk, data) == 0
    assert result(desk, ACTIVATE, 500_000) == 0
    return desk, model


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("node status query, generator", "generator connected"),
        ("protocol version query", "protocol version is 6"),
    ],
)
def test_an_answer_is_the_references_bytes_but_for_its_own_number(
    question: str, answer: str
) -> None:
    ((_, reply),) = asked(Desk(FakeModel()), BYTES[question])
    assert reply[1 : len(BYTES[answer])] == BYTES[answer][1:]
    assert reply[len(BYTES[answer]) :][5:] == bytes((10, 0, 2, BYTES[question][0], 0))


def test_an_answer_comes_before_its_processed_or_behind_it() -> None:
    for last, order in ((False, [ANSWER, PROCESSED]), (True, [PROCESSED, ANSWER])):
        desk = Desk(FakeModel(), answer_last=last)
        assert [f.function for f in said(desk, BYTES["status query"])] == order


def test_answers_leave_after_the_reply_time() -> None:
    assert asked(Desk(FakeModel(), reply_us=7_000), BYTES["status query"], 100)[0][0] == 7_100


def test_a_heartbeat_question_comes_each_second_after_the_connection() -> None:
    desk, now = Desk(FakeModel()), Now(0)
    desk.receive(now, BYTES["connection request"])
    times_us: list[int] = []
    while now.next_us != NEVER_US and len(times_us) != 3:
        now = Now(now.next_us)
        reply = desk.poll(now)
        if reply:
            assert reply[1:] == BYTES["heartbeat query"][1:]
            times_us.append(now.t_us)
    assert times_us == [1_003_000, 2_003_000, 3_003_000]


def test_set_points_reach_the_model_with_the_activation() -> None:
    _, model = prepared()
    assert (model.kv, model.ma) == (80.0, 250.0)
    assert (model.charge_mas, model.time_us) == (5.0, 1_000_000)  # its time is the back-up


def test_by_time_the_model_counts_no_mas() -> None:
    desk, model = prepared()
    by_time = databank_of(Technique(kv=80.0, ma=250.0, ms=25.0))
    assert result(desk, encode(load(by_time).framed(3)), 2_100_000) == 0
    assert result(desk, ACTIVATE, 2_200_000) == 0
    assert (model.charge_mas, model.time_us) == (None, 25_000)


def test_a_databank_is_shown_as_it_was_loaded_or_as_the_generator_changed_it() -> None:
    desk, _ = prepared()
    assert said(desk, BYTES["databank 1 query"])[0].data == LOAD[8:]
    desk.changed = {"ma": 200.0, "ms": 25.0}
    result(desk, LOAD)
    shown = said(desk, BYTES["databank 1 query"])[0].data
    assert shown == BYTES["databank 1 as the generator makes it"][8:]
    assert read_databank(shown).ma == 200.0


def test_preparation_takes_its_time_and_only_ready_can_start() -> None:
    desk, model = prepared()
    assert state(desk, 600_000) is State.PREPARATION
    assert result(desk, BYTES["start exposure"], 700_000) == 202
    assert state(desk, 500_000 + PREP_US) is State.READY
    assert result(desk, BYTES["start exposure"], 2_100_000) == 0
    assert (model.starts_us, state(desk, 2_110_000)) == ([2_100_000], State.EXPOSING)
    assert state(desk, 2_130_000) is State.STANDBY  # its own timer


@pytest.mark.parametrize("how", ["stop exposure", "RX disable on"])
def test_stop_and_rx_disable_both_end_the_beam(how: str) -> None:
    desk, model = prepared()
    result(desk, BYTES["start exposure"], 2_100_000)
    assert result(desk, BYTES[how], 2_110_000) == 0
    assert model.ends_us == [2_110_000]


def test_rx_disable_keeps_a_beam_off_until_it_is_cleared() -> None:
    desk, model = prepared()
    result(desk, BYTES["RX disable on"], 2_000_000)
    assert result(desk, BYTES["start exposure"], 2_100_000) == 202
    shown = read_status(said(desk, BYTES["status query"], 2_100_000)[0].data)
    assert (shown.messages_index, shown.state) == (0x11, State.READY)
    result(desk, BYTES["RX disable off"], 2_200_000)
    assert result(desk, BYTES["start exposure"], 2_300_000) == 0
    assert model.starts_us == [2_300_000]


def test_the_post_exposure_is_what_the_model_has_made() -> None:
    desk, _ = prepared()
    result(desk, BYTES["start exposure"], 2_100_000)
    result(desk, BYTES["stop exposure"], 2_110_000)
    post = said(desk, encode(Question("post_exposure", GET).framed(9)), 2_120_000)[0]
    # number 1, procedure 1, sequence 1, 80.0 kV, 250.00 mA, 10.00 ms, 2.500 mAs, large focus
    assert post.data.hex(" ") == "00 01 01 01 03 20 00 61 a8 00 03 e8 00 09 c4 01 00 00 00 00 00"


def test_all_messages_are_told_when_asked_for() -> None:
    desk = Desk(FakeModel())
    result(desk, BYTES["RX disable on"])
    desk.message(Now(0), Message(node_id=6, message_id=140_401, active=True))
    frames = said(desk, BYTES["all messages query"], 10_000)
    told = [read_message(f.data).message_id for f in frames if f.is_of("message")]
    assert told[-2:] == [500_074, 140_401]


def test_clearing_a_message_asks_the_model_to_clear_and_tells_that_it_is_over() -> None:
    model = FakeModel()
    desk = Desk(model)
    model.bits.add("over_current")
    (event,) = said(desk, b"")
    number = read_message(event.data).message_id
    assert (number, state(desk, 10_000)) == (900_002, State.ERROR)
    clear = BYTES["clear message 140401"].replace(b"\x00\x02\x24\x71", number.to_bytes(4, "big"))
    over = [f for f in said(desk, clear, 20_000) if f.is_of("message") and f.function is ANSWER]
    assert (len(model.clears_us), read_message(over[0].data).active) == (1, False)
    assert state(desk, 30_000) is State.STANDBY


def test_an_arc_is_told_and_inhibits_only_once_it_has_tripped() -> None:
    model = FakeModel()
    desk = Desk(model)
    model.bits.add("arc")
    (warns,) = (read_message(event.data) for event in said(desk, b""))
    assert (warns.message_id, warns.inhibits_beam, state(desk, 10_000)) == (
        900_003, False, State.STANDBY,
    )  # fmt: skip
    model.tripped_bits.add("arc")
    (trips,) = (read_message(event.data) for event in said(desk, b"", 20_000))
    assert (trips.message_id, trips.inhibits_beam, state(desk, 30_000)) == (
        900_003, True, State.ERROR,
    )  # fmt: skip
    assert said(desk, b"", 40_000) == []  # told once


@pytest.mark.parametrize(
    ("at", "data", "code"),
    [
        (3, b"\x00\xc7", 7), (3, b"\x05\xdd", 7), (5, b"\x00\x00\x09", 8), (8, b"\x00\x00\x63", 9),
        (8, b"\x01\x86\xa1", 9), (11, b"\x00\x00\x63", 10), (11, b"\x1e\x84\x81", 10),
        (14, b"\x00\x00", 19), (16, b"\x4e\x21", 11), (23, b"\x04\xb1", 18), (2, b"\x07", 6),
    ],
)  # fmt: skip
def test_what_leaves_its_limit_is_refused_with_the_references_code(
    at: int, data: bytes, code: int
) -> None:
    load = LOAD[: 8 + at] + data + LOAD[8 + at + len(data) :]
    assert result(Desk(FakeModel()), load) == code


def test_a_sequence_in_the_wrong_order_is_refused_with_the_references_codes() -> None:
    desk = Desk(FakeModel())
    assert result(desk, ASSIGN) == 1
    assert result(desk, ACTIVATE) == 1
    assert result(desk, DEFINE) == 0
    assert result(desk, DEFINE) == 18
    assert result(desk, ASSIGN) == 5
    assert result(desk, ACTIVATE) == 4
    assert result(desk, BYTES["start exposure"]) == 202
    assert result(desk, BYTES["databank 1 query"]) == 203


def test_an_activation_in_the_beam_is_refused() -> None:
    desk, _ = prepared()
    result(desk, BYTES["start exposure"], 2_100_000)
    assert result(desk, ACTIVATE, 2_110_000) == 202


def test_a_start_of_another_value_is_out_of_range() -> None:
    desk, _ = prepared()
    assert result(desk, BYTES["start exposure"][:-1] + b"\x02", 2_100_000) == 2


def test_an_entry_that_is_not_known_is_refused_and_a_broken_message_too() -> None:
    desk = Desk(FakeModel())
    assert result(desk, bytes.fromhex("01 06 11 20 50 02 00 00")) == 203
    assert result(desk, bytes.fromhex("01 06 11 20 50 01 00 01 05")) == 203
    assert result(desk, BYTES["RX disable on"][:13] + b"\x07" + BYTES["RX disable on"][14:]) == 203


def test_while_the_token_is_held_everything_is_refused() -> None:
    desk, _ = prepared()
    desk.holder_node = 9  # type: ignore[assignment]
    assert result(desk, BYTES["start exposure"], 2_100_000) == 201
    assert result(desk, BYTES["token request"]) == 0


def test_each_message_of_the_application_feeds_the_lifetime_and_nobody_elses() -> None:
    model = FakeModel()
    desk = Desk(model, lifetime_us=3_000_000)
    assert model.watchdog_us == 3_000_000
    asked(desk, BYTES["status query"], 1_000)
    asked(desk, BYTES["heartbeat answer"], 2_000)
    asked(desk, BYTES["status query"][:2] + b"\x09" + BYTES["status query"][3:], 3_000)
    assert model.fed_us == [1_000, 2_000]


def test_an_entry_that_it_is_deaf_to_does_nothing() -> None:
    desk, model = prepared()
    desk.deaf_to = "exposure"
    assert asked(desk, BYTES["start exposure"], 2_100_000) == []
    assert model.starts_us == []


def test_after_a_power_cut_nothing_is_known_and_nothing_is_owed() -> None:
    desk, _ = prepared()
    now = Now(600_000)
    desk.receive(now, BYTES["connection request"])
    desk.receive(now, BYTES["status query"])
    assert desk.poll(Now(NEVER_US)) == b""
    assert asked(desk, b"", 2_000_000) == []
    assert state(desk, 2_500_000) is State.STANDBY
    assert result(desk, ACTIVATE, 2_600_000) == 1
