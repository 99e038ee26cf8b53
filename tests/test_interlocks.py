"""What keeps a press from counting and what ends a sequence: each alone, in its own scan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import interlocks, supervisor
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from firmware_py.decide.supervisor import IN_SEQUENCE
from hal.now import Now
from hal.types import (
    EndReason,
    ExposureReport,
    GeneratorState,
    Inputs,
    PanelState,
    Requests,
    RoomSample,
    Technique,
)
from tests.samples import (
    LIMITS,
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
READY_PANEL = panel(state=PanelState.READY)
NORMAL: dict[State, tuple[Memory, Inputs]] = {
    S.PREP: (memory(S.PREP), inputs(room=room(stage_1=True), panel=READY_PANEL)),
    S.READY: (
        memory(S.READY),
        inputs(room=room(stage_1=True), generator=ready_generator(), panel=READY_PANEL),
    ),
    S.INTERLOCK_CHECK: (
        memory(S.INTERLOCK_CHECK),
        inputs(room=held(), generator=ready_generator(), panel=READY_PANEL),
    ),
    S.EXPOSE: (exposing(), in_beam()),
    S.READOUT: (memory(S.READOUT), inputs(room=held(), panel=panel(state=PanelState.READOUT))),
}
SEQUENCE_STATES = sorted(NORMAL, key=str)


def causes(before: Memory, seen: Inputs) -> tuple[str, ...]:
    return supervisor.causes(before, seen, Now(seen.t_us))


def test_the_samples_below_are_of_every_state_of_the_sequence_and_in_order() -> None:
    assert set(NORMAL) == IN_SEQUENCE
    for state, (before, seen) in NORMAL.items():
        after, _ = step(before, seen)
        assert (after.state, causes(before, seen)) == (state, ()), state


# --- the room


ROOM: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "door open": ({"door": False}, ("DOOR_OPEN",)),
    "e-stop": ({"estop": False}, ("ESTOP",)),
    "chain open": ({"chain": False}, ("CHAIN_OPEN",)),
    "key off": ({"key": False}, ("KEY_OFF",)),
    "door and chain": ({"door": False, "chain": False}, ("DOOR_OPEN", "CHAIN_OPEN")),
    "link lost": ({"link_ok": False}, ("ROOM_IO_LOST",)),
    "link lost, all open": ({"link_ok": False, "door": False, "key": False}, ("ROOM_IO_LOST",)),
    "stale": ({"taken_us": T_US - LIMITS.room_age_us}, ("ROOM_IO_LOST",)),
    "stale and open": (
        {"taken_us": T_US - LIMITS.room_age_us, "door": False},
        ("ROOM_IO_LOST",),
    ),
}


@pytest.mark.req("SR-09", "SR-19")
@pytest.mark.parametrize("state", SEQUENCE_STATES)
@pytest.mark.parametrize(("changes", "expected"), ROOM.values(), ids=ROOM)
def test_a_contact_ends_the_sequence_in_the_scan_that_shows_it(
    state: State, changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    before, seen = NORMAL[state]
    seen = replace(seen, room=replace(seen.room, **changes))
    after, outputs = step(before, seen)
    assert causes(before, seen) == expected
    assert (after.state, after.faults, after.since_us) == (S.FAULT, expected, T_US)
    assert (outputs.enable, outputs.contactor, outputs.expose_from_us) == (False, False, None)


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("state", SEQUENCE_STATES)
def test_a_sample_is_fresh_one_microsecond_before_its_age_limit(state: State) -> None:
    before, seen = NORMAL[state]
    taken_us = T_US - LIMITS.room_age_us + 1
    after, _ = step(before, replace(seen, room=replace(seen.room, taken_us=taken_us)))
    assert after.state is state


@pytest.mark.parametrize("state", [s for s in S if s not in (*IN_SEQUENCE, S.FAULT, S.LOCKED)])
def test_outside_the_sequence_an_open_contact_is_no_fault_but_the_emergency_stop_is(
    state: State,
) -> None:
    calm = memory(state, test_step_us=T_US)
    for changes in ({"door": False}, {"chain": False}, {"key": False}):
        assert causes(calm, inputs(room=room(**changes))) == ()
    after, _ = step(calm, inputs(room=room(estop=False)))
    assert (after.state, after.faults) == (S.FAULT, ("ESTOP",))


# --- generator and panel


@pytest.mark.parametrize("state", SEQUENCE_STATES)
def test_a_silent_generator_ends_the_sequence(state: State) -> None:
    before, seen = NORMAL[state]
    silent = replace(seen.generator, state=GeneratorState.OFFLINE)
    after, _ = step(before, replace(seen, generator=silent))
    assert (after.state, after.faults) == (S.FAULT, ("GENERATOR_LINK_LOST",))


@pytest.mark.req("SR-44")
@pytest.mark.parametrize("state", SEQUENCE_STATES)
@pytest.mark.parametrize(
    ("code", "told"),
    [("ARC", "ARC"), ("REGULATION", "REGULATION"), ("bit 13", "GENERATOR_UNKNOWN")],
)
def test_a_fault_of_the_generator_ends_the_sequence_and_an_unknown_one_too(
    state: State, code: str, told: str
) -> None:
    before, seen = NORMAL[state]
    faulty = replace(seen.generator, faults=(code,), raw_faults="0 0 0 0 1")
    after, _ = step(before, replace(seen, generator=faulty))
    assert (after.state, after.faults) == (S.FAULT, (told,))


@pytest.mark.parametrize("state", SEQUENCE_STATES)
def test_a_warning_of_the_generator_ends_nothing(state: State) -> None:
    before, seen = NORMAL[state]
    cold = replace(seen.generator, faults=("UNDER_TEMPERATURE",))
    after, _ = step(before, replace(seen, generator=cold))
    assert after.state is state


@pytest.mark.parametrize("state", SEQUENCE_STATES)
def test_an_open_pair_is_a_fault_only_when_there_should_be_a_beam(state: State) -> None:
    before, seen = NORMAL[state]
    opened = replace(seen.generator, faults=("INTERLOCK_OPEN",))
    after, _ = step(before, replace(seen, generator=opened))
    assert after.state is (S.FAULT if state is S.EXPOSE else state)


PANEL = {
    "disconnected": ({"state": PanelState.DISCONNECTED}, "PANEL_LINK_LOST"),
    "stale": ({"taken_us": T_US - LIMITS.panel_age_us}, "PANEL_LINK_LOST"),
    "error": ({"state": PanelState.ERROR}, "PANEL_ERROR"),
    "faults": ({"faults": ("hot",)}, "PANEL_ERROR"),
}


@pytest.mark.req("SR-10", "SR-30")
@pytest.mark.parametrize("state", SEQUENCE_STATES)
@pytest.mark.parametrize(("changes", "expected"), PANEL.values(), ids=PANEL)
def test_the_panel_ends_the_sequence_up_to_the_beam_and_has_a_deadline_of_its_own_after_it(
    state: State, changes: dict[str, Any], expected: str
) -> None:
    before, seen = NORMAL[state]
    if state is S.PREP:  # which has asked for long enough
        before = replace(before, since_us=T_US - LIMITS.panel_age_us)
    after, _ = step(before, replace(seen, panel=replace(seen.panel, **changes)))
    if state is S.READOUT:
        assert after.state is S.READOUT
    else:
        assert (after.state, after.faults[0]) == (S.FAULT, expected)


def test_a_panel_sample_is_fresh_one_microsecond_before_its_age_limit() -> None:
    before, seen = NORMAL[S.EXPOSE]
    taken_us = T_US - LIMITS.panel_age_us + 1
    after, _ = step(before, replace(seen, panel=replace(seen.panel, taken_us=taken_us)))
    assert after.state is S.EXPOSE


def test_prep_gives_a_panel_that_was_asked_seldom_the_time_to_answer() -> None:
    """STANDBY asks every 200 ms; the answer to PREP's first question may take several scans."""
    before, seen = NORMAL[S.PREP]
    old = replace(seen, panel=replace(seen.panel, taken_us=T_US - 2 * LIMITS.panel_age_us))
    for since_us, expected in ((1 - LIMITS.panel_age_us, S.PREP), (-LIMITS.panel_age_us, S.FAULT)):
        after, _ = step(replace(before, since_us=T_US + since_us), old)
        assert after.state is expected


