"""Half-value layer: what the meter says, or from doses behind more and more aluminium.

Between the two layers around half the dose it is interpolated on the logarithm of the dose, never
beyond the last. The least that is allowed depends on kV: the independent one where it is known.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mean

from rig.instruments.findings import NOT_STATED, Finding, at_least
from rig.instruments.limits import LimitSet
from rig.instruments.output import DOSE, indicated_mas
from rig.instruments.pairing import Pair


class NoHalfError(ValueError):
    """Why a series has no half-value layer, in words for people."""


def half_value_mm(doses: Mapping[float, float]) -> float:
    """`doses`: mm Al -> dose, any unit, with 0 mm among them. Raises NoHalfError."""
    points = sorted(doses.items())
    if not points or points[0][0] != 0.0:
        raise NoHalfError("there is no exposure without added aluminium")
    if any(dose <= 0 for _, dose in points):
        raise NoHalfError("a dose of 0 has no logarithm")
    half = points[0][1] / 2.0
    for (mm_a, dose_a), (mm_b, dose_b) in pairwise(points):
        if dose_a < dose_b:
            raise NoHalfError(f"the dose rises from {mm_a:g} to {mm_b:g} mm Al")
        if dose_b <= half <= dose_a and dose_b != dose_a:
            return mm_a + (mm_b - mm_a) * math.log(dose_a / half) / math.log(dose_a / dose_b)
    most = points[-1][0]
    raise NoHalfError(f"{most:g} mm Al leave more than half: take more; nothing is extrapolated")


def direct(
    pairs: Sequence[Pair], limits: LimitSet, uncertainty_pct: Mapping[str, float]
) -> Iterator[Finding]:
    """Of each exposure without added aluminium whose row has one."""
    u_pct = uncertainty_pct.get("hvl_mm")
    for pair in pairs:
        hvl_mm = pair.row.values.get("hvl_mm")
        if hvl_mm is None or pair.row.values.get("added_al_mm"):
            continue
        u_mm = None if u_pct is None else hvl_mm * u_pct / 100.0
        yield from _held(limits, [pair], hvl_mm, u_mm, f"HVL, exposure {pair.shot.number}")


def series(pairs: Sequence[Pair], limits: LimitSet, repeat_pct: float | None) -> Iterator[Finding]:
    """Of each technique that was exposed behind aluminium; dose per mAs, means of a thickness."""
    groups: dict[tuple[float | None, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        asked = pair.shot.commanded
        if DOSE in pair.row.values:
            groups[tuple(asked.get(name) for name in ("kv", "ma"))].append(pair)
    for group in groups.values():
        if any(pair.row.values.get("added_al_mm") for pair in group):
            yield from _of_series(group, limits, repeat_pct)


def _of_series(
    group: Sequence[Pair], limits: LimitSet, repeat_pct: float | None
) -> Iterator[Finding]:
    behind: dict[float, list[float]] = defaultdict(list)
    for pair in group:
        mas = indicated_mas(pair)
        if mas:
            thickness_mm = pair.row.values.get("added_al_mm", 0.0)
            behind[thickness_mm].append(pair.row.values[DOSE] / mas)
    doses = {mm: mean(values) for mm, values in behind.items()}
    what = f"HVL from {len(doses)} layers"
    try:
        hvl_mm = half_value_mm(doses)
    except NoHalfError as error:
        finding = _found(group, None, None, what)
        yield replace(finding, verdict="not decided", why=str(error))
        return
    u_mm = None
    if repeat_pct is not None:
        u_mm = _propagated(half_value_mm, doses, behind, repeat_pct / 100.0)
    yield from _held(limits, group, hvl_mm, u_mm, what)


def _propagated(
    of: Callable[[Mapping[float, float]], float],
    doses: Mapping[float, float],
    behind: Mapping[float, Sequence[float]],
    u: float,
) -> float:
    """Each dose moved by its own uncertainty, the shifts added as squares."""
    at = of(doses)
    shifts = []
    for mm, dose in doses.items():
        step = u / math.sqrt(len(behind[mm]))
        try:
            shifts.append(of({**doses, mm: dose * (1.0 + step)}) - at)
        except NoHalfError:  # half lies at the end of the series: from the other side
            shifts.append(of({**doses, mm: dose * (1.0 - step)}) - at)
    return math.hypot(*shifts)


def _held(
    limits: LimitSet, group: Sequence[Pair], hvl_mm: float, u_mm: float | None, what: str
) -> Iterator[Finding]:
    finding = _found(group, hvl_mm, u_mm, what)
    rows = limits.of("hvl")
    kv = _kv(group)
    if not rows or kv is None:
        why = "these limits have none for it" if not rows else "kV is not known"
        yield replace(finding, why=why)
        return
    for limit in rows:
        least_mm = limit.least_hvl_mm(kv)
        held = replace(
            finding,
            limit=least_mm,
            what=f"{finding.what}, {kv:.4g} kV",
            limit_text=f"at least {least_mm:.2f}",
            source=limit.source,
            mark=limit.mark_at(kv),
        )
        if u_mm is None:
            yield replace(held, verdict="not decided", why=NOT_STATED)
        else:
            yield replace(held, verdict=at_least(hvl_mm - u_mm, hvl_mm + u_mm, least_mm))


def _found(group: Sequence[Pair], hvl_mm: float | None, u_mm: float | None, what: str) -> Finding:
    return Finding(
        test="hvl",
        what=what,
        exposures=tuple(pair.shot.number for pair in group),
        found=hvl_mm,
        found_unit="mm Al",
        verdict="not judged",
        independent=hvl_mm,
        unit="mm Al",
        uncertainty=u_mm,
    )


def _kv(group: Sequence[Pair]) -> float | None:
    """Independent, else indicated, else asked for; of the bare exposures where there are any."""
    bare = [pair for pair in group if not pair.row.values.get("added_al_mm")] or list(group)
    for kvs in (
        [pair.row.values.get("kv") for pair in bare],
        [pair.shot.indicated.get("kv") for pair in bare],
        [pair.shot.commanded.get("kv") for pair in bare],
    ):
        known = [kv for kv in kvs if kv is not None]
        if known:
            return mean(known)
    return None
