"""What must hold at each transition, by what the world knows and not by what `step` remembers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from hal.now import earliest_us, since
from hal.types import GeneratorState, Inputs, Outputs, Shot, ShotKind
from rig.search.words import LIMITS, NOW_US, SCAN_US, TECHNIQUES, kind_of
from rig.search.world import World, relay_closed

S = State
LONGEST_US = {
    S.BOOT: LIMITS.boot_us,
    S.SELF_TEST: LIMITS.self_test_us,
    S.PREP: LIMITS.prep_us,
    S.READY: LIMITS.ready_us,
    S.INTERLOCK_CHECK: LIMITS.interlock_check_us,
    S.EXPOSE: 8 * SCAN_US,  # ramp, longest timer and the age that a status may have
    S.READOUT: LIMITS.readout_us,
    S.RELEASE_WAIT: LIMITS.release_us,
}
MAY_ENABLE = (S.SELF_TEST, S.INTERLOCK_CHECK, S.EXPOSE)
# Seen in the scan in which the world breaks. "status stale" and the timer have their own time.
ENDS_AT_ONCE = frozenset((
    "room silent", "generator silent", "arc", "panel silent", "panel error", "scan late",
))  # fmt: skip


class Transition(NamedTuple):
    before: Memory
    world: World  # as it was looked at
    inputs: Inputs
    after: Memory
    outputs: Outputs
    obeyed: World


def broken(t: Transition) -> Iterator[str]:
    """The properties that this transition breaks, in words."""
    if t.outputs.expose_from_us is not None and t.before.state is not S.EXPOSE:
        yield from _start(t)
    if t.before.state is S.EXPOSE:
        yield from _end(t)
    checks = t.after.state is S.INTERLOCK_CHECK and t.before.state is not S.INTERLOCK_CHECK
    if checks and relay_closed(t.world):
        yield "the sequence goes on over an enable relay that is closed by itself"
    if t.before.state in (S.FAULT, S.LOCKED) and t.after.state not in (S.FAULT, S.LOCKED):
        yield from _reset(t)
    yield from _always(t)


def _start(t: Transition) -> Iterator[str]:
    """SR-01, 02, 04, 05, 06, 09, 10, 52."""
    world, shot = t.world, t.after.shot
    held_lately = since(world.held_us, NOW_US - LIMITS.room_age_us + SCAN_US)
    shown = world.room.stage_1 and world.room.stage_2 and not world.room.opened
    reasons = (
        (not held_lately, "a beam without both stages held and the chain closed just now"),
        (not shown, "a beam against what the room showed"),
        ("room silent" in world.faults, "a beam without the room"),
        (bool(world.beams), "a second beam without a release of the switch"),
        (t.before.state is not S.INTERLOCK_CHECK, f"a beam from {t.before.state.value}"),
        (bool(t.after.faults), "a beam with a latched fault"),
        (t.inputs.requests.stop, "a beam against a stop"),
        (shot != t.inputs.requests.shot, "a beam of another shot than the programmed one"),
    )
    yield from (words for holds, words in reasons if holds)
    if shot is not None:
        yield from _prepared(t, shot)
        yield from _receptor(world, shot.kind, shot.shot_id)


def _prepared(t: Transition, shot: Shot) -> Iterator[str]:
    world = t.world
    ready = t.inputs.generator.state is GeneratorState.READY and "arc" not in world.faults
    confirmed = world.prepared == kind_of(shot) and "echo wrong" not in world.faults
    durable = world.intent == shot.shot_id and "recorder dead" not in world.faults
    if not ready:
        yield "a beam of a generator that is not ready"
    if not confirmed or t.outputs.technique != TECHNIQUES[kind_of(shot)]:
        yield "a beam of a technique that is not confirmed"
    if not durable:
        yield "a beam without a durable intent"


def _receptor(world: World, kind: ShotKind, shot_id: str) -> Iterator[str]:
    if kind is ShotKind.DARK:
        yield "a beam for a dark frame"
    window = world.window_us is not None and since(NOW_US, world.window_us)
    deaf = world.faults & {"panel silent", "panel error", "panel slow", "no window"}
    armed = window and not deaf and world.window_shot == shot_id
    if kind is ShotKind.IMAGING and (not armed or "another panel" in world.faults):
        yield "an imaging beam without an armed detector"
    if kind is ShotKind.NO_RECEPTOR and "panel integrates" in world.faults and not deaf:
        yield "a beam onto a panel that shall not be there"


def _end(t: Transition) -> Iterator[str]:
    """SR-04, SR-17 and what follows: off in the very scan that sees the reason."""
    room, world, outputs = t.world.room, t.world, t.outputs
    shot = t.before.shot
    deaf = world.faults & {"panel silent", "panel error"}
    faults = (world.faults & ENDS_AT_ONCE) - (deaf if shot and not shot.has_frame else frozenset())
    window = world.faults & {"no window", "panel slow"}
    lost = shot is not None and shot.has_frame and bool(window)
    old = not since(room.taken_us, NOW_US - LIMITS.room_age_us + SCAN_US)
    reasons = (
        (not (room.stage_1 and room.stage_2), "the release"),
        (bool(room.opened), "an open contact"),
        (old, "an old look at the room"),
        (t.inputs.requests.stop, "a stop"),
        (bool(faults), "a fault"),
        (lost, "the end of the window"),
    )
    dropped = not (outputs.enable or outputs.enable_lapse or outputs.expose_line)
    if outputs.expose_from_us is not None or not dropped:
        for holds, words in reasons:
            if holds:
                yield f"{words} did not end the beam in its scan"


def _reset(t: Transition) -> Iterator[str]:
    """SR-41: a person, an open switch, and the cause gone."""
    world = t.world
    if not t.inputs.requests.reset:
        yield "a latched fault left without a reset"
    if world.room.stage_1 or world.room.stage_2:
        yield "a reset with the switch held"
    if "e-stop" in world.faults or "room silent" in world.faults:
        yield "a reset against an open e-stop or without the room"
    if world.status and since(world.status_us, NOW_US):
        yield "a reset while the beam is seen on"


def _always(t: Transition) -> Iterator[str]:
    state, outputs, shot = t.after.state, t.outputs, t.after.shot
    if outputs.enable and state not in MAY_ENABLE:
        yield f"the enable relay is held in {state.value}"
    if outputs.expose_from_us is not None and (shot is None or not shot.has_beam):
        yield "a beam is ordered for a dark frame"
    if (outputs.expose_from_us is not None) != outputs.expose_line:
        yield "the EXPOSE line and the order say different things"
    longest_us = LONGEST_US.get(state)
    if longest_us is not None and not since(t.after.since_us, NOW_US - longest_us):
        yield f"{state.value} outlasts its deadline"
    if t.obeyed.hv and state is not S.EXPOSE and "OFF lost" not in t.world.faults:
        yield f"a beam in {state.value}"
    yield from layers(t.obeyed)


def layers(world: World) -> Iterator[str]:
    """If the controller died now, relay pulse or generator timer would end the beam (SR-21, 46).

    With both of them broken it is the hand: stage 2 stands in series with the pair.
    """
    broken_timer = "timer dead" in world.faults or not world.has_timer
    if not world.hv or ("relay welded" in world.faults and broken_timer):
        return
    until_us, end_us = world.relay_until_us or NOW_US, world.timer_end_us
    pulse = "relay welded" not in world.faults
    pulse = pulse and since(NOW_US + LIMITS.enable_pulse_us, until_us)
    timer = end_us is not None and not broken_timer
    timer = timer and since(NOW_US + 6 * SCAN_US, end_us or NOW_US)
    if not (pulse or timer):
        yield "a beam that neither relay pulse nor timer would end"


def too_early(t: Transition) -> Iterator[str]:
    """`next_us` is honest: nothing arrives, so nothing changes before it, and time may jump there.

    So the scans of a wait may be looked at one by one, or be left out.
    """
    last_us = earliest_us(t.outputs.next_us - 1, NOW_US + 200 * SCAN_US)
    if not since(last_us, NOW_US):
        return
    again = step(t.after, replace(t.inputs, t_us=last_us))
    if again != (t.after, t.outputs):
        yield "something changes before the time that the outputs name"
