"""Dose per mAs: output, its scatter from shot to shot, its linearity from station to station.

The dose is the independent one, the mAs are the unit's own. In ratios the meter's calibration
cancels, and what is left of its uncertainty is its scatter (`repeat_pct`); where nobody states
that, the whole uncertainty stands for it, which is on the safe side and decides less.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, stdev

from rig.instruments.findings import NOT_STATED, Finding, at_most
from rig.instruments.limits import Limit, LimitSet
from rig.instruments.pairing import Pair

DOSE = "dose_ugy"
LARGEST_RATIO = 2.0  # of two mAs stations that count as adjacent, 21 CFR 1020.31(c) [M]
HOUR_S = 3600.0
Technique = tuple[float | None, ...]  # kV, mA, mAs, ms as asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Exposures of one technique, without added aluminium."""

    technique: Technique
    pairs: tuple[Pair, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(pair.shot.number for pair in self.pairs)

    @property
    def doses_ugy(self) -> list[float]:
        return [pair.row.values[DOSE] for pair in self.pairs]

    @property
    def per_mas_ugy(self) -> float | None:
        """Mean of the shots whose mAs are known."""
        known = [pair.row.values[DOSE] / mas for pair in self.pairs if (mas := indicated_mas(pair))]
        return mean(known) if known else None


def indicated_mas(pair: Pair) -> float | None:
    """The unit's own feedback, else what was asked for."""
    shown = pair.shot.indicated.get("mas")
    return shown if shown else pair.shot.commanded.get("mas")


def stations(pairs: Sequence[Pair]) -> list[Station]:
    """In the order of kV, mA, mAs, time."""
    groups: dict[Technique, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if DOSE in pair.row.values and not pair.row.values.get("added_al_mm"):
            asked = pair.shot.commanded
            groups[tuple(asked.get(name) for name in ("kv", "ma", "mas", "ms"))].append(pair)
    found = [Station(technique=key, pairs=tuple(group)) for key, group in groups.items()]
    return sorted(found, key=lambda one: tuple(value or 0.0 for value in one.technique))


def words(technique: Technique) -> str:
    units = ("kV", "mA", "mAs", "ms")
    return " ".join(f"{v:g} {u}" for v, u in zip(technique, units, strict=True) if v is not None)


def output(
    found: Sequence[Station], distance_mm: float | None, u_pct: float | None
) -> Iterator[Finding]:
    """uGy/mAs where the meter was; at 1 m by the inverse square where its distance is said."""
    for station in found:
        per_mas = station.per_mas_ugy
        if per_mas is None:
            continue
        scale = 1.0 if distance_mm is None else (distance_mm / 1000.0) ** 2
        where = "at the meter" if distance_mm is None else "at 1 m"
        yield Finding(
            test="output",
            what=f"output {where}, {words(station.technique)}",
            exposures=station.numbers,
            found=per_mas * scale,
            found_unit="uGy/mAs",
            verdict="not judged",
            uncertainty=None if u_pct is None else per_mas * scale * u_pct / 100.0,
            why="no limit: compare with the unit's own earlier ones",
        )


def reproducibility(
    found: Sequence[Station], limits: LimitSet, repeat_pct: float | None
) -> Iterator[Finding]:
    for station in found:
        if len(station.pairs) == 1:
            continue
        for limit in limits.of("reproducibility"):
            yield _variation(station, limit, repeat_pct)
        if len(station.pairs) >= 4:
            for limit in limits.of("four shots"):
                yield _range(station, limit, repeat_pct)


def _variation(station: Station, limit: Limit, repeat_pct: float | None) -> Finding:
    """CV by n-1. What the meter scatters is in it: so it can be too large, not too small."""
    doses = station.doses_ugy
    cv = stdev(doses) / mean(doses)
    finding = _ratio(
        "reproducibility", f"CV, {words(station.technique)}", station.numbers, cv, limit
    )
    if len(doses) < limit.shots:
        return replace(
            finding, verdict="not judged", why=f"{len(doses)} of {limit.shots} exposures"
        )
    late = "" if _within_an_hour(station) else "they span over 1 h, or their times are not known"
    if cv <= (limit.most or 0.0):
        return replace(finding, verdict="pass", why=late)
    if repeat_pct is None:
        return replace(finding, verdict="not decided", why=NOT_STATED)
    own = repeat_pct / 200.0  # k = 1
    low = math.sqrt(max(0.0, cv * cv - own * own))
    verdict = at_most(low, cv, limit.most or 0.0)
    return replace(finding, verdict=verdict, uncertainty=cv - low, why=late)


def _range(station: Station, limit: Limit, repeat_pct: float | None) -> Finding:
    """Of the first four."""
    doses = station.doses_ugy[:4]
    span = (max(doses) - min(doses)) / mean(doses)
    what = f"range of 4, {words(station.technique)}"
    finding = _ratio("four shots", what, station.numbers[:4], span, limit)
    if repeat_pct is None:
        return replace(finding, verdict="not decided", why=NOT_STATED)
    u = math.sqrt(2.0) * repeat_pct / 100.0
    verdict = at_most(span - u, span + u, limit.most or 0.0)
    return replace(finding, verdict=verdict, uncertainty=u)


def _within_an_hour(station: Station) -> bool:
    starts = [pair.shot.start for pair in station.pairs]
    known = [start for start in starts if start is not None]
    return len(known) == len(starts) and (max(known) - min(known)).total_seconds() <= HOUR_S


def linearity(
    found: Sequence[Station], limits: LimitSet, repeat_pct: float | None
) -> Iterator[Finding]:
    """L = |X1 - X2| / (X1 + X2) of neighbours at one kV; X: mean dose per mAs."""
    by_kv: dict[float | None, list[Station]] = defaultdict(list)
    for station in found:
        by_kv[station.technique[0]].append(station)
    for limit in limits.of("linearity"):
        for group in by_kv.values():
            for one, other in pairwise(group):
                yield _linear(one, other, limit, repeat_pct)


def _linear(one: Station, other: Station, limit: Limit, repeat_pct: float | None) -> Finding:
    a, b = one.per_mas_ugy, other.per_mas_ugy
    what = f"L, {words(one.technique)} | {words((None, *other.technique[1:]))}"
    numbers = (*one.numbers, *other.numbers)
    coefficient = abs(a - b) / (a + b) if a and b else None
    finding = _ratio("linearity", what, numbers, coefficient, limit)
    if a is None or b is None or coefficient is None:
        return replace(finding, verdict="not judged", why="mAs or dose are not known")
    ratio = _mas_ratio(one, other)
    if one.technique[1] == other.technique[1] and ratio > LARGEST_RATIO * 1.001:
        why = f"mAs differ {ratio:.2g} times: not adjacent, {LARGEST_RATIO:g} at most"
        return replace(finding, verdict="not judged", why=why)
    if repeat_pct is None:
        return replace(finding, verdict="not decided", why=NOT_STATED)
    # L to first order in a and b, each with the scatter of a mean of its shots.
    u_a = repeat_pct / 100.0 / math.sqrt(len(one.pairs))
    u_b = repeat_pct / 100.0 / math.sqrt(len(other.pairs))
    u = 2.0 * a * b / (a + b) ** 2 * math.hypot(u_a, u_b)
    verdict = at_most(coefficient - u, coefficient + u, limit.most or 0.0)
    return replace(finding, verdict=verdict, uncertainty=u)


def _mas_ratio(one: Station, other: Station) -> float:
    means = []
    for station in (one, other):
        known = [mas for pair in station.pairs if (mas := indicated_mas(pair))]
        means.append(mean(known))
    return max(means) / min(means)


def _ratio(
    test: str, what: str, numbers: Sequence[int], value: float | None, limit: Limit
) -> Finding:
    return Finding(
        test=test,
        what=what,
        exposures=tuple(numbers),
        found=value,
        found_unit="",
        verdict="not judged",
        limit=limit.most,
        limit_text=f"at most {limit.most:g}",
        source=limit.source,
        mark=limit.mark,
    )


def repeat_of(
    quantity: str, uncertainty_pct: Mapping[str, float], repeat_pct: Mapping[str, float]
) -> float | None:
    return repeat_pct.get(quantity, uncertainty_pct.get(quantity))
