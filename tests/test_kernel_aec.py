"""Automatic exposures in the decision: what is refused, where they end at most, what locks AEC.

The setting of these tests: 80 kV, 0.5 mA, centre chamber, 0.5 mAs expected, back-up 1 mAs, so the
generator's own timer ends the beam 2 s (and the ramp) after ON.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import aec
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from firmware_py.decide.technique import maximum_mas, timer_us
from hal.types import AecData, AecSetting, EndReason, ExposureReport, Requests, Shot, Technique
from tests.samples import (
    INTEGRATING,
    LIMITS,
    ON,
    READ,
    SHOT,
    T_US,
    exposing,
    held,
    in_beam,
    inputs,
    memory,
    recorder,
    room,
)

S = State
DATA = AecData(
    chambers=("left", "centre"), panels=("P1", "P2"), sensitivities_index=(1, 3),
    density_most_index=2, backup_pct=200.0, own_mas=640.0,
)  # fmt: skip
BENCH = replace(LIMITS, aec=DATA, account_us=2_000_000, ends_mas=True)
SETTING = AecSetting(chambers=("centre",), sensitivity_index=1, expected_mas=0.5, backup_mas=1.0)
AUTO = Technique(kv=80.0, ma=0.5, aec=SETTING)
SHOT_AUTO = replace(SHOT, technique=AUTO)


def shot(kv: float = 80.0, panel_id: str = "P1", **changes: Any) -> Shot:
    technique = replace(AUTO, kv=kv, aec=replace(SETTING, **changes))
    return replace(SHOT, technique=technique, panel_id=panel_id)


# --- the technique


def test_what_is_planned_for_is_the_back_up_and_what_is_expected_is_told_as_that() -> None:
    assert (AUTO.planned_mas, AUTO.expected_mas, AUTO.planned_ms) == (1.0, 0.5, 2000.0)
    by_mas = Technique(kv=70.0, ma=0.5, mas=0.3)
    assert (by_mas.planned_mas, by_mas.expected_mas) == (0.3, 0.3)


@pytest.mark.req("SR-05")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chambers": ()}, "chambers must be of left, centre, right, got ()"),
        ({"chambers": ("centre", "left")}, "chambers must be of left, centre, right, got ("),
        ({"chambers": ("left", "left")}, "chambers must be of left, centre, right, got ("),
        ({"chambers": ("middle",)}, "chambers must be of left, centre, right, got ("),
        ({"density_index": 0.5}, "density_index must be a whole number, got 0.5"),
        ({"density_index": True}, "density_index must be a whole number, got True"),
        ({"sensitivity_index": None}, "sensitivity_index must be a whole number, got None"),
        ({"expected_mas": 0.0}, "expected_mas must be a positive number, got 0.0"),
        ({"expected_mas": math.nan}, "expected_mas must be a positive number, got nan"),
        ({"backup_mas": math.inf}, "backup_mas must be a positive number, got inf"),
        ({"backup_mas": -1.0}, "backup_mas must be a positive number, got -1.0"),
    ],
)
def test_a_setting_that_is_no_usable_value_names_its_field(
    changes: dict[str, Any], words: str
) -> None:
    (found,) = replace(AUTO, aec=replace(SETTING, **changes)).problems()
    assert found.startswith(words)


@pytest.mark.req("SR-05")
@pytest.mark.parametrize("other", [{"mas": 0.5}, {"ms": 100.0}, {"mas": 0.5, "ms": 100.0}])
def test_chambers_and_another_ending_are_too_many(other: dict[str, Any]) -> None:
    assert replace(AUTO, **other).problems() == ("exactly one of mas, ms and aec must be given",)
    assert AUTO.problems() == ()


@pytest.mark.req("SR-22", "SR-53")
def test_timer_and_bound_of_an_automatic_exposure_are_those_of_its_back_up() -> None:
    assert timer_us(AUTO, LIMITS) == 2_000_000 + LIMITS.ramp_us
    assert maximum_mas(AUTO, LIMITS) == 1.25


# --- ceiling and back-up


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("kv", "ceiling"),
    [
        (51.0, (600.0, "law, from 51 kV on")),
        (50.9, (640.0, "the generator")),  # the law has 2000 mAs here; the generator less
        (100.0, (600.0, "60 kWs")),  # both ways of the law meet
        (120.0, (500.0, "60 kWs")),
    ],
)
def test_the_ceiling_is_the_lowest_of_law_and_generator(
    kv: float, ceiling: tuple[float, str]
) -> None:
    assert aec.ceiling(kv, DATA) == ceiling


@pytest.mark.req("SR-22")
def test_the_laws_2000_mas_belong_below_51_kv_and_never_above() -> None:
    strong = replace(DATA, own_mas=5000.0)
    assert aec.ceiling(50.9, strong) == (60_000.0 / 50.9, "60 kWs")
    assert aec.ceiling(25.0, strong) == (2000.0, "law, < 51 kV")
    assert aec.ceiling(51.0, strong) == (600.0, "law, from 51 kV on")


@pytest.mark.req("SR-22")
def test_a_lower_limit_of_the_site_counts_and_a_higher_one_does_not() -> None:
    assert aec.ceiling(70.0, replace(DATA, site_mas=100.0)) == (100.0, "the site")
    assert aec.ceiling(70.0, replace(DATA, site_mas=601.0)) == (600.0, "law, from 51 kV on")


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("expected_mas", "pct", "backup_mas"),
    [(10.0, 200.0, 20.0), (10.0, 150.0, 15.0), (300.0, 200.0, 600.0), (300.5, 200.0, 600.0)],
)
def test_the_back_up_is_the_benchs_share_of_the_expected_mas_under_the_ceiling(
    expected_mas: float, pct: float, backup_mas: float
) -> None:
    assert aec.backup_mas(70.0, expected_mas, replace(DATA, backup_pct=pct)) == backup_mas


# --- what a bench can't do


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (shot(), ()),
        (shot(chambers=("left", "centre"), density_index=-2, sensitivity_index=3), ()),
        (shot(density_index=2, panel_id="P2"), ()),
        (replace(SHOT, panel_id="P9"), ()),  # by mAs: no chamber is asked for
        (
            shot(chambers=("centre", "right")),
            ("aec: no chamber right; there are left, centre",),
        ),
        (
            shot(chambers=("left", "centre", "right"), panel_id="P2"),
            ("aec: no chamber right; there are left, centre",),
        ),
        (shot(panel_id="P9"), ("aec: no chambers stand before P9",)),
        (shot(density_index=3), ("density must be -2 to +2",)),
        (shot(density_index=-3), ("density must be -2 to +2",)),
        (shot(sensitivity_index=2), ("sensitivity must be one of 1, 3",)),
        (
            shot(chambers=("right",), sensitivity_index=2, panel_id="P9"),
            (
                "aec: no chamber right; there are left, centre",
                "aec: no chambers stand before P9",
                "sensitivity must be one of 1, 3",
            ),
        ),
        (shot(chambers=()), ("chambers must be of left, centre, right, got ()",)),
        (shot(backup_mas=1.002), ("back-up = 1.002 mAs must be 0.749251 to 1.001 mAs",)),
        (shot(backup_mas=0.749), ("back-up = 0.749 mAs must be 0.749251 to 1.001 mAs",)),
        (shot(backup_mas=1.001), ()),  # a back-up in the generator's steps
        (shot(backup_mas=0.75 / 1.001), ()),
        (shot(expected_mas=500.0, backup_mas=600.0), ()),  # 120 %: the ceiling is lower
        (shot(expected_mas=600.0, backup_mas=600.0), ()),
        (
            shot(expected_mas=601.0, backup_mas=600.0),
            ("expected mAs = 601 are above the ceiling of 600 mAs (law, from 51 kV on): raise kV",),
        ),
        (
            shot(expected_mas=400.0, backup_mas=601.0),
            ("back-up = 601 mAs must be 599.401 to 600.6 mAs",),
        ),
    ],
)
def test_what_is_asked_for_must_be_there(asked: Shot, words: tuple[str, ...]) -> None:
    assert aec.problems(asked, DATA) == words


@pytest.mark.req("SR-22")
def test_every_chamber_that_is_not_there_is_named() -> None:
    one = replace(DATA, chambers=("left",))
    assert aec.problems(shot(chambers=("centre", "right")), one) == (
        "aec: no chamber centre, right; there are left",
    )


@pytest.mark.req("SR-22")
def test_a_bench_without_chambers_makes_no_automatic_exposure() -> None:
    assert aec.problems(shot(), None) == ("aec: this bench has no chambers (no [aec] in its file)",)
    assert aec.problems(SHOT, None) == ()


def pressed(asked: Shot, before: Memory) -> Memory:
    now = inputs(room=room(stage_1=True), requests=Requests(shot=asked))
    return step(before, now)[0]


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("asked", "lock", "refused"),
    [
        (SHOT_AUTO, None, ()),
        (shot(sensitivity_index=2), None, ("AEC_SETTING",)),
        (SHOT_AUTO, "AEC_BACKUP", ("AEC_LOCKED",)),
        (shot(density_index=3), "AEC_IMPLAUSIBLE", ("AEC_SETTING", "AEC_LOCKED")),
        (SHOT, "AEC_BACKUP", ()),  # a manual technique stays possible
    ],
)
def test_a_press_is_refused_for_a_setting_and_for_a_lock_and_manual_ones_for_neither(
    asked: Shot, lock: str | None, refused: tuple[str, ...]
) -> None:
    after = pressed(asked, memory(S.STANDBY, limits=BENCH, aec_lock=lock))
    assert after.refused == refused
    assert after.state is (S.RELEASE_WAIT if refused else S.PREP)


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("state", "why_locked", "unlocked"),
    [
        (S.STANDBY, (), True),
        (S.FAULT, ("DOOR_OPEN",), True),
        (S.LOCKED, ("ARCS",), True),
    ],
)
def test_a_persons_reset_frees_aec_wherever_it_is_pressed(
    state: State, why_locked: tuple[str, ...], unlocked: bool
) -> None:
    before = memory(state, faults=why_locked, aec_lock="AEC_BACKUP", key_was_off=True)
    reset = inputs(requests=Requests(shot=SHOT, reset=True))
    after, outputs = step(before, reset)
    assert after.state is S.RELEASE_WAIT
    assert (after.aec_lock is None) is unlocked
    assert outputs.clear_faults_from_us == T_US


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("before", "now"),
    [
        (memory(S.STANDBY), inputs(room=room(stage_1=True, door=False))),
        (memory(S.SELF_TEST, test_step_us=0), inputs()),
        (memory(S.PREP), inputs(recorder=recorder(intent_durable=SHOT.shot_id))),
        (memory(S.RELEASE_WAIT, open_since_us=T_US - 50_000), inputs()),
    ],
)
def test_nothing_but_a_reset_frees_aec(before: Memory, now: Any) -> None:
    after, _ = step(replace(before, aec_lock="AEC_BACKUP"), now)
    assert after.aec_lock == "AEC_BACKUP"


# --- the beam


OFF = replace(ON, beam_on=False, beam_taken_us=T_US - 5_000)


def in_auto(**changes: Any) -> Memory:
    values: dict[str, Any] = {"limits": BENCH, "shot": SHOT_AUTO} | changes
    return replace(exposing(replace(READ, read_us=None, read_count=0)), **values)


def auto_seen(**changes: Any) -> Any:
    """Mid-beam; the room was looked at after the generator's "off" was seen."""
    return in_beam(**({"requests": Requests(shot=SHOT_AUTO)} | changes))


