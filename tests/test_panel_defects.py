"""The panel's defects, looked for by E2597's rules in frames that were drawn: found, and no others.

Limits: qc-and-physics.md 3.2. What is searched here is plain and slow; it is a check on the
truth that the simulator claims, not the search that a calibration uses.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.panel_defects import CLASSES, CLEARANCE_PX
from sim.pixels import Exposure, Past, PixelModel, TrueMaps

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WINDOW_US = 1_000_000
FRAME_COUNT = 40


@cache
def model(seed: int = 7) -> PixelModel:
    return PixelModel(rows_px=256, columns_px=256, pitch_mm=0.8, seed=seed)


@cache
def truth() -> TrueMaps:
    return model().maps(WINDOW_US)


@cache
def darks() -> Floats:
    frames = [model().frame(0.0, 80.0, WINDOW_US, number) for number in range(FRAME_COUNT)]
    return np.stack(frames).astype(np.float64)


@cache
def flat(mas: float) -> Floats:
    """The mean signal of flats without lag."""
    frames = [model().frame(mas, 80.0, WINDOW_US, 100 + n, "none") for n in range(FRAME_COUNT)]
    return above_dark(frames)


def above_dark(frames: list[NDArray[np.uint16]]) -> Floats:
    signal: Floats = np.mean(frames, axis=0) - darks().mean(axis=0)
    return signal


def open_beam() -> Past:
    return Past(Exposure(mas=1.0, kv=80.0, phantom_name="none"), 1_100_000)


def median_around(signal: Floats, size_px: int) -> Floats:
    padded = np.pad(signal, size_px // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size_px, size_px))
    return np.stack([np.median(row, axis=(1, 2)) for row in windows])


def dead() -> Mask:
    return truth().classes["dead"]


def is_exactly(found: Mask, name: str) -> bool:
    assert truth().classes[name].any()
    return np.array_equal(found, truth().classes[name])


def near(name: str) -> Mask:
    assert truth().near_limit[name].sum() >= 2
    return truth().near_limit[name]


# --- each class, as it shows in frames


def test_dead_pixels_are_constant_and_a_few_stand_at_full_scale() -> None:
    everything = np.concatenate([darks(), flat(0.5)[None] + darks().mean(axis=0)])
    assert is_exactly(np.ptp(everything, axis=0) < 1e-6, "dead")
    stuck = dead() & (darks()[0] == 16383)
    assert 2 <= stuck.sum() <= 6
    assert darks()[0][dead() & ~stuck].max() < 400


def test_over_responding_pixels_exceed_the_limit_and_near_ones_do_not() -> None:
    relative = flat(0.25) / median_around(flat(0.25), 21)
    assert is_exactly(relative > 1.3, "over_responding")
    assert relative[truth().classes["over_responding"]] == pytest.approx(1.6, abs=0.02)
    assert relative[near("over_responding")] == pytest.approx(1.2, abs=0.02)


def test_under_responding_pixels_exceed_the_limit_and_near_ones_do_not() -> None:
    relative = flat(0.25) / median_around(flat(0.25), 21)
    assert is_exactly((relative < 0.6) & ~dead(), "under_responding")
    assert relative[truth().classes["under_responding"]] == pytest.approx(0.4, abs=0.02)
    assert relative[near("under_responding")] == pytest.approx(0.7, abs=0.02)


def test_noisy_pixels_exceed_the_limit_and_near_ones_do_not() -> None:
    sigma = darks().std(axis=0, ddof=1)
    relative = sigma / np.median(sigma)
    assert is_exactly(relative > 6.0, "noisy")
    assert np.mean(relative[truth().classes["noisy"]]) == pytest.approx(12.0, rel=0.15)
    assert np.mean(relative[near("noisy")]) == pytest.approx(3.0, rel=0.15)


def test_noisy_pixels_are_hot_and_no_others_are() -> None:
    stuck = darks()[0] == 16383
    assert is_exactly((darks().mean(axis=0) > 8000.0) & ~stuck, "noisy")


def test_non_uniform_pixels_differ_at_another_level_and_near_ones_do_not() -> None:
    sound = np.maximum(flat(0.25), 1.0)
    corrected = np.where(dead(), 1.0, flat(0.9) / sound)
    difference = np.abs(corrected / median_around(corrected, 9) - 1.0)
    assert is_exactly((difference > 0.01) & ~dead(), "non_uniform")
    assert difference[truth().classes["non_uniform"]].min() > 0.04
    assert difference[near("non_uniform")].max() < 0.006


def test_non_uniform_pixels_bend_either_way() -> None:
    bend = flat(0.9)[truth().classes["non_uniform"]] / flat(0.25)[truth().classes["non_uniform"]]
    assert {bool(ratio > 0.9 / 0.25) for ratio in bend} == {True, False}


def test_lagging_pixels_exceed_the_limit_and_near_ones_do_not() -> None:
    behind = [
        model().frame(0.0, 80.0, WINDOW_US, number + 1, "none", [open_beam()])
        for number in range(200, 200 + FRAME_COUNT)
    ]
    signal = above_dark(behind)
    relative = signal / median_around(signal, 9)
    assert is_exactly(relative > 2.0, "lag")
    assert np.mean(relative[truth().classes["lag"]]) == pytest.approx(5.0, rel=0.03)
    assert np.mean(relative[near("lag")]) == pytest.approx(1.5, rel=0.03)


# --- where they are


def test_defects_are_the_union_of_their_classes_and_no_pixel_is_of_two_kinds() -> None:
    kinds = [*truth().classes.values(), *truth().near_limit.values()]
    assert tuple(truth().classes) == CLASSES
    assert np.sum(kinds, axis=0).max() == 1
    assert np.array_equal(truth().defects, np.sum([*truth().classes.values()], axis=0) == 1)
    assert np.array_equal(dead(), truth().gain == 0.0)


@pytest.mark.parametrize("size_px", [256, 1024])
def test_one_pixel_in_a_thousand_fails_besides_clusters_and_line(size_px: int) -> None:
    maps = PixelModel(rows_px=size_px, columns_px=size_px, pitch_mm=204.8 / size_px).maps(0)
    in_groups = 3 * 9 + maps.classes["dead"].sum(axis=0).max()  # not quite: groups may touch
    assert maps.defects.sum() - in_groups == pytest.approx(0.001 * size_px**2, rel=0.1)
    graded = maps.defects & ~maps.classes["dead"]
    assert graded.sum() == pytest.approx(0.0006 * size_px**2, rel=0.05)


def test_there_are_three_clusters_and_part_of_a_column() -> None:
    windows = np.lib.stride_tricks.sliding_window_view(dead(), (3, 3))
    assert windows.all(axis=(2, 3)).sum() == 3
    column = dead()[:, dead().sum(axis=0).argmax()]
    top = int(np.flatnonzero(column)[-128:].min())
    assert column[top:].all()
    assert not column.all()


@pytest.mark.parametrize("seed", range(1, 21))
@pytest.mark.parametrize("size_px", [64, 256])
def test_single_pixels_keep_clear_of_clusters_and_line(seed: int, size_px: int) -> None:
    maps = PixelModel(rows_px=size_px, columns_px=size_px, pitch_mm=0.8, seed=seed).maps(0)
    dead = maps.classes["dead"]
    padded = np.pad(dead, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    groups = np.argwhere(dead & (windows.sum(axis=(2, 3)) >= 3))
    others = [mask for name, mask in maps.classes.items() if name != "dead"]
    singles = np.argwhere(np.logical_or.reduce([*others, *maps.near_limit.values()]))
    apart = np.abs(singles[:, None, :] - groups[None, :, :]).max(axis=2)
    assert apart.min() >= CLEARANCE_PX
    assert all(mask.any() for mask in (*maps.classes.values(), *maps.near_limit.values()))


def test_the_same_seed_gives_the_same_defects_and_others_do_not() -> None:
    fresh = PixelModel(rows_px=256, columns_px=256, pitch_mm=0.8, seed=7).maps(WINDOW_US)
    other = model(8).maps(WINDOW_US)
    for name in CLASSES:
        assert np.array_equal(fresh.classes[name], truth().classes[name])
        assert not np.array_equal(other.classes[name], truth().classes[name])


def test_a_map_that_was_handed_out_changes_nothing_when_it_is_written_to() -> None:
    handed = model().maps(0)
    handed.classes["dead"][:] = True
    handed.gain[:] = 5.0
    assert not model().maps(0).classes["dead"].all()
    assert model().maps(0).gain.max() < 2.0
