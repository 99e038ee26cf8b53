"""Magnification, penumbra, blur, fall-off and scatter, each against its formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hal.now import Now
from sim.arrival import Arrival
from sim.beam import KEV, Spectrum, spectrum
from sim.condition import Light
from sim.detector import SimPanel
from sim.geometry import SimGeometry
from sim.optics import (
    BLADES_MM,
    INJECTIONS,
    PLAIN,
    Optics,
    SimOptics,
    blurred,
    fall_off,
    light_field,
    opening,
    pixel_middles_mm,
)
from sim.phantoms import PHANTOMS
from sim.phantoms.border import OPENING_MM
from sim.phantoms.resolution import EDGE_TILT_DEG
from sim.pixels import PixelModel
from sim.scatter import (
    GAP_FROM_MM,
    SPR_MM,
    SPREAD_MM,
    scattered,
    water_mm,
)
from sim.scintillator import quality_of

Floats = NDArray[np.float32]
SIZE_PX, PITCH_MM, SID_MM, FIELD_MM = 400, 0.5, 1000.0, (120.0, 100.0)


def opaque(maps: Mapping[str, Floats]) -> Floats:
    """Lead and tungsten stop everything, the rest nothing."""
    shape = next(iter(maps.values())).shape
    stopped = [mm > 0.0 for name, mm in maps.items() if name in ("lead", "tungsten")]
    there = np.logical_or.reduce(stopped) if stopped else np.zeros(shape, np.bool_)
    return np.where(there, np.float32(0.0), np.float32(1.0))


def share(name: str, optics: Optics, sid_mm: float = SID_MM) -> Floats:
    part = Arrival(SIZE_PX, SIZE_PX, PITCH_MM).share(name, FIELD_MM, opaque, optics, sid_mm)
    assert part is not None
    return part


def crossings_mm(profile: Floats) -> list[float]:
    """Where a profile passes one half, between pixel middles on a straight line."""
    at_mm = pixel_middles_mm(len(profile), PITCH_MM)
    found = []
    for k in np.flatnonzero(np.diff(profile > 0.5)):
        low, high = float(profile[k]), float(profile[k + 1])
        found.append(float(at_mm[k]) + PITCH_MM * (0.5 - low) / (high - low))
    return found


def width_of_rise_mm(profile: Floats) -> float:
    """From none to all of a straight ramp, by its variance: that of an even slope."""
    slope = np.abs(np.diff(profile.astype(np.float64)))
    at_mm = np.arange(len(slope)) * PITCH_MM
    middle = float((slope * at_mm).sum() / slope.sum())
    variance = float((slope * (at_mm - middle) ** 2).sum() / slope.sum())
    return math.sqrt(12.0 * variance - 2.0 * PITCH_MM**2)  # less the pixel's own, and that of diff


# --- the formulae


@pytest.mark.parametrize("off_mm", [0.0, 8.0, -8.0, 3.3])
@pytest.mark.parametrize("ramp_mm", [0.0, 1.7])
def test_behind_the_blades_there_is_exactly_nothing_and_never_less(
    off_mm: float, ramp_mm: float
) -> None:
    """Less than nothing has no square root, and noise asks for one."""
    at_mm = pixel_middles_mm(256, 0.8)
    lit = opening(at_mm, off_mm - 80.0, off_mm + 80.0, ramp_mm, 0.8)
    dark = abs(at_mm - off_mm) > 80.0 + ramp_mm + 0.8
    assert dark.sum() > 40
    assert (lit[dark] == 0.0).all()
    assert lit.min() == 0.0
    assert lit.max() == 1.0


def test_magnification_blur_and_penumbra_are_those_of_similar_triangles() -> None:
    optics = Optics(focus_mm=1.2, lift_mm=200.0)
    assert optics.magnification(1000.0) == 1.25
    assert optics.blur_mm(1000.0) == pytest.approx(0.3)
    assert optics.penumbra_mm(1000.0) == pytest.approx(1.2 * 3.0)
    assert BLADES_MM == 250.0
    assert (PLAIN.magnification(1000.0), PLAIN.blur_mm(1000.0), PLAIN.penumbra_mm(1000.0)) == (
        1.0, 0.0, 0.0,
    )  # fmt: skip


def test_a_room_s_optics_are_plain_at_first() -> None:
    room = SimOptics()
    assert room.now() == PLAIN
    room.lift_mm = 30.0
    assert room.now() == Optics(lift_mm=30.0)
    assert SimOptics(Optics(scatter=True)).now() == PLAIN
    assert [*INJECTIONS] == [*Optics.__dataclass_fields__]


# --- magnification


@pytest.mark.parametrize(("lift_mm", "sid_mm"), [(0.0, 1000.0), (100.0, 1000.0), (200.0, 1200.0)])
def test_what_is_lifted_is_larger_and_the_field_is_not(lift_mm: float, sid_mm: float) -> None:
    optics = Optics(lift_mm=lift_mm, focus_mm=1e-6)
    part = share("border", optics, sid_mm)
    wide_mm = OPENING_MM[1] * sid_mm / (sid_mm - lift_mm)
    inside = min(wide_mm, FIELD_MM[1]) / 2.0
    assert crossings_mm(part[SIZE_PX // 2]) == pytest.approx([-inside, inside], abs=PITCH_MM / 8.0)
    alone = Arrival(SIZE_PX, SIZE_PX, PITCH_MM).share(
        "border", (200.0, 200.0), opaque, optics, sid_mm
    )
    assert alone is not None
    found = crossings_mm(alone[SIZE_PX // 2])
    assert found[1:3] == pytest.approx([-wide_mm / 2.0, wide_mm / 2.0], abs=PITCH_MM / 8.0)


# --- the focus: penumbra and blur


@pytest.mark.parametrize("focus_mm", [0.6, 1.2, 3.0])
@pytest.mark.parametrize("sid_mm", [1000.0, 1800.0])
def test_the_field_s_edge_is_a_ramp_as_wide_as_the_penumbra(focus_mm: float, sid_mm: float) -> None:
    optics = Optics(focus_mm=focus_mm)
    part = share("pmma_100", optics, sid_mm)
    half = part[SIZE_PX // 2, : SIZE_PX // 2]
    assert crossings_mm(part[SIZE_PX // 2]) == pytest.approx([-50.0, 50.0], abs=0.01)
    assert width_of_rise_mm(half) == pytest.approx(optics.penumbra_mm(sid_mm), abs=0.01)
    total = float(part.sum(dtype=np.float64)) * PITCH_MM**2
    assert total == pytest.approx(FIELD_MM[0] * FIELD_MM[1], rel=1e-5)


@pytest.mark.parametrize(("focus_mm", "lift_mm"), [(1.2, 200.0), (3.0, 200.0), (3.0, 250.0)])
def test_an_edge_above_the_panel_is_blurred_by_the_focus(focus_mm: float, lift_mm: float) -> None:
    optics = Optics(focus_mm=focus_mm, lift_mm=lift_mm)
    sharp, soft = (share("edge", o) for o in (replace(optics, focus_mm=0.0), optics))

    def variance(part: Floats) -> float:
        """Of the slope along the rows, in mm2: variances add."""
        found = []
        for row in part[120:280:10, 100:300]:  # +-50 mm: no other edge
            slope = np.abs(np.diff(row.astype(np.float64)))
            at_mm = np.arange(len(slope)) * PITCH_MM
            middle = float((slope * at_mm).sum() / slope.sum())
            found.append(float((slope * (at_mm - middle) ** 2).sum() / slope.sum()))
        return float(np.mean(found))

    lean = math.tan(math.radians(EDGE_TILT_DEG))
    wide_mm = optics.blur_mm(SID_MM)
    excess = variance(soft) - variance(sharp)
    assert excess == pytest.approx(wide_mm**2 / 12.0 * (1.0 + lean**2), abs=5e-4)


@pytest.mark.parametrize("width_px", [0.1, 0.3, 1.0, 2.0, 2.83, 2.9, 4.9, 7.0])
def test_a_blur_moves_nothing_and_loses_nothing(width_px: float) -> None:
    picture = np.zeros((41, 41), np.float32)
    picture[20, 17] = 1.0
    soft = blurred(picture, width_px)
    assert float(soft.sum()) == pytest.approx(1.0, abs=1e-6)
    assert (soft.sum(axis=0) * np.arange(41)).sum() == pytest.approx(17.0, abs=1e-4)
    assert (soft.sum(axis=1) * np.arange(41)).sum() == pytest.approx(20.0, abs=1e-4)
    line = soft.sum(axis=0, dtype=np.float64)
    variance = float((line * (np.arange(41) - 17.0) ** 2).sum())
    assert variance == pytest.approx(width_px**2 / 12.0, abs=1e-5)
    assert float(soft.min()) >= 0.0
    assert float(line.max()) == float(line[17])
    assert float(np.abs(blurred(np.full((9, 9), 0.7, np.float32), width_px) - 0.7).max()) < 1e-6


def test_no_width_is_no_blur() -> None:
    picture = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    assert blurred(picture, 0.0) is picture


def test_a_slit_narrower_than_its_penumbra_has_less_than_all_the_light() -> None:
    at_mm = pixel_middles_mm(401, 0.05)
    light = opening(at_mm, -0.5, 0.5, 2.0, 0.05)
    assert float(light.max()) == pytest.approx(0.5, abs=0.01)
    assert float(light.sum()) * 0.05 == pytest.approx(1.0, abs=1e-9)


# --- the light field's fault


@pytest.mark.parametrize("focus_mm", [0.0, 1.2])
def test_an_x_ray_field_beside_the_light_field_stands_so_far_off(focus_mm: float) -> None:
    optics = Optics(focus_mm=focus_mm, light_off_rows_mm=-7.0, light_off_columns_mm=12.0)
    part = share("pmma_100", optics)
    row, column = SIZE_PX // 2 - 14, SIZE_PX // 2 + 24
    assert crossings_mm(part[row]) == pytest.approx([-38.0, 62.0], abs=0.3)
    assert crossings_mm(part[:, column]) == pytest.approx([-67.0, 53.0], abs=0.3)
    centred = light_field(
        pixel_middles_mm(SIZE_PX, PITCH_MM), pixel_middles_mm(SIZE_PX, PITCH_MM), FIELD_MM,
        replace(optics, light_off_rows_mm=0.0, light_off_columns_mm=0.0), SID_MM, PITCH_MM,
    )  # fmt: skip
    assert np.allclose(part[36:350, 60:], centred[50:364, 36:-24], atol=1e-6)


# --- fall-off


def test_the_corners_have_the_cube_of_the_cosine() -> None:
    at_mm = np.array([-200.0, 0.0, 150.0])
    found = fall_off(at_mm, at_mm, 1000.0)
    for k, y in enumerate(at_mm):
        for j, x in enumerate(at_mm):
            angle = math.atan(math.hypot(x, y) / 1000.0)
            assert found[k, j] == pytest.approx(math.cos(angle) ** 3, rel=1e-6)
    part = share("none", Optics(fall_off=True))
    assert np.array_equal(part, fall_off(*(pixel_middles_mm(SIZE_PX, PITCH_MM),) * 2, SID_MM))


# --- scatter and grid


def test_scatter_of_a_slab_in_a_square_field_is_its_closed_form() -> None:
    """In the middle: as much as the field catches of the Gaussian."""
    for half_mm in (30.0, 60.0, 100.0):
        lit = np.zeros((200, 200), np.float32)
        cells = round(half_mm / 1.0)
        lit[100 - cells : 100 + cells, 100 - cells : 100 + cells] = 1.0
        found = scattered(lit, 130.0, 1.0)[98:102, 98:102].mean()
        caught = math.erf(half_mm / (math.sqrt(2.0) * SPREAD_MM)) ** 2
        assert found == pytest.approx(130.0 / SPR_MM * caught, rel=0.01)


def test_scatter_keeps_its_sum_in_a_wide_room_and_reaches_outside_the_field() -> None:
    lit = np.zeros((1000, 1000), np.float32)
    lit[480:520, 480:520] = 1.0
    found = scattered(lit, 65.0, 1.0)
    assert float(found.sum(dtype=np.float64)) == pytest.approx(1600.0, rel=1e-3)
    assert found[500, 600] > 0.1 * found[500, 500] > 0.0
    assert np.abs(found - found[::-1, ::-1]).max() < 1e-3 * found.max()


@pytest.mark.parametrize(("kv", "signal"), [(80.0, 0.91), (125.0, 1.01)])
def test_scatter_of_a_softer_spectrum_would_leave_little_less_signal(
    kv: float, signal: float
) -> None:
    """The figures with which sim/scatter.py says why it has the primary's spectrum."""
    primary = spectrum(kv, aluminium_mm=2.8).behind({"water": 200.0})
    kept = 1.0 - 0.08  # of each photon's energy
    softer = np.interp(KEV / kept, KEV, primary.fluence_per_mm2, right=0.0) / kept
    counts = [quality_of(one).counts_per_ugy for one in (Spectrum(kv, softer), primary)]
    assert counts[0] / counts[1] == pytest.approx(signal, abs=0.01)


