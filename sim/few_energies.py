"""A whole spectrum as a few energies with weights, for maps of millions of pixels.

Which energies and weights: those with which beams behind what may lie in them come out right.
A sample of such beams (each material alone, each two together, all together, from nothing to a
millionth of the signal) is fitted by non-negative least squares of the *relative* error, and that
chooses few energies by itself. They are real ones with weights above zero: beyond the sample
the signal still falls, is never negative, and each material keeps its own attenuation.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WORST_ERROR = 2e-3  # in the sample, relative
FAINTEST = 1e-5  # of the signal with nothing in the way
_DEPTHS = np.geomspace(0.03, 1000.0, 40)  # in mean free paths at the mean attenuation
_PARTS = (0.1, 0.5, 0.9)  # of two materials
_MOST_COUNT = 14


def few_energies(weights: Array, mu_per_mm: Array) -> tuple[NDArray[np.intp], Array]:
    """Indices of bins, and a weight for each; the weights' sum is 1.

    `weights` (298,): what each bin adds to the signal with nothing in the way, at least one above
    zero. `mu_per_mm` (M, 298): attenuation of each of the materials.
    """
    bins = np.flatnonzero(weights > 0.0)
    share = weights[bins] / weights[bins].sum()
    through = np.exp(-_sample(share, mu_per_mm[:, bins]))  # (samples, bins)
    signal = through @ share
    seen = signal >= FAINTEST
    relative = through[seen] / signal[seen, None]
    chosen, found = _fit(relative)
    return bins[chosen], found / found.sum()  # where nothing lies, nothing is lost


def _sample(share: Array, mu_per_mm: Array) -> Array:
    """(samples, bins): mean free paths through mixtures of the materials; the first is nothing."""
    each = mu_per_mm / (mu_per_mm @ share)[:, None]  # the same for all at the mean attenuation
    mixtures = [
        part * one + (1.0 - part) * other for one, other in combinations(each, 2) for part in _PARTS
    ]
    mixtures += [*each, each.mean(axis=0)]
    paths = np.concatenate([np.outer(_DEPTHS, mixture) for mixture in mixtures])
    return np.concatenate([np.zeros((1, paths.shape[1])), paths])


def _fit(relative: Array) -> tuple[NDArray[np.intp], Array]:
    """Lawson and Hanson's active set, ended as soon as the worst sample is good enough."""
    chosen: list[int] = []
    found = np.zeros(0)
    rest = np.ones(len(relative))
    for _ in range(4 * _MOST_COUNT):
        gain = relative.T @ rest
        gain[chosen] = -np.inf
        chosen, found = _without_negatives(relative, [*chosen, int(gain.argmax())], found)
        rest = 1.0 - relative[:, chosen] @ found
        if abs(rest).max() <= WORST_ERROR or len(chosen) > _MOST_COUNT:
            break
    return np.array(chosen), found


def _without_negatives(
    relative: Array, chosen: list[int], before: Array
) -> tuple[list[int], Array]:
    """The best weights for these bins, and less bins where the best were negative."""
    now: Array = np.append(before, 0.0)
    while True:
        best = _least_squares(relative[:, chosen])
        if best.min() > 0.0:
            return chosen, best
        falling = best <= 0.0
        step = (now[falling] / (now[falling] - best[falling])).min()
        now = now + step * (best - now)
        keep = now > 1e-12
        chosen, now = [one for one, kept in zip(chosen, keep, strict=True) if kept], now[keep]


def _least_squares(columns: Array) -> Array:
    best: Array = np.linalg.lstsq(columns, np.ones(len(columns)), rcond=None)[0].astype(np.float64)
    return best
