"""Each protective layer alone, and each taken away: no single loss leaves a beam on.

What a cell of the table takes is exact (virtual time) and reviewed: tests/golden/layers.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from firmware_py.decide import beam as beams
from firmware_py.decide.memory import State
from firmware_py.decide.technique import timer_us
from hal.now import NEVER_US, earliest_us, since
from hal.types import Requests
from rig.bench import Bench
from sim.wiring import CONTACTOR_DROP_US
from tests.endings import EndingRun, bound_us, charge_problems, exposing, small, sweep

pytestmark = pytest.mark.timeout(600)  # many copies of one bench
S = State
GOLDEN = Path(__file__).parent / "golden" / "layers.txt"
BY_MAS: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.75}  # 1.5 s, ended by the unit
BY_TIME: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "ms": 1500.0}  # ... by the generator's timer
BEAM_MS = 700  # from HV on to the cause
AFTER_US = 4_000_000  # a beam that is on so long after its cause is one that nothing ended
RELAY_US = bound_us("SR-17", "wire", "enable output")
PLANNED = ("planned mAs", "planned ms")


@cache
def no_chain() -> Bench:
    """Only the enable relay stands in the pair; door and e-stop are wired nowhere."""
    wiring = small().wiring.model_copy(update={"interlock_pair": ["enable"], "safety_relay": []})
    return replace(small(), wiring=wiring)


# --- what ends a beam


def _verb(verb: str, **args: object) -> Callable[[EndingRun, int], object]:
    return lambda run, t_us: run.at(t_us, verb, **args)


def _stop(run: EndingRun, t_us: int) -> None:
    unit = run.rung.unit
    assert unit is not None
    shot = unit.requests.shot
    run.rung.world.at(t_us, lambda _t_us: unit.request(Requests(shot=shot, stop=True)))


def _window_ends(run: EndingRun, t_us: int) -> None:
    panel = run.rung.world.panel
    run.rung.world.at(t_us, panel.drop_request)


CAUSES: dict[str, Callable[[EndingRun, int], object]] = {
    "release": _verb("release"),
    "door": _verb("open door"),
    "e-stop": _verb("press e-stop"),
    "stop": _stop,
    "window": _window_ends,
    "generator": _verb("trip generator", bit="over_current"),
    "line cut": _verb("line", device="generator", silent=True),
    "killed": _verb("kill unit"),
    "frozen": _verb("stop unit"),
    "planned mAs": lambda run, t_us: None,
    "planned ms": lambda run, t_us: None,
}

# --- how a layer is lost, in mid-beam: earlier, self-test or READY would find some of them


def _no_backup(run: EndingRun, t_us: int) -> None:
    beams.timer_end_us = lambda *_arguments: NEVER_US


def _no_watchdog(run: EndingRun, t_us: int) -> None:
    run.rung.world.generator.set_watchdog(t_us, on=False)


LOST: dict[str, Callable[[EndingRun, int], object]] = {
    "nothing": lambda run, t_us: None,
    "chain": lambda run, t_us: None,  # its bench has none
    "enable relay": _verb("weld", relay="enable"),
    "OFF bytes": _verb("generator", ignore_off=True),
    "timer": _verb("generator", timer_dead=True),
    "watchdog": _no_watchdog,
    "back-up": _no_backup,
    "contactor": _verb("weld", relay="contactor"),
}


def promised_us(cause: str, lost: str, left_us: int) -> int:
    """The bench's bound by the quickest layer that is left; `left_us`: of the device's timer."""
    chain_us, relay_us = bound_us("SR-17", "chain"), RELAY_US
    dead_us, off_us = bound_us("SR-28", "relay pulse"), bound_us("SR-17", "wire", "OFF command")
    timer_end_us = left_us + chain_us  # and a relay's time, and the fall
    old_us = bound_us("SR-27", "wire")
    dead = {
        "enable relay": dead_us,
        "timer": timer_end_us,
        "watchdog": bound_us("SR-28", "watchdog"),
    }
    by_unit = {"enable relay": relay_us, "OFF bytes": off_us}
    ways = {
        "release": {"chain": chain_us, **by_unit},
        "door": {"chain": chain_us, **by_unit},
        "e-stop": {"chain": chain_us, **by_unit},
        "stop": by_unit,
        "window": by_unit,
        "generator": {"itself": chain_us},
        "line cut": {"enable relay": old_us + relay_us,
                     "contactor": old_us + relay_us + CONTACTOR_DROP_US},
        "killed": dead,
        "frozen": dead,
        "planned mAs": {"OFF bytes": off_us, "enable relay": dead_us, "timer": timer_end_us},
        "planned ms": {"timer": chain_us, "back-up": old_us + relay_us + left_us // 10 + 10_000},
    }[cause]  # fmt: skip
    return earliest_us(*(us for layer, us in ways.items() if layer != lost))


# --- the table


Took = tuple[int | None, list[str]]


def _took_us(run: EndingRun, t_us: int, case: tuple[str, str]) -> Took:
    """From the cause (planned: when charge or time were complete) to HV gone, in us; what is
    wrong with the record."""
    cause, lost = case
    on_us = run.beams()[0].on_us
    LOST[lost](run, t_us)
    CAUSES[cause](run, on_us + BEAM_MS * 1000)
    end_us = t_us + AFTER_US
    run.go_on(lambda: since(run.rung.t_us, end_us) or run.beams()[0].off_us is not None)
    run.pass_us(1_000_000)
    gone_us = run.beams()[0].gone_us
    told = [] if cause in ("killed", "frozen") else [*charge_problems(run.report(), run.true_mas())]
    return None if gone_us is None else gone_us - _from_us(on_us, cause), told


def _from_us(on_us: int, cause: str) -> int:
    if cause not in PLANNED:
        return on_us + BEAM_MS * 1000
    return on_us + 1_500_000 + (75_000 if cause == "planned mAs" else 0)  # half of the ramp


@cache
def table() -> dict[tuple[str, str], Took]:
    """(cause, lost layer): how long it took, None = nothing ended it."""
    found: dict[tuple[str, str], Took] = {}
    for technique in (BY_MAS, BY_TIME):
        causes = [cause for cause in CAUSES if (cause == "planned ms") is (technique is BY_TIME)]
        for lost_chain in (False, True):
            run = exposing(on=no_chain() if lost_chain else None, **technique).until_beam()
            t_us = run.beams()[0].on_us + (BEAM_MS - 50) * 1000
            cases = [(t_us, (cause, lost)) for cause in causes for lost in LOST
                     if (lost == "chain") is lost_chain]  # fmt: skip
            found |= {case: took for (_, case), took in sweep(run, cases, _took_us).items()}
    return found


def told() -> str:
    """The table as text; milliseconds."""
    lines = ["lost layer".ljust(14) + "".join(cause.rjust(13) for cause in CAUSES)]
    for lost in LOST:
        times_us = [table()[cause, lost][0] for cause in CAUSES]
        cells = ["never" if us is None else f"{us / 1000:.1f}" for us in times_us]
        lines.append(lost.ljust(14) + "".join(cell.rjust(13) for cell in cells))
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.req("SR-19", "SR-21", "SR-28", "SR-48", "F04", "F05")
def test_no_single_lost_layer_leaves_a_beam_on_whatever_shall_end_it() -> None:
    """Each within what the quickest layer that is left promises on this bench."""
    left_us = 1_500_000 + 500_000 - BEAM_MS * 1000  # of the device's timer, worst ramp included
    late = {
        (cause, lost): took_us
        for (cause, lost), (took_us, _) in table().items()
        if took_us is None or took_us > promised_us(cause, lost, left_us)  # us-compare: two spans
    }
    assert late == {}
    assert set(table()) == {(cause, lost) for cause in CAUSES for lost in LOST}


@pytest.mark.slow
@pytest.mark.req("SR-48")
def test_how_long_each_took_is_as_reviewed(update_golden: bool) -> None:
    """Renew with `pytest tests/test_layers.py --update-golden`, and review the difference."""
    if update_golden:
        GOLDEN.write_text(told(), encoding="utf-8", newline="\n")
    assert told() == GOLDEN.read_text(encoding="utf-8")


DEAD_TIMER = ("planned ms", "timer")


@pytest.mark.slow
@pytest.mark.req("SR-48", "SR-53")
def test_whichever_layer_ended_it_the_record_has_its_charge_or_a_bound_on_it() -> None:
    wrong = {case: told for case, (_, told) in table().items() if told and case != DEAD_TIMER}
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.req("SR-21", "SR-53")
def test_the_bound_on_the_charge_of_a_beam_whose_timer_failed_is_not_below_it() -> None:
    assert table()[DEAD_TIMER][1] == []


@pytest.mark.req("SR-48")
def test_two_lost_layers_can_leave_a_beam_on_and_the_table_would_show_it() -> None:
    """The check can fail: a killed unit, a welded enable relay, and neither timer nor watchdog."""
    run = exposing(**BY_MAS).until_beam()
    t_us = run.beams()[0].on_us + (BEAM_MS - 50) * 1000

    def all_lost(run: EndingRun, t_us: int, case: tuple[str, str]) -> int | None:
        for lost in ("enable relay", "timer", "watchdog"):
            LOST[lost](run, t_us)
        return _took_us(run, t_us, case)[0]

    assert (
        sweep(run, [(t_us, ("killed", "nothing"))], all_lost)[t_us, ("killed", "nothing")] is None
    )


# --- each timer alone


def _alone_us(technique: dict[str, Any], *lost: str, frozen: bool = False) -> tuple[int, str]:
    """(HV on -> gone, the first fault) with these layers lost, and nobody who lets go."""
    run = exposing(**technique).until_beam()
    on_us = run.beams()[0].on_us

    def ended(run: EndingRun, t_us: int, case: str) -> tuple[int, str]:
        for layer in lost:
            LOST[layer](run, t_us)
        if frozen:
            run.at(t_us, "stop unit")
        run.go_on(lambda: run.beams()[0].off_us is not None).pass_us(500_000)
        return run.gone_us() - on_us, (*run.faults(), "none")[0]

    return sweep(run, [(on_us + 100_000, "")], ended)[on_us + 100_000, ""]


@pytest.mark.req("SR-20", "SR-21")
def test_the_generators_timer_alone_ends_a_beam_at_its_time() -> None:
    """The unit is stopped and its relay welded: nothing but the device's own timer is left."""
    took = _alone_us(BY_TIME, "enable relay", "watchdog", frozen=True)
    assert took == (1_503_600, "none")


