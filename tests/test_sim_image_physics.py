"""Scintillator, sharpness, noise and maps of the simulated panel, each against its formula."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import beam, pixel_noise, scintillator, sharpness
from sim.image_truth import ImageTruth
from sim.optics import Optics, pixel_middles_mm
from sim.panel_maps import AMPLIFIER_COLUMNS, ELECTRONIC_COUNTS
from sim.pixels import COUNTS_PER_UGY, Exposure, Past, PixelModel
from sim.scintillator import quality

Doubles = NDArray[np.float64]

WINDOW_US = 1_000_000
# kV; mm Al: the RQR filtration of qc-and-physics.md 5.4, or near it, and what 1.5 adds
RQA = {
    "RQA3": (50.0, 2.6 + 10.0),
    "RQA5": (70.0, 2.77 + 21.0),
    "RQA7": (90.0, 2.9 + 30.0),
    "RQA9": (120.0, 3.0 + 40.0),
}


def flat(**changes: object) -> PixelModel:
    settings = {"rows_px": 256, "columns_px": 256, "pitch_mm": 0.14, "seed": 7} | changes
    return PixelModel(**settings)  # type: ignore[arg-type]


def kernel_mtf(kernel: tuple[float, ...], per_mm: Doubles, pitch_mm: float) -> Doubles:
    """What an even kernel, given from its middle on, makes of a frequency."""
    waves = np.cos(2.0 * np.pi * pitch_mm * per_mm[..., None] * np.arange(1, len(kernel)))
    return np.asarray(kernel[0] + 2.0 * (waves * kernel[1:]).sum(axis=-1), np.float64)


# --- the scintillator


@pytest.mark.parametrize(
    ("name", "efficiency", "ideal"),
    [("RQA3", 0.964, 0.947), ("RQA5", 0.896, 0.874), ("RQA7", 0.765, 0.742),
     ("RQA9", 0.611, 0.581)],
)  # fmt: skip
def test_caesium_iodide_takes_as_much_as_the_reference_says(
    name: str, efficiency: float, ideal: float
) -> None:
    """qc-and-physics.md 3.4: 600 um, 80 % packing. Its DQE is before the Swank factor."""
    found = quality(*RQA[name])
    assert found.efficiency_pct == pytest.approx(100.0 * efficiency, abs=0.4)
    assert found.dqe / scintillator.SWANK == pytest.approx(ideal, abs=0.004)


def test_six_hundred_quanta_arrive_in_a_pixel_of_140_um_at_rqa5() -> None:
    found = quality(*RQA["RQA5"])
    assert found.fluence_per_mm2_per_ugy * 0.14**2 == pytest.approx(600.0, rel=0.05)
    assert 0.6 < found.dqe < 0.7  # published panels


def test_the_signal_of_a_microgray_depends_on_the_quality() -> None:
    """So an exposure index does, which is 100 a uGy at its own quality only."""
    scale, hard = quality(80.0), quality(*RQA["RQA5"])
    assert scale.counts_per_ugy == pytest.approx(COUNTS_PER_UGY)
    assert hard.counts_per_ugy / scale.counts_per_ugy == pytest.approx(1.90, abs=0.03)
    assert quality(60.0).counts_per_ugy < scale.counts_per_ugy < quality(100.0).counts_per_ugy


def test_a_frame_has_the_counts_of_its_quality() -> None:
    for kv in (60.0, 80.0, 100.0):
        model = flat(bow_pct=0.0)
        truth = model.maps(WINDOW_US)
        good = ~truth.defects
        ugy = beam.kerma_ugy(kv, 0.3, 1000.0)
        raw = model.frame(0.3, kv, WINDOW_US, 3, "none")
        counts = float(np.mean((raw - truth.offset)[good] / truth.gain[good]))
        assert counts / ugy == pytest.approx(quality(kv).counts_per_ugy, rel=2e-3)


# --- sharpness


@pytest.mark.parametrize("pitch_mm", [0.05, 0.1, 0.139, 0.148, 0.2, 0.4, 0.8, 3.2])
def test_the_kernels_follow_their_formulae_up_to_nyquist(pitch_mm: float) -> None:
    per_mm = np.linspace(0.0, 0.5 / pitch_mm, 200)
    signal = kernel_mtf(sharpness.signal_kernel(pitch_mm), per_mm, pitch_mm)
    noise = kernel_mtf(sharpness.noise_kernel(pitch_mm), per_mm, pitch_mm) ** 2
    assert np.abs(signal - sharpness.scintillator_mtf(per_mm)).max() < 0.007
    assert noise / sharpness.noise_power(per_mm, pitch_mm) == pytest.approx(1.0, abs=0.006)
    assert (signal[0], noise[0]) == pytest.approx((1.0, 1.0), abs=1e-12)


@pytest.mark.parametrize("pitch_mm", [0.139, 0.14, 0.148])
def test_the_mtf_is_one_half_where_real_panels_have_it(pitch_mm: float) -> None:
    assert sharpness.mtf(1.20, pitch_mm) > 0.5 > sharpness.mtf(1.37, pitch_mm)


def test_mtf_and_noise_power_are_the_written_ones() -> None:
    """By hand: 1 / (1 + (f / 1.33)^2) and sin(x) / x at 1 and 2 mm-1, pitch 0.14 mm."""
    assert sharpness.scintillator_mtf([1.0, 2.0]) == pytest.approx([0.63885, 0.30663], abs=1e-5)
    assert sharpness.mtf([0.0, 1.0, 2.0], 0.14) == pytest.approx([1.0, 0.61845, 0.26859], abs=1e-5)


def test_noise_that_folds_back_is_a_half_of_it_at_nyquist() -> None:
    """The first fold is the mirror image, as strong there as what it mirrors."""
    once = sharpness.mtf(2.5, 0.2) ** 2 / sharpness.lubberts(2.5)
    assert sharpness.noise_power(2.5, 0.2) == pytest.approx(2.0 * once, rel=0.01)
    assert sharpness.noise_power(0.0, 0.2) == pytest.approx(1.0, abs=1e-9)


def test_light_from_two_depths_has_more_noise_than_its_mean_sharpness_says() -> None:
    """By hand: S(2) = 0.3066, so 0.4 of 0.6934 either way; the mean of two squares over S^2."""
    apart = 0.4 * (1.0 - 0.30663)
    squares = ((1.0 + apart) ** 2 + (1.0 - apart) ** 2) / 2.0
    assert sharpness.lubberts([0.0, 2.0, 1e6]) == pytest.approx(
        [1.0, 1.0 / squares, 1.0 / 1.16], abs=1e-6
    )
    assert 1.0 / squares == pytest.approx(0.9286, abs=1e-4)


def test_depth_lowers_dqe_at_high_frequencies_and_nothing_at_low_ones() -> None:
    truth = ImageTruth(pitch_mm=0.05, quality=quality(*RQA["RQA5"]))
    found = truth.dqe(np.array([0.0, 2.0]), 1000.0)  # quanta alone, and hardly a fold
    shape = float(sharpness.mtf(2.0, 0.05) ** 2 / sharpness.noise_power(2.0, 0.05))
    assert found[1] / found[0] == pytest.approx(shape, rel=1e-3)
    assert 0.90 < found[1] / found[0] < 0.93


def test_without_a_scintillator_the_pixels_noise_would_be_white() -> None:
    """sinc^2 and all its folds add up to 1: what the pixel blurs, sampling folds back."""
    per_mm = np.linspace(0.0, 2.5, 20)
    folds = np.arange(-4000, 4001) / 0.2
    whole = (np.sinc(0.2 * (per_mm[:, None] + folds)) ** 2).sum(axis=1)
    assert whole == pytest.approx(1.0, abs=1e-3)
    assert np.all(sharpness.noise_power(per_mm[1:], 0.2) < 1.0)


def test_a_blur_spreads_one_pixel_by_its_kernel_both_ways() -> None:
    kernel = (0.5, 0.2, 0.05)
    field = np.zeros((9, 11), np.float32)
    field[4, 5] = 100.0
    line = [0.05, 0.2, 0.5, 0.2, 0.05]
    seen = np.zeros((5, 7))
    seen[:, 1:6] = 100.0 * np.outer(line, line)
    assert sharpness.blurred(field, kernel) == pytest.approx(seen, abs=1e-5)


def test_the_blades_shadow_is_blurred_as_far_as_light_spreads() -> None:
    model = flat(field_mm=(144 * 0.14, 144 * 0.14), objects=(), bow_pct=0.0)
    truth = model.maps(0)
    rows = slice(100, 156)
    good = ~truth.defects[rows]
    mean = np.mean([model.frame(0.5, 80.0, 0, n)[rows] for n in range(20)], axis=0)
    signal = (mean - truth.offset[rows]) / truth.gain[rows].clip(0.1)
    profile = (signal * good).sum(axis=0) / good.sum(axis=0).clip(1)
    seen = np.flatnonzero(good.sum(axis=0) > 40)  # all but the dead column
    profile = profile / np.mean(profile[seen[(seen > 100) & (seen < 156)]])
    kernel = np.array(sharpness.signal_kernel(0.14))
    whole = np.concatenate([kernel[:0:-1], kernel])
    lit = (np.arange(256) >= 56) & (np.arange(256) < 200)
    wanted = np.convolve(lit, whole, "same")
    assert {53, 54, 55, 56, 57} < set(seen.tolist())
    assert profile[seen] == pytest.approx(wanted[seen], abs=0.004)
    assert 0.05 < profile[54] < 0.2 < profile[55] < 0.5 < profile[56] < 0.8


# --- chance


def test_numbers_are_white_with_a_variance_of_one() -> None:
    drawn = pixel_noise.white(pixel_noise.stream(1, 2), 1000, 1000).astype(float)
    assert abs(drawn.mean()) < 0.003
    assert drawn.var() == pytest.approx(1.0, abs=0.005)
    assert np.mean(drawn**3) == pytest.approx(0.0, abs=0.01)
    assert np.mean(drawn**4) == pytest.approx(3.0, abs=0.03)
    assert np.mean(drawn[:, 1:] * drawn[:, :-1]) == pytest.approx(0.0, abs=0.004)
    assert 4.2 < np.abs(drawn).max() < 4.4


def test_rows_are_the_same_in_blocks_of_any_size() -> None:
    whole = pixel_noise.white(pixel_noise.stream(1, 2), 10, 13)
    chance = pixel_noise.stream(1, 2)
    parts = [pixel_noise.white(chance, rows, 13) for rows in (1, 2, 7)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_each_seed_frame_and_source_has_numbers_of_its_own() -> None:
    keys = [(1, 2, 1), (1, 2, 2), (1, 3, 1), (2, 2, 1), (2, 1, 1), (1, 2, 0)]
    drawn = [pixel_noise.white(pixel_noise.stream(*key), 50, 50).reshape(-1) for key in keys]
    assert np.abs(np.corrcoef(drawn) - np.eye(len(keys))).max() < 0.1


def pairs(model: PixelModel, mas: float, count: int = 12) -> list[Doubles]:
    """Differences of two frames over the gain: noise alone, twice its variance; defects are nan."""
    truth = model.maps(WINDOW_US)
    bad = np.logical_or.reduce([truth.defects, *truth.near_limit.values()])
    gain = np.where(bad, np.nan, truth.gain)
    return [
        (model.frame(mas, 80.0, WINDOW_US, 2 * n, "none").astype(float)
         - model.frame(mas, 80.0, WINDOW_US, 2 * n + 1, "none")) / gain
        for n in range(count)
    ]  # fmt: skip


def correlation(noise: list[Doubles], down: int, across: int) -> float:
    """Covariance at this distance over the variance."""
    rows, columns = noise[0].shape
    shifted = np.mean([
        np.nanmean(one[: rows - down, : columns - across] * one[down:, across:]) for one in noise
    ])  # fmt: skip
    return float(shifted / np.mean([np.nanmean(one * one) for one in noise]))


def test_quantum_noise_is_correlated_as_the_kernel_says_and_electronics_are_white() -> None:
    kernel = np.array(sharpness.noise_kernel(0.14))
    whole = np.concatenate([kernel[:0:-1], kernel])
    auto = np.convolve(whole, whole)[len(whole) - 1 :]
    bright, dark = pairs(flat(bow_pct=0.0), 1.0), pairs(flat(), 0.0)
    truth = ImageTruth(pitch_mm=0.14, quality=quality(80.0))
    quanta_part = 1.0 - (truth.noise_counts(0.0) / truth.noise_counts(78.4)) ** 2
    assert 0.98 < quanta_part < 0.99
    for down, across in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1), (0, 5)):
        expected = quanta_part * auto[down] * auto[across] / auto[0] ** 2
        assert correlation(bright, down, across) == pytest.approx(expected, abs=0.008)
        assert correlation(dark, down, across) == pytest.approx(0.0, abs=0.008)


@pytest.mark.parametrize("mas", [0.0, 0.01, 0.1, 1.0])
def test_a_pixels_noise_is_the_formulas(mas: float) -> None:
    truth = ImageTruth(pitch_mm=0.14, quality=quality(80.0))
    model = flat(bow_pct=0.0)
    sigma = np.sqrt(np.mean([np.nanmean(one**2) for one in pairs(model, mas)]) / 2.0)
    assert sigma == pytest.approx(truth.noise_counts(mas * 78.4), rel=0.02)


def power(frames: list[Doubles], size_px: int) -> Doubles:
    """Mean periodogram of regions of this size, counts^2; rows x columns of frequencies."""
    regions = [
        one[top : top + size_px, left : left + size_px]
        for one in frames
        for top in range(0, len(one), size_px)
        for left in range(0, one.shape[1], size_px)
    ]
    spectra = [np.abs(np.fft.fft2(one - one.mean())) ** 2 / size_px**2 for one in regions]
    return np.asarray(np.mean(spectra, axis=0), np.float64)


def test_line_noise_lies_on_one_axis_and_nowhere_else() -> None:
    model, sound = flat(), ~flat().maps(0).defects
    made: dict[float, list[Doubles]] = {
        line: [
            model.frame(0.0, 80.0, 0, 2 * n, line_noise_count=line).astype(np.float64)
            - model.frame(0.0, 80.0, 0, 2 * n + 1, line_noise_count=line)
            for n in range(12)
        ]
        for line in (0.0, 0.5)
    }
    quiet, noisy = (power([one * sound for one in frames], 64) for frames in made.values())
    added = (noisy - quiet) / 2.0  # of two frames
    assert added[1:, 0].mean() == pytest.approx(64 * 0.5**2, rel=0.1)  # `sim.image_truth`
    assert abs(added[:, 1:].mean()) < 0.1
    assert abs(added[0, 1:].mean()) < 0.2


def test_line_noise_spares_dead_pixels_and_changes_with_the_frame() -> None:
    model = flat()
    dead = model.maps(0).classes["dead"]
    frames = [model.frame(0.0, 80.0, 0, n, line_noise_count=50.0).astype(float) for n in (1, 2)]
    assert np.array_equal(frames[0][dead], frames[1][dead])
    rows = [np.median(one - model.maps(0).offset, axis=1) for one in frames]
    assert np.std(rows[0]) == pytest.approx(50.0, rel=0.15)
    assert abs(np.asarray(np.corrcoef(rows))[0, 1]) < 0.25
    without = model.frame(0.0, 80.0, 0, 1)
    assert np.array_equal(without, model.frame(0.0, 80.0, 0, 1, line_noise_count=0.0))


def test_few_quanta_are_never_so_uneven_that_a_gaussian_is_wrong() -> None:
    """Skewness beside electronic noise: at most 0.385 of a quantum over its sigma."""
    for kv, aluminium_mm in ((80.0, 2.5), *RQA.values()):
        found = quality(kv, aluminium_mm)
        counts = found.counts_per_ugy / (found.quanta_per_mm2_per_ugy * 0.139**2)
        levels = np.geomspace(0.01, 1000.0, 400)  # quanta
        skew = counts**3 * levels / (counts**2 * levels + ELECTRONIC_COUNTS**2) ** 1.5
        assert skew.max() == pytest.approx(0.385 * counts / ELECTRONIC_COUNTS, rel=0.01)
        assert skew.max() < 0.14


def test_behind_aluminium_signal_and_noise_are_those_of_the_hardened_spectrum() -> None:
    """Its photons are fewer, and each of them tells more."""
    model = flat(pitch_mm=0.8)
    one = Exposure(mas=1.0, kv=80.0, phantom_name="hand")
    response = model._response_at(model._scene(one))
    reach = len(sharpness.noise_kernel(0.8)) - 1
    grain = response.grain[reach:-reach, reach:-reach]
    air, wedge = np.s_[48:57, 160:170], np.s_[132:136, 220:236]  # the wedge's step of 16 mm
    beam_there = beam.spectrum(80.0)
    for place, aluminium_mm in ((air, 0.0), (wedge, 16.0)):
        behind = beam_there.behind({"aluminium": aluminium_mm})
        left = behind.kerma_ugy_per_mas / beam_there.kerma_ugy_per_mas
        found = scintillator.quality_of(behind)
        counts = left * found.counts_per_ugy
        quanta = left * found.quanta_per_mm2_per_ugy * 0.8**2
        assert np.median(response.counts[place]) == pytest.approx(counts, rel=0.01)
        assert np.median(grain[place]) == pytest.approx(counts / np.sqrt(quanta), rel=0.01)


# --- frames


SCRIPT = """
import hashlib
from sim.pixels import Exposure, Past, PixelModel
model = PixelModel(rows_px=100, columns_px=90, pitch_mm=0.5, seed=11)
before = [Past(Exposure(mas=1.0, kv=70.0, phantom_name="hand"), 700_000)]
frame = model.frame(0.4, 81.3, 700_000, {number}, "hand", before, warmer_c=3.0)
print(hashlib.sha256(frame.tobytes()).hexdigest())
"""


def in_another_process(number: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(number=number)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_two_processes_make_the_same_frame_byte_for_byte_and_another_number_other_noise() -> None:
    model = PixelModel(rows_px=100, columns_px=90, pitch_mm=0.5, seed=11)
    before = [Past(Exposure(mas=1.0, kv=70.0, phantom_name="hand"), 700_000)]
    here = model.frame(0.4, 81.3, 700_000, 5, "hand", before, warmer_c=3.0)
    assert in_another_process(5) == hashlib.sha256(here.tobytes()).hexdigest()
    assert in_another_process(5) == in_another_process(5) != in_another_process(6)


def test_noise_of_two_frame_numbers_has_nothing_in_common() -> None:
    first, second, *_ = pairs(flat(), 0.5)
    common = np.nanmean(first * second) / np.nanmean(first * first)
    assert abs(float(common)) < 0.03


@pytest.mark.parametrize("size", [(3072, 3072), (2500, 3052)])
def test_a_large_panel_makes_a_frame_of_its_bits(size: tuple[int, int]) -> None:
    model = PixelModel(rows_px=size[0], columns_px=size[1], pitch_mm=0.139, bits=16, objects=())
    raw = model.frame(1.0, 80.0, WINDOW_US, 1, "none")
    assert raw.shape == size
    assert raw.dtype == np.uint16
    assert model.full_scale_counts == 65535
    assert 7_500 < np.median(raw) < 8_500


# --- the maps


def test_amplifiers_have_seams_of_gain_and_offset() -> None:
    maps = PixelModel(rows_px=512, columns_px=512, pitch_mm=0.4).maps(0)
    good = np.where(maps.defects, np.nan, maps.gain)
    sound = np.where(np.abs(good - 1.0) < 0.1, good, np.nan)
    y = np.linspace(-1.0, 1.0, 512)
    shading = 1.02 - 0.03 * (y[:, None] ** 2 + y[None, :] ** 2)
    blocks = (sound / shading).reshape(2, 256, 4, AMPLIFIER_COLUMNS)
    means = np.nanmean(blocks, axis=(1, 3))
    assert 0.003 < np.ptp(means) < 0.011  # 0.5 % either way; chance leaves 0.0002
    assert np.abs(means - 1.0).max() < 0.0055
    offset = np.where(maps.defects, np.nan, maps.offset).reshape(2, 256, 4, AMPLIFIER_COLUMNS)
    steps = np.diff(np.nanmean(offset, axis=(1, 3)), axis=0)  # between the halves, same columns
    assert 1.0 < np.abs(steps).max() <= 8.0  # 4 counts either way; chance leaves 0.05
    again = PixelModel(rows_px=512, columns_px=512, pitch_mm=0.4, seed=2).maps(0)
    assert not np.array_equal(maps.gain, again.gain)


def test_a_warm_panels_offset_drifts_and_its_dark_current_doubles_in_eight_kelvin() -> None:
    model = flat()
    good = ~model.maps(0).defects

    def dark(window_us: int, warmer_c: float) -> float:
        return float(model.frame(0.0, 80.0, window_us, 3, warmer_c=warmer_c)[good].mean())

    assert dark(0, 8.0) - dark(0, 0.0) == pytest.approx(8 * 1.5, abs=0.1)
    assert dark(0, -4.0) - dark(0, 0.0) == pytest.approx(-4 * 1.5, abs=0.1)
    gathered = dark(10_000_000, 0.0) - dark(0, 0.0)
    assert gathered == pytest.approx(40.0, abs=0.5)
    assert dark(10_000_000, 8.0) - dark(0, 8.0) == pytest.approx(2.0 * gathered, rel=0.01)


def test_an_aged_panel_has_another_gain_map_with_the_same_defects() -> None:
    model = flat(bow_pct=0.0)
    good, truth = ~model.maps(0).defects, model.maps(0)
    frames = [model.frame(1.0, 80.0, 0, 3, "none", aged_pct=pct) for pct in (0.0, 5.0, 5.0)]
    before, after = ((one - truth.offset)[good] for one in frames[:2])
    assert np.std(after / before) == pytest.approx(0.05, rel=0.03)
    assert np.mean(after / before) == pytest.approx(1.0, abs=0.001)
    assert np.array_equal(frames[1], frames[2])
    dead = truth.classes["dead"]
    assert np.array_equal(frames[0][dead], frames[1][dead])


def test_pixels_drift_by_amounts_of_their_own_that_a_seed_fixes() -> None:
    frames = [flat().frame(0.0, 80.0, 0, 3, warmer_c=k).astype(float) for k in (0.0, 20.0, 20.0)]
    good = ~flat().maps(0).defects
    drift = (frames[1] - frames[0])[good] / 20.0
    dead = flat().maps(0).classes["dead"]
    assert np.array_equal(frames[0][dead], frames[1][dead])
    assert drift.std() == pytest.approx(0.3, abs=0.02)
    assert np.array_equal(frames[1], frames[2])


def test_the_heel_shades_the_anodes_rows_in_signal_and_noise_and_no_column() -> None:
    model = flat(pitch_mm=0.8)
    one = Exposure(mas=1.0, kv=80.0, phantom_name="none", optics=Optics(heel=True), sid_mm=800.0)
    response = model._response_at(model._scene(one))
    reach = len(sharpness.noise_kernel(0.8)) - 1
    grain = response.grain[reach:-reach, reach:-reach]
    at_mm = pixel_middles_mm(model.rows_px, 0.8)
    for weight, found in (
        (scintillator.signal_weight(), response.counts),
        (scintillator.variance_weight(), grain**2),
    ):
        wanted = beam.heel(80.0, at_mm * 1000.0 / 800.0, response=weight)
        middle = found[:, found.shape[1] // 2]
        inner = slice(20, -20)  # the rim is blurred with what the edge repeats
        shown = middle / middle[model.rows_px // 2]
        assert shown[inner] == pytest.approx(wanted[inner] / wanted[model.rows_px // 2], rel=2e-3)
        assert np.ptp(found[model.rows_px // 2]) <= 1e-4 * found.max()
    assert response.counts[0].mean() < 0.9 * response.counts[-1].mean()  # the anode is at the top
