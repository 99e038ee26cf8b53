"""The phantom's edges stand where its geometry says, at any matrix size."""

from __future__ import annotations

import numpy as np
import pytest

from sim import phantom
from sim.shapes import Bone, Box
from tests.find_edge import found_px

SIZES = [(256, 256, 0.8), (300, 260, 0.8), (512, 512, 0.4), (1024, 1024, 0.2)]


@pytest.mark.parametrize(("rows_px", "columns_px", "pitch_mm"), SIZES)
@pytest.mark.parametrize("edge", phantom.EDGES, ids=lambda edge: edge.name)
def test_each_edge_stands_where_the_geometry_says(
    edge: phantom.Edge, rows_px: int, columns_px: int, pitch_mm: float
) -> None:
    maps = phantom.thickness_maps(rows_px, columns_px, pitch_mm)
    dense = maps["water"] + 10.0 * maps["aluminium"] + 100.0 * maps["lead"]
    assert abs(found_px(dense, edge, pitch_mm)) <= 0.5


def test_the_edge_finder_sees_an_edge_that_is_a_pixel_off() -> None:
    edge = next(edge for edge in phantom.EDGES if edge.name == "slab left")
    moved = Box(
        material="water", left_mm=58.4, top_mm=28, right_mm=94, bottom_mm=58, thickness_mm=20
    )
    maps = phantom.thickness_maps(512, 512, 0.4, objects=(moved,))
    assert found_px(maps["water"], edge, 0.4) == pytest.approx(1.0, abs=0.1)


def test_every_material_map_is_float32_millimetres_of_the_asked_shape() -> None:
    maps = phantom.thickness_maps(120, 100, 2.0)
    assert sorted(maps) == ["aluminium", "bone", "lead", "water"]
    for thickness in maps.values():
        assert thickness.shape == (120, 100)
        assert thickness.dtype == np.float32
        assert thickness.min() >= 0.0


def test_the_wedge_is_as_thick_as_its_table() -> None:
    aluminium = phantom.thickness_maps(256, 256, 0.8)["aluminium"]
    column = round(80.0 / 0.8 + 128)
    steps = [aluminium[round((-79.0 + 10 * k) / 0.8 + 128), column] for k in range(10)]
    assert steps == pytest.approx(phantom.WEDGE_MM, abs=1e-4)


def test_no_objects_leave_the_bare_field_between_the_shutters() -> None:
    maps = phantom.thickness_maps(64, 64, 4.0, field_mm=(100.0, 120.0), objects=())
    lead = maps["lead"] > 0.0
    open_rows, open_columns = np.flatnonzero(~lead.all(axis=1)), np.flatnonzero(~lead.all(axis=0))
    assert (open_rows[0], open_rows[-1]) == (20, 43)  # 25 px around row 32, halves are shut
    assert (open_columns[0], open_columns[-1]) == (17, 46)
    assert not maps["water"].any()


def test_bone_takes_the_place_of_tissue() -> None:
    with_bone = phantom.thickness_maps(256, 256, 0.8)
    limbs = tuple(shape for shape in phantom.OBJECTS if not isinstance(shape, Bone))
    flesh_only = phantom.thickness_maps(256, 256, 0.8, objects=limbs)
    hand = with_bone["bone"] > 1.0
    total = with_bone["water"] + with_bone["bone"]
    assert hand.sum() > 1000
    assert np.allclose(
        total[hand], np.maximum(flesh_only["water"], with_bone["bone"])[hand], atol=1e-4
    )


def test_the_hand_is_hand_sized_and_inside_the_field() -> None:
    maps = phantom.thickness_maps(512, 512, 0.4)
    hand = maps["bone"] > 0.1
    columns = np.flatnonzero(hand.any(axis=0)) * 0.4 - 102.4
    rows = np.flatnonzero(hand.any(axis=1)) * 0.4 - 102.4
    assert columns[0] > -100.0
    assert rows[0] > -100.0
    assert 100.0 < columns[-1] - columns[0] < 150.0
    assert 15.0 < maps["water"].max() < 45.0
    assert 5.0 < maps["bone"].max() < 20.0


@pytest.mark.parametrize(("count_px", "pitch_mm"), [(256, 0.8), (1000, 0.2), (3072, 0.139)])
def test_an_open_field_has_no_lead_in_it_to_the_last_digit(count_px: int, pitch_mm: float) -> None:
    """0.1 um of lead takes 0.1 % of a beam, and no calibration knows of it."""
    lead = phantom.shutters(count_px, count_px, pitch_mm, (190.0, 180.0))
    y, x = (np.abs(phantom.axis_mm(count_px, pitch_mm)) + pitch_mm for _ in range(2))
    assert not lead[np.ix_(y < 95.0, x < 90.0)].any()
    assert np.all(lead[y > 95.0 + 2 * pitch_mm] == phantom.SHUTTER_MM)
