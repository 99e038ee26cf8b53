"""What it means to enter a state: which shot is frozen, which beam begins, what is reported."""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import account, duty, interlocks
from firmware_py.decide.memory import Beam, Ending, Memory, SelfTestStep, State
from firmware_py.decide.states import trips
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.decide.view import View
from hal.faults import FAULTS, Reaction
from hal.types import EndReason, GeneratorState

BEFORE_BEAM = frozenset({State.PREP, State.READY, State.INTERLOCK_CHECK})
REASONS = {
    "handswitch_released": EndReason.RELEASED,
    "stop_requested": EndReason.STOPPED,
    "planned_charge_reached": EndReason.PLANNED,
    "planned_time_reached": EndReason.PLANNED,
    "generator_timer_ended": EndReason.PLANNED,
    "generator_charge_ended": EndReason.PLANNED,
}
RESETS = ("reset_pressed", "reset_with_cause_gone", "key_turned_and_reset")
TOLD = {"ready_held_too_long": "READY_TIMEOUT", "shot_changed": "SHOT_CHANGED"}


def enter(state: State, view: View) -> Memory:
    memory = _leave(state, view)
    memory = replace(
        memory, state=state, since_us=view.inputs.t_us, why=view.why, reset_armed=False
    )
    rule = _ENTER.get(state)
    return rule(memory, view) if rule else memory


def _leave(to: State, view: View) -> Memory:
    """A sequence that ends anywhere leaves a report: what was irradiated, or that nothing was."""
    memory = view.memory
    if memory.state is State.EXPOSE:
        return _end_beam(memory, view)
    before_beam = memory.state in BEFORE_BEAM and to not in IN_SEQUENCE
    if before_beam or account.dark_window_open(memory):  # a frame of less than its window
        return _without_beam(memory, view)
    return memory


def _without_beam(memory: Memory, view: View) -> Memory:
    shot, t_us = memory.shot, view.inputs.t_us
    if shot is None:
        return memory
    return replace(
        memory, report=account.no_beam(shot, EndReason.NO_BEAM, _first_fault(view), t_us)
    )


def _end_beam(memory: Memory, view: View) -> Memory:
    """The report waits for the proof that the beam is off, unless ON never left."""
    beam, shot, t_us = memory.beam, memory.shot, view.inputs.t_us
    assert beam is not None
    assert shot is not None
    refused = view.inputs.generator.refused and beam.accepted_us is None
    reason = EndReason.REFUSED if refused else REASONS.get(view.why, EndReason.FAULT)
    memory = duty.note_beam(replace(memory, beam_end_us=t_us), t_us)
    fault = _first_fault(view)
    if beam.sent_us is None:
        return replace(memory, report=account.no_beam(shot, reason, fault, t_us))
    ending = Ending(ordered_us=t_us, reason=reason, fault=fault, heard=_heard(view))
    return replace(memory, ending=account.listen(memory, ending, view.inputs))


def _heard(view: View) -> bool:
    """False: the generator fell silent, so the beam's end and charge are not known (SR-27)."""
    offline = view.inputs.generator.state is GeneratorState.OFFLINE
    return not offline and "GENERATOR_STATUS_OLD" not in view.causes


def _first_fault(view: View) -> str | None:
    return next((c for c in view.causes if trips(c, view.memory.state) or _locks(c)), None)


def _locks(code: str) -> bool:
    return FAULTS[code].reaction is Reaction.LOCK


# --- by state


def _self_test(memory: Memory, view: View) -> Memory:
    return replace(memory, test_step=SelfTestStep.PULL_IN, test_step_us=view.inputs.t_us)


def _prep(memory: Memory, view: View) -> Memory:
    shot = view.inputs.requests.shot
    assert shot is not None
    return replace(
        memory,
        shot=shot,
        used_shot_id=shot.shot_id,
        beam=None,
        beam_end_us=None,
        ending=None,
        placed=None,
        refused=(),
        report=None,
    )


def _interlock_check(memory: Memory, view: View) -> Memory:
    return replace(memory, window_from_us=view.inputs.t_us)


def _expose(memory: Memory, view: View) -> Memory:
    beam = Beam(ordered_us=view.inputs.t_us)
    return duty.begin_beam(replace(memory, beam=beam, placed=view.inputs.geometry))


def _readout(memory: Memory, view: View) -> Memory:
    """A dark frame has no EXPOSE: its window begins here."""
    if memory.shot is None or memory.shot.has_beam:
        return memory
    return replace(memory, window_from_us=view.inputs.t_us, window_seen_us=None)


def _release_wait(memory: Memory, view: View) -> Memory:
    if view.why == "press_refused":
        found = interlocks.inhibits(view.memory, view.inputs, view.now)
        return replace(memory, refused=found)
    if view.why in TOLD:
        return replace(memory, refused=(TOLD[view.why],))
    if view.why in RESETS:
        memory = replace(memory, aec_lock=None)  # SR-22: by a person at the unit
    if view.memory.state is State.SELF_TEST:
        return replace(memory, tested_us=view.inputs.t_us)
    if view.memory.state is State.FAULT:
        memory = duty.note_reset(memory, view.inputs.t_us)
    elif view.memory.state is State.LOCKED:
        memory = duty.forgive(memory)
    else:
        return memory
    return replace(memory, faults=(), refused=())


def _fault(memory: Memory, view: View) -> Memory:
    """What tripped, and what came with it: "SELF_TEST_TIMEOUT" alone names no device."""
    found = tuple(c for c in view.causes if FAULTS[c].reaction is not Reaction.WARN)
    return replace(memory, faults=_added(memory.faults, found))


def _locked(memory: Memory, view: View) -> Memory:
    found = tuple(c for c in view.causes if _locks(c))
    return replace(memory, faults=_added(memory.faults, found), key_was_off=False)


def _added(before: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    return before + tuple(code for code in dict.fromkeys(found) if code not in before)


_ENTER = {
    State.SELF_TEST: _self_test,
    State.PREP: _prep,
    State.INTERLOCK_CHECK: _interlock_check,
    State.EXPOSE: _expose,
    State.READOUT: _readout,
    State.RELEASE_WAIT: _release_wait,
    State.FAULT: _fault,
    State.LOCKED: _locked,
}
