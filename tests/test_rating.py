"""Rating charts: focal spot, anode and housing are judged apart, and a refusal names which."""

from __future__ import annotations

import pytest

from sim.rating import FOCI, Focus, Load, foci_of, focus_of, rating_of, refusals
from sim.tube_data import TubeError, parsed, shipped_tubes, tube_sheet
from sim.tube_heat import Heat

LARGE = Focus(name="large", size_mm=1.2, power_w=32_000.0, sheet_rpm=3000.0)
# By hand from 32 kW * (1 + 0.13 * sqrt(5)) / (1 + 0.13 * sqrt(50 t)), and one turn of 20 ms.
CHART_KW = [(0.001, 36.55), (0.02, 36.55), (0.1, 32.0), (0.5, 25.04), (1.0, 21.52), (4.0, 14.55)]


@pytest.mark.parametrize(("span_s", "kw"), CHART_KW)
def test_the_power_falls_with_the_time_as_the_chart_says(span_s: float, kw: float) -> None:
    assert LARGE.most_w(span_s) / 1e3 == pytest.approx(kw, abs=0.01)


def test_for_the_time_and_the_speed_of_the_sheet_the_power_is_that_of_the_sheet() -> None:
    for name in shipped_tubes():
        for focus in foci_of(tube_sheet(name)):
            assert focus.most_w(0.1) == pytest.approx(tube_sheet(name)[f"{focus.name}_w"])


@pytest.mark.parametrize("tube", ["toshiba-e7884", "toshiba-e7894"])
@pytest.mark.parametrize("spot", FOCI)
def test_a_faster_anode_bears_as_much_more_as_data_sheets_say(tube: str, spot: str) -> None:
    sheet = tube_sheet(tube)
    at_60hz_w = focus_of(sheet, spot).most_w(0.1, rpm=3600.0)
    assert at_60hz_w == pytest.approx(sheet[f"{spot}_60hz_w"], rel=0.04)


def test_the_mean_of_the_four_documented_gains_is_met() -> None:
    gain = LARGE.most_w(0.1, rpm=3600.0) / LARGE.most_w(0.1)
    assert gain == pytest.approx((54 / 50 + 22 / 20 + 30 / 29 + 15 / 14) / 4, abs=0.002)


def test_an_anode_that_stands_bears_nothing() -> None:
    assert LARGE.most_w(0.1, rpm=0.0) == 0.0


def test_a_speed_of_60_hz_in_the_sheet_counts_as_3600_turns_a_minute() -> None:
    focus = focus_of(tube_sheet("toshiba-e7239"))
    assert focus.sheet_rpm == 3600.0
    assert focus.most_w(0.1, rpm=3600.0) == 47_000.0
    assert focus.most_w(0.1, rpm=3000.0) < 47_000.0


def test_a_stationary_anode_bears_its_power_for_any_time() -> None:
    spot = focus_of(tube_sheet("dental-d-0712"))
    assert [spot.most_w(span_s) for span_s in (0.001, 0.1, 60.0)] == [490.0, 490.0, 490.0]


def test_only_a_focus_with_a_power_is_one() -> None:
    assert [focus.name for focus in foci_of(tube_sheet("toshiba-e7252"))] == ["large"]
    assert foci_of(tube_sheet("varian-a-292")) == []
    with pytest.raises(TubeError, match=r"has no small_w \(its power for 0\.1 s\)$"):
        focus_of(tube_sheet("toshiba-e7252"), "small")
    with pytest.raises(TubeError, match=r"no focal spot 'tiny'; there are large, small$"):
        focus_of(tube_sheet("toshiba-e7252"), "tiny")
    with pytest.raises(TubeError, match=r"^no power of a small focal spot; there are large$"):
        rating_of(tube_sheet("toshiba-e7252")).loads(80.0, 100.0, 0.1, focus="small")


# SIM-RAD32: 32 and 14 kW, anode 222 kJ, housing 1.11 MJ.
RATING = rating_of(tube_sheet("sim-rad32"))


