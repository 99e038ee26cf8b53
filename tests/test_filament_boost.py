"""A filament that is boosted before a beam: hot in time, or what a cold one costs."""

from __future__ import annotations

import pytest

from hal.now import NEVER_US, Now
from sim.filament import filament_of, filaments_of
from sim.filament_boost import FilamentBoost
from sim.radiographic import RadiographicModel
from sim.rotor import PREHEAT_US, Rotor
from sim.transient import NO_TRANSIENT
from sim.tube_data import shipped_tubes, tube_sheet

S, MS = 1_000_000, 1_000
RAD32 = filament_of(tube_sheet("sim-rad32"))


def radiographic(*, prep_us: int = 1_500_000, kv: float = 80.0, ma: float = 100.0,
                 **faults: float) -> RadiographicModel:  # fmt: skip
    """Ordered at 0, in a beam from `prep_us` on; its rotor says at speed at once."""
    model = RadiographicModel()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, kv)
    model.set_ma(0, ma)
    model.rotor.rotor_lies = True
    for name, value in faults.items():
        setattr(model, name, value)
    model.rotor.run_up(0)
    assert model.start(prep_us)
    return model


def boost(kv: float = 80.0, ma: float = 100.0) -> FilamentBoost:
    return FilamentBoost(RAD32, lambda: RAD32.needs_k(kv, ma))


@pytest.mark.parametrize(("kv", "ma"), [(40.0, 400.0), (80.0, 400.0), (80.0, 100.0), (133.0, 5.0)])
def test_a_boost_is_over_before_ready_is_told(kv: float, ma: float) -> None:
    assert radiographic(prep_us=PREHEAT_US, kv=kv, ma=ma).courses[-1].deficit == NO_TRANSIENT
    assert radiographic(prep_us=150_000, kv=kv, ma=ma).courses[-1].deficit.share > 0.5


def test_it_heats_with_its_most_current_up_to_what_is_wanted_and_no_further() -> None:
    one = boost()
    assert one.hot_us() == NEVER_US
    cold_k, wanted_k = RAD32.temperature_k(RAD32.standby_a), RAD32.needs_k(80.0, 100.0)
    assert one.now_k(5 * S) == pytest.approx(cold_k)
    one.order(5 * S, True)
    assert one.now_k(5 * S + 200_000) == RAD32.heated_k(cold_k, 5.6, 0.2)
    assert one.now_k(6 * S) == wanted_k
    one.order(7 * S, False)
    assert one.now_k(7 * S + 400_000) == pytest.approx(RAD32.heated_k(wanted_k, 2.4, 0.4))
    assert one.now_k(60 * S) == pytest.approx(cold_k)


def test_one_that_is_warm_from_the_beam_before_needs_less_time() -> None:
    one = boost()
    one.order(0, True)
    one.order(2 * S, False)
    one.order(2 * S + 300_000, True)
    fresh = boost()
    fresh.order(2 * S + 300_000, True)
    t_us = 2 * S + 550_000
    assert one.deficit(t_us, 80.0).share < 0.4 < 0.8 < fresh.deficit(t_us, 80.0).share


def test_one_that_is_too_hot_is_hot_enough() -> None:
    wanted_k = [2_500.0]
    one = FilamentBoost(RAD32, lambda: wanted_k[0])
    one.order(0, True)
    one.order(2 * S, False)
    one.order(2 * S, True)
    wanted_k[0] = 2_200.0
    assert one.hot_us() == 2 * S
    assert 2_200.0 < one.now_k(2 * S + 100_000) < 2_500.0
    assert one.deficit(2 * S + 100_000, 80.0) == NO_TRANSIENT


@pytest.mark.parametrize("prep_us", [100_000, 300_000, 450_000])
def test_the_deficit_is_true_at_the_start_and_so_is_the_charge_that_it_costs(prep_us: int) -> None:
    one = boost()
    one.order(0, True)
    found = one.deficit(prep_us, 80.0)
    hot_ma = RAD32.tube_ma(80.0, RAD32.needs_k(80.0, 100.0))
    assert hot_ma == pytest.approx(100.0)
    start_ma = RAD32.tube_ma(80.0, one.now_k(prep_us))
    assert found.share == pytest.approx(1 - start_ma / 100.0)
    steps = range(prep_us, 1_000_000, 500)
    missing_us = 500 * sum(1 - RAD32.tube_ma(80.0, one.now_k(t_us + 250)) / 100 for t_us in steps)
    assert found.area_us(0, 10 * S) == pytest.approx(missing_us, rel=0.01)


