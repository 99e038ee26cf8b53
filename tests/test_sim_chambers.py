"""The simulated chambers: where they end a beam, in closed form, and what can be wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from hal.now import Now
from hal.ports import AecChoice
from rig.aec_plan import expected
from rig.bench import load_bench
from rig.model import setting_of
from sim import beam, chambers
from sim.arrival import Arrival
from sim.chambers import Chambers, ChamberSetting, let_through
from sim.filtration import SimFilter
from sim.generator import MonoblockModel
from sim.geometry import SimGeometry
from sim.optics import Optics

SETTING = ChamberSetting(
    chambers=("left", "centre", "right"), cutoffs_ugy={1: 40.0, 2: 20.0}, density_most_index=4,
    density_pct=25.0, response_us=1_000, sid_mm=1000.0,
)  # fmt: skip
CENTRE = AecChoice(chambers=("centre",), density_index=0, sensitivity_index=1)
OPEN_UGY = beam.kerma_ugy(80.0, 1.0)  # of one mAs at 1 m


def made(patient: str = "none", **faults: Any) -> Chambers:
    found = Chambers(SETTING, lambda: patient)
    for name, value in faults.items():
        chambers.INJECTIONS[name].check(name, value)
        setattr(found, name, value)
    return found


def test_in_an_open_beam_the_cut_off_is_a_kerma_and_the_inverse_square_counts() -> None:
    assert made().charge_mas(CENTRE, 80.0, 1) == pytest.approx(40.0 / OPEN_UGY)
    far = Chambers(replace(SETTING, sid_mm=2000.0), lambda: "none")
    far_ugy = beam.kerma_ugy(80.0, 1.0, 2000.0)  # a quarter, less what a metre of air takes
    assert far.charge_mas(CENTRE, 80.0, 1) == pytest.approx(40.0 / far_ugy)


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"density_index": 1}, 1.25), ({"density_index": -2}, 1.25**-2),
        ({"sensitivity_index": 2}, 0.5), ({"sensitivity_index": 2, "density_index": 4}, 1.2207),
    ],
)  # fmt: skip
def test_a_step_of_density_is_a_quarter_and_a_sensitivity_a_dose(
    changes: dict[str, int], share: float
) -> None:
    asked = replace(CENTRE, **changes)  # type: ignore[arg-type]
    found = made().charge_mas(asked, 80.0, 1) / made().charge_mas(CENTRE, 80.0, 1)
    assert found == pytest.approx(share, rel=1e-4)


def test_behind_the_hand_each_place_lets_another_part_through_and_more_at_higher_kv() -> None:
    parts = {name: let_through("hand", name, 70.0) for name in chambers.PLACES_MM}
    assert len(set(parts.values())) == 3
    assert all(0.2 < part < 0.95 for part in parts.values())
    assert let_through("hand", "centre", 110.0) > parts["centre"]


def test_several_chambers_end_it_by_their_mean() -> None:
    both = replace(CENTRE, chambers=("left", "centre"))
    found = made("hand")
    one, other = (
        found.charge_mas(replace(CENTRE, chambers=(name,)), 80.0, 1) for name in both.chambers
    )
    assert found.charge_mas(both, 80.0, 1) == pytest.approx(2 / (1 / one + 1 / other))


@pytest.mark.parametrize(
    ("choice", "has_not"),
    [
        (CENTRE, ""),
        (replace(CENTRE, chambers=()), "chambers"),
        (replace(CENTRE, sensitivity_index=3), "sensitivity"),
        (replace(CENTRE, density_index=5), "density"),
        (replace(CENTRE, density_index=-4), ""),
    ],
)
def test_what_it_has_not_is_named(choice: AecChoice, has_not: str) -> None:
    assert made().refused(choice) == has_not
    few = Chambers(replace(SETTING, chambers=("left",)), lambda: "none")
    assert few.refused(CENTRE) == "chambers"


# --- what the room's optics leave of the beam there


OPTICS = [
    Optics(scatter=True),
    Optics(scatter=True, grid_ratio=10.0),
    Optics(scatter=True, lift_mm=150.0, focus_mm=1.2),
    Optics(grid_ratio=10.0, grid_focus_mm=1150.0, grid_off_mm=40.0),
    Optics(grid_ratio=10.0, grid_focus_mm=1150.0, grid_upside_down=True, fall_off=True),
    Optics(light_off_rows_mm=90.0),
]


def seen_by_a_panel(
    name: str, chamber: str, optics: Optics, sid_mm: float, field_mm: tuple[float, float]
) -> float:
    """Of the kerma, where the chamber stands before it; 400 mm wide, in pixels of 1 mm."""
    part = Arrival(400, 400, 1.0).share(
        name, field_mm, lambda maps: beam.transmission(80.0, maps), optics, sid_mm
    )
    assert part is not None
    x, y = (round(at_mm) + 200 for at_mm in chambers.PLACES_MM[chamber])
    return float(part[y - 20 : y + 20, x - 20 : x + 20].mean())


@pytest.mark.parametrize("optics", OPTICS)
@pytest.mark.parametrize(("name", "chamber"), [("hand", "left"), ("pmma_200", "centre")])
def test_a_chamber_gets_what_the_panel_behind_it_gets(
    name: str, chamber: str, optics: Optics
) -> None:
    stands = SimGeometry(sid_mm=1000.0, field_mm=(240.0, 300.0))
    for optic in Optics.__dataclass_fields__:
        setattr(stands.optics, optic, getattr(optics, optic))
    own = Chambers(SETTING, lambda: name, geometry=stands)
    asked = replace(CENTRE, chambers=(chamber,))
    part = 40.0 / OPEN_UGY / own.charge_mas(asked, 80.0, 1)
    wanted = seen_by_a_panel(name, chamber, optics, 1000.0, (240.0, 300.0))
    assert part == pytest.approx(wanted, rel=0.01, abs=5e-4)  # steps of 2 mm


def let(**optics: Any) -> float:
    return let_through("pmma_200", "centre", 80.0, optics=Optics(**optics), field_mm=(300.0, 300.0))


def test_scatter_shortens_an_automatic_beam_and_a_grid_lengthens_it() -> None:
    """200 mm PMMA send three times as much as they let through; of 10:1 the Bucky factor is 4."""
    bare, scattered = let(), let(scatter=True)
    assert scattered / bare == pytest.approx(4.6, abs=0.3)
    assert scattered / let(scatter=True, grid_ratio=10.0) == pytest.approx(3.9, abs=0.2)
    assert bare / let(grid_ratio=10.0) == pytest.approx(1 / 0.7, rel=1e-5)


def test_a_grid_that_cuts_off_lengthens_it_more_and_lines_do_not() -> None:
    sound = let(grid_ratio=10.0, grid_focus_mm=1000.0)
    assert let(grid_ratio=10.0, grid_focus_mm=1000.0, grid_off_mm=30.0) == pytest.approx(
        0.7 * sound, rel=1e-5
    )
    assert let(grid_ratio=10.0, grid_focus_mm=1000.0, grid_stands_still=True) == sound


def test_a_chamber_behind_the_blades_gets_nothing_and_one_half_behind_them_half() -> None:
    """The centre one stands 30 to 70 mm below the middle."""
    parts = [
        let_through("pmma_100", "centre", 80.0, field_mm=(rows_mm, 200.0))
        for rows_mm in (140.0, 100.0, 60.0)
    ]
    assert parts[1] / parts[0] == pytest.approx(0.5, rel=1e-3)
    assert parts[2] / parts[0] == pytest.approx(0.0, abs=1e-3)


def test_the_heel_takes_from_the_chambers_at_the_top_and_gives_to_the_one_below() -> None:
    parts = {
        name: let_through("none", name, 80.0, optics=Optics(heel=True), sid_mm=1000.0)
        for name in chambers.PLACES_MM
    }
    assert parts["left"] == parts["right"] < 1.0 < parts["centre"]


# --- what can be wrong


@pytest.mark.parametrize("dead", ["centre", "all"])
def test_a_dead_chamber_ends_nothing(dead: str) -> None:
    assert made(chamber_dead=dead).charge_mas(CENTRE, 80.0, 1) == math.inf


def test_of_two_chambers_with_a_dead_one_the_other_needs_twice_as_much() -> None:
    both = replace(CENTRE, chambers=("left", "centre"))
    sound, dead = made(), made(chamber_dead="left")
    assert dead.charge_mas(both, 80.0, 1) == 2 * sound.charge_mas(both, 80.0, 1)


def test_a_chamber_that_is_stuck_high_ends_it_at_once() -> None:
    assert made(chamber_stuck_high="centre").charge_mas(CENTRE, 80.0, 1) == 0.0
    other = replace(CENTRE, chambers=("left",))
    assert made(chamber_stuck_high="centre").charge_mas(other, 80.0, 1) > 0.0


def test_a_noisy_chamber_is_off_by_another_factor_each_time_and_the_same_by_the_same_seed() -> None:
    sound = made().charge_mas(CENTRE, 80.0, 1)
    noisy = [made(chamber_noisy="centre").charge_mas(CENTRE, 80.0, nth) for nth in range(1, 30)]
    assert len(set(noisy)) == 29
    assert all(0.25 <= charge / sound <= 4.0 for charge in noisy)
    assert noisy[0] == made(chamber_noisy="centre").charge_mas(CENTRE, 80.0, 1)


def test_a_generator_that_listens_to_the_wrong_chamber_ends_by_that_one() -> None:
    wrong = made("hand", chamber_wrong="right")
    right = made("hand").charge_mas(replace(CENTRE, chambers=("right",)), 80.0, 1)
    assert wrong.charge_mas(CENTRE, 80.0, 1) == right != made("hand").charge_mas(CENTRE, 80.0, 1)


# --- the bench that has them


@pytest.mark.parametrize("kv", [45.0, 47.0, 50.0, 55.0, 60.0, 65.0, 70.0, 80.0, 90.0, 105.0, 125.0])
def test_the_bench_expects_what_its_simulated_centre_chamber_needs_behind_the_hand(
    kv: float,
) -> None:
    """Between the rows of its table, too; the circuit's response comes on top."""
    bench = load_bench("room")
    setting = setting_of(bench)
    assert bench.unit.aec is not None
    assert setting.aec is not None
    own = Chambers(setting.aec, lambda: "hand", tube_filter=SimFilter(setting.aluminium_mm))
    needed_mas = own.charge_mas(CENTRE, kv, 1)
    assert expected(bench.unit.aec, kv, 0, 1) == pytest.approx(needed_mas, rel=0.01)


