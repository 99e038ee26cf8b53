"""The unit's loop in made-up time: lateness, requests, signals, bugs, a full disk."""

from __future__ import annotations

import errno
import gc
import io
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from firmware_py.decide.memory import Memory, State, Unread
from firmware_py.handover import StoreError
from firmware_py.runner import SAFE_LIMIT_US, SAFE_SCANS, STOP_LIMIT_US, Runner
from firmware_py.trace import Line
from firmware_py.unit import Unit
from hal.bus import Client
from hal.types import EndReason, ExposureReport, Inputs, Requests, Shot, Technique
from tests.samples import LIMITS, inputs, room

SCAN_US = 5_000
SHOT = Shot(shot_id="S-1", technique=Technique(kv=70, ma=1, mas=0.5), exam_id="TEST", panel_id="P")
REPORT = ExposureReport(shot=SHOT, reason=EndReason.STOPPED, beam=True, mas=0.1, maximum_mas=0.2)


class Clock:
    """`wait_until` arrives late by what `delays` says."""

    def __init__(self) -> None:
        self.t_us = 0
        self.delays: dict[int, int] = {}

    def now_us(self) -> int:
        return self.t_us

    def wait_until(self, t_us: int) -> None:
        self.t_us = max(self.t_us, t_us) + self.delays.pop(t_us, 0)


class FakeUnit:
    """Runs a plan: what happens in which scan."""

    def effective(self, technique: Technique) -> Technique:
        if technique.kv > 120:
            raise ValueError("kv must be 30-120 kV")
        return replace(technique, kv=round(technique.kv, 1))

    def __init__(self) -> None:
        self.memory = Memory(limits=LIMITS, state=State.STANDBY)
        self.inputs: Inputs | None = None
        self.requests = Requests()
        self.record_trouble: OSError | None = None
        self.scans: list[tuple[int, int]] = []
        self.seen: list[Requests] = []
        self.plan: dict[int, Callable[[], None]] = {}
        self.safe_count = 0
        self.safe_from_count = 0  # the scan of making safe that convinces the devices
        self.gc_was_on: list[bool] = []

    def request(self, requests: Requests) -> None:
        self.requests = requests

    def scan(self, t_us: int, late_us: int) -> list[Line]:
        self.scans.append((t_us, late_us))
        self.seen.append(self.requests)
        self.gc_was_on.append(gc.isenabled())
        self.plan.get(len(self.scans), lambda: None)()
        return [Line(t_us, "note", {"n": len(self.scans)})]

    def make_safe(self, t_us: int) -> Exception | None:
        self.safe_count += 1
        return None

    def is_safe(self, since_us: int) -> bool:
        return self.safe_count >= self.safe_from_count

    def enter(self, state: State) -> None:
        self.memory = replace(self.memory, state=state)


class FakeBus:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[Mapping[str, Any]] = []
        self.refuse_once = False

    def poll(self) -> list[tuple[Client, dict[str, Any]]]:
        asked, self.asked = self.asked, []
        return [(Client(b"c", 1), message) for message in asked]

    def reply(self, client: Client, message: Mapping[str, Any]) -> None:
        if self.refuse_once:
            self.refuse_once = False
            raise ValueError("NaN is no JSON")
        self.answers.append(message)

    def publish(self, message: Mapping[str, Any]) -> None:
        return None


class Bench:
    def __init__(self, folder: Path) -> None:
        self.unit, self.clock, self.bus, self.trace = FakeUnit(), Clock(), FakeBus(), io.StringIO()
        self.log = folder / "unit.log"
        self.runner = Runner(
            cast(Unit, self.unit), self.clock, self.bus, self.trace, scan_us=SCAN_US
        )

    def at(self, scan: int, act: Callable[[], None]) -> None:
        self.unit.plan[scan] = act

    def run(self, scans: int = 10) -> int:
        self.unit.plan.setdefault(scans, self.runner.quit)
        return self.runner.run(self.log)

    def ask(self, scan: int, **message: Any) -> None:
        self.at(scan, lambda: self.bus.asked.append({"schema": 1, **message}))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield Bench(tmp_path)
    for number, handler in before.items():
        signal.signal(number, handler)
    gc.enable()
    gc.unfreeze()


def test_every_tick_is_a_scan_and_the_end_makes_safe(bench: Bench) -> None:
    assert bench.run(scans=3) == 0
    assert bench.unit.scans == [(5_000, 0), (10_000, 0), (15_000, 0)]
    assert bench.unit.safe_count == SAFE_SCANS
    assert not bench.log.exists()


