"""SR-31: what dies or hangs beside the unit in mid-beam changes no end.

The trace of the beam (states, outputs, every byte to generator and room with its scan) is that
of the undisturbed run, up to the end of the beam. On the wire rung the recorder's process is
really killed and really stopped.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from firmware_py.decide.memory import State
from hal.now import Now
from hal.ports import RecorderPort
from hal.types import ExposureReport, Intent, RecorderSample
from rig.scenario import ShotSection
from tests.live_bench import LiveBench, live_bench, until
from tests.test_entries import Served
from tests.whole_unit import BY_CHARGE, BY_TIME, SCAN_US, Whole, a_shot

S = State
END_US = 100_000  # after the end: OFF was answered, the lamp is still on
BEAMS = {"by charge": BY_CHARGE, "by time": BY_TIME}


class Failing:
    """A recorder that goes wrong from some time on; until then it is the real one."""

    def __init__(self, port: RecorderPort, from_us: int, how: str) -> None:
        self._port, self._from_us, self._how = port, from_us, how
        self.sample: RecorderSample = port.sample

    def read(self, now: Now) -> RecorderSample:
        if not now.reached(self._from_us):
            self.sample = self._port.read(now)
        elif self._how != "hangs":
            self.sample = WRONG[self._how](self.sample, now.t_us)
        return self.sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        if not now.reached(self._from_us):
            self._port.write(now, intent, report, kept)


def _noise(sample: RecorderSample, t_us: int) -> RecorderSample:
    """Another sample in every scan, and all of it nonsense."""
    return replace(
        sample, taken_us=t_us, intent_durable=f"shot-{t_us}", dose_saved=f"shot-{t_us}",
        incomplete_count=t_us % 7, level_counts=t_us % 4096,
    )  # fmt: skip


WRONG: dict[str, Callable[[RecorderSample, int], RecorderSample]] = {
    "dies": lambda sample, t_us: replace(sample, alive=False),
    "disk fails": lambda sample, t_us: replace(sample, disk_ok=False, panel_set_ok=False),
    "restarts empty": lambda sample, t_us: RecorderSample(taken_us=t_us, alive=True),
    "talks nonsense": _noise,
}
HOW = ("hangs", *WRONG)


@dataclass(frozen=True)
class BeamTrace:
    """What the unit did from the start of the beam to its end, with the times of its scans."""

    bytes_sent: list[tuple[int, str, bytes]]
    lines: list[tuple[int, str, dict[str, Any]]]
    courses: list[tuple[int, int | None]]


def beam_of(asked: ShotSection, how: str | None = None, after_us: int = 0) -> BeamTrace:
    """The whole beam, with the recorder going wrong so long after the order."""
    clean = Whole(a_shot(asked)).until(S.STANDBY)
    if how is None:
        return _beam_of(clean)
    clean.do("press")
    from_us = clean.until(S.EXPOSE).t_us + after_us
    return _beam_of(
        Whole(a_shot(asked), wrap=lambda port: Failing(port, from_us, how)).until(S.STANDBY)
    )


def _beam_of(whole: Whole) -> BeamTrace:
    whole.do("press")
    begin_us = whole.until(S.EXPOSE).t_us
    end_us = whole.until(S.READOUT).t_us + END_US
    whole.pass_us(END_US)
    return BeamTrace(
        [one for one in whole.tape.all_sent if begin_us <= one[0] <= end_us],
        [
            (line.t_us, line.kind, line.data)
            for line in whole.lines
            if line.kind in ("state", "out", "generator") and begin_us <= line.t_us <= end_us
        ],
        [(course.on_us, course.off_us) for course in whole.world.generator.courses],
    )


@pytest.mark.req("SR-31", "F103", "F104")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("asked", BEAMS)
def test_a_recorder_that_goes_wrong_in_the_beam_changes_no_scan_and_no_byte(
    asked: str, how: str
) -> None:
    undisturbed = beam_of(BEAMS[asked])
    assert len(undisturbed.courses) == 1
    assert len(undisturbed.bytes_sent) > 20
    for after_us in (5_000, 60_000, 150_000):
        assert beam_of(BEAMS[asked], how, after_us) == undisturbed, after_us


@pytest.mark.req("SR-31", "SR-53")
@pytest.mark.parametrize("how", HOW)
def test_the_dose_of_such_a_beam_is_told_and_kept_until_the_recorder_has_it(how: str) -> None:
    whole = Whole(wrap=lambda port: Failing(port, 800_000, how)).until(S.STANDBY)
    whole.do("press")
    whole.until(S.EXPOSE)
    assert whole.t_us < 800_000
    whole.until(S.READOUT)
    ended = whole.until_any(S.FAULT, S.RELEASE_WAIT)
    (report,) = whole.of("report")
    assert report.data["mas"] == pytest.approx(0.3, abs=0.05)
    assert ended is S.FAULT
    assert whole.unit.memory.report is not None
    limits = whole.unit.memory.limits
    assert whole.entered_us(S.FAULT) - whole.entered_us(S.READOUT) == limits.readout_us


def test_a_recorder_that_does_end_the_beam_would_be_found() -> None:
    """The comparison can fail: the same beam, ended 5 ms sooner by a hand."""
    whole = Whole(a_shot(BY_CHARGE)).until(S.STANDBY)
    whole.do("press")
    whole.at(whole.until(S.EXPOSE).t_us + 300_000, "release")
    whole.until(S.READOUT)
    shorter = [(course.on_us, course.off_us) for course in whole.world.generator.courses]
    assert shorter != beam_of(BY_CHARGE).courses


# --- who asks and listens: the unit's bus


@pytest.mark.req("SR-31", "F65")
def test_a_client_that_asks_in_every_scan_of_the_beam_changes_none() -> None:
    """Screens come and go and ask for the status, wrong things and nonsense."""
    quiet, noisy = Served(S.STANDBY), Served(S.STANDBY)
    take = noisy.whole.rung.on_lines
    nonsense: tuple[Mapping[str, Any], ...] = (
        {"kind": "status"}, {"kind": "no such"}, {"kind": "program", "shot": {"shot_id": 3}},
        {"kind": "confirm", "key": None}, {"kind": "results", "first": -1},
    )  # fmt: skip

    def asking(lines: Any) -> None:
        noisy.bus.waiting += [{"schema": 1, **one} for one in nonsense]
        take(lines)

    noisy.whole.rung.on_lines = asking
    assert _beam_of(noisy.whole) == _beam_of(quiet.whole)
    assert len(noisy.bus.answers) > 100


# --- wire: a real process


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LiveBench]:
    with live_bench(tmp_path) as live:
        yield live


def recorder_pid(bench: LiveBench) -> int:
    """The recorder of this bench, by its command line and this test's own folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "firmware_py.recorder" in words and str(bench.folder) in str(words):
            return int(path.parent.name)
    raise AssertionError("no recorder runs")


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.req("SR-31", "F84", "F103", "F104")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_recorder_killed_or_stopped_in_the_beam_leaves_it_its_planned_end(
    bench: LiveBench, number: signal.Signals
) -> None:
    """The generator's own count: the time of the whole beam, not of a part."""
    expose = bench.start(
        "expose", "--kvp", "60", "--ma", "1", "--ms", "1500", "--hand", "auto", "--json"
    )
    until(lambda: bench.show()["beam_on"])
    pid = recorder_pid(bench)
    os.kill(pid, number)
    until(lambda: not bench.show()["beam_on"])
    expose.send_signal(signal.SIGTERM)
    if number is signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    expose.communicate(timeout=60)
    (beam,) = bench.show()["beams"]
    assert beam["off_us"] - beam["on_us"] == pytest.approx(1_500_000, abs=1_000)


def test_the_scan_period_is_what_these_traces_are_counted_in() -> None:
    assert Whole().rung.scan_us == SCAN_US
