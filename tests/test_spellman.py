"""The Spellman driver: its contract on XRV and uX, and the rules of its wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hal.faults import FAULTS
from hal.generators.spellman import Driver
from hal.generators.spellman_desk import Desk
from hal.generators.spellman_faults import faults_of
from hal.generators.spellman_framing import Checksum, Dsp
from hal.generators.spellman_identity import harmless
from hal.generators.spellman_opcodes import Reply
from hal.generators.spellman_ratings import REPLY_US
from hal.generators.spellman_tables import UX, XRV
from hal.links import pipe
from hal.now import Now
from hal.ports import ByteLink, WireError
from hal.types import GeneratorSample, GeneratorState, Outputs, Technique
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench
from tests.test_spellman_wire import corrupted, settings_of

CHARGE = Technique(kv=80.0, ma=0.5, mas=0.4)


def retold(reply: bytes, opcode: bytes, more_count: int) -> bytes:
    """The one value of this answer, so many counts off, in a sound frame; others as they are."""
    try:
        text = Dsp().take(bytearray(reply)) or ""
    except WireError:
        return reply
    number, *values = text.split(",")
    if number.encode() != opcode or len(values) != 2 or not values[0].isdigit():
        return reply
    return Dsp().frame(f"{number},{int(values[0]) + more_count},")


class TestContractOfTheXrv(GeneratorContract):
    kind = "XRV"
    on_bytes = b"\x0298,1,F\x03"
    off_bytes = b"\x0298,0,G\x03"
    stray_on = b"\x0222,1,1,1,0,0,0,1,0,0,0,0,0,0,0,0,1,1,N\x03"
    settings = (b"14", b"15")
    timed_out_us = 250_000

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        return Driver(link, model=self.kind, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model, kind=self.kind)

    def answers_on(self, reply: bytes) -> bool:
        return reply == b"\x0298,$,S\x03"

    def wrong_echo(self, reply: bytes, setting: bytes) -> bytes:
        """One count off is what a converter may make of it (protocol reference 0)."""
        return retold(reply, setting, 2)


class TestContractOfTheUx(TestContractOfTheXrv):
    kind = "uX"
    on_bytes = b"\x0299,1,E\x03"
    off_bytes = b"\x0299,0,F\x03"
    stray_on = b"\x0222,1,0,0,[\x03"

    def answers_on(self, reply: bytes) -> bool:
        return reply == b"\x0299,$,R\x03"


# --- how to get there


def bench(
    kind: str = "XRV", *, checksum: Checksum = "inclusive", asked: str = "", **desk: Any
) -> GeneratorBench:
    """`asked`: the model that the bench names, where another one answers."""
    return GeneratorBench(
        lambda link: Driver(link, model=asked or kind, checksum=checksum),
        lambda model: Desk(model, kind=kind, checksum=checksum, **desk),
    )


def desk_of(made: GeneratorBench) -> Desk:
    assert isinstance(made.desk, Desk)
    return made.desk


def in_standby(made: GeneratorBench) -> GeneratorBench:
    made.run_until(lambda s: s.identity and s.interlock_taken_us)
    return made


def ready(made: GeneratorBench, technique: Technique = CHARGE) -> GeneratorBench:
    in_standby(made).run_until(is_state(GeneratorState.READY), Outputs(technique=technique))
    return made


def ordered(made: GeneratorBench, technique: Technique = CHARGE) -> Outputs:
    return Outputs(technique=technique, expose_from_us=made.t_us + SCAN_US)


def in_beam(made: GeneratorBench) -> GeneratorBench:
    ready(made).run_until(lambda s: s.on_answered_us, ordered(made))
    return made


def is_state(state: GeneratorState) -> Callable[[GeneratorSample], bool]:
    return lambda sample: sample.state is state


def texts(made: GeneratorBench, from_index: int = 0) -> list[str]:
    """The bodies that left: `10,1280,`."""
    return [data[1:].rsplit(b",", 1)[0].decode() + "," for _, data in made.sent[from_index:]]


def numbers(made: GeneratorBench) -> set[int]:
    return {int(text[:2]) for text in texts(made)}


# --- the sequence, byte for byte ----------------------------------------------------------------


def test_an_xrv_is_known_before_off_leaves_and_then_asked_who_it_is() -> None:
    made = in_standby(bench())
    assert texts(made)[:7] == [
        "22,", "68,", "98,0,", "23,", "28,", "27,", "19,",
    ]  # fmt: skip
    assert made.driver.sample.identity == "Spellman XRV IXS120BP120P366 S17085-A00001"


def test_a_ux_is_told_by_its_three_flags() -> None:
    made = in_standby(bench("uX"))
    assert texts(made)[:6] == ["22,", "99,0,", "23,", "26,", "32,", "20,"]


def test_all_that_sets_leaves_before_all_that_reads_back() -> None:
    made = in_standby(bench())
    first = len(made.sent)
    made.run_until(lambda s: s.confirmed, Outputs(technique=CHARGE))
    assert texts(made, first)[:5] == ["70,1,", "10,2048,", "11,68,", "14,", "15,"]
    assert (made.model.kv, made.model.ma) == (2048 / 4095 * 160, 68 / 4095 * 30)


def test_on_is_accepted_when_its_answer_the_status_and_the_risen_kv_were_seen() -> None:
    made = ready(bench())
    made.run(30_000)
    low = iter([10.0, 70.0])
    whole = made.model.reading
    made.model.reading = lambda t_us: replace(whole(t_us), kv=next(low, 80.0))  # type: ignore[method-assign]
    first = len(made.sent)
    sample = made.run_until(lambda s: s.on_answered_us, ordered(made))
    sent = texts(made, first)
    assert sent[sent.index("98,1,") :].count("19,") == 3
    assert sample.beam_on
    assert sample.kv == pytest.approx(80.0, abs=0.1)


def test_without_a_checksum_over_tcp() -> None:
    made = in_beam(bench("uXMAN", checksum="none"))
    assert made.sent[0][1] == b"\x0222,\x03"
    made.run_until(lambda s: s.beam_on is False, Outputs())
    assert len(made.model.ends_us) == 1


# --- who is there? ------------------------------------------------------------------------------

STRANGERS = {  # what another model answers to 22, by its table
    "uX": "22,0,1,0,",
    "SLM": "22,0,1,0,0,0,0,0,0,",
    "ESL": "22,0,",
    "PMX": "22," + "0," * 26,
}


def answering(made: GeneratorBench, answers: dict[str, str]) -> GeneratorBench:
    """The device gives these answers, and none to anything else."""

    def hear(command: bytes) -> bytes:
        text = Dsp().take(bytearray(command)) or ""
        if text in answers:
            made.device_end.write(made.t_us, Dsp().frame(answers[text]))
        return b""

    made.hear = hear
    return made


@pytest.mark.req("SR-50")
@pytest.mark.parametrize("other", STRANGERS)
def test_another_model_than_the_benchs_gets_nothing_but_harmless_queries(other: str) -> None:
    made = answering(bench("XRV"), {"22,": STRANGERS[other], "16,": "16,0,"})
    made.run(2_000_000, Outputs())
    made.run(500_000, Outputs(technique=CHARGE, clear_faults_from_us=made.t_us))
    sample = made.run(500_000, ordered(made))
    assert numbers(made) <= harmless()
    assert (sample.state, sample.confirmed) == (GeneratorState.FAULT, None)
    assert "GENERATOR_IDENTITY" in sample.faults
    assert re.search(f"names a Spellman XRV, .* is a Spellman .*{other}", sample.raw_faults)


@pytest.mark.req("SR-50")
def test_an_st_has_as_many_flags_and_is_told_by_its_fault_words() -> None:
    answers = {"22,": "22," + "0," * 17, "68,": "68," + "0," * 9, "16,": "16,!,2,"}
    made = answering(bench("XRV"), answers)
    sample = made.run(2_000_000)
    assert numbers(made) <= harmless()
    assert "is a Spellman ST: 68 has 9 values, not 27" in sample.raw_faults


def test_the_other_way_round_an_xrv_is_no_ux() -> None:
    made = bench("XRV", asked="uX")
    sample = made.run(2_000_000)
    assert numbers(made) <= harmless()
    assert "names a Spellman uX, but what answers is a Spellman XRV or ST" in sample.raw_faults


def test_the_right_one_in_its_place_is_known_again() -> None:
    made = answering(bench("XRV"), {"22,": STRANGERS["uX"], "16,": "16,0,"})
    assert made.run(2_000_000).faults == ("GENERATOR_IDENTITY",)
    made.hear = lambda command: command
    assert ready(made).driver.sample.faults == ()


def test_off_leaves_for_a_supply_that_is_not_known_yet_when_our_on_may_be_obeyed() -> None:
    made = in_beam(bench())
    made.hear = lambda command: b""
    made.run_until(is_state(GeneratorState.OFFLINE))
    lost_us = made.t_us
    made.run(500_000, Outputs())
    after_us = [t_us - lost_us for t_us in made.sent_times(b"98,0,") if t_us - lost_us > 0]
    assert after_us[0] == SCAN_US
    assert len(after_us) > 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            {"full_scale_kv": 225.0},
            r"its full scale is 225 kV and 30 mA \(28\), the bench says 160",
        ),
        ({"full_scale_ma": 13.3}, "its full scale is 160 kV and 13.3 mA"),
    ],
)
def test_a_supply_of_another_full_scale_makes_no_beam(spoil: dict[str, Any], words: str) -> None:
    made = bench(**spoil)
    made.run(2_000_000)
    sample = made.run(1_000_000, Outputs(technique=CHARGE))
    made.run(300_000, ordered(made))
    assert re.search(words, sample.raw_faults)
    assert (sample.confirmed, made.model.starts_us) == (None, [])


def test_a_prewarning_is_refused() -> None:
    made = bench()
    desk_of(made).prewarning_count = 5
    made.run(2_000_000)
    sample = made.run(1_000_000, Outputs(technique=CHARGE))
    assert sample.confirmed is None
    assert sample.raw_faults == "its pre-warning is 5 (27), and must be 0"


def test_local_mode_is_refused() -> None:
    made = ready(bench())
    desk_of(made).local = True
    sample = made.run_until(lambda s: s.confirmed is None)
    assert (sample.faults, sample.raw_faults) == (("GENERATOR_FAULT",), "it is in local mode")


def test_a_ux_without_a_part_number_is_done_without() -> None:
    made = bench("uX")
    made.edit = lambda reply: b"" if reply[1:3] in (b"23", b"26") else reply
    made.run(5_000_000)
    assert made.driver.sample.identity == "Spellman uX"


def test_a_ux_that_refuses_to_tell_its_name_is_no_worse() -> None:
    made = bench("uX")
    made.edit = lambda reply: Dsp().frame("26,!,2,") if reply[1:3] == b"26" else reply
    sample = in_standby(made).driver.sample
    assert (sample.identity, sample.raw_faults) == (
        "Spellman uX IXS120BP120P366 S17085-A00001", "",
    )  # fmt: skip


def test_a_model_whose_codec_alone_is_known_can_not_drive() -> None:
    with pytest.raises(ValueError, match=r"Spellman PMX: codec only, .* beams: XRV, uX, uXMAN"):
        Driver(pipe()[0], model="PMX")
    with pytest.raises(ValueError, match=r"no Spellman model 'XRW'; there are XRV, uX"):
        Driver(pipe()[0], model="XRW")


# --- what the checksum doesn't see --------------------------------------------------------------


@pytest.mark.req("SR-05")
@pytest.mark.parametrize("setting", [b"10,2048,", b"11,68,"])
def test_no_corruption_of_a_set_point_frame_ever_confirms_a_wrong_technique(setting: bytes) -> None:
    """Single and double, of the first frame that sets it: what passes the checksum is read back."""
    frame = Dsp().frame(setting.decode())
    passing = [made for made in sorted(corrupted(frame)) if settings_of(made) is not None]
    assert len(passing) > 10
    for wrong in passing:
        made = in_standby(bench())
        once = Once(frame, wrong)
        made.hear = once
        sample = made.run_until(lambda s: s.confirmed or s.faults, Outputs(technique=CHARGE))
        assert once.used
        assert sample.confirmed == CHARGE
        assert made.model.kv == pytest.approx(80.0, abs=2 * 160 / 4095)
        assert made.model.ma == pytest.approx(0.5, abs=2 * 30 / 4095)


class Once:
    """One frame arrives as other bytes, the first time."""

    def __init__(self, frame: bytes, wrong: bytes) -> None:
        self._frame, self._wrong, self.used = frame, wrong, False

    def __call__(self, command: bytes) -> bytes:
        if self.used or command != self._frame:
            return command
        self.used = True
        return self._wrong


def test_one_count_off_is_what_a_converter_may_make_of_it_and_two_are_not() -> None:
    for off, confirmed in ((1, CHARGE), (2, None)):
        made = in_standby(bench())
        made.edit = lambda reply, off=off: retold(reply, b"14", off)  # type: ignore[misc]
        sample = made.run(2_000_000, Outputs(technique=CHARGE))
        assert sample.confirmed == confirmed
    assert "get_kv was answered 2050 counts, set were 2048" in sample.raw_faults


def test_a_set_point_that_is_refused_is_told() -> None:
    made = in_standby(bench("uX"))
    made.edit = lambda reply: Dsp().frame("10,1,") if reply[1:4] == b"10," else reply
    sample = made.run(2_000_000, Outputs(technique=CHARGE))
    assert sample.raw_faults == "set_kv was answered 1 (out of range)"
    assert made.sent_times(b"\x0299,1,E\x03") == []


# --- what comes unasked -------------------------------------------------------------------------


def test_a_ux_tells_once_that_its_interlock_opened_and_that_is_kept() -> None:
    made = in_beam(bench("uX"))
    made.model.end_alone(made.t_us, "interlock_open")
    sample = made.run_until(lambda s: s.beam_on is False)
    made.run(1_000_000, Outputs())
    assert "INTERLOCK_OPEN" in made.driver.sample.faults
    assert "22: fault, interlock open" in made.driver.sample.raw_faults
    assert sample.interlock_closed is False
    cleared = made.run(1_000_000, Outputs(clear_faults_from_us=made.t_us))
    assert (cleared.faults, cleared.raw_faults) == ((), "")


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_an_unasked_frame_may_come_in_pieces_beside_an_answer(cut: int) -> None:
    made = in_standby(bench("uX"))
    made.run(300_000)
    frame = Dsp().frame("22,0,0,1,")
    made.device_end.write(made.t_us, frame[:cut])
    made.run(20_000)
    made.device_end.write(made.t_us, frame[cut:])
    sample = made.run(300_000)
    assert (sample.faults, sample.raw_faults) == (
        ("GENERATOR_FAULT",), "22: fault, interlock closed",
    )  # fmt: skip


def test_a_bare_error_to_on_is_a_refusal_in_words() -> None:
    made = ready(bench("uXMAN", checksum="none"))
    made.model.refuses = True
    sample = made.run_until(lambda s: s.refused, ordered(made))
    assert sample.raw_faults == "ON was refused: E#2 (interlock)"


def test_on_that_is_answered_and_brings_no_hv_was_refused() -> None:
    made = ready(bench())
    desk_of(made).status_stuck = False
    sample = made.run_until(lambda s: s.refused, ordered(made))
    assert sample.raw_faults == "ON was refused: no HV after ON"
    assert sample.on_sent_us is not None
    assert made.t_us - sample.on_sent_us in range(REPLY_US, REPLY_US + 250_000)


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "words"), [("XRV", "flag 4 over_current"),
                                             ("uX", "flag 5 over_power")])  # fmt: skip
def test_a_fault_in_the_beam_is_named_by_flag_and_word(kind: str, words: str) -> None:
    made = in_beam(bench(kind))
    made.model.end_alone(made.t_us, "over_current")
    sample = made.run_until(lambda s: s.beam_on is False and words in s.raw_faults)
    assert sample.state is GeneratorState.FAULT
    assert sample.faults[0] in ("OVER_CURRENT", "OVER_POWER")
    assert sample.faults[0] in FAULTS


def test_a_fault_without_a_flag_is_unknown() -> None:
    made = in_standby(bench())
    made.model.bits.add("something_new")
    sample = made.run_until(lambda s: s.faults)
    assert sample.faults == ("GENERATOR_UNKNOWN",)
    assert sample.raw_faults == "status: fault, and no flag of 68 is set"


def test_faults_are_cleared_with_the_models_own_opcode_and_only_when_ordered() -> None:
    for kind, text in (("XRV", "31,"), ("uX", "52,")):
        made = in_standby(bench(kind))
        made.model.bits.add("over_voltage")
        made.run(1_500_000)
        assert text not in texts(made)
        sample = made.run(1_500_000, Outputs(clear_faults_from_us=made.t_us))
        assert texts(made).count(text) == 1
        assert (sample.faults, sample.state) == ((), GeneratorState.STANDBY)


def test_each_code_that_a_flag_becomes_is_one_of_ours() -> None:
    for model in (XRV, UX):
        fields = model.by_name["faults"].answers
        values = (1,) * (len(fields) + 1)
        for fault in faults_of(model, Reply(("1",) * len(values), values)):
            assert fault.code in FAULTS


# --- what it promises ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baud", "off_us", "age_us"), [(9600, 158_334, 625_418), (115_200, 150_695, 478_370)]
)
def test_the_bounds_follow_from_the_lengths_of_the_frames(
    baud: int, off_us: int, age_us: int
) -> None:
    """Two statuses of 46 characters, question and reply, a monitor read of 62, three scans."""
    able = Driver(pipe()[0], baud=baud).capabilities
    assert (able.has_own_timer, able.watchdog_us, able.has_readback) == (False, None, True)
    assert able.off_latency_us == off_us
    assert able.status_age_us == age_us


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (Technique(kv=80.0, ma=0.5, mas=0.4), (80.019536, 0.498168, 0.4, None)),
        (Technique(kv=160.0, ma=30.0, ms=1001.0), (160.0, 30.0, None, 1005.0)),
    ],
)
def test_a_technique_is_taken_in_the_units_counts(
    asked: Technique, got: tuple[object, ...]
) -> None:
    driver = Driver(pipe()[0])
    used = driver.effective(asked)
    assert (used.kv, used.ma, used.mas, used.ms) == got
    assert driver.effective(used) == used
    assert driver.maximum_mas(used) == pytest.approx(used.ma * (used.planned_ms + 1000) / 1000,
                                                     rel=0.01)  # fmt: skip


@pytest.mark.parametrize(
    ("technique", "words"),
    [
        (Technique(kv=161.0, ma=1.0, ms=1.0), "kv must be 0-160 kV, got 161"),
        (Technique(kv=0.01, ma=1.0, ms=1.0), r"kv must be at least 0.03907 kV, got 0.01"),
        (Technique(kv=80.0, ma=31.0, ms=1.0), "ma must be 0-30 mA, got 31"),
        (Technique(kv=80.0, ma=1.0, mas=0.0004), "mas must be at least 0.001 mAs"),
        (Technique(kv=80.0, ma=1.0), "exactly one of mas, ms and aec"),
    ],
)
def test_a_technique_it_can_not_make_names_field_and_range(
    technique: Technique, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Driver(pipe()[0]).effective(technique)
    made = in_standby(bench())
    sample = made.run(300_000, Outputs(technique=technique))
    assert sample.state is GeneratorState.FAULT
    assert "10," not in "".join(texts(made))


# --- what the simulated device does -------------------------------------------------------------


def said(made: Desk, text: str) -> bytes:
    """What the desk answers, 10 ms later."""
    made.receive(Now(0), Dsp().frame(text))
    return made.poll(Now(10_000))


@pytest.mark.parametrize(
    ("kind", "asked", "answer"),
    [
        ("XRV", "10,4096,", "10,1,"),  # out of range: 3.4
        ("uX", "47,1,10001,", "47,1,"),
        ("uX", "98,1,", None),  # an opcode of another model
        ("XRV", "99,1,", None),
        ("XRV", "60,", "60,0,"),
        ("XRV", "21,", "21,1.03,"),
        ("XRV", "43,", "43,SWM00199-001,3261,"),
        ("XRV", "65,", "65,1768,"),
        ("XRV", "38,", "38,0,0,0,0,0,0,"),
        ("uX", "48,", "48,0,0,"),
        ("uX", "26,", "26,IXS120BP120P366,"),
    ],
)
def test_the_desk_answers_what_its_table_has(kind: str, asked: str, answer: str | None) -> None:
    wanted = b"" if answer is None else Dsp().frame(answer)
    assert said(Desk(FakeModel(), kind=kind), asked) == wanted


def test_set_points_are_kept_and_power_limits_read_back() -> None:
    desk = Desk(FakeModel())
    for asked, answer in (("97,110,20,", "97,$,"), ("38,", "38,110,20,0,0,0,0,"),
                          ("12,367,", "12,$,"), ("16,", "16,367,"), ("30,", "30,$,"),
                          ("69,", "69,507,0,0,0,2596,2850,2596,2850,3510,2601,")):  # fmt: skip
        assert said(desk, asked) == Dsp().frame(answer)


def test_a_desk_that_is_deaf_or_reads_back_wrongly_never_gets_a_beam() -> None:
    made = in_standby(bench())
    desk_of(made).wrong_readback = "ma"
    sample = made.run(2_000_000, Outputs(technique=CHARGE))
    assert sample.raw_faults == "get_ma was answered 70 counts, set were 68"
    deaf = in_standby(bench())
    desk_of(deaf).deaf_to = "set_kv"
    assert deaf.run(2_000_000, Outputs(technique=CHARGE)).confirmed is None


def test_a_supply_that_refuses_its_scaling_or_a_clear_says_so() -> None:
    made = bench("uX")
    made.edit = lambda reply: Dsp().frame("20,1,") if reply[1:4] == b"20," else reply
    sample = made.run(3_000_000)
    assert "it refused monitor: 1 (out of range)" in sample.raw_faults
    made = in_standby(bench("uX"))
    made.edit = lambda reply: Dsp().frame("52,9,") if reply[1:4] == b"52," else reply
    made.run(1_000_000, Outputs(clear_faults_from_us=made.t_us))
    assert texts(made).count("52,") == 1


def test_the_answer_of_another_question_makes_no_stranger() -> None:
    made = bench()
    made.device_end.write(0, Dsp().frame("99,$,"))
    in_standby(made)
    assert made.driver.sample.raw_faults == ""
