"""E-stop and door: the chain acts by itself, and what it opened stays open until a reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest

from firmware_py.decide.memory import State
from sim.wiring import CONTACTOR_DROP_US, SAFETY_RELAY_DROP_US
from tests.endings import EndingRun, bound_us, charge_problems, exposing, sweep

pytestmark = pytest.mark.timeout(600)  # many copies of one bench
S = State
BEAM: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.75}  # 1.5 s
SHORT: dict[str, Any] = {"kv": 60.0, "ma": 0.5, "mas": 0.05}
FALL_US = 3_600  # of the simulated source, to 10 %
LOOP_US = SAFETY_RELAY_DROP_US + CONTACTOR_DROP_US  # from the button to an open contactor


def _faulted() -> EndingRun:
    """By the generator: the chain is whole."""
    run = EndingRun(**BEAM).until(S.READY)
    run.at(run.rung.t_us + 1000, "trip generator", bit="over_current").until(S.FAULT)
    return run.at(run.rung.t_us + 60_000, "release").pass_us(100_000)


REACHED: dict[State, Callable[[], EndingRun]] = {
    S.BOOT: lambda: EndingRun(press=False, **BEAM).until_us(15_000),
    S.SELF_TEST: lambda: EndingRun(press=False, **BEAM).until(S.SELF_TEST),
    S.STANDBY: lambda: EndingRun(press=False, **BEAM).until(S.STANDBY).pass_us(300_000),
    S.PREP: lambda: EndingRun(**BEAM).until(S.PREP).pass_us(50_000),
    S.READY: lambda: EndingRun(**BEAM).until(S.READY),
    S.INTERLOCK_CHECK: lambda: EndingRun(**BEAM).until(S.INTERLOCK_CHECK),
    S.EXPOSE: lambda: exposing(**BEAM).pass_us(400_000),
    S.READOUT: lambda: exposing(**SHORT).until(S.READOUT),
    S.RELEASE_WAIT: lambda: exposing(**SHORT).until(S.RELEASE_WAIT),
    S.FAULT: _faulted,
    S.LOCKED: lambda: replaced_relay(),
}


def replaced_relay() -> EndingRun:
    """LOCKED by a welded enable relay, which is sound again."""
    run = EndingRun(**BEAM).at(0, "weld", relay="enable").until(S.LOCKED)
    run.rung.world.wiring.enable.welded = False
    t_us = run.rung.t_us
    return run.at(t_us + 10_000, "release").pass_us(300_000)


def test_each_state_has_a_way_to_be_reached() -> None:
    assert set(REACHED) == set(State)
    assert {state: reached().state for state, reached in REACHED.items()} == {
        state: state for state in State
    }


class Pressed(TypedDict):
    """The wiring's own log after the button, and what the unit makes of it."""

    relay_us: int | None  # button -> the safety relay has dropped
    contactor_us: int  # ... the contactor is open; 0 = it was open
    still_open: bool
    gone_us: list[int]  # ... HV below 10 %, beam by beam
    state: State
    faults: list[str]


def _pressed(run: EndingRun, t_us: int, case: int) -> Pressed:
    wiring, had_contactor = run.rung.world.wiring, run.rung.world.wiring.contactor.contact
    run.at(t_us, "press e-stop").at(t_us + 300_000, "release")
    run.until_us(t_us + 400_000)
    opened_us = run.net_us("contactor", False, t_us) if had_contactor else t_us
    relay_us = run.net_us("safety_relay", False, t_us)
    assert opened_us is not None, "the contactor is closed"
    return {
        "relay_us": None if relay_us is None else relay_us - t_us,
        "contactor_us": opened_us - t_us,
        "still_open": not (wiring.contactor.contact or wiring.safety_relay),
        "gone_us": [beam.gone_us - t_us for beam in run.beams() if beam.gone_us is not None],
        "state": run.state,
        "faults": run.faults(),
    }


@pytest.mark.req("SR-18")
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_the_e_stop_opens_the_contactor_by_the_wiring_alone_in_every_state(state: State) -> None:
    run = REACHED[state]()
    t_us = run.rung.t_us
    cases = [(t_us + 1000 * ms, ms) for ms in (1, 3, 6, 9)]
    for (at_us, _), found in sweep(run, cases, _pressed).items():
        assert found["relay_us"] == SAFETY_RELAY_DROP_US, at_us
        # 0: it was open. The unit, which sees the button too, may be quicker than the chain.
        assert found["contactor_us"] <= LOOP_US, at_us  # us-compare: two spans
        assert found["still_open"], at_us
        assert found["state"] is (S.LOCKED if state is S.LOCKED else S.FAULT), at_us
        if state not in (S.FAULT, S.LOCKED):
            assert found["faults"][0] == "ESTOP", at_us


