"""Defects: each class against planted pixels near its limit and against plain medians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_py.recorder.image import (
    calibrate,
    defect_acceptance,
    defect_groups,
    defects,
    local_median,
    maps,
)
from firmware_py.recorder.image.calibrate import LINEAR
from firmware_py.recorder.image.correct import correct
from firmware_py.recorder.image.defect_acceptance import ACCEPTANCE, judge, needed_reach_px
from firmware_py.recorder.image.defect_groups import group
from firmware_py.recorder.image.defects import CRITERIA, Defects, FlatNoise, find_defects
from firmware_py.recorder.image.frame_stats import FrameStats
from firmware_py.recorder.image.limits import Limit
from firmware_py.recorder.image.local_median import medians_at, outliers
from firmware_py.recorder.image.maps import Floats, Mask, PanelSetError
from sim import phantom
from sim.pixels import Exposure, Past, PixelModel, TrueMaps

FULL_SCALE = 16383
DARKS = 32
NOISE = FlatNoise(gain_pct=0.45, gain_count=16, check_pct=0.45, check_count=16)  # 0.16 % together
Spot = tuple[int, int] | tuple[slice, slice] | tuple[slice, int] | tuple[int, slice]


@dataclass(frozen=True)
class Panel:
    """Maps of a panel: noisy, shaded by 6 %, gains that differ by 2 %; no defects yet."""

    dark_mean: Floats
    dark_sigma: Floats
    flat_signal: Floats
    flat_constant: Mask
    corrected_flat: Floats
    after_flat: Floats

    def find(self, **changes: object) -> Defects:
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        facts |= {"dark_count": DARKS, "flat_noise": NOISE, "full_scale": FULL_SCALE}
        return find_defects(**(facts | changes))


def panel(rows: int = 64, columns: int = 64, seed: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None, :]

    def noise(sigma: float) -> NDArray[np.float64]:
        return sigma * rng.standard_normal((rows, columns))

    flat = 3000.0 * (1.02 - 0.03 * (x * x + y * y)) * (1.0 + noise(0.02))
    sigma = 2.0 * np.sqrt(rng.chisquare(DARKS - 1, (rows, columns)) / (DARKS - 1))
    return Panel(
        dark_mean=(300.0 + noise(6.0)).astype(np.float32),
        dark_sigma=sigma.astype(np.float32),
        flat_signal=flat.astype(np.float32),
        flat_constant=np.zeros((rows, columns), np.bool_),
        corrected_flat=(6000.0 * (1.0 + noise(NOISE.mean_pct / 100))).astype(np.float32),
        after_flat=(0.05 * flat + noise(2.0)).astype(np.float32),
    )


def found_in(result: Defects) -> dict[str, list[list[int]]]:
    """Places by class, without empty classes."""
    return {name: np.argwhere(mask).tolist() for name, mask in result.classes.items() if mask.any()}


def bad_at(*spots: Spot, shape: tuple[int, int] = (64, 64)) -> Mask:
    bad = np.zeros(shape, np.bool_)
    for spot in spots:
        bad[spot] = True
    return bad


# --- classes

Break = Callable[[Panel, tuple[int, int]], None]


def scale(name: str, factor: float) -> Break:
    def change(panel: Panel, at: tuple[int, int]) -> None:
        array = getattr(panel, name)
        around = array[max(0, at[0] - 4) : at[0] + 5, max(0, at[1] - 4) : at[1] + 5]
        array[at] = np.median(around) * factor

    return change


def stand_still(panel: Panel, at: tuple[int, int]) -> None:
    panel.flat_constant[at] = True


def add_dark(share: float) -> Break:
    def change(panel: Panel, at: tuple[int, int]) -> None:
        panel.dark_mean[at] += share * FULL_SCALE

    return change


@pytest.mark.parametrize("at", [(30, 20), (0, 0), (63, 0), (0, 33), (17, 63)])
@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("dead", scale("flat_signal", 0.0)),
        ("dead", scale("flat_signal", 0.03)),
        ("dead", stand_still),
        ("noisy", scale("dark_sigma", 7.0)),
        ("hot", add_dark(0.3)),
        ("over-responding", scale("flat_signal", 1.4)),
        ("under-responding", scale("flat_signal", 0.5)),
        ("non-uniform", scale("corrected_flat", 1.02)),
        ("non-uniform", scale("corrected_flat", 0.98)),
        ("lag", scale("after_flat", 2.5)),
    ],
)
def test_a_defect_is_found_as_what_it_is(name: str, broken: Break, at: tuple[int, int]) -> None:
    one = panel()
    broken(one, at)
    result = one.find()
    assert found_in(result) == {name: [list(at)]}
    assert np.argwhere(result.mask).tolist() == [list(at)]
    assert (result.single_count, result.clusters, result.lines) == (1, (), ())


@pytest.mark.parametrize("at", [(30, 20), (0, 0), (17, 63)])
@pytest.mark.parametrize(
    "odd",
    [
        scale("flat_signal", 1.2),
        scale("flat_signal", 0.7),
        scale("dark_sigma", 3.0),
        scale("dark_sigma", 0.0),
        add_dark(0.2),
        scale("corrected_flat", 1.004),
        scale("corrected_flat", 0.996),
        scale("after_flat", 1.5),
        scale("after_flat", 0.0),
    ],
)
def test_a_pixel_inside_the_limits_is_good(odd: Break, at: tuple[int, int]) -> None:
    one = panel()
    odd(one, at)
    assert found_in(one.find()) == {}


def test_a_clean_noisy_panel_has_no_defects() -> None:
    assert not panel(1024, 1024).find().mask.any()


def test_a_column_an_edge_row_and_a_corner_leave_their_neighbours_good() -> None:
    one = panel()
    bad = bad_at((slice(None), 20), (63, slice(None)), (slice(0, 5), slice(0, 5)))
    one.flat_signal[bad] = 0.0
    one.corrected_flat[bad] = 60_000.0
    one.after_flat[bad] = 9000.0
    result = one.find()
    assert np.array_equal(result.mask, bad)
    assert np.array_equal(result.classes["dead"], bad)


def test_classes_share_no_pixel_and_make_the_mask() -> None:
    one = panel()
    for broken in (scale("flat_signal", 0.0), scale("dark_sigma", 9.0), add_dark(0.4)):
        broken(one, (9, 9))
    scale("corrected_flat", 1.05)(one, (40, 40))
    scale("after_flat", 4.0)(one, (40, 40))
    result = one.find()
    assert found_in(result) == {"dead": [[9, 9]], "non-uniform": [[40, 40]]}
    assert list(result.classes) == [limit.name for limit in CRITERIA]
    assert np.array_equal(np.sum(list(result.classes.values()), axis=0), result.mask)


def test_a_good_pixel_that_is_shut_in_is_bad() -> None:
    one = panel()
    ring = bad_at((slice(29, 32), slice(29, 32)), (slice(0, 2), slice(0, 2)))
    ring[30, 30] = ring[0, 0] = False  # the corner has three neighbours, all bad
    one.flat_signal[ring] = 0.0
    assert found_in(one.find())["bad neighbourhood"] == [[0, 0], [30, 30]]


def test_lag_that_drowns_in_noise_condemns_no_pixel() -> None:
    one = panel(256, 256)
    rng = np.random.default_rng(3)
    one.after_flat[...] = 0.5 + 2.0 * rng.standard_normal(one.after_flat.shape)
    assert not one.find().mask.any()
    one.after_flat[7, 7] = 20.0
    assert found_in(one.find()) == {"lag": [[7, 7]]}


def test_lag_that_was_not_looked_at_is_no_class_of_the_result() -> None:
    assert set(panel().find().classes) - set(panel().find(after_flat=None).classes) == {"lag"}


def test_a_panel_so_quiet_that_most_darks_stand_still_is_good() -> None:
    one = panel()
    one.dark_sigma[...] = 0.0
    one.dark_sigma[::3] = 0.18  # one of 32 frames was a count higher
    assert not one.find().mask.any()


def test_what_responds_elsewhere_on_the_panel_does_not_matter() -> None:
    one = panel(200, 200)
    one.flat_signal[...] *= np.linspace(0.4, 1.6, 200)  # heel effect, and how
    assert not one.find().mask.any()
    scale("flat_signal", 1.4)(one, (100, 5))  # lower than the other side
    assert found_in(one.find()) == {"over-responding": [[100, 5]]}


# --- what can't be judged is refused


def test_flats_whose_noise_hides_one_percent_are_refused_with_how_many_would_do() -> None:
    noise = FlatNoise(gain_pct=0.8, gain_count=16, check_pct=0.6, check_count=16)
    words = r"leaves 0\.25 % in .*: 1 % is 4\.0 sigma, 6 are needed; 36 frames for the gain map"
    with pytest.raises(ValueError, match=words):
        panel().find(flat_noise=noise)


def test_as_many_flats_as_were_told_do() -> None:
    noise = FlatNoise(gain_pct=0.8, gain_count=36, check_pct=0.6, check_count=36)
    assert noise.problem == ""
    assert noise.mean_pct == pytest.approx(1 / 6)


def test_the_noise_of_flats_is_told_in_percent_of_the_signal() -> None:
    signal = np.full((8, 8), 3000, np.float32)
    signal[0] = 0.0
    assert defects.noise_pct(np.full((8, 8), 12, np.float32), signal) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dark_count": 29}, "over 30 to 100 dark frames .* got 29"),
        ({"dark_count": 101}, "over 30 to 100 dark frames .* got 101"),
        ({"dark_mean": np.zeros((64, 63), np.float32)}, "maps are of different panels"),
        ({"flat_signal": np.zeros((64, 64), np.float32)}, "the flat had no beam"),
        ({"flat_constant": np.ones((64, 64), np.bool_)}, "no pixel responds, or none ever changed"),
        ({"corrected_flat": np.full((64, 64), np.nan, np.float32)}, "corrected flat is not a num"),
        ({"after_flat": np.full((64, 64), np.inf, np.float32)}, "after the beam is not a number"),
    ],
)
def test_what_can_not_be_judged_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        panel().find(**changes)


# --- medians, against the plainest reference


def plain_medians(values: Floats, good: Mask, reach_px: int) -> NDArray[np.float64]:
    medians = np.full(values.shape, np.nan)
    for row, column in np.argwhere(good):
        rows = slice(max(0, row - reach_px), row + reach_px + 1)
        columns = slice(max(0, column - reach_px), column + reach_px + 1)
        area = values[rows, columns][good[rows, columns]]
        medians[row, column] = np.median(area.astype(np.float64))
    return medians


def wild(seed: int, kind: str) -> tuple[Floats, Mask]:
    """A panel that is full of outliers, and a mask of those that are known."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(5, 60)), int(rng.integers(5, 60)))
    values = 100.0 * (1.0 + 0.02 * rng.standard_normal(shape))
    if kind == "wild":
        values *= np.where(rng.random(shape) < 0.2, rng.lognormal(0.0, 2.0, shape), 1.0)
    if kind == "patches":  # larger than half a square
        values[: shape[0] // 2, : shape[1] // 2] *= 1.5
        values[-3:, -9:] = 1e6
    if kind == "around zero":
        values -= 100.0
    if kind == "even":
        values[...] = 100.0
        values[2, 3] = 131.0
    good = rng.random(shape) < 0.9
    good[:, shape[1] // 2] = False
    return values.astype(np.float32), good


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["calm", "wild", "patches", "around zero", "even"])
@pytest.mark.parametrize(
    ("reach_px", "low", "high", "above"),
    [(10, 0.6, 1.3, 0.0), (4, 0.99, 1.01, 0.0), (4, -np.inf, 2.0, 6.0), (4, -np.inf, 1.0, 3.0)],
)
def test_outliers_are_those_of_plain_medians(
    reach_px: int, low: float, high: float, above: float, kind: str, seed: int
) -> None:
    values, good = wild(seed, kind)
    medians = plain_medians(values, good, reach_px)
    pixels = values.astype(np.float64)
    expected = good & (pixels > np.maximum(high * medians, medians + above))
    if np.isfinite(low):
        expected |= good & (pixels < low * medians)
    found = outliers(values, good, reach_px=reach_px, low=low, high=high, above_counts=above)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("reach_px", [4, 10])
def test_medians_are_exact_at_each_pixel(reach_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_median, "_CHUNK_BYTES", 50_000)
    values, good = wild(1, "wild")
    found = medians_at(values, good, np.argwhere(good), reach_px)
    assert np.array_equal(found, plain_medians(values, good, reach_px)[good])


@pytest.mark.parametrize("block_rows", [1, 7])
@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_rows_do_not_show(
    seed: int, block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_median, "_BLOCK_ROWS", block_rows)
    values, good = wild(seed, "calm")
    medians = plain_medians(values, good, 1)
    found = outliers(values, good, reach_px=1, high=1.0)
    assert np.array_equal(found, good & (values > medians))


@pytest.mark.parametrize(
    ("level", "odd", "limit"), [(1000.0, 500.0, {"low": 0.6}), (10.0, 20.0, {"high": 1.3})]
)
def test_a_corner_that_is_unlike_the_rest_of_the_panel_is_judged_by_itself(
    level: float, odd: float, limit: dict[str, float]
) -> None:
    values = np.full((200, 200), 100.0, np.float32)
    values[:15, :15] = level  # less than 1 % of the pixels
    values[4, 4] = odd
    found = outliers(values, np.ones(values.shape, np.bool_), reach_px=4, **limit)
    assert np.argwhere(found[:11, :11]).tolist() == [[4, 4]]


def test_a_panel_without_good_pixels_has_no_outliers() -> None:
    values = np.ones((8, 8), np.float32)
    assert not outliers(values, np.zeros((8, 8), np.bool_), reach_px=4, high=1.3).any()


# --- singles, clusters, lines


def sizes(bad: Mask) -> list[tuple[int, bool]]:
    """Size and relevance of each cluster."""
    return [(len(cluster.places), cluster.relevant) for cluster in group(bad).clusters]


def test_pixels_that_touch_at_a_corner_are_a_cluster() -> None:
    bad = bad_at((3, 3), (4, 4), (10, 10), (11, 9), (20, 20))
    assert sizes(bad) == [(2, False), (2, False)]
    assert group(bad).single_count == 1
    assert group(bad).clusters[1].places.tolist() == [[10, 10], [11, 9]]


def test_nothing_touches_across_the_edge_of_the_panel() -> None:
    assert sizes(bad_at((5, 63), (6, 0), (0, 30), (63, 30))) == []
    assert group(bad_at((0, 0), (63, 63))).single_count == 2


@pytest.mark.parametrize(
    ("spots", "relevant"),
    [
        ([(slice(30, 33), slice(30, 33))], True),  # its middle has no good neighbour
        ([(slice(30, 32), slice(30, 32))], False),  # 5 each
        ([(slice(30, 32), slice(30, 33))], True),  # 3 for those in the middle
        ([(slice(30, 36), 30)], False),  # 6 and more
        ([(0, slice(30, 32))], True),  # at the edge: 4
        ([(0, 0), (1, 1)], True),  # the corner: 2
    ],
)
def test_a_cluster_is_relevant_with_fewer_than_five_good_neighbours(
    spots: Sequence[Spot], relevant: bool
) -> None:
    assert [found for _, found in sizes(bad_at(*spots))] == [relevant]


def test_a_chain_through_the_panel_is_one_cluster() -> None:
    bad = np.zeros((300, 64), np.bool_)
    for link, row in enumerate(range(0, 296, 4)):  # runs of 12 and 5, no column half bad
        bad[row, 20 + 4 * (link % 3) : 32 + 4 * (link % 3)] = True
        bad[row : row + 5, 28 + link % 4] = True
    (cluster,) = group(bad).clusters
    assert len(cluster.places) == bad.sum()
    assert group(bad).lines == ()


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4])
def test_clusters_are_those_of_a_flood_fill(share: float) -> None:
    bad = np.random.default_rng(5).random((50, 70)) < share
    expected = sorted(flooded(bad & ~in_lines(bad)))
    assert sorted(size for size, _ in sizes(bad)) == [size for size in expected if size > 1]


