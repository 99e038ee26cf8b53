"""How far a meter's clock is from the unit's, found in the pattern of the exposures.

Nobody sets a meter's clock before a session; an hour of summer time is the least of it. But people
press at uneven times, so of all offsets only the right one lays many rows on many shots. The
offset is *row minus shot*: positive where the meter's clock is ahead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

PATTERN_LEAST = 3  # rows that fit; two intervals by chance equal are not seen with fewer
NEAR_S = 90.0  # how far a clock is off that somebody does set ...
HOURS_S = (0.0, 3600.0, -3600.0)  # ... but for summer time

Pairs = list[tuple[int, int]]  # indices of row and shot, both rising


@dataclass(frozen=True, slots=True)
class Fit:
    """`pairs` by index; `offset_s` their median; `spread_s` the mean distance from it."""

    offset_s: float
    pairs: Pairs
    spread_s: float


def fits(
    rows_s: Sequence[float], shots_s: Sequence[float], *, tolerance_s: float, within_s: float
) -> list[Fit]:
    """The fits with the most pairs, the closest first; more than one: it is ambiguous.

    `rows_s`, `shots_s`: rising. Few rows show no pattern: then only a clock near the unit's
    counts, or one that is an hour off.
    """
    found: dict[tuple[tuple[int, int], ...], Fit] = {}
    most = 0
    for crowd_count, offset_s in _crowds(rows_s, shots_s, tolerance_s, within_s):
        if crowd_count < most:
            break  # no more pairs than differences
        fit = fit_at(rows_s, shots_s, offset_s, tolerance_s)
        found.setdefault(tuple(fit.pairs), fit)
        most = max(most, len(fit.pairs))
    if 2 * most < len(rows_s):
        return []  # what fits fewer than half is chance, or another day
    equal = [fit for fit in found.values() if fit.pairs and len(fit.pairs) == most]
    if most < PATTERN_LEAST:
        equal = [fit for fit in equal if is_near(fit.offset_s)]
    equal.sort(key=lambda fit: (fit.spread_s, abs(fit.offset_s)))
    other = [fit for fit in equal if abs(fit.offset_s - equal[0].offset_s) > tolerance_s]
    return equal[:1] + other  # one clock may pair a double exposure in two ways


def fit_at(
    rows_s: Sequence[float], shots_s: Sequence[float], offset_s: float, tolerance_s: float
) -> Fit:
    """With the clock's offset known to about the tolerance; refined once by the median."""
    pairs = aligned(rows_s, shots_s, offset_s, tolerance_s)
    for _ in range(2):
        if not pairs:
            return Fit(offset_s, [], 0.0)
        offset_s = median(rows_s[i] - shots_s[j] for i, j in pairs)
        pairs = aligned(rows_s, shots_s, offset_s, tolerance_s)
    distances = [abs(rows_s[i] - shots_s[j] - offset_s) for i, j in pairs]
    return Fit(offset_s, pairs, sum(distances) / len(distances) if distances else 0.0)


class _Chain(NamedTuple):
    """Pairs that rise: how many, how close, and the last of them with those before it."""

    pairs_count: int
    minus_s: float
    last: tuple[int, int, _Chain] | None


_EMPTY = _Chain(0, 0.0, None)


def aligned(
    rows_s: Sequence[float], shots_s: Sequence[float], offset_s: float, tolerance_s: float
) -> Pairs:
    """The most pairs that lie within the tolerance and never cross; of those the closest."""
    ending: dict[int, _Chain] = {}  # by shot: the best chain that ends there
    settled, passed = _EMPTY, 0  # the best that ends at a shot which no later row is near
    for i, row_s in enumerate(rows_s):
        first = bisect_left(shots_s, row_s - offset_s - tolerance_s)
        settled = _better(settled, *(ending[j] for j in range(passed, first) if j in ending))
        passed, before, fresh = first, settled, {}
        for j in range(first, len(shots_s)):
            distance_s = abs(row_s - offset_s - shots_s[j])
            if distance_s > tolerance_s:
                break
            fresh[j] = _Chain(before.pairs_count + 1, before.minus_s - distance_s, (i, j, before))
            before = _better(before, ending.get(j, _EMPTY))
        for j, chain in fresh.items():
            ending[j] = _better(ending.get(j, _EMPTY), chain)
    return _pairs(_better(settled, *ending.values()))


def _better(*chains: _Chain) -> _Chain:
    return max(chains, key=lambda chain: chain[:2])


def _pairs(chain: _Chain) -> Pairs:
    pairs: Pairs = []
    while chain.last is not None:
        i, j, chain = chain.last
        pairs.append((i, j))
    return pairs[::-1]


def is_near(offset_s: float) -> bool:
    return any(abs(offset_s - hour_s) <= NEAR_S for hour_s in HOURS_S)


def _crowds(
    rows_s: Sequence[float], shots_s: Sequence[float], tolerance_s: float, within_s: float
) -> list[tuple[int, float]]:
    """How many differences lie within the tolerance of an offset; the most crowded first."""
    differences = sorted(
        row_s - shot_s
        for row_s in rows_s
        for shot_s in shots_s[
            bisect_left(shots_s, row_s - within_s) : bisect_left(shots_s, row_s + within_s)
        ]
    )
    crowds = []
    last = 0
    for first, low_s in enumerate(differences):
        while last < len(differences) and differences[last] <= low_s + 2 * tolerance_s:
            last += 1
        crowds.append((last - first, low_s + tolerance_s))
    return sorted(crowds, key=lambda crowd: (-crowd[0], abs(crowd[1])))