def test_a_late_scan_says_so_and_missed_ticks_are_skipped_never_caught_up(bench: Bench) -> None:
    bench.clock.delays[10_000] = 12_000
    bench.run(scans=4)
    assert bench.unit.scans == [(5_000, 0), (22_000, 12_000), (25_000, 0), (30_000, 0)]
    assert (bench.runner.skipped_count, bench.runner.latest_us) == (2, 12_000)


def test_the_collector_sleeps_from_prep_to_readout(bench: Bench) -> None:
    bench.at(2, lambda: bench.unit.enter(State.PREP))
    bench.at(4, lambda: bench.unit.enter(State.STANDBY))
    bench.run(scans=6)
    assert bench.unit.gc_was_on == [True, True, False, False, True, True]
    assert gc.isenabled()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_the_beam_stops_it_and_waits_for_its_dose(
    bench: Bench, number: signal.Signals
) -> None:
    unit = bench.unit
    unit.enter(State.EXPOSE)
    bench.at(2, lambda: signal.raise_signal(number))
    bench.at(4, lambda: setattr(unit, "memory", replace(unit.memory, state=State.RELEASE_WAIT,
                                                        report=REPORT)))  # fmt: skip
    bench.at(6, lambda: setattr(unit, "memory", replace(unit.memory, report=None)))
    assert bench.run(scans=99) == 0
    assert [requests.stop for requests in unit.seen] == [False, False, True, True, False, False]
    assert unit.safe_count == SAFE_SCANS


@pytest.mark.req("SR-53")
def test_an_end_waits_for_a_dose_whose_meter_is_not_read_yet(bench: Bench) -> None:
    unit, unread = bench.unit, Unread(report=REPORT, proved_us=0)
    unit.memory = replace(unit.memory, state=State.FAULT, unread=unread)
    bench.at(1, bench.runner.quit)
    bench.at(4, lambda: setattr(unit, "memory", replace(unit.memory, unread=None)))
    assert bench.run(scans=99) == 0
    assert len(unit.scans) == 4


def test_an_end_that_never_comes_is_not_waited_for_for_ever(bench: Bench) -> None:
    bench.unit.enter(State.EXPOSE)
    bench.run(scans=1)
    assert bench.unit.scans[-1][0] == SCAN_US + STOP_LIMIT_US
    assert bench.unit.safe_count == SAFE_SCANS


def test_reset_lasts_one_scan_and_stop_no_longer_than_the_sequence(bench: Bench) -> None:
    bench.ask(1, kind="reset")
    bench.ask(3, kind="stop")
    bench.run(scans=6)
    assert [(r.reset, r.stop) for r in bench.unit.seen] == [
        (False, False), (True, False), (False, False), (False, True), (False, False),
        (False, False),
    ]  # fmt: skip


def test_a_bug_makes_safe_first_then_says_so(bench: Bench) -> None:
    def bug() -> None:
        raise ZeroDivisionError("three\nlines")

    bench.at(2, bug)
    safe_counts = []  # at each line of the trace
    write = bench.trace.write

    def watched(text: str) -> int:
        safe_counts.append(bench.unit.safe_count)
        return write(text)

    bench.trace.write = watched  # type: ignore[method-assign]
    assert bench.run() == 3
    assert bench.unit.safe_count == SAFE_SCANS
    assert safe_counts == [0, SAFE_SCANS]  # the line of scan 1, then the fault's
    assert json.loads(bench.trace.getvalue().splitlines()[-1])["faults"] == ["UNIT_BUG"]
    words = bench.log.read_text().splitlines()
    assert words[0] == "Traceback (most recent call last):"
    assert words[-1] == (
        "the unit stopped on an internal error (ZeroDivisionError: three); outputs are safe; "
        "keep the run folder"
    )


def test_a_bug_that_lasts_keeps_nothing_from_being_made_safe(bench: Bench) -> None:
    def broken(t_us: int) -> None:
        bench.unit.safe_count += 1
        raise RuntimeError("the driver, too")

    bench.unit.make_safe = broken  # type: ignore[method-assign]
    bench.at(1, lambda: broken(0))
    assert bench.run() == 3
    assert bench.unit.safe_count == 1 + SAFE_SCANS


def test_it_is_made_safe_until_the_devices_confirm_it(bench: Bench) -> None:
    bench.unit.safe_from_count = 57
    assert bench.run(scans=2) == 0
    assert bench.unit.safe_count == 57


def test_a_device_that_confirms_nothing_is_not_waited_for_for_ever(bench: Bench) -> None:
    bench.unit.safe_from_count = 10**9
    assert bench.run(scans=2) == 0
    assert bench.unit.safe_count == SAFE_LIMIT_US // SCAN_US


