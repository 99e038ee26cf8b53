"""The R2CP driver: its contract, and the rules of its wire."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest

from hal.clock import WallClock
from hal.device_links import ListenerLink
from hal.faults import FAULTS
from hal.generators import names, open_desk, open_generator
from hal.generators.r2cp import Driver
from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import Message, State
from hal.generators.r2cp_ratings import FALL_US, HELD_MAS, databank_of, effective, maximum_mas
from hal.generators.r2cp_wire import ASK_STATUS, ENTRIES, Frame, Node, encode, frames_of
from hal.links import TcpLink, pipe
from hal.now import NEVER_US, Now
from hal.ports import ByteLink
from hal.types import GeneratorSample, GeneratorState, Outputs, Technique
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench
from tests.r2cp_vectors import VECTORS

BYTES = {vector.name: vector.bytes for vector in VECTORS}
LINE_BAUD = 1_000_000  # TCP: a frame takes well under a scan
BY_CHARGE = Technique(kv=80.0, ma=10.0, mas=20.0)
BY_TIME = Technique(kv=60.0, ma=100.0, ms=500.0)
READ_BACK = bytes.fromhex("20 0c 03 00 1b")


class TestContract(GeneratorContract):
    on_bytes = BYTES["start exposure"][1:]  # less the number of the frame
    off_bytes = BYTES["stop exposure"][1:]
    stray_on = BYTES["status: ExpInProgress, both stages"]
    baud = LINE_BAUD
    technique = BY_CHARGE
    other_technique = BY_TIME
    settings = (b"kv", b"mas", b"ma")
    most_changes = 21  # one answer per 100 ms

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        """Replies get lost on purpose here: nobody waits 1 s for each, as TCP would have it."""
        return Driver(link, timeout_us=97_003, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model, prep_us=100_000, reply_us=8_000)

    def ends_otherwise(self, command: bytes) -> bool:
        return BYTES["RX disable on"][1:] in command

    def in_beam(self) -> GeneratorBench:
        bench = self.ready()
        bench.run_until(lambda s: s.on_answered_us and s.beam_on, self.order(bench))
        return bench

    def answers_on(self, reply: bytes) -> bool:
        return bytes.fromhex("20 8e 0a 00 02") in reply

    def wrong_echo(self, reply: bytes, setting: bytes) -> bytes:
        last_byte = {b"kv": 4, b"mas": 7, b"ma": 10}[setting]
        at = reply.find(READ_BACK)
        if at < 0:
            return reply
        at += len(READ_BACK) + last_byte
        return reply[:at] + bytes(((reply[at] + 1) % 256,)) + reply[at + 1 :]


class TestContractWithTheAnswerLast(TestContract):
    """4.2 does not state the order of ANSWER and MSG_PROCESSED."""

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model, prep_us=100_000, reply_us=8_000, answer_last=True)


class TestContractInPieces(TestContract):
    """At this pace most scans see a part of a frame, or parts of two."""

    baud = 57_600


# --- the sequence, frame for frame --------------------------------------------------------------


def bench(*, prep_us: int = 100_000, baud: int = LINE_BAUD, **desk: Any) -> GeneratorBench:
    return GeneratorBench(Driver, lambda model: Desk(model, prep_us=prep_us, **desk), baud=baud)


def desk_of(made: GeneratorBench) -> Desk:
    assert isinstance(made.desk, Desk)
    return made.desk


def driver_of(made: GeneratorBench) -> Driver:
    assert isinstance(made.driver, Driver)
    return made.driver


def in_standby(made: GeneratorBench | None = None) -> GeneratorBench:
    made = made or bench()
    made.run_until(lambda s: s.identity)
    made.run(200_000)
    return made


def ready(technique: Technique = BY_TIME, made: GeneratorBench | None = None) -> GeneratorBench:
    made = in_standby(made)
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=technique))
    return made


def ordered(made: GeneratorBench, technique: Technique = BY_TIME) -> Outputs:
    return Outputs(technique=technique, expose_from_us=made.t_us + SCAN_US)


def in_beam(technique: Technique = BY_TIME, made: GeneratorBench | None = None) -> GeneratorBench:
    made = ready(technique, made)
    made.run_until(lambda s: s.beam_on, ordered(made, technique))
    return made


def is_state(state: GeneratorState) -> Callable[[GeneratorSample], bool]:
    return lambda sample: sample.state is state


def frames(made: GeneratorBench, from_index: int = 0) -> list[Frame]:
    buffer = bytearray(b"".join(data for _, data in made.sent[from_index:]))
    return list(frames_of(buffer))


def texts(made: GeneratorBench, from_index: int = 0) -> list[str]:
    """`SET exposure 01`, for each frame that left."""
    return [text_of(frame) for frame in frames(made, from_index)]


def text_of(frame: Frame) -> str:
    name = next(e.name for e in ENTRIES.values() if frame.is_of(e.name))
    return f"{frame.function.name} {name} {frame.data.hex(' ')}".strip()


RX_ON = "SET message 11 00 07 a1 6a 01 01 02 00 00"
RX_OFF = "SET message 11 00 07 a1 6a 00 01 02 00 00"


def test_after_power_up_it_sends_off_connects_disables_rx_and_asks_who_is_there() -> None:
    made = bench()
    made.run(500_000)
    sent = texts(made)
    assert sent[:12] == [
        "SET exposure 00", "ANSWER connect 11", "GET node 11", "GET node 06", "GET status", RX_ON,
        "SET version 06 00 41", "GET status", "GET description", "GET serial", "GET post_exposure",
        "SET procedure 01 01 00 00 00 01 01 00 00 00 00 00 00 00 00 01",
    ]  # fmt: skip
    assert made.driver.sample.identity == "IXS120BP120P366 S17085-A00001"
    assert made.driver.sample.off_confirmed_us == 10_000


def test_frames_are_numbered_from_1_to_63_and_again_from_1() -> None:
    made = in_standby()
    made.run(14_000_000)
    numbers = [frame.sequence_index for frame in frames(made)]
    assert numbers[:130] == [index % 63 + 1 for index in range(130)]


def test_standby_asks_for_the_status_each_100_ms() -> None:
    made = in_standby()
    first = len(made.sent)
    made.run(1_000_000)
    sent = [text for text in texts(made, first) if text != "ANSWER heartbeat 11 a5"]
    assert sent == ["GET status"] * len(sent)
    assert len(sent) in (9, 10)


def test_a_timed_technique_is_a_3_point_databank_read_back_assigned_and_activated() -> None:
    made = in_standby()
    first = len(made.sent)
    made.run_until(lambda s: s.confirmed, Outputs(technique=Technique(kv=70.0, ma=200.0, ms=50.0)))
    sent = [text for text in texts(made, first) if text != "GET status"]
    # 4.8, databank 2, but for its id and the end of the integration window
    databank = "01 04 03 02 bc 09 c4 00 00 4e 20 00 13 88 00 01 00 32 01 00 00 00 00 00 00 00 00"
    assert sent == [
        f"SET databank {databank}", "GET databank 01", "SET assign 01 01 01",
        "SET activate 01 01 01 00 00 00",
    ]  # fmt: skip
    assert (made.model.kv, made.model.ma, made.model.time_us) == (70.0, 200.0, 50_000)


def test_a_technique_in_mas_is_a_2_point_databank_with_its_time_as_the_cap() -> None:
    made = in_standby()
    first = len(made.sent)
    made.run_until(lambda s: s.confirmed, Outputs(technique=Technique(kv=80.0, ma=250.0, mas=5.0)))
    # 4.8, databank 1; 5 mAs at 250 mA are 20 ms, and 10 ms for the ramp
    databank = "01 04 02 03 20 00 13 88 00 61 a8 00 0b b8 00 01 00 1e 01 00 00 00 00 00 00 00 00"
    assert f"SET databank {databank}" in texts(made, first)[:2]
    assert (made.model.charge_mas, made.model.time_us) == (5.0, 30_000)


def test_ready_is_what_the_generator_says_itself() -> None:
    made = in_standby(bench(prep_us=1_500_000))
    made.run_until(lambda s: s.confirmed, Outputs(technique=BY_TIME))
    confirmed_us = made.t_us
    assert made.driver.sample.state is GeneratorState.PREPARING
    made.run_until(is_state(GeneratorState.READY))
    assert made.t_us - confirmed_us in range(1_490_000, 1_570_000)


def test_the_rotor_stops_when_nobody_wants_the_beam_any_more() -> None:
    made = ready()
    first = len(made.sent)
    made.run(300_000, Outputs())
    assert texts(made, first).count("SET activate 01 00 01 00 00 00") == 1
    assert driver_of(made).status is not None
    assert driver_of(made).status.state is State.STANDBY  # type: ignore[union-attr]


def test_another_technique_begins_with_the_rotor_at_rest() -> None:
    made = ready()
    first = len(made.sent)
    made.run_until(lambda s: s.confirmed == BY_CHARGE, Outputs(technique=BY_CHARGE))
    sent = texts(made, first)
    assert sent.index("SET activate 01 00 01 00 00 00") < sent.index("GET databank 01")


def test_an_exposure_on_the_wire() -> None:
    made = ready()
    made.run(30_000)
    first = len(made.sent)
    order = ordered(made)
    made.run_until(lambda s: s.beam_mas, order)
    sent = texts(made, first)
    sent = sent[sent.index(RX_OFF) :]
    assert sent[:3] == [RX_OFF, "SET exposure 01", "GET status"]
    end = sent.index(RX_ON)  # set again as soon as the beam is seen off
    assert set(sent[3:end]) == {"GET status"}
    assert "GET post_exposure" in sent[end:]
    times_us = made.sent_times(BYTES["status query"][1:])
    inside = [t for t in times_us if made.model.starts_us[0] + 20_000 < t < made.model.ends_us[0]]
    assert {b - a for a, b in pairwise(inside)} == {50_000}


def test_rx_stays_disabled_but_between_on_and_the_end_of_its_beam() -> None:
    made = in_beam()
    assert texts(made).count(RX_OFF) == 1
    made.run_until(lambda s: s.beam_mas)
    made.run(500_000, Outputs())
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=BY_TIME))
    assert texts(made).count(RX_OFF) == 1
    enabled_us = made.sent_times(BYTES["RX disable off"][1:])[0]
    disabled_us = [t for t in made.sent_times(BYTES["RX disable on"][1:]) if t > enabled_us]
    assert disabled_us[0] - made.model.ends_us[0] in range(100_000)


def test_an_on_that_expired_leaves_rx_disabled() -> None:
    made = ready()
    made.hear = lambda command: b"" if BYTES["RX disable off"][1:] in command else command
    sample = made.run(2_000_000, ordered(made))
    assert (sample.refused, made.model.starts_us) == (True, [])
    assert texts(made)[-1] != RX_OFF
    assert RX_ON in texts(made)[texts(made).index(RX_OFF) :]


def test_release_ends_the_beam_by_either_of_two_ways() -> None:
    for lost in ("stop exposure", "RX disable on"):
        made = in_beam(BY_CHARGE)
        never = BYTES[lost][1:]
        made.hear = lambda command, never=never: b"" if never in command else command  # type: ignore[misc]
        released_us = made.t_us
        made.run_until(lambda s: s.beam_on is False, Outputs())
        assert made.model.ends_us[0] - released_us in range(50_000)


def test_post_exposure_values_are_the_generators_own() -> None:
    made = in_beam()
    sample = made.run_until(lambda s: s.beam_mas)
    assert (sample.kv, sample.ma, sample.beam_ms, sample.beam_mas) == (60.0, 100.0, 500.0, 50.0)
    assert sample.monitor_taken_us in range(made.model.starts_us[0], made.model.ends_us[0])
    post = driver_of(made).post_exposure
    assert post is not None
    assert (post.exposure_count, post.procedure_id, post.end_code) == (1, 1, 0)


def test_a_post_exposure_of_the_beam_before_is_not_taken_for_this_ones() -> None:
    made = in_beam()
    made.run_until(lambda s: s.beam_mas)
    made.run(100_000, Outputs())
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=BY_TIME))
    desk = desk_of(made)
    old = desk._post
    made.run_until(lambda s: s.beam_on, ordered(made))
    made.run_until(lambda s: s.beam_on is False)
    new, desk._post = desk._post, old
    assert made.run(300_000).beam_mas is None
    desk._post = new
    assert made.run_until(lambda s: s.beam_mas).beam_mas == 50.0


def test_a_beam_shorter_than_the_poll_is_accepted_and_accounted_for() -> None:
    short = Technique(kv=60.0, ma=100.0, ms=5.0)
    made = ready(short, bench(reply_us=20_000))
    sample = made.run_until(lambda s: s.beam_mas, ordered(made, short))
    assert (sample.beam_ms, sample.refused, sample.state) == (5.0, False, GeneratorState.READY)
    assert sample.on_answered_us is not None
    assert len(made.model.starts_us) == 1


# --- the hub, heart-beats, events ---------------------------------------------------------------


def test_a_heartbeat_is_answered_at_once_even_with_a_question_outstanding() -> None:
    made = in_standby()
    made.edit = lambda reply: b""
    made.run_until(lambda s: made.sent[-1][0] == made.t_us)
    made.device_end.write(made.t_us, BYTES["heartbeat query"])
    made.scan()
    assert made.sent[-1][1][1:] == BYTES["heartbeat answer"][1:]


def test_a_heartbeat_that_comes_in_two_pieces_while_nobody_waits_is_answered() -> None:
    made = in_standby()
    asked = BYTES["heartbeat query"]
    while made.sent[-1][0] != made.t_us - 4 * SCAN_US:  # answered, the next is not due
        made.scan()
    for part in (asked[:5], asked[5:]):
        made.device_end.write(made.t_us, part)
        made.scan()
    assert made.sent[-1][1][1:] == BYTES["heartbeat answer"][1:]


def test_it_connects_again_each_500_ms_until_the_hub_has_the_generator() -> None:
    made = bench()
    desk_of(made).generator_there = False
    made.run(2_000_000)
    assert made.driver.sample.state is GeneratorState.OFFLINE
    times_us = made.sent_times(BYTES["connection request"][1:])
    assert {b - a for a, b in pairwise(times_us)} <= set(range(560_000, 580_001, 5_000))
    desk_of(made).generator_there = True
    made.run_until(is_state(GeneratorState.STANDBY))


def test_a_hub_that_never_answers_is_asked_again_and_off_is_repeated() -> None:
    made = bench()
    made.hear = lambda command: b""
    made.run(3_000_000)
    assert made.driver.sample.state is GeneratorState.OFFLINE
    assert len(made.sent_times(BYTES["connection request"][1:])) == 3
    off_us = made.sent_times(BYTES["stop exposure"][1:])
    assert max(b - a for a, b in pairwise(off_us)) == 100_000
    made.hear = lambda command: command
    made.run_until(is_state(GeneratorState.STANDBY))


def test_a_generator_that_leaves_the_hub_is_offline_at_once() -> None:
    made = ready()
    made.device_end.write(made.t_us, BYTES["generator gone"])
    sample = made.scan()
    assert (sample.state, sample.confirmed) == (GeneratorState.OFFLINE, None)
    assert sample.beam_on is None
    made.run_until(is_state(GeneratorState.READY))


def test_a_service_tool_makes_the_unit_stand_still() -> None:
    made = ready()
    now = Now(made.t_us)
    desk_of(made).connection(now, Node.SERVICE_TOOL, there=True)
    made.device_end.write(made.t_us, desk_of(made).poll(Now(made.t_us + 3_000)))
    sample = made.run(10_000)
    assert (sample.state, sample.faults) == (GeneratorState.FAULT, ("GENERATOR_FAULT",))
    assert "node 9" in sample.raw_faults
    made.run(500_000, ordered(made))
    assert made.model.starts_us == []


def test_a_status_that_nobody_asked_for_is_only_a_reason_to_ask() -> None:
    made = in_standby()
    while made.sent[-1][0] != made.t_us - 4 * SCAN_US:
        made.scan()
    made.device_end.write(made.t_us, BYTES["status: ExpInProgress, both stages"])
    sample = made.scan()
    assert sample.beam_on is False
    assert (made.t_us, "GET status") == (made.sent[-1][0], texts(made)[-1])


def test_a_frame_for_another_node_is_not_ours() -> None:
    made = in_standby()
    other = bytearray(BYTES["generator gone"])
    other[1] = Node.SERVICE_TOOL
    made.device_end.write(made.t_us, bytes(other))
    assert made.run(50_000).state is GeneratorState.STANDBY


def test_events_of_entries_that_nobody_knows_do_no_harm() -> None:
    made = ready()
    event = bytes.fromhex("01 11 06 12 01 03 00 02 00 50")  # a battery's, in the middle of a reply
    made.edit = lambda reply: reply[:4] + reply[4:] + event
    assert made.run_until(lambda s: s.beam_on, ordered(made)).refused is False


# --- its no -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "code", "fault", "words"),
    [
        ("databank", 7, "GENERATOR_FAULT", "databank was answered 7: kVp"),
        ("databank", 8, "GENERATOR_FAULT", "databank was answered 8: mAs"),
        ("databank", 17, "OVER_POWER", "databank was answered 17: tube power limit"),
        ("databank", 24, "GENERATOR_FAULT", "databank was answered 24: databank type mismatch"),
        ("databank", 99, "GENERATOR_UNKNOWN", "databank was answered 99: a code that is not known"),
        ("databank", 203, "GENERATOR_FAULT", "answered 203: unknown entry, wrong access"),
        ("databank", 202, "GENERATOR_FAULT", "answered 202: not available in this state"),
        ("assign", 5, "GENERATOR_FAULT", "assign was answered 5: databank undefined"),
        ("activate", 5, "GENERATOR_FAULT", "activate was answered 5: invalid activation"),
        ("activate", 77, "GENERATOR_UNKNOWN", "activate was answered 77: a code that is not known"),
    ],
)
def test_a_refused_preparation_is_a_fault_with_the_raw_number(
    entry: str, code: int, fault: str, words: str
) -> None:
    assert fault in FAULTS
    made = in_standby()
    desk_of(made).results[entry] = code
    sample = made.run_until(lambda s: s.faults, Outputs(technique=BY_TIME))
    assert (sample.state, sample.faults) == (GeneratorState.FAULT, (fault,))
    assert words in sample.raw_faults
    tries = [text for text in texts(made) if text.startswith(f"SET {entry}")]
    assert len(tries) == (3 if code == 202 else 1)  # a wrong state may pass
    made.run(500_000, ordered(made))
    assert made.model.starts_us == []
    desk_of(made).results.clear()
    made.run(50_000, Outputs())
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=BY_TIME))


@pytest.mark.parametrize(("entry", "code"), [("assign", 8), ("procedure", 18)])
def test_what_is_so_already_is_no_refusal(entry: str, code: int) -> None:
    made = bench()
    desk = desk_of(made)
    desk._procedures.add(1)
    desk._assigned[1] = 1
    desk.results[entry] = code
    ready(made=made)


def test_a_procedure_that_is_refused_is_a_fault_from_the_start() -> None:
    made = bench()
    desk_of(made).results["procedure"] = 2
    sample = made.run_until(lambda s: s.faults)
    assert sample.raw_faults == "procedure was answered 2: type unsupported"


def test_an_rx_disable_that_is_refused_is_a_fault_and_nothing_is_prepared() -> None:
    made = bench()
    desk_of(made).results["message"] = 203
    sample = made.run(1_000_000, Outputs(technique=BY_TIME))
    assert (sample.faults, sample.confirmed) == (("GENERATOR_FAULT",), None)
    assert "RX disable was answered 203" in sample.raw_faults
    assert texts(made).count(RX_ON) in range(5, 21)


def test_a_start_that_is_refused_names_its_code() -> None:
    made = ready()
    desk_of(made).results["exposure"] = 1
    sample = made.run_until(lambda s: s.refused, ordered(made))
    assert "exposure was answered 1: not supported by the detector interface" in sample.raw_faults


def test_while_another_node_holds_the_token_nothing_is_prepared() -> None:
    made = in_standby()
    desk_of(made).holder_node = Node.SERVICE_TOOL
    sample = made.run_until(lambda s: s.faults, Outputs(technique=BY_TIME))
    assert "201: another node holds the token" in sample.raw_faults


def test_a_stop_that_is_answered_wrong_state_counts_when_a_later_status_shows_no_beam() -> None:
    made = bench()
    desk_of(made).results["exposure"] = 202
    sample = made.run_until(lambda s: s.off_confirmed_us)
    assert sample.beam_on is False
    first = len(made.sent)
    made.run(1_000_000)
    assert "SET exposure 00" not in texts(made, first)


def test_a_stop_that_is_refused_in_the_beam_is_sent_again_and_confirms_nothing() -> None:
    made = in_beam(BY_CHARGE)
    desk_of(made).results.update(exposure=1, message=203)
    first = len(made.sent)
    sample = made.run(500_000, Outputs())
    assert (sample.beam_on, sample.off_confirmed_us) == (True, None)
    assert texts(made, first).count("SET exposure 00") >= 5


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("kv", 60.1, "read back: kv 60.1, not 60"),
        ("ma", 99.99, "read back: ma 99.99, not 100"),
        ("ms", 500.01, "read back: ms 500.01, not 500"),
        ("mas", 639.999, "read back: mas 639.999, not 640"),
        ("focus_index", 0, "read back: focus_index 0, not 1"),
        ("points_index", 5, "read back: points_index 5, not 3"),
    ],
)
def test_a_databank_that_the_generator_changes_by_one_count_is_not_confirmed(
    field: str, value: float, words: str
) -> None:
    made = in_standby()
    desk_of(made).changed = {field: value}
    sample = made.run_until(lambda s: s.faults, Outputs(technique=BY_TIME))
    assert (sample.confirmed, sample.faults) == (None, ("GENERATOR_FAULT",))
    assert sample.raw_faults == words
    assert texts(made).count("GET databank 01") == 3


def test_any_flipped_bit_in_a_read_back_leaves_the_technique_unconfirmed() -> None:
    """But for what a beam does not depend on: spare bytes, frames per second, tracking."""
    answer = bytes.fromhex("20 0c 03 00 1b")
    for at in range(27):
        made = in_standby()
        made.edit = lambda reply, at=at: flip(reply, answer, at)  # type: ignore[misc]
        confirmed = made.run(400_000, Outputs(technique=BY_TIME)).confirmed is not None
        assert confirmed is (at >= 22)


def flip(reply: bytes, behind: bytes, at: int) -> bytes:
    found = reply.find(behind)
    if found < 0:
        return reply
    at += found + len(behind)
    return reply[:at] + bytes((reply[at] ^ 1,)) + reply[at + 1 :]


def test_under_its_cap_a_2_point_time_is_the_generators_choice() -> None:
    made = in_standby()
    desk_of(made).changed = {"ms": 2_000.0}
    made.run_until(lambda s: s.confirmed == BY_CHARGE, Outputs(technique=BY_CHARGE))
    desk_of(made).changed = {"ms": 2_010.01}
    made.run(200_000, Outputs())
    made.run_until(lambda s: s.faults, Outputs(technique=BY_CHARGE))


# --- system messages ----------------------------------------------------------------------------


def told(made: GeneratorBench, message_id: int, **fields: Any) -> None:
    """The generator's message, now."""
    fields = {"active": True} | fields
    message = Message(node_id=Node.GENERATOR, message_id=message_id, **fields)
    desk_of(made).message(Now(made.t_us), message)
    made.device_end.write(made.t_us, desk_of(made).poll(Now(made.t_us + 3_000)))


