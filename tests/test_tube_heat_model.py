"""Heat of anode and housing: curves of data sheets, no energy lost, no matter how walked."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.tube_data import TubeError, tube_sheet
from sim.tube_heat import Heat, Store, TubeHeat, _gauss, tube_heat

DAY_S = 86_400.0
MAXIRAY_KHU, MAXIRAY_KHU_PER_MINUTE = 350.0, 75.0
J_PER_KHU = 1000 / 1.35


def maxiray(order: int) -> TubeHeat:
    """350 kHU, 75 kHU/min; housing 1.11 MJ, 740 W."""
    anode = Store(
        full_j=MAXIRAY_KHU * J_PER_KHU,
        cooling_w=MAXIRAY_KHU_PER_MINUTE * J_PER_KHU / 60,
        order=order,
    )
    return TubeHeat(anode=anode, housing=Store(full_j=1.11e6, cooling_w=740.0))


# qc-and-physics.md 2.3: minutes from full heat to the given percent.
@pytest.mark.parametrize(
    ("order", "left_pct", "minutes"),
    [
        (1, 75, 1.4), (1, 50, 3.2), (1, 25, 6.5), (1, 10, 10.7),
        (2, 75, 1.6), (2, 50, 4.7), (2, 25, 14.0), (2, 10, 42.0),
    ],
)  # fmt: skip
def test_a_full_anode_cools_as_the_curve_of_its_sheet(
    order: int, left_pct: int, minutes: float
) -> None:
    anode = maxiray(order).anode
    after_j = anode.after(anode.full_j, 60 * minutes)
    found_s = anode.reaches_s(anode.full_j, anode.full_j * left_pct / 100)
    assert found_s == pytest.approx(60 * minutes, rel=0.05)
    assert after_j / anode.full_j == pytest.approx(left_pct / 100, rel=0.05)


def test_the_shipped_maxiray_cools_so_too() -> None:
    model = tube_heat(tube_sheet("ge-maxiray-100"))
    assert model.anode.reaches_s(260_000.0, 65_000.0) == pytest.approx(60 * 6.5, rel=0.05)
    assert model.housing == Store(full_j=1_110_000.0, cooling_w=740.0)


def test_a_full_store_loses_at_first_what_its_sheet_says() -> None:
    for order in (1, 2):
        anode = maxiray(order).anode
        lost_j = anode.full_j - anode.after(anode.full_j, 0.01)
        assert lost_j / 0.01 == pytest.approx(anode.cooling_w, rel=1e-3)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("power_w", [200.0, 925.0, 3000.0])
@pytest.mark.parametrize("start", [0.0, 0.3, 1.0])
def test_under_power_the_heat_follows_its_balance(order: int, power_w: float, start: float) -> None:
    anode = maxiray(order).anode
    heat_j, step_s = start * anode.full_j, 0.01
    for at_s in (step_s, 5.0, 50.0, 500.0):
        before_j, here_j, after_j = (
            anode.after(heat_j, at_s + by_s, power_w) for by_s in (-step_s, 0.0, step_s)
        )
        rate_w = (after_j - before_j) / (2 * step_s)
        assert rate_w == pytest.approx(power_w - anode.loss_w(here_j), abs=1e-4)
    assert anode.after(heat_j, 30 * DAY_S, power_w) == pytest.approx(anode.steady_j(power_w))


def test_the_steady_heat_is_that_whose_loss_is_the_power() -> None:
    assert maxiray(1).anode.steady_j(925.9259259259259 / 2) == pytest.approx(350 * J_PER_KHU / 2)
    assert maxiray(2).anode.steady_j(925.9259259259259 / 4) == pytest.approx(350 * J_PER_KHU / 2)


models = st.builds(
    TubeHeat,
    anode=st.builds(
        Store,
        full_j=st.floats(1e3, 1e6),
        cooling_w=st.floats(10.0, 5e3),
        order=st.sampled_from([1, 2]),
    ),
    housing=st.none() | st.builds(Store, full_j=st.floats(1e4, 1e7), cooling_w=st.floats(5.0, 2e3)),
)
spans_s = st.lists(st.floats(0.0, 10 * DAY_S) | st.floats(0.0, 10.0), min_size=1, max_size=6)
powers_w = st.just(0.0) | st.floats(0.1, 1e5)
starts = st.builds(Heat, anode_j=st.floats(0.0, 1e6), housing_j=st.floats(0.0, 1e7))


@given(model=models, spans_s=spans_s, power_w=powers_w, start=starts)
@example(model=maxiray(2), spans_s=[0.1, DAY_S], power_w=0.0, start=Heat(anode_j=2.6e5))
@example(model=maxiray(2), spans_s=[900.0, 1e-3, 9e4], power_w=3e4, start=Heat())
def test_walking_and_jumping_give_the_same_heat(
    model: TubeHeat, spans_s: list[float], power_w: float, start: Heat
) -> None:
    walked = start
    for span_s in spans_s:
        walked = model.after(walked, span_s, power_w)
    jumped = model.after(start, sum(spans_s), power_w)
    # What can be lost is the last bits of the largest heat there was.
    most_j = max(start.anode_j, start.housing_j, power_w * model.anode.tau_s, 1.0)
    steady_j = model.anode.steady_j(power_w) if model.housing is None else _housing_most_j(
        model.housing, power_w, start)  # fmt: skip
    assert walked.anode_j == pytest.approx(jumped.anode_j, rel=1e-9, abs=1e-12 * most_j)
    scale_j = max(most_j, steady_j)
    assert walked.housing_j == pytest.approx(jumped.housing_j, rel=1e-9, abs=1e-12 * scale_j)


def _housing_most_j(housing: Store, power_w: float, start: Heat) -> float:
    return max(power_w * housing.tau_s, start.anode_j, start.housing_j)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("power_w", [0.0, 100.0, 5000.0])
@pytest.mark.parametrize("span_s", [1.0, 300.0, 7200.0, 2 * DAY_S])
def test_no_energy_is_lost_between_anode_housing_and_room(
    order: int, power_w: float, span_s: float
) -> None:
    model = maxiray(order)
    assert model.housing is not None
    start = Heat(anode_j=2e5, housing_j=1e5)
    end = model.after(start, span_s, power_w)
    # What the room got, from the housing's own curve by another rule.
    to_room_j = simpson(
        lambda s: model.after(start, s, power_w).housing_j / 1500.0, span_s, count=4000
    )
    put_in_j = power_w * span_s + start.anode_j + start.housing_j
    found_j = end.anode_j + end.housing_j + to_room_j
    assert found_j == pytest.approx(put_in_j, rel=2e-4)
    if span_s < 10_000:
        assert found_j == pytest.approx(put_in_j, rel=1e-9)


def simpson(of: Callable[[float], float], end_s: float, count: int) -> float:
    step_s = end_s / count
    values = [of(step_s * i) for i in range(count + 1)]
    return (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])) * step_s / 3


def test_the_rule_for_a_housing_beside_order_2_is_exact_for_polynomials_to_degree_19() -> None:
    for degree in range(20):
        assert _gauss(lambda s, n=degree: (n + 1) * s**n, 0.0, 1.0) == pytest.approx(  # type: ignore[misc]
            1.0, rel=2e-15
        )


def test_the_housing_is_hottest_after_the_anode_and_then_cools_with_its_own_time() -> None:
    model = maxiray(1)
    start = Heat(anode_j=260_000.0)
    curve_j = [model.after(start, 60.0 * minute).housing_j for minute in range(400)]
    top = curve_j.index(max(curve_j))
    # The root of exp(-t/280) * 1500 = exp(-t/1500) * 280 is 578 s.
    assert top in (9, 10)
    assert curve_j[300] / curve_j[325] == pytest.approx(math.e, rel=1e-3)  # 1500 s


def test_equal_time_constants_are_no_special_case() -> None:
    same = Store(full_j=1e5, cooling_w=1e3)
    model = TubeHeat(anode=same, housing=Store(full_j=2e5, cooling_w=2e3))
    # 100 s both: housing = heat * (t / tau) * exp(-t / tau)
    assert model.after(Heat(anode_j=5e4), 200.0).housing_j == pytest.approx(5e4 * 2 * math.exp(-2))
    near = TubeHeat(anode=same, housing=Store(full_j=2e5, cooling_w=2e3 * (1 + 1e-9)))
    assert near.after(Heat(anode_j=5e4), 200.0).housing_j == pytest.approx(
        5e4 * 2 * math.exp(-2), rel=1e-7
    )


@given(
    model=models, power_w=powers_w, heat_j=st.floats(1.0, 1e6), wanted=st.floats(0.01, 0.99)
)  # fmt: skip
def test_the_time_to_a_heat_is_the_inverse_of_the_heat_after_a_time(
    model: TubeHeat, power_w: float, heat_j: float, wanted: float
) -> None:
    anode = model.anode
    steady_j = anode.steady_j(power_w)
    wanted_j = heat_j + wanted * (steady_j - heat_j)
    found_s = anode.reaches_s(heat_j, wanted_j, power_w)
    assert anode.after(heat_j, found_s, power_w) == pytest.approx(wanted_j, rel=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_a_heat_that_is_never_reached_has_no_time(order: int) -> None:
    anode = maxiray(order).anode
    assert anode.reaches_s(1e5, 2e5) == math.inf
    assert anode.reaches_s(1e5, 0.0) == math.inf
    assert anode.reaches_s(1e5, 2e5, power_w=100.0) == math.inf
    assert anode.reaches_s(2e5, 1e5, power_w=3000.0) == math.inf
    assert anode.reaches_s(1e5, 1e5, power_w=50.0) == 0.0


def test_without_a_housing_nothing_is_kept_in_it() -> None:
    model = TubeHeat(anode=Store(full_j=1e5, cooling_w=100.0))
    assert model.after(Heat(anode_j=1e5, housing_j=7.0), 10.0) == Heat(
        anode_j=1e5 * math.exp(-0.01), housing_j=0.0
    )


def test_a_sheet_without_heat_of_the_anode_says_so() -> None:
    with pytest.raises(TubeError, match=r"^toshiba-e7884\.toml: has no anode_heat_j"):
        tube_heat(tube_sheet("toshiba-e7884"))


def test_a_day_of_300_exposures_is_600_steps_whatever_lies_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tube_heat(tube_sheet("ge-maxiray-100"))
    calls: list[float] = []
    after = Store.after

    def counted(store: Store, heat_j: float, span_s: float, power_w: float = 0.0) -> float:
        calls.append(span_s)
        return after(store, heat_j, span_s, power_w)

    monkeypatch.setattr(Store, "after", counted)
    heat = Heat()
    for _ in range(300):
        heat = model.after(heat, 0.1, 20_000.0)
        heat = model.after(heat, DAY_S / 300 - 0.1)
    assert len(calls) == 600
    # 300 times 2 kJ a day are 6.94 W: the housing's mean is 6.94 W * 1500 s.
    assert heat.housing_j == pytest.approx(6.944 * 1500.0, rel=0.1)


def test_an_anode_of_order_2_needs_some_hundred_values_for_its_housing_over_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = maxiray(2)
    calls: list[float] = []
    after = Store.after

    def counted(store: Store, heat_j: float, span_s: float, power_w: float = 0.0) -> float:
        calls.append(span_s)
        return after(store, heat_j, span_s, power_w)

    monkeypatch.setattr(Store, "after", counted)
    model.after(Heat(anode_j=2e5), 40 * DAY_S)
    assert len(calls) == 401  # 40 pieces of ten values, and the anode's own
