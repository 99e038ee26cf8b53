"""From kerma to raw counts: one plain panel, one Gaussian number per pixel.

    raw = offset + dark * window + gain * COUNTS_PER_UGY * kerma * transmission + noise

clipped to the ADC's range. Quantum noise is Gaussian (honest above some 50 quanta per
pixel; below, electronic noise rules here) and joined with electronic noise in one draw.
Left out on purpose, for a later model: blur (MTF), scatter, heel effect, lag and ghosts,
line noise, energy response of the scintillator, temperature.

The scale is a design choice: 100 counts per uGy, so 14 bits end at about 160 uGy and an
open field of 80 kV, 1 mAs at 1 m (78 uGy) stands near the middle. Real panels are more
sensitive: a 139 um panel is linear to about 64 uGy (qc-and-physics.md 3.4), and a
portable source at so few mAs on an open field would saturate it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import beam, phantom

Floats = NDArray[np.float32]

COUNTS_PER_UGY = 100.0
OFFSET_COUNTS = 300.0
DARK_COUNTS_PER_S = 4.0
ELECTRONIC_COUNTS = 2.0  # sigma
QUANTA_PER_UGY_MM2 = 30_600.0  # 600 per uGy in a 140 um pixel at RQA5 (qc-and-physics.md 3.4)
DQE = 0.65  # at frequency 0; published panels have 0.6-0.7
HOT_COUNTS = 8000.0
DEFECT_SHARE = 0.001  # single pixels; 60 % dead, the rest hot
CLUSTER_COUNT = 3  # of 3 x 3 dead pixels
_BLOCK_ROWS = 32  # the working set of one block stays in the cache
_MAP_STREAM = (1 << 64) - 1  # no frame has this number


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueMaps:
    """What a perfect calibration would find; rows x columns."""

    offset: Floats  # counts without beam, for the window that was asked for
    gain: Floats  # response relative to the nominal one; 0 = dead
    defects: NDArray[np.bool_]


class PixelModel:
    """The same seed gives the same maps, the same seed and frame number the same frame."""

    def __init__(
        self,
        *,
        rows_px: int,
        columns_px: int,
        pitch_mm: float,
        seed: int = 1,
        bits: int = 14,
        sid_mm: float = 1000.0,
        field_mm: tuple[float, float] = phantom.FIELD_MM,
        aluminium_mm: float = beam.INHERENT_MM_AL,
        copper_mm: float = 0.0,
        objects: tuple[phantom.Shape, ...] = phantom.OBJECTS,
    ) -> None:
        self.rows_px, self.columns_px, self.pitch_mm = rows_px, columns_px, pitch_mm
        self.seed, self.bits, self.sid_mm = seed, bits, sid_mm
        self._filtration = {"aluminium_mm": aluminium_mm, "copper_mm": copper_mm}
        self._thickness_mm = phantom.thickness_maps(
            rows_px, columns_px, pitch_mm, field_mm=field_mm, objects=objects
        )
        self._draw_maps(_stream(seed, _MAP_STREAM))
        self._response: tuple[float, Floats] | None = None

    @property
    def full_scale_counts(self) -> int:
        return (1 << self.bits) - 1

    def maps(self, window_us: int) -> TrueMaps:
        """A window's offset includes the dark current that gathers in it."""
        offset = self._offset + np.float32(window_us / 1e6) * self._dark
        return TrueMaps(offset=offset, gain=self._gain.copy(), defects=self._defects.copy())

    def frame(self, mas: float, kv: float, window_us: int, frame_count: int) -> NDArray[np.uint16]:
        """Raw counts, rows x columns. No charge: a dark frame."""
        kerma_ugy = beam.kerma_ugy(kv, mas, self.sid_mm, **self._filtration)
        response = self._response_at(kv) if kerma_ugy else None
        rng = _stream(self.seed, frame_count)
        raw = np.empty((self.rows_px, self.columns_px), np.uint16)
        for top in range(0, self.rows_px, _BLOCK_ROWS):
            rows = slice(top, top + _BLOCK_ROWS)
            self._fill(raw[rows], rows, rng, response, kerma_ugy, window_us / 1e6)
        return raw

    def _fill(
        self,
        raw: NDArray[np.uint16],
        rows: slice,
        rng: np.random.Generator,
        response: Floats | None,
        kerma_ugy: float,
        window_s: float,
    ) -> None:
        counts = rng.standard_normal(raw.shape, dtype=np.float32)
        if response is None:
            counts *= np.float32(ELECTRONIC_COUNTS)
        else:
            signal = response[rows] * np.float32(kerma_ugy)
            sigma = signal * np.float32(self._counts_per_quantum())
            sigma += np.float32(ELECTRONIC_COUNTS**2)
            counts *= np.sqrt(sigma, out=sigma)
            counts += signal
        counts += self._offset[rows]
        counts += self._dark[rows] * np.float32(window_s)
        np.rint(counts, out=counts)
        np.clip(counts, 0.0, self.full_scale_counts, out=counts)
        raw[...] = counts

    def _counts_per_quantum(self) -> float:
        """Variance over mean: detected quanta are Poisson (gain differences left aside)."""
        return COUNTS_PER_UGY / (DQE * QUANTA_PER_UGY_MM2 * self.pitch_mm**2)

    def _response_at(self, kv: float) -> Floats:
        """Counts per uGy of open beam in each pixel; kept for the newest kV, to 0.1 kV."""
        kv = round(kv, 1)
        if self._response is None or self._response[0] != kv:
            through = beam.transmission(kv, self._thickness_mm, **self._filtration)
            through *= self._gain
            through *= np.float32(COUNTS_PER_UGY)
            self._response = (kv, through)
        return self._response[1]

    # --- what is wrong with this panel

    def _draw_maps(self, rng: np.random.Generator) -> None:
        shape = (self.rows_px, self.columns_px)
        columns = rng.standard_normal((1, self.columns_px), dtype=np.float32)
        self._offset = np.float32(6.0) * rng.standard_normal(shape, dtype=np.float32)
        self._offset += np.float32(OFFSET_COUNTS) + np.float32(8.0) * columns
        self._dark = np.abs(rng.standard_normal(shape, dtype=np.float32)) + np.float32(3.2)
        self._dark *= np.float32(DARK_COUNTS_PER_S / 4.0)
        self._gain = np.float32(0.02) * rng.standard_normal(shape, dtype=np.float32)
        self._gain += self._shading()
        self._defects = np.zeros(shape, np.bool_)
        self._break_pixels(rng)

    def _shading(self) -> Floats:
        """The scintillator is thinner towards the rim: 6 % less in the corners."""
        y = np.linspace(-1.0, 1.0, self.rows_px, dtype=np.float32)[:, None]
        x = np.linspace(-1.0, 1.0, self.columns_px, dtype=np.float32)[None, :]
        return np.float32(1.02) - np.float32(0.03) * (x * x + y * y)

    def _break_pixels(self, rng: np.random.Generator) -> None:
        single_count = round(DEFECT_SHARE * self._gain.size)
        flat = rng.choice(self._gain.size, single_count, replace=False)
        dead, hot = np.split(flat, [round(0.6 * single_count)])
        broken = np.zeros(self._gain.shape, np.bool_)
        broken.reshape(-1)[dead] = True
        for _ in range(CLUSTER_COUNT):
            row, column = rng.integers(1, self.rows_px - 1), rng.integers(1, self.columns_px - 1)
            broken[row - 1 : row + 2, column - 1 : column + 2] = True
        broken[rng.integers(self.rows_px // 2) :, rng.integers(1, self.columns_px - 1)] = True
        self._gain[broken] = 0.0
        self._offset.reshape(-1)[hot] += np.float32(HOT_COUNTS)
        self._defects |= broken
        self._defects.reshape(-1)[hot] = True


def _stream(seed: int, frame_count: int) -> np.random.Generator:
    """A stream of its own for each frame: Philox keyed by both numbers."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, frame_count], np.uint64)))