@pytest.mark.parametrize(
    ("message_id", "fault", "words"),
    [
        (140_401, "GENERATOR_FAULT", "message 140401 of node 6: DC bus, or the e-stop was open"),
        (140_499, "GENERATOR_FAULT", "message 140499 of node 6: DC bus"),
        (500_072, "GENERATOR_FAULT", "message 500072 of node 6: a test message"),
        (140_500, "GENERATOR_UNKNOWN", "message 140500 of node 6"),
        (77, "GENERATOR_UNKNOWN", "message 77 of node 6"),
    ],
)
def test_a_message_that_inhibits_the_beam_is_a_fault_until_it_is_cleared(
    message_id: int, fault: str, words: str
) -> None:
    made = ready()
    told(made, message_id)
    sample = made.run(10_000)
    assert (sample.state, sample.faults) == (GeneratorState.FAULT, (fault,))
    assert words in sample.raw_faults
    made.run(500_000, ordered(made))
    assert made.model.starts_us == []
    assert made.run(1_000_000, Outputs()).faults == (fault,)  # only a person orders a clear
    first = len(made.sent)
    made.run_until(lambda s: not s.faults, Outputs(clear_faults_from_us=made.t_us))
    clear = f"SET message 06 {message_id.to_bytes(4, 'big').hex(' ')} 00 01 02 00 00"
    assert texts(made, first).count(clear) == 1
    made.run_until(is_state(GeneratorState.READY), Outputs(technique=BY_TIME))


