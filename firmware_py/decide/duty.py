"""What adds up over many exposures: beams that need a pause, arcs, and resets (SR-16, 26, 43).

Nothing here ends a beam. It keeps the next one waiting, or asks for service.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide.memory import Memory, State
from hal.now import Now, latest_us, since
from hal.types import Inputs, Technique

ARCS_OF_COUNT = 10  # SR-26: in so many beams


# --- pauses: shortest gap, and the most beam in a window (Spellman PMX p. 65, 70)


def rested(memory: Memory, technique: Technique, now: Now) -> bool:
    """Gap and window hold for a beam that would begin now; always, where the tube names none."""
    return _gap_over(memory, now) and _window_holds(memory, technique, now)


def _gap_over(memory: Memory, now: Now) -> bool:
    gap_us = memory.limits.tube.gap_us
    if gap_us is None or not memory.beams_us:
        return True
    return now.reached(memory.beams_us[-1][1] + gap_us)


def _window_holds(memory: Memory, technique: Technique, now: Now) -> bool:
    """Beam that would lie in the window when the next one has ended, itself included."""
    tube = memory.limits.tube
    if tube.duty_window_us is None or tube.duty_beam_us is None:
        return True
    planned_us = round(technique.planned_ms * 1000)
    from_us = now.t_us + planned_us - tube.duty_window_us
    used_us = sum(
        latest_us(end_us - latest_us(start_us, from_us), 0) for start_us, end_us in memory.beams_us
    )
    return used_us + planned_us <= tube.duty_beam_us  # us-compare: two durations, no moment


def note_beam(memory: Memory, end_us: int) -> Memory:
    """A beam was ordered off: kept for as long as a rule of this tube asks for it."""
    tube, beam = memory.limits.tube, memory.beam
    if beam is None or beam.sent_us is None or not (tube.gap_us or tube.duty_window_us):
        return memory
    oldest_us = end_us - (tube.duty_window_us or 0)
    kept = tuple(pair for pair in memory.beams_us if since(pair[1], oldest_us))
    return replace(memory, beams_us=(*kept, (beam.sent_us, end_us)))


# --- arcs: the source tells of them in its fault list, after the beam


def begin_beam(memory: Memory) -> Memory:
    """Arcs of conditioning are what it is there for, and are counted there."""
    if memory.shot is None or memory.shot.warms:
        return memory
    return replace(memory, arcs=(*memory.arcs, False)[-ARCS_OF_COUNT:])


def note_arc(memory: Memory, inputs: Inputs) -> Memory:
    """Until the next PREP, an arc that is told is one of the last beam."""
    if memory.beam is None or "ARC" not in inputs.generator.faults:
        return memory
    warms = memory.shot is not None and memory.shot.warms
    if warms or not memory.arcs or memory.arcs[-1]:
        return memory
    return replace(memory, arcs=(*memory.arcs[:-1], True))


# --- resets: who resets again and again is stopped


def note_reset(memory: Memory, t_us: int) -> Memory:
    newest = (*memory.resets_us, t_us)[-memory.limits.resets_most_count :]
    return replace(memory, resets_us=newest)


def causes(memory: Memory, now: Now) -> list[str]:
    """LOCKED is left by key and reset, which forgive what was counted."""
    if memory.state is State.LOCKED:
        return []
    found = ["ARCS"] if sum(memory.arcs) >= memory.limits.arcs_most_count else []
    if memory.state is State.FAULT and _too_many_resets(memory, now):
        found.append("RESETS")
    return found


def _too_many_resets(memory: Memory, now: Now) -> bool:
    resets_us, limits = memory.resets_us, memory.limits
    if len(resets_us) < limits.resets_most_count:
        return False
    return not now.reached(resets_us[0] + limits.resets_within_us)


def forgive(memory: Memory) -> Memory:
    """Service was there: key and reset."""
    return replace(memory, arcs=(), resets_us=())
