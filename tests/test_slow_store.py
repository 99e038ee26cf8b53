"""I6: a store that is slow or gone keeps the next beam from starting, and never delays an end."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_py.decide.memory import State
from firmware_py.recorder.ports import InlineRecorder
from rig.durability.mount import why_not
from tests.endings import EndingRun
from tools.bench import slow_store

pytestmark = pytest.mark.req("SR-31")
SHOT: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.3}
STALL_US = 200_000


def in_beam(run: EndingRun) -> list[str]:
    """The trace from EXPOSE to its end, with its times; what the recorder says of itself apart."""
    start_us = run.entered_us(State.EXPOSE)
    end_us = next(s.t_us for s in run.scans if s.before is State.EXPOSE is not s.memory.state)
    return [
        line.as_text()
        for line in run.lines
        if start_us <= line.t_us <= end_us and line.kind != "recorder"  # us-compare: a trace
    ]


def stalled(run: EndingRun) -> EndingRun:
    """From now on whatever the recorder does shows so much later."""
    recorder = run.recorder
    assert isinstance(recorder, InlineRecorder)
    for name in recorder._latency_us:
        recorder._latency_us[name] += STALL_US
    return run


@pytest.mark.parametrize("verb", ["", "release", "open door", "press e-stop"])
def test_the_trace_of_a_beam_is_the_same_with_a_store_that_stalls(verb: str) -> None:
    """Planned or not, it ends in the very same scan."""
    runs = [EndingRun(**SHOT).until(State.EXPOSE) for _ in range(2)]
    stalled(runs[1])
    for run in runs:
        if verb:
            run.at(run.rung.t_us + 333_333, verb)
        run.until(State.READOUT, State.FAULT).pass_us(2_000_000)
    plain, slow = (in_beam(run) for run in runs)
    assert len(plain) > 5
    assert slow == plain
    assert [run.true_mas() for run in runs] == [runs[0].true_mas()] * 2


def test_what_a_stalled_store_saves_is_saved_so_much_later_and_no_fault() -> None:
    run = stalled(EndingRun(**SHOT).until(State.EXPOSE)).until(State.READOUT)
    run.until(State.RELEASE_WAIT)
    assert run.faults() == []
    dose_us = next(line.t_us for line in run.lines if line.data.get("dose_saved"))
    report_us = next(line.t_us for line in run.lines if line.kind == "report")
    assert dose_us - report_us == STALL_US + 5_000


@pytest.mark.req("SR-52")
def test_a_store_that_stalls_before_the_beam_delays_its_start_and_nothing_else() -> None:
    plain = EndingRun(**SHOT).until(State.READY)
    slow = stalled(EndingRun(**SHOT)).until(State.READY)
    ready_us = [run.entered_us(State.READY) - run.entered_us(State.PREP) for run in (plain, slow)]
    assert ready_us[1] >= STALL_US  # us-compare: spans
    assert ready_us[0] < ready_us[1] <= ready_us[0] + STALL_US  # us-compare: spans


@pytest.mark.wire
@pytest.mark.slow
def test_nothing_but_the_recorder_waits_for_a_disk_that_serves_nobody_in_a_stall() -> None:
    """Its own writes would hold up the scan until devices count as lost: the scribe makes them."""
    if reason := why_not():
        pytest.skip(reason)
    run = slow_store.measured(1, 200.0, whole_disk=True)
    assert run.stalled_count > 0
    assert "RECORDER" in run.waited_for or "INTENT" in run.waited_for or run.beam_late_us
