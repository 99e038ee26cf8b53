"""A device that fails under the beam: its line is cut, it ignores OFF, it beams unasked, the panel
gives up. What the unit does is exact; how long a beam may last is the bench's own bound.
"""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from firmware_py.decide.memory import Limits, State
from hal.now import grid_us
from hal.types import PanelState
from sim.wiring import CONTACTOR_DROP_US
from tests.endings import (
    LONG,
    OFF_BYTES,
    EndingRun,
    Scanned,
    bound_us,
    charge_problems,
    exposing,
    small,
    sweep,
)

pytestmark = pytest.mark.timeout(600)  # many copies of one bench
S = State
BEAM: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.75}  # 1.5 s
SHORT: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.05}  # 100 ms
RELAY_US = bound_us("SR-17", "wire", "enable output")
LOST = {"GENERATOR_STATUS_OLD", "GENERATOR_LINK_LOST"}


def limits(run: EndingRun) -> Limits:
    return run.scans[-1].memory.limits


# --- SR-27: the line to the generator


class Cut(TypedDict):
    state: State
    faults: list[str]
    known: bool
    problems: list[str]
    gone_us: int | None  # after the cut; negative: before
    dropped: bool  # enable relay and contactor, by their contacts
    images: int


def _cut(run: EndingRun, t_us: int, case: int) -> Cut:
    run.at(t_us, "line", device="generator", silent=True).at(t_us + 1_500_000, "release")
    run.until(S.FAULT, S.LOCKED).pass_us(2_000_000)
    wiring, report = run.rung.world.wiring, run.report()
    return {
        "state": run.state,
        "faults": run.faults(),
        "known": report["mas"] is not None,
        "problems": list(charge_problems(report, run.true_mas())),
        "gone_us": run.gone_us() - t_us if run.beams() else None,
        "dropped": not (wiring.enable.contact or wiring.contactor.contact),
        "images": run.images,
    }


@pytest.mark.req("SR-27", "SR-53", "F17", "F68")
@pytest.mark.slow
def test_a_cut_line_in_any_millisecond_of_a_beam_of_100_ms_is_a_fault_with_an_unknown_dose() -> (
    None
):
    """From the scan before ON to the end of EXPOSE, the time until ON is answered included."""
    probe = exposing(**SHORT).until(S.READOUT)
    first_us, last_us = probe.entered_us(S.EXPOSE), probe.entered_us(S.READOUT)
    run = EndingRun(**SHORT).until(S.INTERLOCK_CHECK)
    cases = [(t_us, 0) for t_us in range(first_us - 1000, last_us, 1000 if LONG else 5000)]
    found = sweep(run, cases, _cut)
    late_us = limits(run).beam_start_us + RELAY_US  # nothing was heard since ON
    for (t_us, _), cut in found.items():
        assert (cut["state"], cut["known"], cut["problems"]) == (S.FAULT, False, []), t_us
        assert cut["faults"][0] in LOST, t_us
        assert (cut["dropped"], cut["images"]) == (True, 1), t_us
        assert cut["gone_us"] is None or cut["gone_us"] <= late_us, t_us  # us-compare: two spans
    beamed = [cut["gone_us"] for cut in found.values() if cut["gone_us"] is not None]
    assert 0 < len(beamed) < len(found)  # an ON that was lost made none


@pytest.mark.req("SR-27", "SR-53", "F17")
def test_a_line_that_is_cut_after_the_ramp_ends_the_beam_by_the_age_of_its_status() -> None:
    run = exposing(**BEAM).until_beam()
    on_us = run.beams()[0].on_us
    cases = [(on_us + 1000 * ms, 0) for ms in range(200, 1500, 173)]
    most_us = bound_us("SR-27", "wire") + small().unit.limits.scan_ms * 1000 + RELAY_US
    for (t_us, _), cut in sweep(run, cases, _cut).items():
        assert (cut["state"], cut["known"], cut["problems"]) == (S.FAULT, False, []), t_us
        assert cut["gone_us"] is not None
        assert 0 <= cut["gone_us"] <= most_us, t_us  # us-compare: two spans
        assert cut["dropped"], t_us


