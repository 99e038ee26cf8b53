"""Everything that can end a sequence against the operator's will, found anew in each scan.

Each function names causes (codes of hal.faults); what they do is decided by their
reaction, in `states`. Deadlines of the states are causes like any other.
"""

from __future__ import annotations

from firmware_py.decide import account, dap, duty, geometry, interlocks, own_account
from firmware_py.decide import beam as beams
from firmware_py.decide.memory import Beam, Limits, Memory, SelfTestStep, State
from firmware_py.decide.technique import ends_alone
from hal.now import Now, since
from hal.types import GeneratorState, Inputs, PanelState, Shot, Technique

IN_SEQUENCE = frozenset(
    {State.PREP, State.READY, State.INTERLOCK_CHECK, State.EXPOSE, State.READOUT}
)

LATCHED = frozenset({State.FAULT, State.LOCKED})
_MAY_FALL = LATCHED | {State.BOOT}
BEAM_IN_DOUBT = frozenset({"STRAY_BEAM", "BEAM_OFF_NOT_CONFIRMED"})


def causes(memory: Memory, inputs: Inputs, now: Now) -> tuple[str, ...]:
    found = _stray_beam(memory, inputs) + duty.causes(memory, now) + _reported(memory)
    found += _chain_stuck(memory, inputs)
    if memory.state in IN_SEQUENCE:
        found += interlocks.room_causes(memory, inputs, now)
        found += _generator(memory, inputs)
        found += _panel(memory, inputs, now)
        found += _geometry(memory, inputs, now)
        found += _welded(memory, inputs)
    elif memory.state in LATCHED:
        found += _still_there(memory, inputs, now)
    elif inputs.room.link_ok and not inputs.room.estop:
        found.append("ESTOP")
    if memory.state is State.EXPOSE:
        found += _exposing(memory, inputs, now)
    return tuple(dict.fromkeys(found + _overdue(memory, inputs, now)))


def _stray_beam(memory: Memory, inputs: Inputs) -> list[str]:
    """SR-34. Not stray: a beam whose ON has left, and in READOUT one whose end is not proved yet.

    After a fault, and when a unit starts, a commanded one has its time to fall.
    """
    generator, beam = inputs.generator, memory.beam
    commanded = memory.state is State.EXPOSE and beam is not None and beam.sent_us is not None
    waiting = memory.state is State.READOUT and memory.ending is not None
    if commanded or waiting or generator.beam_on is not True:
        return []
    if memory.state not in _MAY_FALL:
        return ["STRAY_BEAM"]
    from_us = memory.since_us + memory.limits.fall_us
    return ["STRAY_BEAM"] if since(generator.beam_taken_us, from_us) else []