def test_a_bug_of_the_last_act_is_told_too(bench: Bench) -> None:
    bench.unit.make_safe = lambda t_us: KeyError("panel")  # type: ignore[method-assign]
    assert bench.run(scans=2) == 3
    assert "an internal error (KeyError: 'panel')" in bench.log.read_text()


@pytest.mark.parametrize(("state", "code"), [(State.STANDBY, 4), (State.EXPOSE, 3)])
def test_a_full_disk_ends_in_the_ordinary_way(bench: Bench, state: State, code: int) -> None:
    def full() -> None:
        bench.unit.enter(state)
        raise OSError(errno.ENOSPC, "No space left on device")

    bench.at(2, full)
    bench.at(5, lambda: bench.unit.enter(State.STANDBY))
    assert bench.run(scans=99) == code
    assert bench.log.read_text() == (
        f"{bench.log.parent}: no space left on device: the run ended, outputs are safe; "
        "free space\n"
    )
    assert bench.unit.seen[-1].stop is (state is State.EXPOSE)
    assert bench.unit.safe_count == SAFE_SCANS


def test_a_record_that_stopped_is_a_full_disk(bench: Bench) -> None:
    bench.unit.enter(State.EXPOSE)
    no_space = OSError(errno.ENOSPC, "No space left on device")
    bench.at(2, lambda: setattr(bench.unit, "record_trouble", no_space))
    bench.at(5, lambda: bench.unit.enter(State.STANDBY))
    assert bench.run(scans=99) == 4  # no scan entered EXPOSE: the beam of this test never was
    assert bench.log.read_text().count("no space left on device") == 1
    assert [requests.stop for requests in bench.unit.seen] == [False, False, True, True, True]


STALLS = StoreError(errno.ETIMEDOUT, "the disk keeps all waiting")


def test_a_store_that_stalls_ends_no_beam_and_the_run_after_it(bench: Bench) -> None:
    """As a recorder that is gone (SR-31): what is irradiated shall become an image."""
    bench.at(2, lambda: bench.unit.enter(State.EXPOSE))
    bench.at(3, lambda: setattr(bench.unit, "record_trouble", STALLS))
    bench.at(6, lambda: bench.unit.enter(State.STANDBY))
    assert bench.run(scans=99) == 3
    assert len(bench.unit.scans) == 6
    assert not any(requests.stop for requests in bench.unit.seen)
    assert bench.log.read_text() == (
        f"{bench.log.parent}: the disk keeps all waiting: the run ended, outputs are safe; "
        "look at the disk\n"
    )


@pytest.mark.parametrize("state", [State.STANDBY, State.PREP, State.READY])
def test_no_beam_begins_once_the_store_has_stalled(bench: Bench, state: State) -> None:
    def stalls() -> None:
        bench.unit.enter(state)
        raise STALLS

    bench.at(2, stalls)
    bench.at(4, lambda: bench.unit.enter(State.STANDBY))
    assert bench.run(scans=99) == 4
    assert bench.unit.seen[-1].stop is (state is not State.STANDBY)


def test_what_the_disk_says_after_the_last_scan_is_told_too(bench: Bench) -> None:
    no_space = OSError(errno.ENOSPC, "No space left on device")
    make_safe = bench.unit.make_safe

    def full(t_us: int) -> Exception | None:
        bench.unit.record_trouble = no_space
        return make_safe(t_us)

    bench.unit.make_safe = full  # type: ignore[method-assign]
    assert bench.run(scans=3) == 4
    assert "no space left on device: the run ended" in bench.log.read_text()


def test_another_disk_error_is_a_bug(bench: Bench) -> None:
    def gone() -> None:
        raise OSError(errno.EIO, "Input/output error")

    bench.at(1, gone)
    assert bench.run() == 3
    assert "OSError: [Errno 5] Input/output error" in bench.log.read_text()


# --- what may be asked


def test_a_programmed_shot_is_what_the_next_scan_sees(bench: Bench) -> None:
    bench.ask(1, kind="program", shot=asdict(SHOT))
    bench.run(scans=3)
    assert [requests.shot for requests in bench.unit.seen] == [None, SHOT, SHOT]
    assert bench.bus.answers[0] == {"schema": 1, "kind": "program.answer", "shot": "S-1"}


