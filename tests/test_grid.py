"""A grid before the panel: what passes, what is cut off where, its lines, each by its formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rig.bench import bench_of, load_bench
from rig.model import ModelRung, setting_of
from sim.arrival import Arrival
from sim.grid import (
    PRIMARY,
    STRIP,
    light_left,
    lines_of,
    lost,
    primary_part,
    through_grid,
)
from sim.optics import INJECTIONS, PLAIN, Optics, SimOptics, pixel_middles_mm
from sim.pixels import PixelModel
from sim.script import NotOnThisBenchError, do
from sim.sharpness import scintillator_mtf
from tests.sim_world import sim_world

Axis = NDArray[np.float64]
X_MM = np.array([-175.0, -100.0, 0.0, 60.0, 175.0])
TEN = Optics(grid_ratio=10.0)


def passing(optics: Optics, sid_mm: float = 1000.0, x_mm: Axis = X_MM) -> Axis:
    """Of the primary, as a part of what passes a grid that stands as it should."""
    return primary_part(optics, sid_mm, x_mm) / PRIMARY


# --- what passes


def test_a_grid_takes_more_of_the_scatter_than_of_the_primary() -> None:
    one, x_mm = np.ones((2, 2), np.float32), np.array([-1.0, 1.0])

    def seen(ratio: float) -> float:
        return float(through_grid(one, 3 * one, Optics(grid_ratio=ratio), 1000.0, x_mm)[0, 0])

    assert seen(0.0) == 4.0
    assert seen(10.0) == pytest.approx(0.70 + 3 * 0.13)
    bucky = [4.0 / seen(ratio) for ratio in (0.0, 5.0, 8.0, 12.0, 16.0, 20.0)]
    assert bucky[0] == 1.0  # how much more beam a grid takes
    assert bucky == sorted(bucky)
    assert 2.0 < bucky[1] < bucky[-1] < 6.0


def test_without_a_ratio_nothing_else_that_is_said_of_a_grid_counts() -> None:
    one = np.ones((2, 3), np.float32)
    odd = Optics(
        grid_focus_mm=300.0, grid_off_mm=90.0, grid_upside_down=True, grid_stands_still=True
    )
    x_mm = np.array([-100.0, 0.0, 100.0])
    assert lines_of(odd, x_mm, 0.1) == 0.0
    assert np.array_equal(through_grid(one, one, odd, 1000.0, x_mm), 2 * one)


# --- cut-off


def test_in_its_focus_and_centred_it_cuts_nothing_off() -> None:
    assert passing(TEN) == pytest.approx(1.0)  # it follows the tube
    assert passing(TEN, 700.0) == pytest.approx(1.0)
    assert passing(replace(TEN, grid_focus_mm=1150.0), 1150.0) == pytest.approx(1.0)


@pytest.mark.parametrize("sid_mm", [800.0, 1000.0, 1800.0])
def test_at_a_wrong_distance_it_darkens_towards_both_sides(sid_mm: float) -> None:
    """Ratio times the place times the difference of the reciprocals."""
    found = passing(replace(TEN, grid_focus_mm=1150.0), sid_mm)
    wanted = 1.0 - 10.0 * np.abs(X_MM) * abs(1.0 / sid_mm - 1.0 / 1150.0)
    assert found == pytest.approx(np.maximum(wanted, 0.0))
    assert found[0] == pytest.approx(found[-1])
    assert found[2] == pytest.approx(1.0)


@pytest.mark.parametrize("off_mm", [-30.0, 15.0, 60.0])
def test_beside_its_middle_it_darkens_evenly(off_mm: float) -> None:
    """Ratio times the distance aside over the focus: 30 mm cost a grid of 10:1 at 1 m 30 %."""
    found = passing(replace(TEN, grid_focus_mm=1000.0, grid_off_mm=off_mm))
    assert found == pytest.approx(1.0 - 10.0 * abs(off_mm) / 1000.0)


def test_beside_its_middle_and_at_a_wrong_distance_one_side_is_the_darker() -> None:
    found = passing(replace(TEN, grid_focus_mm=1150.0, grid_off_mm=20.0), 1000.0)
    assert found[0] > 1.5 * found[-1] > 0.0


def test_upside_down_only_a_band_in_the_middle_is_lit() -> None:
    """At 1 m, 10:1, the gap is closed from 50 mm on, on both sides."""
    x_mm = np.array([-175.0, -51.0, -25.0, 0.0, 25.0, 51.0, 175.0])
    found = passing(replace(TEN, grid_focus_mm=1000.0, grid_upside_down=True), 1000.0, x_mm)
    assert found == pytest.approx([0.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.0])
    turned = replace(TEN, grid_focus_mm=1000.0, grid_upside_down=True)
    assert lost(turned, 1000.0, x_mm) == pytest.approx(1.0 - found)


def test_parallel_strips_cut_off_by_the_slope_of_the_rays_alone() -> None:
    found = passing(replace(TEN, grid_focus_mm=INJECTIONS["grid_focus_mm"].between[1]))
    assert found == pytest.approx(np.maximum(1.0 - 10.0 * np.abs(X_MM) / 1000.0, 0.0), abs=0.02)


def test_a_higher_ratio_forgives_less() -> None:
    at_the_edge = [
        float(lost(Optics(grid_ratio=r, grid_focus_mm=1150.0), 1000.0, X_MM)[0])
        for r in (5.0, 10.0, 16.0)
    ]
    assert at_the_edge == pytest.approx([r * 175.0 * (1 / 1000 - 1 / 1150) for r in (5, 10, 16)])


def test_scatter_loses_nothing_more_where_primary_is_cut_off() -> None:
    one = np.ones((2, 5), np.float32)
    turned = replace(TEN, grid_focus_mm=1000.0, grid_upside_down=True)
    seen = through_grid(0 * one, one, turned, 1000.0, X_MM)
    assert np.allclose(seen, 0.13)


# --- lines


def test_a_grid_that_moves_shows_no_lines() -> None:
    assert lines_of(TEN, X_MM, 0.1) == 0.0


@pytest.mark.parametrize("per_cm", [40.0, 60.0])
def test_one_that_stands_still_has_so_many_lines_in_a_centimetre(per_cm: float) -> None:
    still = replace(TEN, grid_stands_still=True, grid_lines_per_cm=per_cm)
    pitch_mm = 0.02
    x_mm = pixel_middles_mm(500, pitch_mm)  # a centimetre
    line = primary_part(still, 1000.0, x_mm, lines_of(still, x_mm, pitch_mm))
    waves = np.abs(np.fft.rfft(line)) / len(x_mm)
    assert int(waves[1:].argmax()) + 1 == per_cm
    assert waves[0] == pytest.approx(PRIMARY, rel=0.01)  # nothing less than nothing: a little more
    deep = 2.0 * waves[int(per_cm)] / waves[0]
    fine = np.sinc(per_cm / 10.0 * pitch_mm)
    assert deep == pytest.approx(2.0 * np.sin(np.pi * STRIP) / np.pi / (1.0 - STRIP) * fine, 0.025)


@pytest.mark.parametrize(
    ("pitch_mm", "folded_per_mm"), [(0.14, 1 / 0.14 - 4.0), (0.2, 1.0), (0.1, 4.0)]
)
def test_lines_that_are_finer_than_pixels_come_back_as_broad_ones(
    pitch_mm: float, folded_per_mm: float
) -> None:
    still = replace(TEN, grid_stands_still=True)
    x_mm = pixel_middles_mm(2000, pitch_mm)
    wave = np.asarray(lines_of(still, x_mm, pitch_mm))[0]  # the first harmonic
    power = np.abs(np.fft.rfft(wave))
    assert int(power.argmax()) / (2000 * pitch_mm) == pytest.approx(folded_per_mm, abs=0.002)
    # Of a wave of amplitude a, a / 2 stand at its frequency, and what leaks beside it is near.
    assert np.sqrt(2.0 * (wave**2).mean()) == pytest.approx(abs(np.sinc(4.0 * pitch_mm)), rel=0.02)


@pytest.mark.parametrize("pitch_mm", [0.1, 0.139, 0.4, 1.4])
def test_in_a_frame_they_are_as_strong_as_the_scintillator_leaves_them(pitch_mm: float) -> None:
    """At their own frequency, not at the one to which they fold: 4 lines a mm, 10 % of them."""
    still = Optics(grid_ratio=10.0, grid_stands_still=True, grid_lines_per_cm=40.0)
    plain = replace(still, grid_stands_still=False)
    model = PixelModel(rows_px=80, columns_px=240, pitch_mm=pitch_mm, bow_pct=0.0)
    scenes = [_response(model, optics) for optics in (still, plain)]
    wave = (scenes[0] / scenes[1])[40, 20:-20] - 1.0
    deep = 2.0 * np.sin(np.pi * STRIP) / np.pi / (1.0 - STRIP)
    wanted = deep * abs(np.sinc(4.0 * pitch_mm)) * float(scintillator_mtf(4.0))
    assert np.sqrt(2.0 * (wave**2).mean()) == pytest.approx(wanted, rel=0.1, abs=2e-4)


@pytest.mark.parametrize("pitch_mm", [0.1, 0.139, 0.17])
def test_lines_in_a_frame_are_those_of_strips_drawn_one_by_one(pitch_mm: float) -> None:
    """Shadows of lead in a hundredth of a pixel each, light spread among them, then sampled."""
    still = Optics(grid_ratio=10.0, grid_stands_still=True, grid_lines_per_cm=40.0)
    model = PixelModel(rows_px=40, columns_px=300, pitch_mm=pitch_mm, bow_pct=0.0)
    row = _response(model, still)[20].astype(np.float64)

    fine_count = 100
    ends_mm = (np.arange(300 * fine_count + 1) / fine_count - 150.0) * pitch_mm
    whole, part = np.divmod(ends_mm / 0.25 + STRIP / 2.0, 1.0)
    gap = 1.0 - np.diff(whole * STRIP + np.minimum(part, STRIP)) * 0.25 * fine_count / pitch_mm
    spread = scintillator_mtf(np.fft.rfftfreq(len(gap), pitch_mm / fine_count))
    light = np.fft.irfft(np.fft.rfft(gap) * spread, len(gap))
    wanted = light.reshape(300, fine_count).mean(axis=1)
    inner = slice(30, -30)
    waves = [one[inner] / one[inner].mean() - 1.0 for one in (row, wanted)]
    assert np.abs(waves[0] - waves[1]).max() < 0.02 * np.abs(waves[1]).max()


def _response(model: PixelModel, optics: Optics) -> NDArray[np.float32]:
    from sim.pixels import Exposure

    one = Exposure(mas=1.0, kv=70.0, phantom_name="none", sid_mm=1000.0, optics=optics)
    return model._response_at(model._scene(one)).counts


def test_before_a_panel_they_are_as_strong_as_pixels_have_them() -> None:
    """What arrives is light for nobody yet: only a panel's scintillator spreads it."""
    still = Optics(grid_ratio=10.0, grid_stands_still=True, grid_lines_per_cm=40.0)
    part = Arrival(4, 500, 0.14).share("none", (1.0, 1.0), _nothing, still, 1000.0)
    assert part is not None
    x_mm = pixel_middles_mm(500, 0.14)
    assert part[0] == pytest.approx(
        primary_part(still, 1000.0, x_mm, lines_of(still, x_mm, 0.14)), abs=1e-6
    )


