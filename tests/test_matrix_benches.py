"""The fault matrix on a bench with another wire: what is skipped there, and what must hold."""

from __future__ import annotations

from functools import cache

import pytest

from rig.bench import Bench, load_bench
from rig.injections import InjectionSection, known_injection, shipped_injections
from rig.matrix.elsewhere import rows_on
from rig.matrix.places import PLACES
from rig.matrix.run import run_matrix
from rig.matrix.spread import places_of
from rig.model import setting_of
from rig.unit_states import STATES
from sim.build import pixel_model
from tests.model_runs import bench, pixels


@cache
def mobile() -> Bench:
    return load_bench("mobile")


@cache
def on_mobile() -> dict[str, InjectionSection]:
    return rows_on(mobile(), shipped_injections(), pixel_model(setting_of(mobile())))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("F01", "the generator itself ends a beam by mAs: no OFF of the unit's ends it"),
        ("F06", ""),  # after it: the generator's account
        ("F11", "a fault of the IXS's own commands"),
        ("F15", "no injection 'wrong_echo' here"),
        ("F58", "wrong_baud needs a serial line, and this generator's is none"),
        ("F13", ""),
        ("F24", ""),
        ("F27", "no collimator or SID sensor on this bench"),
        ("F54", ""),
    ],
)
def test_a_row_of_another_bench_says_why_it_is_none_of_this_one(row: str, reason: str) -> None:
    assert on_mobile()[row].not_applicable == reason


@cache
def on_industrial() -> dict[str, InjectionSection]:
    supply = load_bench("industrial")
    return rows_on(supply, shipped_injections(), pixel_model(setting_of(supply)))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("F01", ""),
        (
            "F04",
            "the generator has no timer of its own: the unit ends each beam (F01 for its OFF)",
        ),
        ("F71", "the generator runs on mains"),
    ],
)
def test_a_supply_on_mains_has_neither_timer_nor_battery(row: str, reason: str) -> None:
    assert on_industrial()[row].not_applicable == reason


def test_what_is_done_and_what_is_told_may_be_the_driver_s() -> None:
    (step,) = on_mobile()["F62"].how
    assert step.args == {"device": "generator", "delay_ms": 1100.0}
    assert known_injection("F62").how[0].args["delay_ms"] == 600.0
    assert on_industrial()["F62"].how == known_injection("F62").how


def test_on_the_portable_the_rotor_s_rows_alone_are_of_other_benches() -> None:
    rows = rows_on(bench(), shipped_injections(), pixels())
    own = {n for n, row in rows.items() if row.not_applicable} - {
        n for n, row in shipped_injections().items() if row.not_applicable
    }
    assert own == {"F13", "F24", "F27"}
    assert rows["F24"].not_applicable == "no rotor: the source has a stationary anode"


def test_a_row_expects_what_this_wire_can_tell() -> None:
    assert known_injection("F71").expected("STANDBY") == "BATTERY_LOW"
    assert on_mobile()["F71"].expected("STANDBY") == "BATTERY_EMPTY"
    assert on_mobile()["F71"].expected("PREP") == "GENERATOR_UNKNOWN"
    assert on_mobile()["F54"].expect == known_injection("F54").expect


@pytest.mark.req("F24", "F13", "F54", "F71")
def test_rotor_emergency_stop_and_battery_are_answered_on_the_mobile_bench() -> None:
    rows = {name: known_injection(name) for name in ("F13", "F24", "F54", "F71")}
    matrix = run_matrix(mobile(), rows, ("PREP", "EXPOSE"), each_count=2)
    assert [(r.id, r.state, r.moment, r.wrong) for r in matrix.failures] == []
    assert {result.id for result in matrix.results} == set(rows)


@pytest.mark.req("F06", "F07", "F22", "F23", "SR-53")
def test_what_no_read_shows_in_the_beam_is_told_after_it_and_the_dose_is_right() -> None:
    rows = {name: known_injection(name) for name in ("F06", "F07", "F22", "F23")}
    matrix = run_matrix(mobile(), rows, ("READY",))
    assert [(r.id, r.told, r.wrong) for r in matrix.results] == [
        ("F06", "KV_OUT_OF_BAND", []),
        ("F07", "BEAM_ENDED_EARLY", []),
        ("F22", "MA_OUT_OF_BAND", []),
        ("F23", "MA_OUT_OF_BAND", []),
    ]


@pytest.mark.req("F17", "F70", "SR-50")
def test_a_generator_that_was_without_power_is_got_to_know_again_before_a_beam() -> None:
    rows = {name: known_injection(name) for name in ("F17", "F70")}
    matrix = run_matrix(mobile(), rows, ("STANDBY",))
    assert [(r.id, r.told, r.wrong) for r in matrix.results] == [
        ("F17", "GENERATOR_LINK_LOST", []),
        ("F70", "GENERATOR_LINK_LOST", []),
    ]


@pytest.mark.req("F01", "SR-33")
def test_a_supply_that_ignores_off_is_told_though_the_relay_ends_the_beam() -> None:
    matrix = run_matrix(load_bench("industrial"), {"F01": known_injection("F01")}, ("READY",))
    assert [(r.told, r.wrong) for r in matrix.results] == [("BEAM_OFF_NOT_CONFIRMED", [])]


# --- a spread of all cells


def test_a_spread_takes_places_far_apart_and_others_for_each_row() -> None:
    rows = on_mobile()
    chosen = places_of([rows["F54"], rows["F55"], rows["F75"]], STATES, 2)
    assert {row: [place.name for place in places] for row, places in chosen.items()} == {
        "F54": ["BOOT", "EXPOSE early"],
        "F55": ["SELF_TEST", "EXPOSE middle"],
        "F75": ["STANDBY", "EXPOSE late"],
    }


def test_over_all_rows_a_spread_of_two_leaves_no_place_out() -> None:
    chosen = places_of(on_mobile().values(), STATES, 2)
    assert {len(places) for places in chosen.values()} <= {0, 2}
    assert {place for places in chosen.values() for place in places} == set(PLACES)
    everywhere = places_of(on_mobile().values(), STATES)
    assert all(set(places) <= set(everywhere[row]) for row, places in chosen.items())


def test_a_spread_of_more_than_there_are_is_all_of_them() -> None:
    rows = on_mobile()
    assert places_of([rows["F08"]], STATES, 99) == places_of([rows["F08"]], STATES)
    assert len(places_of([rows["F08"]], STATES)["F08"]) == len(PLACES) - 3
