"""What one panel is like, drawn from its seed: offset, dark current, gain, noise, defects.

The gain falls towards the rim with the scintillator, differs from pixel to pixel, and has
seams: read-out amplifiers of `AMPLIFIER_COLUMNS` each, for the upper and the lower half, with
a gain and an offset of their own. Warmer, every pixel's offset drifts by counts a kelvin of
its own, and its dark current doubles every `DOUBLING_K` (from memory, unverified). Aged, each
gain has moved by a share of its own. All figures but the defects' limits are synthetic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim import panel_defects
from sim.pixel_noise import stream, white

Floats = NDArray[np.float32]

OFFSET_COUNTS = 300.0
DARK_COUNTS_PER_S = 4.0
ELECTRONIC_COUNTS = 2.0  # sigma
HOT_COUNTS = 8000.0  # a noisy pixel has so much more offset
AMPLIFIER_COLUMNS = 128
_SEAM_GAIN, _SEAM_OFFSET_COUNTS = 0.005, 4.0  # at most, either way
_DRIFT_COUNTS_PER_K, _DRIFT_SIGMA = 1.5, 0.3
DOUBLING_K = 8.0
_MAPS, _DRIFT, _AGE = ((1 << 64) - k for k in (1, 2, 3))  # streams: no frame has these numbers


class PanelMaps:
    """Rows x columns each; `sigma`, `bow`, `defects` as `sim.pixels` uses them."""

    def __init__(
        self,
        seed: int,
        shape: tuple[int, int],
        *,
        full_scale_counts: int,
        bow_pct: float,
    ) -> None:
        self._shape, self._full_scale_counts = shape, full_scale_counts
        self._seed, self._later = seed, dict[int, Floats]()
        rng = np.random.Generator(stream(seed, _MAPS))
        columns = rng.standard_normal((1, shape[1]), dtype=np.float32)
        self._offset = np.float32(6.0) * rng.standard_normal(shape, dtype=np.float32)
        self._offset += np.float32(OFFSET_COUNTS) + np.float32(8.0) * columns
        self._dark = np.abs(rng.standard_normal(shape, dtype=np.float32)) + np.float32(3.2)
        self._dark *= np.float32(DARK_COUNTS_PER_S / 4.0)
        self.gain = np.float32(0.02) * rng.standard_normal(shape, dtype=np.float32)
        self.defects = panel_defects.draw(rng, *shape)
        self._apply_defects(bow_pct)
        self._apply_seams(rng)
        self._offset[self.defects.stuck] = full_scale_counts

    def offset(self, window_s: float, warmer_c: float = 0.0, rows: slice = slice(None)) -> Floats:
        """Counts without beam, of a window of this length; `warmer_c` than at calibration."""
        dark = np.float32(window_s * 2.0 ** (warmer_c / DOUBLING_K))
        offset: Floats = dark * self._dark[rows]
        offset += self._offset[rows]
        if warmer_c:
            drift = np.float32(_DRIFT_SIGMA) * self._own(_DRIFT)[rows]
            drift += np.float32(_DRIFT_COUNTS_PER_K)
            drift[self.defects.classes["dead"][rows]] = 0.0
            offset += np.float32(warmer_c) * drift
            np.clip(offset, 0.0, self._full_scale_counts, out=offset)
        return offset

    def gain_now(self, rows: slice, aged_pct: float = 0.0) -> Floats:
        """Of these rows; moved since calibration by a share of this sigma, a dead pixel not."""
        gain: Floats = self.gain[rows]
        if aged_pct:
            moved = np.float32(aged_pct / 100.0) * self._own(_AGE)[rows]
            gain = gain * np.maximum(np.float32(1.0) + moved, np.float32(0.0))
        return gain

    def _own(self, what: int) -> Floats:
        """A Gaussian number for each pixel. Drawn when it is asked for: few panels need it."""
        if what not in self._later:
            self._later[what] = white(stream(self._seed, what), *self._shape)
        return self._later[what]

    def _apply_defects(self, bow_pct: float) -> None:
        defects, classes = self.defects, self.defects.classes
        self.gain[defects.gain != 1.0] = 0.0  # no chance: exactly as far beyond as is said
        self.gain += _shading(self._shape) * defects.gain
        self.sigma: Floats = np.float32(ELECTRONIC_COUNTS) * defects.sigma
        self.bow: Floats = np.float32(bow_pct / 100.0) - defects.bend
        self._offset[classes["noisy"]] += np.float32(HOT_COUNTS)
        self._dark[classes["dead"]] = 0.0

    def _apply_seams(self, rng: np.random.Generator) -> None:
        """The last draws: a panel without seams would have the same defects."""
        rows, columns = self._shape
        amplifiers = (2, -(-columns // AMPLIFIER_COLUMNS))
        gains = np.float32(1.0) + np.float32(_SEAM_GAIN) * _either_way(rng, amplifiers)
        offsets = np.float32(_SEAM_OFFSET_COUNTS) * _either_way(rng, amplifiers)
        for half, part in enumerate((slice(0, rows // 2), slice(rows // 2, rows))):
            self.gain[part] *= np.repeat(gains[half], AMPLIFIER_COLUMNS)[:columns]
            self._offset[part] += np.repeat(offsets[half], AMPLIFIER_COLUMNS)[:columns]


def _either_way(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Evenly from -1 to 1."""
    drawn: Floats = np.float32(2.0) * rng.random(shape, dtype=np.float32) - np.float32(1.0)
    return drawn


def _shading(shape: tuple[int, int]) -> Floats:
    """The scintillator is thinner towards the rim: 6 % less in the corners."""
    y = np.linspace(-1.0, 1.0, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, shape[1], dtype=np.float32)[None, :]
    return np.float32(1.02) - np.float32(0.03) * (x * x + y * y)
