"""The charge of unit and panel, as the unit decides on it: to the sample."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py.decide import batteries
from firmware_py.decide.interlocks import inhibits, warnings
from firmware_py.decide.memory import State
from hal.now import Now
from hal.types import ChargeData, PanelState, Requests, ShotKind
from tests.samples import LIMITS, SHOT, generator, inputs, memory, panel

CHARGE = ChargeData(warn_pct=33.0, least_pct=15.0)
ON_BATTERY = replace(LIMITS, battery=CHARGE)
WIRELESS = replace(LIMITS, panel_battery=replace(CHARGE, warn_pct=30.0, least_pct=10.0))
S = State


@pytest.mark.req("SR-29", "F71")
@pytest.mark.parametrize(
    ("pct", "warned", "refused"),
    [
        (100.0, False, False), (33.0, False, False), (32.9, True, False), (15.0, True, False),
        (14.9, False, True), (0.0, False, True), (None, False, False),
        (101.0, False, True), (float("nan"), False, True),  # no charge at all
    ],
)  # fmt: skip
def test_below_a_third_it_is_told_and_below_the_least_nothing_is_begun(
    pct: float | None, warned: bool, refused: bool
) -> None:
    seen = inputs(generator=generator(battery_pct=pct))
    assert batteries.warnings(ON_BATTERY, seen) == ["BATTERY_WARNING"] * warned
    assert batteries.inhibits(ON_BATTERY, seen, SHOT) == ["BATTERY_EMPTY"] * refused
    assert batteries.warnings(LIMITS, seen) == batteries.inhibits(LIMITS, seen, SHOT) == []


@pytest.mark.req("SR-10", "F32")
@pytest.mark.parametrize(
    ("pct", "warned", "refused"),
    [
        (100.0, False, False),
        (29.0, True, False),
        (10.0, True, False),
        (9.0, False, True),
        (None, False, True),  # the bench names a battery, and it tells none
    ],
)
def test_a_panel_that_may_not_last_is_refused_and_one_that_does_not_say_is_too(
    pct: float | None, warned: bool, refused: bool
) -> None:
    seen = inputs(panel=panel(battery_pct=pct))
    assert batteries.warnings(WIRELESS, seen) == ["PANEL_BATTERY_WARNING"] * warned
    assert batteries.inhibits(WIRELESS, seen, SHOT) == ["PANEL_BATTERY_EMPTY"] * refused
    assert batteries.inhibits(WIRELESS, seen, None) == ["PANEL_BATTERY_EMPTY"] * refused
    assert batteries.inhibits(LIMITS, seen, SHOT) == []


def test_a_panel_that_is_not_asked_for_or_not_there_is_no_empty_one() -> None:
    empty = inputs(panel=panel(battery_pct=3.0))
    aside = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A")
    assert batteries.inhibits(WIRELESS, empty, aside) == []
    gone = inputs(panel=panel(state=PanelState.DISCONNECTED))
    assert batteries.inhibits(WIRELESS, gone, SHOT) == []  # PANEL_LINK_LOST says it


@pytest.mark.req("SR-29", "F71")
def test_the_battery_is_told_before_what_the_source_calls_a_fault_of_its_own() -> None:
    low = generator(battery_pct=4.0, faults=("GENERATOR_UNKNOWN",))
    seen = inputs(generator=low, requests=Requests(shot=SHOT))
    at_rest = memory(S.STANDBY, limits=ON_BATTERY)
    found = inhibits(at_rest, seen, Now(seen.t_us))
    assert found[:2] == ("BATTERY_EMPTY", "GENERATOR_UNKNOWN")


def test_a_source_s_own_warning_is_told_beside_it() -> None:
    seen = inputs(generator=generator(battery_pct=20.0, faults=("UNDER_TEMPERATURE", "ARC")))
    found = warnings(memory(S.STANDBY, limits=ON_BATTERY), seen)
    assert found == ("BATTERY_WARNING", "UNDER_TEMPERATURE")


@pytest.mark.req("SR-10", "SR-53")
def test_a_shot_onto_no_panel_waits_for_no_panel_s_battery() -> None:
    aside = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A")
    at_rest = memory(S.STANDBY, limits=WIRELESS)
    for shot, refused in ((SHOT, True), (aside, False)):
        seen = inputs(panel=panel(battery_pct=3.0), requests=Requests(shot=shot))
        found = inhibits(at_rest, seen, Now(seen.t_us))
        assert ("PANEL_BATTERY_EMPTY" in found) == refused
