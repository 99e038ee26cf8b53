"""What a routine takes from tube and battery: split for charging, and run dry."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from firmware_py.routines.conditioning import ConditioningPlan, conditioning
from firmware_py.routines.dry_run import DryRun, dry_run
from firmware_py.routines.steps import Ask, Charge, Fire, Pause, Result, Routine, Verdict
from firmware_py.routines.supply import Supply, seconds_of, split
from firmware_py.routines.warmup import CLEAR, WarmupPlan, pulse, warmup
from hal.types import ShotKind, Technique
from rig.routines.tube import supply_of, warmup_spec
from tests.model_runs import bench
from tests.routines import Played

# 1 J each second and half of what the tube gets is lost: a pulse of 15 s takes 619 J.
SUPPLY = Supply(capacity_j=10_000.0, efficiency=0.5, standby_w=1.0, reserve=0.1, charge_h=2.0)
PULSE = pulse(40.0, 0.5, 15.0, "")
DARK = Fire(technique=Technique(kv=30.0, ma=0.2, ms=1000.0), kind=ShotKind.DARK, note="")
PULSE_J = 40.0 * 7.5 / 0.5 + (15 + 4) * 1.0
REST_J = 15.0


def twelve() -> Routine:
    return warmup(WarmupPlan(kv=(40.0,), ma=0.5, pulses=12, on_s=15.0, off_s=15.0))


def kinds(played: Played) -> list[str]:
    return [type(step).__name__ for step in played.steps]


# --- what a step takes


def test_a_pulse_takes_the_tubes_energy_through_the_losses_and_the_standby_meanwhile() -> None:
    assert SUPPLY.taken_j(PULSE) == PULSE_J == 619.0


def test_a_dark_frame_takes_the_standby_only() -> None:
    assert SUPPLY.taken_j(DARK) == 5.0


@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        (Pause(seconds=20.0, why=""), 20.0),
        (PULSE, 19.0),
        (CLEAR, 30.0),
        (Charge(hours=2.0, text=""), 7200.0),
    ],
)
def test_every_step_has_its_time(step: Pause | Fire | Ask | Charge, seconds: float) -> None:
    assert seconds_of(step) == seconds


def test_nothing_is_usable_below_the_reserve() -> None:
    assert [SUPPLY.usable_j(charge) for charge in (1.0, 0.1, 0.05)] == [9000.0, 0.0, 0.0]


def test_the_shipped_batterys_figures_meet_both_times_of_its_data_sheet() -> None:
    """14 min at 120 W; 20 min of 15 s on, 15 s off (SPC-P366). Without reserve."""
    supply = supply_of(bench().unit.battery, 1.0)
    assert supply is not None
    steady_w = 120.0 / supply.efficiency + supply.standby_w
    pulsed_w = 60.0 / supply.efficiency + supply.standby_w
    assert supply.capacity_j / steady_w / 60 == pytest.approx(14, abs=0.1)
    assert supply.capacity_j / pulsed_w / 60 == pytest.approx(20, abs=0.1)
    assert supply_of(None, 1.0) is None


# --- where it is split


def test_a_battery_that_lasts_splits_nothing() -> None:
    whole = replace(SUPPLY, capacity_j=100_000.0)
    assert Played(split(twelve(), whole)).steps == Played(twelve()).steps


def test_the_charge_comes_before_the_first_step_that_would_not_be_borne() -> None:
    supply = replace(SUPPLY, charge=0.5)
    left_j = 4000.0 - 30.0  # the question
    count = 0
    while left_j >= PULSE_J:
        left_j -= PULSE_J + REST_J
        count += 1
    played = Played(split(twelve(), supply))
    place = kinds(played).index("Charge")
    assert kinds(played)[:place].count("Fire") == count == 6
    assert isinstance(played.steps[place + 1], Fire)
    (charge,) = played.all(Charge)
    assert charge == Charge(
        hours=2.0, text="The battery does not last: charge it for 2 h, then resume."
    )


def test_after_a_charge_the_rest_goes_on_and_nothing_is_lost_or_repeated() -> None:
    played = Played(split(twelve(), replace(SUPPLY, charge=0.5)))
    rest = [step for step in played.steps if not isinstance(step, Charge)]
    assert rest == Played(twelve()).steps
    assert played.text == "warmed up to 40 kV"


def test_one_charge_may_not_be_enough() -> None:
    small = replace(SUPPLY, capacity_j=2000.0)
    assert len(Played(split(twelve(), small)).all(Charge)) == 5


def test_an_empty_battery_is_charged_before_anything_else() -> None:
    assert kinds(Played(split(twelve(), replace(SUPPLY, charge=0.1))))[:2] == ["Charge", "Ask"]


def test_a_step_that_no_battery_bears_ends_it_without_a_charge_that_would_not_help() -> None:
    played = Played(split(twelve(), replace(SUPPLY, capacity_j=600.0)))
    assert kinds(played) == ["Ask"]
    assert played.verdict == Verdict(passed=False, text="a full battery does not last for one step")


def test_the_results_reach_the_routine_as_if_nothing_was_split() -> None:
    got: list[Result] = []

    def two() -> Routine:
        got.append((yield PULSE))
        got.append((yield CLEAR))
        return Verdict(passed=True, text="")

    played = Played(split(two(), replace(SUPPLY, charge=0.1)))
    assert kinds(played) == ["Charge", "Fire", "Ask"]
    assert [type(one).__name__ for one in got] == ["Fired", "Done"]


# --- run dry


def dry(routine: Routine, heat_max_j: float = 1e6, **changes: object) -> DryRun:
    values = {"heat_max_j": heat_max_j, "cooling_tau_s": 900.0} | changes
    return dry_run(routine, **values)  # type: ignore[arg-type]


def two_pulses() -> Routine:
    return warmup(WarmupPlan(kv=(40.0, 60.0), ma=0.5, pulses=2, on_s=15.0, off_s=15.0))


def test_a_dry_run_has_every_step_and_the_time_it_begins() -> None:
    run = dry(two_pulses())
    assert [row.at_s for row in run.rows] == [0, 30, 49, 64]
    assert run.seconds == 83
    assert run.verdict == Verdict(passed=True, text="warmed up to 60 kV")
    assert [run.left_s(index) for index in range(5)] == [83, 53, 34, 19, 0]


def test_a_dry_run_sums_what_the_tube_gets() -> None:
    run = dry(two_pulses())
    assert (len(run.shots), len(run.beams), run.kv_max) == (2, 2, 60)
    assert (run.mas, run.beam_s, run.energy_j) == (15.0, 30.0, 40 * 7.5 + 60 * 7.5)
    assert (run.sessions, run.charge_min) == (1, None)


def test_dark_frames_are_no_beams_and_heat_nothing() -> None:
    def dark() -> Routine:
        yield DARK
        return Verdict(passed=True, text="")

    run = dry(dark())
    assert (len(run.shots), len(run.beams), run.mas, run.kv_max) == (1, 0, 0.0, 0.0)
    assert run.heat_max_j == 0.0


def test_the_tube_cools_in_closed_form() -> None:
    """300 J, 19 s and 15 s of cooling with 900 s, 450 J."""
    run = dry(two_pulses())
    assert [row.heat_j for row in run.rows] == pytest.approx(
        [0, 300, 300 * math.exp(-19 / 900), 300 * math.exp(-34 / 900) + 450]
    )
    assert run.heat_max_j == pytest.approx(738.878, abs=0.001)  # by hand


@pytest.mark.req("SR-14")
def test_a_shot_waits_until_its_heat_fits() -> None:
    """288.88 J are left of the first when 450 J must fit below 700 J: 900 s * ln(288.88/250)."""
    run = dry(two_pulses(), heat_max_j=700.0)
    assert [row.cool_s for row in run.rows] == pytest.approx([0, 0, 0, 130.08], abs=0.01)
    assert run.rows[3].heat_j == pytest.approx(700.0)
    assert run.seconds == pytest.approx(83 + 130.08, abs=0.01)


@pytest.mark.req("SR-14")
def test_a_tube_that_is_hot_beforehand_waits_at_once() -> None:
    run = dry(two_pulses(), heat_max_j=1000.0, heat_j=1000.0)
    assert run.rows[1].cool_s == pytest.approx(900 * math.log(1000 * math.exp(-30 / 900) / 700))


@pytest.mark.req("SR-14")
def test_a_shot_that_no_tube_bears_is_told() -> None:
    with pytest.raises(ValueError, match="one shot of 450 J is above the tube's 400 J"):
        dry(two_pulses(), heat_max_j=400.0)


def test_a_dry_run_counts_sessions_and_the_least_charge() -> None:
    supply = replace(SUPPLY, charge=0.5)
    run = dry(split(twelve(), supply), supply=supply)
    assert run.sessions == 2
    assert run.charge_min == pytest.approx(0.5 - (30 + 6 * (PULSE_J + REST_J)) / 10_000)
    charges = [row.charge for row in run.rows if isinstance(row.step, Charge)]
    assert charges == [1.0]
    assert run.seconds == pytest.approx(30 + 12 * 19 + 11 * 15 + 7200)


def test_the_longest_warm_up_of_the_shipped_bench_needs_charges_and_the_shorter_ones_none() -> None:
    sessions = []
    for minutes in (5, 10, 50):
        spec = warmup_spec(bench().unit, minutes)
        sessions.append(dry(spec.routine(), supply=spec.supply).sessions)
    assert sessions[0] == 1
    assert sessions == sorted(sessions)
    assert sessions[2] > 1


def test_conditioning_can_be_run_dry_too() -> None:
    plan = ConditioningPlan(
        kv=(40.0, 50.0), ma=0.5, on_s=5.0, pause_s=20.0, shots=2, most_arcs_at_kv=2, most_arcs=4
    )
    run = dry(conditioning(plan))
    assert (len(run.beams), run.kv_max) == (8, 50)
    assert run.seconds == 30 + 8 * 9 + 7 * 20
