"""How late scans were: the figures of a run, a histogram, and what lies within a spread."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SHARES = {"p50": 0.50, "p99": 0.99}
BAR_CHARS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One life of a unit: how late each scan was, and those of them that fell into a beam.

    `waited_for`: what the recorder owed when the unit gave up on it; "" = nothing.
    """

    stalls: bool  # the store did
    late_us: tuple[int, ...]
    beam_late_us: tuple[int, ...]
    syncs_count: int
    stalled_count: int
    waited_for: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "stalls": self.stalls,
            "waited_for": self.waited_for,
            "scans_count": len(self.late_us),
            "beam_scans_count": len(self.beam_late_us),
            **{f"{name}_us": us for name, us in figures_us(self.late_us).items()},
            **{f"beam_{name}_us": us for name, us in figures_us(self.beam_late_us).items()},
            "syncs_count": self.syncs_count,
            "stalled_count": self.stalled_count,
        }


def figures_us(late_us: Sequence[int]) -> dict[str, int]:
    """Of no scan, of which a beam that never was has none, no figure."""
    if not late_us:
        return {}
    of_shares = {name: percentile(late_us, share) for name, share in SHARES.items()}
    return {**of_shares, "max": max(late_us)}


def percentile(values: Sequence[int], share: float) -> int:
    """The least of the values that so many are not above (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One figure of the runs with a store that stalls, against the spread of those without.

    Judged is the median of the runs, not each: of ten runs without any difference the worst is
    among either five with the same chance. That the median of five is above all five others has
    by chance a probability of 1 in 12, of ten above ten of less than 1 in 60.
    """

    name: str
    least_us: int
    most_us: int
    median_us: float  # with stalls
    within_count: int  # runs with stalls that are not above the spread
    of_count: int

    @property
    def holds(self) -> bool:
        """Below the spread is fine, too: nobody is late there."""
        return self.median_us <= self.most_us  # us-compare: figures of a bench

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}

    def __str__(self) -> str:
        where = "not above" if self.holds else "ABOVE"
        return (
            f"{self.name}: with stalls {self.median_us:.0f} us (median of the runs), {where} the "
            f"spread without, {self.least_us} to {self.most_us} us; "
            f"{self.within_count} of {self.of_count} runs are not above it"
        )


def verdicts(runs: Sequence[Run]) -> list[Verdict]:
    """Of p50 and p99. Runs of both kinds must be there."""
    return [_verdict(name, runs) for name in SHARES]


def _verdict(name: str, runs: Sequence[Run]) -> Verdict:
    found_us: dict[bool, list[int]] = {False: [], True: []}
    for run in runs:
        found_us[run.stalls].append(figures_us(run.late_us)[name])
    least_us, most_us = min(found_us[False]), max(found_us[False])
    return Verdict(
        name=name,
        least_us=least_us,
        most_us=most_us,
        median_us=statistics.median(found_us[True]),
        within_count=sum(one_us <= most_us for one_us in found_us[True]),  # us-compare: figures
        of_count=len(found_us[True]),
    )


def pooled(runs: Iterable[Run], *, stalls: bool) -> list[int]:
    """The lateness of all scans of all runs of one kind."""
    return [late_us for run in runs if run.stalls is stalls for late_us in run.late_us]


def histogram(late_us: Iterable[int]) -> dict[int, int]:
    """How many were below 1, 2, 4, 8, ... us and not below half of it; without empty ones."""
    return dict(sorted(Counter(1 << one_us.bit_length() for one_us in late_us).items()))


def side_by_side(runs: Sequence[Run]) -> list[str]:
    """Both histograms. A bar is as long as the root of its share, so that the tail is seen."""
    kinds = [pooled(runs, stalls=stalls) for stalls in (False, True)]
    counts = [histogram(late_us) for late_us in kinds]
    rows = [
        (f"< {_span(edge_us)}", *(_bar(count.get(edge_us, 0), len(late_us))
                                  for count, late_us in zip(counts, kinds, strict=True)))
        for edge_us in _edges_us(counts)
    ]  # fmt: skip
    head = ("late", "scans without", "scans with stalls")
    width = 9 + BAR_CHARS
    return [f"  {edge:>9}  {one:<{width}}  {two}".rstrip() for edge, one, two in (head, *rows)]


def _edges_us(counts: Sequence[dict[int, int]]) -> list[int]:
    """From the first to the last one that either has, without a gap."""
    seen = [edge_us.bit_length() for count in counts for edge_us in count]
    return [1 << bits - 1 for bits in range(min(seen), max(seen) + 1)]


def _bar(count: int, of_count: int) -> str:
    return f"{count:>8} {'#' * math.ceil(BAR_CHARS * math.sqrt(count / of_count))}"


def _span(us: int) -> str:
    return f"{us} us" if us < 1000 else f"{us / 1000:.1f} ms"
