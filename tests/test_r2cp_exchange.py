"""R2CP's conversation, frame by frame: what answers a question, what does not, what is unasked."""

from __future__ import annotations

import pytest

from hal.generators.r2cp_block import packets
from hal.generators.r2cp_exchange import Answer, Exchange, Heard, Processed
from hal.generators.r2cp_stop import Stop
from hal.generators.r2cp_wire import (
    ANSWER,
    ASK_STATUS,
    ASK_VERSION,
    GET,
    PROCESSED,
    START,
    STOP,
    Frame,
    Function,
    Node,
    Question,
    encode,
    frames_of,
)
from hal.links import PipeLink, pipe
from hal.now import NEVER_US, Now
from hal.ports import LinkError
from tests.r2cp_vectors import VECTORS

BYTES = {vector.name: vector.bytes for vector in VECTORS}
STATUS = BYTES["status: Standby, heat 12, 8, 3 %"]
EXPOSING = BYTES["status: ExpInProgress, both stages"]
OK_1 = BYTES["processed: OK for sequence 1"]
DESCRIPTION = Question("description", GET)


class Line:
    def __init__(self) -> None:
        unit, self.device = pipe()
        self.exchange = Exchange(unit, timeout_us=1_000_000)
        self.t_us = 0

    def now(self) -> Now:
        self.t_us += 5_000
        return Now(self.t_us)

    def hear(self, *data: bytes) -> list[Heard]:
        for part in data:
            self.device.write(self.t_us, part)
        return self.exchange.read(self.now())

    def sent(self) -> list[Frame]:
        return list(frames_of(bytearray(self.device.read(self.t_us))))


def asked(question: Question) -> Line:
    line = Line()
    line.exchange.ask(line.now(), question)
    return line


def processed(sequence: int, result: int = 0) -> bytes:
    """Of the entry that ASK_STATUS asks for."""
    return OK_1[:8] + bytes((sequence, result))


@pytest.mark.parametrize("parts", [(STATUS, OK_1), (OK_1, STATUS)])
def test_a_get_is_answered_by_both_in_either_order(parts: tuple[bytes, bytes]) -> None:
    line = asked(ASK_STATUS)
    assert line.hear(parts[0]) == []
    (answer,) = line.hear(parts[1])
    assert isinstance(answer, Answer)
    assert (answer.question, answer.result_code, answer.asked_us) == (ASK_STATUS, 0, 5_000)
    assert answer.data == STATUS[8:]
    assert line.exchange.free


def test_the_newest_answer_counts() -> None:
    (answer,) = asked(ASK_STATUS).hear(EXPOSING, STATUS, OK_1)
    assert isinstance(answer, Answer)
    assert answer.data == STATUS[8:]


def test_an_error_needs_no_answer_and_carries_no_data() -> None:
    (answer,) = asked(ASK_STATUS).hear(STATUS, processed(1, 202))
    assert isinstance(answer, Answer)
    assert (answer.result_code, answer.data) == (202, b"")


def test_another_number_is_no_answer_and_is_told_as_what_it_is() -> None:
    line = asked(ASK_STATUS)
    assert line.hear(STATUS, processed(2)) == [Processed(sequence_index=2, result_code=0)]
    assert line.exchange.waiting_for is ASK_STATUS


def test_the_right_number_of_another_entry_is_no_answer() -> None:
    line = asked(ASK_STATUS)
    wrong = OK_1[:4] + b"\x8e" + OK_1[5:]
    assert line.hear(STATUS, wrong) == []
    assert line.exchange.waiting_for is ASK_STATUS


def test_a_number_that_can_be_none_is_garbage() -> None:
    line = asked(ASK_STATUS)
    assert line.hear(processed(0), processed(64)) == []
    assert line.exchange.garbage_count == 2


def test_an_answer_to_nothing_is_an_event() -> None:
    line = asked(START)
    (event,) = line.hear(STATUS)
    assert isinstance(event, Frame)
    assert event.is_of("status")
    assert line.exchange.waiting_for is START


def test_a_set_of_the_peers_is_not_for_us() -> None:
    frame = Frame(sequence_index=1, target=17, issuer=6, index=0x20, subindex=142,
                  function=Function.SET, data=b"\x01")  # fmt: skip
    assert asked(ASK_STATUS).hear(encode(frame)) == []


def test_a_second_question_waits_and_is_not_kept() -> None:
    line = asked(ASK_STATUS)
    line.exchange.ask(line.now(), START)
    assert [frame.index for frame in line.sent()] == [0x20]
    line.hear(STATUS, OK_1)
    assert line.sent() == []


