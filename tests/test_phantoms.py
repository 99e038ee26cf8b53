"""Every phantom of the list is what its line says, in mm and in parts of a pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import phantom
from sim.phantoms import NAMES, PHANTOMS, known
from sim.phantoms.border import LEAD_MM, OPENING_MM, WIDE_MM
from sim.phantoms.chest_bones import APART_MM, FIRST_MM
from sim.phantoms.resolution import (
    BARS_COUNT,
    EDGE_SIZE_MM,
    EDGE_TILT_DEG,
    LINE_PAIRS_PER_MM,
)
from sim.phantoms.slabs import CONTRAST_MM_AL, DIAMETERS_MM
from sim.phantoms.wedges import ALUMINIUM_MM, COPPER_MM
from sim.shapes import Box, Star, TiltedPlate

Floats = NDArray[np.float32]
ROWS_PX, COLUMNS_PX, PITCH_MM = 250, 240, 0.8


def maps_of(name: str, pitch_mm: float = PITCH_MM) -> dict[str, Floats]:
    scale = PITCH_MM / pitch_mm
    size = round(ROWS_PX * scale), round(COLUMNS_PX * scale)
    return PHANTOMS[name].thickness_maps(*size, pitch_mm)


def covered_of(name: str) -> Floats:
    """Of all plates together."""
    parts = PHANTOMS[name].covered(ROWS_PX, COLUMNS_PX, PITCH_MM).values()
    total: Floats = np.sum([*parts], axis=0, dtype=np.float32)
    return total


def at(mm: Floats, x_mm: float, y_mm: float, pitch_mm: float = PITCH_MM) -> float:
    row = math.floor(y_mm / pitch_mm + mm.shape[0] / 2)
    return float(mm[row, math.floor(x_mm / pitch_mm + mm.shape[1] / 2)])


# --- the list


def test_the_list_holds_what_it_promises_and_the_old_names_come_first() -> None:
    assert NAMES[:2] == ("hand", "none") == (phantom.DEFAULT, phantom.NONE)
    wanted = {
        "chest", "flat_rqr", "flat_rqa3", "flat_rqa5", "flat_rqa7", "flat_rqa9", "al_wedge",
        "cu_wedge", "pmma_100", "pmma_200", "low_contrast", "edge", "bars", "star", "border",
    }  # fmt: skip
    assert set(NAMES[2:]) == wanted
    assert [one.name for one in PHANTOMS.values()] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_has_one_line_and_a_source(name: str) -> None:
    one = PHANTOMS[name]
    assert 10 < len(one.about) < 90
    assert "\n" not in one.about
    assert one.source
    assert one.verified == (name == "edge")  # all others are chosen, or from memory


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("ches", "chest"), ("Hand", "hand"), ("flat_rqa6", "flat_rqa"), ("edgy", "edge")],
)
def test_an_unknown_name_is_answered_with_all_names_and_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"no phantom {wrong!r}; there are hand, none,") as told:
        known(wrong)
    assert f"; did you mean '{meant}" in str(told.value)


def test_a_word_that_is_near_none_has_no_nearest() -> None:
    with pytest.raises(ValueError, match=r"border$"):
        known("xylophone")


# --- what is even, and what has steps


@pytest.mark.parametrize(("number", "added_mm"), [(3, 10.0), (5, 21.0), (7, 30.0), (9, 40.0)])
def test_an_rqa_flat_is_its_added_aluminium_everywhere_and_no_collimator(
    number: int, added_mm: float
) -> None:
    """As in qc-and-physics.md 1.5."""
    name = f"flat_rqa{number}"
    (aluminium,) = maps_of(name).values()
    assert (float(aluminium.min()), float(aluminium.max())) == (added_mm, added_mm)
    assert PHANTOMS[name].whole_panel


@pytest.mark.parametrize(("name", "mm"), [("pmma_100", 100.0), ("pmma_200", 200.0)])
def test_a_slab_is_as_thick_as_its_name(name: str, mm: float) -> None:
    (pmma,) = maps_of(name).values()
    assert (float(pmma.min()), float(pmma.max())) == (mm, mm)
    assert not PHANTOMS[name].whole_panel


@pytest.mark.parametrize(
    ("name", "material", "steps_mm", "step_mm"),
    [("al_wedge", "aluminium", ALUMINIUM_MM, 12.0), ("cu_wedge", "copper", COPPER_MM, 24.0)],
)
def test_a_wedge_has_its_steps_from_the_top_down(
    name: str, material: str, steps_mm: tuple[float, ...], step_mm: float
) -> None:
    maps = maps_of(name)
    assert list(maps) == [material]
    top_mm = -step_mm * len(steps_mm) / 2
    found = [at(maps[material], 0.0, top_mm + step_mm * (k + 0.5)) for k in range(len(steps_mm))]
    assert found == pytest.approx(steps_mm, rel=1e-5)
    assert all(low < high for low, high in pairwise(steps_mm))
    for k, (above, below) in enumerate(pairwise((0.0, *steps_mm, 0.0))):  # 1 mm from each edge
        assert at(maps[material], 0.0, top_mm + step_mm * k - 1.0) == pytest.approx(above, rel=1e-5)
        assert at(maps[material], 0.0, top_mm + step_mm * k + 1.0) == pytest.approx(below, rel=1e-5)
    assert at(maps[material], 32.0, 0.0) == at(maps[material], 0.0, top_mm - 2.0) == 0.0


def test_the_disks_lose_contrast_by_rows_and_size_by_columns() -> None:
    maps = maps_of("low_contrast", 0.1)
    assert sorted(maps) == ["aluminium", "pmma"]
    assert float(maps["pmma"].min()) == float(maps["pmma"].max()) == 100.0
    for row, mm in enumerate(CONTRAST_MM_AL):
        for column, diameter_mm in enumerate(DIAMETERS_MM):
            x, y = -72.0 + 20.5 * column, -60.0 + 24.0 * row
            assert at(maps["aluminium"], x, y, 0.1) == pytest.approx(mm, rel=1e-5)
            around = slice(round((x - 7 + 96) * 10), round((x + 7 + 96) * 10))
            down = slice(round((y - 7 + 100) * 10), round((y + 7 + 100) * 10))
            volume = float(maps["aluminium"][down, around].sum()) * 0.01
            assert volume == pytest.approx(mm * math.pi * diameter_mm**2 / 4, rel=0.01)


# --- plates: what covers a part of a pixel


def covered_by_samples(plate: TiltedPlate | Star, x: Floats, y: Floats, pitch_mm: float) -> Floats:
    """The same by looking at 40 x 40 places in each pixel."""
    off = (np.arange(40) + 0.5) / 40 - 0.5
    seen = np.zeros((y.shape[0], x.shape[1]))
    for dy in off:
        for dx in off:
            at_x, at_y = x + dx * pitch_mm, y + dy * pitch_mm
            if isinstance(plate, TiltedPlate):
                angle = math.radians(plate.tilt_deg)
                seen += at_x * math.cos(angle) + at_y * math.sin(angle) < 0
            else:
                turns = np.arctan2(at_y, at_x) * plate.pairs_count / (2 * math.pi)
                seen += (turns % 1.0 < 0.5) & (np.hypot(at_x, at_y) < plate.radius_mm)
    return (seen / 1600).astype(np.float32)


@pytest.mark.parametrize("tilt_deg", [0.0, 2.3, -2.3, 20.0, 45.0, 88.0])
def test_a_tilted_edge_covers_the_exact_part_of_each_pixel(tilt_deg: float) -> None:
    plate = TiltedPlate(
        material="tungsten", tilt_deg=tilt_deg, width_mm=50.0, height_mm=60.0, thickness_mm=2.0
    )
    x = np.linspace(-3.0, 3.0, 13, dtype=np.float32)[None, :] + np.float32(0.11)
    y = np.linspace(-3.0, 3.0, 13, dtype=np.float32)[:, None]
    part = plate.thickness(x, y, 0.5) / np.float32(2.0)
    assert np.abs(part - covered_by_samples(plate, x, y, 0.5)).max() < 0.03
    assert ((part > 0.02) & (part < 0.98)).any()


def test_the_edge_leans_as_it_says_and_stands_alone_in_the_middle() -> None:
    part = covered_of("edge")
    area_mm2 = float(part.sum(dtype=np.float64)) * PITCH_MM**2
    assert area_mm2 == pytest.approx(EDGE_SIZE_MM[0] * EDGE_SIZE_MM[1], abs=0.2)  # the corners
    middle = part[ROWS_PX // 2 - 75 : ROWS_PX // 2 + 75, COLUMNS_PX // 2 - 90 :]  # 120 mm high
    crossings_mm = middle.sum(axis=1, dtype=np.float64) * PITCH_MM - 72.0
    at_mm = (np.arange(150) + 0.5 - 75) * PITCH_MM
    lean, origin_mm = np.polyfit(at_mm, crossings_mm, 1)
    assert math.degrees(math.atan(-lean)) == pytest.approx(EDGE_TILT_DEG, abs=1e-4)
    assert origin_mm == pytest.approx(0.0, abs=1e-4)
    assert 1.5 <= EDGE_TILT_DEG <= 3.0
    assert PHANTOMS["edge"].whole_panel
    assert float(part[:, :15].max()) == float(part[:10].max()) == float(part[-10:].max()) == 0.0


def test_a_star_shows_what_a_pixel_averages() -> None:
    plate = Star(material="lead", radius_mm=45.0, pairs_count=36, thickness_mm=0.1)
    x = np.arange(20.0, 46.0, 0.5, dtype=np.float32)[None, :]
    y = np.arange(3.0, 12.0, 0.5, dtype=np.float32)[:, None]
    part = plate.thickness(x, y, 0.5) / np.float32(0.1)
    off = np.abs(part - covered_by_samples(plate, x, y, 0.5))
    assert off.mean() < 0.02
    assert off.max() < 0.2  # the corners of a pixel are not on its arc


def test_a_star_is_even_where_a_pixel_is_one_line_pair_wide() -> None:
    plate = Star(material="lead", radius_mm=45.0, pairs_count=36, thickness_mm=1.0)
    radius_mm = 0.8 * 36 / (2 * math.pi)
    angles = np.linspace(0.0, 6.28, 50, dtype=np.float32)
    x, y = np.float32(radius_mm) * np.cos(angles), np.float32(radius_mm) * np.sin(angles)
    assert plate.thickness(x, y, 0.8) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("name", ["bars", "border"])
def test_plates_cover_their_area_and_never_overlap(name: str) -> None:
    boxes = [plate for plate in PHANTOMS[name].plates if isinstance(plate, Box)]
    part = covered_of(name)
    area_mm2 = sum((b.right_mm - b.left_mm) * (b.bottom_mm - b.top_mm) for b in boxes)
    assert float(part.sum(dtype=np.float64)) * PITCH_MM**2 == pytest.approx(area_mm2, rel=1e-5)
    assert float(part.max()) <= 1.0 + 1e-5
    assert len(boxes) == len(PHANTOMS[name].plates)


def test_each_group_of_bars_has_its_line_pairs_upright_and_lying() -> None:
    plates = PHANTOMS["bars"].plates
    for line_pairs_per_mm in LINE_PAIRS_PER_MM:
        mm = 0.5 / line_pairs_per_mm
        upright = sorted(
            p.left_mm for p in plates
            if isinstance(p, Box) and p.right_mm - p.left_mm == pytest.approx(mm, rel=1e-6)
            and p.bottom_mm - p.top_mm > 20.0
        )  # fmt: skip
        lying = sorted(
            p.top_mm for p in plates
            if isinstance(p, Box) and p.bottom_mm - p.top_mm == pytest.approx(mm, rel=1e-6)
            and p.top_mm > 10.0
        )  # fmt: skip
        for group in (upright, lying):
            assert len(group) == BARS_COUNT
            assert np.diff(group) == pytest.approx(1.0 / line_pairs_per_mm)


def test_the_frame_leaves_its_opening_and_all_around_it_free() -> None:
    part = covered_of("border")
    half_y, half_x = OPENING_MM[0] / 2, OPENING_MM[1] / 2
    for x, y, there in (
        (0.0, 0.0, 0.0), (half_x - 1, 0.0, 0.0), (half_x + 2, 0.0, 1.0), (0.0, half_y + 2, 1.0),
        (-half_x - 2, -half_y - 2, 1.0), (half_x + WIDE_MM + 1, 0.0, 0.0),
        (0.0, -half_y - WIDE_MM - 1, 0.0),
    ):  # fmt: skip
        assert at(part, x, y) == there
    assert LEAD_MM == 2.0


# --- the chest


@pytest.fixture(scope="module")
def chest() -> dict[str, Floats]:
    return PHANTOMS["chest"].thickness_maps(300, 300, 1.2)


def density(maps: Mapping[str, Floats]) -> Floats:
    return maps["water"] + np.float32(3.0) * maps["bone"]


def test_a_chest_s_lungs_are_thin_and_heart_liver_and_spine_are_not(
    chest: dict[str, Floats],
) -> None:
    dense = density(chest)
    lungs = [at(dense, x, y, 1.2) for x in (-75.0, 75.0) for y in (-60.0, -20.0, 20.0)]
    heart, liver, spine = (at(dense, x, y, 1.2) for x, y in ((35, 45), (-75, 110), (0, 21.5)))
    assert max(lungs) < 0.75 * min(heart, liver, spine)
    assert spine > max(heart, liver)


def test_a_chest_s_heart_lies_on_the_image_s_right(chest: dict[str, Floats]) -> None:
    row = round(45.0 / 1.2 + 150)
    dense = chest["water"][row] > 120.0
    reach_mm = (np.flatnonzero(dense[40:260]) + 40 + 0.5 - 150) * 1.2
    assert 60.0 < reach_mm.max() < 95.0
    assert -45.0 < reach_mm.min() < -30.0


def test_a_chest_s_domes_are_round_and_the_image_s_left_one_stands_higher(
    chest: dict[str, Floats],
) -> None:
    def dome_mm(x_mm: float) -> float:
        """The largest step down the column."""
        column = chest["water"][170:280, round(x_mm / 1.2 + 150)]
        return (170 + int(np.argmax(np.diff(column))) + 1 - 150) * 1.2

    assert dome_mm(-76.0) == pytest.approx(66.0, abs=1.3)
    assert dome_mm(86.0) == pytest.approx(78.0, abs=1.3)
    assert dome_mm(-120.0) > dome_mm(-76.0) + 8.0
    assert dome_mm(120.0) > dome_mm(86.0) + 8.0


@pytest.mark.parametrize("x_mm", [-80.0, 80.0])
def test_ribs_cross_each_lung(chest: dict[str, Floats], x_mm: float) -> None:
    down = chest["bone"][:, round(x_mm / 1.2 + 150)]
    inside = down[round(-120 / 1.2 + 150) : round(70 / 1.2 + 150)] > 0.5
    entered = int(np.count_nonzero(np.diff(inside.astype(int)) == 1))
    assert 5 <= entered <= 14


def test_a_spine_goes_through_from_top_to_bottom(chest: dict[str, Floats]) -> None:
    middles = [FIRST_MM + APART_MM * k for k in range(-1, 13)]
    assert all(at(chest["bone"], 0.0, y, 1.2) > 4.0 for y in middles)
    between = [at(chest["bone"], -6.0, y + APART_MM / 2, 1.2) for y in middles[:-1]]
    assert max(between) < 2.0


def test_a_chest_has_no_less_than_nothing_anywhere(chest: dict[str, Floats]) -> None:
    assert sorted(chest) == ["bone", "water"]
    assert all(float(mm.min()) >= 0.0 for mm in chest.values())
    assert all(mm.dtype == np.float32 for mm in chest.values())
    assert 180.0 < float(chest["water"].max()) < 220.0


def test_a_chest_is_the_same_at_another_matrix_size(chest: dict[str, Floats]) -> None:
    fine = PHANTOMS["chest"].thickness_maps(900, 900, 0.4)
    for name, mm in chest.items():
        mean = fine[name].reshape(300, 3, 300, 3).mean(axis=(1, 3))
        assert float(np.abs(mean - mm).mean()) < 0.02 * float(mm.max())