def in_lines(bad: Mask) -> Mask:
    covered = np.zeros_like(bad)
    for line in group(bad).lines:
        along = slice(line.first_px, line.last_px + 1)
        covered[(along, line.at_px) if line.axis == "column" else (line.at_px, along)] = True
    return covered


def flooded(bad: Mask) -> list[int]:
    left, found = {(int(row), int(column)) for row, column in np.argwhere(bad)}, []
    while left:
        queue, size = [left.pop()], 0
        while queue:
            row, column = queue.pop()
            size += 1
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
            queue += near & left
            left -= near
        found.append(size)
    return found


@pytest.mark.parametrize(("length_px", "whole"), [(32, False), (33, True)])
@pytest.mark.parametrize("axis", ["row", "column"])
def test_over_half_a_row_or_column_is_a_bad_line(axis: str, length_px: int, whole: bool) -> None:
    bad = bad_at((slice(5, 5 + length_px), 63))
    (line,) = group(bad if axis == "column" else bad.T).lines
    assert (line.axis, line.at_px, line.first_px, line.last_px) == (axis, 63, 5, 4 + length_px)
    assert (line.bad_count, line.whole) == (length_px, whole)
    assert sizes(bad) == []


def test_a_line_may_have_good_pixels_in_it() -> None:
    bad = bad_at((slice(None), 20))
    bad[::4, 20] = False
    (line,) = group(bad).lines
    assert (line.whole, line.bad_count, line.first_px, line.last_px) == (True, 48, 1, 63)


