"""Values beside limits: each number was worked out by hand from the literals beside it."""

from __future__ import annotations

from datetime import date
from math import hypot, log, sqrt

import pytest

from rig.exit_codes import ConfigError, UsageError
from rig.instruments.accuracy import accuracy
from rig.instruments.findings import NOT_STATED, Finding, at_least, at_most
from rig.instruments.hvl import NoHalfError, half_value_mm
from rig.instruments.judge import Terms, calibration, judge, verdict_of
from rig.instruments.limits import LIMITS
from rig.instruments.meter_rows import Instrument
from tests.meter_files import paired

US, IEC, OLD = (LIMITS.load(name) for name in ("us", "iec", "us-before-2006"))


def of(findings: list[Finding], test: str) -> list[Finding]:
    return [one for one in findings if one.test == test]


# --- pass, fail, or not decided


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.0, 5.0, "pass"), (4.9, 5.1, "not decided"), (5.0, 6.0, "not decided"), (5.1, 6.0, "fail")],
)
def test_an_interval_below_a_limit(low: float, high: float, verdict: str) -> None:
    assert at_most(low, high, 5.0) == verdict
    assert at_least(-high, -low, -5.0) == verdict


@pytest.mark.parametrize(
    ("measured_kv", "u_pct", "found_pct", "u_found_pct", "verdict"),
    [
        (84.0, 2.0, 5.0, 2.1, "pass"),  # 5.0 + 2.1 < 10
        (87.0, 2.0, 8.75, 2.175, "not decided"),  # 8.75 - 2.175 < 10 < 8.75 + 2.175
        (92.0, 2.0, 15.0, 2.3, "fail"),
        (68.0, 2.0, -15.0, 1.7, "fail"),
        (72.8, 1.0, -9.0, 0.91, "pass"),  # 9.0 + 0.91 = 9.91
    ],
)
def test_kv_is_judged_with_the_meters_uncertainty(
    measured_kv: float, u_pct: float, found_pct: float, u_found_pct: float, verdict: str
) -> None:
    """U is of the reading: 2 % of 84 kV are 2.1 % of the 80 kV that the unit indicated."""
    (found,) = accuracy([paired(7, {"kv": measured_kv})], US, {"kv": u_pct})
    assert found.found == pytest.approx(found_pct)
    assert found.uncertainty == pytest.approx(u_found_pct)
    assert (found.indicated, found.independent, found.verdict) == (80.0, measured_kv, verdict)
    assert (found.exposures, found.limit, found.mark) == ((7,), 10.0, "S")


def test_without_an_uncertainty_nothing_is_decided() -> None:
    (found,) = accuracy([paired(1, {"kv": 80.0})], US, {})
    assert (found.verdict, found.why) == ("not decided", NOT_STATED)


def test_a_limit_with_an_absolute_part_is_wider_where_the_value_is_small() -> None:
    """IEC time: 10 % + 1 ms; of 4 ms that is 35 %. mAs: 10 % + 0.2 mAs; of 0.5 mAs 50 %."""
    pair = paired(1, {"time_ms": 5.2, "mas": 0.8}, mas=0.5, ms=4.0)
    time, mas = accuracy([pair], IEC, {"time_ms": 1.0, "mas": 1.0})
    assert time.found == pytest.approx(30.0)
    assert (time.limit, time.verdict) == (35.0, "pass")
    assert mas.found == pytest.approx(60.0)
    assert (mas.limit, mas.verdict) == (50.0, "fail")
    assert (time.mark, mas.mark) == ("S", "M")
    assert time.limit_text == "±10 % + 1 ms"


def test_a_limit_that_begins_at_50_ms_judges_nothing_shorter() -> None:
    (found,) = accuracy([paired(1, {"time_ms": 90.0}, ms=50.0)], US, {"time_ms": 1.0})
    assert (found.verdict, found.why) == ("not judged", "this limit holds above 50 ms")
    (longer,) = accuracy([paired(1, {"time_ms": 90.0}, ms=51.0)], US, {"time_ms": 1.0})
    assert longer.verdict == "fail"


# --- output, scatter, linearity

TERMS = Terms(
    limits=US,
    uncertainty_pct={"dose_ugy": 5.0, "kv": 2.0, "hvl_mm": 4.0},
    repeat_pct={"dose_ugy": 0.5},
    distance_mm=750.0,
)


def doses(*values_ugy: float, first: int = 1, ma: float = 1.0, mas: float = 10.0) -> list:  # type: ignore[type-arg]
    return [
        paired(n, {"dose_ugy": dose}, ma=ma, mas=mas, seconds=60.0 * n)
        for n, dose in enumerate(values_ugy, start=first)
    ]


def test_output_is_taken_to_one_metre_by_the_inverse_square() -> None:
    """(500 + 520) / 2 / 10 mAs = 51 uGy/mAs at 750 mm; times 0.75 squared is 28.6875."""
    (found,) = of(judge(doses(500.0, 520.0), TERMS), "output")
    assert found.found == pytest.approx(28.6875)
    assert found.uncertainty == pytest.approx(28.6875 * 0.05)
    assert found.what == "output at 1 m, 80 kV 1 mA 10 mAs"


