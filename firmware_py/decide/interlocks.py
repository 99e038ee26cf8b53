"""What keeps a press from counting, and what must stay true from PREP to READOUT.

Levels, looked at in every scan; unknown and stale count as open (SR-09).
"""

from __future__ import annotations

from firmware_py.decide import aec, batteries, dap, duty, geometry, technique, tube_load
from firmware_py.decide.memory import Memory, State
from hal.faults import FAULTS, Reaction
from hal.now import Now, latest_us
from hal.types import (
    TEST_EXAM_ID,
    GeneratorState,
    Inputs,
    PanelSample,
    PanelState,
    RecorderSample,
    Shot,
    ShotKind,
)


def room_causes(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    room = inputs.room
    if not room.link_ok or now.reached(room.taken_us + memory.limits.room_age_us):
        return ["ROOM_IO_LOST"]
    contacts = (
        (room.estop, "ESTOP"),
        (room.door, "DOOR_OPEN"),
        (room.chain, "CHAIN_OPEN"),
        (room.key, "KEY_OFF"),
    )
    return [code for closed, code in contacts if not closed]


def generator_causes(inputs: Inputs) -> list[str]:
    """Its faults; an open interlock pair is no fault until the relay is pulled in (design 6)."""
    generator = inputs.generator
    if generator.state is GeneratorState.OFFLINE:
        return ["GENERATOR_LINK_LOST"]
    return [code if code in FAULTS else "GENERATOR_UNKNOWN" for code in generator.faults]


def panel_causes(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    panel = inputs.panel
    shot = memory.shot if memory.state in IN_USE else inputs.requests.shot
    if shot is not None and not shot.has_frame:
        return []  # nothing is expected of it
    if panel.state is PanelState.DISCONNECTED:
        return ["PANEL_LINK_LOST"]
    if _panel_in_use(memory) and now.reached(_panel_old_us(memory, panel)):
        return ["PANEL_LINK_LOST"]
    if panel.state is PanelState.ERROR or panel.faults:
        return ["PANEL_ERROR"]
    return []


def _panel_old_us(memory: Memory, panel: PanelSample) -> int:
    """STANDBY asks the panel seldom: an older sample has its whole age limit once more in PREP."""
    newest_us = panel.taken_us
    if memory.state is State.PREP:
        newest_us = latest_us(newest_us, memory.since_us)
    return newest_us + memory.limits.panel_age_us


IN_USE = (State.PREP, State.READY, State.INTERLOCK_CHECK, State.EXPOSE)


def _panel_in_use(memory: Memory) -> bool:
    return memory.state in IN_USE


def inhibits(memory: Memory, inputs: Inputs, now: Now) -> tuple[str, ...]:
    """Why a press would not start PREP now; empty = it would. Before rotor and before dose."""
    recorder, shot = inputs.recorder, inputs.requests.shot
    found = room_causes(memory, inputs, now)
    found += batteries.inhibits(memory.limits, inputs, shot)  # before what a source says of it
    found += [code for code in generator_causes(inputs) if _inhibits(code)]
    found += panel_causes(memory, inputs, now)
    if not recorder.alive:  # its port watches the heartbeat
        found.append("RECORDER_LOST")
    found += [
        code
        for wrong, code in (
            (memory.must_open, "HANDSWITCH_CLOSED"),
            (not recorder.disk_ok, "DISK"),
            (_set_missing(recorder, shot), "PANEL_SET_MISSING"),
            (recorder.incomplete_count != 0, "INCOMPLETE_EXPOSURE"),
            (memory.report is not None, "RECORDER_LOST"),
            (memory.lamp_dark, "LAMP_FAILED"),
            (dap.blocked(memory, inputs), "DAP_METER"),
            (not _known(memory, inputs), "GENERATOR_IDENTITY"),
        )
        if wrong
    ]
    return tuple(found + _shot_inhibits(memory, inputs, shot, now))


def warnings(memory: Memory, inputs: Inputs) -> tuple[str, ...]:
    """What is told and inhibits nothing: of the batteries, and of the generator's own faults."""
    told = [c for c in generator_causes(inputs) if FAULTS[c].reaction is Reaction.WARN]
    return tuple(dict.fromkeys(batteries.warnings(memory.limits, inputs) + told))


def _set_missing(recorder: RecorderSample, shot: Shot | None) -> bool:
    return not recorder.panel_set_ok and (shot is None or shot.needs_set)


def _known(memory: Memory, inputs: Inputs) -> bool:
    """SR-50: the generator that the bench names, where it names one."""
    wanted = memory.limits.generator_identity
    return wanted is None or inputs.generator.identity == wanted


def _used(memory: Memory, recorder: RecorderSample) -> tuple[str | None, ...]:
    """Ids that an acknowledgement already names: a new one could not be told from it."""
    saved = (recorder.dose_saved, recorder.image_saved, recorder.image_failed)
    return (memory.used_shot_id, recorder.intent_durable, *saved)


def _inhibits(code: str) -> bool:
    """A latched interlock bit is cleared at PREP; a warning inhibits nothing."""
    return code != "INTERLOCK_OPEN" and FAULTS[code].reaction is not Reaction.WARN


def _shot_inhibits(memory: Memory, inputs: Inputs, shot: Shot | None, now: Now) -> list[str]:
    panel, recorder = inputs.panel, inputs.recorder
    if shot is None:
        return ["NO_SHOT"]
    if not technique.permitted(shot.technique, memory.limits, shot.kind):
        return ["TECHNIQUE"]
    wrong_place = geometry.causes(memory, inputs, now, shot)
    checks = (
        (shot.shot_id in _used(memory, recorder), "SHOT_USED"),
        (not _kind_fits(shot), "NOT_TEST"),
        (not shot.has_frame and panel.state is PanelState.INTEGRATING, "RECEPTOR_NOT_CLEAR"),
        (not geometry.permitted(shot, memory.limits), "SID"),
        (shot.has_frame and _other_panel(panel, shot), "PANEL_WRONG"),
        (shot.has_frame and not window_fits(memory, panel, shot), "WINDOW_TOO_SHORT"),
    )
    found = [code for wrong, code in checks if wrong] + wrong_place + _aec_inhibits(memory, shot)
    return found + (_beam_inhibits(memory, shot, now) if shot.has_beam else [])


def _beam_inhibits(memory: Memory, shot: Shot, now: Now) -> list[str]:
    checks = (
        (not tube_load.fits(memory, shot.technique, now, memory.limits), "TUBE_HEAT"),
        (not duty.rested(memory, shot.technique, now), "DUTY"),
        (not memory.warm and technique.too_cold(shot, memory.limits), "TUBE_COLD"),
        (shot.kind is ShotKind.NO_RECEPTOR and not shot.clear_by, "RECEPTOR_NOT_CLEAR"),
    )
    return [code for wrong, code in checks if wrong]


def _aec_inhibits(memory: Memory, shot: Shot) -> list[str]:
    """Chambers must be there and free; a manual technique asks for neither (SR-22)."""
    if shot.technique.aec is None:
        return []
    found = ["AEC_SETTING"] if aec.problems(shot, memory.limits.aec) else []
    return found + (["AEC_LOCKED"] if memory.aec_lock is not None else [])


def _kind_fits(shot: Shot) -> bool:
    """What makes no patient's image is nobody's exam."""
    return shot.needs_set or shot.exam_id == TEST_EXAM_ID


def _other_panel(panel: PanelSample, shot: Shot) -> bool:
    return panel.panel_id is not None and panel.panel_id != shot.panel_id


def right_panel(memory: Memory, panel: PanelSample) -> bool:
    """SR-10: the selected panel answers, now, and its window is long enough."""
    shot = memory.shot
    return (
        shot is not None
        and panel.panel_id == shot.panel_id
        and panel.window_us is not None
        and window_fits(memory, panel, shot)
    )


def window_fits(memory: Memory, panel: PanelSample, shot: Shot) -> bool:
    """SR-10: the window outlasts the generator's own timer by the margin."""
    if panel.window_us is None:
        return True  # not asked yet; READY asks again
    needed_us = technique.timer_us(shot.technique, memory.limits) + memory.limits.window_margin_us
    return panel.window_us >= needed_us  # us-compare: two durations, no moment
