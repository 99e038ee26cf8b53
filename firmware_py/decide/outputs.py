"""What every output shall be in this state. What is not named here stays at its safe default."""

from __future__ import annotations

from typing import Any

from firmware_py.decide.account import dark_window_open
from firmware_py.decide.entry import RESETS
from firmware_py.decide.interlocks import IN_USE
from firmware_py.decide.memory import Memory, SelfTestStep, State
from firmware_py.decide.supervisor import BEAM_IN_DOUBT, IN_SEQUENCE, LATCHED
from firmware_py.decide.technique import flowing_us, maximum_mas
from hal.now import Now, since
from hal.types import EndReason, Inputs, Intent, Outputs


def outputs_for(memory: Memory, inputs: Inputs, now: Now) -> Outputs:
    rule = _BY_STATE.get(memory.state)
    wanted = rule(memory) if rule else {}
    wanted["beam_lamp"] = wanted.get("beam_lamp", False) or _beam_lamp(memory, inputs, now)
    wanted["buzzer"] = wanted.get("buzzer", False) or _buzzer(memory, now)
    wanted |= _panel_memory(memory, inputs) | _dose(memory)
    beam_seen = inputs.generator.beam_on is True
    return Outputs(**wanted, beam_seen=beam_seen, report=memory.report, next_us=now.next_us)


def _panel_memory(memory: Memory, inputs: Inputs) -> dict[str, Any]:
    """What the recorder says of the frames that the panel keeps; not beside an exposure."""
    recorder = inputs.recorder
    if memory.state in (*IN_USE, State.BOOT, State.SELF_TEST):
        return {"kept": inputs.panel.kept}
    return {
        "kept": inputs.panel.kept,
        "fetch": recorder.frames_wanted,
        "free": recorder.frames_safe,
    }


def _dose(memory: Memory) -> dict[str, Any]:
    """The meter in the beam: reset before it, read until its report is made."""
    shot, report_made = memory.shot, memory.report is not None
    over = memory.state not in IN_SEQUENCE and memory.ending is None and memory.unread is None
    if memory.limits.dap is None or shot is None or not shot.has_beam or report_made or over:
        return {}
    return {
        "dose_shot_id": shot.shot_id,
        "dose_reset": memory.state in (State.PREP, State.READY),
    }


def _self_test(memory: Memory) -> dict[str, Any]:
    pulling = memory.test_step is SelfTestStep.PULL_IN
    lit = {"beam_lamp": pulling, "buzzer": True}  # the ear is all that proves a buzzer (SR-38)
    return lit | {"enable": pulling, "enable_lapse": not pulling}


def _prep(memory: Memory) -> dict[str, Any]:
    shot = memory.shot
    assert shot is not None
    wanted = {"prepare_panel": shot.has_frame, "intent": _intent(memory)}
    if not shot.has_beam:
        return wanted
    return wanted | {
        "contactor": True,
        "prep_line": True,
        "technique": shot.technique,
        "clear_faults_from_us": memory.since_us if memory.state is State.PREP else None,
    }


def _intent(memory: Memory) -> Intent:
    assert memory.shot is not None
    shot = memory.shot
    most_mas = maximum_mas(shot.technique, memory.limits) if shot.has_beam else 0.0
    return Intent(
        shot=shot,
        planned_mas=shot.technique.expected_mas if shot.has_beam else 0.0,
        maximum_mas=most_mas,
        at_us=memory.since_us,
        timer_us=flowing_us(shot.technique, memory.limits) if shot.has_beam else None,
    )


def _ready(memory: Memory) -> dict[str, Any]:
    return _prep(memory) | {"ready_lamp": True}


def _interlock_check(memory: Memory) -> dict[str, Any]:
    assert memory.shot is not None
    return _ready(memory) | {
        "enable": True,
        **_window(memory),
    }


def _window(memory: Memory) -> dict[str, Any]:
    assert memory.shot is not None
    if not memory.shot.has_frame:
        return {}
    return {"window_from_us": memory.window_from_us, "window_shot_id": memory.shot.shot_id}


def _expose(memory: Memory) -> dict[str, Any]:
    return _interlock_check(memory) | {
        "ready_lamp": False,
        "expose_from_us": memory.since_us,
        "expose_line": True,
    }


def _readout(memory: Memory) -> dict[str, Any]:
    """The window stays until HV is off: what is irradiated shall be in the image.

    After a planned end OFF alone ends the beam and the enable pulse lapses by itself until that
    is proved: an interlock pair that opens under HV is a fault to the generator, and would hide
    that it ignores OFF. Else it drops at once.
    """
    shot = memory.shot
    assert shot is not None
    wanted: dict[str, Any] = {"contactor": shot.has_beam, "prepare_panel": shot.has_frame}
    if memory.ending is not None:
        planned = memory.ending.reason is EndReason.PLANNED
        wanted |= _window(memory) | {"enable_lapse": planned}
    if dark_window_open(memory):
        wanted |= _window(memory)
    return wanted


def _release_wait(memory: Memory) -> dict[str, Any]:
    """A reset by a person also clears what the generator has latched; nothing else does."""
    return {"clear_faults_from_us": memory.since_us} if memory.why in RESETS else {}


def _beam_lamp(memory: Memory, inputs: Inputs, now: Now) -> bool:
    """SR-35: by what is indicated, not by what was commanded, and long enough to be seen."""
    if inputs.generator.beam_on is True:
        return True
    seen_us, lamp_us = memory.beam_seen_us, memory.limits.lamp_us
    if seen_us is not None and not now.reached(seen_us + lamp_us):
        return True
    beam, end_us = memory.beam, memory.beam_end_us
    if beam is None or beam.accepted_us is None:
        return False
    if memory.state is State.EXPOSE:
        return inputs.generator.beam_on is not False
    lit = end_us is not None and since(end_us, beam.accepted_us)
    return lit and end_us is not None and not now.reached(end_us + memory.limits.lamp_us)


def _buzzer(memory: Memory, now: Now) -> bool:
    """SR-36: one sound at the end of a beam, a longer one for an abnormal end.

    SR-33: one that does not stop while the beam may still be on.
    """
    if memory.state in LATCHED and BEAM_IN_DOUBT.intersection(memory.faults):
        return True
    if memory.beam_end_us is None:
        return False
    by_aec = memory.shot is not None and memory.shot.technique.aec is not None
    abnormal = bool(memory.faults) or (by_aec and memory.aec_lock is not None)
    length_us = memory.limits.sound_us * (4 if abnormal else 1)
    return not now.reached(memory.beam_end_us + length_us)


_BY_STATE = {
    State.SELF_TEST: _self_test,
    State.PREP: _prep,
    State.READY: _ready,
    State.INTERLOCK_CHECK: _interlock_check,
    State.EXPOSE: _expose,
    State.READOUT: _readout,
    State.RELEASE_WAIT: _release_wait,
}
