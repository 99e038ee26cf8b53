"""The fault matrix on a bench with another wire: what is skipped there, and what must hold."""

from __future__ import annotations

from functools import cache

import pytest

from rig.bench import Bench, load_bench
from rig.injections import InjectionSection, known_injection, shipped_injections
from rig.matrix.elsewhere import rows_on
from rig.matrix.run import run_matrix
from rig.model import setting_of
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
        ("F06", "this wire tells neither kV nor mA while the beam is on"),
        ("F11", "a fault of the IXS's own commands"),
        ("F15", "no injection 'wrong_echo' here"),
        ("F58", "wrong_baud needs a serial line, and this generator's is none"),
        ("F13", ""),
        ("F24", ""),
        ("F54", ""),
    ],
)
def test_a_row_of_another_bench_says_why_it_is_none_of_this_one(row: str, reason: str) -> None:
    assert on_mobile()[row].not_applicable == reason


def test_on_the_portable_the_rotor_s_rows_alone_are_of_other_benches() -> None:
    rows = rows_on(bench(), shipped_injections(), pixels())
    own = {n for n, row in rows.items() if row.not_applicable} - {
        n for n, row in shipped_injections().items() if row.not_applicable
    }
    assert own == {"F13", "F24"}
    assert rows["F24"].not_applicable == "no rotor: the source has a stationary anode"


def test_a_row_expects_what_this_wire_can_tell() -> None:
    assert known_injection("F71").expected("STANDBY") == "BATTERY_LOW"
    assert on_mobile()["F71"].expected("STANDBY") == "BATTERY_EMPTY"
    assert on_mobile()["F71"].expected("PREP") == "GENERATOR_UNKNOWN"
    assert on_mobile()["F54"].expect == known_injection("F54").expect


@pytest.mark.req("F24", "F13", "F54", "F71")
def test_rotor_emergency_stop_and_battery_are_answered_on_the_mobile_bench() -> None:
    rows = {name: known_injection(name) for name in ("F13", "F24", "F54", "F71")}
    matrix = run_matrix(mobile(), rows, ("PREP", "EXPOSE"))
    assert [(r.id, r.state, r.moment, r.wrong) for r in matrix.failures] == []
    assert {result.id for result in matrix.results} == set(rows)