def test_one_compton_scattering_forward_takes_a_twentieth_of_60_kev() -> None:
    """Klein and Nishina, over the half space before the photon."""
    angle = np.linspace(0.0, np.pi / 2.0, 2001)
    left = 1.0 / (1.0 + 60.0 / 511.0 * (1.0 - np.cos(angle)))
    likely = left**2 * (left + 1.0 / left - np.sin(angle) ** 2) * np.sin(angle)
    assert (likely * left).sum() / likely.sum() == pytest.approx(0.954, abs=0.001)


@pytest.mark.parametrize("gap_mm", [50.0, 200.0])
def test_an_air_gap_weakens_scatter_by_its_inverse_square(gap_mm: float) -> None:
    lit = np.zeros((1200, 1200), np.float32)
    lit[590:610, 590:610] = 1.0
    near, far = (float(scattered(lit, 65.0, 1.0, g).sum(dtype=np.float64)) for g in (0.0, gap_mm))
    assert far / near == pytest.approx((GAP_FROM_MM / (GAP_FROM_MM + gap_mm)) ** 2, rel=2e-3)


def test_what_scatters_is_what_is_light() -> None:
    one = np.ones((2, 2), np.float32)
    maps = {"water": one, "pmma": 10 * one, "lead": 5 * one, "tungsten": one, "copper": one}
    assert np.allclose(water_mm(maps), 1.0 + 11.9)
    assert water_mm({"lead": one}) == 0.0


