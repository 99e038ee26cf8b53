"""What was irradiated: a beam that was ordered off is reported when its end is proved.

Until then its charge is not known. An echo of OFF proves nothing while a status says "on";
what was never proved off, or fell silent, has an unknown dose with a bound, never zero
(SR-33, SR-53).
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import beam as beams
from firmware_py.decide.memory import Beam, Ending, Memory, State
from firmware_py.decide.technique import maximum_mas
from hal.now import Now, latest_us, since
from hal.types import EndReason, ExposureReport, GeneratorSample, Inputs, Shot

NOT_CONFIRMED = "BEAM_OFF_NOT_CONFIRMED"


def off_since(generator: GeneratorSample, from_us: int) -> bool:
    """The status says "off", and it or an answer to OFF is from `from_us` or later."""
    if generator.beam_on is not False:
        return False
    return since(generator.beam_taken_us, from_us) or since(generator.off_confirmed_us, from_us)


def overdue(memory: Memory, now: Now) -> bool:
    """SR-33: the proof did not come in the time that it takes on this wire."""
    ending = memory.ending
    return ending is not None and now.reached(ending.ordered_us + memory.limits.off_confirm_us)


def settle(memory: Memory, inputs: Inputs, now: Now) -> Memory:
    """Report the beam that is waiting for its proof, once the proof or its deadline has come."""
    ending = memory.ending
    if ending is None:
        return memory
    if off_since(inputs.generator, ending.ordered_us):
        return replace(memory, ending=None, report=_proved(memory, ending, inputs))
    if memory.state in (State.FAULT, State.LOCKED) and overdue(memory, now):
        faults = tuple(dict.fromkeys((*memory.faults, NOT_CONFIRMED)))
        return replace(memory, ending=None, report=_unproved(memory, ending), faults=faults)
    if ending.answered_us is None and since(inputs.generator.off_confirmed_us, ending.ordered_us):
        ending = replace(ending, answered_us=inputs.generator.off_confirmed_us)
        return replace(memory, ending=ending)
    return memory


def dark_window_open(memory: Memory) -> bool:
    """A dark frame's window is asked for, and has not lasted as long as the technique says."""
    shot = memory.shot
    dark = memory.state is State.READOUT and shot is not None and not shot.has_beam
    return dark and memory.window_from_us is not None


def close_dark_window(memory: Memory, now: Now) -> Memory:
    """Over in its time: the frame is what was asked for, and is reported as that."""
    shot, seen_us = memory.shot, memory.window_seen_us
    if not dark_window_open(memory) or shot is None or seen_us is None:
        return memory
    if not now.reached(seen_us + round(shot.technique.planned_ms * 1000)):
        return memory
    report = no_beam(shot, EndReason.DARK, None, now.t_us)
    return replace(memory, window_from_us=None, report=report)


def no_beam(shot: Shot, reason: EndReason, fault: str | None, t_us: int) -> ExposureReport:
    """ON never left: nothing can have been irradiated."""
    return ExposureReport(
        shot=shot, reason=reason, fault=fault, beam=False, mas=0.0, maximum_mas=0.0, end_us=t_us
    )


def _proved(memory: Memory, ending: Ending, inputs: Inputs) -> ExposureReport:
    beam, end_us = _beam(memory), _end_us(memory, ending, inputs.generator)
    start_us = beams.start_us(beam, end_us)
    known = ending.heard and ending.reason is not EndReason.REFUSED
    return replace(
        _unproved(memory, ending),
        mas=beams.indicated_mas(beam, end_us) if known else None,
        maximum_mas=_bound_mas(memory, beam, inputs.t_us) if ending.heard else _most_mas(memory),
        beam_ms=None if start_us is None or not known else (end_us - start_us) / 1000,
        start_us=start_us,
        end_us=end_us if known else None,
    )


def _unproved(memory: Memory, ending: Ending) -> ExposureReport:
    beam, shot = _beam(memory), memory.shot
    assert shot is not None
    count = beam.read_count
    return ExposureReport(
        shot=shot,
        reason=ending.reason,
        fault=ending.fault,
        beam=True,
        mas=None,
        maximum_mas=_most_mas(memory),
        kv=beam.kv_sum / count if count else None,
        ma=beam.ma_sum / count if count else None,
        start_us=beam.accepted_us,
    )


def _end_us(memory: Memory, ending: Ending, generator: GeneratorSample) -> int:
    """When the beam ended, as far as the unit can tell."""
    beam, shot, limits = _beam(memory), memory.shot, memory.limits
    assert shot is not None
    if beam.off_asked_us is not None:
        return min(beam.off_asked_us, beams.timer_us_of(beam, shot.technique, limits))
    expected_us = ending.ordered_us + limits.off_lead_us
    if since(generator.off_confirmed_us, ending.ordered_us):
        assert generator.off_confirmed_us is not None
        return latest_us(expected_us, generator.off_confirmed_us - limits.off_lead_us)
    assert generator.beam_taken_us is not None  # the status is the proof
    return latest_us(expected_us, generator.beam_taken_us)


def _bound_mas(memory: Memory, beam: Beam, t_us: int) -> float:
    """Full current from ON to the proof."""
    shot = memory.shot
    assert shot is not None
    assert beam.sent_us is not None
    return min(_most_mas(memory), shot.technique.ma * (t_us - beam.sent_us) / 1e6)


def _most_mas(memory: Memory) -> float:
    assert memory.shot is not None
    return maximum_mas(memory.shot.technique, memory.limits)


def _beam(memory: Memory) -> Beam:
    assert memory.beam is not None
    return memory.beam
