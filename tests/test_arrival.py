"""What part of the beam arrives at each pixel: past the blades, through the phantom."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import beam, phantom
from sim.arrival import KEPT_COUNT, Arrival
from sim.chambers import let_through
from sim.optics import Optics
from sim.phantoms import NAMES, PHANTOMS
from sim.pixels import PixelModel

Floats = NDArray[np.float32]
ROWS_PX, COLUMNS_PX, PITCH_MM = 250, 240, 0.8
OPAQUE = {"lead", "tungsten"}


def see_through(maps: Mapping[str, Floats]) -> Floats:
    """A part for each material, by no physics."""
    total = sum((mm * np.float32(k + 1) / 40 for k, mm in enumerate(maps.values())), np.float32(0))
    return np.exp(-np.asarray(total, np.float32))


def opaque_or_not(maps: Mapping[str, Floats]) -> Floats:
    ((name, mm),) = maps.items()
    return np.where((mm > 0) & (name in OPAQUE), np.float32(0), np.float32(1))


def test_the_hand_arrives_as_its_maps_and_the_shutters_say() -> None:
    arrival = Arrival(ROWS_PX, COLUMNS_PX, PITCH_MM)
    part = arrival.share("hand", (150.0, 120.0), see_through)
    maps = phantom.thickness_maps(ROWS_PX, COLUMNS_PX, PITCH_MM, field_mm=(150.0, 120.0))
    assert part is not None
    assert np.array_equal(part, see_through(maps))


def test_an_open_beam_is_all_there_is() -> None:
    arrival = Arrival(ROWS_PX, COLUMNS_PX, PITCH_MM)
    assert arrival.share("none", (10.0, 10.0), see_through) is None
    assert arrival.share("flat_rqr", (10.0, 10.0), see_through) is None


def test_behind_an_opaque_edge_a_half_covered_pixel_has_half_its_beam() -> None:
    arrival = Arrival(ROWS_PX, COLUMNS_PX, PITCH_MM)
    part = arrival.share("edge", (10.0, 10.0), opaque_or_not)
    covered = PHANTOMS["edge"].covered(ROWS_PX, COLUMNS_PX, PITCH_MM)
    assert part is not None
    assert np.array_equal(part, 1.0 - covered[("tungsten", 1.0)])


@pytest.mark.parametrize("name", [name for name in NAMES if PHANTOMS[name].whole_panel])
def test_what_wants_the_whole_panel_has_no_collimator(name: str) -> None:
    arrival = Arrival(60, 60, 4.0)
    wide, narrow = (arrival.share(name, (w, w), see_through) for w in (200.0, 20.0))
    assert (wide is None and narrow is None) or np.array_equal(wide, narrow)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in NAMES if not PHANTOMS[name].whole_panel])
def test_what_lies_in_the_field_is_cut_by_the_collimator(name: str) -> None:
    arrival = Arrival(60, 60, 4.0)
    part = arrival.share(name, (80.0, 60.0), lambda maps: np.exp(-1e4 * maps["lead"])
                         if "lead" in maps else np.ones((1, 1), np.float32))  # fmt: skip
    assert part is not None
    lit = part > 0.5
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (20, 39, 23, 36)


def test_only_the_newest_phantoms_are_kept() -> None:
    arrival = Arrival(40, 40, 5.0)
    for name in ("pmma_100", "bars", "star", "border", "star"):
        arrival.share(name, (150.0, 150.0), see_through)
    assert [name for name, _ in arrival._kept] == ["star", "border"]
    assert KEPT_COUNT == 2


def test_what_is_kept_is_of_its_own_height_above_the_panel() -> None:
    arrival = Arrival(80, 80, 2.0)
    low, high, again = (
        arrival.share("border", (150.0, 150.0), opaque_or_not, Optics(lift_mm=mm, focus_mm=1e-6))
        for mm in (0.0, 100.0, 0.0)
    )
    assert low is not None
    assert high is not None
    assert float(np.abs(low - high).max()) > 0.5
    assert np.array_equal(low, again)  # type: ignore[arg-type]


def test_a_phantom_that_is_none_arrives_nowhere() -> None:
    with pytest.raises(ValueError, match="no phantom 'foot'; there are hand, none"):
        Arrival(40, 40, 5.0).share("foot", (150.0, 150.0), see_through)


# --- with the real beam


@pytest.mark.parametrize("name", NAMES)
def test_every_phantom_makes_a_frame_and_a_part_for_the_chambers(name: str) -> None:
    model = PixelModel(rows_px=64, columns_px=64, pitch_mm=3.2)
    raw = model.frame(1.0, 80.0, 1_000_000, 1, name)
    assert raw.shape == (64, 64)
    assert 300 < np.median(raw) < model.full_scale_counts
    assert 0.0 <= let_through(name, "centre", 80.0) <= 1.0


def test_each_chamber_has_the_phantom_that_stands_before_it() -> None:
    parts = [let_through(name, "centre", 80.0) for name in ("none", "pmma_100", "pmma_200")]
    assert parts[0] == 1.0 > 20 * parts[1] > 20 * 2 * parts[2] > 0.0
    # The centre one lies 50 mm below the middle: behind the thick end of a wedge.
    assert let_through("al_wedge", "centre", 80.0) < 0.3 * let_through("al_wedge", "left", 80.0)


@pytest.mark.parametrize(("number", "kv"), [(3, 50.0), (5, 70.0), (7, 90.0), (9, 120.0)])
def test_a_flat_lets_through_what_its_added_aluminium_does(number: int, kv: float) -> None:
    arrival = Arrival(8, 8, 5.0)
    part = arrival.share(f"flat_rqa{number}", (1.0, 1.0), lambda maps: beam.transmission(kv, maps))
    added_mm, open_ugy = PHANTOMS[f"flat_rqa{number}"].slab_mm["aluminium"], beam.kerma_ugy(kv, 1.0)
    behind_ugy = beam.kerma_ugy(kv, 1.0, aluminium_mm=beam.INHERENT_MM_AL + added_mm)
    assert part is not None
    assert np.allclose(part, behind_ugy / open_ugy, rtol=0.01)


@pytest.mark.parametrize("kv", [50.0, 80.0, 120.0])
def test_the_edge_is_opaque_and_each_wedge_falls_step_by_step(kv: float) -> None:
    arrival = Arrival(ROWS_PX, COLUMNS_PX, PITCH_MM)

    def part_of(name: str) -> Floats:
        part = arrival.share(name, (190.0, 180.0), lambda maps: beam.transmission(kv, maps))
        assert part is not None
        return part

    edge = part_of("edge")
    assert float(edge[50:-50, 30:100].max()) < 2e-3
    assert float(edge[:, 140:].min()) == 1.0
    for name, first_mm, step_mm, count in (("al_wedge", -78, 12, 13), ("cu_wedge", -72, 24, 6)):
        wedge = part_of(name)[:, COLUMNS_PX // 2]
        seen = [
            float(wedge[round((first_mm + step_mm * (k + 0.5)) / PITCH_MM) + ROWS_PX // 2])
            for k in range(count)
        ]
        assert all(1.0 > thin > 1.05 * thick > 0.0 for thin, thick in pairwise(seen))


@pytest.mark.parametrize("name", ["hand", "bars", "edge", "pmma_100"])
@pytest.mark.parametrize("optics", [Optics(), Optics(lift_mm=100.0)])
def test_a_window_is_cut_out_of_the_whole(name: str, optics: Optics) -> None:
    arrival, only = Arrival(100, 90, 2.0), (slice(20, 60), slice(40, 70))
    whole, part = (
        arrival.share(name, (150.0, 140.0), see_through, optics, only=window)
        for window in ((slice(None), slice(None)), only)
    )
    assert whole is not None
    assert part is not None
    assert np.array_equal(part, whole[only])