def test_a_message_that_inhibits_no_beam_is_only_told() -> None:
    made = in_standby()
    told(made, 77, inhibits_beam=False)
    sample = made.run(10_000)
    assert (sample.state, sample.faults) == (GeneratorState.STANDBY, ())
    assert sample.raw_faults == "message 77 of node 6"
    ready(made=made)


def test_a_message_whose_event_was_lost_is_found_by_the_status() -> None:
    made = in_standby()
    message = Message(node_id=6, message_id=140_401, active=True)
    desk_of(made)._messages[6, 140_401] = message
    sample = made.run_until(lambda s: s.faults)
    assert sample.faults == ("GENERATOR_FAULT",)
    del desk_of(made)._messages[6, 140_401]
    made.run_until(lambda s: not s.faults)


def test_messages_of_before_the_connection_are_asked_for() -> None:
    made = bench()
    desk_of(made)._messages[6, 1] = Message(node_id=6, message_id=1, active=True)
    sample = made.run_until(lambda s: "GENERATOR_UNKNOWN" in s.faults)
    assert "message 1 of node 6" in sample.raw_faults


def test_a_message_in_the_beam_is_told_and_the_end_is_seen() -> None:
    made = in_beam(BY_CHARGE)
    made.model.end_alone(made.t_us, "over_current")
    sample = made.run_until(lambda s: "GENERATOR_UNKNOWN" in s.faults)
    assert "message 900002" in sample.raw_faults
    assert made.run(100_000).beam_on is False


