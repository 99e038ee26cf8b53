"""What `step` is shown of a world: the input image of one scan."""

from __future__ import annotations

from functools import lru_cache

from hal.types import (
    GeneratorSample,
    GeneratorState,
    Inputs,
    PanelSample,
    PanelState,
    RecorderSample,
    Requests,
    RoomSample,
    ShotKind,
    Technique,
)
from rig.search.words import LIMITS, NOW_US, TECHNIQUES, shot_of
from rig.search.world import Room, World, pair_closed, relay_closed

WRONG = Technique(kv=81.0, ma=1.0, ms=20.0)


def inputs_of(world: World, *, stop: bool = False, reset: bool = False) -> Inputs:
    faults = world.faults
    shot = None if world.kind is None else shot_of(world.kind, world.name)
    lamp = world.lamp and "lamp dead" not in faults
    return Inputs(
        t_us=NOW_US,
        room=_room(
            world.room, "room silent" not in faults, lamp, relay_closed(world),
            "chain stuck" in faults,
        ),
        generator=_generator(world, pair_closed(world) and "pair not seen" not in faults),
        panel=_panel(
            _panel_state(world), "another panel" in faults, world.panel_us, world.window_us
        ),
        recorder=_recorder(
            "recorder dead" not in faults, world.intent, world.dose, world.image,
            "frame lost" in faults,
        ),
        requests=Requests(shot=shot, stop=stop, reset=reset),
        late_us=LIMITS.late_us + 1 if "scan late" in faults else 0,
    )  # fmt: skip


@lru_cache(10_000)
def _room(room: Room, link_ok: bool, lamp: bool, relay: bool, stuck: bool) -> RoomSample:
    return RoomSample(
        taken_us=room.taken_us,
        link_ok=link_ok,
        stage_1=room.stage_1,
        stage_2=room.stage_2,
        door="door open" not in room.opened,
        estop="e-stop" not in room.opened,
        chain=_chain(room.opened, stuck),
        key="key off" not in room.opened,
        lamp_current=lamp,
        enable_readback=relay,
        enable_taken_us=room.taken_us,
    )


def _chain(opened: frozenset[str], stuck: bool) -> bool:
    """The safety relay follows its loop, unless its contact is welded."""
    dropped = opened & {"door open", "e-stop", "chain open"}
    return stuck or not dropped


def _generator(world: World, pair: bool) -> GeneratorSample:
    faults, technique = world.faults, None
    if world.prepared is not None:
        technique = WRONG if "echo wrong" in faults else TECHNIQUES[world.prepared]
    told = tuple(
        code for shown, code in (("arc" in faults, "ARC"), (not pair, "INTERLOCK_OPEN")) if shown
    )
    kv, ma = _monitor(world)
    return GeneratorSample(
        taken_us=NOW_US,
        state=generator_state(world),
        confirmed=technique,
        interlock_closed=pair,
        interlock_taken_us=NOW_US,
        beam_on=world.status,
        beam_taken_us=world.status_us,
        on_sent_us=world.sent_us,
        on_answered_us=world.answered_us,
        refused="ON refused" in faults and world.order_us is not None,
        off_confirmed_us=world.off_us,
        kv=kv,
        ma=ma,
        monitor_taken_us=world.status_us if world.status else None,
        faults=told,
    )


def _monitor(world: World) -> tuple[float | None, float | None]:
    if not world.status:
        return None, None
    technique = TECHNIQUES[world.prepared or ShotKind.IMAGING]
    wrong = 1.5 if "kV too high" in world.faults else 1.0
    return technique.kv * wrong, technique.ma


def generator_state(world: World) -> GeneratorState:
    if "generator silent" in world.faults:
        return GeneratorState.OFFLINE
    if world.hv or "stray beam" in world.faults:
        return GeneratorState.BEAM
    if world.prepared is None:
        return GeneratorState.STANDBY
    slow = "generator slow" in world.faults
    return GeneratorState.PREPARING if slow else GeneratorState.READY


def _panel_state(world: World) -> PanelState:
    faults = world.faults
    rules = (
        ("panel silent" in faults, PanelState.DISCONNECTED),
        ("panel error" in faults, PanelState.ERROR),
        ("panel slow" in faults, PanelState.PREPARING),
        (integrating(world), PanelState.INTEGRATING),
        (world.armed, PanelState.READY),
    )
    return next((state for holds, state in rules if holds), PanelState.IDLE)


def integrating(world: World) -> bool:
    """A panel that answers and whose window is open, asked for or not."""
    if world.faults & {"panel silent", "panel error", "panel slow", "no window"}:
        return False
    return world.window_us is not None or "panel integrates" in world.faults


@lru_cache(10_000)
def _panel(state: PanelState, other: bool, taken_us: int, open_us: int | None) -> PanelSample:
    return PanelSample(
        taken_us=taken_us,
        state=state,
        panel_id="P2" if other else "P1",
        window_us=5_000_000,
        window_open_us=open_us,
    )


@lru_cache(10_000)
def _recorder(alive: bool, intent: str, dose: str, image: str, lost: bool) -> RecorderSample:
    return RecorderSample(
        taken_us=NOW_US,
        alive=alive,
        disk_ok=True,
        panel_set_ok=True,
        intent_durable=intent or None,
        dose_saved=dose or None,
        image_saved=None if lost else image or None,
        image_failed=(image or None) if lost else None,
    )