@pytest.mark.req("SR-21")
def test_the_generators_timer_alone_ends_a_beam_by_mas_after_the_worst_ramp() -> None:
    """It is set to the planned time and 500 ms for the ramp: late on purpose, never early."""
    assert _alone_us(BY_MAS, "enable relay", "watchdog", frozen=True) == (2_003_600, "none")


@pytest.mark.req("SR-21")
def test_the_units_back_up_alone_ends_a_beam_whose_timer_is_dead() -> None:
    """1.1 x planned + 10 ms, the age that a status may have, and the way to the relay."""
    low: dict[str, Any] = {
        "kv": 60.0,
        "ma": 0.2,
        "ms": 400.0,
    }  # too little charge for OVER_MAS to come first
    took_us, fault = _alone_us(low, "timer")
    asked_us = 400_000 * 11 // 10 + 10_000 + bound_us("SR-27", "wire")
    assert fault == "BACKUP_TIME"
    assert asked_us <= took_us <= asked_us + RELAY_US  # us-compare: two spans


@pytest.mark.req("SR-21", "SR-28")
def test_with_the_timer_dead_and_the_unit_stopped_the_relay_pulse_ends_the_beam() -> None:
    took_us, fault = _alone_us(BY_TIME, "timer", "watchdog", frozen=True)
    assert took_us - 100_000 <= bound_us("SR-28", "relay pulse")  # us-compare: two spans
    assert fault == "none"


