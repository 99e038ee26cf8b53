"""A filament's emission, its space charge, and the current that gives a tube current."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.filament import Filament, emission_a_per_cm2, filament_of
from sim.generator import MonoblockModel
from sim.radiographic import RadiographicModel
from sim.supply import SupplyModel
from sim.tube_data import TubeError, tube_sheet

WITH_FILAMENT = ("sim-rad32", "sim-supply160", "vj-ixs120")


def rad32() -> Filament:
    return filament_of(tube_sheet("sim-rad32"))


# qc-and-physics.md 2.7
@pytest.mark.parametrize(
    ("temperature_k", "a_per_cm2"),
    [(2100, 0.004), (2200, 0.014), (2300, 0.044), (2400, 0.123), (2500, 0.318)],
)
def test_tungsten_emits_as_the_table_says(temperature_k: int, a_per_cm2: float) -> None:
    assert round(emission_a_per_cm2(temperature_k), 3) == a_per_cm2


def test_at_2300_k_a_kelvin_is_1_07_percent_of_the_emission() -> None:
    rise = math.log(emission_a_per_cm2(2300.5) / emission_a_per_cm2(2299.5))
    assert 100 * rise == pytest.approx(1.07, abs=0.005)


@pytest.mark.parametrize(("exponent", "steepness"), [(0.5, 12), (0.71, 18)])
def test_emission_goes_with_the_12th_to_18th_power_of_the_current(
    exponent: float, steepness: int
) -> None:
    one = Filament(
        point_a=5.0, point_k=2300.0, point_ma=100.0, exponent=exponent, tau_s=0.4, standby_a=2.4,
        cap_ma=1000.0,
    )  # fmt: skip
    more, less = (one.emission_ma(one.temperature_k(a)) for a in (5.0005, 4.9995))
    assert math.log(more / less) / math.log(5.0005 / 4.9995) == pytest.approx(steepness, abs=0.6)


# Our own table of the default unit, large focus: (kV, filament A, mA).
@pytest.mark.parametrize(
    ("kv", "current_a", "ma"),
    [
        (40, 3.826, 10), (40, 4.505, 100), (40, 5.143, 400),
        (80, 3.825, 10), (80, 4.483, 100), (80, 5.005, 400),
        (120, 3.824, 10), (120, 4.478, 100), (120, 4.978, 400),
    ],
)  # fmt: skip
def test_the_default_unit_s_emission_chart_is_the_one_that_was_chosen(
    kv: float, current_a: float, ma: float
) -> None:
    one = rad32()
    assert one.current_a(kv, ma) == pytest.approx(current_a, abs=0.0006)
    assert one.tube_ma(kv, one.temperature_k(current_a)) == pytest.approx(ma, rel=0.003)


@pytest.mark.parametrize("name", WITH_FILAMENT)
def test_the_point_of_a_sheet_is_on_its_curve(name: str) -> None:
    sheet = tube_sheet(name)
    one = filament_of(sheet)
    assert one.temperature_k(sheet["filament_a"]) == sheet["filament_k"]
    assert one.emission_ma(sheet["filament_k"]) == sheet["filament_ma"]


@given(
    name=st.sampled_from(WITH_FILAMENT),
    kv=st.floats(20.0, 160.0),
    share=st.floats(1e-5, 0.95),
)
def test_the_current_for_a_tube_current_is_the_inverse(name: str, kv: float, share: float) -> None:
    one = filament_of(tube_sheet(name))
    ma = share * one.space_charge_ma(kv)
    again_ma = one.tube_ma(kv, one.temperature_k(one.current_a(kv, ma)))
    assert again_ma == pytest.approx(ma, rel=1e-9)


def test_space_charge_caps_the_current_with_kv_to_the_power_of_1_5() -> None:
    one = rad32()
    assert [one.space_charge_ma(kv) for kv in (0.0, 10.0, 40.0)] == [0.0, 125.0, 1000.0]
    assert one.space_charge_ma(160.0) == pytest.approx(8000.0)
    assert one.tube_ma(10.0, 3000.0) == pytest.approx(125.0, rel=0.02)
    assert one.tube_ma(0.0, 2600.0) == 0.0
    assert one.current_a(10.0, 125.0) == math.inf
    assert one.current_a(80.0, 0.0) == 0.0


def test_space_charge_matters_below_60_kv_at_high_current_only() -> None:
    one = rad32()
    more_a = {(kv, ma): one.current_a(kv, ma) / one.current_a(120.0, ma) - 1
              for kv in (40.0, 80.0) for ma in (10.0, 400.0)}  # fmt: skip
    assert more_a[40.0, 400.0] > 0.03
    assert more_a[80.0, 400.0] < 0.006
    assert more_a[40.0, 10.0] < 0.001


def test_emission_and_space_charge_are_joined_smoothly() -> None:
    one = rad32()
    emission_ma = one.emission_ma(2600.0)
    assert (emission_ma, one.space_charge_ma(40.0)) == (460.0, 1000.0)
    assert one.tube_ma(40.0, 2600.0) == pytest.approx(460.0 * 1000.0 / 1460.0)


def test_after_a_step_of_current_the_temperature_follows_with_its_time_constant() -> None:
    one = rad32()  # 0.4 s
    cold_k, hot_k = one.temperature_k(2.4), one.temperature_k(5.0)
    assert one.heated_k(cold_k, 5.0, 0.0) == cold_k
    assert one.heated_k(cold_k, 5.0, 0.4) == pytest.approx(hot_k - (hot_k - cold_k) / math.e)
    assert one.heated_k(cold_k, 5.0, 60.0) == pytest.approx(hot_k)


@given(steps_s=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=5))
def test_walking_and_jumping_give_the_same_temperature(steps_s: list[float]) -> None:
    one = rad32()
    walked_k = 1650.0
    for step_s in steps_s:
        walked_k = one.heated_k(walked_k, 4.9, step_s)
    assert walked_k == pytest.approx(one.heated_k(1650.0, 4.9, sum(steps_s)), rel=1e-12)


def test_a_filament_is_never_colder_than_the_room() -> None:
    assert rad32().temperature_k(0.0) == 295.0
    assert rad32().emission_ma(rad32().temperature_k(0.0)) < 1e-60


def test_a_worn_filament_needs_less_current_for_the_same() -> None:
    new, worn = rad32(), rad32().worn(10.0)
    assert worn.current_a(80.0, 200.0) == pytest.approx(0.9 * new.current_a(80.0, 200.0))
    assert worn.tube_ma(80.0, worn.temperature_k(4.5)) > 2 * new.tube_ma(
        80.0, new.temperature_k(4.5)
    )


def test_a_sheet_without_a_filament_says_so() -> None:
    with pytest.raises(TubeError, match=r"^varian-a-192\.toml: has no filament_a "):
        filament_of(tube_sheet("varian-a-192"))


# --- as a generator shows it


def beaming(model: MonoblockModel, kv: float, ma: float) -> MonoblockModel:
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, kv)
    model.set_ma(0, ma)
    assert model.start(0)
    return model


def test_a_monoblock_shows_its_standby_then_what_its_current_needs() -> None:
    model = MonoblockModel()
    assert model.reading(0).filament_a == 1.55
    beaming(model, 80.0, 0.2)
    shown_a = [model.reading(t_us).filament_a for t_us in (0, 75_000, 150_000, 900_000)]
    assert shown_a == [pytest.approx(1.85, abs=0.001)] * 4
    model.stop(1_000_000)
    assert model.reading(1_000_001).filament_a == 1.55


def test_a_monoblock_at_full_current_stays_below_the_2_2_a_of_its_document() -> None:
    model = beaming(MonoblockModel(), 120.0, 1.0)
    assert model.reading(500_000).filament_a == pytest.approx(2.056, abs=0.001)
    model.ma_off_pct = 400.0
    model._regulate(500_000)
    assert model.reading(500_000).filament_a == 2.2


def test_a_thinner_filament_shows_in_the_filament_current_and_nowhere_else() -> None:
    new, worn = MonoblockModel(), MonoblockModel()
    worn.filament_thinner_pct = 10.0
    shown, less = (beaming(one, 80.0, 0.5).reading(400_000) for one in (new, worn))
    assert less.filament_a == pytest.approx(0.9 * shown.filament_a)
    assert (less.kv, less.ma) == (shown.kv, shown.ma)


def test_each_kind_of_generator_has_the_filament_of_its_own_tube() -> None:
    models = (MonoblockModel(), SupplyModel(), RadiographicModel())
    assert [model.reading(0).filament_a for model in models] == [1.55, 2.0, 2.4]
