"""`dxrig sim show faults`: each shows where a physicist would look for it, and nowhere else."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from click.testing import CliRunner

from rig.cli import main
from rig.signatures import signature
from rig.sim_show.fault_runs import Observed, _middle_px, _seen_in, observe

pytestmark = pytest.mark.slow

ALIKE = 0.01  # relative: two beams of the same setting
INDICATED = ("kv", "ma", "mas")
METER = ("meter_kv", "meter_mas", "meter_ms", "output_ugy_per_mas", "hvl_mm_al")
IMAGE = ("ei", "pattern_pct", "row_pct", "field_off_mm")
CHANCE_PCT = 0.06  # of what the image's noise may do to pattern and row


@cache
def seen(name: str) -> Observed:
    return observe(signature(name))


def changes(name: str, fine: str = "none") -> dict[str, float]:
    """What differs from a beam without fault, as its ratio or, of the last three, difference."""
    there, good = seen(name), seen(fine)
    found = {}
    for field in (*INDICATED, *METER, "ei", "ready_ms"):
        now, before = getattr(there, field), getattr(good, field)
        if now is None or abs(now / before - 1) > ALIKE:
            found[field] = float("nan") if now is None else now / before
    for field, least in (
        ("pattern_pct", CHANCE_PCT),
        ("row_pct", CHANCE_PCT),
        ("field_off_mm", 0.2),
    ):
        difference = getattr(there, field) - getattr(good, field)
        if abs(difference) > least:
            found[field] = difference
    return found


def test_a_beam_without_fault_is_as_it_was_set() -> None:
    one = seen("none")
    assert one.kv == pytest.approx(70.0, rel=ALIKE)
    assert one.meter_kv == pytest.approx(70.0, rel=ALIKE)
    # 100 mA for 50 ms less half the ramp of 3, and 0.4 nF at 70 kV
    assert one.meter_mas == pytest.approx(5.0 - 0.15 + 0.028)
    assert one.mas == pytest.approx(5.0 - 0.15 + 0.028, rel=ALIKE)
    assert one.output_ugy_per_mas == pytest.approx(55.8, rel=ALIKE)  # 2.8 mm Al: between 5.4's
    assert one.hvl_mm_al == pytest.approx(2.6, rel=ALIKE)
    assert abs(one.field_off_mm or 0.0) < 0.1
    assert (one.end, one.arcs_count) == ("planned end", 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kV off", {"kv": 1.07, "meter_kv": 1.07, "output_ugy_per_mas": 1.134, "hvl_mm_al": 1.07,
                    "ei": 1.28}),
        ("kV divider drifted", {"meter_kv": 1.08, "output_ugy_per_mas": 1.154, "hvl_mm_al": 1.078,
                                "ei": 1.33}),
        ("kV ripple", {"output_ugy_per_mas": 0.775, "hvl_mm_al": 0.895, "ei": 0.619}),
        ("mA off", {"ma": 1.15, "mas": 1.15, "meter_mas": 1.15, "ei": 1.15}),
        ("filament preheat low", {"ma": 0.859, "mas": 0.859, "meter_mas": 0.859, "ei": 0.862}),
        ("mA shunt drifted", {"meter_mas": 1.15, "ei": 1.15}),
        ("filter lost", {"output_ugy_per_mas": 1.874, "hvl_mm_al": 0.656, "ei": 1.214}),
        ("anode worn", {"output_ugy_per_mas": 0.798, "hvl_mm_al": 1.035, "ei": 0.833}),
        ("output drifting", {"output_ugy_per_mas": 0.95, "ei": 0.95}),
        ("rotor slow", {"ready_ms": 2.618}),
        ("hot row", {"row_pct": 24.0}),
        ("gain map stale", {"pattern_pct": 2.7, "row_pct": 0.9}),
        ("collimator misaligned", {"field_off_mm": 8.0}),
    ],
)  # fmt: skip
def test_a_fault_shows_where_it_should_and_nowhere_else(
    name: str, expected: dict[str, float]
) -> None:
    found = changes(name)
    if "ei" in expected:
        found.pop("pattern_pct", None)  # more or fewer quanta, no pattern
    assert set(found) == set(expected)
    assert found == pytest.approx(expected, rel=0.04)
    assert seen(name).end == "planned end"


def test_a_timer_that_runs_on_is_not_believed_by_the_unit() -> None:
    one, fine = seen("timer off"), seen("none")
    assert (one.end, one.mas) == ("GENERATOR_ACCOUNT", None)
    assert one.meter_ms == pytest.approx((fine.meter_ms or 0.0) + 10.0)
    assert one.output_ugy_per_mas == pytest.approx(fine.output_ugy_per_mas, rel=ALIKE)
    assert one.ei == pytest.approx(1.2 * (fine.ei or 0.0), rel=ALIKE)


def test_a_gassy_tube_arcs_and_the_fourth_arc_ends_the_beam() -> None:
    one = seen("gassy tube")
    assert one.arcs_count == 4
    assert one.meter_ms is not None
    assert one.meter_ms < 398


def test_a_dead_chamber_ends_by_the_back_up_at_twice_what_was_expected() -> None:
    fine, dead = seen("none (AEC)"), seen("chamber dead")
    assert (fine.end, dead.end) == ("planned end", "AEC_BACKUP")
    assert dead.meter_mas == pytest.approx(0.82, rel=ALIKE)
    assert fine.meter_mas is not None
    assert fine.meter_mas < 0.5


# --- how the image is read


def test_an_image_tells_its_field_by_the_edges_at_half_light() -> None:
    profile = np.zeros(100)
    profile[30:60] = 10.0  # pixels 30 to 59: the middle is at 45, 5 before the panel's
    assert _middle_px(profile) == pytest.approx(-5.0)
    profile[29] = 5.0  # half a pixel more at one end
    assert _middle_px(profile) == pytest.approx(-5.25, abs=0.26)


def test_rows_and_columns_are_no_pattern_and_one_row_is_told() -> None:
    image = np.full((100, 100), 500.0)
    image[50] += 25.0
    image[:, 48] += 50.0
    found = _seen_in(image, 0.8)
    assert found["row_pct"] == pytest.approx(5.0, abs=0.1)
    assert found["pattern_pct"] == pytest.approx(0.0, abs=1e-9)
    image[:, ::2] += 10.0 * np.where(np.arange(100) % 2, 1, -1)[:, None]
    assert (_seen_in(image, 0.8)["pattern_pct"] or 0.0) > 0.9


def test_no_image_tells_nothing() -> None:
    assert set(_seen_in(None, 0.8).values()) == {None}


# --- the command


def test_a_chosen_fault_is_told_as_json() -> None:
    done = CliRunner().invoke(main, ["sim", "show", "faults", "rotor slow", "--json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["faults"]
    assert (row["name"], row["ready_ms"], row["end"]) == ("rotor slow", 4045.0, "planned end")


def test_an_unknown_fault_is_refused_with_the_names() -> None:
    done = CliRunner().invoke(main, ["sim", "show", "faults", "rotor slw"])
    assert done.exit_code == 2
    assert "no fault 'rotor slw'; there are none, kV off" in done.stderr
    assert "did you mean 'rotor slow'?" in done.stderr