@pytest.mark.req("SR-18")
def test_the_e_stop_ends_the_beam_within_the_bound_of_the_chain() -> None:
    run = exposing(**BEAM).until_beam()
    cases = [(run.beams()[0].on_us + 1000 * ms, ms) for ms in (10, 149, 150, 151, 160, 700, 1500)]
    for (_, ms), found in sweep(run, cases, _pressed).items():
        (gone_us,) = found["gone_us"]
        # The cable's fall, or less while kV still rises; the bound is that of a real source.
        assert 0 <= gone_us <= FALL_US <= bound_us("SR-19", "chain"), ms  # us-compare: spans
        assert found["faults"][0] == "ESTOP"


@pytest.mark.req("SR-18", "SR-41", "SR-42", "F54")
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_pulling_the_e_stop_out_is_not_enough_and_neither_is_reset_while_it_is_in(
    state: State,
) -> None:
    run = REACHED[state]()
    t_us = run.rung.t_us
    run.at(t_us + 1000, "press e-stop").at(t_us + 300_000, "release")
    _press_reset(run, t_us + 500_000)
    latched = S.LOCKED if state is S.LOCKED else S.FAULT
    assert run.until_us(t_us + 900_000).state is latched  # reset with the button in
    run.at(t_us + 1_000_000, "pull e-stop")
    assert run.until_us(t_us + 2_000_000).state is latched
    assert not run.rung.world.wiring.safety_relay
    if state is S.LOCKED:
        run.at(t_us + 2_100_000, "key off").at(t_us + 2_300_000, "key on")
    _press_reset(run, t_us + 2_500_000)
    assert run.until(S.STANDBY).rung.world.wiring.safety_relay


def _press_reset(run: EndingRun, t_us: int) -> None:
    run.at(t_us, "press reset").at(t_us + 200_000, "release reset")


@pytest.mark.req("SR-18", "SR-51")
def test_a_locked_unit_is_not_reset_without_its_key() -> None:
    run = replaced_relay()
    _press_reset(run, run.rung.t_us + 100_000)
    assert run.pass_us(1_000_000).state is S.LOCKED


# --- the unit is stopped


def _door_while_stopped(run: EndingRun, t_us: int, stopped_ms: int) -> tuple[object, ...]:
    """Stopped, then the door opens at `t_us`; it goes on 500 ms later."""
    run.at(t_us - stopped_ms * 1000, "stop unit").at(t_us, "open door")
    run.at(t_us + 500_000, "continue unit").at(t_us + 900_000, "release")
    run.pass_us(1_500_000)
    problems = list(charge_problems(run.report(), run.true_mas()))
    return run.gone_us() - t_us, run.state, set(run.faults()), problems, run.images


@pytest.mark.req("SR-19", "SR-28", "F67", "F74")
def test_a_door_that_opens_while_the_unit_is_stopped_ends_the_beam_by_the_chain_alone() -> None:
    """And the unit, when it goes on: FAULT at once, and a record that covers the truth."""
    run = exposing(**BEAM).until_beam()
    on_us = run.beams()[0].on_us
    cases = [(on_us + 1000 * ms, ms % 7) for ms in (180, 251, 402, 603, 904, 1205, 1406)]
    for found in sweep(run, cases, _door_while_stopped).values():
        took_us, state, faults, problems, images = found
        assert took_us == FALL_US
        assert (state, problems, images) == (S.FAULT, [], 1)
        assert isinstance(faults, set)
        assert {"SCAN_LATE"} <= faults


@pytest.mark.req("SR-19", "SR-28")
def test_the_report_of_a_unit_that_was_stopped_in_the_beam_names_the_fault() -> None:
    run = exposing(**BEAM).until_beam()
    at_us = run.beams()[0].on_us + 800_000
    run.until_us(at_us)
    _door_while_stopped(run, at_us, 3)
    report = run.report()
    assert (report["reason"], report["beam"]) == ("fault", True)
    assert report["fault"] is not None


@pytest.mark.req("SR-19", "SR-42", "F53")
@pytest.mark.parametrize("ms", [1, 2, 3, 5])
def test_a_door_that_glitches_for_milliseconds_in_the_beam_leaves_the_chain_open(ms: int) -> None:
    run = exposing(**BEAM).until_beam()
    start_us = run.beams()[0].on_us + 400_000

    def glitched(run: EndingRun, t_us: int, case: int) -> tuple[object, ...]:
        run.at(t_us, "open door").at(t_us + ms * 1000, "close door")
        run.at(t_us + 400_000, "release").pass_us(1_500_000)
        return run.gone_us() - t_us, run.state, run.rung.world.wiring.safety_relay

    cases = [(start_us + 1000 * at_ms, at_ms) for at_ms in range(0, 10, 3)]
    assert set(sweep(run, cases, glitched).values()) == {(FALL_US, S.FAULT, False)}