def what_refuses(*technique: float, focus: str = "large", heat: Heat | None = None) -> list[str]:
    kv, ma, span_s = technique
    loads = RATING.loads(kv, ma, span_s, focus=focus, heat=heat)
    assert [load.what for load in loads] == ["focal spot", "anode", "housing"]
    return [load.what for load in loads if load.refused]


@pytest.mark.parametrize(
    ("technique", "focus", "heat", "refused"),
    [
        ((80.0, 400.0, 0.1), "large", Heat(), []),  # 32 kW: exactly the chart's
        ((80.0, 400.1, 0.1), "large", Heat(), ["focal spot"]),
        ((80.0, 175.0, 0.1), "small", Heat(), []),  # 14 kW
        ((80.0, 176.0, 0.1), "small", Heat(), ["focal spot"]),
        ((80.0, 400.0, 0.101), "large", Heat(), ["focal spot"]),
        ((100.0, 100.0, 1.0), "large", Heat(anode_j=212_000.0), []),
        ((100.0, 100.0, 1.0), "large", Heat(anode_j=212_001.0), ["anode"]),
        ((100.0, 100.0, 1.0), "large", Heat(housing_j=1_100_000.0), []),
        ((100.0, 100.0, 1.0), "large", Heat(housing_j=1_100_001.0), ["housing"]),
        ((100.0, 100.0, 1.0), "large", Heat(anode_j=1.0, housing_j=1_100_000.0), ["housing"]),
        ((100.0, 320.0, 10.0), "large", Heat(housing_j=1e6), ["focal spot", "anode", "housing"]),
    ],
)
def test_a_technique_is_refused_by_what_can_not_bear_it(
    technique: tuple[float, float, float], focus: str, heat: Heat, refused: list[str]
) -> None:
    assert what_refuses(*technique, focus=focus, heat=heat) == refused


def test_a_refusal_says_what_was_asked_and_what_is_borne() -> None:
    loads = RATING.loads(100.0, 400.0, 0.1, heat=Heat(anode_j=220_000.0))
    assert refusals(loads) == [
        "focal spot: 40 kW for 0.1 s, and 32 kW is the most (125 %)",
        "anode: 4 kJ on top of 220 kJ, and 222 kJ is the most (101 %)",
    ]
    assert refusals(RATING.loads(80.0, 100.0, 0.1)) == []


def test_above_100_percent_it_is_refused() -> None:
    shares = (90.0, 100.0, 100.1)
    loads = [Load(what="anode", used_pct=pct, text="") for pct in shares]
    assert [load.refused for load in loads] == [False, False, True]


def test_a_slow_rotor_takes_away_from_the_focal_spot_alone() -> None:
    slow = RATING.loads(80.0, 400.0, 0.1, rpm=1500.0)
    assert [load.what for load in slow if load.refused] == ["focal spot"]
    standing = RATING.loads(80.0, 400.0, 0.1, rpm=0.0)
    assert standing[0].used_pct == float("inf")


def test_without_heat_in_the_sheet_only_the_focal_spot_is_judged() -> None:
    loads = rating_of(tube_sheet("toshiba-e7884")).loads(80.0, 100.0, 0.1)
    assert [load.what for load in loads] == ["focal spot"]


def test_without_a_housing_in_the_sheet_anode_and_focal_spot_are() -> None:
    loads = rating_of(tube_sheet("varian-a-192")).loads(80.0, 100.0, 0.1)
    assert [load.what for load in loads] == ["focal spot", "anode"]


def test_a_sheet_without_a_speed_is_taken_for_50_hz() -> None:
    sheet = parsed(
        '[tube]\nmaker = "A"\nmodel = "B"\nanode = "rotating"\ndocument = "C"\n[facts]\n'
        'large_mm = { value = 1, mark = "stated", source = "s" }\n'
        'large_w = { value = 1000, mark = "stated", source = "s" }\n',
        "t",
    )
    assert focus_of(sheet).sheet_rpm == 3000.0
