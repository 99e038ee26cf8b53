"""SR-42: an input that opens for 1 ms between two polls is not lost, from PREP to READOUT.

No poll sees 1 ms: the latching safety relay does, and in the beam the interlock pair, in which
the contacts stand themselves. Each glitch is put at several phases of the scan.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firmware_py.decide.memory import State
from hal.now import Now
from sim.wiring import SAFETY_RELAY_DROP_US, Wiring
from tests.whole_unit import ON, SCAN_US, Whole, brought_to

S = State
GLITCH_US = 1_000
PHASES_US = (0, 700, 1_300, 2_600, 3_900, 4_700, 6_100, 8_200)
IN_SEQUENCE = (S.PREP, S.READY, S.INTERLOCK_CHECK, S.EXPOSE, S.READOUT)
IN_LOOP = {"door": "DOOR_OPEN", "estop": "ESTOP"}  # and the fault where a poll did see it
SEEN_US = SAFETY_RELAY_DROP_US + 3 * SCAN_US  # it drops, a poll is under way, it is asked, read


def in_state(state: State) -> Whole:
    whole = brought_to(state)
    return whole.pass_us(300_000 if state is S.EXPOSE else 20_000)


def glitch(whole: Whole, contact: str, phase_us: int) -> int:
    """When it opens; closed again 1 ms later."""
    at_us = whole.t_us + phase_us
    whole.world.at(at_us, lambda _: whole.world.set_contact(contact, False))
    whole.world.at(at_us + GLITCH_US, lambda _: whole.world.set_contact(contact, True))
    return at_us


def glitches(state: State, contact: str) -> Iterator[tuple[Whole, int]]:
    for phase_us in PHASES_US:
        whole = in_state(state)
        assert whole.state is state
        yield whole, glitch(whole, contact, phase_us)


def beam_ended_us(whole: Whole) -> int | None:
    return whole.world.generator.courses[-1].off_us


@pytest.mark.req("SR-42", "F53")
@pytest.mark.parametrize("contact", IN_LOOP)
@pytest.mark.parametrize("state", IN_SEQUENCE)
def test_a_glitch_of_door_or_e_stop_is_a_fault_within_relay_and_three_scans(
    state: State, contact: str
) -> None:
    told = set()
    for whole, at_us in glitches(state, contact):
        whole.until(S.FAULT, within_us=100_000)
        assert at_us < whole.t_us <= at_us + SEEN_US
        (fault,) = whole.unit.memory.faults[:1]
        told.add(fault)
        assert whole.outputs_are_safe()
        assert whole.world.wiring.safety_relay is False or fault == IN_LOOP[contact]
        if state is S.EXPOSE:
            assert beam_ended_us(whole) == at_us  # by the pair itself, no unit needed
        ordered = len(whole.sent(ON))
        whole.pass_us(500_000)
        assert (whole.state, len(whole.sent(ON))) == (S.FAULT, ordered)
    assert "CHAIN_OPEN" in told
    assert told <= {"CHAIN_OPEN", IN_LOOP[contact]}


@pytest.mark.req("SR-42", "SR-41", "F54")
def test_what_a_glitch_latched_stays_until_a_person_resets_the_relay() -> None:
    whole = in_state(S.READY)
    glitch(whole, "door", 2_600)
    whole.until(S.FAULT).do("release")
    whole.pass_us(300_000).request(reset=True)
    whole.scan()
    assert whole.state is S.FAULT  # asked over the bus: the relay does not hear it
    whole.request(reset=False)
    whole.do("press reset")
    whole.pass_us(100_000).do("release reset")
    whole.until(S.STANDBY, within_us=500_000)


@pytest.mark.req("SR-42")
@pytest.mark.parametrize("state", IN_SEQUENCE)
def test_a_relay_that_drops_for_no_seen_reason_is_a_fault_within_two_scans(state: State) -> None:
    for phase_us in PHASES_US:
        whole = in_state(state)
        at_us = whole.t_us + phase_us
        whole.world.at(at_us, lambda t_us, whole=whole: _drop_relay(whole, t_us))  # type: ignore[misc]
        whole.until(S.FAULT, within_us=100_000)
        assert whole.unit.memory.faults[:1] == ("CHAIN_OPEN",)
        assert whole.t_us <= at_us + 3 * SCAN_US


def _drop_relay(whole: Whole, t_us: int) -> None:
    whole.world.wiring.safety_relay = False
    whole.world.wiring.advance(Now(t_us))
    whole.world.poke()


@pytest.mark.req("SR-42", "SR-04", "F46")
def test_a_glitch_of_stage_2_in_the_beam_ends_it_at_once_and_for_good() -> None:
    """Where a poll saw it, it was a release; where none did, the generator tells that it is off.

    By its status, or by a monitor read of 0 kV where that is answered first.
    """
    ways = set()
    for whole, at_us in glitches(S.EXPOSE, "stage_2"):
        ended = whole.until_any(S.READOUT, S.FAULT, within_us=200_000)
        ways.add((ended, *whole.unit.memory.faults[:1]))
        assert beam_ended_us(whole) == at_us
        whole.pass_us(1_000_000)
        assert (whole.beams, len(whole.sent(ON))) == (1, 1)
    assert {(S.READOUT,), (S.FAULT, "BEAM_ENDED_EARLY")} <= ways
    assert ways <= {(S.READOUT,), (S.FAULT, "BEAM_ENDED_EARLY"), (S.FAULT, "KV_OUT_OF_BAND")}


@pytest.mark.req("SR-42", "SR-01")
def test_a_bounce_of_stage_2_before_the_beam_begins_none_while_it_is_open() -> None:
    """Before ON no relay keeps it: the beam that follows begins with the contact closed again."""
    for whole, at_us in glitches(S.INTERLOCK_CHECK, "stage_2"):
        whole.pass_us(200_000)
        assert len(whole.sent(ON)) == whole.beams <= 1
        for course in whole.world.generator.courses:
            assert course.on_us > at_us + GLITCH_US


# --- the checks can fail


def test_a_relay_that_does_not_latch_loses_the_glitch(monkeypatch: pytest.MonkeyPatch) -> None:
    def follows(wiring: Wiring, now: Now) -> None:
        wiring.safety_relay = True

    monkeypatch.setattr(Wiring, "_safety_relay", follows)
    whole = in_state(S.READY)
    glitch(whole, "door", 2_600)
    with pytest.raises(AssertionError, match="FAULT"):
        whole.until(S.FAULT, within_us=100_000)
