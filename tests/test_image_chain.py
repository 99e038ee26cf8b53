"""From raw counts to pictures: corrected, presented, burnt in; sets that are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from firmware_py.recorder.image import maps
from firmware_py.recorder.image.correct import PEDESTAL_COUNT, Corrected, correct
from firmware_py.recorder.image.field import exposure_index, find_field
from firmware_py.recorder.image.maps import PanelSet, PanelSetError
from firmware_py.recorder.image.present import present
from firmware_py.recorder.image.preview import burn_in, burn_in_box, preview_png, windowed
from sim import phantom
from sim.pixels import COUNTS_PER_UGY, PixelModel
from tests.find_edge import found_px

TODAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WINDOW_US = 2_100_000


def a_set(**changes: object) -> PanelSet:
    """A tiny set with one defect, for what needs no picture."""
    facts: dict[str, object] = {
        "panel_id": "P1",
        "unit_serial": "SIM-0001",
        "created": TODAY - timedelta(days=10),
        "valid_until": TODAY + timedelta(days=80),
        "offset": np.full((8, 8), 100.0, np.float32),
        "gain": np.full((8, 8), 2.0, np.float32),
        "defects": np.zeros((8, 8), np.bool_),
        "counts_per_ugy": 100.0,
        "beam_quality": "80 kV, 2.5 mm Al",
    }
    return PanelSet(**(facts | changes))  # type: ignore[arg-type]


def defects_at(*places: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros((8, 8), np.bool_)
    for place in places:
        mask[place] = True
    return mask


@dataclass(frozen=True)
class Bench:
    """A panel with maps that were measured: 16 darks, 16 flats at a quarter of full scale."""

    model: PixelModel
    panel_set: PanelSet

    def picture(self, mas: float = 1.0, number: int = 99) -> Corrected:
        return correct(self.model.frame(mas, 80.0, WINDOW_US, number), self.panel_set)


@cache
def bench(size_px: int = 256, *, bare: bool = False) -> Bench:
    pitch_mm = 204.8 / size_px
    size = {"rows_px": size_px, "columns_px": size_px, "pitch_mm": pitch_mm}
    flat = PixelModel(**size, objects=(), field_mm=(300.0, 300.0))  # type: ignore[arg-type]
    dark_mean = np.mean([flat.frame(0.0, 80.0, WINDOW_US, n) for n in range(16)], axis=0)
    flat_mean = np.mean([flat.frame(0.5, 80.0, WINDOW_US, 16 + n) for n in range(16)], axis=0)
    panel_set = a_set(
        offset=dark_mean.astype(np.float32),
        gain=(flat_mean - dark_mean).astype(np.float32),
        defects=flat.maps(WINDOW_US).defects,
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


# --- calibration sets


def gate(panel_set: PanelSet, panel_id: str = "P1", rows_px: int = 8, days: int = 0) -> None:
    at = TODAY + timedelta(days=days)
    maps.require(panel_set, panel_id=panel_id, rows_px=rows_px, columns_px=8, at=at)


def test_a_saved_set_is_the_set_that_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "P1.npz"
    maps.save(a_set(defects=defects_at((1, 2))), path)
    loaded = maps.load(path)
    gate(loaded)
    assert loaded.sha256 == a_set(defects=defects_at((1, 2))).sha256
    assert loaded.sha256 != a_set().sha256
    assert (loaded.unit_serial, loaded.counts_per_ugy) == ("SIM-0001", 100.0)
    assert np.argwhere(loaded.defects).tolist() == [[1, 2]]
    assert [file.name for file in tmp_path.iterdir()] == ["P1.npz"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"panel_id": "P2"}, "is of panel P1, not of P2"),
        ({"rows_px": 9}, "is 8 x 8 px, not 9 x 8"),
        ({"days": 81}, "valid from 2026-02-20 to 2026-05-21, not on 2026-05-22"),
        ({"days": -11}, "not on 2026-02-19"),
    ],
)
def test_a_foreign_or_expired_set_is_refused_with_the_reason(
    asked: dict[str, object], words: str
) -> None:
    with pytest.raises(PanelSetError, match=words):
        gate(a_set(), **asked)  # type: ignore[arg-type]


def test_a_missing_set_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PanelSetError, match=r"no calibration set at .*none\.npz; run `dxrig cal"):
        maps.load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"not a set", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_set_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "P1.npz"
    path.write_bytes(content)
    with pytest.raises(PanelSetError, match="is no calibration set"):
        maps.load(path)


def test_a_set_with_a_changed_pixel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "P1.npz"
    maps.save(a_set(), path)
    with np.load(path) as file:
        content = dict(file)
    content["gain"][3, 3] = 2.5
    np.savez(path, **content)
    with pytest.raises(PanelSetError, match="damaged: its content does not match its checksum"):
        maps.load(path)


def test_a_set_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "P1.npz"
    maps.save(a_set(version=2), path)
    with pytest.raises(PanelSetError, match="has format 2; this program reads 1"):
        maps.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gain": np.zeros((8, 8), np.float32)}, "gain must be above 0"),
        ({"gain": np.ones((8, 7), np.float32)}, "gain is 8 x 7, offset is 8 x 8"),
        ({"offset": np.full((8, 8), np.nan, np.float32)}, "offset is not a number"),
        ({"offset": np.zeros((8, 8))}, "offset must be rows x columns of float32, got 2-d float64"),
        ({"defects": np.ones((8, 8), np.bool_)}, "every pixel is a defect"),
        ({"created": datetime(2026, 1, 1)}, "dates need a time zone"),  # noqa: DTZ001
    ],
)
def test_an_impossible_set_can_not_be_made(changes: dict[str, object], words: str) -> None:
    with pytest.raises(PanelSetError, match=f"calibration set of panel P1: {words}"):
        a_set(**changes)