@pytest.mark.req("SR-22")
@pytest.mark.parametrize("since_on_us", [10_000, 500_000, 2_000_000])
def test_chambers_may_end_the_beam_at_any_time(since_on_us: int) -> None:
    beam = replace(READ, read_us=None, sent_us=T_US - since_on_us, accepted_us=T_US - since_on_us)
    after, outputs = step(in_auto(beam=beam), auto_seen(generator=OFF))
    assert (after.state, after.why) == (S.READOUT, "generator_charge_ended")
    assert after.ending is None or after.ending.reason is EndReason.PLANNED
    assert outputs.expose_from_us is None


@pytest.mark.req("SR-22", "SR-39")
@pytest.mark.parametrize(
    ("contacts", "state", "faults"),
    [
        ({"door": False}, S.FAULT, ("DOOR_OPEN",)),
        ({"stage_2": False}, S.READOUT, ()),
        ({"taken_us": T_US - 1}, S.EXPOSE, ()),  # a contact may have been quicker: look again
    ],
)
def test_an_off_that_a_contact_explains_is_not_taken_for_the_chambers_end(
    contacts: dict[str, Any], state: State, faults: tuple[str, ...]
) -> None:
    now = auto_seen(generator=OFF, room=held(**contacts))
    after, _ = step(in_auto(), now)
    assert (after.state, after.faults) == (state, faults)
    assert after.why != "generator_charge_ended"


