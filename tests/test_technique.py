"""What a technique may be: inside is permitted, everything else is not, numbers or no numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from firmware_py.decide.controller import step
from firmware_py.decide.memory import State
from firmware_py.decide.technique import maximum_mas, permitted, timer_us
from hal.generators.vj_ixs import Driver
from hal.generators.vj_ixs_ratings import preparation
from hal.links import pipe
from hal.types import Requests, Shot, ShotKind, Technique
from tests.samples import LIMITS, SHOT, TUBE, inputs, memory, room


def technique(**changes: Any) -> Technique:
    return Technique(**{"kv": 80.0, "ma": 0.5, "mas": 0.5} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kv": 30.0},
        {"kv": 120.0, "ma": 1.0},  # the full 120 W
        {"kv": 120},  # a whole number is a number
        {"ma": 0.2},
        {"ma": 0.5, "mas": 0.005},  # 10 ms
        {"mas": None, "ms": 10.0},
        {"mas": None, "ms": 4500.0},
    ],
)
def test_the_edges_of_the_range_are_inside(changes: dict[str, Any]) -> None:
    assert permitted(technique(**changes), LIMITS, ShotKind.IMAGING)


@pytest.mark.parametrize(
    "changes",
    [
        {"kv": 29.999},
        {"kv": 120.001},
        {"ma": 0.199},
        {"ma": 1.001},
        {"kv": 120.0, "ma": 1.00001},
        {"ma": 0.5, "mas": 0.0049},
        {"mas": None, "ms": 9.99},
        {"mas": None, "ms": 4500.1},
        {"ma": 0.2, "mas": 1.0},  # 5 s
        {"mas": None},
        {"ms": 100.0},  # both
    ],
)
def test_just_outside_is_outside(changes: dict[str, Any]) -> None:
    assert not permitted(technique(**changes), LIMITS, ShotKind.IMAGING)


def test_power_is_limited_where_kv_and_ma_alone_are_not() -> None:
    weak = replace(LIMITS, tube=replace(TUBE, power_max_w=60.0))
    assert permitted(technique(kv=60.0, ma=1.0), weak, ShotKind.IMAGING)
    assert not permitted(technique(kv=61.0, ma=1.0), weak, ShotKind.IMAGING)


NONSENSE: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, 0, 0.0, -0.0, -80.0, True, False, "80", b"80", "", [80.0], {},
    Decimal(80), Fraction(80), 80 + 0j, 10**400, -(10**400), 5e-324, 1.7e308,
)  # fmt: skip
FIELDS = ("kv", "ma", "mas", "ms")


@pytest.mark.req("SR-05")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: repr(value)[:12])
def test_no_field_may_hold_nonsense(field: str, value: Any) -> None:
    changes = {field: value} if field != "ms" else {"mas": None, "ms": value}
    assert not permitted(technique(**changes), LIMITS, ShotKind.IMAGING)


@pytest.mark.req("SR-05")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0, "80", True, 10**400])
def test_the_complaint_names_the_field(field: str, value: Any) -> None:
    changes = {field: value} if field != "ms" else {"mas": None, "ms": value}
    complaints = technique(**changes).problems()
    assert [text.partition(" ")[0] for text in complaints] == [field]


@pytest.mark.parametrize("changes", [{"mas": None}, {"ms": 1.0}])
def test_exactly_one_of_mas_and_ms(changes: dict[str, Any]) -> None:
    assert technique(**changes).problems() == ("exactly one of mas, ms and aec must be given",)


anything = st.one_of(
    st.floats(),
    st.floats(min_value=0.0, max_value=150.0),
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.booleans(),
    st.none(),
    st.text(max_size=4),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.lists(st.floats(), max_size=2),
)


@pytest.mark.req("SR-05")
@settings(max_examples=400)
@given(kv=anything, ma=anything, mas=anything, ms=anything)
@example(kv=120.0, ma=1.0, mas=None, ms=4500.0)
def test_what_is_permitted_is_inside_by_exact_arithmetic(
    kv: Any, ma: Any, mas: Any, ms: Any
) -> None:
    wild = Technique(kv=kv, ma=ma, mas=mas, ms=ms)
    if not permitted(wild, LIMITS, ShotKind.IMAGING):
        return
    assert {type(kv), type(ma)} <= {int, float}
    assert [type(value) for value in (mas, ms) if value is not None] in ([int], [float])
    ma_exact = Fraction(ma)
    time_ms = Fraction(ms) if ms is not None else 1000 * Fraction(mas) / ma_exact
    slack = Fraction(1, 10**6)
    assert 30 <= Fraction(kv) <= 120
    assert Fraction(0.2) <= ma_exact <= 1
    assert Fraction(kv) * ma_exact <= 120 * (1 + 2 * slack)
    assert 10 * (1 - slack) <= time_ms <= 4500 * (1 + slack)


@pytest.mark.req("SR-05")
@settings(max_examples=200)
@given(kv=anything, ma=anything, mas=anything, ms=anything)
def test_a_press_with_a_technique_that_is_not_permitted_prepares_nothing(
    kv: Any, ma: Any, mas: Any, ms: Any
) -> None:
    wild = Technique(kv=kv, ma=ma, mas=mas, ms=ms)
    if permitted(wild, LIMITS, ShotKind.IMAGING):
        return
    shot = Shot(shot_id="wild", technique=wild, exam_id="TEST", panel_id=SHOT.panel_id)
    seen = inputs(room=room(stage_1=True, stage_2=True), requests=Requests(shot=shot))
    after, outputs = step(memory(State.STANDBY, shot=None), seen)
    assert (after.state, after.refused) == (State.RELEASE_WAIT, ("TECHNIQUE",))
    assert (outputs.contactor, outputs.technique, outputs.intent) == (False, None, None)


# --- what the generator's own timer is set to


@pytest.mark.parametrize(
    ("changes", "wanted_us"),
    [
        ({"mas": None, "ms": 10.0}, 10_000),
        ({"mas": None, "ms": 10.001}, 20_000),  # the step is 10 ms, rounded up
        ({"mas": None, "ms": 995.0}, 1_000_000),
        ({"mas": 0.5}, 1_500_000),  # 1 s at 0.5 mA and 0.5 s for the ramp
        ({"mas": 0.501}, 1_510_000),
        ({"ma": 0.3, "mas": 0.1}, 840_000),  # 333.3 ms -> 340 ms
    ],
)
def test_the_timer_is_rounded_up_and_has_the_ramp_on_top_for_mas(
    changes: dict[str, Any], wanted_us: int
) -> None:
    assert timer_us(technique(**changes), LIMITS) == wanted_us


def test_the_most_that_can_be_given_is_full_current_for_the_timer() -> None:
    assert maximum_mas(technique(), LIMITS) == pytest.approx(0.75)
    assert maximum_mas(technique(mas=None, ms=995.0), LIMITS) == pytest.approx(0.5)


# --- ... and what the wire carries: two formulas, one number


def _on_the_wire_us(asked: Technique) -> int:
    """The argument of OT, in its 10 ms (SPC-P366)."""
    texts = [question.text for question, _ in preparation(asked, again=False)]
    (exposure_time,) = [text for text in texts if text.startswith("OT")]
    return int(exposure_time.removeprefix("OT")) * 10_000


kvs = st.floats(30, 120)
mas_ = st.floats(0.2, 1)
off_by = st.sampled_from([0.0, 1e-12, -1e-12, 2e-7, -2e-7, 4e-4, -4e-4])
near_a_step = st.builds(lambda count, off: count / 100 + off, st.integers(1, 400), off_by)


@pytest.mark.req("SR-53")
@settings(max_examples=500)
@given(kv=kvs, ma=mas_, s=st.one_of(st.floats(0.01, 4), near_a_step), timed=st.booleans())
@example(kv=80.0, ma=0.5, s=0.1000004, timed=False)
@example(kv=80.0, ma=0.5, s=0.1000004, timed=True)
def test_the_bound_on_an_unknown_dose_is_that_of_the_devices_own_timer(
    kv: float, ma: float, s: float, timed: bool
) -> None:
    asked = Technique(kv=kv, ma=ma, mas=None if timed else ma * s, ms=1000 * s if timed else None)
    assume(kv * ma <= 119)
    driver = Driver(pipe()[0])
    used = driver.effective(asked)
    assert driver.effective(used) == used
    assert timer_us(used, LIMITS) == _on_the_wire_us(used) == _on_the_wire_us(asked)
    assert maximum_mas(used, LIMITS) == driver.maximum_mas(used)
