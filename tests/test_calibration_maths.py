"""Frames to maps, and how even the result is: against known truth and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware_py.config import CalibrationConfig
from firmware_py.recorder.image import calibrate, uniformity
from firmware_py.recorder.image.calibrate import LINEAR, Linearity
from firmware_py.recorder.image.correct import PEDESTAL_COUNT
from firmware_py.recorder.image.frame_stats import FRAMES_MAX, FrameStats
from firmware_py.recorder.image.limits import Limit
from firmware_py.recorder.image.maps import Floats
from firmware_py.recorder.image.uniformity import judge_residual
from firmware_py.routines import calibration

Frames = NDArray[np.uint16]  # frame x row x column

FULL_SCALE = 16383


def stats_of(frames: Frames) -> FrameStats:
    stats = FrameStats(frames.shape[1:])
    for frame in frames:
        stats.add(frame)
    return stats


def same_frames(count: int, counts: float = 1000.0, shape: tuple[int, int] = (8, 8)) -> FrameStats:
    return stats_of(np.full((count, *shape), counts, np.uint16))


def noisy_frames(count: int, mean: float, sigma: float, seed: int = 1) -> Frames:
    rng = np.random.default_rng(seed)
    return np.rint(rng.normal(mean, sigma, (count, 33, 70))).astype(np.uint16)


def floats(counts: float, shape: tuple[int, int] = (8, 8)) -> Floats:
    return np.full(shape, counts, np.float32)


# --- statistics of frames


@settings(max_examples=50)
@given(st.lists(st.integers(0, 65535), min_size=2, max_size=40))
def test_mean_and_sigma_of_a_pixel_are_those_of_exact_arithmetic(values: list[int]) -> None:
    stats = stats_of(np.array(values, np.uint16).reshape(-1, 1, 1))
    mean = Fraction(sum(values), len(values))
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    assert stats.mean()[0, 0] == np.float32(float(mean))
    assert stats.std()[0, 0] == pytest.approx(float(variance) ** 0.5, rel=2e-7)
    assert stats.constant()[0, 0] == (len(set(values)) == 1)


def test_a_small_sigma_on_a_high_level_is_not_cancelled_away() -> None:
    values = np.full((20_000, 1, 1), 65534, np.uint16)
    values[1::2] = 65535
    stats = stats_of(values)
    assert stats.mean()[0, 0] == np.float32(65534.5)
    assert stats.std()[0, 0] == np.float32((0.25 * 20_000 / 19_999) ** 0.5)


def test_the_largest_sums_fit() -> None:
    stats = FrameStats((1, 2))
    low, high = (np.array([pair], np.uint16) for pair in ((0, 65535), (65535, 0)))
    for number in range(FRAMES_MAX):
        stats.add(high if number else low)
    assert stats.std()[0] == pytest.approx([65535 / FRAMES_MAX**0.5] * 2, rel=1e-6)
    assert stats.mean()[0] == pytest.approx([65535 * (1 - 2**-15), 65535 * 2**-15])
    with pytest.raises(ValueError, match="32768 frames are the most"):
        stats.add(low)


def test_the_order_of_frames_does_not_matter() -> None:
    frames = noisy_frames(40, 3000.0, 200.0)
    shuffled = np.random.default_rng(2).permutation(frames)
    one, other = stats_of(frames), stats_of(shuffled)
    assert np.array_equal(one.mean(), other.mean())
    assert np.array_equal(one.std(), other.std())


def test_statistics_are_float32_maps_of_each_pixel() -> None:
    frames = noisy_frames(32, 300.0, 2.0)
    frames[:, 5, 6] = 77
    stats = stats_of(frames)
    assert stats.mean().dtype == stats.std().dtype == np.float32
    assert np.allclose(stats.mean(), frames.mean(axis=0), rtol=1e-6)
    assert np.allclose(stats.std(), frames.std(axis=0, ddof=1), rtol=1e-6)
    assert np.argwhere(stats.constant()).tolist() == [[5, 6]]
    assert stats.count == 32


@pytest.mark.parametrize("frame", [np.zeros((8, 7), np.uint16), np.zeros((8, 8), np.int32)])
def test_a_frame_of_another_panel_or_kind_is_refused(frame: Frames) -> None:
    with pytest.raises(ValueError, match=r"the statistics are of \(8, 8\) uint16"):
        FrameStats((8, 8)).add(frame)


def test_too_few_frames_have_no_mean_sigma_or_constancy() -> None:
    with pytest.raises(ValueError, match="at least 1 frames, has 0"):
        FrameStats((8, 8)).mean()
    for ask in (FrameStats.std, FrameStats.constant):
        with pytest.raises(ValueError, match="at least 2 frames, has 1"):
            ask(same_frames(1))


# --- offset and gain


def test_an_offset_map_is_the_mean_of_at_least_32_darks() -> None:
    assert np.all(calibrate.offset_map(same_frames(32, 301)) == 301.0)
    with pytest.raises(ValueError, match=r"at least 32 dark frames \(Teledyne p\. 43\), got 31"):
        calibrate.offset_map(same_frames(31))


def test_a_gain_map_needs_at_least_16_flats() -> None:
    with pytest.raises(ValueError, match=r"at least 16 flat frames \(Teledyne p\. 49\), got 15"):
        calibrate.gain_map(same_frames(15), floats(300.0), LINEAR, FULL_SCALE)


def test_a_gain_map_is_the_response_without_offset_and_curve() -> None:
    response = np.array([[0.8, 1.0, 1.2], [0.9, 1.1, 0.0]])  # mean 1 over those that respond
    offset = np.array([[300, 200, 400], [250, 350, 9000]], np.float32)
    linearity = Linearity(a=0.05, b=0.03, worst_before_pct=0.0, worst_after_pct=0.0)
    raw = np.rint(bent(3000.0 * response, linearity) + offset).astype(np.uint16)
    gain = calibrate.gain_map(stats_of(np.repeat(raw[None], 16, 0)), offset, linearity, FULL_SCALE)
    assert gain.dtype == np.float32
    assert gain == pytest.approx(response, abs=0.0003)
    assert gain[response > 0].mean() == pytest.approx(1.0, abs=1e-6)


def test_a_flat_without_beam_makes_no_gain_map() -> None:
    with pytest.raises(ValueError, match=r"median signal is 0\.0 counts: the flat had no beam"):
        calibrate.gain_map(same_frames(16, 300), floats(300.0), LINEAR, FULL_SCALE)


@pytest.mark.parametrize("share", [0.12, 0.20, 0.25])
def test_a_flat_at_12_to_25_percent_of_full_scale_is_right(share: float) -> None:
    assert calibrate.level_problem(share * 65535, 65535) == ""


@pytest.mark.parametrize(
    ("median", "words"), [(1949, "1949 counts, 11.9% of"), (4112, "4112 counts, 25.1% of")]
)
def test_a_flat_at_another_level_is_told_with_the_range(median: float, words: str) -> None:
    problem = calibrate.level_problem(median, FULL_SCALE)
    assert words in problem
    assert "between 12% and 25%, aim at 20% (3277 counts)" in problem


# --- linearity

LEVELS_MAS = (0.05, 0.1, 0.2, 0.4, 0.8)


def bent(linear: NDArray[np.float64], linearity: Linearity) -> NDArray[np.float64]:
    """What a panel with this curve makes of linear counts: the curve, read backwards."""
    counts = np.linspace(0.0, FULL_SCALE, 100_001)
    y = counts / FULL_SCALE
    curve = counts * (1.0 + linearity.a * y + linearity.b * y * y)
    bent: NDArray[np.float64] = np.interp(linear, curve, counts)
    return bent


def levels(a: float, b: float, plus_counts: float = 0.0) -> list[tuple[float, float]]:
    linearity = Linearity(a=a, b=b, worst_before_pct=0.0, worst_after_pct=0.0)
    mas = np.array(LEVELS_MAS)
    return list(zip(mas, bent(mas * FULL_SCALE, linearity) + plus_counts, strict=True))


@pytest.mark.parametrize("a", [0.0, 0.05, 0.2, -0.04])
@pytest.mark.parametrize("bias_mas", [0.0, 0.004, -0.004])
def test_the_curve_of_a_panel_is_found_though_the_charge_is_off_by_a_constant(
    a: float, bias_mas: float
) -> None:
    points = [(mas + bias_mas, counts) for mas, counts in levels(a, 0.0)]
    found = calibrate.linearity_of(points, FULL_SCALE)
    assert (found.a, found.b) == pytest.approx((a, 0.0), abs=1e-6)
    assert found.worst_after_pct < 1e-5


def test_linearised_levels_are_proportional_to_charge_and_were_not_before() -> None:
    points = levels(0.1, 0.0)
    found = calibrate.linearity_of(points, FULL_SCALE)
    counts = np.array([[counts for _, counts in points]], np.float32)
    linear = calibrate.linearise(counts, found, FULL_SCALE)[0] / np.array(LEVELS_MAS)
    assert np.ptp(linear) / linear.mean() < 1e-5
    assert 4.0 < found.worst_before_pct < 8.0


def test_the_order_of_levels_does_not_matter() -> None:
    one = calibrate.linearity_of(levels(0.1, 0.0), FULL_SCALE)
    assert calibrate.linearity_of(levels(0.1, 0.0)[::-1], FULL_SCALE) == one


def test_charge_that_scatters_is_told_as_what_remains() -> None:
    factors = (1.003, 0.997, 1.003, 0.997, 1.003)  # no curve can follow
    points = [
        (mas, counts * factor)
        for (mas, counts), factor in zip(levels(0.05, 0.0), factors, strict=True)
    ]
    assert 0.2 < calibrate.linearity_of(points, FULL_SCALE).worst_after_pct < 0.5


def test_a_saturated_level_is_refused_by_name() -> None:
    points = [*levels(0.05, 0.0), (1.6, 0.98 * FULL_SCALE)]
    with pytest.raises(ValueError, match=r"level of 1\.6 mAs is saturated: 16055 counts, over 90%"):
        calibrate.linearity_of(points, FULL_SCALE)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (levels(0.0, 0.0)[:4], "at least 5 levels, got 4"),
        ([*levels(0.0, 0.0)[:4], levels(0.0, 0.0)[0]], "at least 5 levels, got 4"),
        ([*levels(0.0, 0.0), (1.0, 13_000.0)], r"1 mAs has 13000 counts, no more than .* 0\.8 mAs"),
        ([*levels(0.0, 0.0), (0.01, -3.0)], r"level of 0\.01 mAs has -3 counts: no signal"),
        ([*levels(0.0, 0.0), (0.0, 30.0)], "level of 0 mAs has 30 counts: no signal"),
        (levels(0.05, 0.0, 400.0), "the levels point at 4[0-9][0-9] counts without charge"),
        (levels(0.05, 0.0, -400.0), "the levels point at -[0-9]+ counts without charge"),
    ],
)
def test_levels_that_make_no_curve_are_refused(
    points: list[tuple[float, float]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        calibrate.linearity_of(points, FULL_SCALE)


def test_a_curve_that_falls_below_full_scale_is_refused() -> None:
    y = np.array([0.02, 0.04, 0.06, 0.08, 0.1])
    mas = y * (1 - 0.7 * y)
    with pytest.raises(ValueError, match="falls somewhere below full scale"):
        calibrate.linearity_of(list(zip(mas, y * FULL_SCALE, strict=True)), FULL_SCALE)


# --- lag


def test_lag_is_the_median_share_of_each_following_frame() -> None:
    exposed = np.linspace(2000, 4000, 64, dtype=np.float32).reshape(8, 8)
    after = [exposed * np.float32(share) for share in (0.05, 0.007, 0.004)]
    after[0][0, 0] = 9999.0
    exposed[7, 7] = 0.0  # dead
    assert calibrate.lag_shares(exposed, after) == pytest.approx((0.05, 0.007, 0.004))
    assert calibrate.lag_shares(exposed, []) == ()


def test_lag_is_never_below_none() -> None:
    assert calibrate.lag_shares(floats(3000.0), [floats(-2.0)]) == (0.0,)


# --- uniformity

PITCH_MM = 0.5  # 20 px a region


def flat(rows: int = 3, columns: int = 4) -> Frames:
    """Regions of 1000 + pedestal, sigma 10 exactly: a chessboard of +-10."""
    shape = (40 + 20 * rows, 40 + 20 * columns)
    board = 1 - 2 * (np.indices(shape).sum(axis=0) % 2)
    pixels: Frames = (1000 + PEDESTAL_COUNT + 10 * board).astype(np.uint16)
    return pixels


def region(row: int, column: int) -> tuple[slice, slice]:
    return slice(20 + 20 * row, 40 + 20 * row), slice(20 + 20 * column, 40 + 20 * column)


def test_an_even_flat_has_no_non_uniformity() -> None:
    found = uniformity.uniformity(flat(), PITCH_MM)
    for part in (found.signal, found.noise, found.snr):
        assert (part.local_pct, part.global_pct) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_signal_non_uniformity_is_of_the_mean_without_the_pedestal() -> None:
    pixels = flat()
    pixels[region(0, 0)] += 120  # mean 1010
    pixels[region(0, 1)] += 60  # mean 1015
    found = uniformity.uniformity(pixels, PITCH_MM)
    assert found.signal.local_pct == pytest.approx(100 * 120 / 1015)  # to the region below
    assert found.signal.global_pct == pytest.approx(100 * 120 / 1015)
    assert found.noise.global_pct == pytest.approx(0.0, abs=1e-9)


def test_local_is_between_neighbours_and_global_over_the_panel() -> None:
    pixels = flat(rows=2, columns=4)
    for column in range(4):
        pixels[:, region(0, column)[1]] += np.uint16(20 * column)  # 1000 .. 1060
    found = uniformity.uniformity(pixels, PITCH_MM)
    assert found.signal.local_pct == pytest.approx(100 * 20 / 1030)
    assert found.signal.global_pct == pytest.approx(100 * 60 / 1030)


def test_noise_non_uniformity_shows_what_the_signal_hides() -> None:
    pixels = flat().astype(int)
    mean = 1000 + PEDESTAL_COUNT
    pixels[region(1, 2)] = mean + 2 * (pixels[region(1, 2)] - mean)
    found = uniformity.uniformity(pixels.astype(np.uint16), PITCH_MM)
    assert found.signal.global_pct == pytest.approx(0.0, abs=1e-9)
    assert found.noise.global_pct == pytest.approx(100 * 10 / (130 / 12))
    assert found.snr.local_pct == pytest.approx(100 * 50 / (1150 / 12))


def test_the_border_of_10_mm_is_dropped() -> None:
    pixels = flat()
    pixels[:20], pixels[-20:], pixels[:, :20], pixels[:, -20:] = 0, 0, 16383, 16383
    assert uniformity.uniformity(pixels, PITCH_MM) == uniformity.uniformity(flat(), PITCH_MM)


@pytest.mark.parametrize("shape", [(79, 200), (200, 79)])
def test_a_panel_that_is_too_small_is_refused_with_its_size(shape: tuple[int, int]) -> None:
    pixels = np.full(shape, 1000, np.uint16)
    words = rf"the panel is {shape[0] / 2:.1f} x {shape[1] / 2:.1f} mm; 40 x 40 mm are needed"
    with pytest.raises(ValueError, match=words):
        uniformity.uniformity(pixels, PITCH_MM)


@pytest.mark.parametrize("counts", [1000, PEDESTAL_COUNT])
def test_what_is_no_image_of_a_flat_is_refused(counts: int) -> None:
    with pytest.raises(ValueError, match="no image of a flat"):
        uniformity.uniformity(np.full((100, 100), counts, np.uint16), PITCH_MM)


@pytest.mark.parametrize(("plus", "ok"), [(20, True), (21, False)])
def test_a_residual_of_two_percent_or_more_is_not_accepted(plus: int, ok: bool) -> None:
    pixels = flat()
    pixels[region(0, 0)] += np.uint16(plus)
    verdict = judge_residual(uniformity.uniformity(pixels, PITCH_MM))
    assert verdict.ok is ok
    assert verdict.found == pytest.approx(100 * plus / (1000 + plus / 12))
    assert (verdict.limit.value, verdict.limit.source, verdict.limit.mark) == (
        2.0,
        "hnvue-console, an open console project: residual after gain correction",
        "S",
    )


# --- the limits are data


def test_every_limit_of_a_maker_is_marked_as_stated() -> None:
    limits = [value for value in vars(calibrate).values() if isinstance(value, Limit)]
    assert {limit.name for limit in limits if limit.mark == "S"} == {
        "darks",
        "flats",
        "level, lowest",
        "level, highest",
    }
    assert all(limit.source and limit.unit and limit.verified for limit in limits)


def test_the_routine_takes_frames_and_levels_that_the_maps_accept() -> None:
    """The unit's process has no numpy, so its routines name the figures once more."""
    assert calibrate.DARKS.value <= calibration.DARKS
    assert CalibrationConfig().flats >= calibrate.FLATS.value
    assert len(calibration.SERIES_PCT) >= calibrate.LEVELS.value
    assert 100 * calibrate.LEVEL_LOWEST.value == calibration.LEVEL_LOW_PCT
    assert 100 * calibrate.LEVEL_TARGET.value == calibration.LEVEL_PCT
    assert 100 * calibrate.LEVEL_HIGHEST.value == calibration.LEVEL_HIGH_PCT
    assert max(calibration.SERIES_PCT) < 100 * calibrate.SATURATED.value