def test_what_light_leaves_of_a_wave_that_a_panel_shows_as_it_is_is_left_to_the_panel() -> None:
    found = light_left(np.array([3.0, 4.0]), 0.14)
    assert found[0] == 1.0
    assert found[1] == pytest.approx(
        float(scintillator_mtf(4.0) / scintillator_mtf(1 / 0.14 - 4.0))
    )


def test_lines_move_with_the_grid() -> None:
    still = replace(TEN, grid_stands_still=True)
    moved = lines_of(replace(still, grid_off_mm=0.07), X_MM + 0.07, 0.1)
    assert moved == pytest.approx(np.asarray(lines_of(still, X_MM, 0.1)), abs=1e-9)


def test_lines_stand_in_primary_alone_and_never_make_less_than_nothing() -> None:
    still = replace(TEN, grid_stands_still=True, grid_focus_mm=1000.0, grid_upside_down=True)
    x_mm = pixel_middles_mm(4000, 0.05)
    lines = lines_of(still, x_mm, 0.05)
    assert float(primary_part(still, 1000.0, x_mm, lines).min()) == 0.0
    one = np.ones((2, len(x_mm)), np.float32)
    assert np.ptp(through_grid(0 * one, one, still, 1000.0, x_mm, lines)) == 0.0


# --- in what arrives, and in a room


