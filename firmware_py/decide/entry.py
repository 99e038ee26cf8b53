"""What it means to enter a state: which shot is frozen, which beam begins, what is reported."""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import beam as beams
from firmware_py.decide import interlocks
from firmware_py.decide.memory import Beam, Memory, SelfTestStep, State
from firmware_py.decide.states import trips
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.decide.technique import maximum_mas
from firmware_py.decide.view import View
from hal.faults import FAULTS, Reaction
from hal.types import EndReason, ExposureReport, GeneratorState, Technique

BEFORE_BEAM = frozenset({State.PREP, State.READY, State.INTERLOCK_CHECK})
REASONS = {
    "handswitch_released": EndReason.RELEASED,
    "stop_requested": EndReason.STOPPED,
    "planned_charge_reached": EndReason.PLANNED,
    "generator_timer_ended": EndReason.PLANNED,
}


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
    if memory.state in BEFORE_BEAM and to not in IN_SEQUENCE:
        return replace(memory, report=_no_beam(memory, view))
    return memory


def _no_beam(memory: Memory, view: View) -> ExposureReport | None:
    shot = memory.shot
    if shot is None:
        return None
    return ExposureReport(
        shot=shot,
        reason=EndReason.NO_BEAM,
        fault=_first_fault(view),
        beam=False,
        mas=0.0,
        maximum_mas=0.0,
        end_us=view.inputs.t_us,
    )


def _end_beam(memory: Memory, view: View) -> Memory:
    beam, shot = memory.beam, memory.shot
    assert beam is not None
    assert shot is not None
    end_us = beams.end_us(view.now, beam, view.inputs.generator, shot.technique, memory.limits)
    reason = REASONS.get(view.why, EndReason.FAULT)
    report = _report(memory, view, beam, end_us, reason)
    return replace(memory, report=report, beam_end_us=view.inputs.t_us, end_reason=report.reason)


def _report(
    memory: Memory, view: View, beam: Beam, end_us: int, reason: EndReason
) -> ExposureReport:
    shot = memory.shot
    assert shot is not None
    refused = view.inputs.generator.refused and beam.accepted_us is None
    beam_possible = beam.sent_us is not None and not refused
    blind = not _heard(view)
    count = beam.read_count
    start_us = beams.start_us(beam, end_us)
    return ExposureReport(
        shot=shot,
        reason=EndReason.REFUSED if refused else reason,
        fault=_first_fault(view),
        beam=beam_possible,
        mas=_mas(beam, end_us, possible=beam_possible, blind=blind),
        maximum_mas=_bound_mas(memory, shot.technique, beam, end_us, blind=blind),
        kv=beam.kv_sum / count if count else None,
        ma=beam.ma_sum / count if count else None,
        beam_ms=None if start_us is None or blind else (end_us - start_us) / 1000,
        start_us=start_us,
        end_us=None if blind else end_us,
    )


def _heard(view: View) -> bool:
    """False: the generator fell silent, so the beam's end and charge are not known (SR-27)."""
    offline = view.inputs.generator.state is GeneratorState.OFFLINE
    return not offline and "GENERATOR_STATUS_OLD" not in view.causes


def _mas(beam: Beam, end_us: int, *, possible: bool, blind: bool) -> float | None:
    """None: unknown, bounded by `maximum_mas`, never zero (SR-53)."""
    if not possible:
        return 0.0
    return None if blind else beams.indicated_mas(beam, end_us)


def _bound_mas(
    memory: Memory, technique: Technique, beam: Beam, end_us: int, *, blind: bool
) -> float:
    """Full current for the time that the beam can have been on."""
    most_mas = maximum_mas(technique, memory.limits)
    if blind or beam.sent_us is None:
        return most_mas
    return min(most_mas, technique.ma * (end_us - beam.sent_us) / 1e6)


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
        end_reason=None,
        refused=(),
        report=None,
    )


def _interlock_check(memory: Memory, view: View) -> Memory:
    return replace(memory, window_from_us=view.inputs.t_us)


def _expose(memory: Memory, view: View) -> Memory:
    return replace(memory, beam=Beam(ordered_us=view.inputs.t_us))


def _release_wait(memory: Memory, view: View) -> Memory:
    if view.why == "press_refused":
        found = interlocks.inhibits(view.memory, view.inputs, view.now)
        return replace(memory, refused=found)
    if view.memory.state in (State.FAULT, State.LOCKED):
        return replace(memory, faults=(), refused=())
    return memory


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
    State.READOUT: lambda memory, view: replace(memory, off_proven=False),
    State.RELEASE_WAIT: _release_wait,
    State.FAULT: _fault,
    State.LOCKED: _locked,
}