# --- states -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "shown", "beam"),
    [
        (State.INVALID, GeneratorState.FAULT, None),
        (State.INITIALIZATION, GeneratorState.STANDBY, False),
        (State.STANDBY, GeneratorState.STANDBY, False),
        (State.PREPARATION, GeneratorState.STANDBY, False),
        (State.READY, GeneratorState.STANDBY, False),
        (State.EXPOSURE_REQUESTED, GeneratorState.STANDBY, None),
        (State.EXPOSING, GeneratorState.BEAM, True),
        (State.WAIT_RELEASE, GeneratorState.STANDBY, False),
        (State.SHUTDOWN, GeneratorState.FAULT, False),
        (State.ERROR, GeneratorState.FAULT, False),
        (State.SERVICE, GeneratorState.FAULT, False),
    ],
)
def test_each_state_of_the_generator_has_ours(
    state: State, shown: GeneratorState, beam: bool | None
) -> None:
    made = in_standby()
    desk_of(made).state_stuck = state
    sample = made.run(300_000)
    assert (sample.state, sample.beam_on) == (shown, beam)
    assert sample.faults == (("GENERATOR_FAULT",) if shown is GeneratorState.FAULT else ())


@pytest.mark.parametrize("state", set(State) - {State.READY})
def test_on_never_leaves_unless_the_generator_says_ready(state: State) -> None:
    made = ready()
    desk_of(made).state_stuck = state
    made.run(200_000)
    made.run(500_000, ordered(made))
    assert made.sent_times(BYTES["start exposure"][1:]) == []


