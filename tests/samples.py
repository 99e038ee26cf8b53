"""Inputs and memories for tests of `decide`: everything in order, but for what a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from firmware_py.decide.memory import Beam, Limits, Memory, State
from hal.types import (
    GeneratorSample,
    GeneratorState,
    Inputs,
    PanelSample,
    PanelState,
    RecorderSample,
    Requests,
    RoomSample,
    Shot,
    Technique,
    TubeData,
)

T_US = 5_000_000
TUBE = TubeData(
    kv_min=30.0, kv_max=120.0, ma_min=0.2, ma_max=1.0, power_max_w=120.0,
    time_min_ms=10.0, time_max_ms=4500.0, heat_max_j=100_000.0, cooling_tau_s=900.0,
)  # fmt: skip
LIMITS = Limits(tube=TUBE)
TECHNIQUE = Technique(kv=80.0, ma=0.5, mas=0.5)
SHOT = Shot(shot_id="shot-1", technique=TECHNIQUE, exam_id="TEST", panel_id="P1")


def room(t_us: int = T_US, **changes: Any) -> RoomSample:
    sample = RoomSample(taken_us=t_us, link_ok=True, door=True, estop=True, chain=True, key=True)
    return replace(sample, **changes)


def held(t_us: int = T_US, **changes: Any) -> RoomSample:
    return room(t_us, **({"stage_1": True, "stage_2": True} | changes))


def generator(t_us: int = T_US, **changes: Any) -> GeneratorSample:
    return replace(GeneratorSample(taken_us=t_us, state=GeneratorState.STANDBY), **changes)


def ready_generator(t_us: int = T_US, **changes: Any) -> GeneratorSample:
    values = {
        "state": GeneratorState.READY,
        "confirmed": TECHNIQUE,
        "interlock_closed": True,
        "interlock_taken_us": t_us,
        "beam_on": False,
        "beam_taken_us": t_us,
    }
    return generator(t_us, **(values | changes))


def panel(t_us: int = T_US, **changes: Any) -> PanelSample:
    sample = PanelSample(taken_us=t_us, state=PanelState.IDLE, panel_id="P1", window_us=5_000_000)
    return replace(sample, **changes)


def recorder(t_us: int = T_US, **changes: Any) -> RecorderSample:
    sample = RecorderSample(taken_us=t_us, alive=True, disk_ok=True, panel_set_ok=True)
    return replace(sample, **changes)


def kept(t_us: int = T_US, **changes: Any) -> RecorderSample:
    """The intent of the shot is durable."""
    return recorder(t_us, **({"intent_durable": SHOT.shot_id} | changes))


def inputs(t_us: int = T_US, **changes: Any) -> Inputs:
    """Everything in order and a shot programmed; nobody at the switch."""
    values: dict[str, Any] = {
        "room": room(t_us),
        "generator": generator(t_us),
        "panel": panel(t_us),
        "recorder": recorder(t_us),
        "requests": Requests(shot=SHOT),
    }
    return Inputs(t_us=t_us, **(values | changes))


def off_proved(t_us: int, **changes: Any) -> Inputs:
    """OFF was answered 20 ms after it left, and a status asked for since then says "off"."""
    values = {"beam_on": False, "beam_taken_us": t_us - 5_000, "off_confirmed_us": t_us}
    sample = replace(ON, **(values | changes))
    return in_beam(t_us, generator=sample, panel=replace(INTEGRATING, taken_us=t_us))


def memory(state: State, **changes: Any) -> Memory:
    """A memory that has been in `state` for 10 ms, with what that state implies."""
    values: dict[str, Any] = {
        "limits": LIMITS,
        "state": state,
        "since_us": T_US - 10_000,
        "shot": SHOT,
        "used_shot_id": None if state is State.STANDBY else SHOT.shot_id,
        "reset_armed": True,
        "window_from_us": T_US - 10_000,
    }
    if state is State.EXPOSE:
        values["beam"] = Beam(ordered_us=T_US - 10_000)
    return Memory(**(values | changes))


# --- a beam that has run for 0.9 s, 0.7 s of it after the ramp

INTEGRATING = panel(state=PanelState.INTEGRATING, window_open_us=T_US)
BEAM = Beam(ordered_us=T_US - 900_000, sent_us=T_US - 900_000, accepted_us=T_US - 700_000)
READ = replace(BEAM, read_us=T_US - 20_000, read_ma=0.5, read_mas=0.49, read_count=3,
               kv_sum=240.0, ma_sum=1.5)  # fmt: skip
ON = generator(state=GeneratorState.BEAM, on_sent_us=BEAM.sent_us, on_answered_us=BEAM.accepted_us,
               beam_on=True, beam_taken_us=T_US - 10_000, kv=80.0, ma=0.5,
               monitor_taken_us=READ.read_us)  # fmt: skip


def exposing(beam: Beam = BEAM, **changes: Any) -> Memory:
    return memory(State.EXPOSE, **{"since_us": T_US - 900_000, "beam": beam} | changes)


def in_beam(t_us: int = T_US, **changes: Any) -> Inputs:
    """Everything in order in mid-beam; `ON` is the generator's sample."""
    values: dict[str, Any] = {
        "recorder": kept(t_us),
        "room": held(t_us),
        "generator": ON,
        "panel": replace(INTEGRATING, taken_us=t_us),
    }
    return inputs(t_us, **(values | changes))
