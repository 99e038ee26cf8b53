"""Time several ways to do the same, in turn: A B A B ..., so that a slow moment hits all.

Absolute times on shared machines move by a factor of three between two runs. What counts
is the ratio to the floor, and it is taken turn by turn before the median is.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LEAST_TURNS_COUNT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to do it. A turn calls `run` `calls_count` times and takes their median."""

    name: str
    run: Callable[[], object]
    calls_count: int = 1
    # One call does so many of what is counted (exposures); a time is that of one of them.
    per_call_count: int = 1
    # What follows from the time of one, such as {"per_s": 50.0}.
    figures: Callable[[float], Mapping[str, float]] = lambda one_us: {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    name: str
    turns_count: int
    median_us: float
    p10_us: float
    p90_us: float
    ratio: float  # to the floor, the median over turns
    figures: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "turns_count": self.turns_count,
            "median_us": round(self.median_us, 3),
            "p10_us": round(self.p10_us, 3),
            "p90_us": round(self.p90_us, 3),
            "ratio": round(self.ratio, 3),
            "figures": {name: round(value, 3) for name, value in self.figures.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    name: str
    about: str
    cases: tuple[Measured, ...]  # the first one is the floor

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "about": self.about,
            "cases": [case.as_dict() for case in self.cases],
        }


def in_turn(
    floor: Case,
    *others: Case,
    seconds: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> tuple[Measured, ...]:
    """For about `seconds`, but at least three turns. `clock_ns`: process time where other
    people's load on the machine is none of the matter."""
    cases = (floor, *others)
    for case in cases:
        case.run()  # imports, caches, first connections
    turns: list[list[float]] = []
    end_s = time.monotonic() + seconds
    while len(turns) < LEAST_TURNS_COUNT or time.monotonic() < end_s:
        turns.append([_turn_us(case, clock_ns) for case in cases])
    return tuple(
        _measured(case, [turn[index] for turn in turns], [turn[0] for turn in turns])
        for index, case in enumerate(cases)
    )


def _turn_us(case: Case, clock_ns: Callable[[], int]) -> float:
    spans_ns = []
    for _ in range(case.calls_count):
        start_ns = clock_ns()
        case.run()
        spans_ns.append(clock_ns() - start_ns)
    return statistics.median(spans_ns) / 1000 / case.per_call_count


def _measured(case: Case, times_us: Sequence[float], floors_us: Sequence[float]) -> Measured:
    tenths = statistics.quantiles(times_us, n=10, method="inclusive")
    median_us = statistics.median(times_us)
    ratios = [time_us / floor_us for time_us, floor_us in zip(times_us, floors_us, strict=True)]
    return Measured(
        name=case.name,
        turns_count=len(times_us),
        median_us=median_us,
        p10_us=tenths[0],
        p90_us=tenths[-1],
        ratio=statistics.median(ratios),
        figures=case.figures(median_us),
    )


@contextmanager
def one_core() -> Iterator[None]:
    """This process and those it starts on one core, where the system can do that.

    Across two idle cores a TCP ping-pong takes five times as long (performance.md).
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
