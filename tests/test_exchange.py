"""One question at a time: what is sent when, and what is believed. A toy protocol of lines."""

from __future__ import annotations

import pytest

from hal.exchange import Exchange
from hal.links import PipeLink, pipe
from hal.now import NEVER_US, Now
from hal.ports import LinkError, WireError

TIMEOUT_US = 10_000
LONGEST_REPLY_US = 30_000


class Lines:
    """`question\\n` is answered with `question=value\\n`."""

    def encode(self, question: str) -> bytes:
        return question.encode() + b"\n"

    def decode(self, question: str, buffer: bytearray) -> str | None:
        line, end, _ = bytes(buffer).partition(b"\n")
        if not end:
            return None
        del buffer[: len(line) + 1]
        name, _, value = line.decode(errors="replace").partition("=")
        if name != question:
            raise WireError(f"{name!r} answers no {question!r}")
        return value


class Stubborn(Lines):
    """Drops nothing when it refuses."""

    def decode(self, question: str, buffer: bytearray) -> str | None:
        raise WireError("no")


class BrokenLink:
    def __init__(self, *, reads: bool = False) -> None:
        self._reads = reads

    def read(self, t_us: int) -> bytes:
        if self._reads:
            return b""
        raise LinkError("the port is gone")

    def write(self, t_us: int, data: bytes) -> None:
        raise LinkError("the port is jammed")

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None: ...


class Bench:
    def __init__(self, *, resync: str | None = "ALIVE", codec: Lines | None = None) -> None:
        unit, self.device = pipe()
        self.exchange = self.made(unit, resync, codec or Lines())

    @staticmethod
    def made(link: PipeLink | BrokenLink, resync: str | None, codec: Lines) -> Exchange[str, str]:
        return Exchange(
            link,
            codec,
            timeout_us=TIMEOUT_US,
            longest_reply_us=LONGEST_REPLY_US,
            resync_question=resync,
        )

    def heard(self) -> list[str]:
        """What the device has received since it was last asked."""
        return self.device.read(NEVER_US).decode().split()

    def says(self, t_us: int, text: str) -> tuple[str, str, int] | None:
        self.device.write(t_us, text.encode())
        return self.read(t_us)

    def read(self, t_us: int) -> tuple[str, str, int] | None:
        answer = self.exchange.read(Now(t_us))
        return None if answer is None else (answer.question, answer.reply, answer.asked_us)


def test_a_reply_goes_with_its_question_and_the_time_of_asking() -> None:
    bench = Bench()
    assert bench.exchange.ask(Now(100), "kv")
    assert bench.heard() == ["kv"]
    assert bench.exchange.waiting_for == "kv"
    assert bench.says(900, "kv=80\n") == ("kv", "80", 100)
    assert (bench.exchange.free, bench.exchange.heard_us) == (True, 100)


def test_a_second_question_waits_for_the_first_ones_reply() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    assert not bench.exchange.free
    assert not bench.exchange.ask(Now(1), "ma")
    assert bench.heard() == ["kv"]
    bench.says(2, "kv=80\n")
    assert bench.exchange.free
    assert bench.exchange.ask(Now(2), "ma")
    assert bench.heard() == ["ma"]


def test_a_reply_may_come_in_pieces() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    assert [bench.says(t_us, byte) for t_us, byte in enumerate("kv=80")] == [None] * 5
    assert bench.says(6, "\n") == ("kv", "80", 0)


def test_nonsense_before_the_reply_is_dropped_and_counted() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    assert bench.says(1, "??\nma=1\nkv=80\n") == ("kv", "80", 0)
    assert bench.exchange.garbage_count == 2


def test_what_comes_unasked_is_dropped_and_counted() -> None:
    bench = Bench()
    assert bench.says(1, "kv=99\n") is None
    bench.exchange.ask(Now(2), "kv")
    assert bench.read(3) is None
    assert bench.exchange.garbage_count == 1
    assert bench.exchange.heard_us is None


def test_what_answered_nothing_is_told_until_the_next_read() -> None:
    bench = Bench()
    bench.says(1, "kv=99\n")
    assert bench.exchange.unasked == b"kv=99\n"
    bench.read(2)
    assert bench.exchange.unasked == b""
    bench.exchange.ask(Now(2), "kv")
    assert bench.says(3, "??\nma=1\nkv=80\n") == ("kv", "80", 2)
    assert bench.exchange.unasked == b"??\nma=1\n"


