"""The brain: `step(memory, inputs) -> (memory, outputs)`, pure, one scan at a time.

Look at the samples, find what is wrong, let the table move, note what the move means,
and say what every output shall be. Outputs depend on memory and inputs alone.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import account, dap, duty, supervisor, tube_load
from firmware_py.decide import beam as beams
from firmware_py.decide.entry import enter
from firmware_py.decide.memory import Memory, SelfTestStep, State
from firmware_py.decide.outputs import outputs_for
from firmware_py.decide.states import next_state
from firmware_py.decide.view import View
from hal.now import Now, since
from hal.types import Inputs, Outputs, RoomSample


def step(memory: Memory, inputs: Inputs) -> tuple[Memory, Outputs]:
    now = Now(inputs.t_us)
    before = memory
    memory = account.settle(_observe(memory, inputs), inputs, now)
    memory = account.close_dark_window(memory, now)
    memory = dap.settle(dap.hold(before, memory, inputs), inputs, now)
    view = View(memory, inputs, now, supervisor.causes(memory, inputs, now))
    state = next_state(view)
    if state is not memory.state:
        memory = enter(state, view)
        now.wake(inputs.t_us)  # after a change the horizon is zero
    return memory, outputs_for(memory, inputs, now)


def _observe(memory: Memory, inputs: Inputs) -> Memory:
    """What the samples say by themselves, before anything is decided."""
    memory = _follow_reconnection(_follow_switch(memory, inputs.room), inputs.room)
    memory = _follow_reset(_follow_loop(memory, inputs.room), inputs.room)
    if not memory.reset_armed and inputs.room.link_ok and _reset_open(inputs):
        memory = replace(memory, reset_armed=True)
    if memory.state is State.EXPOSE and memory.beam is not None:
        assert memory.shot is not None
        technique, limits, sample = memory.shot.technique, memory.limits, inputs.generator
        end_us = beams.timer_us_of(memory.beam, technique, limits)
        doubtful = beams.doubtful_ma(memory.beam, sample, technique, limits)
        beam = beams.follow(memory.beam, sample, inputs.t_us, end_us, doubtful=doubtful)
        memory = memory if beam is memory.beam else replace(memory, beam=beam)
    elif memory.state is State.READOUT:
        memory = _follow_dark_window(memory, inputs)
    elif memory.state is State.SELF_TEST:
        memory = _follow_self_test(memory, inputs)
    elif memory.state is State.LOCKED and inputs.room.link_ok and not inputs.room.key:
        memory = memory if memory.key_was_off else replace(memory, key_was_off=True)
    asked_us = inputs.generator.beam_taken_us
    if inputs.generator.beam_on is True and asked_us != memory.beam_asked_us:
        memory = replace(memory, beam_asked_us=asked_us, beam_seen_us=inputs.t_us)
    memory = duty.note_arc(_watch_lamp(memory, inputs), inputs)
    return _forget_saved_report(memory, inputs)


def _follow_dark_window(memory: Memory, inputs: Inputs) -> Memory:
    shot, panel = memory.shot, inputs.panel
    if shot is None or shot.has_beam or memory.window_seen_us is not None:
        return memory
    if panel.window_open_us is None or not since(panel.window_open_us, memory.since_us):
        return memory
    return replace(memory, window_seen_us=panel.window_open_us)


def _watch_lamp(memory: Memory, inputs: Inputs) -> Memory:
    """SR-38: a lamp that is lit by a beam draws current; seen again, it is good again."""
    room, beam = inputs.room, memory.beam
    if room.link_ok and room.lamp_current:
        return replace(memory, lamp_dark=False) if memory.lamp_dark else memory
    lit = memory.state is State.EXPOSE and beam is not None and beam.accepted_us is not None
    if not lit or beam is None or beam.accepted_us is None or memory.lamp_dark:
        return memory
    dark = room.link_ok and since(room.taken_us, beam.accepted_us + memory.limits.lamp_us)
    return replace(memory, lamp_dark=True) if dark else memory


def _reset_open(inputs: Inputs) -> bool:
    return not (inputs.room.reset or inputs.requests.reset)


def _follow_switch(memory: Memory, room: RoomSample) -> Memory:
    is_open = room.link_ok and not (room.stage_1 or room.stage_2)
    open_us = _since(memory.open_since_us, is_open, room.taken_us)
    stage_2_us = _since(memory.stage_2_since_us, room.link_ok and room.stage_2, room.taken_us)
    if open_us == memory.open_since_us and stage_2_us == memory.stage_2_since_us:
        return memory
    return replace(memory, open_since_us=open_us, stage_2_since_us=stage_2_us)


def _follow_reconnection(memory: Memory, room: RoomSample) -> Memory:
    """SR-03: a switch that nobody saw, or that contradicts itself, must be seen open again."""
    if not room.link_ok or (room.stage_2 and not room.stage_1):
        return memory if memory.must_open else replace(memory, must_open=True)
    open_us = memory.open_since_us
    if not memory.must_open or open_us is None:
        return memory
    opened = since(room.taken_us, open_us + memory.limits.both_open_us)
    return replace(memory, must_open=False) if opened else memory


def _follow_reset(memory: Memory, room: RoomSample) -> Memory:
    """SR-41: one sample alone, that a line has falsified, is no person."""
    reset_us = _since(memory.reset_since_us, room.link_ok and room.reset, room.taken_us)
    return memory if reset_us == memory.reset_since_us else replace(memory, reset_since_us=reset_us)


def _follow_loop(memory: Memory, room: RoomSample) -> Memory:
    """SR-09, SR-49: contacts that disagree. A loop that opens must drop the safety relay."""
    opened = not all(getattr(room, name) for name in memory.limits.safety_relay)
    disagree_us = _since(memory.disagree_us, room.link_ok and opened and room.chain, room.taken_us)
    if disagree_us == memory.disagree_us:
        return memory
    return replace(memory, disagree_us=disagree_us)


def _since(before_us: int | None, is_so: bool, taken_us: int) -> int | None:
    if not is_so:
        return None
    return taken_us if before_us is None else before_us


def _follow_self_test(memory: Memory, inputs: Inputs) -> Memory:
    """Close the enable relay, see it and the lamp; then let its own timer drop it (SR-46)."""
    room = inputs.room
    if not since(room.enable_taken_us, memory.test_step_us):
        return memory
    if memory.test_step is SelfTestStep.PULL_IN and room.enable_readback and room.lamp_current:
        return replace(memory, test_step=SelfTestStep.DROP_OUT, test_step_us=inputs.t_us)
    if memory.test_step is SelfTestStep.DROP_OUT and room.enable_readback is False:
        return replace(memory, test_step=SelfTestStep.PASSED, test_step_us=inputs.t_us)
    return memory


def _forget_saved_report(memory: Memory, inputs: Inputs) -> Memory:
    report = memory.report
    if report is None or inputs.recorder.dose_saved != report.shot.shot_id:
        return memory
    heat_j = tube_load.heat_j(memory, inputs.t_us)
    if report.beam:
        mas = report.mas if report.mas is not None else report.maximum_mas
        heat_j += tube_load.energy_j(report.shot.technique.kv, mas)
    return replace(memory, report=None, heat_j=heat_j, heat_us=inputs.t_us)