@pytest.mark.parametrize(("length_px", "lines"), [(15, 0), (16, 1)])
def test_a_long_run_is_a_partial_line_and_a_shorter_one_a_cluster(
    length_px: int, lines: int
) -> None:
    groups = group(bad_at((slice(40, 40 + length_px), 7)))
    assert (len(groups.lines), len(groups.clusters)) == (lines, 1 - lines)


@pytest.mark.parametrize(("length_px", "lines"), [(29, 0), (30, 1)])
def test_on_a_large_panel_a_partial_line_is_a_tenth_of_it(length_px: int, lines: int) -> None:
    groups = group(bad_at((slice(0, length_px), 299), shape=(300, 300)))
    assert len(groups.lines) == lines


def test_two_runs_of_one_column_are_two_partial_lines() -> None:
    lines = group(bad_at((slice(0, 16), 9), (slice(47, 63), 9))).lines
    assert [(line.first_px, line.last_px, line.whole) for line in lines] == [
        (0, 15, False),
        (47, 62, False),
    ]


def test_a_line_is_no_cluster_and_what_touches_it_keeps_its_own_size() -> None:
    bad = bad_at((slice(None), 20), (30, 21), (31, 21), (50, 19), (10, 40))
    assert sizes(bad) == [(2, True)]  # 4 good neighbours: the column's are bad
    assert group(bad).single_count == 1  # (10, 40); the pixel at (50, 19) is at the line


