"""The IXS driver: its contract, the rules of its manual, its times on a 9600 baud line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest

from hal.clock import WallClock
from hal.device_links import PtyLink
from hal.faults import FAULTS
from hal.generators import names, open_desk, open_generator
from hal.generators.vj_ixs import Driver
from hal.generators.vj_ixs_desk import Desk
from hal.generators.vj_ixs_wire import FAULT_BITS
from hal.links import SerialLink, pipe
from hal.now import Now
from hal.ports import ByteLink
from hal.types import AecSetting, GeneratorSample, GeneratorState, Outputs, Technique
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench

MAS = Technique(kv=80.0, ma=0.5, mas=0.4)
TIMED = Technique(kv=80.0, ma=0.5, ms=95.0)


class TestContract(GeneratorContract):
    on_bytes = b"\x02ENBL1\r"
    off_bytes = b"\x02ENBL0\r"
    stray_on = b"\x021\r"
    settings = (b"VP", b"CP", b"OT")

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        return Driver(link, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model)


def bench(**desk: Any) -> GeneratorBench:
    return GeneratorBench(Driver, lambda model: Desk(model, **desk))


def in_standby(made: GeneratorBench | None = None) -> GeneratorBench:
    made = made or bench()
    made.run_until(lambda s: s.identity and s.interlock_taken_us)
    return made


def ready(technique: Technique = MAS, made: GeneratorBench | None = None) -> GeneratorBench:
    made = in_standby(made)
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=technique))
    return made


def in_beam(technique: Technique = MAS) -> GeneratorBench:
    made = ready(technique)
    made.run_until(lambda s: s.on_answered_us, ordered(made, technique))
    return made


def ordered(made: GeneratorBench, technique: Technique = MAS) -> Outputs:
    return Outputs(technique=technique, expose_from_us=made.t_us + SCAN_US)


def is_state(state: GeneratorState) -> Callable[[GeneratorSample], bool]:
    return lambda sample: sample.state is state


def texts(made: GeneratorBench, from_index: int = 0) -> list[str]:
    return [data[1:-1].decode() for _, data in made.sent[from_index:]]


# --- the sequence, byte for byte and scan for scan --------------------------------------------
# 9600 baud 8N1 is 1.042 ms a character; the desk takes 3 ms; a reply is seen at the next scan.


def test_after_power_up_it_sends_off_looks_for_a_beam_and_asks_who_is_there() -> None:
    made = in_standby()
    assert made.sent[:7] == [
        (5_000, b"\x02ENBL0\r"),  # answered at 22.6 ms
        (25_000, b"\x02STAT\r"),
        (40_000, b"\x02FREV\r"),
        (60_000, b"\x02MNUM\r"),
        (90_000, b"\x02SNUM\r"),
        (115_000, b"\x02MON\r"),
        (155_000, b"\x02FLT\r"),
    ]
    assert made.driver.sample.identity == "IXS120BP120P366 S17085-A00001"
    assert made.driver.sample.off_confirmed_us == 25_000


def test_standby_reads_faults_status_and_monitor_in_turn() -> None:
    made = in_standby()
    made.run(1_610_000)
    assert made.sent[7:] == [
        (190_000, b"\x02STAT\r"),
        (690_000, b"\x02MON\r"),
        (1_190_000, b"\x02STAT\r"),
        (1_690_000, b"\x02FLT\r"),
    ]
    assert (made.driver.sample.battery_v, made.driver.sample.oil_c) == (24.62, 25.4)
    assert made.driver.sample.kv is None  # of the current or last beam only


def test_preparation_sets_watchdog_prewarning_time_and_then_the_loading() -> None:
    made = in_standby()
    first = len(made.sent)
    made.run_until(lambda s: s.confirmed, Outputs(technique=MAS))
    # 0.4 mAs at 0.5 mA are 800 ms, and 500 ms for the ramp
    assert texts(made, first)[:7] == [
        "WDOG02", "WSTAT", "PTM00", "PTST", "OT00130", "VP0800", "CP05000",
    ]  # fmt: skip
    assert (made.model.kv, made.model.ma, made.model.time_us) == (80.0, 0.5, 1_300_000)
    assert made.model.watchdog_us == 2_000_000


def test_the_device_timer_gets_the_time_asked_for_rounded_up_to_10_ms() -> None:
    made = ready(TIMED)
    assert made.model.time_us == 100_000


def test_an_exposure_on_the_wire() -> None:
    made = ready()
    made.run(30_000)
    first = len(made.sent)
    made.run(400_000, ordered(made))
    on_us = made.sent_times(b"\x02ENBL1\r")[0]
    assert [(t_us - on_us, data) for t_us, data in made.sent[first:]][:8] == [
        (0, b"\x02ENBL1\r"),
        (170_000, b"\x02STAT\r"),  # 7.3 + 3 + 150 of ramp + 7.3 ms
        (185_000, b"\x02MON\r"),
        (225_000, b"\x02STAT\r"),
        (245_000, b"\x02STAT\r"),
        (265_000, b"\x02STAT\r"),
        (285_000, b"\x02MON\r"),
        (325_000, b"\x02STAT\r"),
    ]


def test_release_on_a_free_line_is_off_in_the_same_scan_and_ends_the_beam_10_ms_later() -> None:
    made = in_beam()
    made.run_until(lambda s: s.kv)
    while made.sent[-1] != (made.t_us - 3 * SCAN_US, b"\x02STAT\r"):  # answered, next not due
        made.scan()
    made.scan(Outputs())
    assert made.sent[-1] == (made.t_us, b"\x02ENBL0\r")
    made.run(20_000)
    assert made.model.ends_us == [made.sent_times(b"\x02ENBL0\r")[-1] + 7_292]  # seven characters


def test_release_during_a_monitor_reply_costs_no_waiting() -> None:
    made = in_beam()
    while made.sent[-1] != (made.t_us, b"\x02MON\r"):
        made.scan()
    made.scan(Outputs())
    off_us = made.t_us
    assert made.sent[-1] == (off_us, b"\x02ENBL0\r")
    made.run_until(lambda s: s.off_confirmed_us)
    assert made.model.ends_us == [off_us + 7_500]  # behind MON's last bytes (5.2 ms, from -5 ms)


def test_no_fault_query_leaves_between_on_and_the_end_of_the_beam() -> None:
    made = ready()
    first = len(made.sent)
    made.run(900_000, ordered(made))
    made.run_until(lambda s: s.beam_on is False, Outputs())
    sent = texts(made, first)
    beam = sent[sent.index("ENBL1") : sent.index("FLT", sent.index("ENBL1"))]
    assert set(beam) - {"WDTE"} == {"ENBL1", "STAT", "MON", "ENBL0"}
    made.run(100_000)
    assert texts(made)[-5:].count("FLT") == 1  # the final look


def test_monitor_reads_of_the_beam_begin_after_the_ramp() -> None:
    made = ready()
    sample = made.run_until(lambda s: s.kv, ordered(made))
    assert (sample.kv, sample.ma) == (80.0, 0.5)
    assert sample.on_answered_us is not None
    assert sample.monitor_taken_us == sample.on_answered_us + 15_000


def test_a_new_order_forgets_the_readings_of_the_last_beam() -> None:
    made = in_beam()
    made.run_until(lambda s: s.kv)
    made.run_until(lambda s: s.off_confirmed_us and s.beam_on is False, Outputs())
    assert made.driver.sample.kv == 80.0
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=MAS))
    sample = made.run_until(lambda s: s.on_sent_us == made.t_us, ordered(made))
    assert (sample.kv, sample.ma, sample.monitor_taken_us) == (None, None, None)


def test_the_devices_own_timer_ends_a_timed_beam() -> None:
    made = ready(Technique(kv=80.0, ma=0.5, ms=500.0))
    sample = made.run_until(
        lambda s: s.on_answered_us and s.beam_on is False,
        ordered(made, Technique(kv=80.0, ma=0.5, ms=500.0)),
    )
    assert made.model.ends_us == [made.model.starts_us[0] + 500_000]
    assert sample.beam_taken_us in range(made.model.ends_us[0] - 10_000, made.t_us)
    assert made.sent[-1] == (made.t_us, b"\x02FLT\r")  # the reason is asked for at once


# --- before the beam --------------------------------------------------------------------------


def test_a_prewarning_that_stays_is_never_confirmed() -> None:
    made = in_standby()
    made.edit = lambda reply: b"\x0205\r" if reply == b"\x0200\r" else reply
    sample = made.run(1_000_000, Outputs(technique=MAS))
    assert (sample.confirmed, sample.raw_faults) == (None, "PTST was answered 5, not 0")
    assert sample.faults == ("GENERATOR_FAULT",)


def test_a_watchdog_that_was_switched_off_is_switched_on_again() -> None:
    made = in_standby()
    made.model.set_watchdog(0, on=False)
    first = len(made.sent)
    sample = made.run_until(lambda s: s.confirmed, Outputs(technique=MAS))
    assert texts(made, first)[:5] == ["WDOG02", "WSTAT", "WDOG01", "WDOG02", "WSTAT"]
    assert (made.model.watchdog_on(), sample.faults) == (True, ())


def test_the_watchdog_is_verified_again_before_each_beam() -> None:
    made = in_beam()
    made.run_until(lambda s: s.off_confirmed_us and s.beam_on is False, Outputs())
    first = len(made.sent)
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=MAS))
    assert texts(made, first).count("WSTAT") == 1


def test_the_watchdog_is_never_switched_off() -> None:
    made = in_beam()
    made.run_until(lambda s: s.beam_on is False, Outputs())
    made.edit = lambda reply: b""
    made.run(2_000_000, Outputs(technique=MAS))
    assert not {"WDOG0", "WDOG00"} & set(texts(made))


@pytest.mark.parametrize("name", [b"WDOG", b"PTM", b"OT", b"VP", b"CP"])
def test_any_flipped_bit_in_an_echo_leaves_the_technique_unconfirmed(name: bytes) -> None:
    length = {b"WDOG": 8, b"PTM": 7, b"OT": 9, b"VP": 8, b"CP": 9}[name]
    made = in_standby()
    for flipped in range(length * 8):
        made.edit = lambda reply, flipped=flipped: flip(reply, flipped) if name in reply else reply  # type: ignore[misc]
        for _ in range(60):
            assert made.scan(Outputs(technique=MAS)).confirmed is None
        made.scan(Outputs())


def flip(data: bytes, bit: int) -> bytes:
    at = bit // 8
    return data[:at] + bytes((data[at] ^ 1 << bit % 8,)) + data[at + 1 :]


def test_one_flipped_echo_costs_one_more_round_and_no_fault() -> None:
    made = in_standby()
    broken: list[bytes] = []

    def once(reply: bytes) -> bytes:
        if b"VP" in reply and not broken:
            broken.append(reply)
            return flip(reply, 8 * 5)
        return reply

    made.edit = once
    sample = made.run_until(lambda s: s.confirmed, Outputs(technique=MAS))
    assert (sample.state, sample.faults) == (GeneratorState.READY, ())
    assert texts(made).count("VP0800") == 2


def test_three_differing_echoes_are_a_fault_that_the_next_technique_ends() -> None:
    made = in_standby()
    made.edit = lambda reply: reply.replace(b"CP05000", b"CP05001")
    sample = made.run_until(lambda s: s.faults, Outputs(technique=MAS))
    assert sample.state is GeneratorState.FAULT
    assert sample.raw_faults == "CP05000 was answered 5001, not 5000"
    assert texts(made).count("CP05000") == 3
    made.edit = lambda reply: reply
    assert made.scan(Outputs()).state is GeneratorState.STANDBY
    assert made.run_until(lambda s: s.confirmed, Outputs(technique=MAS)).faults == ()


def test_a_technique_outside_the_rating_is_never_sent() -> None:
    made = in_standby()
    sample = made.run(500_000, Outputs(technique=Technique(kv=130.0, ma=0.5, mas=1.0)))
    assert sample.state is GeneratorState.FAULT
    assert sample.raw_faults == "kv must be 30-120 kV (SPC-P366), got 130.0"
    assert not any(text.startswith(("VP", "CP", "OT")) for text in texts(made))


def test_an_answer_to_the_last_technique_does_not_count_for_the_next() -> None:
    made = in_standby()
    first = len(made.sent)
    while texts(made, first)[-1:] != ["WDOG02"]:
        made.scan(Outputs(technique=MAS))
    made.run_until(lambda s: s.confirmed, Outputs(technique=TIMED))
    assert texts(made, first).count("WDOG02") == 2
    assert made.model.time_us == 100_000


# --- interlock and faults ---------------------------------------------------------------------


def test_an_open_interlock_pair_is_no_fault_before_the_beam() -> None:
    made = bench()
    made.model.bits.add("interlock_open")
    sample = in_standby(made).driver.sample
    assert (sample.interlock_closed, sample.faults) == (False, ())
    sample = made.run_until(is_state(GeneratorState.READY), Outputs(technique=MAS))
    assert sample.raw_faults == "bit 8 interlock_open"


@pytest.mark.req("SR-34")
def test_between_ready_and_beam_pair_and_status_are_looked_at_in_turn_without_a_pause() -> None:
    made = ready()
    made.run(200_000)
    for question in (b"\x02FLT\r", b"\x02STAT\r"):
        gaps_us = [b - a for a, b in pairwise(made.sent_times(question)[-3:])]
        assert gaps_us == [50_000] * 2  # 32.2 and 13.4 ms on the line, each the next scan
    made.model.bits.add("interlock_open")
    closed = made.driver.sample
    opened = made.run_until(lambda s: s.interlock_closed is False)
    assert opened.interlock_taken_us is not None
    assert closed.interlock_taken_us is not None
    assert opened.interlock_taken_us - closed.interlock_taken_us in (50_000, 100_000)


def test_a_beam_that_the_interlock_ends_is_explained_at_once_and_until_clear() -> None:
    made = in_beam()
    made.run(100_000)
    made.model.end_alone(made.t_us, "interlock_open")
    off = made.run_until(lambda s: s.beam_on is False)
    assert made.sent[-1] == (made.t_us, b"\x02FLT\r")
    assert off.faults == ()
    sample = made.run_until(lambda s: s.faults)
    assert (sample.faults, sample.state) == (("INTERLOCK_OPEN",), GeneratorState.FAULT)
    made.run(500_000, Outputs())
    assert made.driver.sample.faults == ("INTERLOCK_OPEN",)
    assert made.model.clears_us == []  # only a person orders CLR
    made.run_until(lambda s: not s.faults, Outputs(clear_faults_from_us=made.t_us))
    assert len(made.model.clears_us) == 1
    made.model.bits.add("interlock_open")  # stage 2 is still open
    sample = made.run_until(lambda s: s.interlock_closed is False)
    assert (sample.faults, sample.state) == ((), GeneratorState.STANDBY)


def test_an_interlock_that_opens_with_the_release_is_no_fault() -> None:
    """Stage 2 is wired into the pair: letting go opens it, and the order to stop comes too."""
    made = in_beam()
    made.run(100_000)
    made.model.end_alone(made.t_us, "interlock_open")
    made.run(500_000, Outputs())
    sample = made.driver.sample
    assert (sample.interlock_closed, sample.faults) == (False, ())
    assert sample.state is GeneratorState.STANDBY


@pytest.mark.parametrize("bit", [b for b in range(11) if FAULT_BITS[b].name != "interlock_open"])
def test_each_fault_bit_has_its_code(bit: int) -> None:
    made = bench()
    made.model.bits.add(FAULT_BITS[bit].name)
    sample = in_standby(made).driver.sample
    assert sample.faults == (FAULT_BITS[bit].code,)
    assert FAULT_BITS[bit].code in FAULTS
    assert sample.raw_faults == f"bit {bit} {FAULT_BITS[bit].name}"
    warns = FAULT_BITS[bit].name in ("duty_cycle", "arc")
    assert (sample.state is GeneratorState.FAULT) is not warns


def test_the_codes_are_those_of_the_document() -> None:
    assert [bit.code for bit in FAULT_BITS] == [
        "GENERATOR_UNKNOWN",  # "not used on this model"
        "OVER_VOLTAGE", "OVER_POWER", "OVER_CURRENT", "ARC", "OVER_TEMPERATURE",
        "OVER_VOLTAGE", "OVER_VOLTAGE", "INTERLOCK_OPEN", "REGULATION", "BATTERY_LOW",
        "UNDER_TEMPERATURE",
    ]  # fmt: skip


def test_clear_is_sent_once_per_order_and_again_only_while_it_is_lost() -> None:
    made = in_standby()
    lost: list[bytes] = []

    def lose_two(command: bytes) -> bytes:
        if b"CLR" in command and len(lost) != 2:
            lost.append(command)
            return b""
        return command

    made.hear = lose_two
    made.run(3_000_000, Outputs(clear_faults_from_us=1))
    assert texts(made).count("CLR") == 3
    made.run(1_000_000, Outputs())
    made.run(1_000_000, Outputs(clear_faults_from_us=1))
    assert len(made.model.clears_us) == 1
    made.run(1_000_000, Outputs(clear_faults_from_us=2))
    assert len(made.model.clears_us) == 2


def test_clear_waits_for_the_end_of_the_beam() -> None:
    made = in_beam()
    order = made.outputs.expose_from_us
    made.run(300_000, Outputs(technique=MAS, expose_from_us=order, clear_faults_from_us=1))
    assert "CLR" not in texts(made)
    made.run(300_000, Outputs(clear_faults_from_us=1))
    assert texts(made).count("CLR") == 1


# --- a bad line -------------------------------------------------------------------------------


def test_after_a_timeout_keep_alive_comes_first() -> None:
    made = ready()
    while made.sent[-1] != (made.t_us, b"\x02FLT\r"):
        made.scan()
    asked_us, first = made.t_us, len(made.sent)
    made.edit = lambda reply: b"" if reply[1:2] in (b"0", b"1") else reply
    made.run(175_000)
    # FLT and its reply are 30 characters (31.3 ms), and the ICD's 100 ms
    assert made.sent[first:] == [
        (asked_us + 135_000, b"\x02WDTE\r"),
        (asked_us + 150_000, b"\x02STAT\r"),
    ]


def faults_lost_at_the_order() -> tuple[GeneratorBench, int]:
    """Ready; the answer to FLT is lost, and the beam is ordered meanwhile."""
    made = ready()
    while made.sent[-1] != (made.t_us, b"\x02FLT\r"):
        made.scan()
    made.edit = lambda reply: b"" if b" " in reply else reply
    return made, len(made.sent)


def test_after_a_lost_answer_on_waits_for_a_status() -> None:
    made, first = faults_lost_at_the_order()
    asked_us = made.t_us
    made.run_until(lambda s: s.on_sent_us, ordered(made))
    assert made.sent[first:] == [
        (asked_us + 135_000, b"\x02WDTE\r"),
        (asked_us + 150_000, b"\x02STAT\r"),
        (asked_us + 165_000, b"\x02ENBL1\r"),
    ]


@pytest.mark.req("SR-34")
def test_on_meets_no_beam_that_somebody_else_has_started() -> None:
    made, first = faults_lost_at_the_order()
    made.model.start(made.t_us)
    sample = made.run(300_000, ordered(made))
    assert (sample.beam_on, sample.on_sent_us, sample.refused) == (True, None, True)
    assert "ENBL1" not in texts(made, first)


@pytest.mark.req("SR-34", "F64")
@pytest.mark.parametrize("outputs", [Outputs(), Outputs(technique=MAS)], ids=["idle", "armed"])
def test_an_on_that_nobody_here_sent_shows_by_its_echo_and_is_answered_with_off(
    outputs: Outputs,
) -> None:
    """Its beam may be over before a status question has an answer."""
    made = ready()
    made.run(500_000, outputs)
    echoes = [b"\x02ENBL1\r"]
    made.edit = lambda reply: reply + (echoes.pop() if echoes else b"")
    first = len(made.sent)
    sample = made.run_until(lambda s: s.beam_on, outputs)
    assert sample.beam_taken_us == made.t_us
    made.run_until(lambda s: s.beam_on is False, outputs)
    assert "ENBL0" in texts(made, first)


def test_a_late_echo_of_our_own_on_is_no_strange_beam() -> None:
    made = ready()
    echoes: list[bytes] = []

    def hold(reply: bytes) -> bytes:
        if reply == b"\x02ENBL1\r":
            echoes.append(reply)
            return b""
        return reply

    made.edit = hold
    made.run(800_000, ordered(made))
    made.run(300_000, Outputs())  # the order is over, OFF is answered, the beam is off
    assert (made.driver.sample.beam_on, len(echoes)) == (False, 1)
    made.edit = lambda reply: reply + (echoes.pop() if echoes else b"")
    beams = {made.scan(Outputs()).beam_on for _ in range(200)}
    assert (beams, echoes) == ({False}, [])


def test_an_echo_that_a_unit_hears_while_it_starts_is_no_strange_beam() -> None:
    made = bench()
    echoes = [b"\x02ENBL1\r"]
    made.edit = lambda reply: reply + (echoes.pop() if echoes else b"")
    beams = {made.scan(Outputs()).beam_on for _ in range(40)}
    assert (beams, echoes) == ({None, False}, [])


def test_a_second_echo_of_our_own_on_is_no_strange_beam() -> None:
    made = in_beam()
    echoes = [b"\x02ENBL1\r"]
    made.edit = lambda reply: reply + (echoes.pop() if echoes else b"")
    first = len(made.sent)
    sample = made.run(100_000)
    assert (sample.beam_on, echoes) == (True, [])
    assert "ENBL0" not in texts(made, first)


def test_an_echo_of_off_that_says_on_confirms_nothing() -> None:
    """The two are one bit apart, and the wire has no checksum."""
    made = in_beam()
    made.run(100_000)
    while made.sent[-1] != (made.t_us - 3 * SCAN_US, b"\x02STAT\r"):  # answered, next not due
        made.scan()
    echoes: list[bytes] = []

    def turn_once(reply: bytes) -> bytes:
        echoes.append(reply)
        return b"\x02ENBL1\r" if len(echoes) == 1 else reply

    made.edit = turn_once
    made.scan(Outputs())
    off_us = made.t_us
    sample = made.run_until(lambda s: s.off_confirmed_us)
    assert echoes == [b"\x02ENBL0\r"] * 2
    assert made.sent_times(b"\x02ENBL0\r")[-2:] == [off_us, off_us + 20_000]
    assert sample.off_confirmed_us == off_us + 40_000


@pytest.mark.parametrize(("driver", "device"), [("R3", "R4"), ("R4", "R3"), ("R4", "R4")])
def test_the_dialect_is_found_by_probing(driver: str, device: str) -> None:
    made = GeneratorBench(
        lambda link: Driver(link, dialect=driver),  # type: ignore[arg-type]
        lambda model: Desk(model, dialect=device),  # type: ignore[arg-type]
    )
    ready(made=made)
    made.run(500_000)
    spoken = {"R3": ("MON", "FLT"), "R4": ("MOD", "FLD")}
    assert made.driver.sample.battery_v == 24.62
    assert set(texts(made)[-5:]) == {spoken[device][1], "STAT"}
    probed = [text for text in texts(made) if text in ("MON", "MOD")]
    assert probed == [spoken[driver][0]] * (driver != device) + [spoken[device][0]]


def test_a_lost_monitor_reply_later_does_not_change_the_dialect() -> None:
    made = in_standby()
    made.edit = lambda reply: b"" if len(reply) > 25 else reply
    made.run(5_000_000)
    assert "MOD" not in texts(made)


def test_after_silence_the_identity_is_asked_again() -> None:
    made = in_standby()
    made.hear = lambda command: b""
    made.run_until(is_state(GeneratorState.OFFLINE))
    made.hear = lambda command: command
    made.model.serial_number = "S17085-A00002"
    sample = made.run_until(lambda s: s.identity and s.identity.endswith("2"))
    assert sample.state is GeneratorState.STANDBY


def test_outside_the_beam_half_a_second_of_owed_replies_is_offline() -> None:
    made = ready()
    while made.sent[-1] != (made.t_us, b"\x02FLT\r"):
        made.scan()
    asked_us = made.t_us
    made.hear = lambda command: b""
    made.run_until(is_state(GeneratorState.OFFLINE))
    assert made.t_us == asked_us + 500_000


def test_a_reply_that_takes_as_long_as_the_document_allows_is_no_timeout() -> None:
    made = ready(made=bench(reply_us=99_000))
    made.run_until(lambda s: s.kv, ordered(made))
    made.run(1_000_000)
    made.run_until(lambda s: s.off_confirmed_us and s.beam_on is False, Outputs())
    sent = texts(made)
    # once after the OFF that overtook a reply; never for a time-out
    assert sent.count("WDTE") <= 1
    assert "STAT" in sent[sent.index("ENBL1") :]
    assert sent[sent.index("ENBL1") :].count("MON") >= 2  # neither starves the other


# --- what it can do ---------------------------------------------------------------------------


def test_the_capabilities_are_the_documents_worst_case_at_9600_baud() -> None:
    told = Driver(pipe()[0]).capabilities
    assert told.longest_exchange_us == {
        "standby": 134_375,  # MOD: 5 + 28 characters, 100 ms
        "prepare": 131_250,  # FLD: 5 + 25 characters
        "start": 614_584,  # ENBL1: 7 + 7 characters, 100 ms and 500 ms of ramp
        "beam": 134_375,
    }
    assert told.off_latency_us == 107_292  # seven characters, 100 ms
    assert told.off_typical_us == 7_292
    assert told.status_age_us == 2 * 109_375 + 134_375 + 3 * 5_000
    assert (told.watchdog_us, told.kv_rise_us, told.time_step_ms) == (2_000_000, 500_000, 10)
    assert told.drives_beam
    assert told.has_own_timer
    assert not told.has_mas_mode
    assert not told.has_readback


@pytest.mark.parametrize(
    ("asked", "got", "most_mas"),
    [
        (Technique(kv=80.04, ma=0.50004, mas=0.4), Technique(kv=80.0, ma=0.5, mas=0.4), 0.65),
        (Technique(kv=60.0, ma=0.2, ms=95.0), Technique(kv=60.0, ma=0.2, ms=100.0), 0.02),
        (Technique(kv=60.0, ma=0.2, ms=100.0), Technique(kv=60.0, ma=0.2, ms=100.0), 0.02),
        (Technique(kv=60.0, ma=0.2, ms=0.1), Technique(kv=60.0, ma=0.2, ms=10.0), 0.002),
        (Technique(kv=60.0, ma=0.3, mas=0.1), Technique(kv=60.0, ma=0.3, mas=0.1), 0.252),
        (Technique(kv=120.0, ma=1.0, mas=2.0), Technique(kv=120.0, ma=1.0, mas=2.0), 2.5),
        (Technique(kv=80.0, ma=0.5, mas=0.0500002), Technique(kv=80.0, ma=0.5, mas=0.05), 0.3),
        (Technique(kv=80.0, ma=0.5, mas=0.0504), Technique(kv=80.0, ma=0.5, mas=0.05), 0.3),
    ],
)
def test_a_technique_is_taken_in_the_devices_steps(
    asked: Technique, got: Technique, most_mas: float
) -> None:
    driver = Driver(pipe()[0])
    assert driver.effective(asked) == got
    assert driver.effective(got) == got
    assert driver.maximum_mas(got) == pytest.approx(most_mas)


CENTRE = AecSetting(chambers=("centre",), sensitivity_index=1, expected_mas=1.0, backup_mas=2.0)


@pytest.mark.parametrize(
    ("technique", "words"),
    [
        (Technique(kv=29.9, ma=0.5, mas=1.0), r"kv must be 30-120 kV .* got 29.9"),
        (Technique(kv=120.1, ma=0.5, mas=1.0), r"kv must be 30-120 kV .* got 120.1"),
        (Technique(kv=80.0, ma=0.19, mas=1.0), r"ma must be 0.2-1 mA .* got 0.19"),
        (Technique(kv=80.0, ma=1.1, mas=1.0), r"ma must be 0.2-1 mA .* got 1.1"),
        (Technique(kv=80.0, ma=0.5, ms=1e6), r"ms makes 1000000 ms, must be 10-999990 ms"),
        (Technique(kv=80.0, ma=0.5, mas=500.0), r"mas makes 1000500 ms"),
        (Technique(kv=80.0, ma=0.5, mas=4e-4), r"mas must be at least 0.001 mAs, got 0.0004"),
        (Technique(kv=80.0, ma=0.5, ms=float("nan")), r"ms must be a positive number"),
        (Technique(kv=80.0, ma=0.5), r"exactly one of mas, ms and aec"),
        (Technique(kv=80.0, ma=0.5, aec=CENTRE), r"aec: this generator ends no beam by chambers"),
    ],
)
def test_a_technique_it_cannot_make_names_field_and_range(technique: Technique, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Driver(pipe()[0]).effective(technique)


def test_a_driver_is_found_by_its_files_name() -> None:
    link, _ = pipe()
    opened = open_generator("vj_ixs", link, dialect="R4", baud=19200, status_poll_us=30_000)
    assert isinstance(opened, Driver)
    assert isinstance(open_desk("vj_ixs", FakeModel(), dialect="R4"), Desk)
    assert "vj_ixs" in names()
    assert not [name for name in names() if name.endswith(("_desk", "_wire", "_ratings"))]


@pytest.mark.parametrize("name", ["vj_ix", "VJ_IXS", "vj_ixs_desk"])
def test_an_unknown_driver_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}'; did you mean 'vj_ixs'"):
        open_generator(name, pipe()[0])


def test_nothing_leaves_and_nothing_breaks_before_the_first_write() -> None:
    unit, device = pipe()
    sample = Driver(unit).read(Now(0))
    assert (sample.state, sample.beam_on) == (GeneratorState.OFFLINE, None)
    assert device.read(1_000_000) == b""


@pytest.mark.wire
def test_the_same_driver_prepares_over_a_real_serial_port() -> None:
    clock = WallClock()
    with closing(PtyLink()) as device, closing(SerialLink(device.path)) as unit:
        driver, desk = Driver(unit), Desk(FakeModel())
        while driver.sample.confirmed is None and 5_000_000 - clock.now_us() > 0:
            now = Now(clock.now_us())
            desk.receive(now, device.read(now.t_us))
            device.write(now.t_us, desk.poll(now))
            driver.read(now)
            driver.write(now, Outputs(technique=MAS))
            clock.wait_until(clock.now_us() + 500)
    assert driver.sample.confirmed == MAS
    assert driver.sample.identity == "IXS120BP120P366 S17085-A00001"