def test_a_grid_stands_before_the_whole_panel_whatever_lies_on_it() -> None:
    turned = Optics(grid_ratio=10.0, grid_focus_mm=1000.0, grid_upside_down=True)
    part = Arrival(100, 200, 1.0).share("none", (100.0, 200.0), _nothing, turned, 1000.0)
    assert part is not None
    assert part[50] == pytest.approx(part[0])
    x_mm = pixel_middles_mm(200, 1.0)
    assert part[0] == pytest.approx(PRIMARY * np.maximum(1.0 - np.abs(x_mm) / 50.0, 0.0), abs=1e-6)


def _nothing(maps: object) -> NDArray[np.float32]:
    raise AssertionError("nothing lies there")


BENCH = Optics(focus_mm=1.2, scatter=True, grid_ratio=8.0, grid_focus_mm=1150.0)


def test_a_room_takes_the_optics_of_its_bench_by_one_word_and_lets_them_go_by_it() -> None:
    room = SimOptics(BENCH)
    room.grid_off_mm, room.lift_mm = 30.0, 50.0
    room.arrange(as_bench=True)
    assert room.now() == replace(BENCH, grid_off_mm=30.0)  # a fault stays, an arrangement not
    room.arrange(as_bench=False)
    assert room.now() == replace(PLAIN, grid_off_mm=30.0)


