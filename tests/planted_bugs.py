"""Bugs planted into the controller, one at a time, for a search that must find each."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import pytest

from firmware_py.decide import interlocks, outputs, states, supervisor
from firmware_py.decide.memory import Memory, State
from firmware_py.decide.states import Row, build_machine
from firmware_py.decide.view import View
from hal.now import Now
from hal.types import GeneratorState, Inputs, PanelState, ShotKind
from rig.search.explore import NO_WAY_HOME

S = State
Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    name: str
    plant: Callable[[Patch], None]
    found_as: str  # a property that names it, or part of it
    faults: int = 0  # how many devices must be wrong at a time


def table(patch: Patch, rows: tuple[Row, ...]) -> None:
    model = states._Sequence()
    patch.setattr(states, "_machine", build_machine(model, rows))
    patch.setattr(states, "_sequence", model)


def without(source: State, name: str) -> Callable[[Patch], None]:
    """A row of the table is forgotten."""
    rows = tuple(r for r in states.TABLE if (r.source, r.when.__name__) != (source, name))
    assert len(rows) == len(states.TABLE) - 1
    return lambda patch: table(patch, rows)


def instead(
    source: State, name: str, when: Callable[[View], bool], dest: State | None = None
) -> Callable[[Patch], None]:
    """A row of the table asks something else, or leads elsewhere."""

    def changed(row: Row) -> Row:
        if (row.source, row.when.__name__) != (source, name):
            return row
        return Row(row.source, dest or row.dest, when)

    rows = tuple(changed(row) for row in states.TABLE)
    assert rows != states.TABLE
    return lambda patch: table(patch, rows)


def says(module: Any, name: str, answer: object) -> Callable[[Patch], None]:
    """A function gives the same answer whatever it is asked."""
    return lambda patch: patch.setattr(module, name, lambda *_: copy(answer))


def deaf_to(module: Any, name: str, *codes: str) -> Callable[[Patch], None]:
    """A function that finds causes does not find these."""
    honest = getattr(module, name)

    def deaf(*given: Any) -> list[str]:
        return [code for code in honest(*given) if code not in codes]

    return lambda patch: patch.setattr(module, name, deaf)


def output(state: State, **wrong: object) -> Callable[[Patch], None]:
    """Outputs of a state are wrong."""
    honest = outputs._BY_STATE[state]
    return lambda patch: patch.setitem(outputs._BY_STATE, state, lambda m: honest(m) | wrong)


def no_deadline(state: State) -> Callable[[Patch], None]:
    return lambda patch: patch.delitem(supervisor._OVERDUE, state)


def both(*plants: Callable[[Patch], None]) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        for each in plants:
            each(patch)

    return plant


# --- predicates that are wrong


def always(view: View) -> bool:
    return True


def never(view: View) -> bool:
    return False


def held_too_long_by_hand(view: View) -> bool:
    age_us = view.inputs.t_us - view.memory.since_us
    return age_us - view.memory.limits.ready_us >= 0  # us-compare: the bug that is planted


def stage_1_alone(view: View) -> bool:
    return not view.inputs.room.stage_1


def stage_2_firm(view: View) -> bool:
    memory = view.memory
    return states._seen_for(view, memory.stage_2_since_us, memory.limits.stage_2_us)


def trips_but_for_a_beam(view: View) -> bool:
    return view.memory.state is not S.EXPOSE and states.fault_that_trips(view)


def reset_whatever_lasts(view: View) -> bool:
    return states.reset_pressed(view) and states._switch_open(view)


def reset_with_the_switch_held(view: View) -> bool:
    return states.reset_pressed(view) and not view.causes


def start_without_stages(view: View) -> bool:
    shown = view.inputs.generator
    return (
        states._generator_ready(view)
        and shown.interlock_closed is True
        and states._window_open(view)
        and states._recorder_ready(view)
    )


def any_receptor(patch: Patch) -> None:
    honest = states._window_open

    def careless(view: View) -> bool:
        shot = view.memory.shot
        bare = shot is not None and shot.kind is ShotKind.NO_RECEPTOR
        return bare or honest(view)

    patch.setattr(states, "_window_open", careless)


def any_technique(patch: Patch) -> None:
    def unconfirmed(view: View) -> bool:
        return view.inputs.generator.state is GeneratorState.READY

    patch.setattr(states, "_generator_ready", unconfirmed)


def enable_in_fault(patch: Patch) -> None:
    patch.setitem(outputs._BY_STATE, S.FAULT, lambda memory: {"enable": True})


def nobody_asks_for_the_stages(patch: Patch) -> None:
    """Both rows that do: the equivalent bug below is one of them alone."""
    source, start = S.INTERLOCK_CHECK, "everything_true_in_this_scan"
    rows = [r for r in states.TABLE if (r.source, r.when.__name__) != (source, start)]
    rows = [r for r in rows if (r.source, r.when.__name__) != (source, "handswitch_released")]
    table(patch, (*rows, Row(source, S.EXPOSE, start_without_stages)))


def panel_error_hides_the_e_stop(patch: Patch) -> None:
    """To be seen with two devices wrong, and a shot that asks nothing of the panel.

    The e-stop drops the safety relay, too, so both must be hidden.
    """
    honest = interlocks.room_causes

    def hidden(memory: Memory, inputs: Inputs, now: Now) -> list[str]:
        found = honest(memory, inputs, now)
        wrong = inputs.panel.state is PanelState.ERROR
        return [code for code in found if not (wrong and code in ("ESTOP", "CHAIN_OPEN"))]

    patch.setattr(interlocks, "room_causes", hidden)


RELEASE = "the release did not end the beam in its scan"
BUGS = (
    Bug("the release after a beam is not waited for",
        instead(S.RELEASE_WAIT, "both_stages_open", always), "a second beam without a release"),
    Bug("no window is asked for", says(states, "_window_open", True),
        "without an armed detector", 1),
    Bug("another panel will do", says(interlocks, "right_panel", True),
        "without an armed detector", 1),
    Bug("a panel may stand in a beam without a receptor", any_receptor,
        "a beam onto a panel", 1),
    Bug("no intent is asked for", says(states, "_recorder_ready", True),
        "without a durable intent", 1),
    Bug("any state of the generator is ready", says(states, "_generator_ready", True),
        "a generator that is not ready", 1),
    Bug("a technique that is not confirmed is used", any_technique, "not confirmed", 1),
    Bug("an open chain is not seen", deaf_to(interlocks, "room_causes", "CHAIN_OPEN"),
        "an open contact", 1),
    Bug("a room that is silent or old is not seen",
        deaf_to(interlocks, "room_causes", "ROOM_IO_LOST"), "an old look at the room", 1),
    Bug("stage 2 does not end the beam",
        instead(S.EXPOSE, "handswitch_released", stage_1_alone), RELEASE),
    Bug("the release is debounced",
        instead(S.EXPOSE, "handswitch_released", states.both_stages_open), RELEASE),
    Bug("a stop does not end the beam", without(S.EXPOSE, "stop_requested"), "a stop did not"),
    Bug("a fault does not end the beam",
        instead(S.EXPOSE, "fault_that_trips", trips_but_for_a_beam), "a fault did not", 1),
    Bug("a window that closes does not end the beam",
        deaf_to(supervisor, "_exposing", "WINDOW_ENDED"), "the end of the window did not", 1),
    Bug("a late scan does not end the beam", deaf_to(supervisor, "_exposing", "SCAN_LATE"),
        "a fault did not", 1),
    Bug("the enable relay is held in READOUT", output(S.READOUT, enable=True),
        "the enable relay is held in READOUT"),
    Bug("after a release the enable pulse runs out by itself",
        output(S.READOUT, enable_lapse=True), RELEASE),
    Bug("OFF is not told", output(S.READOUT, expose_from_us=1), "a beam in READOUT"),
    Bug("the enable relay is held in FAULT", enable_in_fault, "the enable relay is held in FAULT"),
    Bug("a stop before the beam is not seen", without(S.INTERLOCK_CHECK, "stop_requested"),
        "a beam against a stop"),
    Bug("nobody asks for the stages at the start", nobody_asks_for_the_stages,
        "a beam without both stages held"),
    Bug("READY leads to the beam",
        instead(S.READY, "stage_2_firm_and_pair_open", states.stage_2_firm_and_pair_open, S.EXPOSE),
        "a beam from READY"),
    Bug("a stray beam is not seen", says(supervisor, "_stray_beam", []),
        "a reset while the beam is seen on", 1),
    Bug("a dark frame goes the way of a beam",
        instead(S.PREP, "dark_frame_prepared", states.dark_frame_prepared, S.EXPOSE),
        "a beam for a dark frame"),
    Bug("a shot that was changed is made", without(S.INTERLOCK_CHECK, "shot_changed"),
        "another shot than the programmed one"),
    Bug("a welded enable relay is not seen",
        both(instead(S.READY, "stage_2_firm_and_pair_open", stage_2_firm),
             says(supervisor, "_welded", [])), "closed by itself", 1),
    Bug("a reset does not ask whether the cause is gone",
        instead(S.FAULT, "reset_with_cause_gone", reset_whatever_lasts),
        "a reset against an open e-stop", 1),
    Bug("a reset does not ask for an open switch",
        instead(S.FAULT, "reset_with_cause_gone", reset_with_the_switch_held),
        "a reset with the switch held"),
    Bug("a fault heals by itself",
        instead(S.FAULT, "reset_with_cause_gone", states._switch_open), "without a reset"),
    Bug("after a fault the sequence goes on",
        instead(S.FAULT, "reset_with_cause_gone", always, S.INTERLOCK_CHECK),
        "a beam with a latched fault", 1),
    Bug("nothing leads out of LOCKED", instead(S.LOCKED, "key_turned_and_reset", never),
        NO_WAY_HOME, 1),
    Bug("READOUT has no deadline", no_deadline(S.READOUT), "READOUT outlasts", 1),
    Bug("RELEASE_WAIT has no deadline", no_deadline(S.RELEASE_WAIT), "RELEASE_WAIT outlasts"),
    Bug("READY has no deadline", without(S.READY, "ready_held_too_long"), "READY outlasts"),
    Bug("a deadline is compared by hand",
        instead(S.READY, "ready_held_too_long", held_too_long_by_hand), "something changes before"),
    Bug("PREP has no deadline", no_deadline(S.PREP), "PREP outlasts", 1),
    Bug("the beam has no deadline", says(supervisor, "_feedback", []), "EXPOSE outlasts", 1),
    Bug("a panel error hides the e-stop", panel_error_hides_the_e_stop, "an open contact", 2),
    Bug("a press is never refused", says(interlocks, "inhibits", ()), "step raises"),
)  # fmt: skip
EQUIVALENT = (
    # The row before it leaves INTERLOCK_CHECK in the same scan when a stage is open.
    Bug("the start does not ask for the stages",
        instead(S.INTERLOCK_CHECK, "everything_true_in_this_scan", start_without_stages), ""),
)  # fmt: skip
