"""The sequence as data: rows in order, the first match wins, the trips come first.

`transitions` runs the table; its machine holds nothing, the state lives in Memory.
Predicates are plain functions of a View whose names are the reasons in trace and
diagram. They return real bools and never compare times: `now.reached` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transitions import Machine

from firmware_py.decide import account, interlocks, supervisor
from firmware_py.decide import beam as beams
from firmware_py.decide.memory import SelfTestStep, State
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.decide.technique import ends_alone
from firmware_py.decide.view import View
from hal.faults import FAULTS, Reaction
from hal.now import since
from hal.types import GeneratorState, PanelState, ShotKind


@dataclass(frozen=True, slots=True)
class Row:
    source: State
    dest: State
    when: Callable[[View], bool]


# --- trips


def fault_that_locks(view: View) -> bool:
    return any(FAULTS[code].reaction is Reaction.LOCK for code in view.causes)


def fault_that_trips(view: View) -> bool:
    return any(trips(code, view.memory.state) for code in view.causes)


def trips(code: str, state: State) -> bool:
    reaction = FAULTS[code].reaction
    return reaction is Reaction.TRIP or (reaction is Reaction.ABORT and state in IN_SEQUENCE)


# --- start-up


def all_devices_answer(view: View) -> bool:
    inputs = view.inputs
    return (
        inputs.room.link_ok
        and inputs.generator.state is not GeneratorState.OFFLINE
        and inputs.panel.state is not PanelState.DISCONNECTED
        and inputs.recorder.alive
    )


def self_test_passed(view: View) -> bool:
    return view.memory.test_step is SelfTestStep.PASSED


def self_test_due(view: View) -> bool:
    """SR-46: a unit that runs for days proves its layers every day, before the next press.

    A lamp that was dark is looked at when somebody resets: no beam may light it (SR-38).
    """
    memory = view.memory
    if memory.lamp_dark and reset_pressed(view):
        return True
    return view.now.reached(memory.tested_us + memory.limits.self_test_every_us)


# --- the handswitch


def press_refused(view: View) -> bool:
    return _pressed(view) and bool(interlocks.inhibits(view.memory, view.inputs, view.now))


def pressed(view: View) -> bool:
    return _pressed(view)


def _pressed(view: View) -> bool:
    return view.inputs.room.link_ok and view.inputs.room.stage_1


def stage_1_released(view: View) -> bool:
    """A dark frame has no beam to hold a switch for."""
    return not view.inputs.room.stage_1 and _beam_wanted(view)


def _beam_wanted(view: View) -> bool:
    shot = view.memory.shot
    return shot is not None and shot.has_beam


def handswitch_released(view: View) -> bool:
    """The first open sample of either stage: no debounce on the way out (SR-04)."""
    return not (view.inputs.room.stage_1 and view.inputs.room.stage_2)


def stage_2_firm_and_pair_open(view: View) -> bool:
    """Stage 2 is held, and the enable relay alone keeps the interlock pair open (SR-46)."""
    closed_us = view.memory.stage_2_since_us
    if not _seen_for(view, closed_us, view.memory.limits.stage_2_us):
        return False
    return supervisor.pair_with_stage_2(view.memory, view.inputs) is False


def both_stages_open(view: View) -> bool:
    return _seen_for(view, view.memory.open_since_us, view.memory.limits.both_open_us)


def _seen_for(view: View, first_us: int | None, long_us: int) -> bool:
    """From the first sample to the newest one: what no sample showed was not seen (SR-03)."""
    return first_us is not None and since(view.inputs.room.taken_us, first_us + long_us)


def stop_requested(view: View) -> bool:
    return view.inputs.requests.stop


def shot_changed(view: View) -> bool:
    """SR-07: what was frozen at PREP is no longer what is programmed."""
    return view.inputs.requests.shot != view.memory.shot


# --- the exposure


def all_prepared(view: View) -> bool:
    return _beam_wanted(view) and _generator_ready(view) and _frame_ready(view)


def dark_frame_asked(view: View) -> bool:
    """The one shot that no press starts: the generator is not even prepared for it."""
    shot = view.inputs.requests.shot
    if shot is None or shot.has_beam or _pressed(view):
        return False
    return not interlocks.inhibits(view.memory, view.inputs, view.now)


def dark_frame_prepared(view: View) -> bool:
    return not _beam_wanted(view) and _frame_ready(view)


def _frame_ready(view: View) -> bool:
    """Panel (where the shot has a frame) and recorder are ready for this shot."""
    memory, panel = view.memory, view.inputs.panel
    if memory.shot is None or not _recorder_ready(view):
        return False
    if not memory.shot.has_frame:
        return True
    return panel.state is PanelState.READY and interlocks.right_panel(memory, panel)


def _recorder_ready(view: View) -> bool:
    """SR-52: the intent is durable, and who shall keep dose and image is there."""
    shot, recorder = view.memory.shot, view.inputs.recorder
    durable = shot is not None and recorder.intent_durable == shot.shot_id
    return durable and recorder.alive and recorder.disk_ok


def _generator_ready(view: View) -> bool:
    shot, generator = view.memory.shot, view.inputs.generator
    return (
        shot is not None
        and generator.state is GeneratorState.READY
        and generator.confirmed == shot.technique
    )


def ready_held_too_long(view: View) -> bool:
    return view.now.reached(view.memory.since_us + view.memory.limits.ready_us)


def everything_true_in_this_scan(view: View) -> bool:
    """The one way to a beam. The room contacts and their age are causes, so they trip first."""
    memory, inputs = view.memory, view.inputs
    return (
        inputs.room.stage_1
        and inputs.room.stage_2
        and _generator_ready(view)
        and _no_beam_yet(view)
        and inputs.generator.interlock_closed is True
        and since(inputs.generator.interlock_taken_us, memory.since_us)
        and _window_open(view)
        and _recorder_ready(view)
    )


def _no_beam_yet(view: View) -> bool:
    """SR-34: ON meets no beam that somebody else has started; asked anew, as the pair is."""
    generator = view.inputs.generator
    return generator.beam_on is False and since(generator.beam_taken_us, view.memory.since_us)


def _window_open(view: View) -> bool:
    """No imaging beam without an armed detector, and no other beam onto one."""
    memory, panel = view.memory, view.inputs.panel
    assert memory.shot is not None
    if memory.shot.kind is ShotKind.NO_RECEPTOR:
        return panel.state is not PanelState.INTEGRATING
    return (
        memory.shot.kind is ShotKind.IMAGING
        and interlocks.right_panel(memory, panel)
        and panel.state is PanelState.INTEGRATING
        and since(panel.window_open_us, memory.since_us)
    )


def planned_charge_reached(view: View) -> bool:
    memory = view.memory
    if memory.beam is None or memory.shot is None:
        return False
    end_us = beams.charge_end_us(memory.beam, memory.shot.technique, memory.limits)
    return end_us is not None and view.now.reached(end_us)


def planned_time_reached(view: View) -> bool:
    """The planned end of a beam by time where the generator has no timer: the unit is it."""
    memory = view.memory
    if memory.beam is None or memory.shot is None:
        return False
    end_us = beams.time_end_us(memory.beam, memory.shot.technique, memory.limits)
    return end_us is not None and view.now.reached(end_us)


def generator_timer_ended(view: View) -> bool:
    """The planned end of a beam by time; for a charge the timer is the back-up."""
    memory = view.memory
    if memory.beam is None or memory.shot is None or memory.shot.technique.ms is None:
        return False
    technique, limits = memory.shot.technique, memory.limits
    return beams.ended_by_itself(memory.beam, view.inputs.generator, technique, limits) is True


def generator_charge_ended(view: View) -> bool:
    """Its mAs, or its chambers; its account then tells. A contact may have been quicker."""
    memory, inputs = view.memory, view.inputs
    if memory.beam is None or memory.shot is None:
        return False
    technique, limits = memory.shot.technique, memory.limits
    if not ends_alone(technique, limits) or supervisor.contact_may_explain(memory.beam, inputs):
        return False
    return beams.ended_by_itself(memory.beam, inputs.generator, technique, limits) is True


def everything_saved(view: View) -> bool:
    memory, recorder = view.memory, view.inputs.recorder
    shot = memory.shot
    if shot is None or memory.ending is not None or recorder.dose_saved != shot.shot_id:
        return False
    return recorder.image_saved == shot.shot_id or not account.frame_awaited(memory)


# --- the way out of FAULT and LOCKED


def reset_pressed(view: View) -> bool:
    memory = view.memory
    pressed = _seen_for(view, memory.reset_since_us, memory.limits.reset_us)
    return (pressed or view.inputs.requests.reset) and memory.reset_armed


def reset_with_cause_gone(view: View) -> bool:
    return reset_pressed(view) and _switch_open(view) and not view.causes


def key_turned_and_reset(view: View) -> bool:
    turned = view.memory.key_was_off and view.inputs.room.key
    return turned and reset_with_cause_gone(view)


def _switch_open(view: View) -> bool:
    room = view.inputs.room
    return room.link_ok and not (room.stage_1 or room.stage_2)


# --- the table

S = State
TRIPS = (
    *(Row(state, S.LOCKED, fault_that_locks) for state in S if state is not S.LOCKED),
    *(Row(state, S.FAULT, fault_that_trips) for state in S if state not in (S.FAULT, S.LOCKED)),
)
SEQUENCE = (
    Row(S.BOOT, S.SELF_TEST, all_devices_answer),
    Row(S.SELF_TEST, S.RELEASE_WAIT, self_test_passed),
    Row(S.STANDBY, S.SELF_TEST, self_test_due),
    Row(S.STANDBY, S.RELEASE_WAIT, reset_pressed),
    Row(S.STANDBY, S.RELEASE_WAIT, press_refused),
    Row(S.STANDBY, S.PREP, pressed),
    Row(S.STANDBY, S.PREP, dark_frame_asked),
    Row(S.PREP, S.RELEASE_WAIT, stage_1_released),
    Row(S.PREP, S.RELEASE_WAIT, stop_requested),
    Row(S.PREP, S.RELEASE_WAIT, shot_changed),
    Row(S.PREP, S.READOUT, dark_frame_prepared),
    Row(S.PREP, S.READY, all_prepared),
    Row(S.READY, S.RELEASE_WAIT, stage_1_released),
    Row(S.READY, S.RELEASE_WAIT, stop_requested),
    Row(S.READY, S.RELEASE_WAIT, shot_changed),
    Row(S.READY, S.RELEASE_WAIT, ready_held_too_long),
    Row(S.READY, S.INTERLOCK_CHECK, stage_2_firm_and_pair_open),
    Row(S.INTERLOCK_CHECK, S.RELEASE_WAIT, handswitch_released),
    Row(S.INTERLOCK_CHECK, S.RELEASE_WAIT, stop_requested),
    Row(S.INTERLOCK_CHECK, S.RELEASE_WAIT, shot_changed),
    Row(S.INTERLOCK_CHECK, S.EXPOSE, everything_true_in_this_scan),
    Row(S.EXPOSE, S.READOUT, handswitch_released),
    Row(S.EXPOSE, S.READOUT, stop_requested),
    Row(S.EXPOSE, S.READOUT, planned_charge_reached),
    Row(S.EXPOSE, S.READOUT, planned_time_reached),
    Row(S.EXPOSE, S.READOUT, generator_timer_ended),
    Row(S.EXPOSE, S.READOUT, generator_charge_ended),
    Row(S.READOUT, S.RELEASE_WAIT, everything_saved),
    Row(S.RELEASE_WAIT, S.STANDBY, both_stages_open),
    Row(S.FAULT, S.RELEASE_WAIT, reset_with_cause_gone),
    Row(S.LOCKED, S.RELEASE_WAIT, key_turned_and_reset),
)
TABLE = TRIPS + SEQUENCE


class _Sequence:
    """The model that `transitions` wants; `scan` and `state` are added to it at run time."""

    state: State
    scan: Callable[[View], bool]


def _naming(when: Callable[[View], bool]) -> Callable[[View], bool]:
    """The predicate, which leaves its name in the view when it holds."""

    def named(view: View) -> bool:
        if not when(view):
            return False
        view.why = when.__name__
        return True

    named.__name__ = when.__name__
    return named


def build_machine(model: object, table: tuple[Row, ...] = TABLE) -> Machine:
    """`auto_transitions` off: its to_EXPOSE() would pass every guard (safety-requirements 8.2)."""
    machine = Machine(model=model, states=State, initial=State.BOOT, auto_transitions=False)
    for row in table:
        machine.add_transition("scan", row.source, row.dest, conditions=[_naming(row.when)])
    return machine


_sequence = _Sequence()
_machine = build_machine(_sequence)


def next_state(view: View) -> State:
    """The state after this scan; `view.why` names the predicate when it changed."""
    _sequence.state = view.memory.state
    _sequence.scan(view)
    return _sequence.state
