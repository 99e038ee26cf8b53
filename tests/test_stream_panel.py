"""hal.detectors.stream_panel*: the wire, the driver in virtual time, and the panel's desk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.detectors import open_panel
from hal.detectors.stream_panel import Driver
from hal.detectors.stream_panel_desk import REFUSAL, Desk
from hal.detectors.stream_panel_wire import (
    Event,
    Question,
    Refused,
    Reply,
    Status,
    decode_answer,
    decode_question,
    encode,
)
from hal.frame_pipes import frame_pipe
from hal.frames import DealerLink, PullLink, PushLink, RouterLink
from hal.now import NEVER_US, Now
from hal.ports import FrameLink, LinkError, PanelFrame, WireError
from hal.stream_v1 import StreamEnd, decode
from hal.stream_v1_header import StreamStart
from hal.types import Outputs, PanelSample, PanelState
from tests.fake_panel import FakePanel

SCAN_US = 5_000
STATUS = Status(state=PanelState.IDLE, panel_id="SIM-PANEL-1", window_ms=5000, frame_count=0)
KEEPING = replace(STATUS, kept=("S-5", "S-6"), battery_pct=87)

# The project's own wire, so its literals stand here and not among the vectors of others.
IDENTIFY = b'{"v":3,"n":1,"do":"identify"}'
REQUEST = b'{"v":3,"n":7,"do":"request","shot":"S-1"}'
GOOD = (
    b'{"v":3,"n":7,"ok":true,"state":"idle","panel":"SIM-PANEL-1","window_ms":5000,"frames":0,'
    b'"kept":["S-5","S-6"],"battery_pct":87,"error":null}'
)
BAD = GOOD.replace(b"true", b"false").replace(b"null", b'"not_ready"')
CHANGE = (
    b'{"v":3,"event":"state","k":3,"state":"readout","panel":"SIM-PANEL-1","window_ms":5000,'
    b'"frames":0,"kept":["S-5","S-6"],"battery_pct":87}'
)
RESEND = b'{"v":3,"n":8,"do":"resend","shot":"S-5"}'
FREE = b'{"v":3,"n":9,"do":"free","shot":"S-5"}'


def without(message: bytes, key: str) -> bytes:
    return json.dumps({k: v for k, v in json.loads(message).items() if k != key}).encode()


def having(message: bytes, **fields: object) -> bytes:
    return json.dumps(json.loads(message) | fields).encode()


# --- the wire ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Question(n=1, do="identify"), IDENTIFY),
        (Question(n=7, do="request", shot="S-1"), REQUEST),
        (Question(n=8, do="resend", shot="S-5"), RESEND),
        (Question(n=9, do="free", shot="S-5"), FREE),
        (Reply(n=7, ok=True, status=KEEPING), GOOD),
        (Reply(n=7, ok=False, status=KEEPING, error="not_ready"), BAD),
        (Event(k=3, status=replace(KEEPING, state=PanelState.READOUT)), CHANGE),
        (Refused(error="busy"), b'{"v":3,"event":"refused","error":"busy"}'),
    ],
)
def test_each_message_has_its_literal(
    message: Question | Reply | Event | Refused, wire: bytes
) -> None:
    assert encode(message) == [wire]
    read_back = decode_question([wire]) if b'"do"' in wire else decode_answer([wire])
    assert read_back == message


@pytest.mark.parametrize(
    "key",
    ["v", "n", "ok", "state", "panel", "window_ms", "frames", "kept", "battery_pct", "error"],
)
def test_a_reply_without_one_of_its_keys_is_refused(key: str) -> None:
    with pytest.raises(WireError):
        decode_answer([without(GOOD, key)])


@pytest.mark.parametrize(
    "key", ["v", "k", "state", "panel", "window_ms", "frames", "kept", "battery_pct"]
)
def test_an_event_without_one_of_its_keys_is_refused(key: str) -> None:
    with pytest.raises(WireError):
        decode_answer([without(CHANGE, key)])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (having(GOOD, v=2), "v: must be an integer from 3 to 3, got 2"),
        (having(GOOD, v=True), "v"),
        (having(GOOD, n=0), "n"),
        (having(GOOD, n="7"), "n"),
        (having(GOOD, ok=1), "ok"),
        (having(GOOD, state="armed"), "state: must be one of init, idle, preparing"),
        (having(GOOD, state="disconnected"), "state"),
        (having(GOOD, state=["ready"]), "state"),
        (having(GOOD, panel=""), "panel"),
        (having(GOOD, window_ms=0), "window_ms"),
        (having(GOOD, window_ms=60_001), "window_ms"),
        (having(GOOD, window_ms=5000.0), "window_ms"),
        (having(GOOD, frames=-1), "frames"),
        (having(GOOD, kept="S-5"), "kept: must be a list of at most 32, got 'S-5'"),
        (having(GOOD, kept=["S"] * 33), "kept: must be a list of at most 32"),
        (having(GOOD, kept=[""]), "kept: must be a text of 1 to 64"),
        (having(GOOD, kept=[7]), "kept: must be a text"),
        (having(GOOD, battery_pct=101), "battery_pct: must be an integer from 0 to 100, got 101"),
        (having(GOOD, battery_pct=-1), "battery_pct"),
        (having(GOOD, battery_pct=87.5), "battery_pct"),
        (having(GOOD, battery_pct=True), "battery_pct"),
        (having(GOOD, error="not_ready"), "null if ok"),
        (having(BAD, error=None), "null if ok"),
        (having(BAD, error="why not"), "error"),
        (having(BAD, error=[]), "error"),
        (having(GOOD, beam="on"), "keys"),
        (having(CHANGE, event="frame"), "event: must be state or refused"),
        (having(CHANGE, event={}), "event"),
        (having(CHANGE, k=0), "k"),
        (GOOD.replace(b"5000", b"NaN"), "NaN"),
        (GOOD[:-1] + b',"n":8}', "twice"),
        (GOOD[:-1], "JSON"),
        (b"[]", "must be an object, got list"),
        (b"", "JSON"),
        (GOOD + b" " * 4096, "at most 4096"),
    ],
)
def test_an_answer_that_is_not_exactly_right_is_refused_with_the_reason(
    message: bytes, reason: str
) -> None:
    with pytest.raises(WireError, match=reason):
        decode_answer([message])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (having(IDENTIFY, do="expose"), "do: must be one of identify, status, prepare"),
        (having(IDENTIFY, do=None), "do"),
        (having(IDENTIFY, shot="S-1"), "keys"),
        (having(IDENTIFY, n=-1), "n"),
        (without(REQUEST, "shot"), "keys"),
        (having(REQUEST, shot=""), "shot"),
        (having(REQUEST, shot="S\n1"), "printable"),
        (having(REQUEST, shot="S" * 65), "shot"),
        (GOOD, "do"),
    ],
)
def test_a_question_that_is_not_exactly_right_is_refused_with_the_reason(
    message: bytes, reason: str
) -> None:
    with pytest.raises(WireError, match=reason):
        decode_question([message])


@pytest.mark.parametrize("message", [[], [GOOD, GOOD], [b"", GOOD]])
def test_a_control_message_has_one_part(message: list[bytes]) -> None:
    for decode_either in (decode_answer, decode_question):
        with pytest.raises(WireError, match="1 part"):
            decode_either(message)


@given(st.lists(st.binary(max_size=80), max_size=3), st.integers(0, 200), st.integers(0, 255))
def test_garbage_and_flipped_bytes_are_taken_or_a_wire_error(
    garbage: list[bytes], at: int, byte: int
) -> None:
    spoiled = bytearray(GOOD)
    spoiled[at % len(GOOD)] = byte
    with pytest.raises(WireError):
        decode_answer(garbage)
    try:
        answer = decode_answer([bytes(spoiled)])
    except WireError:
        return
    assert isinstance(answer, Reply)


def test_each_truncated_answer_is_refused() -> None:
    for wire in (GOOD, BAD, CHANGE, REFUSAL[0]):
        for length in range(len(wire)):
            with pytest.raises(WireError):
                decode_answer([wire[:length]])


# --- a world in virtual time --------------------------------------------------------------------


@dataclass
class World:
    """Driver and desk over a pipe, on the scan grid; each part polled every scan, or when due."""

    panel: FakePanel = field(default_factory=FakePanel)
    outputs: Outputs = field(default_factory=Outputs)
    latency_us: int = 100
    reply_us: int = 500
    when_due: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    lose: Callable[[list[bytes]], bool] = lambda message: False

    def __post_init__(self) -> None:
        self.unit_end, self.device_end = frame_pipe(latency_us=self.latency_us)
        self.driver = Driver(self.unit_end, **self.options)
        self.desk = Desk(self.panel, reply_us=self.reply_us)
        self.t_us = 0
        self.trace: list[tuple[int, PanelSample]] = []
        self.asked: list[tuple[int, str]] = []  # at the panel
        self.polls_count = 0
        self._driver_due_us = self._device_due_us = 0
        self._written: Outputs | None = None

    def run_to(self, end_us: int, **outputs: Any) -> PanelSample:
        """Scans up to and including `end_us`, with these outputs from the next scan on."""
        self.outputs = replace(self.outputs, **outputs)
        while self.t_us <= end_us:  # us-compare: the test's own clock
            self._device_until(self.t_us)
            self._scan()
            self.t_us += SCAN_US
        return self.driver.sample

    def saw(self, state: PanelState) -> int:
        """When the driver first showed it."""
        return next(t_us for t_us, sample in self.trace if sample.state is state)

    def _scan(self) -> None:
        due_us = min(self._driver_due_us, self.unit_end.arrival_us())
        changed = self.outputs is not self._written
        if self.when_due and not changed and not Now(self.t_us).reached(due_us):
            return
        self.polls_count += 1
        now = Now(self.t_us)
        before = self.driver.sample
        if self.driver.read(now) is not before:
            self.trace.append((self.t_us, self.driver.sample))
        before = self.driver.sample
        self.driver.write(now, self.outputs)
        if self.driver.sample is not before:
            self.trace.append((self.t_us, self.driver.sample))
        self._written = self.outputs
        self._driver_due_us = now.next_us

    def _device_until(self, t_us: int) -> None:
        """The panel acts at its own exact times, between the scans too."""
        while Now(t_us).reached(at_us := min(self._device_due_us, self.device_end.arrival_us())):
            now = Now(at_us)
            for message in self.device_end.read(at_us):
                self.asked.append((at_us, json.loads(message[0])["do"]))
                if not self.lose(message):
                    self.desk.receive(now, message)
            for message in self.desk.poll(now):
                if not self.lose(message):
                    self.device_end.write(at_us, message)
            self._device_due_us = now.next_us


def do_of(message: list[bytes]) -> str:
    return str(json.loads(message[0]).get("do", ""))


def window_ordered(world: World, at_us: int) -> World:
    """Prepared, and the window ordered in the scan at `at_us`."""
    world.run_to(at_us - SCAN_US, prepare_panel=True)
    assert world.driver.sample.state is PanelState.READY
    world.run_to(at_us, window_from_us=at_us, window_shot_id="S-1")
    return world


def test_the_first_reply_tells_everything_one_round_trip_later() -> None:
    world = World()
    assert world.run_to(0).state is PanelState.DISCONNECTED
    assert world.run_to(5_000) == PanelSample(
        taken_us=0,
        state=PanelState.IDLE,
        panel_id="SIM-PANEL-1",
        window_us=1_000_000,
        frame_count=0,
    )
    assert world.asked == [(100, "status")]


def test_an_idle_panel_is_asked_every_200_ms_and_a_busy_one_every_20() -> None:
    world = World()
    world.run_to(995_000)
    assert [t_us for t_us, _ in world.asked] == [100, 200_100, 400_100, 600_100, 800_100]
    world.run_to(1_200_000, prepare_panel=True)
    times_us = [t_us for t_us, _ in world.asked[5:]]
    assert times_us == list(range(1_000_100, 1_200_000, 20_000))


def test_a_sample_stays_the_same_object_until_something_changes() -> None:
    world = World()
    first = world.run_to(5_000)
    assert world.run_to(195_000) is first
    assert world.run_to(205_000) == replace(first, taken_us=200_000)


def test_the_panel_is_prepared_once_and_left_alone_while_it_works() -> None:
    world = World()
    world.run_to(10_000)
    sample = world.run_to(200_000, prepare_panel=True)
    assert sample.state is PanelState.READY
    assert world.panel.calls == [(15_100, "prepare")]
    assert world.saw(PanelState.PREPARING) == 20_000
    assert world.panel.changes == [(15_100, "preparing"), (75_100, "ready")]
    assert world.saw(PanelState.READY) == 80_000  # by the event, 100 us on the way


def test_a_panel_that_is_not_wanted_any_more_goes_to_standby() -> None:
    world = World()
    world.run_to(100_000, prepare_panel=True)
    assert world.run_to(200_000, prepare_panel=False).state is PanelState.IDLE
    assert world.panel.calls[-1] == (105_100, "standby")
    assert [call for _, call in world.panel.calls] == ["prepare", "standby"]


def test_a_lost_prepare_is_sent_again() -> None:
    lost: list[list[bytes]] = []

    def lose(message: list[bytes]) -> bool:
        if do_of(message) == "prepare" and not lost:
            lost.append(message)
            return True
        return False

    world = World(lose=lose)
    assert world.run_to(200_000, prepare_panel=True).state is PanelState.READY
    assert [t_us for t_us, do in world.asked if do == "prepare"] == [5_100, 55_100]


def test_a_refused_prepare_is_repeated_at_the_pace_of_the_poll() -> None:
    world = World()
    world.desk.consumer_present = False
    sample = world.run_to(100_000, prepare_panel=True)
    assert sample.state is PanelState.IDLE
    assert world.driver.refusal == "no_consumer"
    prepares = [t_us for t_us, do in world.asked if do == "prepare"]
    assert prepares == [5_100, 25_100, 45_100, 65_100, 85_100]
    assert world.panel.calls == []
    world.desk.consumer_present = True
    assert world.run_to(250_000).state is PanelState.READY
    assert world.driver.refusal is None


# --- the window ---------------------------------------------------------------------------------


def test_a_window_is_asked_for_once_and_seen_when_it_opens() -> None:
    world = window_ordered(World(), 200_000)
    sample = world.run_to(400_000)
    assert world.panel.calls[-1] == (200_100, "request S-1")
    assert world.panel.changes[-1] == (230_100, "integrating")
    assert world.saw(PanelState.INTEGRATING) == 235_000
    assert (sample.state, sample.window_open_us) == (PanelState.INTEGRATING, 235_000)
    assert world.panel.shots == ["S-1"]


def test_from_the_request_to_the_end_of_the_window_it_is_asked_every_20_ms() -> None:
    world = window_ordered(World(), 200_000)
    world.run_to(300_000)
    times_us = [t_us for t_us, _ in world.asked if t_us in range(200_000, 300_000)]
    assert times_us == list(range(200_100, 300_000, 20_000))


def test_the_end_of_a_window_is_seen_in_the_first_scan_after_it() -> None:
    world = window_ordered(World(panel=FakePanel(length_us=333_333)), 200_000)
    world.run_to(600_000)
    assert world.panel.changes[3] == (563_433, "readout")
    assert world.saw(PanelState.READOUT) == 565_000


@pytest.mark.req("F31")
def test_the_end_of_a_window_is_seen_at_once_even_without_fast_polls() -> None:
    slow = {"fast_poll_us": 200_000, "active_limit_us": 900_000}
    world = window_ordered(World(panel=FakePanel(length_us=100_000), options=slow), 200_000)
    world.run_to(400_000)
    assert world.panel.changes[3] == (330_100, "readout")
    assert world.saw(PanelState.READOUT) == 335_000  # the panel's own event


@pytest.mark.req("F31")
def test_the_end_of_a_window_is_seen_by_the_poll_when_the_event_is_lost() -> None:
    world = World(panel=FakePanel(length_us=100_000), lose=lambda m: b'"event"' in m[0])
    window_ordered(world, 200_000)
    world.run_to(400_000)
    assert world.panel.changes[3] == (330_100, "readout")
    assert world.saw(PanelState.READOUT) == 345_000  # at most one poll and its reply later


def test_dropping_the_request_starts_the_read_out() -> None:
    world = window_ordered(World(), 200_000)
    world.run_to(300_000)
    sample = world.run_to(310_000, window_from_us=None, window_shot_id=None)
    assert world.panel.calls[-1] == (305_100, "drop")
    assert (sample.state, sample.window_open_us) == (PanelState.READOUT, None)
    assert world.run_to(400_000).frame_count == 1


def test_a_lost_drop_is_sent_until_it_is_acknowledged_and_then_no_more() -> None:
    drops: list[list[bytes]] = []

    def lose(message: list[bytes]) -> bool:
        if do_of(message) != "drop":
            return False
        drops.append(message)
        return len(drops) <= 2

    world = window_ordered(World(lose=lose), 200_000)
    world.run_to(300_000)
    world.run_to(600_000, window_from_us=None, window_shot_id=None)
    assert [t_us for t_us, do in world.asked if do == "drop"] == [305_100, 355_100, 405_100]
    assert [call for _, call in world.panel.calls].count("drop") == 1


def test_a_drop_leaves_at_once_though_a_reply_is_outstanding() -> None:
    world = window_ordered(World(reply_us=30_000), 200_000)
    world.run_to(200_000 + 3 * SCAN_US)
    waiting = [t_us for t_us, _ in world.asked][-1]
    assert waiting == 200_100  # the request, its reply comes at 230_200
    world.run_to(225_000, window_from_us=None)
    assert world.panel.calls[-1] == (220_100, "drop")
    assert world.panel.now_state == "ready"  # dropped before T_PREP: no window


def test_a_request_whose_reply_is_lost_is_not_sent_again() -> None:
    world = World(lose=lambda m: do_of(m) == "request")
    window_ordered(world, 200_000)
    sample = world.run_to(700_000)
    assert sample.state is PanelState.READY
    assert sample.window_open_us is None
    assert [do for _, do in world.asked].count("request") == 1
    world.run_to(705_000, window_from_us=705_000, window_shot_id="S-2")
    assert [do for _, do in world.asked].count("drop") == 0  # not yet at the panel
    world.run_to(900_000)
    assert [do for _, do in world.asked].count("drop") == 1
    assert [do for _, do in world.asked].count("request") == 2


def test_a_window_waits_until_the_panel_is_ready() -> None:
    world = World()
    world.run_to(20_000, prepare_panel=True)
    assert world.driver.sample.state is PanelState.PREPARING
    world.run_to(150_000, window_from_us=25_000, window_shot_id="S-1")
    assert world.panel.changes[1] == (65_100, "ready")
    assert (70_100, "request S-1") in world.panel.calls


def test_a_request_without_a_shot_is_not_sent() -> None:
    world = World()
    world.run_to(200_000, prepare_panel=True)
    world.run_to(400_000, window_from_us=205_000)
    assert world.panel.shots == []


def test_a_window_that_nobody_here_ordered_is_dropped() -> None:
    world = World(panel=FakePanel(now_state="integrating", until_us=900_000))
    sample = world.run_to(100_000)
    assert world.panel.calls == [(5_100, "drop")]
    assert sample.window_open_us is None
    assert all(sample.window_open_us is None for _, sample in world.trace)


@dataclass
class Script:
    """A link whose other end is the test."""

    inbox: list[list[bytes]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    gone: bool = False

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        if self.gone:
            raise LinkError("tcp://panel: the other side is gone")
        messages, self.inbox = self.inbox, []
        return messages

    def write(self, t_us: int, message: list[bytes]) -> None:
        if self.gone:
            raise LinkError("tcp://panel: the other side is gone")
        self.sent.append(json.loads(message[0]))

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None: ...

    def reply(self, n: int, state: str = "ready") -> None:
        self.inbox.append([having(GOOD, n=n, state=state)])

    def event(self, k: int, state: str) -> None:
        self.inbox.append([having(CHANGE, k=k, state=state)])


def scripted(state: str = "ready") -> tuple[Script, Driver]:
    """A driver that has just heard `state`, with question 2 not yet asked."""
    link = Script()
    driver = Driver(link)
    scan(driver, 0)
    link.reply(1, state)
    scan(driver, 5_000)
    return link, driver


def scan(driver: Driver, t_us: int, outputs: Outputs | None = None) -> PanelSample:
    now = Now(t_us)
    driver.read(now)
    driver.write(now, outputs or Outputs(prepare_panel=True))
    return driver.sample


WINDOW = Outputs(prepare_panel=True, window_from_us=10_000, window_shot_id="S-1")


def test_a_window_that_was_seen_to_end_stays_ended_whatever_comes() -> None:
    link, driver = scripted()
    scan(driver, 10_000, WINDOW)
    link.event(1, "integrating")
    assert scan(driver, 15_000, WINDOW).window_open_us == 15_000
    link.event(2, "readout")
    link.event(3, "integrating")  # within one scan: nobody could see the end otherwise
    sample = scan(driver, 20_000, WINDOW)
    assert (sample.state, sample.window_open_us) == (PanelState.READOUT, 15_000)


def test_a_reply_that_was_asked_for_before_an_event_does_not_undo_it() -> None:
    link, driver = scripted()
    scan(driver, 10_000, WINDOW)
    asked = link.sent[-1]["n"]
    link.event(1, "integrating")
    link.reply(asked, "ready")
    sample = scan(driver, 15_000, WINDOW)
    assert (sample.state, sample.taken_us) == (PanelState.INTEGRATING, 10_000)


@pytest.mark.req("F61")
def test_a_repeated_event_is_ignored_and_counted() -> None:
    link, driver = scripted("idle")
    link.event(1, "preparing")
    link.event(2, "ready")
    link.event(1, "preparing")
    link.event(2, "error")
    assert scan(driver, 10_000).state is PanelState.READY
    assert driver.late_count == 2


def test_a_late_reply_to_an_earlier_question_is_dropped_and_counted() -> None:
    link, driver = scripted()
    scan(driver, 20_000)
    scan(driver, 70_000)  # timed out, asked again
    assert [sent["n"] for sent in link.sent] == [1, 2, 3]
    link.reply(2, "error")
    assert scan(driver, 75_000).state is PanelState.READY
    link.reply(3, "idle")
    sample = scan(driver, 80_000)
    assert (sample.state, sample.taken_us) == (PanelState.IDLE, 70_000)
    assert (driver.late_count, driver.timeouts_count) == (1, 1)


def test_a_reply_that_comes_twice_counts_once() -> None:
    link, driver = scripted()
    scan(driver, 25_000)
    link.reply(2, "ready")
    link.reply(2, "error")
    assert scan(driver, 30_000).state is PanelState.READY
    assert driver.late_count == 1


def test_an_event_before_the_first_reply_is_not_believed() -> None:
    link = Script()
    driver = Driver(link)
    link.event(1, "ready")
    assert scan(driver, 0).state is PanelState.DISCONNECTED


def test_an_error_state_is_a_fault_by_name() -> None:
    link, driver = scripted()
    link.event(1, "error")
    sample = scan(driver, 10_000)
    assert (sample.state, sample.faults) == (PanelState.ERROR, ("PANEL_ERROR",))


@pytest.mark.req("F40")
def test_another_panel_answers_under_its_own_name() -> None:
    world = World(panel=FakePanel(panel_id="OTHER-2"))
    assert world.run_to(10_000).panel_id == "OTHER-2"


def test_garbage_is_counted_and_changes_nothing() -> None:
    link, driver = scripted()
    before = driver.sample
    for message in ([], [b""], [b"\xff" * 50], [GOOD[:-1]], [having(GOOD, n=2), b"x"], [REQUEST]):
        link.inbox.append(message)
    assert scan(driver, 10_000) is before
    assert driver.garbage_count == 6


# --- a panel that doesn't answer ----------------------------------------------------------------


def test_three_lost_replies_are_a_lost_panel() -> None:
    world = World()
    world.run_to(100_000, prepare_panel=True)
    world.lose = lambda m: True
    world.run_to(400_000)
    assert world.trace[-2][1].taken_us == 85_000
    assert world.trace[-1] == (255_000, PanelSample(taken_us=85_000))  # asked at 105, 155, 205 ms


def test_a_quarter_second_without_a_believable_reply_is_a_lost_panel_while_it_works() -> None:
    link = Script()
    driver = Driver(link, timeout_us=100_000)  # so that the limit comes before three time-outs
    scan(driver, 0)
    link.reply(1, "ready")
    states = {}
    for t_us in range(5_000, 260_000, SCAN_US):
        states[t_us] = scan(driver, t_us).state
        link.inbox.append([b"garbage"])
    assert states[245_000] is PanelState.READY
    assert states[250_000] is PanelState.DISCONNECTED


def test_an_idle_panel_is_lost_after_a_second() -> None:
    link = Script()
    driver = Driver(link, timeout_us=400_000)  # so that the limit comes before three time-outs
    scan(driver, 0, Outputs())
    link.reply(1, "idle")
    states = {
        t_us: scan(driver, t_us, Outputs()).state for t_us in range(5_000, 1_010_000, SCAN_US)
    }
    assert states[995_000] is PanelState.IDLE
    assert states[1_000_000] is PanelState.DISCONNECTED


def test_a_broken_link_is_a_lost_panel_at_once_and_comes_back() -> None:
    link, driver = scripted()
    link.gone = True
    sample = scan(driver, 10_000)
    assert sample == PanelSample(taken_us=0, state=PanelState.DISCONNECTED)
    assert driver.down == "tcp://panel: the other side is gone"
    scan(driver, 25_000)
    link.gone = False
    for t_us in range(30_000, 130_000, SCAN_US):
        scan(driver, t_us)
    link.reply(link.sent[-1]["n"], "idle")
    assert scan(driver, 130_000).state is PanelState.IDLE
    assert driver.down is None


def test_a_panel_that_serves_another_controller_says_so_to_people() -> None:
    link = Script()
    driver = Driver(link)
    scan(driver, 0)
    link.inbox.append(REFUSAL)
    assert scan(driver, 5_000).state is PanelState.DISCONNECTED
    assert driver.down == "the panel serves another controller (busy)"


def test_events_of_a_panel_that_restarted_are_believed_again() -> None:
    link, driver = scripted()
    link.event(40, "error")
    scan(driver, 10_000)
    link.gone = True
    scan(driver, 15_000)
    link.gone = False
    scan(driver, 85_000)
    link.reply(link.sent[-1]["n"], "init")
    assert scan(driver, 90_000).state is PanelState.INIT
    link.event(1, "idle")
    assert scan(driver, 95_000).state is PanelState.IDLE


# --- the panel's memory --------------------------------------------------------------------------


def keeping(*shots: str, **options: Any) -> World:
    """A world whose panel holds these frames, seen by the driver at 5 ms."""
    world = World(panel=FakePanel(memory=list(shots)), **options)
    assert world.run_to(5_000).kept == shots
    return world


def calls_of(world: World, do: str) -> list[tuple[int, str]]:
    return [(t_us, call) for t_us, call in world.panel.calls if call.startswith(do)]


def test_a_frame_that_is_safe_is_freed_at_once_and_one_that_is_not_stays() -> None:
    world = keeping("S-5", "S-6")
    assert world.run_to(100_000, free=("S-5",)).kept == ("S-6",)
    assert world.panel.calls == [(10_100, "free S-5")]


def test_a_lost_free_is_sent_again_until_the_panel_has_forgotten_the_frame() -> None:
    lost: list[list[bytes]] = []

    def lose(message: list[bytes]) -> bool:
        if do_of(message) == "free" and not lost:
            lost.append(message)
            return True
        return False

    world = keeping("S-5", lose=lose)
    assert world.run_to(500_000, free=("S-5",)).kept == ()
    # 50 ms until the question is lost, and the idle poll's pace for the same again
    assert [t_us for t_us, do in world.asked if do == "free"] == [10_100, 210_100]


def test_a_wanted_frame_is_asked_for_every_1500_ms_three_times_and_then_given_up() -> None:
    world = keeping("S-5")
    sample = world.run_to(9_000_000, fetch=("S-5",))
    times_us = [1_505_100, 3_005_100, 4_505_100]
    assert calls_of(world, "resend") == [(t_us, "resend S-5") for t_us in times_us]
    assert (sample.kept, sample.given_up) == (("S-5",), ("S-5",))
    assert next(t_us for t_us, seen in world.trace if seen.given_up) == 6_005_000


def test_a_frame_that_came_by_itself_is_never_asked_for() -> None:
    world = keeping("S-5")
    world.run_to(1_000_000, fetch=("S-5",))
    world.run_to(9_000_000, fetch=(), free=("S-5",))
    assert [call for _, call in world.panel.calls] == ["free S-5"]


def test_the_newest_frame_is_fetched_first_and_safe_ones_go_before_it() -> None:
    world = keeping("S-4", "S-5", "S-6")
    world.run_to(2_000_000, fetch=("S-5", "S-6"), free=("S-4",))
    assert [call for _, call in world.panel.calls] == ["free S-4", "resend S-6", "resend S-5"]


def test_nothing_is_fetched_while_a_window_is_asked_for() -> None:
    world = keeping("S-5")
    world.run_to(1_000_000, prepare_panel=True, fetch=("S-5",))
    world.run_to(1_900_000, window_from_us=world.t_us, window_shot_id="S-7")
    assert calls_of(world, "resend") == []
    world.run_to(2_400_000, window_from_us=None, window_shot_id=None)
    assert [call for _, call in calls_of(world, "resend")] == ["resend S-5"]


def test_after_a_lost_link_the_tries_begin_anew() -> None:
    """SR-56: the line that spoiled the frame is often the line that was lost."""
    world = keeping("S-5")
    world.run_to(7_000_000, fetch=("S-5",))
    assert world.driver.sample.given_up == ("S-5",)
    world.lose = lambda message: True
    assert world.run_to(8_500_000).state is PanelState.DISCONNECTED
    world.lose = lambda message: False
    assert world.run_to(9_000_000).given_up == ()
    world.run_to(11_000_000)
    assert len(calls_of(world, "resend")) == 4


# --- jumping ------------------------------------------------------------------------------------


def story(world: World) -> list[tuple[int, PanelSample]]:
    """Two exposures, one given up before its window, and a silent stretch; odd moments."""
    world.run_to(137_000)
    world.run_to(301_000, prepare_panel=True)
    world.run_to(613_000, window_from_us=world.t_us, window_shot_id="S-1")
    world.run_to(907_000, window_from_us=None, window_shot_id=None)
    world.run_to(921_000, window_from_us=world.t_us, window_shot_id="S-2")
    world.run_to(1_201_000, window_from_us=None, window_shot_id=None)
    world.run_to(2_903_000, window_from_us=world.t_us, window_shot_id="S-3")
    lose, world.lose = world.lose, lambda m: True
    world.run_to(3_511_000, window_from_us=None, window_shot_id=None)
    world.lose = lose
    world.run_to(6_007_000, prepare_panel=False)
    world.panel.memory = ["S-1", "S-3"]
    world.run_to(12_001_000, fetch=("S-3",), free=("S-1",))
    return world.trace


def losing(every: int) -> Callable[[list[bytes]], bool]:
    """Every so many-th message is lost."""
    count = 0

    def lose(message: list[bytes]) -> bool:
        nonlocal count
        count += 1
        return count % every == 0

    return lose


POLLS = [
    {},
    {"fast_poll_us": 7_001, "active_poll_us": 23_003, "idle_poll_us": 211_007},
    {"timeout_us": 31_013, "active_limit_us": 97_001, "idle_limit_us": 701_009},
    {"fast_poll_us": 41_011, "timeout_us": 11_003},
]


@pytest.mark.parametrize("options", POLLS)
@pytest.mark.parametrize("every", [10**9, 7, 3, 2])
@pytest.mark.parametrize("reply_us", [500, 13_007, 47_017, 61_001])
def test_polling_when_due_sees_exactly_what_polling_every_scan_sees(
    options: dict[str, int], every: int, reply_us: int
) -> None:
    def world(when_due: bool) -> World:
        return World(when_due=when_due, options=options, reply_us=reply_us, lose=losing(every))

    each, due = world(when_due=False), world(when_due=True)
    assert story(due) == story(each)
    assert due.asked == each.asked
    assert due.panel.calls == each.panel.calls
    assert due.polls_count <= each.polls_count


def test_jumping_is_worth_it() -> None:
    due = World(when_due=True)
    due.run_to(10_000_000)
    assert due.polls_count < 2_000_000 // SCAN_US


@pytest.mark.parametrize("forgotten", ["_timeout_us", "_idle_limit_us", "_idle_poll_us"])
def test_the_comparison_above_would_notice_a_forgotten_deadline(forgotten: str) -> None:
    """A deadline compared by hand is one that `Now` does not hear of."""

    def silent(when_due: bool) -> World:
        world = World(when_due=when_due, options={"timeout_us": 310_007})
        world.run_to(10_000)
        world.lose = lambda m: True
        return world

    each, due = silent(when_due=False), silent(when_due=True)
    hidden = getattr(due.driver, forgotten)
    real_reached, real_wake = Now.reached, Now.wake

    def reached(self: Now, deadline_us: int) -> bool:
        if deadline_us - hidden in (due.driver._asked_us, due.driver._heard_us):
            return self.t_us >= deadline_us  # us-compare: the planted mistake
        return real_reached(self, deadline_us)

    def wake(self: Now, at_us: int) -> None:
        if at_us - hidden not in (due.driver._asked_us, due.driver._heard_us):
            real_wake(self, at_us)

    each.run_to(4_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Now, "reached", reached)
        patch.setattr(Now, "wake", wake)
        due.run_to(4_000_000)
    assert (due.trace, due.asked) != (each.trace, each.asked)


# --- the panel's side ---------------------------------------------------------------------------


def asked(desk: Desk, t_us: int, wire: bytes, reply_us: int = 500) -> dict[str, Any]:
    """The reply to `wire`; what else leaves before it is dropped."""
    desk.receive(Now(t_us), [wire])
    desk.poll(Now(t_us))
    (message,) = desk.poll(Now(t_us + reply_us))
    content: dict[str, Any] = json.loads(message[0])
    return content


def question(n: int, do: str, **fields: object) -> bytes:
    return json.dumps({"v": 3, "n": n, "do": do, **fields}).encode()


def test_identify_is_answered_after_the_modelled_delay_and_not_before() -> None:
    desk = Desk(FakePanel(memory=["S-5", "S-6"], charge_pct=87), reply_us=700)
    now = Now(1000)
    desk.receive(now, [IDENTIFY])
    assert desk.poll(now) == []
    assert now.next_us == 1700
    assert desk.poll(Now(1699)) == []
    literal = GOOD.replace(b'"n":7', b'"n":1').replace(b"5000", b"1000")
    assert desk.poll(Now(1700)) == [[literal]]
    assert desk.poll(Now(1701)) == []


def test_a_request_to_a_panel_that_is_not_ready_is_refused() -> None:
    panel = FakePanel()
    reply = asked(Desk(panel), 0, REQUEST)
    assert (reply["ok"], reply["error"], reply["state"]) == (False, "not_ready", "idle")
    assert panel.calls == []


def test_a_repeated_request_opens_no_second_window() -> None:
    panel = FakePanel(now_state="ready")
    desk = Desk(panel)
    assert asked(desk, 0, REQUEST)["ok"] is True
    desk.poll(Now(1_200_000))  # window and read-out are over
    panel.now_state = "ready"
    reply = asked(desk, 1_300_000, REQUEST)
    assert (reply["ok"], reply["error"]) == (False, "shot_used")
    assert panel.shots == ["S-1"]


@pytest.mark.parametrize("do", ["prepare", "request"])
def test_a_panel_in_error_prepares_and_opens_nothing(do: str) -> None:
    panel = FakePanel(now_state="error")
    fields = {"shot": "S-1"} if do == "request" else {}
    reply = asked(Desk(panel), 0, question(1, do, **fields))
    assert (reply["ok"], reply["error"], reply["state"]) == (False, "fault", "error")
    assert panel.calls == []


def test_a_drop_and_a_standby_are_always_granted() -> None:
    panel = FakePanel(now_state="error")
    desk = Desk(panel)
    assert asked(desk, 0, question(1, "drop"))["ok"] is True
    assert asked(desk, 1000, question(2, "standby"))["ok"] is True
    assert [call for _, call in panel.calls] == ["drop", "standby"]


def test_a_frame_is_sent_again_only_when_it_is_kept_and_somebody_takes_it() -> None:
    panel = FakePanel(memory=["S-5"])
    desk = Desk(panel)
    again = b'{"v":3,"n":1,"do":"resend","shot":"S-5"}'
    assert asked(desk, 0, again)["ok"] is True
    assert asked(desk, 1_000, again.replace(b"S-5", b"S-9"))["error"] == "not_kept"
    desk.consumer_present = False
    assert asked(desk, 2_000, again)["error"] == "no_consumer"
    desk.consumer_present = True
    panel.now_state = "integrating"
    desk.poll(Now(2_600))  # the change of state
    assert asked(desk, 3_000, again)["error"] == "working"
    assert panel.calls == [(0, "resend S-5"), (1_000, "resend S-9")]


def test_freeing_what_is_not_kept_is_no_error() -> None:
    panel = FakePanel(memory=["S-5"])
    desk = Desk(panel)
    free = b'{"v":3,"n":1,"do":"free","shot":"S-5"}'
    assert [asked(desk, t_us, free)["kept"] for t_us in (0, 1_000)] == [[], []]


def test_nonsense_gets_no_answer_and_is_counted() -> None:
    desk = Desk(FakePanel())
    for message in ([], [b"x"], [GOOD], [IDENTIFY, b""]):
        desk.receive(Now(0), message)
    assert desk.poll(Now(10_000)) == []
    assert desk.garbage_count == 4


def test_each_change_of_state_leaves_as_an_event_at_its_time() -> None:
    panel = FakePanel(now_state="preparing", until_us=60_000)
    desk = Desk(panel)
    now = Now(0)
    assert desk.poll(now) == []
    assert now.next_us == 60_000
    (event,) = desk.poll(Now(60_000))
    assert decode_answer(event) == Event(
        k=1, status=replace(STATUS, state=PanelState.READY, window_ms=1000)
    )
    assert desk.poll(Now(60_001)) == []


def test_a_series_is_started_once_and_ended_when_the_panel_is_disarmed() -> None:
    frame = PanelFrame(
        series=4,
        frame_index=0,
        rows_px=1,
        columns_px=2,
        pixels=b"\1\0\2\0",
        start_us=1_000_000,
        stop_us=1_250_000,
        panel_id="SIM-PANEL-1",
        shot_id="S-1",
    )
    panel = FakePanel(now_state="readout")
    desk = Desk(panel)
    later = replace(frame, frame_index=1, start_us=2_000_000, stop_us=2_100_000)
    panel.ready_frames = [frame, later]
    first = [decode(message) for message in desk.frames(Now(0))]
    assert first == [
        StreamStart(series=4, header_detail="none"),
        replace(frame, start_us=0, stop_us=250_000),
        replace(later, start_us=1_000_000, stop_us=1_100_000),
    ]
    panel.ready_frames = [replace(frame, series=5)]
    second = [type(decode(message)) for message in desk.frames(Now(10))]
    assert second == [StreamEnd, StreamStart, PanelFrame]
    panel.now_state = "idle"
    assert [decode(message) for message in desk.frames(Now(20))] == [StreamEnd(series=5)]
    assert desk.frames(Now(30)) == []


# --- opening, and the real thing ----------------------------------------------------------------


def test_a_panel_is_opened_by_the_name_of_its_file() -> None:
    unit_end, _ = frame_pipe()
    panel = open_panel("stream_panel", unit_end, window_request_us=150_000)
    assert isinstance(panel, Driver)
    assert panel.capabilities.window_request_us == 150_000
    assert panel.capabilities.sample_age_us == 70_000


def test_an_unknown_panel_driver_is_named_with_the_nearest() -> None:
    unit_end, _ = frame_pipe()
    with pytest.raises(ValueError, match=r"'steam_panel'.*did you mean 'stream_panel'\?"):
        open_panel("steam_panel", unit_end)


@pytest.mark.wire
@pytest.mark.parametrize("scheme", ["ipc", "tcp"])
def test_an_exposure_over_real_sockets(scheme: str, tmp_path: Path) -> None:
    def endpoint(name: str) -> str:
        return f"ipc://{tmp_path}/{name}" if scheme == "ipc" else "tcp://127.0.0.1:*"

    start_ns = time.monotonic_ns()
    panel = FakePanel(scrub_us=20_000, t_prep_us=10_000, readout_us=10_000)
    desk = Desk(panel)
    control, data = RouterLink(endpoint("control"), REFUSAL), PushLink(endpoint("data"))
    unit, frames = DealerLink(control.endpoint), PullLink(data.endpoint)
    links: list[FrameLink] = [control, data, unit, frames]
    driver = Driver(unit)
    seen: list[PanelState] = []
    came: list[list[bytes]] = []

    def turn(outputs: Outputs) -> PanelSample:
        now = Now((time.monotonic_ns() - start_ns) // 1000)
        for message in control.read(now.t_us):
            desk.receive(now, message)
        for message in desk.poll(now):
            control.write(now.t_us, message)
        data.read(now.t_us)
        try:
            came.extend(frames.read(now.t_us))
        except LinkError:
            assert not frames.has_peer
        sample = driver.read(now)
        driver.write(now, outputs)
        if not seen or seen[-1] is not sample.state:
            seen.append(sample.state)
        time.sleep(0.001)
        return sample

    def until(true: Callable[[PanelSample], bool], outputs: Outputs) -> None:
        end_s = time.monotonic() + 10
        while not true(turn(outputs)):
            assert time.monotonic() < end_s, seen

    ready = Outputs(prepare_panel=True)
    window = replace(ready, window_from_us=1, window_shot_id="S-1")
    try:
        until(lambda sample: sample.state is PanelState.READY, ready)
        until(lambda sample: sample.window_open_us is not None, window)
        until(lambda sample: sample.frame_count == 1, Outputs())
        data.write(0, [b"a frame"])
        until(lambda sample: bool(came), Outputs())
    finally:
        for link in links:
            link.close()
    assert came == [[b"a frame"]]
    assert panel.shots == ["S-1"]
    order = [state for state in seen if state is not PanelState.PREPARING]
    assert order[:5] == [
        PanelState.DISCONNECTED,
        PanelState.IDLE,
        PanelState.READY,
        PanelState.INTEGRATING,
        PanelState.READOUT,
    ]
