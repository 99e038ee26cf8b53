"""All that a paired file says of the unit, against one set of limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from rig.instruments import hvl
from rig.instruments.accuracy import accuracy
from rig.instruments.findings import Finding, Verdict
from rig.instruments.limits import LimitSet
from rig.instruments.meter_rows import Instrument, MeterRow
from rig.instruments.output import DOSE, linearity, output, repeat_of, reproducibility, stations
from rig.instruments.pairing import Pair

Calibration = str  # valid | past due | not stated


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What it is judged by. Uncertainties: quantity -> %, expanded, k = 2."""

    limits: LimitSet
    uncertainty_pct: Mapping[str, float]
    repeat_pct: Mapping[str, float]
    distance_mm: float | None = None


def judge(pairs: Sequence[Pair], terms: Terms) -> list[Finding]:
    found = stations(pairs)
    repeat = repeat_of(DOSE, terms.uncertainty_pct, terms.repeat_pct)
    return [
        *accuracy(pairs, terms.limits, terms.uncertainty_pct),
        *output(found, terms.distance_mm, terms.uncertainty_pct.get(DOSE)),
        *reproducibility(found, terms.limits, repeat),
        *linearity(found, terms.limits, repeat),
        *hvl.direct(pairs, terms.limits, terms.uncertainty_pct),
        *hvl.series(pairs, terms.limits, repeat),
    ]


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst of them; what was not judged has no say."""
    worst: tuple[Verdict, ...] = ("fail", "not decided", "pass")
    there = {finding.verdict for finding in findings}
    return next((verdict for verdict in worst if verdict in there), "not judged")


def measured_on(rows: Sequence[MeterRow], pairs: Sequence[Pair], today: date) -> date:
    """The last day, by the unit's clock where rows are paired: a meter's may be a year off."""
    starts = [pair.shot.start for pair in pairs] or [row.start for row in rows]
    known: list[datetime] = [start for start in starts if start is not None]
    return max(known).astimezone(UTC).date() if known else today


def calibration(instrument: Instrument, day: date) -> Calibration:
    """On the day it was due it was still valid."""
    if instrument.calibration_due is None:
        return "not stated"
    return "valid" if day <= instrument.calibration_due else "past due"
