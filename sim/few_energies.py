"""A whole spectrum as a few energies with weights, for maps of millions of pixels.

Which energies and weights: those with which beams behind what may lie in them come out right.
A sample of such beams (each material alone, each two together, all together, from nothing to a
millionth of the signal) is fitted by non-negative least squares of the *relative* error, and that
chooses few energies by itself. They are real ones with weights above zero: beyond the sample
the signal still falls, is never negative, and each material keeps its own attenuation.

No BLAS and no LAPACK: their last digits differ from machine to machine, and the choice of another
energy would be a difference of up to 0.1 % in pixels. Products and numpy's own sums do not.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WORST_ERROR = 2e-3  # in the sample, relative
FAINTEST = 1e-5  # of the signal with nothing in the way
_DEPTHS = np.geomspace(0.03, 1000.0, 40)  # in mean free paths at the mean attenuation
_MOST_COUNT = 14


def few_energies(weights: Array, mu_per_mm: Array) -> tuple[NDArray[np.intp], Array]:
    """Indices of bins, and a weight for each; the weights' sum is 1.

    `weights` (298,): what each bin adds to the signal with nothing in the way, at least one above
    zero. `mu_per_mm` (M, 298): attenuation of each of the materials.
    """
    bins = np.flatnonzero(weights > 0.0)
    share = weights[bins] / weights[bins].sum()
    through = np.exp(-_sample(share, mu_per_mm[:, bins]))  # (samples, bins)
    signal = (through * share).sum(axis=1)
    seen = signal >= FAINTEST
    relative = through[seen] / signal[seen, None]
    chosen, found = _fit(relative)
    return bins[chosen], found / found.sum()  # where nothing lies, nothing is lost


def _sample(share: Array, mu_per_mm: Array) -> Array:
    """(samples, bins): mean free paths through mixtures of the materials; the first is nothing."""
    each = (
        mu_per_mm / (mu_per_mm * share).sum(axis=1)[:, None]
    )  # the same for all at the mean attenuation
    mixtures = [(one + other) / 2.0 for one, other in combinations(each, 2)]
    mixtures += [*each, each.mean(axis=0)]
    paths = np.concatenate([np.outer(_DEPTHS, mixture) for mixture in mixtures])
    return np.concatenate([np.zeros((1, paths.shape[1])), paths])


def _fit(relative: Array) -> tuple[NDArray[np.intp], Array]:
    """Lawson and Hanson's active set, ended as soon as the worst sample is good enough."""
    chosen: list[int] = []
    found = np.zeros(0)
    rest = np.ones(len(relative))
    for _ in range(4 * _MOST_COUNT):
        gain = (relative * rest[:, None]).sum(axis=0)
        gain[chosen] = -np.inf
        chosen, found = _without_negatives(relative, [*chosen, int(gain.argmax())], found)
        rest = 1.0 - (relative[:, chosen] * found).sum(axis=1)
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
    """Weights with which the columns come nearest to 1 in every row.

    Gram and Schmidt, modified: each column loses its part of one before it at a time, and so does
    what is to be fitted. That bears columns as alike as these are.
    """
    count = columns.shape[1]
    upper, onto = np.zeros((count, count)), np.zeros(count)
    basis: list[Array] = []
    rest = np.ones(len(columns))
    for new in range(count):
        left: Array = columns[:, new].copy()
        for old, one in enumerate(basis):
            part = _dot(one, left)
            upper[old, new] = part
            left -= part * one
        upper[new, new] = np.sqrt(_dot(left, left))
        basis.append(left / upper[new, new])
        onto[new] = _dot(basis[new], rest)
        rest -= onto[new] * basis[new]
    return _solved(upper, onto)


def _solved(upper: Array, onto: Array) -> Array:
    """x of upper x = onto, from the last one up."""
    found = np.zeros(len(onto))
    for row in reversed(range(len(onto))):
        found[row] = (onto[row] - _dot(upper[row, row + 1 :], found[row + 1 :])) / upper[row, row]
    return found


def _dot(one: Array, other: Array) -> float:
    return float((one * other).sum())