@pytest.mark.parametrize("state", [State.EXPOSING, State.EXPOSURE_REQUESTED])
def test_a_beam_that_is_asked_for_by_nobody_here_is_answered_with_off(state: State) -> None:
    made = in_standby()
    desk_of(made).state_stuck = state
    first = len(made.sent)
    made.run(500_000)
    assert texts(made, first).count("SET exposure 00") >= 4


def test_a_state_without_a_name_is_not_believed_and_the_last_one_grows_old() -> None:
    made = in_standby()
    made.edit = lambda reply: reply.replace(b"\x93\x03\x00\x0e\x02", b"\x93\x03\x00\x0e\x0b")
    before_us = made.driver.sample.beam_taken_us
    sample = made.run(500_000)
    assert sample.beam_taken_us == before_us


def test_start_was_answered_but_the_beam_does_not_come() -> None:
    """ExpReq may take its time: neither on nor off, and no second start."""
    made = ready()
    made.run_until(lambda s: made.model.starts_us, ordered(made))
    desk_of(made).state_stuck = State.EXPOSURE_REQUESTED
    sample = made.run(300_000)
    assert (sample.beam_on, sample.on_answered_us, sample.refused) == (None, None, False)
    assert len(made.sent_times(BYTES["start exposure"][1:])) == 1
    desk_of(made).state_stuck = None
    assert made.run(100_000).on_answered_us is not None