def test_a_programmed_technique_is_the_one_that_the_generator_can_make(bench: Bench) -> None:
    asked = asdict(SHOT) | {"technique": {"kv": 70.04, "ma": 1.0, "ms": 100.0}}
    bench.ask(1, kind="program", shot=asked)
    bench.run(scans=3)
    programmed = bench.unit.seen[-1].shot
    assert programmed is not None
    assert programmed.technique == Technique(kv=70.0, ma=1.0, ms=100.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shot_id": 5}, "program: shot_id must be a text, got 5"),
        ({"panel_id": ""}, "program: panel_id must be a text, got ''"),
        ({"technique": {"kv": -1, "ma": 1, "mas": 1}},
         "program: kv must be a positive number, got -1"),
        ({"technique": {"kv": "70", "ma": 1, "ms": 1}},
         "program: kv must be a positive number, got '70'"),
        ({"technique": {"kv": 121, "ma": 1, "ms": 1}}, "program: kv must be 30-120 kV"),
        ({"technique": {"kv": 70}}, "program: TypeError"),
        ({"technique": [1]}, "program: TypeError"),
        ({"technique": {"kv": 70, "ma": 1, "aec": 5}}, "program: TypeError"),
        ({"technique": {"kv": 70, "ma": 1, "aec": [1]}}, "program: TypeError"),
        ({"technique": {"kv": 70, "ma": 1, "aec": {"density_index": 1}}}, "program: KeyError"),
        ({"technique": {"kv": 70, "ma": 1, "aec": {"chambers": 5}}}, "program: TypeError"),
        ({"dose": 3}, "program: TypeError"),
    ],
)  # fmt: skip
def test_a_shot_that_is_none_is_refused_and_nothing_is_programmed(
    bench: Bench, change: dict[str, Any], told: str
) -> None:
    bench.ask(1, kind="program", shot=asdict(SHOT) | change)
    bench.run(scans=3)
    assert bench.bus.answers[0]["error"].startswith(told)
    assert bench.unit.seen[-1] == Requests()


def test_unknown_kinds_are_answered_and_change_nothing(bench: Bench) -> None:
    for scan, kind in enumerate(("start", "expose", "press", "STOP", ""), start=1):
        bench.ask(scan, kind=kind)
    bench.run(scans=7)
    assert [answer["error"] for answer in bench.bus.answers] == [
        f"unknown kind {kind!r}; there are program, routine, confirm, results, stop, reset, "
        "status, quit"
        for kind in ("start", "expose", "press", "STOP", "")
    ]
    assert set(bench.unit.seen) == {Requests()}


def test_an_answer_that_cannot_be_sent_does_not_stop_the_unit(bench: Bench) -> None:
    bench.bus.refuse_once = True
    bench.ask(1, kind="status")
    assert bench.run(scans=3) == 0
    assert bench.bus.answers == [{"schema": 1, "kind": "error", "error": "status: NaN is no JSON"}]


def test_the_status_counts_scans_and_lateness(bench: Bench) -> None:
    bench.clock.delays[5_000] = 7_000
    bench.ask(3, kind="status")
    bench.run(scans=4)
    (found,) = bench.bus.answers
    assert (found["scans"], found["skipped_scans"], found["latest_us"]) == (2, 1, 7_000)


@pytest.mark.parametrize("state", State)
def test_the_status_says_whether_a_beam_is_on_or_may_still_come(bench: Bench, state: State) -> None:
    bench.unit.memory = replace(bench.unit.memory, state=state)
    bench.unit.inputs = inputs()
    bench.ask(1, kind="status")
    bench.run(scans=3)
    may = {State.PREP, State.READY, State.INTERLOCK_CHECK, State.EXPOSE}
    assert bench.bus.answers[0]["beam_ahead"] is (state in may)


# --- what a reset waits for (SR-41)


@pytest.mark.req("SR-41")
def test_the_status_says_what_a_reset_waits_for(bench: Bench) -> None:
    memory = replace(bench.unit.memory, state=State.FAULT, faults=("DOOR_OPEN",))
    bench.unit.memory = memory
    bench.unit.inputs = inputs(room=room(stage_1=True, door=False))
    bench.ask(1, kind="status")
    bench.run(scans=3)
    told = [one["code"] for one in bench.bus.answers[0]["reset_waits_for"]]
    assert told == ["DOOR_OPEN", "HANDSWITCH_CLOSED"]


def test_a_locked_unit_also_waits_for_its_key(bench: Bench) -> None:
    bench.unit.memory = replace(bench.unit.memory, state=State.LOCKED, faults=("STRAY_BEAM",),
                                since_us=0)  # fmt: skip
    bench.unit.inputs = inputs()
    bench.ask(1, kind="status")
    bench.run(scans=3)
    assert "KEY_OFF" in [one["code"] for one in bench.bus.answers[0]["reset_waits_for"]]