@pytest.mark.req("SR-21", "SR-25")
def test_with_both_timers_dead_the_measured_charge_ends_the_beam() -> None:
    """Planned 0.75 mAs and 0.2 more at 0.5 mA; the ramp's half is the generator's own."""
    took_us, fault = _alone_us(BY_TIME, "timer", "back-up")
    assert fault == "OVER_MAS"
    assert 1_900_000 <= took_us <= 2_000_000 + RELAY_US  # us-compare: two spans


@pytest.mark.req("SR-21")
def test_with_both_timers_dead_and_the_charge_unwatched_the_panels_window_is_the_last() -> None:
    low: dict[str, Any] = {"kv": 60.0, "ma": 0.2, "ms": 100.0}

    def unwatched(run: EndingRun, t_us: int) -> None:
        beams.passes_us = lambda *_arguments: NEVER_US

    run = exposing(**low).until_beam()
    on_us = run.beams()[0].on_us

    def ended(run: EndingRun, t_us: int, case: str) -> tuple[int, list[str]]:
        for lose in (LOST["timer"], LOST["back-up"], unwatched):
            lose(run, t_us)
        run.go_on(lambda: run.beams()[0].off_us is not None).pass_us(500_000)
        return run.gone_us() - on_us, run.faults()

    took_us, faults = sweep(run, [(on_us + 50_000, "")], ended)[on_us + 50_000, ""]
    assert faults[0] == "WINDOW_ENDED"
    window_us = small().unit.panel.window_ms * 1000
    assert took_us <= window_us + RELAY_US  # us-compare: two spans


def test_the_devices_timer_is_what_the_units_bound_on_an_unknown_dose_counts_with() -> None:
    run = exposing(**BY_MAS)
    unit = run.rung.unit
    assert unit is not None
    assert timer_us(run.shot.technique, unit.memory.limits) == 2_000_000