def test_scatter_and_grid_join_what_arrives() -> None:
    slab = PHANTOMS["pmma_200"]
    primary = share("pmma_200", Optics(focus_mm=1e-6))
    both = share("pmma_200", Optics(focus_mm=1e-6, scatter=True))
    gridded = share("pmma_200", Optics(focus_mm=1e-6, scatter=True, grid_ratio=10.0))
    spread = scattered(primary, 1.19 * slab.slab_mm["pmma"], PITCH_MM)
    assert np.allclose(both, primary + spread, rtol=1e-5)
    assert np.allclose(gridded, 0.70 * primary + 0.13 * spread, rtol=1e-5)


def test_a_lifted_phantom_has_its_lift_as_air_gap() -> None:
    optics = Optics(focus_mm=1e-6, lift_mm=200.0)
    primary = share("pmma_100", optics)
    spread = scattered(primary, 119.0, PITCH_MM, gap_mm=200.0)
    both = share("pmma_100", replace(optics, scatter=True))
    assert np.allclose(both, primary + spread, rtol=1e-5)
    assert not np.allclose(spread, scattered(primary, 119.0, PITCH_MM), rtol=0.1)


@pytest.mark.parametrize("name", ["none", "flat_rqa5"])
def test_a_filter_at_the_tube_scatters_nothing_into_the_panel(name: str) -> None:
    assert np.array_equal(share(name, Optics(scatter=True)), np.ones((SIZE_PX, SIZE_PX)))


