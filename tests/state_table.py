"""The table of state and input: what the real `step` does in one scan, as text for a reviewer.

A case is a memory in one of the states with inputs in which all is in order, and one thing
that happens. Nothing is decided here: the text is what `step` answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, SelfTestStep, State
from hal.types import (
    EndReason,
    ExposureReport,
    GeneratorState,
    Inputs,
    Outputs,
    PanelState,
    Requests,
    RoomSample,
    ShotKind,
    Technique,
)
from tests.samples import (
    LIMITS,
    READ,
    SHOT,
    T_US,
    exposing,
    generator,
    held,
    in_beam,
    inputs,
    kept,
    memory,
    panel,
    ready_generator,
    recorder,
    room,
)

S = State
Case = tuple[Memory, Inputs]
DARK = replace(SHOT, shot_id="shot-2", kind=ShotKind.DARK)
BY_TIME = replace(SHOT, technique=Technique(kv=80.0, ma=0.5, ms=1000.0))
REPORT = ExposureReport(shot=SHOT, reason=EndReason.RELEASED, beam=True, mas=1.0, maximum_mas=1.0)
ONE_STAGE = room(stage_1=True)
PREPARED = panel(state=PanelState.READY)


def _latched(state: State, fault: str) -> Case:
    """Radiation is proved off; what latched is over."""
    proof = generator(beam_on=False, beam_taken_us=T_US)
    return memory(state, faults=(fault,)), inputs(generator=proof)


# --- each state with everything in order: what a reviewer has to know of it, and the case
START: dict[State, tuple[str, Case]] = {
    S.BOOT: (
        "Power came 10 ms ago, no device has answered.",
        (
            memory(S.BOOT),
            inputs(
                room=RoomSample(taken_us=T_US),
                generator=generator(state=GeneratorState.OFFLINE),
                panel=panel(state=PanelState.DISCONNECTED),
                recorder=recorder(alive=False),
            ),
        ),
    ),
    S.SELF_TEST: (
        "The enable relay was closed, and its own timer shall drop it.",
        (
            memory(S.SELF_TEST, test_step=SelfTestStep.DROP_OUT, test_step_us=T_US - 10_000),
            inputs(room=room(enable_readback=True, enable_taken_us=T_US)),
        ),
    ),
    S.STANDBY: ("A shot is programmed, the switch is open.", (memory(S.STANDBY), inputs())),
    S.PREP: (
        "Stage 1 is held; generator and panel prepare, the intent is not durable yet.",
        (
            memory(S.PREP),
            inputs(room=ONE_STAGE, generator=generator(state=GeneratorState.PREPARING)),
        ),
    ),
    S.READY: (
        "Stage 1 is held; all is prepared, the interlock pair is open.",
        (
            memory(S.READY, stage_2_since_us=None),
            inputs(
                room=ONE_STAGE,
                generator=ready_generator(interlock_closed=False),
                panel=PREPARED,
                recorder=kept(),
            ),
        ),
    ),
    S.INTERLOCK_CHECK: (
        "Both stages are held, all is true but the panel's window.",
        (
            memory(S.INTERLOCK_CHECK, stage_2_since_us=T_US - 50_000),
            inputs(room=held(), generator=ready_generator(), panel=PREPARED, recorder=kept()),
        ),
    ),
    S.EXPOSE: (
        "Both stages are held; the beam was accepted 0.7 s ago and has given 0.3 of 0.5 mAs.",
        (
            exposing(replace(READ, read_mas=0.3)),
            in_beam(),
        ),
    ),
    S.READOUT: (
        "The beam is proved off; both stages are still held, dose and image are awaited.",
        (
            memory(S.READOUT, window_from_us=None),
            inputs(room=held(), generator=generator(beam_on=False), panel=PREPARED,
                   recorder=kept()),
        ),
    ),
    S.RELEASE_WAIT: (
        "All is saved; both stages are still held.",
        (memory(S.RELEASE_WAIT), inputs(room=held())),
    ),
    S.FAULT: ("The door was open in a sequence, and is closed again.",
              _latched(S.FAULT, "DOOR_OPEN")),
    S.LOCKED: ("There was radiation without a command; it is proved off.",
               _latched(S.LOCKED, "STRAY_BEAM")),
}  # fmt: skip


# --- what may happen


def _in(part: str, **changes: Any) -> Callable[[Case], Case]:
    """One sample of the inputs is another one."""

    def happens(case: Case) -> Case:
        before, now = case
        sample = replace(getattr(now, part), **changes)
        return before, replace(now, **{part: sample})

    return happens


def _both(*happen: Callable[[Case], Case]) -> Callable[[Case], Case]:
    def happens(case: Case) -> Case:
        for one in happen:
            case = one(case)
        return case

    return happens


def _of_memory(**changes: Any) -> Callable[[Case], Case]:
    return lambda case: (replace(case[0], **changes), case[1])


def _asked(**changes: Any) -> Callable[[Case], Case]:
    return lambda case: (
        case[0],
        replace(case[1], requests=replace(case[1].requests, **changes)),
    )


def _nothing(case: Case) -> Case:
    return case


def _deadline(case: Case) -> Case:
    """The state lasts for as long as it may; a minute where it may for ever."""
    before, now = case
    longest_us = {
        S.BOOT: LIMITS.boot_us,
        S.SELF_TEST: LIMITS.self_test_us,
        S.PREP: LIMITS.prep_us,
        S.READY: LIMITS.ready_us,
        S.INTERLOCK_CHECK: LIMITS.interlock_check_us,
        S.READOUT: LIMITS.readout_us,
        S.RELEASE_WAIT: LIMITS.release_us,
    }.get(before.state, 60_000_000)
    before = replace(before, since_us=T_US - longest_us)
    if before.beam is not None:  # its own timer, a tenth, and the age of a status
        beam = replace(before.beam, sent_us=T_US - 3_000_000)
        before = replace(before, beam=beam)
    return before, now


def _all_answer(case: Case) -> Case:
    before, _ = case
    return (before, inputs()) if before.state is S.BOOT else case


def _all_prepared(case: Case) -> Case:
    before, now = case
    if before.state is not S.PREP:
        return case
    ready = ready_generator(interlock_closed=False)
    return before, replace(now, generator=ready, panel=PREPARED, recorder=kept())


def _dark_ready(case: Case) -> Case:
    """A dark frame instead of the shot, and all that it needs."""
    before, now = case
    if before.state is not S.PREP:
        return case
    before = replace(before, shot=DARK, used_shot_id=DARK.shot_id)
    ready = replace(now, panel=PREPARED, recorder=kept(intent_durable=DARK.shot_id))
    return before, replace(ready, room=room(), requests=Requests(shot=DARK))


def _timer_ran_out(case: Case) -> Case:
    """The shot is one by time, and the generator says "off" when its time is over."""
    before, now = case
    if before.state is not S.EXPOSE or before.beam is None:
        return _in("generator", beam_on=False, beam_taken_us=T_US)(case)
    beam = replace(before.beam, sent_us=T_US - 1_000_000)
    off = replace(now.generator, beam_on=False, beam_taken_us=T_US)
    before = replace(before, shot=BY_TIME, beam=beam)
    return before, replace(now, generator=off, requests=Requests(shot=BY_TIME))


def _time_over_without_timer(case: Case) -> Case:
    """The shot is one by time, and its time is over; the generator has no timer and goes on."""
    before, now = case
    if before.state is not S.EXPOSE or before.beam is None:
        return case
    beam = replace(before.beam, sent_us=T_US - 1_100_000, accepted_us=T_US - 1_000_000)
    limits = replace(before.limits, has_own_timer=False)
    before = replace(before, shot=BY_TIME, beam=beam, limits=limits)
    return before, replace(now, requests=Requests(shot=BY_TIME))


def _own_charge_given(case: Case) -> Case:
    """The generator counts the mAs itself, says "off", and no contact has moved."""
    before, now = case
    before = replace(before, limits=replace(LIMITS, ends_mas=True))
    return _in("generator", beam_on=False, beam_taken_us=T_US)((before, now))


def _charge_given(case: Case) -> Case:
    before, now = case
    beam = before.beam and replace(before.beam, read_mas=0.49)
    return replace(before, beam=beam), now


def _far_too_much(case: Case) -> Case:
    """In the beam by its own integral, then by its report."""
    before, now = case
    beam = before.beam and replace(before.beam, read_mas=1.0)
    report = None if before.state is S.EXPOSE else REPORT
    return replace(before, beam=beam, report=report), now


_SAVED = _in("recorder", dose_saved=SHOT.shot_id, image_saved=SHOT.shot_id,
             intent_durable=SHOT.shot_id)  # fmt: skip
_STAGE_2_HELD = _both(
    _of_memory(stage_2_since_us=T_US - 50_000), _in("room", stage_1=True, stage_2=True)
)
_RESET_HELD = _both(_of_memory(reset_since_us=T_US - LIMITS.reset_us), _in("room", reset=True))
WHEN: dict[str, Callable[[Case], Case]] = {
    "nothing": _nothing,
    # the hand
    "stage 1 alone": _in("room", stage_1=True, stage_2=False),
    "both stages for one sample": _in("room", stage_1=True, stage_2=True),
    "both stages for 50 ms": _STAGE_2_HELD,
    "stage 2 alone": _in("room", stage_1=False, stage_2=True),
    "open for one sample": _in("room", stage_1=False, stage_2=False),
    "open for 50 ms": _both(
        _of_memory(open_since_us=T_US - 50_000), _in("room", stage_1=False, stage_2=False)
    ),
    "stop requested": _asked(stop=True),
    "reset requested": _asked(reset=True),
    "reset contact for one sample": _in("room", reset=True),
    "reset contact": _RESET_HELD,
    "reset with the door open": _both(_in("room", door=False), _asked(reset=True)),
    "reset with stage 1 held": _both(_in("room", stage_1=True), _asked(reset=True)),
    "reset with a stuck contact": _both(_of_memory(reset_armed=False), _RESET_HELD),
    "key turned and reset": _both(_of_memory(key_was_off=True), _asked(reset=True)),
    "another shot programmed": _asked(shot=replace(SHOT, shot_id="shot-2")),
    "shot withdrawn": _asked(shot=None),
    "dark frame programmed": _asked(shot=DARK),
    "dark frame prepared": _dark_ready,
    # the room
    "door opens": _in("room", door=False),
    "door open and stage 1": _in("room", door=False, stage_1=True),
    "e-stop pressed": _in("room", estop=False),
    "safety chain opens": _in("room", chain=False),
    "door open and relay stuck": _both(
        _of_memory(disagree_us=T_US - LIMITS.chain_us), _in("room", door=False)
    ),
    "key switched off": _in("room", key=False),
    "room I/O silent": _in("room", link_ok=False),
    "room sample 100 ms old": _in("room", taken_us=T_US - LIMITS.room_age_us),
    # the generator
    "generator silent": _in("generator", state=GeneratorState.OFFLINE, beam_on=None),
    "generator arcs": _in("generator", faults=("ARC",)),
    "unknown vendor code": _in("generator", faults=("bit 13",)),
    "generator not ready": _in("generator", state=GeneratorState.PREPARING, confirmed=None),
    "echo of another technique": _in(
        "generator", confirmed=replace(SHOT.technique, kv=SHOT.technique.kv + 1)
    ),
    "generator refuses ON": _both(
        _of_memory(beam=replace(READ, accepted_us=None, read_us=None)),
        _in("generator", refused=True, on_answered_us=None),
    ),
    "kV 15 % too high": _in("generator", kv=92.0),
    "status says beam on": _in("generator", beam_on=True, beam_taken_us=T_US + LIMITS.fall_us),
    "status says beam off": _in("generator", beam_on=False, beam_taken_us=T_US),
    "generator's timer ran out": _timer_ran_out,
    "planned time over, no timer": _time_over_without_timer,
    "planned charge reached": _charge_given,
    "generator's own mAs reached": _own_charge_given,
    "twice the planned charge": _far_too_much,
    "third arc in ten beams": _of_memory(arcs=(True, False, True, True)),
    "pair closed without enable": _both(
        _STAGE_2_HELD, _in("generator", interlock_closed=True, interlock_taken_us=T_US)
    ),
    "pair opens": _in("generator", interlock_closed=False, faults=("INTERLOCK_OPEN",)),
    # the panel
    "panel error": _in("panel", state=PanelState.ERROR),
    "panel lost": _in("panel", state=PanelState.DISCONNECTED),
    "another panel answers": _in("panel", panel_id="P2"),
    "window opens": _in("panel", state=PanelState.INTEGRATING, window_open_us=T_US),
    "window closes": _in("panel", state=PanelState.READOUT),
    # the recorder, and the unit itself
    "recorder dead": _in("recorder", alive=False),
    "disk full": _in("recorder", disk_ok=False),
    "dose and image saved": _SAVED,
    "image can't be made": _in("recorder", dose_saved=SHOT.shot_id, image_failed=SHOT.shot_id),
    "all devices answer": _all_answer,
    "enable relay drops": _in("room", enable_readback=False, enable_taken_us=T_US),
    "all prepared": _all_prepared,
    "scan 0.2 s late": lambda case: (case[0], replace(case[1], late_us=LIMITS.late_us + 1)),
    "its deadline": _deadline,
    "a day since the self-test": _of_memory(tested_us=T_US - LIMITS.self_test_every_us),
    "fifth reset in 10 minutes": _of_memory(resets_us=(T_US - 60_000_000,) * 5),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """What `step` made of one case."""

    source: State
    when: str
    dest: State
    why: str  # "" where the state stays
    told: tuple[str, ...]  # faults, or what refused the press
    outputs: Outputs


def cells() -> Iterator[Cell]:
    for state, (_, start) in START.items():
        for when, happens in WHEN.items():
            yield _cell(state, when, happens(start))


def _cell(state: State, when: str, case: Case) -> Cell:
    before, now = case
    after, outputs = step(before, now)
    moved = after.state is not state
    told = tuple(code for code in after.faults if code not in before.faults) or after.refused
    return Cell(state, when, after.state, after.why if moved else "", told, outputs)


# --- as text

HEAD = ("when", "then", "because", "told", "on")
LEVELS = {
    "enable": "enable",
    "enable_lapse": "lapse",
    "contactor": "contactor",
    "window_from_us": "window",
    "ready_lamp": "ready lamp",
    "beam_lamp": "beam lamp",
    "buzzer": "sound",
    "clear_faults_from_us": "clear",
}


def text() -> str:
    found = list(cells())
    parts = [_ABOUT]
    for state, (about, _) in START.items():
        rows = [cell for cell in found if cell.source is state]
        parts.append(f"## {state.value}\n\n{about}\n\n{_of_state(rows)}")
    return "\n".join(parts)


def _of_state(rows: list[Cell]) -> str:
    """What does something is a line of its own; all else is named below, so that all is said."""
    nothing = rows[0]
    same = [cell for cell in rows[1:] if _effect(cell) == _effect(nothing)]
    table = _table([cell for cell in rows if cell not in same])
    names = fill(f"As nothing: {'; '.join(cell.when for cell in same)}.", 100)
    return f"{table}\n{names}\n"


def _effect(cell: Cell) -> tuple[object, ...]:
    return cell.dest, cell.told, _outputs(cell.outputs)


def _table(rows: list[Cell]) -> str:
    lines = [HEAD, *(_words(cell) for cell in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rule = tuple("-" * width for width in widths)
    return "".join(_line(line, widths) for line in (lines[0], rule, *lines[1:]))


def _line(words: tuple[str, ...], widths: list[int]) -> str:
    padded = (f"{word:<{width}}" for word, width in zip(words, widths, strict=True))
    return f"| {' | '.join(padded)} |\n"


def _words(cell: Cell) -> tuple[str, ...]:
    dest = "." if cell.dest is cell.source else cell.dest.value
    return cell.when, dest, cell.why, " ".join(cell.told), _outputs(cell.outputs)


def _outputs(outputs: Outputs) -> str:
    beam = ["BEAM"] if outputs.expose_from_us is not None else []
    on = [word for name, word in LEVELS.items() if getattr(outputs, name) not in (None, False)]
    return ", ".join(beam + on) or "-"


_ABOUT = """\
# State and input

What one scan of the unit does: for each state, with all in order, one thing that happens. Written
by `tests/state_table.py` from the real `step`; `pytest tests/test_state_table.py --update-golden`
rewrites it. **The difference is what is reviewed**: nothing here may change without a reason.

- *then*: the state after this scan, `.` where it stays; *because*: the row that was taken.
- *told*: the faults that were latched, or what refused the press.
- *on*: BEAM = the generator is ordered ON (else it is ordered OFF); enable = the enable relay is
  held; lapse = its own timer shall drop it; window = the panel shall integrate; clear = the
  generator's latched faults are cleared.
- *As nothing*: what does the same as nothing at all, because the state does not ask for it, or
  because it can't be there (a window that opens in BOOT).
"""