def test_what_follows_a_reply_in_the_same_read_does_not_answer_the_next_question() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    assert bench.says(1, "kv=80\nkv=99\n") == ("kv", "80", 0)
    assert bench.exchange.unasked == b"kv=99\n"
    bench.exchange.ask(Now(1), "kv")
    assert bench.read(2) is None


def test_a_codec_that_refuses_without_dropping_does_not_stop_the_scan() -> None:
    bench = Bench(codec=Stubborn())
    bench.exchange.ask(Now(0), "kv")
    assert bench.says(1, "kv=80\n") is None
    assert bench.exchange.unasked == b"kv=80\n"
    assert bench.exchange.garbage_count == 1


# --- time-outs --------------------------------------------------------------------------------


def test_a_reply_in_the_scan_of_its_deadline_counts() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    assert bench.says(TIMEOUT_US, "kv=80\n") == ("kv", "80", 0)
    assert bench.exchange.timeouts_count == 0


def test_the_deadline_is_told_when_asking_and_while_waiting() -> None:
    bench = Bench()
    asking, waiting, late = Now(500), Now(600), Now(500 + TIMEOUT_US)
    bench.exchange.ask(asking, "kv")
    assert asking.next_us == 500 + TIMEOUT_US
    bench.exchange.read(waiting)
    assert waiting.next_us == 500 + TIMEOUT_US
    bench.exchange.read(late)
    assert (bench.exchange.timeouts_count, late.next_us) == (1, late.t_us)


def test_a_question_may_bring_its_own_timeout() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "ramp", timeout_us=50_000)
    bench.read(49_999)
    assert bench.exchange.timeouts_count == 0
    bench.read(50_000)
    assert bench.exchange.timeouts_count == 1


def timed_out(*, resync: str | None = "ALIVE") -> Bench:
    bench = Bench(resync=resync)
    bench.exchange.ask(Now(0), "kv")
    bench.read(TIMEOUT_US)
    bench.heard()
    return bench


def test_after_a_timeout_the_resync_question_comes_first() -> None:
    bench = timed_out()
    assert not bench.exchange.free
    assert not bench.exchange.ask(Now(TIMEOUT_US), "kv")
    bench.exchange.settle(Now(TIMEOUT_US))
    assert bench.heard() == ["ALIVE"]


def test_after_a_timeout_a_late_reply_is_not_believed() -> None:
    bench = timed_out()
    assert bench.says(TIMEOUT_US + 1, "kv=99\n") is None
    bench.exchange.settle(Now(TIMEOUT_US + 2))
    assert bench.says(TIMEOUT_US + 3, "kv=99\n") is None
    assert bench.says(TIMEOUT_US + 4, "ALIVE=1\n") == ("ALIVE", "1", TIMEOUT_US + 2)
    assert bench.exchange.ask(Now(TIMEOUT_US + 5), "kv")
    assert bench.says(TIMEOUT_US + 6, "kv=80\n") == ("kv", "80", TIMEOUT_US + 5)


def test_a_lost_resync_reply_is_asked_for_again() -> None:
    bench = timed_out()
    for at_us in (10_000, 20_000, 30_000):
        bench.exchange.settle(Now(at_us))
        assert bench.heard() == ["ALIVE"]
        assert not bench.exchange.free
        bench.read(at_us + TIMEOUT_US)
    assert bench.exchange.timeouts_count == 4


def test_without_a_resync_question_the_longest_reply_time_passes_in_silence() -> None:
    bench = timed_out(resync=None)
    quiet_until_us = TIMEOUT_US + LONGEST_REPLY_US
    bench.exchange.settle(Now(TIMEOUT_US))
    assert bench.heard() == []
    waiting = Now(TIMEOUT_US + 1)
    bench.exchange.read(waiting)
    assert waiting.next_us == quiet_until_us
    assert bench.says(quiet_until_us - 1, "kv=99\n") is None
    assert not bench.exchange.free
    bench.read(quiet_until_us)
    assert bench.exchange.free


# --- OFF --------------------------------------------------------------------------------------


def test_off_leaves_at_once_and_again_after_the_reply_it_overtook() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    bench.exchange.preempt(Now(100), "OFF")
    assert bench.heard() == ["kv", "OFF"]
    assert bench.says(200, "kv=80\n") == ("kv", "80", 0)
    bench.exchange.settle(Now(200))
    assert bench.heard() == ["OFF"]
    assert bench.says(300, "OFF=0\n") == ("OFF", "0", 200)


def test_off_leaves_again_after_the_timeout_of_the_reply_it_overtook() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    bench.exchange.preempt(Now(100), "OFF")
    bench.read(TIMEOUT_US)
    bench.exchange.settle(Now(TIMEOUT_US))
    assert bench.heard() == ["kv", "OFF", "OFF"]


