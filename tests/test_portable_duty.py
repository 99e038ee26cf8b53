"""Energy rules of two portables, with the numbers of their documents as literals."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.duty import RULES, Chosen, HuMemory, amx_chosen, amx_most_mas, rule

S = 1_000_000
HOUR_US = 3_600 * S

# --- MOBILETT Plus. Of the permissible 100 kJ 80 % are 80 kJ, 67 % are 67 kJ.


def test_an_exposure_counts_with_its_kv_times_mas() -> None:
    assert HuMemory().exposed(0, 70.0, 100.0).load_j == 7_000.0


@pytest.mark.parametrize(
    ("t_us", "left_j"),
    [
        (249_999, 7_000.0), (250_000, 6_987.0), (499_999, 6_987.0), (500_000, 6_974.0),
        (1 * S, 6_948.0), (60 * S, 7_000.0 - 60 * 52), (134 * S, 7_000.0 - 134 * 52),
        (134_500_000, 6.0), (134_750_000, 0.0), (9_000 * S, 0.0),
    ],
)  # fmt: skip
def test_the_memory_loses_13_j_every_250_ms(t_us: int, left_j: float) -> None:
    assert HuMemory().exposed(0, 70.0, 100.0).after(t_us).load_j == left_j


def test_that_is_52_w() -> None:
    full = HuMemory().exposed(0, 100.0, 390.0)
    assert (39_000.0 - full.after(100 * S).load_j) / 100 == 52.0


@given(
    energies_mas=st.lists(st.floats(0.1, 600.0), max_size=5),
    steps_us=st.lists(st.integers(0, 200 * S), max_size=12),
)
def test_walking_and_jumping_give_the_same_memory(
    energies_mas: list[float], steps_us: list[int]
) -> None:
    memory, t_us = HuMemory(), 0
    for mas in energies_mas:
        t_us += 777_777
        memory = memory.exposed(t_us, 81.0, mas)
    walked = memory
    for step_us in steps_us:
        t_us += step_us
        walked = walked.after(t_us)
    jumped = memory.after(t_us)
    assert walked.load_j == pytest.approx(jumped.load_j, abs=1e-9)
    assert walked.was_ready == jumped.was_ready


@pytest.mark.parametrize(("mas", "ready"), [(799.9, True), (800.0, False), (800.1, False)])
def test_at_80_percent_ready_goes_off(mas: float, ready: bool) -> None:
    assert HuMemory().exposed(0, 100.0, mas).ready(0) is ready


def test_at_67_percent_ready_comes_back_and_not_before() -> None:
    hot = HuMemory().exposed(0, 100.0, 800.0)
    # 13 kJ are 1000 ticks of 13 J: 250 s.
    assert hot.ready_us() == 250 * S
    assert not hot.ready(250 * S - 1)
    assert hot.after(250 * S - 1).load_j == 67_013.0
    assert hot.ready(250 * S)
    assert hot.after(250 * S).load_j == 67_000.0


def test_between_the_two_it_stays_as_it_was() -> None:
    from_below = HuMemory().exposed(0, 100.0, 750.0)
    from_above = HuMemory().exposed(0, 100.0, 820.0).after(100 * S)
    assert (from_below.load_j, from_below.ready(0)) == (75_000.0, True)
    assert (from_above.load_j, from_above.ready(100 * S)) == (76_800.0, False)


def test_an_exposure_on_top_of_what_is_left_takes_ready_away() -> None:
    memory = HuMemory().exposed(0, 100.0, 700.0).exposed(10 * S, 100.0, 105.2)
    assert (memory.load_j, memory.was_ready) == (80_000.0, False)


def test_an_exposure_in_between_does_not_bring_ready_back() -> None:
    memory = HuMemory().exposed(0, 100.0, 820.0).exposed(100 * S, 50.0, 0.4)
    assert (memory.load_j, memory.was_ready) == (76_820.0, False)


def test_when_it_is_ready_again_is_the_first_moment_at_which_it_is() -> None:
    hot = HuMemory().exposed(123_456, 100.0, 833.3)
    assert hot.ready_us() % 250_000 == 0
    assert (hot.ready(hot.ready_us() - 1), hot.ready(hot.ready_us())) == (False, True)
    assert HuMemory().exposed(7, 70.0, 1.0).ready_us() == 7


def test_a_mean_above_73_w_over_an_hour_is_refused() -> None:
    memory = HuMemory()
    for beam in range(26):  # 10 kJ every 140 s: 260 kJ, and 73 W are 262.8 kJ
        assert memory.refusal(beam * 140 * S, 100.0, 100.0) == ""
        memory = memory.exposed(beam * 140 * S, 100.0, 100.0)
    assert memory.mean_w(3_500 * S) == pytest.approx(260_000 / 3600)
    at_us = HOUR_US - 1
    assert memory.refusal(at_us, 100.0, 28.0) == ""
    assert memory.refusal(at_us, 100.0, 28.1) == (
        "mean power: 73.0 W over an hour, and 73 W is the most"
    )
    # The first of them is an hour old.
    assert memory.mean_w(HOUR_US) == pytest.approx(250_000 / 3600)
    assert memory.refusal(HOUR_US, 100.0, 128.0) == ""


def test_a_hot_memory_refuses_and_says_when_it_will_not() -> None:
    hot = HuMemory().exposed(0, 100.0, 820.0)
    told = "heat memory: 82 %, and READY comes back at 67 %"
    assert hot.refusal(0, 50.0, 0.4) == told
    assert hot.refusal(hot.ready_us(), 50.0, 0.4) == ""


# --- AMX-4+

KV = (50, 52, 54, 56, 58, 60, 62, 64, 66, 68, 70, 72, 74, 76,
      80, 85, 90, 95, 100, 105, 110, 115, 120, 125)  # fmt: skip
MAS = (0.4, 0.5, 0.64, 0.8, 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.4, 8, 10, 12.5, 16, 20, 25, 32,
       40, 50, 64, 80, 100, 125, 160, 200, 250, 320)  # fmt: skip


def test_it_has_24_steps_of_kvp_and_30_of_mas() -> None:
    assert (len(KV), len(MAS)) == (24, 30)
    assert tuple(rule("amx-4-plus", "kv_steps")) == KV
    assert tuple(rule("amx-4-plus", "mas_steps")) == MAS


@pytest.mark.parametrize("kv", KV)
def test_the_most_mas_falls_with_the_kvp(kv: int) -> None:
    most = 320 if kv <= 90 else 250 if kv <= 105 else 200
    assert amx_most_mas(kv) == most
    assert [amx_chosen(kv, mas).mas for mas in MAS] == [min(mas, most) for mas in MAS]
    assert {amx_chosen(kv, mas).kv for mas in MAS} == {kv}  # kVp has priority


@pytest.mark.parametrize(
    ("kv", "mas", "chosen"),
    [
        (90, 320, Chosen(kv=90, mas=320, message="kVp / mAs MAX")),
        (90, 250, Chosen(kv=90, mas=250)),
        (95, 320, Chosen(kv=95, mas=250, message="kVp / mAs MAX")),
        (95, 250, Chosen(kv=95, mas=250, message="kVp / mAs MAX")),
        (105, 200, Chosen(kv=105, mas=200)),
        (110, 320, Chosen(kv=110, mas=200, message="kVp / mAs MAX")),
        (125, 160, Chosen(kv=125, mas=160)),
        (50, 0.4, Chosen(kv=50, mas=0.4, message="kVp / mAs MIN")),
        (50, 0.5, Chosen(kv=50, mas=0.5)),
    ],
)
def test_mas_is_lowered_and_told_at_a_limit(kv: float, mas: float, chosen: Chosen) -> None:
    assert amx_chosen(kv, mas) == chosen


def test_what_is_no_step_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"^kVp = 81: 24 steps from 50 to 125; the nearest is 80$"):
        amx_chosen(81, 10)
    with pytest.raises(
        ValueError, match=r"^mAs = 0\.3: 30 steps from 0\.4 to 320; the nearest is 0\.4$"
    ):
        amx_chosen(80, 0.3)


@pytest.mark.parametrize(
    ("kv", "mas", "kj"), [(90, 320, 28.8), (105, 250, 26.25), (125, 200, 25.0)]
)
def test_its_largest_shots_are_those_of_the_reference(kv: float, mas: float, kj: float) -> None:
    assert amx_chosen(kv, 320).mas == mas
    assert kv * mas / 1e3 == kj


def test_every_rule_has_its_mark_and_its_source() -> None:
    units = tomllib.loads(RULES.read_text(encoding="utf-8"))
    rows = [row for unit in units.values() for row in unit.values() if isinstance(row, dict)]
    assert len(rows) == 10
    assert [row["mark"] for row in rows].count("chosen") == 1
    assert all(row["source"] and row["mark"] in ("stated", "chosen") for row in rows)