# --- what inhibits a press


def shot_inputs(**changes: Any) -> dict[str, Any]:
    return {"requests": Requests(shot=replace(SHOT, **changes))}


HOT = replace(LIMITS, tube=replace(LIMITS.tube, heat_max_j=39.9))  # 80 kV x 0.5 mAs are 40 J
REPORT = ExposureReport(shot=SHOT, reason=EndReason.PLANNED, beam=True, mas=0.5, maximum_mas=0.75)
INHIBITS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    **{
        name: ({}, {"room": room(**({"stage_1": True} | changes))}, codes)
        for name, (changes, codes) in ROOM.items()
        if "e-stop" not in name
    },
    "generator silent": (
        {},
        {"generator": generator(state=GeneratorState.OFFLINE)},
        ("GENERATOR_LINK_LOST",),
    ),
    "generator's fault": ({}, {"generator": generator(faults=("ARC",))}, ("ARC",)),
    "another generator": (
        {},
        {"generator": generator(faults=("GENERATOR_IDENTITY",))},
        ("GENERATOR_IDENTITY",),
    ),
    "unknown fault": ({}, {"generator": generator(faults=("?",))}, ("GENERATOR_UNKNOWN",)),
    "panel gone": ({}, {"panel": panel(state=PanelState.DISCONNECTED)}, ("PANEL_LINK_LOST",)),
    "panel error": ({}, {"panel": panel(state=PanelState.ERROR)}, ("PANEL_ERROR",)),
    "another panel": ({}, {"panel": panel(panel_id="P2")}, ("PANEL_WRONG",)),
    "short window": ({}, {"panel": panel(window_us=1_699_999)}, ("WINDOW_TOO_SHORT",)),
    "recorder dead": ({}, {"recorder": recorder(alive=False)}, ("RECORDER_LOST",)),
    "disk": ({}, {"recorder": recorder(disk_ok=False)}, ("DISK",)),
    "no maps": ({}, {"recorder": recorder(panel_set_ok=False)}, ("PANEL_SET_MISSING",)),
    "incomplete": ({}, {"recorder": recorder(incomplete_count=1)}, ("INCOMPLETE_EXPOSURE",)),
    "dose not saved": ({"report": REPORT}, {}, ("RECORDER_LOST",)),
    "no shot": ({}, {"requests": Requests()}, ("NO_SHOT",)),
    "technique": (
        {},
        shot_inputs(technique=Technique(kv=121.0, ma=0.5, mas=0.5)),
        ("TECHNIQUE",),
    ),
    "shot used": ({"used_shot_id": SHOT.shot_id}, {}, ("SHOT_USED",)),
    "hot tube": ({"limits": HOT}, {}, ("TUBE_HEAT",)),
}


