"""What a measurement on the panel's flat-field corrected images should find, as formulae.

    K   air kerma at the panel, uGy       q   photons per mm2 and uGy   n   quanta, likewise
    S   K * counts per uGy                p   pitch                     e   electronic sigma

    MTF(u)       M(u) = S(u) |sinc(p u)|                                  (sim.sharpness)
    NNPS(u, v)   A(u) A(v) / (n K)  +  p^2 (e^2 + 1/12) / S^2             mm2
    DQE(u)       M(u)^2 / (q K NNPS(u, 0))
    line noise   p^2 N l^2 / S^2  on top where u = 0, nothing elsewhere   (N columns at a time)

The first part of NNPS is the quantum line, falling with 1 / K; the second the electronic
floor, falling with 1 / K^2, white, with what rounding to counts adds. l is the sigma of whole
rows (`line_noise_count`, 0 in a sound panel): it lies on one axis, which IEC 62220-1 leaves out
(qc-and-physics.md 1.6, unverified), so DQE does not know of it. q, n and the counts are
those of the beam's quality (sim.scintillator). Here the gain is 1 everywhere; the noise of
the maps that a correction uses, its own rounding, bow, lag and saturation come on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import sharpness
from sim.panel_maps import ELECTRONIC_COUNTS
from sim.scintillator import Quality

Doubles = NDArray[np.float64]
_ROUNDING_COUNTS2 = 1.0 / 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTruth:
    """Of a panel of this pitch in a beam of this quality; u and v in mm-1, any shape."""

    pitch_mm: float
    quality: Quality

    def mtf(self, u: Any) -> Doubles:
        return sharpness.mtf(u, self.pitch_mm)

    def nnps_mm2(self, u: Any, v: Any, kerma_ugy: float) -> Doubles:
        quanta_per_mm2 = self.quality.quanta_per_mm2_per_ugy * kerma_ugy
        shape = sharpness.noise_power(u, self.pitch_mm) * sharpness.noise_power(v, self.pitch_mm)
        return np.asarray(shape / quanta_per_mm2 + self.floor_mm2(kerma_ugy), np.float64)

    def floor_mm2(self, kerma_ugy: float) -> float:
        """The electronic part of NNPS."""
        counts = self.quality.counts_per_ugy * kerma_ugy
        return self.pitch_mm**2 * (ELECTRONIC_COUNTS**2 + _ROUNDING_COUNTS2) / counts**2

    def dqe(self, u: Any, kerma_ugy: float) -> Doubles:
        arriving_per_mm2 = self.quality.fluence_per_mm2_per_ugy * kerma_ugy
        noise = self.nnps_mm2(u, np.zeros_like(np.asarray(u, np.float64)), kerma_ugy)
        return np.asarray(self.mtf(u) ** 2 / (arriving_per_mm2 * noise), np.float64)

    def noise_counts(self, kerma_ugy: float) -> float:
        """Sigma of a pixel in a frame of this kerma, gain 1."""
        counts = self.quality.counts_per_ugy * kerma_ugy
        quanta = self.quality.quanta_per_mm2_per_ugy * kerma_ugy * self.pitch_mm**2
        kernel = np.array(sharpness.noise_kernel(self.pitch_mm))
        kept = float(kernel[0] ** 2 + 2.0 * (kernel[1:] ** 2).sum()) ** 2  # of the variance
        white = ELECTRONIC_COUNTS**2 + _ROUNDING_COUNTS2
        return float(np.sqrt(white + (kept * counts * counts / quanta if quanta else 0.0)))
