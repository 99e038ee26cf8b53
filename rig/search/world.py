"""The world around `step`: hand, room, enable relay, generator, panel, recorder, and ghosts.

It shows what it is, follows the last outputs, and one scan passes. The ghosts are its own: what
the switch really was, how many beams this press has made. The controller never writes them.
"""

from __future__ import annotations

from typing import NamedTuple

from firmware_py.decide.technique import timer_us
from hal.now import since
from hal.types import Outputs, ShotKind
from rig.search.words import LIMITS, NEXT, NOW_US, RAMP_US, SCAN_US, TECHNIQUES, Kind

LATER_US = NOW_US + SCAN_US
CONTACTS = ("door open", "e-stop", "chain open", "key off")
LOOP = frozenset(("door open", "e-stop", "chain open"))


class Room(NamedTuple):
    """One look at the contacts."""

    taken_us: int = NOW_US
    stage_1: bool = False
    stage_2: bool = False
    opened: frozenset[str] = frozenset()  # of CONTACTS


class World(NamedTuple):
    # what may go wrong, and the hand
    faults: frozenset[str] = frozenset()
    stage_1: bool = False
    stage_2: bool = False
    kind: Kind | None = ShotKind.IMAGING  # what is programmed; None: nothing
    name: str = NEXT
    # the room
    room: Room = Room()
    relay_until_us: int | None = None  # the pulse of the enable relay
    lamp: bool = False
    # the generator
    prepared: Kind | None = None  # whose technique it holds
    order_us: int | None = None
    sent_us: int | None = None
    answered_us: int | None = None
    has_timer: bool = True
    timer_end_us: int | None = None  # its own timer, set with the technique
    off_us: int | None = None
    hv: bool = False
    status: bool = False  # beam_on, as its status says
    status_us: int = NOW_US
    # panel and recorder
    armed: bool = False
    window_us: int | None = None
    window_shot: str = ""
    panel_us: int = NOW_US
    intent: str = ""
    dose: str = ""
    image: str = ""
    # ghosts
    beams: int = 0  # orders since both stages were last really open
    held_us: int = 0  # when both stages and the chain were last really closed


def relay_closed(world: World) -> bool:
    return "relay welded" in world.faults or world.relay_until_us is not None


def pair_closed(world: World) -> bool:
    """The hard-wired chain in series: contacts, stage 2 and the enable relay."""
    return not (world.faults & LOOP) and world.stage_2 and relay_closed(world)


def look(world: World) -> World:
    """What happens before the scan sees it: the contacts act, the newest samples are taken."""
    faults = world.faults
    hv = world.hv and pair_closed(world) and "beam ends early" not in faults
    held = world.stage_1 and world.stage_2 and not faults & frozenset(CONTACTS)
    room, status, status_us = world.room, world.status, world.status_us
    if "room stale" not in faults:
        room = Room(NOW_US, world.stage_1, world.stage_2, faults & frozenset(CONTACTS))
    if not faults & {"status stale", "generator silent"}:
        status, status_us = hv or "stray beam" in faults, NOW_US
    return world._replace(
        hv=hv,
        room=room,
        status=status,
        status_us=status_us,
        panel_us=world.panel_us if "panel stale" in faults else NOW_US,
        beams=world.beams if world.stage_1 or world.stage_2 else 0,
        held_us=NOW_US if held else world.held_us,
    )


def obey(world: World, outputs: Outputs) -> World:
    """Every device does as it is told, unless its fault says otherwise."""
    relay_us = world.relay_until_us
    if outputs.enable:
        relay_us = NOW_US + LIMITS.enable_pulse_us
    elif not outputs.enable_lapse:
        relay_us = None
    kind = next((k for k, t in TECHNIQUES.items() if t == outputs.technique), None)
    world = world._replace(relay_until_us=relay_us, prepared=kind, lamp=outputs.beam_lamp)
    return _record(_panel(_order(world, outputs), outputs), outputs)


def _order(world: World, outputs: Outputs) -> World:
    if outputs.expose_from_us is None:
        if world.order_us is None or "OFF lost" in world.faults:
            return world
        return world._replace(
            order_us=None, sent_us=None, answered_us=None, timer_end_us=None, hv=False,
            off_us=LATER_US,
        )  # fmt: skip
    if world.order_us is not None:
        return world
    heard = not world.faults & {"ON refused", "generator silent"}
    return world._replace(
        order_us=NOW_US,
        sent_us=NOW_US if heard else None,
        timer_end_us=_timer_end_us(world),
        off_us=None,
        hv=heard and pair_closed(world),
        beams=world.beams + 1,
    )


def _panel(world: World, outputs: Outputs) -> World:
    world = world._replace(armed=outputs.prepare_panel)
    if outputs.window_from_us is None:
        if world.window_us is None:
            return world
        return world._replace(window_us=None, image=world.window_shot, window_shot="")
    if world.window_us is not None:
        return world
    return world._replace(window_us=LATER_US, window_shot=outputs.window_shot_id or "")


def _record(world: World, outputs: Outputs) -> World:
    if "recorder hangs" in world.faults:
        return world
    intent = world.intent if outputs.intent is None else outputs.intent.shot.shot_id
    dose = world.dose if outputs.report is None else outputs.report.shot.shot_id
    return world._replace(intent=intent, dose=dose)


def wait(world: World) -> World:
    """One scan passes."""
    world = world._replace(
        room=world.room._replace(taken_us=world.room.taken_us - SCAN_US),
        relay_until_us=_running(earlier(world.relay_until_us)),
        order_us=earlier(world.order_us),
        sent_us=earlier(world.sent_us),
        answered_us=earlier(world.answered_us),
        timer_end_us=earlier(world.timer_end_us),
        off_us=earlier(world.off_us),
        status_us=world.status_us - SCAN_US,
        window_us=earlier(world.window_us),
        panel_us=world.panel_us - SCAN_US,
        held_us=world.held_us - SCAN_US,
    )
    return _ramp(world)


def _ramp(world: World) -> World:
    sent_us = world.sent_us
    if sent_us is None:
        return world
    answers = "ON unanswered" not in world.faults and since(NOW_US, sent_us + RAMP_US)
    if world.answered_us is None and answers:
        world = world._replace(answered_us=NOW_US)
    works = world.timer_end_us is not None and "timer dead" not in world.faults
    over = works and since(NOW_US, world.timer_end_us or 0)
    return world._replace(hv=False) if over else world


def _timer_end_us(world: World) -> int | None:
    if world.prepared is None or not world.has_timer:
        return None
    return NOW_US + timer_us(TECHNIQUES[world.prepared], LIMITS)


def earlier(moment_us: int | None) -> int | None:
    return None if moment_us is None else moment_us - SCAN_US


def _running(until_us: int | None) -> int | None:
    return None if since(NOW_US, until_us or 0) else until_us