@pytest.mark.req("SR-39")
def test_an_off_with_an_open_pair_and_closed_contacts_ended_early() -> None:
    after, _ = step(in_auto(), auto_seen(generator=replace(OFF, interlock_closed=False)))
    assert (after.state, after.faults) == (S.FAULT, ("BEAM_ENDED_EARLY",))
    same, _ = step(in_auto(), auto_seen(generator=replace(OFF, interlock_closed=True)))
    assert same.state is S.READOUT


@pytest.mark.req("SR-21", "SR-22")
def test_a_back_up_that_does_not_end_the_beam_is_followed_by_the_units_own_time() -> None:
    late_us = T_US - 900_000 + 2_500_000 * 11 // 10 + 10_000 + LIMITS.status_age_us
    for t_us, state in ((late_us - 1, S.EXPOSE), (late_us, S.FAULT)):
        still = replace(ON, beam_taken_us=t_us - 1_000)
        panel = replace(INTEGRATING, taken_us=t_us)
        now = replace(auto_seen(), t_us=t_us, room=held(t_us), generator=still, panel=panel)
        after, _ = step(in_auto(), now)
        assert after.state is state
    assert after.faults == ("BACKUP_TIME",)


def test_an_automatic_exposure_is_written_down_with_what_is_expected_and_what_may_be() -> None:
    now = inputs(room=room(stage_1=True), requests=Requests(shot=SHOT_AUTO))
    _, outputs = step(memory(S.STANDBY, limits=BENCH), now)
    assert outputs.intent is not None
    assert (outputs.intent.planned_mas, outputs.intent.maximum_mas) == (0.5, 1.25)