def test_ten_shots_have_a_coefficient_of_variation_by_n_minus_one() -> None:
    """Five of 99 and five of 101: mean 100, squares 10 x 1, s = sqrt(10 / 9)."""
    (found,) = of(judge(doses(*[99.0, 101.0] * 5), TERMS), "reproducibility")
    assert found.found == pytest.approx(sqrt(10 / 9) / 100)
    assert (found.verdict, found.limit, found.mark) == ("pass", 0.05, "M")


def test_scatter_that_may_be_the_meters_own_is_not_decided_and_more_fails() -> None:
    """Five of 94, five of 106: CV 0.06325. A meter that scatters 10 % (k = 2) may be all of it."""
    wide = doses(*[94.0, 106.0] * 5)
    (found,) = of(judge(wide, TERMS), "reproducibility")
    cv = sqrt(360 / 9) / 100
    assert found.found == pytest.approx(cv)
    assert found.uncertainty == pytest.approx(cv - sqrt(cv**2 - 0.0025**2))
    assert found.verdict == "fail"
    poor = Terms(limits=US, uncertainty_pct={}, repeat_pct={"dose_ugy": 10.0})
    assert of(judge(wide, poor), "reproducibility")[0].verdict == "not decided"


def test_fewer_than_ten_shots_show_a_coefficient_and_no_verdict() -> None:
    (found,) = of(judge(doses(99.0, 101.0, 100.0), TERMS), "reproducibility")
    assert (found.verdict, found.why) == ("not judged", "3 of 10 exposures")


def test_four_shots_pass_oregon_and_fail_washington() -> None:
    """100, 100, 100, 114: range 14 of a mean of 103.5 is 13.53 %."""
    oregon, washington = of(judge(doses(100.0, 100.0, 100.0, 114.0), TERMS), "four shots")
    assert oregon.found == washington.found == pytest.approx(14 / 103.5)
    assert (oregon.limit, oregon.verdict) == (0.2, "pass")
    assert (washington.limit, washington.verdict) == (0.1, "fail")
    assert oregon.uncertainty == pytest.approx(sqrt(2) * 0.005)
    longer = of(judge(doses(100.0, 100.0, 100.0, 114.0, 100.0), TERMS), "four shots")[0]
    assert (longer.found, longer.exposures) == (oregon.found, (1, 2, 3, 4))  # the first four


def test_linearity_of_neighbours_is_the_difference_over_the_sum() -> None:
    """X: 100 / 10 = 10 and 236 / 20 = 11.8; L = 1.8 / 21.8. U: 2ab/(a+b)^2 times both scatters."""
    pairs = doses(100.0) + doses(236.0, first=2, ma=2.0, mas=20.0)
    (found,) = of(judge(pairs, TERMS), "linearity")
    assert found.found == pytest.approx(1.8 / 21.8)
    assert found.uncertainty == pytest.approx(2 * 10 * 11.8 / 21.8**2 * hypot(0.005, 0.005))
    assert (found.verdict, found.exposures) == ("pass", (1, 2))
    (failed,) = of(
        judge(doses(100.0) + doses(250.0, first=2, ma=2.0, mas=20.0), TERMS), "linearity"
    )
    assert failed.found == pytest.approx(2.5 / 22.5)
    assert failed.verdict == "fail"


def test_stations_further_apart_than_two_times_are_no_neighbours() -> None:
    pairs = doses(100.0) + doses(400.0, first=2, mas=30.0)
    (found,) = of(judge(pairs, TERMS), "linearity")
    assert (found.verdict, found.why) == (
        "not judged", "mAs differ 3 times: not adjacent, 2 at most",
    )  # fmt: skip
    iec = Terms(limits=IEC, uncertainty_pct={}, repeat_pct={"dose_ugy": 0.5})
    assert of(judge(doses(100.0) + doses(200.0, first=2, mas=20.0), iec), "linearity")[0].found == 0


# --- half-value layer


def test_a_layer_is_found_on_the_logarithm_between_two_doses() -> None:
    """60 behind 2 mm, 40 behind 4 mm: 2 + 2 ln(60/50) / ln(60/40) = 2.8993."""
    doses_ugy = {0.0: 100.0, 2.0: 60.0, 4.0: 40.0}
    assert half_value_mm(doses_ugy) == pytest.approx(2 + 2 * log(1.2) / log(1.5))
    assert half_value_mm(doses_ugy) == pytest.approx(2.8993, abs=5e-5)
    assert half_value_mm({0.0: 100.0, 3.0: 50.0}) == 3.0


def test_a_layer_agrees_with_the_usual_formula() -> None:
    """HVL = [t2 ln(2 D1/D0) - t1 ln(2 D2/D0)] / ln(D1/D2), another way to write it."""
    d0, t1, d1, t2, d2 = 8.17, 2.5, 4.63, 3.0, 4.02
    usual = (t2 * log(2 * d1 / d0) - t1 * log(2 * d2 / d0)) / log(d1 / d2)
    assert half_value_mm({0.0: d0, t1: d1, t2: d2}) == pytest.approx(usual)