def test_a_good_panel_has_no_groups() -> None:
    assert group(bad_at()) == ((), (), 0)


# --- acceptance


def judged(bad: Mask) -> dict[str, tuple[float | None, bool]]:
    groups = group(bad)
    result = Defects(
        mask=bad,
        classes={},
        lines=groups.lines,
        clusters=groups.clusters,
        single_count=groups.single_count,
    )
    return {verdict.limit.name: (verdict.found, verdict.ok) for verdict in judge(result)}


def columns_at(*columns: int) -> Mask:
    return bad_at(*((slice(None), column) for column in columns), shape=(100, 100))


def test_a_good_panel_is_accepted() -> None:
    assert judged(bad_at()) == {
        "lines": (0, True),
        "lines apart": (None, True),
        "reach": (0, True),
        "bad pixels": (0.0, True),
    }
    assert list(judged(bad_at())) == [limit.name for limit in ACCEPTANCE]


@pytest.mark.parametrize(("count", "ok"), [(7, True), (8, False)])
def test_at_most_seven_bad_lines_are_accepted(count: int, ok: bool) -> None:
    assert judged(columns_at(*range(0, 6 * count, 6)))["lines"] == (count, ok)


@pytest.mark.parametrize(("columns", "apart", "ok"), [((9, 15), 5, True), ((9, 14), 4, False)])
def test_five_good_lines_lie_between_two_bad_ones(
    columns: tuple[int, ...], apart: int, ok: bool
) -> None:
    assert judged(columns_at(*columns))["lines apart"] == (apart, ok)