@pytest.mark.req("SR-02", "SR-05", "SR-10", "SR-11", "SR-13", "SR-14")
@pytest.mark.parametrize(("remembered", "changes", "expected"), INHIBITS.values(), ids=INHIBITS)
def test_a_press_is_refused_before_anything_is_prepared_and_the_list_is_complete(
    remembered: dict[str, Any], changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    before = memory(S.STANDBY, **remembered)
    seen = inputs(**({"room": room(stage_1=True)} | changes))
    assert interlocks.inhibits(before, seen, Now(T_US)) == expected
    pressed = replace(seen, room=replace(seen.room, stage_1=True))
    after, outputs = step(before, pressed)
    if not pressed.room.link_ok:  # a press over a dead link is none
        assert after.state is S.STANDBY
        return
    assert (after.state, after.refused) == (S.RELEASE_WAIT, expected)
    assert (outputs.contactor, outputs.prep_line, outputs.intent) == (False, False, None)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    seen = inputs(
        room=room(stage_1=True, door=False, chain=False),
        generator=generator(faults=("ARC", "INTERLOCK_OPEN", "UNDER_TEMPERATURE")),
        panel=panel(state=PanelState.ERROR, panel_id="P2", window_us=1_000),
        recorder=recorder(alive=False, disk_ok=False, panel_set_ok=False, incomplete_count=2),
    )
    before = memory(S.STANDBY, used_shot_id=SHOT.shot_id, limits=HOT)
    assert interlocks.inhibits(before, seen, Now(T_US)) == (
        "DOOR_OPEN", "CHAIN_OPEN", "ARC", "PANEL_ERROR", "RECORDER_LOST", "DISK",
        "PANEL_SET_MISSING", "INCOMPLETE_EXPOSURE", "SHOT_USED", "PANEL_WRONG",
        "WINDOW_TOO_SHORT", "TUBE_HEAT",
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"generator": generator(faults=("INTERLOCK_OPEN",))},  # cleared at PREP
        {"generator": generator(faults=("UNDER_TEMPERATURE",))},
        {"panel": panel(T_US - LIMITS.panel_age_us)},  # polled seldom in STANDBY
        {"panel": panel(window_us=1_700_000)},  # timer 1.5 s and a margin of 0.2 s
        {"panel": panel(window_us=None, panel_id=None)},  # not asked yet; READY asks again
    ],
    ids=[
        "pair",
        "cold",
        "old panel sample",
        "window just long enough",
        "panel unknown",
    ],
)
def test_what_does_not_inhibit(changes: dict[str, Any]) -> None:
    seen = inputs(room=room(stage_1=True), **changes)
    assert interlocks.inhibits(memory(S.STANDBY), seen, Now(T_US)) == ()
    assert step(memory(S.STANDBY), seen)[0].state is S.PREP