@pytest.mark.parametrize(
    ("doses_ugy", "why"),
    [
        ({1.0: 80.0, 4.0: 30.0}, "no exposure without added aluminium"),
        ({0.0: 100.0, 2.0: 60.0}, "nothing is extrapolated"),
        ({0.0: 100.0, 2.0: 60.0, 3.0: 61.0}, "rises from 2 to 3 mm"),
        ({0.0: 100.0, 2.0: 0.0}, "no logarithm"),
    ],
)
def test_a_series_without_a_half_says_why(doses_ugy: dict[float, float], why: str) -> None:
    with pytest.raises(NoHalfError, match=why):
        half_value_mm(doses_ugy)


def test_a_series_is_judged_at_its_kv_with_its_scatter() -> None:
    """2.8993 mm at 80 kV, least 2.9: the meter's scatter of 0.5 % can't decide it."""
    pairs = [
        paired(n, {"dose_ugy": dose, "added_al_mm": mm})
        for n, (mm, dose) in enumerate([(0.0, 1000.0), (2.0, 600.0), (4.0, 400.0)], start=1)
    ]
    (found,) = of(judge(pairs, TERMS), "hvl")
    assert found.found == pytest.approx(2.8993, abs=5e-5)
    shifts = (
        2 * log(1.2 / 1.005) / log(1.5) - 2 * log(1.2) / log(1.5),  # of the bare dose
        2 * log(1.2 * 1.005) / log(1.5 * 1.005) - 2 * log(1.2) / log(1.5),
        2 * log(1.2) / log(1.5 / 1.005) - 2 * log(1.2) / log(1.5),
    )
    assert found.uncertainty == pytest.approx(hypot(*shifts))
    assert found.verdict == "not decided"
    assert found.limit == pytest.approx(2.9)
    assert found.what == "HVL from 3 layers, 80 kV"


def test_what_the_meter_says_itself_is_held_against_the_table_at_the_measured_kv() -> None:
    """At 95 kV between 3.2 and 3.6: 3.4 mm, from memory above 80 kV."""
    (found,) = of(judge([paired(1, {"hvl_mm": 3.6, "kv": 95.0}, kv=95.0)], TERMS), "hvl")
    assert found.limit == pytest.approx(3.4)
    assert found.mark == "M"
    assert found.uncertainty == pytest.approx(0.144)
    assert found.verdict == "pass"  # 3.6 - 0.144 = 3.456


@pytest.mark.parametrize(
    ("kv", "least_mm"),
    [(20.0, 0.2), (95.0, 2.6), (50.0, 0.5), (51.0, 1.2), (70.0, 1.5), (71.0, 2.1)],
)
def test_the_old_table_gives_the_worked_examples_of_illinois(kv: float, least_mm: float) -> None:
    """32 IAC 360 Table B, note 1: 20 kVp gives 0.2, 95 kVp gives 2.6; and never across a step."""
    assert OLD.of("hvl")[0].least_hvl_mm(kv) == pytest.approx(least_mm)


@pytest.mark.parametrize(
    ("kv", "least_mm"),
    [
        (30.0, 0.3),
        (60.0, 1.5),
        (65.0, 1.65),
        (70.4, 1.812),
        (70.6, 2.482),
        (80.0, 2.9),
        (150.0, 5.4),
    ],
)
def test_the_new_table_is_interpolated_within_its_ranges(kv: float, least_mm: float) -> None:
    assert US.of("hvl")[0].least_hvl_mm(kv) == pytest.approx(least_mm, abs=5e-4)


# --- the whole


def test_the_worst_verdict_counts_and_what_was_not_judged_has_no_say() -> None:
    good, bad = (judge([paired(1, {"kv": kv})], TERMS) for kv in (80.0, 99.0))
    assert verdict_of(good) == "pass"
    assert verdict_of(good + bad) == "fail"
    assert verdict_of([]) == "not judged"


def test_a_calibration_is_valid_on_the_day_it_is_due_and_not_on_the_next() -> None:
    meter = Instrument(calibration_due=date(2026, 3, 1))
    assert calibration(meter, date(2026, 3, 1)) == "valid"
    assert calibration(meter, date(2026, 3, 2)) == "past due"
    assert calibration(Instrument(), date(2026, 3, 2)) == "not stated"


def test_limits_that_ship_are_sound_and_wrong_ones_are_told(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert LIMITS.shipped() == ["iec", "us", "us-before-2006"]
    with pytest.raises(UsageError, match="did you mean 'iec'"):
        LIMITS.load("iecc")
    own = tmp_path / "own.toml"
    own.write_text('about = ""\n[[limit]]\ntest = "kv"\nmost = 0.1\nmark = "S"\nsource = "us"\n')
    with pytest.raises(
        ConfigError, match=r"own.toml:3: limit\[0\].test: a limit of 'kv' needs pct"
    ):
        LIMITS.load(str(own))
