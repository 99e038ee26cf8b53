"""The switch is let go at every moment of an exposure: the scan that sees it ends everything.

The sweeps take a sample of the moments; DXRIG_LONG=1 takes each scan and each millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest

from firmware_py.decide.memory import Memory, State
from firmware_py.decide.outputs import outputs_for
from hal.exchange import Exchange
from hal.now import Now
from hal.types import Inputs, Outputs
from tests.endings import (
    LONG,
    EndingRun,
    Released,
    bound_us,
    charge_problems,
    exposing,
    released,
    small,
    sweep,
)

pytestmark = pytest.mark.timeout(600)  # many copies of one bench
S = State
BY_MAS: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.75}  # 1.5 s
BY_TIME: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "ms": 1500.0}
SHORT: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.05}  # 100 ms
AROUND_MS = 15
SCAN_US = 5_000
GONE_BY_ITSELF = ("INTERLOCK_OPEN", "BEAM_ENDED_EARLY", "KV_OUT_OF_BAND")


@cache
def milestones(by_mas: bool) -> dict[str, int]:
    """When each phase of the exposure that is not released begins; in us."""
    run = exposing(**(BY_MAS if by_mas else BY_TIME)).until(S.RELEASE_WAIT)
    times_us = {state.value: run.entered_us(state) for state in (
        S.PREP, S.READY, S.INTERLOCK_CHECK, S.EXPOSE, S.READOUT, S.RELEASE_WAIT
    )}  # fmt: skip
    beam = run.scans[-1].memory.beam
    assert beam is not None
    assert beam.accepted_us is not None
    (course,) = run.beams()
    assert course.off_us is not None
    return times_us | {"on": course.on_us, "accepted": beam.accepted_us, "off": course.off_us}


def moments(by_mas: bool, stage: int) -> list[int]:
    """Each scan from the press to READOUT, and each ms around every change of phase; in us."""
    at_us = milestones(by_mas)
    first_us = at_us["PREP" if stage == 1 else "INTERLOCK_CHECK"] + SCAN_US
    scans = range(first_us, at_us["RELEASE_WAIT"], SCAN_US)
    changes = [time_us for name, time_us in at_us.items() if name != "RELEASE_WAIT"]
    around_ms = range(-AROUND_MS, AROUND_MS + 1)
    around = {time_us + 1000 * ms for time_us in changes for ms in around_ms}
    fine = sorted(around & {*range(scans.start, scans.stop, 1000)})
    return [*scans, *fine] if LONG else [*scans[::12], *fine[::7]]


def swept(by_mas: bool, stage: int) -> list[Released]:
    run = EndingRun(**(BY_MAS if by_mas else BY_TIME))
    cases = [(t_us, stage) for t_us in moments(by_mas, stage)]
    return list(sweep(run, cases, released).values())


@pytest.mark.slow
@pytest.mark.req("SR-04", "SR-17", "SR-53", "SR-54", "F48")
@pytest.mark.parametrize(
    ("by_mas", "stage"), [(True, 1), (False, 1), (True, 2)], ids=["mas", "ms", "stage 2"]
)
def test_whenever_it_is_released_the_scan_that_sees_it_drops_enable_and_writes_off(
    by_mas: bool, stage: int
) -> None:
    found = swept(by_mas, stage)
    assert [one for one in found if one.problems] == []
    held = {S.INTERLOCK_CHECK, S.EXPOSE, S.READOUT}
    assert {one.state for one in found} == held | ({S.PREP, S.READY} if stage == 1 else set())
    in_beam = [one for one in found if one.off_ms is not None]
    assert len(in_beam) > len(found) / 3
    # The chain is at once; the relay opens by itself, and kV falls in less than 4 ms.
    assert max(one.off_ms for one in in_beam if one.off_ms is not None) <= 4.0
    seen_us = bound_us("SR-09", "wire") + SCAN_US  # the oldest sample, and the scan that looks
    assert max(one.seen_ms for one in in_beam) <= seen_us / 1000


@cache
def around_on() -> tuple[Released, ...]:
    """Released in each millisecond from before EXPOSE until the device would begin its beam."""
    at_us = milestones(True)
    from_us = at_us["EXPOSE"] - SCAN_US - 1000
    cases = [(t_us, 1) for t_us in range(from_us, at_us["on"], 1000)]
    return tuple(sweep(EndingRun(**BY_MAS), cases, released).values())


@pytest.mark.slow
@pytest.mark.req("SR-17", "F48")
def test_a_release_in_the_scan_that_sends_on_or_after_it_is_recorded_with_a_bound() -> None:
    """The pair is open by hardware, so the device starts nothing, and OFF follows ON at once."""
    found = [one for one in around_on() if one.on_left]
    assert [one for one in found if one.problems] == []
    assert {one.state for one in found} == {S.INTERLOCK_CHECK, S.EXPOSE}
    after_on = [one for one in found if one.state is S.EXPOSE]
    assert {(one.mas, one.true_mas, one.images) for one in after_on} == {(None, 0, 1)}
    assert all(one.maximum_mas > 0 for one in after_on)


@pytest.mark.slow
@pytest.mark.req("SR-17")
def test_a_release_after_expose_was_entered_and_before_on_has_left_is_no_fault() -> None:
    """The questions that were under way go first: ON leaves several scans after EXPOSE began."""
    before_on = [one for one in around_on() if not one.on_left]
    assert [one for one in before_on if one.problems] == []
    assert {one.state for one in before_on} == {S.EXPOSE}
    assert {(one.mas, one.true_mas, one.images) for one in before_on} == {(0.0, 0, 0)}


# --- the checker can fail


def _plant(where: str, what: object) -> None:
    """In a copy of the process: nobody takes it back."""
    pytest.MonkeyPatch().setattr(where, what)


def _enable_is_held_on() -> None:
    def held(memory: Memory, inputs: Inputs, now: Now) -> Outputs:
        outputs = outputs_for(memory, inputs, now)
        return replace(outputs, enable=True) if memory.state is S.READOUT else outputs

    _plant("firmware_py.decide.controller.outputs_for", held)


def _off_waits_for_the_reply() -> None:
    preempt = Exchange.preempt

    def patient(self: Exchange[Any, Any], now: Now, *question: Any) -> None:
        if self.waiting_for is None:
            preempt(self, now, *question)

    _plant("hal.exchange.Exchange.preempt", patient)


def _the_charge_is_forgotten() -> None:
    _plant("firmware_py.decide.beam.indicated_mas", lambda beam, end_us: 0.0)


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (_enable_is_held_on, "the scan that saw the release holds enable or ON"),
        (_off_waits_for_the_reply, "to the generator, not OFF"),
        (_the_charge_is_forgotten, "report has no charge"),
    ],
)
def test_a_planted_offender_is_found_by_the_sweep(plant: Callable[[], None], told: str) -> None:
    def offending(run: EndingRun, t_us: int, case: int) -> Released:
        plant()
        return released(run, t_us, case)

    beam_us = milestones(True)["accepted"] + 200_000
    cases = [(beam_us + 1000 * ms, 1) for ms in range(0, 40, 4)]
    found = sweep(EndingRun(**BY_MAS), cases, offending)
    assert any(told in problem for one in found.values() for problem in one.problems)


# --- one press, one beam


@pytest.mark.req("SR-04", "F46")
@pytest.mark.parametrize("opening_ms", [3, 6, 12, 40])
def test_an_opening_of_a_few_milliseconds_in_the_beam_ends_it(opening_ms: int) -> None:
    """The pair opens by hardware however short it is; nothing goes on when it closes again."""
    start_us = milestones(True)["accepted"] + 200_000

    def opened(run: EndingRun, t_us: int, case: int) -> tuple[str, str, float]:
        run.at(t_us, "release", stage=2).at(t_us + opening_ms * 1000, "press")
        run.until(S.FAULT, S.RELEASE_WAIT).pass_us(3_000_000)
        assert list(charge_problems(run.report(), run.true_mas())) == []
        return (*run.faults(), "none")[0], run.report()["reason"], (run.gone_us() - t_us) / 1000

    cases = [(start_us + 1000 * ms, ms) for ms in range(0, 20, 2)]
    found = sweep(EndingRun(**BY_MAS), cases, opened).values()
    assert {off_ms for _, _, off_ms in found} == {3.6}  # the cable's fall, from the opening itself
    # Seen by a sample of the room it is a release; else the generator tells that the beam is gone.
    assert {(fault, reason) for fault, reason, _ in found} <= {
        ("none", "handswitch released"), *((fault, "fault") for fault in GONE_BY_ITSELF)
    }  # fmt: skip


@pytest.mark.req("SR-04", "F44")
def test_a_switch_that_is_held_for_ten_seconds_makes_one_beam() -> None:
    run = exposing(**SHORT).until(S.RELEASE_WAIT).pass_us(10_000_000)
    assert (run.state, len(run.beams()), run.report()["reason"]) == (
        S.RELEASE_WAIT, 1, "planned end",
    )  # fmt: skip
    run.at(run.rung.t_us + 1000, "release").until(S.STANDBY)
    assert run.faults() == []


@pytest.mark.req("SR-03", "SR-04")
@pytest.mark.parametrize(
    ("poll_ms", "open_ms", "allowed"),
    [(20, 40, False), (20, 95, True), (5, 40, False), (5, 60, True)],
)
def test_a_new_press_counts_when_samples_saw_the_switch_open_for_50_ms(
    poll_ms: int, open_ms: int, allowed: bool
) -> None:
    """The time counts from the first open sample to the last: a slow poll asks for longer."""
    room = small().unit.room.model_copy(update={"standby_poll_ms": poll_ms})
    on = replace(small(), unit=small().unit.model_copy(update={"room": room}))
    run = exposing(on=on, **SHORT).until(S.RELEASE_WAIT)
    run.program("shot-2")

    def again(run: EndingRun, t_us: int, case: int) -> tuple[int, list[str]]:
        run.at(t_us, "release").at(t_us + open_ms * 1000, "press").pass_us(1_500_000)
        return len(run.beams()), [report["shot"] for report in run.reports()]

    cases = [(run.rung.t_us + 100_000 + 1000 * ms, ms) for ms in range(0, 25, 3)]
    wanted = (2, ["shot-1", "shot-2"]) if allowed else (1, ["shot-1"])
    assert list(sweep(run, cases, again).values()) == [wanted] * len(cases)


@pytest.mark.req("SR-04")
def test_a_second_press_makes_a_second_beam_only_of_a_second_shot() -> None:
    run = exposing(**SHORT).until(S.RELEASE_WAIT)
    release_us = run.rung.t_us + 100_000
    run.at(release_us, "release").at(release_us + 200_000, "press").pass_us(1_000_000)
    refused = [line.data["because"] for line in run.lines if line.kind == "refused"]
    assert (len(run.beams()), refused) == (1, [["SHOT_USED"]])


# --- the record and the picture of a beam of 100 ms


@pytest.mark.req("SR-17", "SR-53", "SR-54")
@pytest.mark.slow
def test_released_in_each_millisecond_of_a_beam_of_100_ms_it_is_recorded_and_its_image_kept() -> (
    None
):
    run = exposing(**SHORT)
    run.until_us(run.rung.t_us + 1)
    while not run.beams():
        run.until_us(run.rung.t_us + 6_000)
    on_us = run.beams()[0].on_us
    found = sweep(run, [(on_us + 1000 * ms, 1) for ms in range(5, 101)], released).values()
    assert [one for one in found if one.problems] == []
    assert {(one.reason, one.images) for one in found} == {("handswitch released", 1)}
    assert all(0 < one.true_mas <= one.maximum_mas for one in found)


@pytest.mark.req("SR-17", "SR-54")
@pytest.mark.parametrize("after_ms", [40, 160, 240])
def test_the_files_of_a_released_beam_say_aborted_and_have_its_dose(
    after_ms: int, tmp_path: Path
) -> None:
    run = EndingRun(folder=tmp_path, kv=60.0, ma=1.0, mas=0.2).until(S.EXPOSE)
    while not run.beams():
        run.pass_us(5_000)
    run.at(run.beams()[0].on_us + 1000 * after_ms, "release").until(S.STANDBY)
    report = run.report()
    assert report["reason"] == "handswitch released"
    for name in ("presentation", "processing"):
        (file,) = tmp_path.glob(f"exposures/*/{name}.dcm")
        dataset = pydicom.dcmread(file)
        assert dataset.ExposureStatus == "ABORTED"
        indicated_uas = None if report["mas"] is None else round(report["mas"] * 1000)
        assert dataset.get("ExposureInuAs") == indicated_uas