@pytest.mark.req("SR-27", "SR-53", "F68")
def test_when_only_the_answer_to_on_is_lost_the_beam_counts_as_on() -> None:
    run = EndingRun(**SHORT).until(S.INTERLOCK_CHECK)
    run.at(run.rung.t_us, "lose answer", device="generator", text="ENBL1")
    run.until(S.FAULT).pass_us(1_000_000)
    report = run.report()
    assert (report["beam"], report["mas"]) == (True, None)
    assert report["maximum_mas"] >= run.true_mas() > 0
    ordered_us, fault_us = run.entered_us(S.EXPOSE), run.entered_us(S.FAULT)
    assert fault_us - ordered_us == grid_us(limits(run).beam_start_us, run.rung.scan_us)


# --- SR-30: the panel


class Panel(TypedDict):
    seeing: Scanned
    faults: list[str]
    gone_us: int
    problems: list[str]
    images: int


def _panel_fails(run: EndingRun, t_us: int, how: str) -> Panel:
    first = len(run.scans)
    if how == "window":
        run.rung.world.at(t_us, run.rung.world.panel.drop_request)
    else:
        run.at(t_us, "panel", failed=True)
    run.at(t_us + 600_000, "release").until(S.FAULT).pass_us(1_500_000)
    seeing = next(
        scan for scan in run.scans[first:] if scan.inputs.panel.state is not PanelState.INTEGRATING
    )
    return {
        "seeing": seeing,
        "faults": run.faults(),
        "gone_us": run.gone_us() - t_us,
        "problems": list(charge_problems(run.report(), run.true_mas())),
        "images": run.images,
    }


@pytest.mark.req("SR-30", "F31")
@pytest.mark.parametrize(
    ("how", "fault", "images"), [("window", "WINDOW_ENDED", 1), ("error", "PANEL_ERROR", 0)]
)
def test_a_panel_that_gives_up_at_10_50_or_90_percent_ends_the_beam_in_the_scan_that_sees_it(
    how: str, fault: str, images: int
) -> None:
    """A window that closed has its partial frame; a panel in error has none."""
    run = exposing(**BEAM).until_beam()
    on_us = run.beams()[0].on_us
    cases = [(on_us + 75_000 + 15_000 * share_pct, how) for share_pct in (10, 50, 90)]
    for (t_us, _), found in sweep(run, cases, _panel_fails).items():
        seeing = found["seeing"]
        assert (seeing.before, seeing.memory.state) == (S.EXPOSE, S.FAULT), t_us
        assert (seeing.outputs.enable, seeing.outputs.contactor) == (False, False)
        assert seeing.sent.startswith(OFF_BYTES)
        assert seeing.t_us - t_us <= 10_000  # us-compare: the panel tells it by itself
        assert 0 <= found["gone_us"] <= RELAY_US  # us-compare: two spans
        assert (found["faults"][0], found["problems"], found["images"]) == (fault, [], images)


# --- SR-33: the generator ignores OFF


def _deaf(**more: Any) -> EndingRun:
    run = exposing(**BEAM).until_beam()
    return run.at(run.rung.t_us + 300_000, "generator", ignore_off=True, **more).pass_us(400_000)


@pytest.mark.req("SR-33", "F01")
def test_off_that_is_ignored_after_a_release_is_repeated_until_the_status_says_off() -> None:
    """Neither pair nor OFF ends it here: what is left is the contactor, at the bench's time."""
    run = _deaf(ignores_pair=True)
    released_us = run.rung.t_us + 1_000
    first = len(run.scans)
    run.at(released_us, "release").until(S.FAULT).pass_us(1_500_000)
    seeing = next(scan for scan in run.scans[first:] if scan.sees_open(1))
    assert (seeing.outputs.enable, seeing.sent.startswith(OFF_BYTES)) == (False, True)
    tripped = next(scan for scan in run.scans[first:] if scan.memory.state is S.FAULT)
    most_us = limits(run).off_confirm_us
    assert tripped.memory.faults == ("BEAM_OFF_NOT_CONFIRMED",)
    assert tripped.t_us - seeing.t_us <= most_us  # us-compare: two spans
    assert (tripped.outputs.contactor, tripped.outputs.buzzer) == (False, True)
    before = [scan for scan in run.scans[first:] if scan.t_us in range(seeing.t_us, tripped.t_us)]
    assert sum(OFF_BYTES in scan.sent for scan in before) >= 2
    assert all(scan.outputs.beam_lamp for scan in before)
    dropped_us = run.net_us("contactor", False, tripped.t_us)
    assert dropped_us is not None
    assert dropped_us - tripped.t_us <= CONTACTOR_DROP_US + 10_000  # us-compare: two spans
    assert 0 <= run.gone_us() - dropped_us <= 4_000  # us-compare: the cable's fall


