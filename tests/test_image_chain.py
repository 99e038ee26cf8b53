"""From raw counts to pictures: corrected, presented, burnt in; sets that are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from firmware_py.recorder.image.correct import (
    PEDESTAL_COUNT,
    Corrected,
    Earlier,
    correct,
    linear_signal,
)
from firmware_py.recorder.image.field import exposure_index, find_field
from firmware_py.recorder.image.maps import PanelSet, PanelSetError
from firmware_py.recorder.image.present import present
from firmware_py.recorder.image.preview import burn_in, burn_in_box, preview_png, windowed
from sim import lag, phantom
from sim.pixels import COUNTS_PER_UGY, Exposure, Past, PixelModel
from tests.find_edge import found_px
from tests.panel_sets import a_set, defects_at

WINDOW_US = 2_100_000
GAP_US = 300_000  # between two windows


@dataclass(frozen=True)
class Bench:
    """A panel with maps that were measured: 16 darks, 16 flats at a quarter of full scale."""

    model: PixelModel
    panel_set: PanelSet

    def picture(self, mas: float = 1.0, number: int = 99) -> Corrected:
        return correct(self.model.frame(mas, 80.0, WINDOW_US, number), self.panel_set)

    def softly_lit(self, side_mm: float) -> Corrected:
        """The hand in a field of this side."""
        raw = self.model.frame(1.0, 60.0, WINDOW_US, 99, field_mm=(side_mm, side_mm))
        return correct(raw, self.panel_set)


@cache
def bench(size_px: int = 256, *, bare: bool = False) -> Bench:
    pitch_mm = 204.8 / size_px
    size = {"rows_px": size_px, "columns_px": size_px, "pitch_mm": pitch_mm}
    flat = PixelModel(**size, objects=(), field_mm=(300.0, 300.0))  # type: ignore[arg-type]
    dark_mean = np.mean([flat.frame(0.0, 80.0, WINDOW_US, n) for n in range(16)], axis=0)
    flat_mean = np.mean([flat.frame(0.5, 80.0, WINDOW_US, 16 + n) for n in range(16)], axis=0)
    bow = flat.bow_pct / 100.0
    a, b = bow, 2.0 * bow**2
    y = (flat_mean - dark_mean) / flat.full_scale_counts
    panel_set = a_set(
        offset=dark_mean.astype(np.float32),
        gain=(y * (1.0 + a * y + b * y * y)).astype(np.float32),
        defects=flat.maps(WINDOW_US).defects,
        linearity=(a, b),
        lag=(lag.kept(GAP_US, WINDOW_US).lag,),
    )
    return Bench(flat if bare else PixelModel(**size), panel_set)  # type: ignore[arg-type]


def block_means(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    means: NDArray[np.float32] = pixels.reshape(16, 16, 16, 16).mean(axis=(1, 3))
    return means


# --- correction


def test_a_flat_field_is_flat_after_correction_and_was_not_before() -> None:
    flat = bench(bare=True)
    raw = flat.model.frame(1.0, 80.0, WINDOW_US, 77)
    after = block_means(flat.picture(number=77).pixels.astype(np.float32) - PEDESTAL_COUNT)
    before = block_means(raw.astype(np.float32))
    assert np.ptp(after) / after.mean() < 0.004
    assert np.ptp(before) / before.mean() > 0.04


def test_corrected_pixels_are_linear_in_the_charge() -> None:
    flat = bench(bare=True)
    levels = [flat.picture(mas).pixels.mean() - PEDESTAL_COUNT for mas in (0.1, 0.5, 1.5)]
    assert [levels[0] / 0.1, levels[2] / 1.5] == pytest.approx([levels[1] / 0.5] * 2, rel=0.002)


def test_without_its_linearity_the_bow_of_the_panel_is_seen() -> None:
    flat = bench(bare=True)
    bent = replace(flat.panel_set, linearity=(0.0, 0.0))
    levels = [
        correct(flat.model.frame(mas, 80.0, WINDOW_US, 7), bent).pixels.mean() - PEDESTAL_COUNT
        for mas in (0.5, 1.5)
    ]
    assert levels[1] / 1.5 < 0.996 * levels[0] / 0.5


def test_the_ghost_of_a_bright_exposure_is_removed() -> None:
    """Fields one after the other: what the first one left is 2 % of it, twice the noise."""
    flat = bench(bare=True)
    first = Exposure(mas=1.5, kv=80.0, phantom_name="hand")
    bright = bench().model.frame(1.5, 80.0, WINDOW_US, 50, "hand")
    raw = bench().model.frame(0.1, 80.0, WINDOW_US, 51, "none", [Past(first, GAP_US)])
    alone = bench().model.frame(0.1, 80.0, WINDOW_US, 51, "none")
    before = Earlier(1, linear_signal(bright, flat.panel_set))
    wanted, left, removed = (
        block_means(correct(frame, flat.panel_set, earlier).pixels.astype(np.float32))
        for frame, earlier in ((alone, []), (raw, []), (raw, [before]))
    )
    assert np.abs(left - wanted).max() > 200
    assert np.abs(removed - wanted).max() < 4


def test_defects_are_as_good_as_their_neighbours() -> None:
    flat = bench(bare=True)
    pixels = flat.picture().pixels.astype(float)
    defects = flat.panel_set.defects
    good_mean, good_sigma = pixels[~defects].mean(), pixels[~defects].std()
    assert defects.sum() > 150
    assert np.abs(pixels[defects] - good_mean).max() < 5.0 * good_sigma


def test_offset_gain_and_pedestal_are_applied_in_this_order() -> None:
    gain = np.full((8, 8), 2.0, np.float32)
    gain[0, 0] = 4.0
    raw = np.full((8, 8), 1100, np.uint16)
    pixels = correct(raw, a_set(gain=gain)).pixels
    mean = (63 * 2.0 + 4.0) / 64  # of the gain map
    assert pixels[7, 7] == round(1000 * mean / 2.0) + PEDESTAL_COUNT
    assert pixels[0, 0] == round(1000 * mean / 4.0) + PEDESTAL_COUNT
    assert pixels.dtype == np.uint16


def test_the_bow_goes_first_then_lag_then_gain() -> None:
    gain = np.full((8, 8), 2.0, np.float32)
    gain[0, 0] = 4.0
    panel_set = a_set(gain=gain, linearity=(0.5, 0.25), lag=(0.1, 0.05))
    before = [np.full((8, 8), counts, np.float32) for counts in (2000.0, 4000.0)]
    raw = np.full((8, 8), 9100, np.uint16)
    pixels = correct(raw, panel_set, [Earlier(2, before[1]), Earlier(1, before[0])]).pixels
    y = 9000 / 16383
    linear = 9000 * (1 + 0.5 * y + 0.25 * y * y)
    mean = (63 * 2.0 + 4.0) / 64
    assert pixels[7, 7] == round((linear - 0.1 * 2000 - 0.05 * 4000) * mean / 2.0) + PEDESTAL_COUNT
    assert pixels[0, 0] == round((linear - 0.1 * 2000 - 0.05 * 4000) * mean / 4.0) + PEDESTAL_COUNT


def test_a_linear_signal_has_no_offset_and_no_bow_and_keeps_the_gain() -> None:
    raw = np.full((8, 8), 9100, np.uint16)
    y = 9000 / 16383
    signal = linear_signal(raw, a_set(linearity=(0.5, 0.25), lag=(0.1,)))
    assert signal.dtype == np.float32
    assert signal == pytest.approx(np.full((8, 8), 9000 * (1 + 0.5 * y + 0.25 * y * y)))


def test_a_frame_from_before_the_panels_memory_leaves_nothing() -> None:
    raw = np.full((8, 8), 1100, np.uint16)
    old = Earlier(3, np.full((8, 8), 5000.0, np.float32))
    panel_set = a_set(lag=(0.1, 0.05))
    assert np.array_equal(correct(raw, panel_set, [old]).pixels, correct(raw, panel_set).pixels)


@pytest.mark.parametrize(
    ("frames_ago", "shape", "words"),
    [
        (0, (8, 8), r"an earlier frame is \(8, 8\), 0 frames ago; its panel's set is \(8, 8\)"),
        (1, (8, 7), r"an earlier frame is \(8, 7\), 1 frames ago"),
    ],
)
def test_an_earlier_frame_that_can_not_be_one_is_refused(
    frames_ago: int, shape: tuple[int, int], words: str
) -> None:
    earlier = [Earlier(frames_ago, np.zeros(shape, np.float32))]
    with pytest.raises(ValueError, match=words):
        correct(np.zeros((8, 8), np.uint16), a_set(lag=(0.1,)), earlier)


def test_a_pixel_that_hardly_responds_is_not_amplified_into_noise() -> None:
    gain = np.full((8, 8), 2.0, np.float32)
    gain[0, 0] = 0.001
    pixels = correct(np.full((8, 8), 300, np.uint16), a_set(gain=gain)).pixels
    assert pixels[0, 0] == 4 * 200 + PEDESTAL_COUNT


def test_what_stands_in_a_map_at_a_defect_does_not_matter() -> None:
    offset, gain = a_set().offset.copy(), a_set().gain.copy()
    offset[3, 3], gain[3, 3] = np.nan, -np.inf
    broken = a_set(offset=offset, gain=gain, defects=defects_at((3, 3)))
    sound = a_set(defects=defects_at((3, 3)))
    raw = np.arange(64, dtype=np.uint16).reshape(8, 8) * 100
    assert np.array_equal(correct(raw, broken).pixels, correct(raw, sound).pixels)


def test_dark_noise_is_not_cut_at_zero_and_never_wraps_around() -> None:
    raw = np.full((8, 8), 95, np.uint16)
    raw[0, 0] = 0
    pixels = correct(raw, a_set()).pixels
    assert pixels[7, 7] == PEDESTAL_COUNT - 5
    assert pixels[0, 0] == 0


def test_a_single_defect_becomes_the_weighted_mean_of_its_good_neighbours() -> None:
    raw = np.full((8, 8), 300, np.uint16)
    raw[3, 2] = 700  # left of the defect: weight 1 of 4 + 4/2
    raw[3, 3] = 9999
    pixels = correct(raw, a_set(defects=defects_at((3, 3)))).pixels
    assert pixels[3, 3] == round(200 + 400 / 6) + PEDESTAL_COUNT
    assert pixels[3, 2] == 600 + PEDESTAL_COUNT


def test_a_cluster_is_mended_from_further_away_and_a_line_from_its_sides() -> None:
    raw = np.full((8, 8), 300, np.uint16)
    cluster = [(row, column) for row in (2, 3, 4) for column in (2, 3, 4)]
    line = [(row, 7) for row in range(8)]
    for place in cluster + line:
        raw[place] = 16000
    pixels = correct(raw, a_set(defects=defects_at(*cluster, *line))).pixels
    assert np.all(pixels == 200 + PEDESTAL_COUNT)


def test_a_hole_that_nothing_can_mend_is_refused() -> None:
    size = (40, 40)
    defects = np.zeros(size, np.bool_)
    defects[:30, :30] = True
    one = np.ones(size, np.float32)
    broken = a_set(offset=one, gain=one, defects=defects)
    with pytest.raises(PanelSetError, match="no good pixel within 8 of row 0, column 0"):
        correct(np.ones(size, np.uint16), broken)


def test_saturation_is_flagged_at_full_scale_and_defects_do_not_count() -> None:
    raw = np.full((8, 8), 300, np.uint16)
    raw[1, 1] = raw[5, 5] = 16383
    corrected = correct(raw, a_set(defects=defects_at((5, 5))))
    assert np.argwhere(corrected.saturated).tolist() == [[1, 1]]
    assert corrected.pixels[1, 1] == 16383
    assert corrected.pixels[5, 5] == 200 + PEDESTAL_COUNT
    assert corrected.saturated_share == 1 / 64


def test_too_long_an_exposure_says_how_much_of_it_is_lost() -> None:
    assert bench().picture(1.0).saturated_share == 0.0
    assert bench().picture(6.0).saturated_share > 0.3


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((8, 7), np.uint16), r"the frame is \(8, 7\) uint16, its panel's set is \(8, 8\)"),
        (np.zeros((8, 8), np.int32), r"\(8, 8\) int32"),
        (np.full((8, 8), 16384, np.uint16), "a pixel of 16384: over 14 bits"),
    ],
)
def test_a_frame_that_can_not_be_this_panels_is_refused(
    raw: NDArray[np.uint16], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        correct(raw, a_set())


# --- edges, field, exposure index


@pytest.mark.parametrize("size_px", [256, 512])
@pytest.mark.parametrize("edge", phantom.EDGES, ids=lambda edge: edge.name)
def test_edges_stand_where_the_geometry_says(edge: phantom.Edge, size_px: int) -> None:
    corrected = bench(size_px).picture()
    density = -np.log(np.maximum(corrected.pixels - float(PEDESTAL_COUNT), 4.0))
    assert abs(found_px(density, edge, 204.8 / size_px)) <= 1.0
    if edge.name.startswith("field"):  # black outside, by an electronic shutter
        edge = replace(edge, denser_after=not edge.denser_after)
    presented = present(corrected).pixels.astype(float)
    assert abs(found_px(presented, edge, 204.8 / size_px)) <= 1.0


@pytest.mark.parametrize("size_px", [256, 512])
def test_the_field_is_found_to_the_pixel(size_px: int) -> None:
    field = find_field(bench(size_px).picture().pixels)
    first = 2.4 / (204.8 / size_px)  # 200 mm of 204.8 mm, centred
    assert field[:2] == field[2:] == (round(first), round(size_px - first))


@pytest.mark.parametrize(("size_px", "side_mm"), [(1024, 200.0), (1024, 199.6), (512, 199.2)])
def test_a_field_ends_where_half_the_light_is_left_however_soft_its_edge(
    size_px: int, side_mm: float
) -> None:
    """Light spreads in the scintillator: a fifth of it is still seen a pixel outside."""
    pitch_mm = 204.8 / size_px
    corrected = bench(size_px).softly_lit(side_mm)
    outside_px = (204.8 - side_mm) / 2.0 / pitch_mm
    assert find_field(corrected.pixels).left_px == round(outside_px)
    assert find_field(corrected.pixels).right_px == size_px - round(outside_px)
    rows = present(corrected).pixels[300 * size_px // 1024 : 320 * size_px // 1024]
    column = rows[:, round(outside_px)].mean()
    assert column < 0.3 * 16383  # no white line along the blades


def test_a_dark_frame_has_no_field_and_still_makes_a_picture() -> None:
    corrected = bench().picture(0.0)
    assert find_field(corrected.pixels) == (0, 256, 0, 256)
    assert present(corrected).pixels.shape == (256, 256)


def test_the_exposure_index_is_a_hundred_times_the_kerma() -> None:
    corrected = bench(bare=True).picture(0.5)  # 39.2 uGy, by the anchor of sim.beam
    scale = float(np.mean(bench().model.maps(WINDOW_US).gain[~bench().panel_set.defects]))
    index = exposure_index(corrected, COUNTS_PER_UGY * scale)
    assert index == pytest.approx(100 * 39.2, rel=0.01)


# --- presentation


def grey_at(pixels: NDArray[np.uint16], x_mm: float, y_mm: float) -> float:
    """Mean of 3 x 3 around a place of the phantom, 256 x 256."""
    row, column = round(y_mm / 0.8 + 127.5), round(x_mm / 0.8 + 127.5)
    return float(pixels[row - 1 : row + 2, column - 1 : column + 2].mean()) / 16383


def test_bone_is_white_tissue_grey_and_air_black() -> None:
    pixels = present(bench().picture()).pixels
    radius, wrist, finger, air = (
        grey_at(pixels, *place) for place in ((-23, 85), (-35, 90), (-37.5, -40), (30, -60))
    )
    assert radius > 0.6
    assert 0.2 < finger < wrist < radius - 0.1
    assert air < 0.08


def test_more_aluminium_is_whiter_at_every_step() -> None:
    pixels = present(bench().picture()).pixels
    steps = [grey_at(pixels, 80.0, -79.0 + 10 * k) for k in range(10)]
    assert steps == sorted(steps)
    assert all(after - before > 0.01 for before, after in pairwise(steps))


@pytest.mark.parametrize("mas", [0.1, 0.5, 1.0, 2.0])
def test_the_picture_looks_the_same_at_any_usual_exposure(mas: float) -> None:
    pixels = present(bench().picture(mas)).pixels
    assert grey_at(pixels, -23, 85) == pytest.approx(grey_at(reference(), -23, 85), abs=0.06)
    assert grey_at(pixels, -35, 90) == pytest.approx(grey_at(reference(), -35, 90), abs=0.06)


@cache
def reference() -> NDArray[np.uint16]:
    return present(bench().picture()).pixels


@pytest.mark.parametrize("mas", [0.0, 0.1, 1.0, 6.0])
def test_the_window_is_the_whole_range_and_holds_the_pixels(mas: float) -> None:
    pixels, center, width = present(bench().picture(mas))
    low, high = np.percentile(pixels, [5, 95])
    assert (center, width) == (8192.0, 16384.0)
    assert center - width / 2 <= low < high <= center + width / 2 - 1
    assert pixels.dtype == np.uint16


def test_the_same_frame_gives_the_same_picture() -> None:
    first = bench().picture(number=5)
    again = correct(bench().model.frame(1.0, 80.0, WINDOW_US, 5), bench().panel_set)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(present(first).pixels, present(again).pixels)
    assert not np.array_equal(first.pixels, bench().picture(number=6).pixels)


# --- words and preview


@pytest.mark.parametrize("size", [(64, 64), (100, 300), (256, 256), (1024, 700)])
def test_words_change_only_their_rectangle_and_are_legible(size: tuple[int, int]) -> None:
    grey = np.full(size, 5000, np.uint16)
    burnt = burn_in(grey, white=16383)
    box = burn_in_box(*size)
    assert np.all(grey == 5000)
    outside = np.ones(size, np.bool_)
    outside[box.top_px : box.bottom_px, box.left_px : box.right_px] = False
    assert np.all(burnt[outside] == 5000)
    strip = burnt[~outside]
    assert strip.max() == 16383
    assert strip.min() == 0
    assert 0.05 < np.mean(strip > 8000) < 0.5
    assert box.bottom_px - box.top_px >= 9


def test_words_on_a_black_frame_can_be_read() -> None:
    assert burn_in(np.zeros((256, 256), np.uint16)).max() == 4095


def test_the_window_function_is_dicoms() -> None:
    # PS3.3 C.11.2.1.2.1 with its own example: c = 2048, w = 4096 is y = (x / 4095) * ymax
    ramp = np.arange(4096, dtype=np.uint16)[None, :]
    assert np.array_equal(windowed(ramp, 2048.0, 4096.0)[0], np.rint(np.arange(4096) / 4095 * 255))
    narrow = windowed(ramp, 100.0, 1.0 + 1e-9)
    assert (narrow[0, 99], narrow[0, 100]) == (0, 255)


def test_the_preview_is_an_eight_bit_picture_of_the_windowed_pixels() -> None:
    shown = Image.open(BytesIO(preview_png(*present(bench().picture()))))
    assert (shown.format, shown.mode, shown.size) == ("PNG", "L", (256, 256))
    assert np.array_equal(np.asarray(shown), windowed(*present(bench().picture())))
    small = Image.open(BytesIO(preview_png(reference(), 8192.0, 16384.0, longest_px=100)))
    assert small.size == (100, 100)