def test_a_row_and_a_column_may_cross() -> None:
    crossed = columns_at(50)
    crossed[52] = True
    assert judged(crossed)["lines apart"] == (None, True)
    assert judged(crossed)["lines"] == (2, True)


def test_partial_lines_do_not_count_as_lines() -> None:
    bad = bad_at(*((slice(0, 20), column) for column in range(10)), shape=(100, 100))
    assert judged(bad)["lines"] == (0, True)


@pytest.mark.parametrize(
    ("side_px", "reach_px", "ok"), [(1, 1, True), (15, 8, True), (17, 9, False)]
)
def test_a_hole_that_the_correction_can_not_mend_is_not_accepted(
    side_px: int, reach_px: int, ok: bool
) -> None:
    bad = bad_at((slice(20, 20 + side_px), slice(20, 20 + side_px)))
    assert judged(bad)["reach"] == (reach_px, ok)
    assert mendable(bad) is ok


@pytest.mark.parametrize("seed", range(8))
def test_reach_is_what_the_correction_says_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bad = rng.random((40, 40)) < 0.2
    top, left = rng.integers(0, 25, 2)
    bad[top : top + 16, left : left + 10 + seed] = True
    bad[:8, :8] = True
    assert mendable(bad) is (needed_reach_px(bad) <= defect_acceptance.REACH.value)


