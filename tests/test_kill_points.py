"""The unit is killed or stopped, or the generator loses its power, at many points of an exposure.

Beam off by the layers that are left; afterwards nothing resumes: the switch must be opened, and
an exposure that is incomplete must be acknowledged. DXRIG_LONG=1 takes all the points.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import pytest

from firmware_py.decide.memory import State
from firmware_py.recorder.ports import InlineRecorder
from rig.judge import Seen
from rig.run_wire import WireRun
from rig.scenario import Scenario
from tests.endings import LONG, EndingRun, bound_us, charge_problems, sweep
from tests.model_runs import bench

pytestmark = pytest.mark.timeout(600)  # many copies of one bench
S = State
SHOT: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.3}  # 0.6 s
POINTS_COUNT = 50
DEAD_US = bound_us("SR-28", "relay pulse")


@cache
def points() -> tuple[int, ...]:
    """Evenly over PREP to the end of READOUT; in us."""
    run = EndingRun(**SHOT).until(S.READOUT).until(S.RELEASE_WAIT)
    first_us, last_us = run.entered_us(S.PREP), run.entered_us(S.RELEASE_WAIT)
    step_us = (last_us - first_us) // POINTS_COUNT
    return tuple(range(first_us + 1_234, last_us, step_us))[:POINTS_COUNT]


def swept(what: Any) -> dict[int, Any]:
    run = EndingRun(**SHOT).until(S.PREP)
    found = sweep(run, [(t_us, "") for t_us in points()], what)
    return {t_us: result for (t_us, _), result in found.items()}


# --- killed


class Killed(TypedDict):
    gone_us: list[int]  # after the kill
    held: State  # 2 s after the restart, the switch still pressed
    incomplete_count: int
    refused: list[list[str]]
    reached: list[int]  # how many beams: held, pressed again, acknowledged and pressed


def _killed(run: EndingRun, t_us: int, case: str) -> Killed:
    run.at(t_us, "kill unit").at(t_us + 700_000, "start unit").pass_us(1_000_000)
    held = run.until(S.RELEASE_WAIT).pass_us(2_000_000).state
    beams = [len(run.beams())]
    gone_us = [beam.gone_us - t_us for beam in run.beams() if beam.gone_us is not None]
    assert len(gone_us) == len(run.beams()), "a beam that never ended"
    count = run.scans[-1].inputs.recorder.incomplete_count
    _press_again(run, "again-1")
    beams.append(len(run.beams()))
    if count:
        _acknowledge(run)
        beams.append(_still(run))
        _press_again(run, "again-2")
        beams.append(len(run.beams()))
    refused = [line.data["because"] for line in run.lines if line.kind == "refused"]
    return {
        "gone_us": gone_us,
        "held": held,
        "incomplete_count": count,
        "refused": refused,
        "reached": beams,
    }


def _press_again(run: EndingRun, shot_id: str) -> None:
    run.at(run.rung.t_us, "release").until(S.STANDBY).program(shot_id)
    run.at(run.rung.t_us + 100_000, "press").pass_us(1_300_000)
    run.at(run.rung.t_us, "release").until(S.STANDBY)


def _still(run: EndingRun) -> int:
    return len(run.pass_us(1_000_000).beams())


def _acknowledge(run: EndingRun) -> None:
    assert isinstance(run.recorder, InlineRecorder)
    run.recorder._recorder.acknowledge(
        "shot-1", who="A. Physicist", why="looked at", now_us=run.rung.t_us
    )


@cache
def killed() -> dict[int, Killed]:
    found: dict[int, Killed] = swept(_killed)
    return found


@pytest.mark.slow
@pytest.mark.req("SR-28", "SR-29")
def test_a_unit_that_is_killed_at_any_of_50_points_leaves_no_beam() -> None:
    gone_us = {t_us: one["gone_us"] for t_us, one in killed().items()}
    assert len(gone_us) == POINTS_COUNT
    late = {
        t_us: gone for t_us, gone in gone_us.items() if any(us > DEAD_US for us in gone)
    }  # us-compare: spans
    assert late == {}
    ended_by_the_pulse = [
        us for gone in gone_us.values() for us in gone if us > 0
    ]  # us-compare: after the kill
    assert len(ended_by_the_pulse) >= 15


@pytest.mark.slow
@pytest.mark.req("SR-03", "SR-29", "SR-52")
def test_after_a_kill_nothing_resumes_and_the_incomplete_exposure_must_be_acknowledged() -> None:
    for t_us, one in killed().items():
        assert one["held"] is S.RELEASE_WAIT, t_us  # the switch was never opened
        before = len(one["gone_us"])
        if one["incomplete_count"]:
            assert one["refused"] == [["INCOMPLETE_EXPOSURE"]], t_us
            assert one["reached"] == [before, before, before, before + 1], t_us
        else:  # all of it was saved before
            assert (one["refused"], one["reached"]) == ([], [before, before + 1]), t_us
    counts = {one["incomplete_count"] for one in killed().values()}
    assert counts == {0, 1}


# --- stopped, and goes on


class Outlived(TypedDict):
    was: State
    gone_us: list[int]
    state: State
    faults: list[str]
    problems: list[str]
    mas: float | None
    beams: int


def _outlived(run: EndingRun, t_us: int) -> Outlived:
    """What is left 3 s after `t_us`, the switch held all the time."""
    was = run.state
    run._run_until(lambda: False, t_us + 3_000_000)
    (report,) = run.reports()
    return {
        "was": was,
        "gone_us": [beam.gone_us - t_us for beam in run.beams() if beam.gone_us is not None],
        "state": run.state,
        "faults": run.faults(),
        "problems": list(charge_problems(report, run.true_mas())),
        "mas": report["mas"],
        "beams": len(run.beams()),
    }


def _stopped(run: EndingRun, t_us: int, case: str) -> Outlived:
    run.at(t_us, "stop unit").at(t_us + 1_000_000, "continue unit")
    return _outlived(run, t_us)


@pytest.mark.slow
@pytest.mark.req("SR-19", "SR-28", "F67", "F74")
def test_a_unit_that_is_stopped_for_a_second_at_any_of_50_points_finds_the_beam_off() -> None:
    found: dict[int, Outlived] = swept(_stopped)
    for t_us, one in found.items():
        assert len(one["gone_us"]) == one["beams"] <= 1, t_us
        assert all(us <= DEAD_US for us in one["gone_us"]), t_us  # us-compare: two spans
        assert one["state"] in (S.FAULT, S.LOCKED), t_us
        assert one["problems"] == [], t_us
        if one["was"] is S.EXPOSE and one["beams"]:
            assert one["mas"] is None, t_us
    assert {one["was"] for one in found.values()} >= {S.PREP, S.READY, S.EXPOSE, S.READOUT}


# --- the generator loses its power for half a second


def _powerless(run: EndingRun, t_us: int, case: str) -> Outlived:
    run.at(t_us, "power off", device="generator")
    run.at(t_us + 500_000, "power on", device="generator")
    return _outlived(run, t_us)


@cache
def powerless() -> dict[int, Outlived]:
    found: dict[int, Outlived] = swept(_powerless)
    return found


@pytest.mark.slow
@pytest.mark.req("SR-29", "F17", "F70")
def test_a_generator_that_comes_back_after_a_power_cut_beams_no_more() -> None:
    fall_us = 4_000
    for t_us, one in powerless().items():
        assert len(one["gone_us"]) == one["beams"] <= 1, t_us
        assert all(us <= fall_us for us in one["gone_us"]), t_us  # us-compare: two spans
        assert one["state"] is (S.RELEASE_WAIT if not one["faults"] else S.FAULT), t_us
        assert one["faults"] or one["was"] is S.READOUT, t_us
    assert {one["was"] for one in powerless().values()} >= {S.PREP, S.READY, S.EXPOSE, S.READOUT}


@pytest.mark.slow
@pytest.mark.req("SR-27", "SR-29", "SR-53")
def test_after_a_power_cut_in_the_beam_the_charge_is_right_or_unknown() -> None:
    wrong = {t_us: one["problems"] for t_us, one in powerless().items() if one["problems"]}
    assert wrong == {}


# --- on real ports: the steps are the simulator's, by its clock

WIRE_POINTS = (("PREP", 140.0), ("INTERLOCK_CHECK", 60.0), ("beam_on", 60.0), ("beam_on", 500.0),
               ("beam_on", 1150.0))  # fmt: skip
MORE_POINTS = tuple(("beam_on", 20.0 + 26.0 * index) for index in range(45))
WITHIN_US = 300_000  # of the scenarios unit_killed_in_beam and unit_stopped_in_beam


def wire_points() -> tuple[tuple[str, float], ...]:
    return WIRE_POINTS + (MORE_POINTS if LONG else ())


def _step(event: str, after_ms: float, do: str, nth: int = 1, **args: Any) -> dict[str, Any]:
    return {"event": event, "after_ms": after_ms, "do": do, "nth": nth, "args": args}


def _on_the_wire(folder: Path, steps: list[dict[str, Any]], until: dict[str, Any]) -> Seen:
    scenario = Scenario.model_validate(
        {
            "title": "killed or stopped",
            "name": "killed",
            "shot": {"kv": 60.0, "ma": 0.5, "mas": 0.75},
            "step": [
                _step("STANDBY", 200.0, "press", stage=1),
                _step("READY", 100.0, "press", stage=2),
                *steps,
            ],
            "until": until,
            "deadline_s": 20.0,
            "expect": {"path": ["BOOT"]},
        }
    )
    return WireRun(bench(), scenario, folder).run()


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.req("SR-28", "SR-29", "SR-52", "F74")
@pytest.mark.parametrize(("event", "after_ms"), wire_points())
def test_a_killed_process_leaves_no_beam_and_its_exposure_is_found_at_the_next_start(
    event: str, after_ms: float, tmp_path: Path
) -> None:
    seen = _on_the_wire(
        tmp_path,
        [
            _step(event, after_ms, "kill unit"),
            _step(event, after_ms + 700, "start unit"),
            _step("RELEASE_WAIT", 1000.0, "release", nth=2),
            _step("STANDBY", 300.0, "press", nth=2),
            _step("RELEASE_WAIT", 200.0, "release", nth=3),
        ],
        {"event": "STANDBY", "nth": 3, "after_ms": 200.0},
    )
    killed_us = seen.action_us("kill unit")
    assert killed_us is not None
    assert all(beam.gone_us is not None for beam in seen.beams)
    assert [
        beam for beam in seen.beams if (beam.gone_us or 0) > killed_us + WITHIN_US
    ] == []  # us-compare: the simulator's stamps
    assert len(seen.beams) == (event == "beam_on")
    refused = [line["because"] for line in seen.of("refused")]
    # Before ON left, the unit's last words prove that there was no beam: nothing is open.
    left_open = [["INCOMPLETE_EXPOSURE"]] if event == "beam_on" else []
    assert (refused, seen.incomplete_count) == (left_open, len(left_open))


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.req("SR-28", "F67", "F74")
@pytest.mark.parametrize(("event", "after_ms"), wire_points())
def test_a_stopped_process_finds_the_beam_off_and_goes_to_fault(
    event: str, after_ms: float, tmp_path: Path
) -> None:
    seen = _on_the_wire(
        tmp_path,
        [
            _step(event, after_ms, "stop unit"),
            _step(event, after_ms + 600, "continue unit"),
            _step(event, after_ms + 900, "release"),
        ],
        {"event": "FAULT", "nth": 1, "after_ms": 800.0},
    )
    stopped_us = seen.action_us("stop unit")
    assert stopped_us is not None
    assert all(beam.gone_us is not None for beam in seen.beams)
    assert [
        beam for beam in seen.beams if (beam.gone_us or 0) > stopped_us + WITHIN_US
    ] == []  # us-compare: the simulator's stamps
    assert len(seen.beams) == (event == "beam_on")
    assert seen.states()[-1] in ("FAULT", "LOCKED")
    assert len(seen.of("report")) == 1