def test_after_the_beam_a_held_switch_delays_the_next_preparation() -> None:
    made = in_beam(made=bench(wait_release=True))
    made.run_until(lambda s: s.beam_mas)
    assert made.run(500_000, Outputs(technique=BY_TIME)).state is GeneratorState.PREPARING
    made.model.bits.add("interlock_open")
    made.run_until(is_state(GeneratorState.READY))


# --- a bad line ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answer_last", [False, True])
def test_a_late_answer_of_the_question_before_is_not_taken_for_this_ones(
    answer_last: bool,
) -> None:
    """An ANSWER has no number. The one that comes late says "exposing", the true one "standby"."""
    made = in_standby(bench(answer_last=answer_last))
    late: list[bytes] = []

    def hold(reply: bytes) -> bytes:
        """The first status answer comes with that of the question after its time-out."""
        if BYTES["status query"][3:5] in reply and not late:
            late.append(reply.replace(b"\x00\x0e\x02", b"\x00\x0e\x06"))
            return b""
        if BYTES["protocol version is 6"][3:5] + b"\x0a" in reply:
            return late[0] + reply
        return reply

    made.edit = hold
    beams = [made.scan().beam_on for _ in range(600)]
    assert True not in beams
    assert texts(made).count("GET version") == 1
    assert len(late) == 1
    assert beams[-1] is False