def mendable(bad: Mask) -> bool:
    when = datetime(2026, 3, 2, tzinfo=UTC)
    panel_set = maps.PanelSet(
        panel_id="P1",
        unit_serial="SIM-0001",
        offset=np.zeros(bad.shape, np.float32),
        gain=np.ones(bad.shape, np.float32),
        defects=bad,
        parts=maps.all_parts(created=when, valid_until=when),
    )
    try:
        correct(np.full(bad.shape, 1000, np.uint16), panel_set)
    except PanelSetError:
        return False
    return True


def test_a_defect_needs_three_good_pixels_in_reach() -> None:
    bad = np.ones((2, 12), np.bool_)
    bad[0, [0, 1, 11]] = False
    assert needed_reach_px(bad) == 11  # from (1, 0); two would be found within 10


def test_a_panel_without_three_good_pixels_can_not_be_mended() -> None:
    bad = np.ones((20, 20), np.bool_)
    bad[0, :2] = False
    assert judged(bad)["reach"] == (float("inf"), False)


@pytest.mark.parametrize(("count", "ok"), [(100, True), (101, False)])
def test_one_percent_of_bad_pixels_is_accepted(count: int, ok: bool) -> None:
    bad = np.zeros((100, 100), np.bool_)
    bad.reshape(-1)[: 99 * count : 99] = True
    assert judged(bad)["bad pixels"] == (count / 10_000, ok)


