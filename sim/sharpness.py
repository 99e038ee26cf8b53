"""How sharp the panel is: MTF and noise power as formulae, and the kernels that follow them.

    scintillator   S(f) = 1 / (1 + (f / f0)^2), f0 = CORNER_PER_MM
    pixel          sinc(p f) = sin(pi p f) / (pi p f): the whole pitch p collects light
    MTF            M(f) = S(f) |sinc(p f)|                       presampled, along an axis
    Lubberts       L(f) = 1 / (1 + (DEPTH_SPREAD (1 - S))^2)
    noise power    A(f) = sum over k of M(g)^2 / L(g), g = f + k / p   of one white quantum

In two dimensions both are products, M(u) M(v) and A(u) A(v). The quanta are white before
the light spreads, so their noise carries the MTF, and what lies beyond the Nyquist
frequency folds back into it: A(0) = 1, and A > M^2 near Nyquist. What comes later
(electronics) is white. Light from the depth of the scintillator spreads more than from its
exit: with two layers of equal share that are S (1 + d) and S (1 - d) sharp, d = DEPTH_SPREAD
(1 - S), the signal has the mean of both, but noise power the mean of their squares (Lubberts'
effect), so DQE falls by L. That there are two, and how far apart, are choices. S is no
measurement: its one figure puts MTF 0.5 of a 0.14 mm panel at 1.26 mm-1, the mean of five
detectors (qc-and-physics.md 3.4: 1.20-1.37, RQA3). A real scintillator is as sharp at 45
degrees; here the product of two S is a little less sharp there.

Up to Nyquist the signal's kernel follows S to 0.007 at pitches from 0.05 to 4 mm (0.003 at
0.139 mm), and the noise's makes A to 0.5 % of it (0.25 %); both are right at f = 0. Objects
come as exact means over each pixel, which is where the sinc comes from. The signal's kernel
is even about Nyquist, so beyond it M is not followed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

CORNER_PER_MM = 1.33
DEPTH_SPREAD = 0.4  # L is 0.93 at 2 mm-1 and never under 0.86
SIGNAL_REACH_PX = 16  # once for each scene
NOISE_REACH_MM = 1.03  # in every frame; 7 pixels of 0.139 mm
_FOLDS = 24  # what is left behind them: 1e-6
_GRID = 4096  # frequencies in one period, for the kernels


def scintillator_mtf(per_mm: Any) -> Doubles:
    """S(f); `per_mm`: frequencies, any shape."""
    relative = np.asarray(per_mm, np.float64) / CORNER_PER_MM
    return np.asarray(1.0 / (1.0 + relative * relative), np.float64)


def mtf(per_mm: Any, pitch_mm: float) -> Doubles:
    """M(f), presampled, along rows or columns."""
    f = np.asarray(per_mm, np.float64)
    return np.asarray(scintillator_mtf(f) * np.abs(np.sinc(pitch_mm * f)), np.float64)


def lubberts(per_mm: Any) -> Doubles:
    """L(f): what depth costs of DQE, 1 at f = 0."""
    apart = DEPTH_SPREAD * (1.0 - scintillator_mtf(per_mm))
    return np.asarray(1.0 / (1.0 + apart * apart), np.float64)


def noise_power(per_mm: Any, pitch_mm: float) -> Doubles:
    """A(f): what of white quantum noise is left after light and pixel, with what folds back."""
    f = np.asarray(per_mm, np.float64)
    all_f = f[..., None] + np.arange(-_FOLDS, _FOLDS + 1) / pitch_mm
    return np.asarray((mtf(all_f, pitch_mm) ** 2 / lubberts(all_f)).sum(axis=-1), np.float64)


@cache
def signal_kernel(pitch_mm: float) -> tuple[float, ...]:
    """From its middle to one end; it is even. The whole adds up to 1."""
    return _kernel(scintillator_mtf(_grid_per_mm(pitch_mm)), SIGNAL_REACH_PX)


@cache
def noise_kernel(pitch_mm: float) -> tuple[float, ...]:
    reach_px = max(3, round(NOISE_REACH_MM / pitch_mm))
    return _kernel(np.sqrt(noise_power(_grid_per_mm(pitch_mm), pitch_mm)), reach_px)


def blurred(field: Floats, kernel: tuple[float, ...]) -> Floats:
    """Both ways; `field` has the kernel's reach more on each side than what comes back."""
    return _across(_down(field, kernel), kernel)


def _down(field: Floats, kernel: tuple[float, ...]) -> Floats:
    reach = len(kernel) - 1
    rows = len(field) - 2 * reach
    out: Floats = field[reach : reach + rows] * np.float32(kernel[0])
    pair = np.empty_like(out)
    for step, weight in enumerate(kernel[1:], start=1):
        above, below = reach - step, reach + step
        np.add(field[above : above + rows], field[below : below + rows], out=pair)
        pair *= np.float32(weight)
        out += pair
    return out


def _across(field: Floats, kernel: tuple[float, ...]) -> Floats:
    reach = len(kernel) - 1
    columns = field.shape[1] - 2 * reach
    out: Floats = field[:, reach : reach + columns] * np.float32(kernel[0])
    pair = np.empty_like(out)
    for step, weight in enumerate(kernel[1:], start=1):
        left, right = reach - step, reach + step
        np.add(field[:, left : left + columns], field[:, right : right + columns], out=pair)
        pair *= np.float32(weight)
        out += pair
    return out


def _grid_per_mm(pitch_mm: float) -> Doubles:
    """The middles of _GRID steps from -Nyquist to Nyquist."""
    return ((np.arange(_GRID) + 0.5) / _GRID - 0.5) / pitch_mm


def _kernel(wanted: Doubles, reach_px: int) -> tuple[float, ...]:
    """Its Fourier coefficients, cut off at the end and scaled to the sum 1."""
    phase = 2.0 * np.pi * ((np.arange(_GRID) + 0.5) / _GRID - 0.5)
    steps = np.arange(reach_px + 1)
    half = (np.cos(steps[:, None] * phase) * wanted).mean(axis=1)
    whole = half[0] + 2.0 * half[1:].sum()
    return tuple(float(weight) for weight in half / whole)