def test_a_reply_that_takes_as_long_as_the_host_waits_is_no_timeout() -> None:
    made = bench(reply_us=990_000)
    sample = made.run(20_000_000)
    assert (sample.state, sample.faults) == (GeneratorState.STANDBY, ())
    assert sample.identity
    assert "GET version" not in texts(made)


def test_garbage_that_looks_like_a_header_costs_one_time_out() -> None:
    made = in_standby()
    made.device_end.write(made.t_us, bytes.fromhex("01 11 06 12 07 03 00 64"))  # 100 bytes to come
    states = {made.scan().state for _ in range(500)}
    assert states == {GeneratorState.STANDBY}
    taken_us = made.driver.sample.taken_us
    assert taken_us is not None
    assert made.t_us - taken_us in range(300_000)


def test_a_link_that_breaks_in_the_beam_is_answered_with_off_when_it_is_back() -> None:
    made = in_beam(BY_CHARGE)
    made.link.gone = "tcp://192.6.1.201:10000: the device closed the connection"
    sample = made.run(100_000)
    assert (sample.state, sample.beam_on) == (GeneratorState.OFFLINE, None)
    first = len(made.sent)
    made.link.gone = ""
    made.run(150_000)  # still ordered on: a link that came back starts nothing
    assert "SET exposure 01" not in texts(made, first)
    made.run_until(lambda s: s.beam_on is False, Outputs())
    assert "SET exposure 00" in texts(made, first)


def test_a_generator_that_lost_its_supply_is_got_to_know_again() -> None:
    made = ready()
    desk_of(made).poll(Now(NEVER_US))
    made.hear = lambda command: b""
    made.run_until(is_state(GeneratorState.OFFLINE))
    made.hear = lambda command: command
    first = len(made.sent)
    made.run_until(is_state(GeneratorState.READY))
    assert any(text.startswith("SET procedure") for text in texts(made, first))


@pytest.mark.req("SR-50", "F17", "F70")
def test_a_generator_that_has_forgotten_the_procedure_is_got_to_know_again() -> None:
    """It was without power for less than a reply may take: nothing else would ever tell."""
    made = in_standby()
    made.model.serial_number = "R32-00002"
    desk_of(made).poll(Now(NEVER_US))
    first = len(made.sent)
    sample = made.run_until(is_state(GeneratorState.OFFLINE), Outputs(technique=BY_TIME))
    assert "assign was answered 1: procedure undefined" in sample.raw_faults
    assert not any(text.startswith("SET activate") for text in texts(made, first))
    sample = made.run_until(is_state(GeneratorState.READY), Outputs(technique=BY_TIME))
    assert sample.identity is not None
    assert sample.identity.endswith("R32-00002")  # who it is was asked again
    assert any(text.startswith("SET procedure") for text in texts(made, first))


def test_a_beam_ends_when_the_unit_falls_silent() -> None:
    """Synthetic: the device's time-outs have no known value."""
    made = in_beam(BY_CHARGE)
    assert made.model.watchdog_us == 2_000_000
    assert made.model.fed_us[-1] > made.model.starts_us[0]


@pytest.mark.req("SR-34")
def test_on_meets_no_beam_that_somebody_else_has_started() -> None:
    """The answer that would have told it was lost: a status comes before ON."""
    patient = GeneratorBench(
        lambda link: Driver(link, timeout_us=50_000),
        lambda model: Desk(model, prep_us=100_000),
        baud=LINE_BAUD,
    )
    made = ready(made=patient)
    while made.sent[-1] != (made.t_us, encode(ASK_STATUS.framed(made.sent[-1][1][0]))):
        made.scan()
    lost: list[bytes] = []

    def lose_one(reply: bytes) -> bytes:
        if lost:
            return reply
        lost.append(reply)
        return b""

    made.edit = lose_one
    made.model.start(made.t_us)
    first = len(made.sent)
    sample = made.run(300_000, ordered(made))
    assert (sample.beam_on, sample.on_sent_us, sample.refused) == (True, None, True)
    assert "SET exposure 01" not in texts(made, first)


# --- what it can do -----------------------------------------------------------------------------