def test_one_that_is_held_too_cold_lets_the_current_start_low_and_come_up() -> None:
    model = radiographic(preheat_low_pct=1.0)
    course = model.courses[-1]
    assert 0.12 <= course.deficit.share <= 0.18  # 1 % of its current is 12 to 18 % of mA (2.7)
    early, late = model.reading(1_505_000), model.reading(1_600_000)
    assert early.ma == pytest.approx(100 * (1 - course.deficit.at(5_000)), rel=0.01)
    assert late.ma == pytest.approx(100.0, rel=0.01)
    assert (early.kv, late.kv) == pytest.approx((80.0, 80.0), rel=0.01)


def test_its_own_count_makes_the_charge_all_the_same_and_tells_it() -> None:
    model = radiographic(prep_us=350_000)
    model.set_charge_mas(350_000, 10.0)
    model.set_watchdog(0, on=False)
    now = Now(350_000)
    model.advance(now)
    while model.beam_on(now.t_us):
        now = Now(now.next_us)
        model.advance(now)
    course = model.courses[-1]
    assert course.off_us is not None
    assert course.off_us - course.on_us > 120 * MS  # of 101.2 with a hot filament
    assert model.account(now.t_us + S)[1] == pytest.approx(10.0, rel=0.01)
    assert course.charge_mas(0, now.t_us + S) == pytest.approx(10.0, abs=2e-3)
    ended_ma = 100 * (1 - course.deficit.at(course.off_us - course.on_us))
    assert course.fall_us == pytest.approx(8.0 / ended_ma * 1e3, abs=1)


@pytest.mark.req("F13")
def test_ready_waits_for_the_filament_where_the_rotor_still_turned() -> None:
    rotor = Rotor()
    rotor.run_up(0)
    rotor.brake(10 * S)
    rotor.run_up(10 * S + 100_000)
    assert rotor.full_us() < 10 * S + 200_000
    assert not rotor.at_speed(Now(10 * S + 100_000 + PREHEAT_US - 1))
    assert rotor.at_speed(Now(10 * S + 100_000 + PREHEAT_US))


def turning(kv: float, ma: float, small: bool = True) -> RadiographicModel:
    """Prepared anew 100 ms after a first exposure, its other focus: the rotor is at full speed."""
    model = RadiographicModel()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_kv(0, 80.0)
    model.set_ma(0, 100.0)
    model.rotor.run_up(0)
    model.rotor.brake(10 * S)
    model.rotor.run_up(ORDER_US)
    model.set_focus(ORDER_US, small=small)
    model.set_kv(ORDER_US, kv)
    model.set_ma(ORDER_US, ma)
    return model


ORDER_US = 10 * S + 100_000


def ready_us(model: RadiographicModel) -> int:
    """Of the rotor's starter, by what it says it waits for."""
    now = Now(ORDER_US)
    while not model.rotor.at_speed(now):
        now = Now(now.next_us)
    return now.t_us


@pytest.mark.req("F13")
@pytest.mark.parametrize(
    ("kv", "ma", "small", "waits_ms"),
    [(80.0, 160.0, True, 1_100), (48.0, 250.0, True, 1_100), (48.0, 290.0, True, 1_365),
     (40.0, 250.0, True, 1_569), (40.0, 400.0, False, 1_100)],
)  # fmt: skip
def test_ready_waits_until_the_filament_is_hot_and_no_longer(
    kv: float, ma: float, small: bool, waits_ms: int
) -> None:
    model = turning(kv, ma, small)
    at_us = ready_us(model)
    assert (at_us - ORDER_US) / MS == pytest.approx(waits_ms, abs=1)
    if waits_ms > 1_100:
        assert model._boost.deficit(at_us - 5_000, kv).share > 0.0
    assert model.start(at_us)
    assert model.courses[-1].deficit == NO_TRANSIENT