# --- the whole way


WINDOW_US = 2_100_000


@cache
def measured() -> tuple[TrueMaps, Defects]:
    """As a calibration does it: darks, flats at 20 %, another flat at 40 %, and what lags."""
    model = PixelModel(rows_px=256, columns_px=256, pitch_mm=0.8)

    def frames(mas: float, first: int, count: int) -> FrameStats:
        stats = FrameStats((256, 256))
        for number in range(first, first + count):
            stats.add(model.frame(mas, 80.0, WINDOW_US, number, phantom.NONE))
        return stats

    darks, flats, check = frames(0.0, 0, 32), frames(0.4, 100, 16), frames(0.8, 200, 16)
    beam = Exposure(mas=0.8, kv=80.0, phantom_name=phantom.NONE)
    after = model.frame(0.0, 80.0, WINDOW_US, 301, phantom.NONE, [Past(beam, 1_100_000)])
    offset = calibrate.offset_map(darks)
    gain = calibrate.gain_map(flats, offset, LINEAR, FULL_SCALE)
    signal, level = flats.mean() - offset, check.mean() - offset
    found = find_defects(
        dark_mean=offset,
        dark_sigma=darks.std(),
        dark_count=darks.count,
        flat_signal=signal,
        flat_constant=flats.constant(),
        corrected_flat=np.divide(level, gain, out=np.zeros_like(level), where=gain > 0.0),
        flat_noise=FlatNoise(
            gain_pct=defects.noise_pct(flats.std(), signal),
            gain_count=flats.count,
            check_pct=defects.noise_pct(check.std(), level),
            check_count=check.count,
        ),
        full_scale=FULL_SCALE,
        after_flat=after - offset,
    )
    return model.maps(WINDOW_US), found


def test_the_defects_of_a_simulated_panel_are_found_by_class_and_no_others() -> None:
    true, found = measured()
    for name, mask in true.classes.items():
        assert np.array_equal(found.classes[name.replace("_", "-")], mask), name
    assert np.array_equal(found.mask, true.defects)


def test_pixels_of_a_simulated_panel_within_the_limits_are_good() -> None:
    true, found = measured()
    near = np.logical_or.reduce([*true.near_limit.values()])
    assert near.sum() > 10
    assert not (found.mask & near).any()


def test_the_line_and_the_clusters_of_a_simulated_panel_are_found() -> None:
    _, found = measured()
    (line,) = found.lines
    assert (line.axis, line.last_px, line.whole) == ("column", 255, True)
    assert sorted(len(cluster.places) for cluster in found.relevant_clusters)[-3:] == [9, 9, 9]


# --- the limits are data


def test_each_class_says_its_limit_its_source_and_its_mark() -> None:
    assert {limit.name: (limit.value, limit.mark) for limit in CRITERIA} == {
        "dead": (0.05, "D"),
        "noisy": (6.0, "S"),
        "hot": (0.25, "D"),
        "over-responding": (1.3, "S"),
        "under-responding": (0.6, "S"),
        "non-uniform": (0.01, "S"),
        "lag": (2.0, "S"),
        "bad neighbourhood": (8, "S"),
    }
    assert all("E2597" in limit.source for limit in CRITERIA)


def test_only_the_limit_from_memory_is_not_verified() -> None:
    limits = [
        value
        for module in (defects, defect_groups, defect_acceptance)
        for value in vars(module).values()
        if isinstance(value, Limit)
    ]
    assert {limit.name for limit in limits if not limit.verified} == {"relevant cluster"}
