"""What every generator driver owes the controller, stated once; `test_NAME.py` inherits it.

Both sides of the protocol run over one modelled line in virtual time. A subclass brings the
driver, the desk and the few bytes that only its protocol knows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from hal.now import Now
from hal.ports import ByteLink, Desk, Generator
from hal.types import GeneratorSample, GeneratorState, Outputs, Technique
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench

ON_EXPIRES_US = 200_000

# Coprime with the deadlines and with each other: round periods hide a forgotten deadline.
COPRIME_POLLS_US = {
    "status_poll_us": 23_117,
    "monitor_poll_us": 101_749,
    "standby_poll_us": 307_337,
}


class ForgetfulNow(Now):
    """Answers, but remembers no deadline: what a comparison by hand would be."""

    def reached(self, deadline_us: int) -> bool:
        return self.t_us - deadline_us >= 0


class GeneratorContract:
    on_bytes: bytes
    off_bytes: bytes
    baud = 9600
    technique = Technique(kv=80.0, ma=0.5, mas=0.4)
    other_technique = Technique(kv=60.0, ma=0.2, ms=500.0)
    settings: tuple[bytes, ...]  # what the echo of each loading factor begins with
    stray_on: bytes  # what the status "X-ray on" looks like on the wire
    most_changes = 9  # of the sample in 2 s of standby: one answer per 500 ms
    timed_out_us = 150_000  # after so long a question is given up, and another one waits

    def make_driver(self, link: ByteLink, **polls_us: int) -> Generator:
        raise NotImplementedError

    def make_desk(self, model: FakeModel) -> Desk:
        raise NotImplementedError

    def starts_beam(self, data: bytes) -> bool:
        return self.on_bytes in data

    def answers_on(self, reply: bytes) -> bool:
        return reply == self.on_bytes

    def ends_otherwise(self, command: bytes) -> bool:
        """Another way to end a beam than OFF: kept from working where OFF alone is looked at."""
        return False

    def wrong_echo(self, reply: bytes, setting: bytes) -> bytes:
        """The echo or read-back of this setting, one count off."""
        return one_digit_wrong(reply, setting)

    # --- how to get there

    def bench(self, *, now_type: type[Now] = Now, **polls_us: int) -> GeneratorBench:
        return GeneratorBench(
            lambda link: self.make_driver(link, **polls_us),
            self.make_desk,
            baud=self.baud,
            now_type=now_type,
        )

    def in_standby(self) -> GeneratorBench:
        bench = self.bench()
        bench.run_until(
            lambda s: s.state is GeneratorState.STANDBY and s.identity and s.interlock_taken_us
        )
        return bench

    def ready(self) -> GeneratorBench:
        bench = self.in_standby()
        bench.run_until(
            lambda s: s.state is GeneratorState.READY, Outputs(technique=self.technique)
        )
        return bench

    def order(self, bench: GeneratorBench) -> Outputs:
        """What the next scan orders: ON, from that scan."""
        return Outputs(technique=self.technique, expose_from_us=bench.t_us + SCAN_US)

    def in_beam(self) -> GeneratorBench:
        bench = self.ready()
        bench.run_until(lambda s: s.kv and s.beam_on, self.order(bench))
        return bench

    def wait_until_asked(self, bench: GeneratorBench) -> None:
        """Until a question has just left: its reply is outstanding at the next scan."""
        before_count = len(bench.sent)
        while len(bench.sent) == before_count:
            bench.scan()

    # --- ON

    def test_on_never_leaves_without_a_confirmed_technique(self) -> None:
        bench = self.in_standby()
        order_us = bench.t_us + SCAN_US
        refused = bench.run_until(lambda s: s.refused, Outputs(expose_from_us=order_us))
        bench.run(1_000_000)
        assert (refused.confirmed, refused.on_sent_us) == (None, None)
        assert bench.sent_times(self.on_bytes) == []
        assert bench.model.starts_us == []

    def test_on_never_leaves_for_a_technique_that_came_with_the_order(self) -> None:
        bench = self.in_standby()
        sample = bench.run(1_000_000, self.order(bench))
        assert (sample.refused, bench.sent_times(self.on_bytes)) == (True, [])

    def test_on_never_leaves_for_a_technique_that_changed_with_the_order(self) -> None:
        bench = self.ready()
        order = Outputs(technique=self.other_technique, expose_from_us=bench.t_us + SCAN_US)
        sample = bench.run(1_000_000, order)
        assert (sample.confirmed, sample.refused) == (None, True)
        assert bench.sent_times(self.on_bytes) == []

    def test_on_is_not_kept_for_an_echo_to_come(self) -> None:
        ready_us = self.ready().t_us
        bench = self.in_standby()
        while bench.t_us + 2 * SCAN_US != ready_us:
            bench.scan(Outputs(technique=self.technique))
        bench.scan(self.order(bench))  # the last echo comes with the next scan
        assert bench.scan().confirmed == self.technique
        assert bench.run(ON_EXPIRES_US).refused
        assert bench.sent_times(self.on_bytes) == []

    def test_on_leaves_once_per_order(self) -> None:
        bench = self.in_beam()
        bench.run(1_500_000)
        assert len(bench.sent_times(self.on_bytes)) == 1
        assert len(bench.model.starts_us) == 1

    def test_on_whose_reply_is_lost_is_not_sent_again_and_the_beam_is_unknown(self) -> None:
        bench = self.ready()
        bench.edit = lambda reply: b"" if self.answers_on(reply) else reply
        sample = bench.run_until(lambda s: s.on_sent_us, self.order(bench))
        assert sample.beam_on is None
        status = bench.run_until(lambda s: s.beam_on is not None)
        bench.run(1_000_000)
        assert (status.beam_on, status.on_answered_us, status.refused) == (True, None, False)
        assert bench.sent_times(self.on_bytes) == [sample.on_sent_us]

    def test_on_expires_200_ms_after_the_order_while_the_line_is_blocked(self) -> None:
        bench = self.ready()
        bench.hear = lambda command: b""
        self.wait_until_asked(bench)
        order_us = bench.t_us + SCAN_US
        sample = bench.run(ON_EXPIRES_US, self.order(bench))
        assert (bench.t_us, sample.refused) == (order_us + ON_EXPIRES_US - SCAN_US, False)
        assert bench.scan().refused
        bench.hear = lambda command: command
        bench.run(2_000_000)
        assert bench.sent_times(self.on_bytes) == []

    def test_on_that_waits_for_the_line_is_lost_when_the_technique_changes(self) -> None:
        bench = self.ready()
        bench.hear = lambda command: b""
        self.wait_until_asked(bench)
        order = self.order(bench)
        bench.scan(order)
        bench.hear = lambda command: command
        changed = replace(order, technique=self.other_technique)
        assert bench.run(ON_EXPIRES_US, changed).refused
        assert bench.sent_times(self.on_bytes) == []

    def test_a_slow_ramp_is_not_taken_for_silence(self) -> None:
        bench = self.ready()
        bench.model.ramp = bench.driver.capabilities.kv_rise_us
        order = self.order(bench)
        states = {bench.scan(order).state for _ in range(200)}
        assert states == {GeneratorState.READY, GeneratorState.BEAM}

    def test_a_second_beam_needs_a_second_preparation(self) -> None:
        bench = self.in_beam()
        bench.run_until(lambda s: s.off_confirmed_us, Outputs(technique=self.technique))
        order = self.order(bench)
        bench.run(ON_EXPIRES_US, order)
        assert len(bench.model.starts_us) == 1
        bench.run_until(
            lambda s: s.state is GeneratorState.READY, Outputs(technique=self.technique)
        )
        bench.run(ON_EXPIRES_US, self.order(bench))
        assert len(bench.model.starts_us) == 2

    def test_a_refused_start_says_so(self) -> None:
        bench = self.ready()
        bench.model.refuses = True
        sample = bench.run_until(lambda s: s.refused, self.order(bench))
        assert (sample.on_answered_us, bench.model.starts_us) == (None, [])
        assert bench.run_until(lambda s: s.beam_on is not None).beam_on is False

    # --- OFF

    def test_off_leaves_in_the_scan_of_the_order_even_with_a_reply_outstanding(self) -> None:
        bench = self.in_beam()
        self.wait_until_asked(bench)
        bench.scan(Outputs())
        assert bench.left_now(self.off_bytes)

    def test_off_leaves_in_the_scan_of_the_order_while_on_is_unanswered(self) -> None:
        bench = self.ready()
        bench.run_until(lambda s: s.on_sent_us, self.order(bench))
        bench.scan()
        bench.scan(Outputs())
        assert bench.left_now(self.off_bytes)
        sample = bench.run_until(lambda s: s.off_confirmed_us and s.beam_on is False)
        assert not sample.refused  # that reply is OFF's echo, not a refusal
        assert not bench.model.beam_on(bench.t_us)

    def test_off_that_overtook_a_reply_leaves_again_after_it(self) -> None:
        bench = self.in_beam()
        self.wait_until_asked(bench)
        before_count = len(bench.sent_times(self.off_bytes))
        bench.scan(Outputs())
        bench.run_until(lambda s: s.off_confirmed_us)
        assert len(bench.sent_times(self.off_bytes)) == before_count + 2

    def test_a_lost_off_is_sent_again_until_it_is_answered(self) -> None:
        bench = self.in_beam()
        lost: list[bytes] = []

        def lose_three(command: bytes) -> bytes:
            if self.off_bytes in command and len(lost) != 3:
                lost.append(command)
                return b""
            return b"" if self.ends_otherwise(command) else command

        bench.hear = lose_three
        before_count = len(bench.sent_times(self.off_bytes))
        sample = bench.run_until(lambda s: s.off_confirmed_us, Outputs())
        assert len(lost) == 3
        assert len(bench.sent_times(self.off_bytes)) - before_count in (4, 5)
        assert sample.beam_on is not False  # an answer to OFF is no status
        assert bench.run_until(lambda s: s.beam_on is False).off_confirmed_us is not None

    def test_off_is_repeated_while_the_status_says_on(self) -> None:
        bench = self.in_beam()
        bench.model.ignores_off = True
        bench.run_until(lambda s: s.off_confirmed_us, Outputs())
        sent_count = len(bench.sent_times(self.off_bytes))
        bench.run(500_000)
        assert len(bench.sent_times(self.off_bytes)) - sent_count >= 5
        assert bench.driver.sample.beam_on is True

    def test_a_beam_that_nobody_ordered_is_answered_with_off(self) -> None:
        bench = self.in_standby()
        bench.model.set_time_us(bench.t_us, None)
        bench.model.start(bench.t_us)
        bench.run_until(lambda s: s.beam_on is True)
        bench.run_until(lambda s: s.beam_on is False)
        assert len(bench.model.ends_us) == 1

    # --- belief

    def test_a_late_reply_is_not_believed(self) -> None:
        bench = self.in_beam()
        bench.run_until(lambda s: s.beam_on is False, Outputs())
        bench.edit = lambda reply: b""
        self.wait_until_asked(bench)
        bench.run(self.timed_out_us)
        for _ in range(3):
            bench.device_end.write(bench.t_us, self.stray_on)
            bench.run(20_000)
        bench.edit = lambda reply: reply
        bench.run_until(lambda s: s.beam_on is not None)
        assert bench.driver.sample.beam_on is False

    def test_an_echo_that_differs_by_one_digit_never_confirms(self) -> None:
        for setting in self.settings:
            bench = self.in_standby()
            bench.edit = lambda reply, setting=setting: self.wrong_echo(reply, setting)  # type: ignore[misc]
            samples = [bench.scan(Outputs(technique=self.technique)) for _ in range(400)]
            assert all(sample.confirmed is None for sample in samples)
            assert samples[-1].faults == ("GENERATOR_FAULT",)
            assert samples[-1].state is GeneratorState.FAULT

    @pytest.mark.parametrize("seed", range(5))
    def test_nothing_can_start_a_beam_unless_it_is_ordered(self, seed: int) -> None:
        """Random levels and a bad line; each ON must have its order, its echo and its time."""
        chance = random.Random(seed)
        bench = self.bench()
        bench.edit = lambda reply: mangled(chance, reply)
        bench.hear = lambda command: b"" if chance.random() < 0.03 else command
        used: set[int | None] = set()
        for outputs in random_orders(chance, self.technique, self.other_technique):
            bench.outputs = outputs(bench.t_us + SCAN_US)
            for _ in range(chance.randrange(1, 80)):
                sent_count = len(bench.sent)
                sample = bench.scan()
                for _, data in bench.sent[sent_count:]:
                    if self.starts_beam(data):
                        order_us = bench.outputs.expose_from_us
                        assert order_us is not None
                        assert order_us not in used
                        assert bench.t_us - order_us in range(ON_EXPIRES_US)
                        assert sample.confirmed == bench.outputs.technique is not None
                        used.add(order_us)
        assert used  # else nothing was shown

    def test_garbage_changes_nothing_and_raises_nothing(self) -> None:
        chance = random.Random(7)
        bench = self.bench()
        bench.edit = lambda reply: chance.randbytes(chance.randrange(40))
        bench.run(3_000_000)
        bench.run(3_000_000, Outputs(technique=self.technique))
        assert bench.driver.sample.confirmed is None
        assert bench.sent_times(self.on_bytes) == []

    def test_noise_between_the_replies_does_no_harm(self) -> None:
        bench = self.ready()
        bench.edit = lambda reply: b"\x00\xff\x7f" + reply + b"~\r\x80"
        sample = bench.run_until(lambda s: s.on_answered_us, self.order(bench))
        assert (sample.beam_on, sample.refused) == (True, False)

    def test_a_link_that_is_gone_is_offline_and_says_why(self) -> None:
        bench = self.ready()
        bench.link.gone = "/dev/ttyUSB0: the port is gone"
        sample = bench.scan()
        assert (sample.state, sample.beam_on) == (GeneratorState.OFFLINE, None)
        assert "the port is gone" in sample.raw_faults
        bench.link.gone = ""
        sample = bench.run_until(lambda s: s.state is GeneratorState.READY)
        assert (sample.confirmed, sample.raw_faults) == (self.technique, "")

    def test_silence_is_offline_and_unprepared(self) -> None:
        bench = self.ready()
        bench.hear = lambda command: b""
        sample = bench.run_until(lambda s: s.state is GeneratorState.OFFLINE)
        assert (sample.confirmed, sample.beam_on, sample.interlock_closed) == (None, None, None)

    def test_silence_in_the_beam_is_noticed_within_the_stated_age(self) -> None:
        bench = self.in_beam()
        bench.hear = lambda command: b""
        last_us = bench.run(5_000).taken_us
        bench.run_until(lambda s: s.state is GeneratorState.OFFLINE)
        period_us = 20_000 + SCAN_US
        assert bench.t_us - last_us <= bench.driver.capabilities.status_age_us + 2 * period_us

    # --- samples and deadlines

    def test_the_sample_is_the_same_object_until_something_changes(self) -> None:
        bench = self.in_standby()
        bench.run(300_000)
        seen = [bench.scan() for _ in range(400)]
        changes = sum(a is not b for a, b in pairwise(seen))
        assert all(a is b or a != b for a, b in pairwise(seen))
        assert changes in range(1, self.most_changes + 1)

    def test_polling_when_due_shows_and_sends_what_polling_each_scan_does(self) -> None:
        every_scan = self.history(when_due=False)
        assert self.history(when_due=True) == every_scan
        states = {sample.state for _, sample in every_scan[0]}
        assert states == set(GeneratorState) - {GeneratorState.FAULT}

    def test_that_comparison_notices_forgotten_deadlines(self) -> None:
        assert self.history(when_due=True, now_type=ForgetfulNow) != self.history(when_due=False)

    def history(
        self, *, when_due: bool, now_type: type[Now] = Now
    ) -> tuple[list[tuple[int, GeneratorSample]], list[tuple[int, bytes]]]:
        bench = self.bench(now_type=now_type, **COPRIME_POLLS_US)
        bench.edit = EveryNth(11)
        shown: list[tuple[int, GeneratorSample]] = []
        for duration_us, outputs in self.script(bench):
            for _ in range(duration_us // SCAN_US):
                shown.append((bench.t_us, bench.scan(outputs, when_due=when_due)))
        return shown, bench.sent

    def script(self, bench: GeneratorBench) -> Iterator[tuple[int, Outputs]]:
        yield 2_005_000, Outputs()
        yield 1_000_000, Outputs(technique=self.technique, clear_faults_from_us=bench.t_us)
        yield 1_005_000, self.order(bench)
        yield 700_000, Outputs()
        bench.hear = lambda command: b""
        yield 1_300_000, Outputs(technique=self.technique)
        yield 300_000, self.order(bench)  # expires
        bench.hear = lambda command: command
        yield 2_000_000, Outputs(technique=self.other_technique)
        yield 1_500_000, self.order(bench)  # of another technique: expires too
        yield 500_000, Outputs(technique=self.technique)


class EveryNth:
    """Loses every nth reply."""

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self._seen_count = 0

    def __call__(self, reply: bytes) -> bytes:
        self._seen_count += 1
        return b"" if self._seen_count % self._nth == 0 else reply


def one_digit_wrong(reply: bytes, setting: bytes) -> bytes:
    """The last digit before the end mark, plus one."""
    if setting not in reply:
        return reply
    digit = (reply[-2] - 0x30 + 1) % 10 + 0x30
    return reply[:-2] + bytes((digit, reply[-1]))


def mangled(chance: random.Random, reply: bytes) -> bytes:
    fate = chance.random()
    if fate < 0.03 or not reply:
        return b""
    if fate < 0.06:
        return chance.randbytes(5) + reply
    if fate < 0.08:
        at = chance.randrange(len(reply))
        return reply[:at] + bytes((reply[at] ^ 1 << chance.randrange(8),)) + reply[at + 1 :]
    return reply


def random_orders(chance: random.Random, *techniques: Technique):  # type: ignore[no-untyped-def]
    """Sixty levels to hold for a while; some are what a broken controller would order."""
    for _ in range(60):
        technique = chance.choice((None, *techniques, techniques[0]))
        fate = chance.random()
        if fate < 0.4:
            yield lambda _t_us, technique=technique: Outputs(technique=technique)
            yield lambda t_us, technique=technique: Outputs(
                technique=technique, expose_from_us=t_us
            )
        elif fate < 0.6:
            yield lambda t_us, technique=technique: Outputs(
                technique=technique, clear_faults_from_us=t_us
            )
        else:
            yield lambda _t_us: Outputs()