# --- how it ended, by the generator's account


def told(mas: float, beam_ms: float | None = 100.0) -> ExposureReport:
    return ExposureReport(
        shot=SHOT_AUTO, reason=EndReason.PLANNED, beam=True, mas=mas, maximum_mas=1.25,
        beam_ms=beam_ms,
    )  # fmt: skip


@pytest.mark.req("SR-22", "SR-23")
@pytest.mark.parametrize(
    ("mas", "beam_ms", "code"),
    [
        (0.5, 1000.0, None),
        (0.9499, 1000.0, None),
        (0.95, 1000.0, "AEC_BACKUP"),  # 95 % of the back-up
        (1.0, None, "AEC_BACKUP"),
        (0.5, 1899.9, None),
        (0.5, 1900.0, "AEC_BACKUP"),  # too little mA: its time ended it
        (0.05, 1900.0, "AEC_BACKUP"),
        (0.1, 100.0, None),  # a fifth of what is expected
        (0.0999, 100.0, "AEC_IMPLAUSIBLE"),
        (0.0, None, "AEC_IMPLAUSIBLE"),
    ],
)
def test_how_an_automatic_exposure_ended_is_judged_by_what_was_made(
    mas: float, beam_ms: float | None, code: str | None
) -> None:
    assert aec.ended_wrongly(told(mas, beam_ms)) == code