def test_the_tube_cools_until_the_exposure_fits_again() -> None:
    # 40 J asked; 100 000 J allowed; 99 990 J stored decay below 99 960 J in 900 s x ln(99990/99960)
    before = memory(S.STANDBY, heat_j=99_990.0, heat_us=T_US)
    for after_us, fits in ((269_000, False), (271_000, True)):
        t_us = T_US + after_us
        found = interlocks.inhibits(before, inputs(t_us), Now(t_us))
        assert found == (() if fits else ("TUBE_HEAT",))


# --- the one way to a beam


CHECKING = memory(S.INTERLOCK_CHECK)
ALL_TRUE = inputs(
    room=held(),
    generator=ready_generator(),
    panel=panel(state=PanelState.INTEGRATING, window_open_us=T_US),
    recorder=kept(),
)
NOT_TRUE: dict[str, dict[str, Any]] = {
    "generator not ready": {"generator": ready_generator(state=GeneratorState.PREPARING)},
    "nothing confirmed": {"generator": ready_generator(confirmed=None)},
    "another technique": {"generator": ready_generator(confirmed=replace(SHOT.technique, kv=80.1))},
    "pair open": {"generator": ready_generator(interlock_closed=False)},
    "pair unknown": {"generator": ready_generator(interlock_closed=None)},
    "pair seen before": {"generator": ready_generator(interlock_taken_us=CHECKING.since_us - 1)},
    "pair never asked": {"generator": ready_generator(interlock_taken_us=None)},
    "beam unknown": {"generator": ready_generator(beam_on=None)},
    "no beam, seen before": {"generator": ready_generator(beam_taken_us=CHECKING.since_us - 1)},
    "no window": {"panel": READY_PANEL},
    "another panel": {"panel": replace(ALL_TRUE.panel, panel_id="P2")},
    "panel unknown": {"panel": replace(ALL_TRUE.panel, panel_id=None)},
    "window too short": {"panel": replace(ALL_TRUE.panel, window_us=1_699_999)},
    "window unknown": {"panel": replace(ALL_TRUE.panel, window_us=None)},
    "window of earlier": {
        "panel": panel(state=PanelState.INTEGRATING, window_open_us=CHECKING.since_us - 1)
    },
    "window never": {"panel": panel(state=PanelState.INTEGRATING)},
    "intent not durable": {"recorder": recorder()},
    "another intent": {"recorder": recorder(intent_durable="shot-0")},
    "recorder gone": {"recorder": kept(alive=False)},
    "disk full": {"recorder": kept(disk_ok=False)},
}