@pytest.mark.parametrize(
    ("name", "changes", "optics"),
    [
        ("room", (), Optics(focus_mm=1.2, grid_ratio=10.0, grid_lines_per_cm=40.0,
                            grid_focus_mm=1150.0)),
        ("room",
         (('receptor = "table"', 'receptor = "wall"'), ('focus = "large"', 'focus = "small"')),
         Optics(focus_mm=0.6, grid_ratio=10.0, grid_lines_per_cm=40.0, grid_focus_mm=1800.0)),
        ("portable", (), Optics(focus_mm=0.5)),
    ],
)  # fmt: skip
def test_a_bench_s_own_optics_are_its_focal_spot_and_the_grid_of_its_place(
    name: str, changes: tuple[tuple[str, str], ...], optics: Optics
) -> None:
    text = load_bench(name).path.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    own = bench_of(text, Path("bench.toml"))
    wanted = replace(optics, fall_off=True, heel=True, scatter=True)
    assert setting_of(own).optics == wanted
    rung = ModelRung(own)
    assert rung.world.geometry.optics.now() == PLAIN
    do(rung.world, "optics", {"as_bench": True})
    assert rung.world.geometry.optics.now() == wanted


def test_the_word_comes_first_and_what_is_said_beside_it_counts() -> None:
    world = sim_world(optics=BENCH)
    optics = world.world.geometry.optics
    assert optics.now() == PLAIN
    world.do("optics", as_bench=True, lift_mm=40.0, grid_ratio=0.0)
    assert optics.now() == replace(BENCH, lift_mm=40.0, grid_ratio=0.0)
    world.do("optics", grid_upside_down=True)
    assert optics.now().focus_mm == 1.2
    world.do("heal", what="optics")
    assert optics.now() == replace(BENCH, lift_mm=40.0, grid_ratio=0.0)
    world.do("optics", as_bench=False)
    assert optics.now() == PLAIN


@pytest.mark.parametrize("what", ["all", "optics"])
def test_heal_puts_back_what_was_before_a_fault_that_brought_the_bench_s_optics(what: str) -> None:
    world = sim_world(optics=BENCH)
    optics = world.world.geometry.optics
    world.do("optics", lift_mm=40.0)
    world.do("optics", as_bench=True, grid_upside_down=True)
    world.do("optics", as_bench=True, grid_off_mm=30.0)
    assert optics.now() == replace(BENCH, grid_upside_down=True, grid_off_mm=30.0)
    world.do("heal", what=what)
    assert optics.now() == replace(PLAIN, lift_mm=40.0)
    world.do("optics", lift_mm=0.0)
    world.do("heal", what=what)
    assert optics.now() == PLAIN


def test_what_is_arranged_beside_a_fault_and_after_it_stays() -> None:
    world = sim_world(optics=BENCH)
    optics = world.world.geometry.optics
    world.do("optics", as_bench=True, grid_off_mm=30.0)
    world.do("optics", grid_off_mm=10.0)
    world.do("optics", as_bench=True)
    world.do("heal", what="optics")
    assert optics.now() == BENCH
    world.do("optics", as_bench=False)
    world.do("optics", as_bench=True, lost_filtration_mm=1.0)
    world.do("optics", lost_filtration_mm=0.0)
    world.do("heal", what="room")
    assert optics.now() == BENCH
    world.do("heal", what="optics")
    assert optics.now() == PLAIN


def test_what_is_said_of_the_grid_of_a_bench_that_has_none_is_refused_as_another_bench_s() -> None:
    world = sim_world(optics=replace(BENCH, grid_ratio=0.0))
    with pytest.raises(NotOnThisBenchError, match="grid_upside_down: this bench has no grid; "):
        world.do("optics", as_bench=True, grid_upside_down=True)
    assert world.world.geometry.optics.now() == PLAIN
    world.do("optics", as_bench=True, grid_upside_down=True, grid_ratio=5.0)
    assert world.world.geometry.optics.now().grid_upside_down
    world.do("optics", as_bench=True, grid_off_mm=0.0)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"as_bench": 1}, "as_bench = 1: must be true or false"),
        ({"as_bench": True, "lift_mm": -1.0}, "lift_mm = -1.0: must be 0 to 250"),
        ({"as_bench": True, "grid_focus_mm": 299.0}, "grid_focus_mm = 299.0: must be 300 to "),
        ({"grid_lines_per_cm": 9.0}, "grid_lines_per_cm = 9.0: must be 10 to 100"),
        ({"grid_ratio": 20.1}, "grid_ratio = 20.1: must be 0 to 20"),
        ({"as_bnch": True}, "did you mean 'as_bench'?"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    values: dict[str, object], told: str
) -> None:
    world = sim_world(optics=BENCH)
    with pytest.raises(ValueError, match=told.replace("?", r"\?")):
        world.do("optics", **values)
    assert world.world.geometry.optics.now() == PLAIN