@pytest.mark.parametrize(("kv", "ma"), [(40.0, 290.0), (44.0, 318.0)])
def test_what_only_the_most_current_gives_is_ready_within_two_percent(kv: float, ma: float) -> None:
    model = turning(kv, ma)
    at_us = ready_us(model)
    assert (at_us - ORDER_US) == pytest.approx(6 * 400_000, abs=1)
    assert model.start(at_us)
    assert 0.0 < model.courses[-1].deficit.share < 0.02
    model.stop(at_us + 10_000)
    model.rotor.brake(at_us + 10_000)
    again_us = at_us + 20_000
    model.rotor.run_up(again_us)
    assert 0 < model._boost.hot_us() - again_us < S  # it has cooled for 10 ms only


def test_a_filament_that_is_held_too_cold_or_not_asked_for_delays_nothing() -> None:
    cold = turning(48.0, 290.0)
    cold.preheat_low_pct = 5.0
    assert ready_us(cold) == ORDER_US + PREHEAT_US
    assert cold.start(ORDER_US + PREHEAT_US)
    assert cold.courses[-1].deficit.share > 0.2
    lies = turning(48.0, 290.0)
    lies.rotor.rotor_lies = True
    assert ready_us(lies) == ORDER_US
    assert not RadiographicModel().rotor.at_speed(Now(60 * S))


# --- two foci


def test_the_small_focus_has_a_filament_of_its_own_which_was_on_standby() -> None:
    small = filament_of(tube_sheet("sim-rad32"), "small")
    model = radiographic(prep_us=1_500_000)
    assert model.reading(1_600_000).filament_a == RAD32.shown_a(80.0, 100.0)
    model.stop(1_600_000)
    model.rotor.brake(1_600_000)
    model.rotor.run_up(1_700_000)
    model.set_focus(1_700_000, small=True)
    assert model._boost.now_k(1_700_000) == small.temperature_k(2.1)
    assert model.start(1_900_000)
    assert model.courses[-1].deficit.share > 0.5
    assert model.reading(1_900_001).filament_a == small.shown_a(80.0, 100.0)
    assert small.shown_a(80.0, 100.0) < RAD32.shown_a(80.0, 100.0)
    before_k = model._boost.now_k(1_900_000)
    model.set_focus(1_900_000, small=True)
    assert model._boost.now_k(1_900_000) == before_k  # chosen already


@pytest.mark.parametrize(
    ("kv", "ma", "small", "reached_ma"),
    [(40.0, 350.0, True, 261.2), (40.0, 100.0, True, 100.0), (60.0, 233.0, True, 233.0),
     (40.0, 400.0, False, 400.0)],
)  # fmt: skip
def test_space_charge_lets_by_what_it_can_and_the_current_stays_there(
    kv: float, ma: float, small: bool, reached_ma: float
) -> None:
    model = RadiographicModel()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    model.set_focus(0, small=small)
    model.set_kv(0, kv)
    model.set_ma(0, ma)
    model.rotor.run_up(0)
    assert model.start(3 * S)
    assert model.courses[-1].ma == pytest.approx(reached_ma, abs=0.5)
    assert model.courses[-1].deficit.share == pytest.approx(0.0, abs=0.02)
    assert model.reading(4 * S).ma == pytest.approx(reached_ma, rel=0.01)


def test_a_tube_with_one_filament_takes_it_for_both_foci() -> None:
    one = filaments_of(tube_sheet("vj-ixs120"))
    assert one[True] == one[False] == filament_of(tube_sheet("vj-ixs120"))
    assert filaments_of(tube_sheet("sim-rad32"))[True].point_a == 4.3


@pytest.mark.parametrize("name", shipped_tubes())
def test_each_filament_that_has_a_sheet_can_be_boosted(name: str) -> None:
    sheet = tube_sheet(name)
    if "filament_a" not in sheet:
        return
    one = filament_of(sheet)
    assert one.full_a > one.point_a * 1.0
    assert one.heating_a(one.point_k) == pytest.approx(one.point_a)