def test_off_goes_beside_a_question_and_has_a_number_of_its_own() -> None:
    line = asked(ASK_STATUS)
    number = line.exchange.overtake(line.now(), STOP)
    assert [frame.sequence_index for frame in line.sent()] == [1, number]
    heard = line.hear(BYTES["processed: wrong state"][:8] + bytes((number, 0)), STATUS, OK_1)
    assert heard[0] == Processed(sequence_index=number, result_code=0)
    assert isinstance(heard[1], Answer)


def test_after_a_time_out_only_the_version_is_asked_until_it_has_come() -> None:
    line = asked(ASK_STATUS)
    line.t_us = 1_000_000
    assert line.hear() == []
    assert line.exchange.timeouts_count == 1
    line.sent()
    line.exchange.ask(line.now(), START)
    assert line.sent() == []
    line.exchange.settle(line.now())
    assert [(f.index, f.subindex) for f in line.sent()] == [(0, 6)]
    (late, answer) = line.hear(EXPOSING, BYTES["protocol version is 6"], of_version(2))
    assert isinstance(late, Frame)  # an event at most
    assert isinstance(answer, Answer)
    assert answer.question is ASK_VERSION
    assert line.exchange.free


def of_version(sequence: int) -> bytes:
    return BYTES["protocol version is 6"][:5] + bytes((PROCESSED, 0, 2, sequence, 0))


def block(number: int, data: bytes) -> bytes:
    return encode(Frame(sequence_index=number, target=Node.APPLICATION, issuer=Node.GENERATOR,
                        index=0, subindex=12, function=Function.BLOCK, data=data))  # fmt: skip


def test_a_long_answer_comes_in_blocks() -> None:
    line, text = asked(DESCRIPTION), b"a generator " * 12
    done = BYTES["processed: OK for sequence 1"][:3] + b"\x00\x0c" + OK_1[5:]
    parts = [block(n + 1, part) for n, part in enumerate(packets(ANSWER, text))]
    (answer,) = line.hear(*parts, done)
    assert isinstance(answer, Answer)
    assert answer.data == text


def test_a_block_out_of_order_is_garbage() -> None:
    line = asked(DESCRIPTION)
    assert line.hear(block(1, b"\x00ab"), block(2, b"\xffab")) == []
    assert line.exchange.garbage_count == 2


def test_a_broken_link_forgets_question_and_pieces() -> None:
    class Gone(PipeLink):
        def read(self, t_us: int) -> bytes:
            raise LinkError("gone")

        def write(self, t_us: int, data: bytes) -> None:
            raise LinkError("gone")

    unit, _ = pipe()
    unit.__class__ = Gone
    exchange = Exchange(unit, timeout_us=1_000_000)
    now = Now(0)
    exchange.ask(now, ASK_STATUS)
    assert exchange.down == "gone"
    assert exchange.read(now) == []
    assert (exchange.free, exchange.down) == (True, "gone")


def test_nothing_is_waited_for_when_nothing_is_asked() -> None:
    line = Line()
    now = line.now()
    assert line.exchange.read(now) == []
    assert now.next_us == NEVER_US


# --- OFF


def test_an_off_that_overtook_a_question_is_due_again_behind_it_and_alone_proves_nothing() -> None:
    line, stop = asked(ASK_STATUS), Stop()
    assert stop.send(line.now(), line.exchange)
    assert stop.answered(line.now(), Processed(sequence_index=2, result_code=0)) is None
    assert not stop.send(line.now(), line.exchange)
    line.hear(STATUS, OK_1)
    assert stop.send(line.now(), line.exchange)
    assert stop.answered(line.now(), Processed(sequence_index=3, result_code=0)) is True


def test_an_off_is_sent_again_100_ms_later_and_the_answer_to_either_counts() -> None:
    line, stop = Line(), Stop()
    assert stop.send(line.now(), line.exchange)
    line.t_us += 90_000
    assert not stop.send(line.now(), line.exchange)
    assert stop.send(line.now(), line.exchange)
    assert [frame.sequence_index for frame in line.sent()] == [1, 2]
    assert stop.answered(line.now(), Processed(sequence_index=1, result_code=0)) is True


def test_a_refused_off_waits_for_a_status_that_was_asked_for_later() -> None:
    line, stop = Line(), Stop()
    stop.send(line.now(), line.exchange)
    assert not stop.shown_off(line.t_us)
    assert stop.answered(line.now(), Processed(sequence_index=1, result_code=202)) is False
    assert not stop.shown_off(line.t_us - 1)
    assert stop.shown_off(line.t_us)
    assert not stop.shown_off(line.t_us + 1)