def test_with_everything_true_the_beam_is_ordered_in_this_scan() -> None:
    after, outputs = step(CHECKING, ALL_TRUE)
    assert (after.state, outputs.expose_from_us) == (S.EXPOSE, T_US)


@pytest.mark.req("SR-01", "SR-02", "SR-06", "SR-10", "SR-52")
@pytest.mark.parametrize("changes", NOT_TRUE.values(), ids=NOT_TRUE)
def test_with_one_thing_missing_there_is_no_beam(changes: dict[str, Any]) -> None:
    after, outputs = step(CHECKING, replace(ALL_TRUE, **changes))
    assert (after.state, outputs.expose_from_us) == (S.INTERLOCK_CHECK, None)


@pytest.mark.parametrize(
    ("contact", "state"),
    [
        *((name, S.FAULT) for name in ("link_ok", "door", "estop", "chain", "key")),
        *((name, S.RELEASE_WAIT) for name in ("stage_1", "stage_2")),
    ],
)
def test_with_one_contact_open_there_is_no_beam(contact: str, state: State) -> None:
    open_room: RoomSample = replace(ALL_TRUE.room, **{contact: False})
    after, outputs = step(CHECKING, replace(ALL_TRUE, room=open_room))
    assert (after.state, outputs.expose_from_us) == (state, None)


# --- the handswitch


@pytest.mark.req("SR-03", "SR-04")
@pytest.mark.parametrize(("open_us", "counts"), [(49_999, False), (50_000, True)])
def test_both_stages_must_have_been_seen_open_for_50_ms(open_us: int, counts: bool) -> None:
    before = memory(S.RELEASE_WAIT, open_since_us=T_US - open_us)
    after, _ = step(before, inputs())
    assert after.state is (S.STANDBY if counts else S.RELEASE_WAIT)


@pytest.mark.req("SR-03")
def test_one_open_sample_and_then_silence_is_not_open_for_50_ms() -> None:
    before = memory(S.RELEASE_WAIT, open_since_us=None)
    old = room(T_US - 60_000)
    for t_us in (T_US - 55_000, T_US - 10_001, T_US):
        before, _ = step(before, inputs(t_us, room=old))
        assert before.state is S.RELEASE_WAIT
    after, _ = step(before, inputs())  # a second sample, 60 ms after the first
    assert after.state is S.STANDBY


@pytest.mark.req("SR-04")
@pytest.mark.parametrize("stage", ["stage_1", "stage_2"])
def test_a_bounce_begins_the_50_ms_anew(stage: str) -> None:
    before, _ = step(memory(S.RELEASE_WAIT), inputs(T_US, room=room(T_US)))
    before, _ = step(before, inputs(T_US + 40_000, room=room(T_US + 40_000, **{stage: True})))
    assert before.open_since_us is None
    before, _ = step(before, inputs(T_US + 45_000))
    for after_us, state in ((94_999, S.RELEASE_WAIT), (95_000, S.STANDBY)):
        after, _ = step(before, inputs(T_US + after_us))
        assert after.state is state


@pytest.mark.parametrize(("closed_us", "counts"), [(19_999, False), (20_000, True)])
def test_stage_2_counts_when_it_was_seen_closed_for_20_ms(closed_us: int, counts: bool) -> None:
    before = memory(S.READY, stage_2_since_us=T_US - closed_us)
    after, _ = step(before, inputs(room=held(), panel=READY_PANEL))
    assert after.state is (S.INTERLOCK_CHECK if counts else S.READY)


@pytest.mark.req("SR-03")
@pytest.mark.parametrize("stages", [{"stage_1": True}, {"stage_2": True}])
def test_a_switch_that_is_closed_at_power_up_keeps_the_unit_waiting(stages: dict[str, Any]) -> None:
    before = memory(S.RELEASE_WAIT)
    for scan in range(10):
        t_us = T_US + scan * 20_000
        before, _ = step(before, inputs(t_us, room=room(t_us, **stages)))
    assert before.state is S.RELEASE_WAIT