# --- in the generator


def beam_of(own: Chambers | None, choice: AecChoice | None, time_us: int = 2_000_000) -> int:
    """How long a beam at 80 kV, 1 mA is."""
    model = MonoblockModel()
    model.chambers = own
    model.set_interlock(0, True)
    model.set_supply(0, True)
    model.set_watchdog(0, on=False)
    model.set_kv(0, 80.0)
    model.set_ma(0, 1.0)
    model.set_time_us(0, time_us)
    model.set_aec(0, choice)
    assert model.start(0)
    now = Now(0)
    while model.beam_on(now.t_us):
        now = Now(max(now.next_us, now.t_us + 1) if now.next_us < 1 << 60 else now.t_us)
        model.advance(now)
    off_us = model.courses[-1].off_us
    assert off_us is not None
    return off_us


def test_the_beam_ends_where_the_charge_is_reached_and_the_circuit_has_acted() -> None:
    """0.51 mAs at 1 mA, half the ramp of 150 ms and the circuit's 1 ms, less half a fall of 4."""
    charge_mas = made().charge_mas(CENTRE, 80.0, 1)
    assert beam_of(made(), CENTRE) == math.ceil(charge_mas * 1e6 + 75_000 - 2_000) + 1_000


def test_without_a_signal_its_own_time_ends_it() -> None:
    assert beam_of(made(chamber_dead="centre"), CENTRE, 700_000) == 700_000


def test_stuck_high_leaves_the_shortest_beam_that_the_circuit_can_make() -> None:
    assert beam_of(made(chamber_stuck_high="centre"), CENTRE) == 1_000


@pytest.mark.parametrize(("own", "choice"), [(None, CENTRE), (made(), None)])
def test_without_chambers_or_without_a_choice_only_time_ends_it(
    own: Chambers | None, choice: AecChoice | None
) -> None:
    assert beam_of(own, choice) == 2_000_000


def test_a_model_without_chambers_has_none() -> None:
    assert MonoblockModel().aec_refused(CENTRE) == "chambers"
    model = MonoblockModel()
    model.chambers = made()
    assert model.aec_refused(replace(CENTRE, density_index=9)) == "density"


def test_a_beam_without_voltage_is_ended_by_no_chamber() -> None:
    assert made("hand").charge_mas(CENTRE, 0.0, 1) == math.inf
