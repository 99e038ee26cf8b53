"""What was irradiated: a beam that was ordered off is reported when its end is proved.

Until then its charge is not known. An echo of OFF proves nothing while a status says "on";
what was never proved off, or fell silent, has an unknown dose with a bound, never zero
(SR-33, SR-53).
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import beam as beams
from firmware_py.decide import geometry, own_account
from firmware_py.decide.memory import Beam, Ending, Memory, State
from firmware_py.decide.technique import maximum_mas
from hal.now import Now, latest_us, since
from hal.types import (
    EndReason,
    ExposureReport,
    GeneratorSample,
    GeneratorState,
    GeometrySample,
    Inputs,
    Shot,
)

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
        return own_account.settle(memory, inputs, now)
    ending = listen(memory, ending, inputs)
    memory = memory if ending is memory.ending else replace(memory, ending=ending)
    if off_since(inputs.generator, ending.ordered_us):
        report = _proved(memory, ending, inputs)
        return own_account.settle(own_account.ask(memory, ending, report, inputs), inputs, now)
    if memory.state in (State.FAULT, State.LOCKED) and overdue(memory, now):
        faults = tuple(dict.fromkeys((*memory.faults, NOT_CONFIRMED)))
        report = _unproved(memory, ending, inputs.t_us)
        return replace(memory, ending=None, report=report, faults=faults)
    if ending.answered_us is None and since(inputs.generator.off_confirmed_us, ending.ordered_us):
        ending = replace(ending, answered_us=inputs.generator.off_confirmed_us)
        return replace(memory, ending=ending)
    return memory


def listen(memory: Memory, ending: Ending, inputs: Inputs) -> Ending:
    """While the proof is awaited: a generator that falls silent, or is on beyond its own timer."""
    generator = inputs.generator
    if ending.heard and generator.state is GeneratorState.OFFLINE:
        return replace(ending, heard=False)
    if ending.overran or generator.beam_on is not True or memory.shot is None:
        return ending
    end_us = beams.timer_us_of(_beam(memory), memory.shot.technique, memory.limits)
    late_us = end_us + memory.limits.time_step_us + memory.limits.fall_us
    return replace(ending, overran=True) if since(generator.beam_taken_us, late_us) else ending


def frame_awaited(memory: Memory) -> bool:
    """An image shall come of this shot: not when ON never left."""
    shot, beam = memory.shot, memory.beam
    never_left = beam is not None and beam.sent_us is None
    return shot is not None and shot.has_frame and not never_left


def frame_fetched(memory: Memory, inputs: Inputs) -> bool:
    """SR-56: the frame can still come, from the panel's memory."""
    panel, shot = inputs.panel, memory.shot
    assert shot is not None
    return shot.shot_id in panel.kept and shot.shot_id not in panel.given_up


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
    followed = ending.heard and ending.reason is not EndReason.REFUSED
    mas = beams.indicated_mas(beam, end_us) if followed else None
    known = mas is not None and _believable(memory, ending, mas, end_us)
    return replace(
        _unproved(memory, ending, inputs.t_us),
        mas=mas if known else None,
        maximum_mas=max(_bound_mas(memory, ending, inputs.t_us), mas or 0.0),
        beam_ms=None if start_us is None or not followed else (end_us - start_us) / 1000,
        start_us=start_us,
        end_us=end_us if followed else None,
    )


def _believable(memory: Memory, ending: Ending, mas: float, end_us: int) -> bool:
    """What a late proof adds is less than a charge may be off that was irradiated without it.

    When OFF itself was obeyed is not known then: it was charged up to its answer.
    """
    limits = memory.limits
    late_us = latest_us(end_us - ending.ordered_us - limits.off_lead_us, 0)
    late_mas = _ma(memory) * late_us / 1e6
    allowed_mas = (mas - late_mas) * limits.mas_known_pct / 100 + limits.mas_known_mas
    return late_mas <= allowed_mas


def _unproved(memory: Memory, ending: Ending, t_us: int) -> ExposureReport:
    beam, shot = _beam(memory), memory.shot
    assert shot is not None
    count = beam.read_count
    placed = _placed(memory, ending)
    return ExposureReport(
        shot=shot,
        reason=ending.reason,
        fault=ending.fault,
        beam=True,
        mas=None,
        maximum_mas=max(_most_mas(memory), _until_mas(memory, t_us) if ending.overran else 0.0),
        kv=beam.kv_sum / count if count else None,
        ma=beam.ma_sum / count if count else None,
        start_us=beam.accepted_us,
        sid_mm=placed.sid_mm if placed else None,
        field_rows_mm=placed.field_rows_mm if placed else None,
        field_columns_mm=placed.field_columns_mm if placed else None,
    )


def _placed(memory: Memory, ending: Ending) -> GeometrySample | None:
    """Where tube and collimator were sensed to be; not where that is what ended the beam."""
    return None if ending.fault in geometry.CODES else memory.placed


def _end_us(memory: Memory, ending: Ending, generator: GeneratorSample) -> int:
    """When the beam ended, as far as the unit can tell; by its own timer at the latest."""
    shot = memory.shot
    assert shot is not None
    timer_us = beams.timer_us_of(_beam(memory), shot.technique, memory.limits)
    end_us = _proof_us(memory, ending, generator)
    timed = memory.limits.has_own_timer and not ending.overran
    return min(end_us, timer_us) if timed else end_us


def _proof_us(memory: Memory, ending: Ending, generator: GeneratorSample) -> int:
    asked_us = _beam(memory).off_asked_us
    if asked_us is not None:
        return asked_us
    expected_us = ending.ordered_us + memory.limits.off_lead_us
    if since(generator.off_confirmed_us, ending.ordered_us):
        assert generator.off_confirmed_us is not None
        return latest_us(expected_us, generator.off_confirmed_us - memory.limits.off_lead_us)
    assert generator.beam_taken_us is not None  # the status is the proof
    return latest_us(expected_us, generator.beam_taken_us)


def _bound_mas(memory: Memory, ending: Ending, t_us: int) -> float:
    """From ON to the proof; no longer than the generator's own timer, where that has worked."""
    until_mas, most_mas = _until_mas(memory, t_us), _most_mas(memory)
    if ending.overran:
        return until_mas
    return min(most_mas, until_mas) if ending.heard else most_mas


def _until_mas(memory: Memory, t_us: int) -> float:
    sent_us = _beam(memory).sent_us
    assert sent_us is not None
    return _ma(memory) * (t_us - sent_us) / 1e6


def _most_mas(memory: Memory) -> float:
    shot = memory.shot
    assert shot is not None
    return maximum_mas(shot.technique, memory.limits) * _ma(memory) / shot.technique.ma


def _ma(memory: Memory) -> float:
    """The set current, or the indicated one where that is higher."""
    assert memory.shot is not None
    return max(memory.shot.technique.ma, _beam(memory).most_ma)


def _beam(memory: Memory) -> Beam:
    assert memory.beam is not None
    return memory.beam