def test_off_asked_in_each_scan_leaves_once_until_something_happens() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    for t_us in (100, 200, 300):
        bench.exchange.preempt(Now(t_us), "OFF")
    assert bench.heard() == ["kv", "OFF"]
    bench.says(400, "kv=80\n")
    for t_us in (400, 500, 600):
        bench.exchange.preempt(Now(t_us), "OFF")
        bench.exchange.settle(Now(t_us))
    assert bench.heard() == ["OFF"]


def test_while_off_is_owed_nothing_else_may_be_asked() -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    bench.exchange.preempt(Now(100), "OFF")
    bench.says(200, "kv=80\n")
    assert not bench.exchange.free
    assert not bench.exchange.ask(Now(200), "ON")


@pytest.mark.parametrize("again", ["settle", "preempt"])
def test_the_echo_of_the_first_off_does_not_answer_a_later_question(again: str) -> None:
    bench = Bench()
    bench.exchange.ask(Now(0), "kv")
    bench.exchange.preempt(Now(100), "OFF")
    bench.says(200, "kv=80\n")
    if again == "settle":
        bench.exchange.settle(Now(200))
    else:
        bench.exchange.preempt(Now(200), "OFF")
    assert bench.says(300, "OFF=0\n") is not None
    assert not bench.exchange.free
    bench.exchange.settle(Now(300))
    assert bench.heard() == ["kv", "OFF", "OFF", "ALIVE"]
    assert bench.says(400, "OFF=0\n") is None
    assert bench.says(500, "ALIVE=1\n") == ("ALIVE", "1", 300)
    assert bench.exchange.free


def test_without_a_resync_question_silence_follows_an_off_that_was_sent_twice() -> None:
    bench = Bench(resync=None)
    bench.exchange.ask(Now(0), "kv")
    bench.exchange.preempt(Now(100), "OFF")
    bench.says(200, "kv=80\n")
    bench.exchange.settle(Now(200))
    bench.says(300, "OFF=0\n")
    bench.read(200 + LONGEST_REPLY_US - 1)
    assert not bench.exchange.free
    bench.read(200 + LONGEST_REPLY_US)
    assert bench.exchange.free


def test_off_after_a_timeout_leaves_at_once_and_does_not_end_the_distrust() -> None:
    bench = timed_out()
    bench.exchange.preempt(Now(TIMEOUT_US), "OFF")
    assert bench.heard() == ["OFF"]
    assert bench.says(TIMEOUT_US + 1, "kv=99\nOFF=0\n") == ("OFF", "0", TIMEOUT_US)
    assert not bench.exchange.free
    bench.exchange.settle(Now(TIMEOUT_US + 1))
    assert bench.heard() == ["ALIVE"]


def test_off_overtakes_the_resync_question_too() -> None:
    bench = timed_out()
    bench.exchange.settle(Now(TIMEOUT_US))
    bench.exchange.preempt(Now(TIMEOUT_US + 1), "OFF")
    assert bench.heard() == ["ALIVE", "OFF"]
    bench.says(TIMEOUT_US + 2, "ALIVE=1\n")
    bench.exchange.settle(Now(TIMEOUT_US + 2))
    assert bench.heard() == ["OFF"]


def test_off_on_a_free_line_is_an_ordinary_question() -> None:
    bench = Bench()
    bench.exchange.preempt(Now(0), "OFF", timeout_us=20_000)
    bench.read(19_999)
    assert (bench.heard(), bench.exchange.timeouts_count) == (["OFF"], 0)
    assert bench.says(19_999, "OFF=0\n") == ("OFF", "0", 0)
    assert bench.exchange.free


# --- the port itself --------------------------------------------------------------------------


def test_a_port_that_is_gone_is_told_and_raises_nothing() -> None:
    exchange = Bench.made(BrokenLink(), "ALIVE", Lines())
    assert exchange.read(Now(0)) is None
    assert exchange.down == "the port is gone"
    exchange.ask(Now(1), "kv")
    exchange.preempt(Now(2), "OFF")
    assert exchange.read(Now(TIMEOUT_US + 1)) is None
    assert exchange.timeouts_count == 1


def test_a_port_that_can_be_read_again_is_no_longer_down() -> None:
    exchange = Bench.made(BrokenLink(reads=True), "ALIVE", Lines())
    exchange.ask(Now(0), "kv")
    assert exchange.down == "the port is jammed"
    exchange.read(Now(1))
    assert exchange.down is None
