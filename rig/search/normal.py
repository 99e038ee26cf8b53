"""One name for all memories and worlds that behave alike from here on.

What no rule reads again is dropped, times that are older than any rule asks are cut, and shots are
called by their part: frozen, next, other. Lamp, buzzer, dose and heat are not searched.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide.memory import Beam, Ending, Memory, SelfTestStep, State
from firmware_py.decide.supervisor import BEAM_IN_DOUBT, IN_SEQUENCE, LATCHED
from hal.now import latest_us, since
from hal.types import EndReason, ExposureReport, Shot, ShotKind
from rig.search.events import MUST_OPEN
from rig.search.words import (
    FROZEN,
    LIMITS,
    NOW_US,
    OTHER,
    SCAN_US,
    kind_of,
    report_of,
    shot_of,
)
from rig.search.world import CONTACTS, Room, World, earlier

OLD_US = NOW_US - 3 * SCAN_US  # older than any rule asks of a sample
RESTING_US = NOW_US - SCAN_US  # how long a state at rest can be told to last
OLDEST_US = NOW_US - 14 * SCAN_US  # longer than any state or beam lasts
AT_REST = frozenset({State.STANDBY, *LATCHED})
RESTING = AT_REST | {State.RELEASE_WAIT, State.SELF_TEST}
# In STANDBY a shot is programmed anew, or the same again.
PROGRAMMED_ANEW = (State.RELEASE_WAIT, State.SELF_TEST)
SEEN_AT_REST = frozenset((  # the others would lie dormant, and may begin again where they are seen
    "door open", "e-stop", "chain open", "key off", "room silent", "room stale", "stray beam",
    "generator silent", "status stale", "panel silent", "panel error", "recorder hangs", "OFF lost",
    "panel integrates", "recorder dead", "arc", "chain stuck",
))  # fmt: skip
SEEN_IN_TEST = SEEN_AT_REST | {"relay welded", "lamp dead"}
LASTING = BEAM_IN_DOUBT | {  # what a latched state asks again
    "ESTOP", "DOOR_OPEN", "CHAIN_OPEN", "KEY_OFF", "ROOM_IO_LOST", "GENERATOR_LINK_LOST",
    "PANEL_LINK_LOST", "PANEL_ERROR",
}  # fmt: skip


def normal(memory: Memory, world: World) -> tuple[Memory, World]:
    """After a scan: the same moment as `NOW_US` again, one scan later for what is stored."""
    world = _rename_world(memory, _clip_world(memory, _hand(memory, world)))
    return _memory(memory), world


def key_of(memory: Memory, world: World) -> tuple[object, ...]:
    """To find the pair again; the limits are the same everywhere, and slow to hash."""
    shot, report, beam, ending = memory.shot, memory.report, memory.beam, memory.ending
    return (
        memory.state.value,
        memory.since_us,
        memory.faults,
        memory.open_since_us,
        memory.stage_2_since_us,
        memory.key_was_off,
        memory.reset_armed,
        memory.must_open,
        memory.disagree_us,
        memory.test_step.value,
        memory.test_step_us,
        None if shot is None else (kind_of(shot), shot.shot_id),
        memory.used_shot_id,
        beam and (beam.ordered_us, beam.sent_us, beam.accepted_us, beam.off_seen_us,
                  beam.off_asked_us, beam.read_us, beam.read_ma, beam.read_mas),
        memory.window_from_us,
        memory.window_seen_us,
        ending and (ending.ordered_us, ending.reason.value, ending.answered_us),
        memory.lamp_dark,
        None if report is None else (kind_of(report.shot), report.shot.shot_id),
        world,
    )  # fmt: skip


def _memory(memory: Memory) -> Memory:
    state, in_sequence = memory.state, memory.state in IN_SEQUENCE
    asked = memory.ending is not None or in_sequence
    beam_asked = memory.ending is not None or state is State.EXPOSE
    pressable = in_sequence or state is State.STANDBY  # elsewhere it must be let go first
    oldest_us = RESTING_US if state in AT_REST else OLDEST_US
    return replace(
        memory,
        since_us=latest_us(memory.since_us - SCAN_US, oldest_us),
        why="",
        faults=tuple(sorted({c if c in LASTING else "another" for c in memory.faults})),
        refused=(),
        open_since_us=_cut(memory.open_since_us, LIMITS.both_open_us),
        stage_2_since_us=_cut(memory.stage_2_since_us, LIMITS.stage_2_us) if pressable else None,
        key_was_off=memory.key_was_off and state is State.LOCKED,
        reset_armed=memory.reset_armed and state in AT_REST,
        test_step=memory.test_step if state is State.SELF_TEST else SelfTestStep.PULL_IN,
        test_step_us=memory.test_step_us - SCAN_US if state is State.SELF_TEST else 0,
        shot=_shot(memory.shot, memory) if asked else None,
        used_shot_id=None if memory.used_shot_id is None and state not in LATCHED else FROZEN,
        beam=_beam(memory) if beam_asked else None,
        beam_end_us=None,
        window_from_us=NOW_US if in_sequence and memory.window_from_us is not None else None,
        window_seen_us=earlier(memory.window_seen_us) if state is State.READOUT else None,
        ending=_ending(memory.ending),
        report=_report(memory.report, memory),
        tested_us=NOW_US,  # a day has passed or it has not: `events.DAY`
        must_open=memory.must_open and state is State.STANDBY,
        disagree_us=_cut(memory.disagree_us, LIMITS.chain_us),
        beam_asked_us=None,
        beam_seen_us=None,
        arcs=memory.arcs[-1:] if state is State.EXPOSE else (),
        reset_since_us=None,
        resets_us=(),
        heat_j=0.0,
        heat_us=0,
    )


def _cut(moment_us: int | None, most_us: int) -> int | None:
    if moment_us is None:
        return None
    return latest_us(moment_us - SCAN_US, NOW_US - most_us)


def _beam(memory: Memory) -> Beam | None:
    beam = memory.beam
    if beam is None:
        return None
    if memory.state is not State.EXPOSE:  # only figures of the report are made of it
        return Beam(ordered_us=OLDEST_US, sent_us=OLDEST_US)
    return Beam(
        ordered_us=latest_us(beam.ordered_us - SCAN_US, OLDEST_US),
        sent_us=earlier(beam.sent_us),
        accepted_us=earlier(beam.accepted_us),
        off_seen_us=earlier(beam.off_seen_us),
        off_asked_us=earlier(beam.off_asked_us),
        read_us=earlier(beam.read_us),
        read_ma=beam.read_ma,
        read_mas=round(beam.read_mas, 6),
    )


def _ending(ending: Ending | None) -> Ending | None:
    if ending is None:
        return None
    planned = ending.reason is EndReason.PLANNED
    return Ending(
        ordered_us=ending.ordered_us - SCAN_US,
        reason=EndReason.PLANNED if planned else EndReason.FAULT,
        answered_us=earlier(ending.answered_us),
        heard=False,  # this one and the next are figures of the report
        overran=True,
    )


def _name(shot_id: str, memory: Memory) -> str:
    return FROZEN if shot_id == memory.used_shot_id else OTHER


def _shot(shot: Shot | None, memory: Memory) -> Shot | None:
    return None if shot is None else shot_of(kind_of(shot), _name(shot.shot_id, memory))


def _report(report: ExposureReport | None, memory: Memory) -> ExposureReport | None:
    if report is None:
        return None
    return report_of(kind_of(report.shot), _name(report.shot.shot_id, memory))


def _rename_world(memory: Memory, world: World) -> World:
    used = memory.used_shot_id
    in_sequence, reported = memory.state in IN_SEQUENCE, memory.report is not None

    def kept(shot_id: str, is_asked: bool) -> str:
        return FROZEN if is_asked and shot_id == used else ""

    if memory.state in PROGRAMMED_ANEW:
        world = world._replace(kind=None, name=FROZEN)
    elif memory.state in LATCHED:  # only whether it has a frame is asked
        bare = world.kind is ShotKind.NO_RECEPTOR
        world = world._replace(kind=world.kind if bare else ShotKind.IMAGING, name=FROZEN)
    elif world.name == used:
        world = world._replace(name=FROZEN)
    return world._replace(
        intent=kept(world.intent, in_sequence),
        dose=kept(world.dose, in_sequence or reported),
        image=kept(world.image, in_sequence),
        window_shot=kept(world.window_shot, in_sequence),
    )


def _hand(memory: Memory, world: World) -> World:
    """Where the switch must be opened first, it makes no odds what of it is held."""
    if memory.state not in MUST_OPEN or world.hv:
        return world
    held = world.stage_1 or world.stage_2
    world = world._replace(stage_1=held, stage_2=held)
    if "room stale" in world.faults:
        return world
    contacts = world.faults.intersection(CONTACTS)
    return world._replace(room=Room(NOW_US - SCAN_US, held, held, contacts))


def _clip_world(memory: Memory, world: World) -> World:
    """Ages that nobody asks any more are cut."""
    state = memory.state
    ordered = state in (State.INTERLOCK_CHECK, State.EXPOSE)
    seen = SEEN_IN_TEST if state is State.SELF_TEST else SEEN_AT_REST
    faults = world.faults & seen if state in RESTING and not world.hv else world.faults
    if state is not State.EXPOSE and world.order_us is None:
        faults -= {"OFF lost"}
    doubted = state in LATCHED and BEAM_IN_DOUBT.intersection(memory.faults)
    starts = state in (State.READY, State.INTERLOCK_CHECK)
    off_us = _beside(world.off_us, memory) if memory.ending is not None or doubted else None
    status_us = _beside(world.status_us, memory)
    panel_us = world.panel_us if "panel stale" in world.faults else NOW_US - SCAN_US
    return world._replace(
        faults=faults,
        room=world.room._replace(taken_us=latest_us(world.room.taken_us, OLD_US)),
        status_us=NOW_US if status_us is None else status_us,
        panel_us=latest_us(panel_us, OLD_US),
        held_us=latest_us(world.held_us, OLD_US) if starts else OLD_US,
        off_us=off_us,
        order_us=_order(world.order_us, ordered),
        sent_us=_order(world.sent_us, ordered),
        answered_us=_order(world.answered_us, ordered),
        timer_end_us=world.timer_end_us if world.hv or ordered else None,
        window_us=_at_least(world.window_us, OLD_US),
    )


def _beside(moment_us: int | None, memory: Memory) -> int | None:
    """Cut, but still before or after the entry of the state, as it was."""
    cut_us = RESTING_US if memory.state in AT_REST else OLD_US
    if moment_us is None or since(moment_us, cut_us):
        return moment_us
    return cut_us if since(moment_us, memory.since_us - SCAN_US) else cut_us - SCAN_US


def _order(moment_us: int | None, is_asked: bool) -> int | None:
    """When a beam was ordered is asked while it is; later only whether OFF has come."""
    return moment_us if moment_us is None or is_asked else OLDEST_US


def _at_least(moment_us: int | None, least_us: int) -> int | None:
    return None if moment_us is None else latest_us(moment_us, least_us)