def _still_there(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    """SR-41: no reset while what latched lasts, while the beam is in doubt, or blindly.

    The generator's own faults are not asked: they are cleared by the reset, not before it.
    """
    found = interlocks.room_causes(memory, inputs, now)
    if inputs.generator.state is GeneratorState.OFFLINE:
        found.append("GENERATOR_LINK_LOST")
    found += interlocks.panel_causes(memory, inputs, now)
    found += geometry.causes(memory, inputs, now, memory.shot)
    always = ("ESTOP", "ROOM_IO_LOST")
    lasting = [code for code in found if code in memory.faults or code in always]
    proved = account.off_since(inputs.generator, memory.since_us)
    doubted = [] if proved else BEAM_IN_DOUBT.intersection(memory.faults)
    waiting = [account.NOT_CONFIRMED] if memory.ending is not None else []
    waiting += [own_account.DOUBTFUL] if memory.pending is not None else []
    waiting += [dap.LOST] if memory.unread is not None else []
    return lasting + sorted(doubted) + waiting


def _generator(memory: Memory, inputs: Inputs) -> list[str]:
    found = interlocks.generator_causes(inputs)
    beam = memory.beam if memory.state is State.EXPOSE else None
    pair_matters = beam is not None and not contact_may_explain(beam, inputs)
    # READOUT: releasing stage 2 opens the pair by hardware, the bit is expected and cleared.
    return [code for code in found if code != "INTERLOCK_OPEN" or pair_matters]


def pair_with_stage_2(memory: Memory, inputs: Inputs) -> bool | None:
    """The interlock pair as the generator saw it while stage 2 was held; None = not seen yet.

    A generator that does not report its pair can't be asked: that counts as open.
    """
    generator, closed_us = inputs.generator, memory.stage_2_since_us
    if generator.interlock_taken_us is None:
        return False
    if closed_us is None or not since(generator.interlock_taken_us, closed_us):
        return None
    return generator.interlock_closed


def _welded(memory: Memory, inputs: Inputs) -> list[str]:
    """In READY the enable relay is off: with stage 2 held it alone keeps the pair open."""
    welded = memory.state is State.READY and pair_with_stage_2(memory, inputs) is True
    return ["ENABLE_WELDED"] if welded else []


def _panel(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    if memory.state is State.READOUT:
        return []  # the frame has its own deadline, and the recorder its own link
    return interlocks.panel_causes(memory, inputs, now)


def _geometry(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    """In READOUT the beam is over: people move the tube away."""
    if memory.state is State.READOUT:
        return []
    return geometry.causes(memory, inputs, now, memory.shot)


def _exposing(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    beam, shot, limits = memory.beam, memory.shot, memory.limits
    assert beam is not None
    assert shot is not None
    found = _feedback(beam, inputs, shot.technique, limits, now)
    if shot.has_frame and inputs.panel.state is not PanelState.INTEGRATING:
        found.append("WINDOW_ENDED")
    if inputs.late_us > limits.late_us:  # us-compare: two durations, no moment
        found.append("SCAN_LATE")
    found += _bands(beam, inputs, shot, limits, now)
    return found + _charge(beam, inputs, shot, limits, now)


def _feedback(
    beam: Beam, inputs: Inputs, technique: Technique, limits: Limits, now: Now
) -> list[str]:
    generator = inputs.generator
    if generator.refused and beam.accepted_us is None:
        return ["GENERATOR_REFUSED"]
    if beam.accepted_us is None:
        late = now.reached(beam.ordered_us + limits.beam_start_us)
        return ["GENERATOR_STATUS_OLD"] if late else []
    by_itself = beams.ended_by_itself(beam, generator, technique, limits)
    if by_itself and technique.mas is not None and not ends_alone(technique, limits):
        return ["BACKUP_TIME"]
    if by_itself is False:
        return [] if contact_may_explain(beam, inputs) else ["BEAM_ENDED_EARLY"]
    status_us = generator.beam_taken_us if generator.beam_taken_us is not None else 0
    newest_us = status_us if since(status_us, beam.accepted_us) else beam.accepted_us
    found = []
    if now.reached(newest_us + limits.status_age_us):
        found.append("GENERATOR_STATUS_OLD")
    if now.reached(beams.timer_end_us(beam, technique, limits)):
        found.append("BACKUP_TIME")
    return found


def contact_may_explain(beam: Beam, inputs: Inputs) -> bool:
    """A contact that opens ends the beam in hardware, and the generator may tell it first.

    So its "off" is judged once a look at the room, asked for later, has shown every contact
    closed; an open one speaks for itself.
    """
    room = inputs.room
    closed = room.stage_1 and room.stage_2 and room.door and room.estop and room.chain
    return beam.off_seen_us is not None and not (closed and since(room.taken_us, beam.off_seen_us))


def _bands(beam: Beam, inputs: Inputs, shot: Shot, limits: Limits, now: Now) -> list[str]:
    """SR-24, each max(relative, absolute): a good generator at 0.5 mAs must not trip."""
    generator, technique = inputs.generator, shot.technique
    if beam.accepted_us is None:
        return []
    if not since(generator.monitor_taken_us, beam.accepted_us + limits.settle_us):
        return []
    # Off as planned, perhaps: what is read then says nothing of the beam (see `beam.follow`).
    if now.reached(beams.timer_us_of(beam, technique, limits)):
        return []
    kv, ma, low_counts = generator.kv, generator.ma, _still_on(inputs)
    kv_inside = beams.near(kv, technique.kv, limits.kv_band_pct, limits.kv_band_kv)
    ma_inside = beams.near(ma, technique.ma, limits.ma_band_pct, limits.ma_band_ma)
    return [
        code
        for inside, low, code in (
            (kv_inside, _low(kv, technique.kv), "KV_OUT_OF_BAND"),
            (ma_inside, _low(ma, technique.ma), "MA_OUT_OF_BAND"),
        )
        if not inside and (low_counts or not low)
    ]


def _charge(beam: Beam, inputs: Inputs, shot: Shot, limits: Limits, now: Now) -> list[str]:
    """SR-25. A single read whose mA is out of its band ends the beam, and locks nothing."""
    if beam.read_us is None or beam.accepted_us is None:
        return []
    if not since(beam.read_us, beam.accepted_us + limits.settle_us):
        return []
    technique = shot.technique
    most_mas = _above(technique.planned_mas, limits.mas_over_pct, limits.mas_over_mas)
    found = ["OVER_MAS"] if now.reached(beams.passes_us(beam, most_mas)) else []
    band = beams.near(inputs.generator.ma, technique.ma, limits.ma_band_pct, limits.ma_band_ma)
    if band and beam.read_mas > _service_mas(technique.planned_mas, limits):
        found.append("OVER_MAS_SERVICE")
    return found


def _still_on(inputs: Inputs) -> bool:
    """A status that was asked for after the newest monitor read says "on".

    Without one, too little kV or mA may be a beam that a contact or the generator has ended:
    the status, or the next look at the room, will say so.
    """
    generator = inputs.generator
    if generator.beam_on is not True or generator.monitor_taken_us is None:
        return False
    return since(generator.beam_taken_us, generator.monitor_taken_us)


def _low(value: float | None, wanted: float) -> bool:
    return value is not None and value < wanted


def _service_mas(planned_mas: float, limits: Limits) -> float:
    return _above(planned_mas, limits.mas_service_pct, limits.mas_service_mas)


def _above(planned_mas: float, over_pct: float, over_mas: float) -> float:
    return planned_mas + max(planned_mas * over_pct / 100, over_mas)


def _chain_stuck(memory: Memory, inputs: Inputs) -> list[str]:
    """Its loop is open and has been for long enough, yet the safety relay's contact is closed."""
    from_us = memory.disagree_us
    if from_us is None:
        return []
    return ["CHAIN_STUCK"] if since(inputs.room.taken_us, from_us + memory.limits.chain_us) else []


def _reported(memory: Memory) -> list[str]:
    """SR-25: what was irradiated in the end, once it is known; and what the account has shown."""
    report = memory.report
    if report is None:
        return []
    if memory.state is State.READOUT and report.fault in own_account.FOUND:
        return [report.fault]
    if report.mas is None:
        return []
    inside = report.mas <= _service_mas(report.shot.technique.planned_mas, memory.limits)
    return [] if inside else ["OVER_MAS_SERVICE"]


# --- deadlines: every state but STANDBY, FAULT and LOCKED has one


def _overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    rule = _OVERDUE.get(memory.state)
    return rule(memory, inputs, now) if rule else []


def _boot_overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    if not now.reached(memory.since_us + memory.limits.boot_us):
        return []
    silent = (
        (not inputs.room.link_ok, "ROOM_IO_LOST"),
        (inputs.generator.state is GeneratorState.OFFLINE, "GENERATOR_LINK_LOST"),
        (inputs.panel.state is PanelState.DISCONNECTED, "PANEL_LINK_LOST"),
        (not inputs.recorder.alive, "RECORDER_LOST"),
    )
    return ["SELF_TEST_TIMEOUT", *(code for is_silent, code in silent if is_silent)]


def _self_test_overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    limits = memory.limits
    drop_us = memory.test_step_us + limits.enable_pulse_us + limits.enable_look_us
    if memory.test_step is SelfTestStep.DROP_OUT and now.reached(drop_us):
        return ["SELF_TEST_ENABLE"]
    if not now.reached(memory.since_us + limits.self_test_us):
        return []
    if not inputs.room.link_ok:
        return ["SELF_TEST_TIMEOUT", "ROOM_IO_LOST"]
    return ["SELF_TEST_TIMEOUT" if inputs.room.lamp_current else "SELF_TEST_LAMP"]


def _prep_overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    if not now.reached(memory.since_us + memory.limits.prep_us):
        return []
    shot = memory.shot
    assert shot is not None
    panel_ready = inputs.panel.state is PanelState.READY
    panel_ready = panel_ready and interlocks.right_panel(memory, inputs.panel)
    missing = (
        (not _kept(shot, inputs), "INTENT_NOT_DURABLE"),
        (shot.has_frame and not panel_ready, "PANEL_NOT_READY"),
    )
    return [code for is_missing, code in missing if is_missing] or ["GENERATOR_NOT_READY"]


def _check_overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    if not now.reached(memory.since_us + memory.limits.interlock_check_us):
        return []
    shot = memory.shot
    assert shot is not None
    integrating = inputs.panel.state is PanelState.INTEGRATING
    if shot.has_frame and not (integrating and interlocks.right_panel(memory, inputs.panel)):
        return ["WINDOW_REFUSED"]
    if inputs.generator.interlock_closed is not True:
        return ["INTERLOCK_OPEN"]
    return ["GENERATOR_NOT_READY" if _kept(shot, inputs) else "INTENT_NOT_DURABLE"]


def _kept(shot: Shot, inputs: Inputs) -> bool:
    recorder = inputs.recorder
    return recorder.intent_durable == shot.shot_id and recorder.alive and recorder.disk_ok


def _readout_overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    limits, shot = memory.limits, memory.shot
    assert shot is not None
    found = []
    if account.overdue(memory, now) or _on_after_off(memory, inputs):
        found.append(account.NOT_CONFIRMED)
    recorder, awaited = inputs.recorder, account.frame_awaited(memory)
    late = now.reached(memory.since_us + limits.readout_us)
    if late and recorder.dose_saved != shot.shot_id:
        found.append("DOSE_NOT_SAVED")
    failed = recorder.image_failed == shot.shot_id and not account.frame_fetched(memory, inputs)
    if awaited and (late or failed):
        found.append("FRAME_MISSING")
    return found


def _on_after_off(memory: Memory, inputs: Inputs) -> bool:
    """A status "on", asked for when OFF had been answered and HV had had time to fall."""
    generator, ending = inputs.generator, memory.ending
    if generator.beam_on is not True or ending is None or ending.answered_us is None:
        return False
    return since(generator.beam_taken_us, ending.answered_us + memory.limits.fall_us)


def _release_overdue(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
    overdue = now.reached(memory.since_us + memory.limits.release_us)
    if overdue and not inputs.room.link_ok:
        return ["SELF_TEST_TIMEOUT", "ROOM_IO_LOST"]
    return ["HANDSWITCH_STUCK"] if overdue else []


_OVERDUE = {
    State.BOOT: _boot_overdue,
    State.SELF_TEST: _self_test_overdue,
    State.PREP: _prep_overdue,
    State.INTERLOCK_CHECK: _check_overdue,
    State.READOUT: _readout_overdue,
    State.RELEASE_WAIT: _release_overdue,
}
# READY ends by row (back to RELEASE_WAIT, no fault), EXPOSE by BACKUP_TIME.
