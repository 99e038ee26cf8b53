"""The GeniX3D driver: its contract, and the rules of a source behind a shutter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hal.faults import FAULTS
from hal.generators import open_listener
from hal.generators.genix3d import Driver
from hal.generators.genix3d_desk import Desk
from hal.generators.genix3d_heard import _Words
from hal.generators.genix3d_wire import BITS, INTERLOCKS, SHUTTER_US, Bit
from hal.links import pipe
from hal.now import Now
from hal.ports import ByteLink, Direction, Kind
from hal.types import GeneratorSample, GeneratorState, Outputs, Technique
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench

FULL = Technique(kv=50.0, ma=0.6, mas=0.4)
STANDBY = Technique(kv=30.0, ma=0.3, mas=0.5)
LINE_BAUD = 1_000_000  # TCP: a frame takes well under a scan
TIMES: dict[str, Any] = {"standby_us": 60_000, "full_us": 100_000, "close_us": 10_000}

# PDUs (tests/vectors/genix3d.toml has their sources)
OPEN = bytes.fromhex("05 00 f7 ff 00")
LIFTED = bytes.fromhex("05 00 f7 00 00")
CLOSE = bytes.fromhex("05 00 f8 ff 00")
XRAYS_ON = bytes.fromhex("05 00 fb ff 00")
XRAYS_OFF = bytes.fromhex("05 00 fb 00 00")
STATUS = bytes.fromhex("01 00 d2 00 24")
POWER = bytes.fromhex("03 00 32 00 02")
POWER_REPLY = bytes.fromhex("00 07 01 03 04")  # the end of its header, function, byte count


class TestContract(GeneratorContract):
    on_bytes = OPEN
    off_bytes = XRAYS_OFF
    # Remote, X-rays on, interlock ok, shutter open: answer to a question of earlier.
    stray_on = bytes.fromhex("00 02 00 00 00 08 01 01 05 03 00 00 0a 00")
    baud = LINE_BAUD
    technique = FULL
    other_technique = STANDBY
    settings = (b"kv", b"ma")

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        """Replies get lost on purpose here: nobody waits the full 100 ms for each."""
        return Driver(link, timeout_us=47_003, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model, reply_us=8_000, **TIMES)

    def answers_on(self, reply: bytes) -> bool:
        return OPEN in reply

    def ends_otherwise(self, command: bytes) -> bool:
        return CLOSE in command

    def wrong_echo(self, reply: bytes, setting: bytes) -> bytes:
        """The indication is off by 2.56 kV or mA, which is beyond what is taken for right."""
        at = reply.find(POWER_REPLY)
        if at < 0:
            return reply
        at += len(POWER_REPLY) + {b"kv": 0, b"ma": 2}[setting]
        return reply[:at] + bytes(((reply[at] + 1) % 256,)) + reply[at + 1 :]


# --- the way to a beam, frame for frame ---------------------------------------------------------


def bench(**desk: Any) -> GeneratorBench:
    times = TIMES | desk
    return GeneratorBench(Driver, lambda model: Desk(model, **times), baud=LINE_BAUD)


def desk_of(made: GeneratorBench) -> Desk:
    assert isinstance(made.desk, Desk)
    return made.desk


def jammed(t_us: int, *, is_open: bool) -> None:
    """A shutter that moves no more."""


def writes(made: GeneratorBench, from_index: int = 0) -> list[str]:
    """What was written, as address=value."""
    pdus = (data[7:] for _, data in made.sent[from_index:])
    return [f"{pdu[1] * 256 + pdu[2]}={pdu[3] // 255}" for pdu in pdus if pdu[0] == 5]


def is_state(state: GeneratorState) -> Callable[[GeneratorSample], bool]:
    return lambda sample: sample.state is state


def in_standby(made: GeneratorBench | None = None) -> GeneratorBench:
    made = made or bench()
    made.run_until(lambda s: s.identity)
    made.run(300_000)
    return made


def ready(technique: Technique = FULL, made: GeneratorBench | None = None) -> GeneratorBench:
    made = in_standby(made)
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=technique))
    return made


def ordered(made: GeneratorBench, technique: Technique = FULL) -> Outputs:
    return Outputs(technique=technique, expose_from_us=made.t_us + SCAN_US)


def in_beam(technique: Technique = FULL, made: GeneratorBench | None = None) -> GeneratorBench:
    made = ready(technique, made)
    made.run_until(lambda s: s.on_answered_us, ordered(made, technique))
    return made


def test_the_tube_goes_to_its_power_behind_the_closed_shutter() -> None:
    made = in_standby()
    start = len(made.sent)
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=FULL))
    assert writes(made, start) == ["247=0", "248=0", "251=1", "250=0", "252=1", "252=0"]
    assert made.model.starts_us == []


@pytest.mark.req("SR-21", "F63")
def test_a_beam_whose_on_was_never_answered_is_timed_from_what_the_status_shows() -> None:
    """The unit is its only timer: 0.7 s became 2.1 s while the answer was waited for."""
    made = ready()
    made.edit = lambda reply: b"" if OPEN in reply else reply
    ordered_us = made.t_us
    sample = made.run_until(lambda s: s.on_answered_us, ordered(made))
    assert (sample.refused, sample.state) == (False, GeneratorState.BEAM)
    assert sample.on_answered_us is not None
    assert sample.on_answered_us - ordered_us < 500_000  # a lost reply, and one status


def test_the_other_place_of_the_tube_is_standby() -> None:
    made = in_standby()
    start = len(made.sent)
    sample = made.run_until(is_state(GeneratorState.READY), Outputs(technique=STANDBY))
    assert writes(made, start) == ["247=0", "248=0", "251=1", "250=1"]
    assert sample.confirmed == STANDBY


def test_on_is_the_shutters_pulse_and_off_is_x_rays_off_and_then_the_shutter() -> None:
    made = ready()
    start = len(made.sent)
    made.run_until(lambda s: s.on_answered_us, ordered(made))
    assert writes(made, start) == ["247=1", "247=0"]
    start = len(made.sent)
    made.run(300_000, Outputs())
    assert writes(made, start) == ["251=0", "247=0", "248=1", "248=0"]
    assert made.driver.sample.beam_on is False


def test_a_shutter_that_does_not_close_is_told_again_each_2_s() -> None:
    made = in_beam()
    desk_of(made)._move = jammed  # type: ignore[method-assign]
    made.run(5_000_000, Outputs())
    times = [t_us for t_us, data in made.sent if CLOSE in data]
    assert [b - a for a, b in pairwise(times)] == [SHUTTER_US, SHUTTER_US]


def test_x_rays_never_go_on_behind_a_shutter_that_is_not_shown_closed() -> None:
    made = in_standby()
    desk_of(made)._open = True
    desk_of(made)._move = jammed  # type: ignore[method-assign]
    sample = made.run(8_000_000, Outputs(technique=FULL))
    assert made.sent_times(XRAYS_ON) == []
    assert sample.faults == ("GENERATOR_FAULT",)
    assert "not where it was sent (248)" in sample.raw_faults


def test_x_rays_stay_off_when_the_shutter_opens_on_the_way() -> None:
    """Between the look at it and the write: whoever opened it gets no beam from us."""
    made = in_standby()
    made.outputs = Outputs(technique=FULL)
    while not any(data[7:] == LIFTED for _, data in made.sent[-1:]):
        made.scan()
    made.hear = lambda command: b"" if XRAYS_ON in command else command  # it waits for its turn
    made.run(60_000)
    before = len(made.sent_times(XRAYS_ON))
    desk_of(made)._open = True
    made.run(150_000)
    made.hear = lambda command: command
    made.run_until(is_state(GeneratorState.READY))
    assert before >= 1
    assert made.model.starts_us == []


def test_both_sensors_apart_is_a_beam_as_long_as_x_rays_are_on() -> None:
    made = in_beam()
    desk_of(made)._sensors = lambda t_us: {"shutter open", "shutter closed"}  # type: ignore[method-assign]
    assert made.run(100_000).beam_on is True
    made.run_until(lambda s: s.beam_on is False, Outputs())  # X-rays are off: proof enough


def test_local_mode_is_told_and_nothing_is_sent() -> None:
    made = bench()
    desk_of(made).remote = False
    made.run(1_000_000)
    start = len(made.sent)
    sample = made.run(2_000_000, Outputs(technique=FULL, clear_faults_from_us=5))
    assert (sample.state, sample.faults) == (GeneratorState.FAULT, ("GENERATOR_NOT_READY",))
    assert "not in remote mode" in sample.raw_faults
    assert writes(made, start) == []
    desk_of(made).remote = True
    assert made.run_until(is_state(GeneratorState.READY)).faults == ()


@pytest.mark.parametrize("function", [3, 4])
def test_the_function_of_the_registers_is_found_out(function: int) -> None:
    made = in_beam(made=bench(register_function=function))
    sample = made.run_until(lambda s: s.kv)
    assert (sample.kv, sample.ma) == (50.0, 0.6)


@pytest.mark.parametrize("bit", [bit for bit in BITS.values() if bit.fault], ids=lambda b: b.name)
def test_every_fault_bit_has_its_code(bit: Bit) -> None:
    made = in_standby()
    desk_of(made).faults = {bit.name}
    sample = made.run(600_000)
    assert bit.fault in FAULTS
    silent = bit.name in INTERLOCKS  # an early release leaves these behind
    assert sample.faults == (() if silent else (bit.fault,))
    assert bit.name in sample.raw_faults


def test_faults_without_a_name_are_unknown() -> None:
    made = in_standby()
    made.model.bits.add("over_current")
    assert made.run(600_000).faults == ("GENERATOR_UNKNOWN",)


def test_an_interlock_that_ends_a_beam_is_a_fault_until_it_is_acknowledged() -> None:
    made = in_beam()
    made.model.end_alone(made.t_us, "interlock_open")
    sample = made.run_until(lambda s: s.faults)
    assert (sample.faults, sample.interlock_closed) == (("INTERLOCK_OPEN",), False)
    assert "relay interlock fault" in sample.raw_faults
    made.run(300_000, Outputs())
    cleared = Outputs(clear_faults_from_us=made.t_us + SCAN_US)
    sample = made.run_until(lambda s: s.interlock_closed, cleared)
    assert sample.faults == ()
    assert len(made.model.clears_us) == 1


def test_a_shutter_that_stays_shut_is_a_refusal_after_its_2_s() -> None:
    made = ready()
    made.model.refuses = True
    order = ordered(made)
    sample = made.run_until(lambda s: s.refused, order)
    assert sample.on_sent_us is not None
    assert made.t_us - sample.on_sent_us == SHUTTER_US


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kv": 40.0}, "kv and ma must be 30 kV, 0.3 mA (standby) or 50 kV, 0.6 mA (full power)"),
        ({"ma": 0.3}, "got 50 kV, 0.3 mA"),
        ({"mas": 0.0001}, "mas must be at least 0.001 mAs"),
        ({"mas": -1.0}, "mas must be a positive number"),
    ],
)
def test_what_it_can_t_do_is_refused_with_the_field(changes: dict[str, Any], why: str) -> None:
    wrong = replace(FULL, **changes)
    with pytest.raises(ValueError, match=re.escape(why)):
        Driver(pipe()[0]).effective(wrong)


@pytest.mark.parametrize(("ms", "made_ms"), [(100.0, 100.0), (100.001, 105.0), (1.0, 5.0)])
def test_a_time_is_taken_in_steps_of_a_scan_upwards(ms: float, made_ms: float) -> None:
    asked = replace(FULL, mas=None, ms=ms)
    driver = Driver(pipe()[0])
    assert driver.effective(asked).ms == made_ms
    assert driver.maximum_mas(asked) == pytest.approx(0.6 * (made_ms / 1000 + 2.0))


def test_a_technique_that_it_can_t_do_prepares_nothing() -> None:
    made = in_standby()
    start = len(made.sent)
    sample = made.run(500_000, Outputs(technique=replace(FULL, kv=40.0)))
    assert sample.faults == ("GENERATOR_FAULT",)
    assert writes(made, start) == []


def test_what_it_promises() -> None:
    able = Driver(pipe()[0]).capabilities
    assert (able.drives_beam, able.has_own_timer, able.watchdog_us) == (True, False, None)
    assert able.kv_rise_us == SHUTTER_US
    assert Driver(pipe()[0]).maximum_mas(FULL) == pytest.approx(0.6 * (0.67 + 2.0))


# --- the simulated device ------------------------------------------------------------------------


def told(desk: Desk, t_us: int, pdu: bytes) -> bytes:
    desk.receive(Now(t_us), b"\x00\x01\x00\x00\x00\x06\x01" + pdu)
    return desk.poll(Now(t_us + 1_000_000))[7:]


def test_the_device_serves_its_coils_and_registers_and_nothing_else() -> None:
    desk = Desk(FakeModel())
    assert told(desk, 0, STATUS).hex() == "01051100000600"
    assert told(desk, 0, POWER).hex() == "030400000000"
    assert told(desk, 0, bytes.fromhex("03 00 37 00 02")).hex() == "030400020001"  # 1 h 2 min
    refused = {
        "01 00 d1 00 02": "8102", "01 00 d2 00 25": "8102", "02 00 d2 00 24": "8202",
        "03 00 34 00 01": "8302", "04 00 32 00 02": "8401", "05 00 ef ff 00": "8502",
        "05 00 fd ff 00": "8502", "05 00 fb 12 34": "8503", "06 00 fc 01 f4": "8602",
    }  # fmt: skip
    for asked, answered in refused.items():
        assert told(desk, 0, bytes.fromhex(asked)).hex() == answered
    desk.remote = False
    assert told(desk, 0, XRAYS_ON).hex() == "8504"


def test_the_shutter_wants_the_other_coil_at_0() -> None:
    model = FakeModel()
    desk = Desk(model)
    for pdu in (XRAYS_ON, CLOSE, OPEN):
        told(desk, 0, pdu)
    assert model.starts_us == []
    told(desk, 20_000, bytes.fromhex("05 00 f8 00 00"))
    told(desk, 40_000, LIFTED)
    told(desk, 60_000, OPEN)
    assert model.starts_us == [60_000]


def test_kv_to_nothing_while_ma_flows_damages_the_source_for_good() -> None:
    desk = Desk(FakeModel(), standby_us=1_000)
    for number, pdu in enumerate((XRAYS_ON, bytes.fromhex("05 00 fa ff 00"))):
        told(desk, number * 20_000, pdu)
    kv_down = (bytes.fromhex("05 00 f3 ff 00"), bytes.fromhex("05 00 f3 00 00"))
    for number in range(30):
        assert not desk.damaged
        for pdu in kv_down:
            told(desk, 100_000 + number * 20_000, pdu)
    assert desk.damaged
    told(desk, 2_000_000, XRAYS_ON)
    status = told(desk, 2_100_000, STATUS)
    assert status[2] & 0b10 == 0  # no X-rays any more
    assert status[3] & 0b10  # faults


def test_cycles_end_where_the_reference_says() -> None:
    desk = Desk(FakeModel(), standby_us=10_000, full_us=20_000)
    told(desk, 0, XRAYS_ON)
    shown = []
    for number, coil in enumerate((250, 252, 245, 246, 244)):
        at_us = 100_000 * (number + 1)
        if coil != 250:
            told(desk, at_us, bytes((5, 0, 250, 0, 0)))
        told(desk, at_us, bytes((5, 0, coil, 255, 0)))
        told(desk, at_us, bytes((5, 0, coil, 0, 0)))
        shown.append(told(desk, at_us + 50_000, POWER)[2:].hex())
    at_standby, at_full = "0bb8001e", "1388003c"
    assert shown == [at_standby, at_full, at_standby, "00000000", "00000000"]


# --- what a tap shows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pdu", "kind", "words"),
    [
        ("05 00 f7 ff 00", Kind.BEAM, "shutter open 1"),
        ("05 00 f7 00 00", Kind.ACT, "shutter open 0"),
        ("05 00 fb ff 00", Kind.BEAM, "X-rays 1"),
        ("05 00 fb 00 00", Kind.STOP, "X-rays 0"),
        ("05 00 f8 ff 00", Kind.STOP, "shutter close 1"),
        ("05 00 f4 ff 00", Kind.STOP, "power off 1"),
        ("05 00 fa ff 00", Kind.ACT, "standby 1"),
        ("05 00 f0 ff 00", Kind.SET, "mA up 1"),
        ("06 00 fc 01 f4", Kind.UNKNOWN, "write 252: 01f4"),
        ("01 00 d2 00 24", Kind.QUERY, "210"),
        ("03 00 32 00 02", Kind.QUERY, "50"),
    ],
)
def test_the_line_is_told_in_words(pdu: str, kind: Kind, words: str) -> None:
    data = bytes.fromhex(pdu)
    head = b"\x00\x01\x00\x00" + bytes((0, len(data) + 1, 1))
    (one,) = open_listener("genix3d").feed(Direction.TO_DEVICE, 0, head + data)
    assert one.kind is kind
    assert words in one.text or one.kind is Kind.QUERY


def test_coils_and_registers_are_told_by_name() -> None:
    words = _Words()
    assert words.name(1, 211) == "xray_on"
    assert words.name(1, 218) == words.name(2, 211) == ""
    assert (words.name(3, 50), words.name(4, 56)) == ("kV x 100", "hours")


def test_on_that_is_refused_by_an_exception_says_so_at_once() -> None:
    made = ready()
    order = ordered(made)
    desk_of(made).remote = False
    sample = made.run_until(lambda s: s.refused, order)
    assert sample.on_sent_us is not None
    assert made.t_us - sample.on_sent_us <= 3 * SCAN_US
    assert made.run(500_000, Outputs()).beam_on is False
    assert made.model.starts_us == []


def test_what_is_refused_on_the_way_is_tried_from_the_start() -> None:
    """Local mode for a moment: what was to be written is judged anew when it is over."""
    made = in_standby()
    made.outputs = Outputs(technique=FULL)
    while not made.sent_times(XRAYS_ON):
        made.scan()
    desk_of(made).remote = False
    made.run(700_000)
    desk_of(made).remote = True
    made.run_until(is_state(GeneratorState.READY))
    assert made.model.starts_us == []


def test_each_acknowledgement_counts_though_nothing_lifts_its_coil() -> None:
    """8.1: "write 1". The second one of a connection was not heard, nor any after it."""
    made = in_standby()
    for _ in range(2):
        made.model.bits = {"interlock_open"}
        made.run(1_200_000)
        assert made.driver.sample.interlock_closed is False
        made.run(1_200_000, Outputs(clear_faults_from_us=made.t_us))
        assert made.model.bits == set()
    assert len(made.model.clears_us) == 2


def test_an_acknowledgement_that_is_refused_is_not_asked_for_ever() -> None:
    made = in_standby()
    desk_of(made).remote = False  # seen with the next status, and the order comes before it
    made.run(600_000, Outputs(clear_faults_from_us=made.t_us + SCAN_US))
    assert len([pdu for _, pdu in made.sent if bytes.fromhex("05 00 f9 ff 00") in pdu]) == 1


def test_without_supply_the_tube_is_powered_down() -> None:
    model = FakeModel()
    desk = Desk(model, standby_us=0)
    for number, pdu in enumerate((XRAYS_ON, bytes.fromhex("05 00 fa ff 00"))):
        told(desk, number * 20_000, pdu)
    assert told(desk, 100_000, POWER).hex() == "03040bb8001e"
    model.bits.add("no_supply")
    assert told(desk, 200_000, POWER).hex() == "030400000000"
    told(desk, 300_000, bytes.fromhex("05 00 fb 00 00"))
    told(desk, 400_000, XRAYS_ON)
    assert told(desk, 500_000, STATUS)[2] & 0b10 == 0


def test_several_coils_are_written_in_their_order() -> None:
    model = FakeModel()
    desk = Desk(model, standby_us=0)
    many = bytes.fromhex("0f 00 fa 00 02 01 02")  # 250 and 251: X-rays alone
    desk.receive(Now(0), b"\x00\x01\x00\x00\x00\x08\x01" + many)
    assert desk.poll(Now(100_000))[7:].hex() == "0f00fa0002"
    assert told(desk, 200_000, STATUS)[2] & 0b110 == 0b10


def test_the_charge_is_rounded_to_the_units_own_step() -> None:
    assert Driver(pipe()[0]).effective(replace(FULL, mas=0.40004)) == FULL