def test_the_capabilities_are_the_hosts_patience_and_claim_no_watchdog() -> None:
    able = Driver(pipe()[0]).capabilities
    assert able.longest_exchange_us == {
        "standby": 1_000_000, "prepare": 1_000_000, "start": 3_000_000, "beam": 1_000_000,
    }  # fmt: skip
    assert (able.status_age_us, able.off_latency_us) == (2_015_000, 1_000_000)
    assert able.watchdog_us is None
    assert (able.has_own_timer, able.has_mas_mode, able.has_rotor, able.has_readback) == (True,) * 4
    assert able.time_step_ms == 0.01


@pytest.mark.parametrize(
    ("asked", "got", "most_mas"),
    [
        (Technique(kv=80.04, ma=100.004, ms=20.001), Technique(kv=80.0, ma=100.0, ms=20.01), 2.016),
        (Technique(kv=80.0, ma=200.0, mas=5.0004), Technique(kv=80.0, ma=200.0, mas=5.0), 7.015),
        (
            Technique(kv=110.0, ma=290.909, mas=4.0),
            Technique(kv=110.0, ma=290.9, mas=4.0),
            6.923875,
        ),
        (Technique(kv=20.0, ma=1.0, ms=1.0), Technique(kv=20.0, ma=1.0, ms=1.0), 0.011),
        (Technique(kv=150.0, ma=32.0, ms=20_000.0), Technique(kv=150.0, ma=32.0, ms=20e3), 640.015),
    ],
)
def test_a_technique_is_taken_in_the_wires_steps(
    asked: Technique, got: Technique, most_mas: float
) -> None:
    driver = Driver(pipe()[0])
    assert driver.effective(asked) == got
    assert driver.effective(got) == got
    assert driver.maximum_mas(got) == pytest.approx(most_mas)


@pytest.mark.parametrize(
    ("technique", "words"),
    [
        (Technique(kv=19.9, ma=1.0, ms=1.0), r"kv must be 20-150 kV .* got 19.9"),
        (Technique(kv=150.1, ma=1.0, ms=1.0), r"kv must be 20-150 kV .* got 150.1"),
        (Technique(kv=80.0, ma=0.99, ms=1.0), r"ma must be 1-1000 mA .* got 0.99"),
        (Technique(kv=80.0, ma=1001.0, ms=1.0), r"ma must be 1-1000 mA .* got 1001"),
        (Technique(kv=80.0, ma=1.0, ms=0.5), r"ms makes 0.5 ms, must be 1-20000 ms"),
        (Technique(kv=80.0, ma=1.0, ms=20_001.0), r"ms makes 20001 ms"),
        (Technique(kv=80.0, ma=1.0, mas=20.0), r"mas makes 20010 ms"),
        (Technique(kv=80.0, ma=1.0, mas=0.004), r"mas must be at least 0.01 mAs, got 0.004"),
        (Technique(kv=80.0, ma=1000.0, ms=641.0), r"at most 640 mAs, got 641"),
        (Technique(kv=80.0, ma=1.0), r"exactly one of mas, ms and aec"),
    ],
)
def test_a_technique_it_cannot_make_names_field_and_range(technique: Technique, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Driver(pipe()[0]).effective(technique)
    made = in_standby()
    sample = made.run(300_000, Outputs(technique=technique))
    assert sample.state is GeneratorState.FAULT
    assert not any(text.startswith("SET databank") for text in texts(made))


def test_the_bound_on_an_unknown_dose_is_that_of_the_databanks_time_and_a_fall() -> None:
    for asked in (BY_TIME, BY_CHARGE, Technique(kv=80.0, ma=33.33, mas=7.777)):
        used = effective(asked)
        timed_mas = used.ma * databank_of(used).ms / 1000
        falling_mas = min(HELD_MAS, used.ma * FALL_US / 1e6)
        assert maximum_mas(used) == pytest.approx(timed_mas + falling_mas)


def test_the_driver_is_found_by_its_files_name() -> None:
    opened = open_generator(
        "r2cp", pipe()[0], dialect="R3", baud=9600, status_poll_us=50_000, monitor_poll_us=100_000,
        standby_poll_us=100_000,
    )  # fmt: skip
    assert isinstance(opened, Driver)
    assert isinstance(open_desk("r2cp", FakeModel()), Desk)
    assert [name for name in names() if name.startswith("r2cp")] == ["r2cp"]


@pytest.mark.wire
def test_the_same_driver_prepares_over_a_real_socket() -> None:
    clock = WallClock()
    with closing(ListenerLink()) as device, closing(TcpLink(device.host, device.port)) as unit:
        driver, desk = Driver(unit), Desk(FakeModel(), prep_us=50_000)
        while driver.sample.state is not GeneratorState.READY and 5_000_000 - clock.now_us() > 0:
            now = Now(clock.now_us())
            desk.receive(now, device.read(now.t_us))
            device.write(now.t_us, desk.poll(now))
            driver.read(now)
            driver.write(now, Outputs(technique=BY_TIME))
            clock.wait_until(clock.now_us() + 500)
    assert driver.sample.state is GeneratorState.READY