@pytest.mark.req("SR-33", "F01")
def test_off_that_is_ignored_after_a_planned_end_is_followed_by_the_relay_that_lapses() -> None:
    run = _deaf()
    run.until(S.FAULT).pass_us(500_000)
    ordered_us = run.entered_us(S.READOUT)
    assert run.faults()[0] == "BEAM_OFF_NOT_CONFIRMED"
    assert run.gone_us() - ordered_us <= bound_us("SR-28", "relay pulse")  # us-compare: two spans
    assert list(charge_problems(run.report(), run.true_mas())) == []


@pytest.mark.req("SR-33")
def test_a_generator_that_obeys_off_at_once_raises_no_alarm() -> None:
    """The ladder is climbed for a reason: the same release, and a generator that listens."""
    run = exposing(**BEAM).until_beam().pass_us(700_000)
    run.at(run.rung.t_us + 1_000, "release").until(S.STANDBY)
    assert run.faults() == []


# --- SR-34: HV that nobody asked for


def _stray(run: EndingRun, t_us: int, case: str) -> tuple[State, list[str], int, bool]:
    """(where it ends, the faults, from HV to LOCKED in us, contactor ordered open)"""
    run.at(t_us - 1, "weld", relay="contactor") if case == "welded" else None
    run.at(t_us, "generator", stray_beam=True).at(t_us + 3_000_000, "release")
    run.pass_us(4_000_000)
    entered = [scan for scan in run.scans if scan.memory.state is S.LOCKED is not scan.before]
    at_us = entered[0].t_us if entered else run.rung.t_us
    return run.state, run.faults(), at_us - t_us, not run.scans[-1].outputs.contactor


def _idle_bound_us() -> int:
    """STANDBY asks status, monitor and faults in turn; then the answer, and a scan."""
    unit = small().unit
    return 3 * unit.generator.standby_poll_ms * 1000 + 50_000 + unit.limits.scan_ms * 1000


@pytest.mark.req("SR-34", "F03")
@pytest.mark.parametrize("state", [S.RELEASE_WAIT, S.STANDBY, S.FAULT])
def test_stray_hv_without_an_exposure_locks_the_unit(state: State) -> None:
    """Only a welded contactor feeds it there; nothing of ours ends it, and the key is needed."""
    run = exposing(**SHORT)
    run.at(run.rung.t_us, "weld", relay="contactor").until(S.RELEASE_WAIT)
    if state is S.STANDBY:
        run.at(run.rung.t_us + 1000, "release").until(S.STANDBY)
    elif state is S.FAULT:
        run.at(run.rung.t_us + 1000, "press e-stop").until(S.FAULT)
    cases = [(run.rung.t_us + 1000 * ms, "") for ms in (200, 470, 800)]
    for found in sweep(run, cases, _stray).values():
        where, faults, took_us, opened = found
        assert (where, "STRAY_BEAM" in faults, opened) == (S.LOCKED, True, True)
        assert took_us <= _idle_bound_us()  # us-compare: two spans


@pytest.mark.req("SR-34", "F03")
@pytest.mark.parametrize("state", [S.PREP, S.READY, S.INTERLOCK_CHECK])
def test_stray_hv_before_an_exposure_opens_the_contactor_and_locks_the_unit(state: State) -> None:
    run = EndingRun(**BEAM).until(state)
    cases = [(run.rung.t_us + 1000 * ms, "") for ms in (2, 30, 60)]
    for found in sweep(run, cases, _stray).values():
        where, faults, _took_us, opened = found
        assert (where, faults, opened) == (S.LOCKED, ["STRAY_BEAM"], True)