# --- in a frame


def test_a_frame_shows_the_optics_of_its_exposure_and_plain_ones_change_nothing() -> None:
    model = PixelModel(rows_px=128, columns_px=128, pitch_mm=1.6)
    plain = model.frame(1.0, 70.0, 1_000_000, 3, "hand")
    assert np.array_equal(plain, model.frame(1.0, 70.0, 1_000_000, 3, "hand", optics=PLAIN))
    seen = [
        model.frame(1.0, 70.0, 1_000_000, 3, "hand", optics=optics, sid_mm=sid_mm)
        for sid_mm in (None, 1200.0)
        for optics in (Optics(lift_mm=100.0), Optics(scatter=True), Optics(fall_off=True))
    ]
    assert len({frame.tobytes() for frame in [plain, *seen]}) == 7


def test_a_panel_s_frame_has_the_optics_of_its_room_when_the_window_closed() -> None:
    model = PixelModel(rows_px=64, columns_px=64, pitch_mm=3.2)
    geometry = SimGeometry(sid_mm=1200.0, field_mm=(150.0, 140.0))
    panel = SimPanel(
        panel_id="P", pixels=model, kerma_source=lambda from_us, to_us: Light(1.0, 70.0),
        geometry=geometry,
    )  # fmt: skip
    geometry.optics.lift_mm = 100.0
    panel.prepare(0)
    panel.advance(Now(1_000_000))
    panel.request_window(1_000_000, "shot-1")
    panel.drop_request(2_000_000)
    geometry.optics.lift_mm = 0.0
    (frame,) = panel.take_frames(3_000_000)
    wanted = model.frame(
        1.0, 70.0, frame.stop_us - frame.start_us, 0, "hand", sid_mm=1200.0,
        field_mm=(150.0, 140.0), optics=Optics(lift_mm=100.0),
    )  # fmt: skip
    assert np.array_equal(np.frombuffer(frame.pixels, "<u2").reshape(64, 64), wanted)
