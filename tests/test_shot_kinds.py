"""What each kind of shot may do with tube and panel, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware_py.decide import interlocks
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from firmware_py.decide.technique import permitted
from hal.now import Now
from hal.types import (
    EndReason,
    Outputs,
    PanelSample,
    PanelState,
    Requests,
    Shot,
    ShotKind,
    Technique,
)
from tests.plant import HAND, Plant
from tests.samples import (
    INTEGRATING,
    LIMITS,
    ON,
    SHOT,
    T_US,
    TUBE,
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
SECOND = Technique(kv=80.0, ma=0.5, ms=1000.0)
DARK = replace(SHOT, technique=SECOND, kind=ShotKind.DARK)
BARE = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist")
RAW = replace(SHOT, raw=True)
GONE = PanelSample(taken_us=0)
NO_SET = recorder(panel_set_ok=False)
BY_KIND = {"imaging": SHOT, "raw": RAW, "no receptor": BARE, "dark": DARK}


def inhibits(shot: Shot, before: Memory | None = None, **changes: Any) -> tuple[str, ...]:
    seen = inputs(**{"requests": Requests(shot=shot)} | changes)
    return interlocks.inhibits(before or memory(S.STANDBY), seen, Now(T_US))


# --- a dark frame: no beam, whatever is pressed

pressing = st.sampled_from(
    [name for name in HAND if name.startswith(("press", "release"))] + ["reset", "nothing"]
)


def act(plant: Plant, name: str) -> None:
    if name in HAND:
        HAND[name](plant)
    elif name == "reset":
        plant.spoil(name)


def assert_no_hv(outputs: Outputs) -> None:
    assert (outputs.enable, outputs.enable_lapse, outputs.contactor) == (False, False, False)
    assert (outputs.prep_line, outputs.expose_line, outputs.ready_lamp) == (False, False, False)
    assert (outputs.expose_from_us, outputs.technique) == (None, None)


@pytest.mark.req("SR-01", "SR-02")
@given(story=st.lists(st.tuples(pressing, st.integers(0, 30)), max_size=12))
@example(story=[("press", 30)])
@example(story=[("nothing", 1), ("press", 30)])
@example(story=[("press stage 1", 3), ("press", 30), ("release", 30)])
def test_no_press_ever_makes_a_beam_of_a_dark_frame(story: list[tuple[str, int]]) -> None:
    plant, before = Plant(), Memory(limits=LIMITS, state=S.STANDBY)
    plant.program_dark()
    visited = set()
    for name, scan_count in [*story, ("release", 60)]:
        act(plant, name)
        for _ in range(scan_count):
            before, outputs = step(before, plant.inputs())
            plant.obey(outputs)
            plant.pass_scans()
            visited.add(before.state)
            assert_no_hv(outputs)
    assert visited <= {S.STANDBY, S.PREP, S.READOUT, S.RELEASE_WAIT}
    assert S.READOUT in visited or any(name == "reset" for name, _ in story)


def test_a_dark_frame_is_made_once_and_not_again() -> None:
    plant, before = Plant(), Memory(limits=LIMITS, state=S.STANDBY)
    plant.program_dark()
    seen: list[State] = []
    for _ in range(200):
        before, outputs = step(before, plant.inputs())
        plant.obey(outputs)
        plant.pass_scans()
        if before.state not in seen[-1:]:
            seen.append(before.state)
    assert seen == [S.PREP, S.READOUT, S.RELEASE_WAIT, S.STANDBY]


READING = memory(S.READOUT, shot=DARK, since_us=T_US, window_from_us=T_US)


def seen_open(at_us: int, t_us: int, state: PanelState = PanelState.INTEGRATING) -> Any:
    return inputs(t_us, panel=panel(t_us, state=state, window_open_us=at_us))


def test_its_window_lasts_as_long_as_asked_from_when_it_was_seen_open() -> None:
    open_us = T_US + 130_000
    before, outputs = step(READING, seen_open(open_us, open_us + 4_000))
    for after_us, window in ((999_999, T_US), (1_000_000, None)):
        _, outputs = step(before, seen_open(open_us, open_us + after_us))
        assert outputs.window_from_us == window
        assert outputs.prepare_panel
    _, outputs = step(before, seen_open(open_us, open_us + 500_000))
    assert outputs.next_us <= open_us + 1_000_000


def test_its_window_is_held_until_it_was_seen_open_and_one_of_before_does_not_count() -> None:
    before = READING
    for t_us in (T_US + 1, T_US + 5_000_000):
        before, outputs = step(before, seen_open(T_US - 1, t_us))
        assert (before.window_seen_us, outputs.window_from_us) == (None, T_US)
        assert outputs.window_shot_id == DARK.shot_id


def test_a_dark_frame_plans_no_charge() -> None:
    asked = memory(S.PREP, shot=DARK)
    waiting, outputs = step(asked, inputs(requests=Requests(shot=DARK)))
    assert waiting.state is S.PREP
    assert outputs.intent is not None
    assert (outputs.intent.planned_mas, outputs.intent.maximum_mas) == (0.0, 0.0)


OPEN_US = T_US + 130_000
OVER_US = OPEN_US + 1_000_000
WINDOW, _ = step(READING, seen_open(OPEN_US, OPEN_US + 4_000))


def test_when_its_window_is_over_it_is_reported_as_no_beam() -> None:
    assert step(WINDOW, seen_open(OPEN_US, OVER_US - 1))[1].report is None
    over, outputs = step(WINDOW, seen_open(OPEN_US, OVER_US))
    report = outputs.report
    assert report is not None
    assert (report.reason, report.beam, report.mas) == (EndReason.DARK, False, 0.0)
    assert (report.fault, report.end_us) == (None, OVER_US)
    saved = inputs(OVER_US + 5_000, recorder=recorder(dose_saved=DARK.shot_id))
    after, outputs = step(over, saved)
    assert (after.state, outputs.report) == (S.READOUT, None)  # told once


@pytest.mark.parametrize("before", [READING, WINDOW], ids=["not open yet", "open"])
def test_a_window_that_was_cut_short_made_no_dark_frame(before: Memory) -> None:
    """Its frame would look whole to the recorder, and have less dark signal than the others."""
    t_us = OVER_US - 1
    after, outputs = step(before, inputs(t_us, room=room(t_us, door=False)))
    assert (after.state, after.faults) == (S.FAULT, ("DOOR_OPEN",))
    report = outputs.report
    assert report is not None
    assert (report.reason, report.fault) == (EndReason.NO_BEAM, "DOOR_OPEN")
    assert outputs.window_from_us is None


def test_what_goes_wrong_after_its_window_changes_nothing_of_a_dark_frame() -> None:
    over, _ = step(WINDOW, seen_open(OPEN_US, OVER_US))
    t_us = OVER_US + 1
    after, outputs = step(over, inputs(t_us, room=room(t_us, door=False)))
    assert after.state is S.FAULT
    assert outputs.report is not None
    assert outputs.report.reason is EndReason.DARK


@pytest.mark.req("SR-34")
@pytest.mark.parametrize("state", [S.PREP, S.READOUT])
def test_a_beam_during_a_dark_frame_locks(state: State) -> None:
    before = memory(state, shot=DARK, since_us=T_US - LIMITS.fall_us)
    stray = generator(beam_on=True, beam_taken_us=T_US)
    after, outputs = step(before, inputs(generator=stray, requests=Requests(shot=DARK)))
    assert (after.state, after.faults) == (S.LOCKED, ("STRAY_BEAM",))
    assert (outputs.window_from_us, outputs.contactor) == (None, False)


def test_a_dark_frame_that_does_not_come_is_a_missing_frame() -> None:
    deadline_us = T_US + LIMITS.readout_us
    saved = recorder(deadline_us, dose_saved=DARK.shot_id)
    for t_us, faults in ((deadline_us - 1, ()), (deadline_us, ("FRAME_MISSING",))):
        after, _ = step(READING, inputs(t_us, recorder=saved))
        assert after.faults == faults


@pytest.mark.parametrize("changes", [{"panel": GONE}, {"room": room(door=False)}])
def test_a_dark_frame_waits_in_standby_for_what_is_missing(changes: dict[str, Any]) -> None:
    after, outputs = step(memory(S.STANDBY), inputs(**{"requests": Requests(shot=DARK)} | changes))
    assert (after.state, after.refused, outputs.prepare_panel) == (S.STANDBY, (), False)


# --- a beam without a receptor

BARE_STATES = {
    S.PREP: (memory(S.PREP, shot=BARE), room(stage_1=True)),
    S.READY: (memory(S.READY, shot=BARE), room(stage_1=True)),
    S.INTERLOCK_CHECK: (memory(S.INTERLOCK_CHECK, shot=BARE), held()),
    S.EXPOSE: (exposing(shot=BARE), held()),
    S.READOUT: (memory(S.READOUT, shot=BARE), held()),
}
PANELS = {
    "gone": GONE,
    "old": panel(T_US - 10_000_000),
    "in error": panel(state=PanelState.ERROR),
    "another": panel(panel_id="P2", window_us=1_000),
}


@pytest.mark.parametrize("seen_panel", PANELS.values(), ids=PANELS)
@pytest.mark.parametrize("state", BARE_STATES, ids=str)
def test_without_a_receptor_no_panel_is_asked_for_or_judged(
    state: State, seen_panel: PanelSample
) -> None:
    before, hand = BARE_STATES[state]
    sample = ON if state is S.EXPOSE else generator()
    seen = in_beam(room=hand, generator=sample, panel=seen_panel, requests=Requests(shot=BARE))
    after, outputs = step(before, seen)
    assert (after.state, after.faults) == (state, ())
    assert (outputs.prepare_panel, outputs.window_from_us, outputs.window_shot_id) == (
        False, None, None,
    )  # fmt: skip


@pytest.mark.req("SR-10")
@pytest.mark.parametrize("clear_by", [None, ""])
def test_without_a_receptor_a_person_has_confirmed_that_the_beam_is_clear(
    clear_by: str | None,
) -> None:
    assert inhibits(BARE, panel=GONE) == ()
    assert inhibits(replace(BARE, clear_by=clear_by)) == ("RECEPTOR_NOT_CLEAR",)


def test_a_beam_without_a_receptor_ends_in_standby_when_its_dose_is_saved() -> None:
    before = memory(S.READOUT, shot=BARE)
    waiting, _ = step(before, inputs(panel=GONE, recorder=kept()))
    assert waiting.state is S.READOUT
    saved = kept(dose_saved=BARE.shot_id)
    done, _ = step(before, inputs(panel=GONE, recorder=saved))
    assert (done.state, done.why) == (S.RELEASE_WAIT, "everything_saved")
    opened = replace(done, open_since_us=T_US - LIMITS.both_open_us)
    assert step(opened, inputs(panel=GONE))[0].state is S.STANDBY


@pytest.mark.req("SR-53")
def test_a_dose_that_is_not_saved_in_time_is_told_as_that() -> None:
    before = memory(S.READOUT, shot=BARE, since_us=T_US)
    deadline_us = T_US + LIMITS.readout_us
    for t_us, faults in ((deadline_us - 1, ()), (deadline_us, ("DOSE_NOT_SAVED",))):
        after, _ = step(before, inputs(t_us, panel=GONE, recorder=kept(t_us)))
        assert after.faults == faults


def test_a_damaged_frame_of_somebody_else_is_no_dose_that_is_not_saved() -> None:
    """The recorder gives it to the newest exposure without a frame: this one never has one."""
    lost = kept(image_failed=BARE.shot_id)
    after, _ = step(memory(S.READOUT, shot=BARE), inputs(recorder=lost))
    assert (after.state, after.faults) == (S.READOUT, ())


LONG = Technique(kv=80.0, ma=0.5, ms=15_000.0)
WARM_UP_TUBE = replace(TUBE, time_max_no_receptor_ms=15_000.0)


@pytest.mark.parametrize("kind", ShotKind)
def test_only_without_a_receptor_a_beam_may_be_longer_than_a_window(kind: ShotKind) -> None:
    limits = replace(LIMITS, tube=WARM_UP_TUBE)
    longer = replace(LONG, ms=15_000.1)
    assert permitted(LONG, limits, kind) is (kind is ShotKind.NO_RECEPTOR)
    assert not permitted(longer, limits, kind)
    assert not permitted(LONG, LIMITS, kind)  # a tube whose data name no such time


def test_no_window_is_too_short_for_what_needs_none() -> None:
    before = memory(S.STANDBY, limits=replace(LIMITS, tube=WARM_UP_TUBE))
    assert inhibits(replace(BARE, technique=LONG), before, panel=panel(window_us=1_000)) == ()
    assert inhibits(DARK, panel=panel(window_us=1_000)) == ("WINDOW_TOO_SHORT",)


# --- whose exam, which set


@pytest.mark.req("SR-13")
@pytest.mark.parametrize(
    ("name", "refused"),
    [("imaging", False), ("raw", True), ("no receptor", True), ("dark", True)],
)
def test_what_makes_no_image_is_no_patients(name: str, *, refused: bool) -> None:
    found = inhibits(replace(BY_KIND[name], exam_id="E-7"))
    assert found == (("NOT_TEST",) if refused else ())


@pytest.mark.parametrize(
    ("name", "refused"),
    [("imaging", True), ("raw", False), ("no receptor", False), ("dark", False)],
)
def test_only_what_becomes_an_image_needs_a_calibration_set(name: str, *, refused: bool) -> None:
    found = inhibits(BY_KIND[name], recorder=NO_SET)
    assert found == (("PANEL_SET_MISSING",) if refused else ())


# --- a cold tube

COLD_TUBE = replace(TUBE, cold_kv_max=60.0, deferred_kv_max=90.0, deferred_ma_max=0.5)
COLD = memory(S.STANDBY, limits=replace(LIMITS, tube=COLD_TUBE), warm=False)


def cold(kv: float, ma: float = 0.5, **changes: Any) -> bool:
    """Is it refused for the cold tube, and for nothing else?"""
    shot = replace(SHOT, technique=Technique(kv=kv, ma=ma, mas=0.5), **changes)
    found = inhibits(shot, COLD)
    assert found in ((), ("TUBE_COLD",))
    assert inhibits(shot, replace(COLD, warm=True)) == ()
    return bool(found)


@pytest.mark.req("SR-16")
def test_a_cold_tube_takes_a_low_kv_and_no_higher_one() -> None:
    assert [cold(kv) for kv in (60.0, 60.1, 120.0)] == [False, True, True]


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(
    ("kv", "ma", "refused"),
    [(90.0, 0.5, False), (90.1, 0.5, True), (90.0, 0.51, True), (60.0, 1.0, False)],
)
def test_in_an_emergency_the_warm_up_waits_for_a_capped_shot(
    kv: float, ma: float, *, refused: bool
) -> None:
    assert cold(kv, ma, deferred="chest, now") is refused


def test_an_emergency_without_a_reason_is_none() -> None:
    assert cold(90.0, deferred="")


def test_without_caps_nothing_is_deferred() -> None:
    tube = replace(COLD_TUBE, deferred_ma_max=None)
    shot = replace(SHOT, deferred="chest, now")
    before = memory(S.STANDBY, limits=replace(LIMITS, tube=tube), warm=False)
    assert inhibits(shot, before) == ("TUBE_COLD",)


def test_the_warm_up_itself_and_a_dark_frame_need_no_warm_tube() -> None:
    without: dict[str, Any] = {"kind": ShotKind.NO_RECEPTOR, "clear_by": "somebody"}
    assert not cold(120.0, warms=True, **without)
    assert inhibits(DARK, COLD) == ()


def test_no_image_and_no_other_beam_passes_for_a_warm_up() -> None:
    assert cold(120.0, warms=True)
    assert cold(120.0, kind=ShotKind.NO_RECEPTOR, clear_by="somebody")


def test_a_panel_that_integrates_refuses_a_beam_that_shall_not_meet_it() -> None:
    shot = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="somebody")
    assert inhibits(shot, panel=INTEGRATING) == ("RECEPTOR_NOT_CLEAR",)


def test_a_tube_whose_data_ask_for_no_warm_up_is_never_cold() -> None:
    assert inhibits(SHOT, memory(S.STANDBY, warm=False)) == ()


# --- the one way to a beam, for each kind

WINDOWS: dict[str, PanelSample] = {
    **{f"{state.value}": panel(state=state) for state in PanelState},
    "opened before": replace(INTEGRATING, window_open_us=T_US - 10_001),
    "armed": INTEGRATING,
    "armed, another panel": replace(INTEGRATING, panel_id="P2"),
    "armed, too short": replace(INTEGRATING, window_us=1_000),
}


@pytest.mark.req("SR-02", "SR-10")
@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("kind", BY_KIND)
def test_a_beam_needs_the_receptor_of_its_kind_armed_or_away(kind: str, name: str) -> None:
    shot, shown = BY_KIND[kind], WINDOWS[name]
    confirmed = ready_generator(confirmed=shot.technique)
    before = memory(S.INTERLOCK_CHECK, shot=shot)
    seen = in_beam(generator=confirmed, panel=shown, requests=Requests(shot=shot))
    after, outputs = step(before, seen)
    armed = shown is INTEGRATING
    away = shown.state is not PanelState.INTEGRATING
    may = {"imaging": armed, "raw": armed, "no receptor": away, "dark": False}[kind]
    assert (after.state is S.EXPOSE, outputs.expose_from_us is not None) == (may, may)
