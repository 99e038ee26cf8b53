"""One import from file to verdict: read, paired, judged, kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rig.exit_codes import CHECK_FAILED, DONE, UsageError
from rig.instruments.column_map import COLUMN_MAPS
from rig.instruments.findings import Finding
from rig.instruments.judge import Terms, calibration, judge, measured_on, verdict_of
from rig.instruments.limits import LIMITS
from rig.instruments.meter_rows import Instrument, MeterFile, MeterRow, read_meter
from rig.instruments.pairing import TOLERANCE_S, WITHIN_S, Pairing, Said, pair
from rig.instruments.shots import ShotSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asked for. `pairs`: row -> exposure's number; `added_al_mm`: by row."""

    file: Path
    map_name: str
    limits_name: str = "us"
    pairs: Mapping[int, int] = field(default_factory=dict)
    dropped: Sequence[int] = ()
    clock_s: float | None = None
    tolerance_s: float = TOLERANCE_S
    within_s: float = WITHIN_S
    shots: tuple[int, int] | None = None  # numbers, both included
    uncertainty_pct: Mapping[str, float] = field(default_factory=dict)
    repeat_pct: Mapping[str, float] = field(default_factory=dict)
    added_al_mm: Mapping[int, float] = field(default_factory=dict)
    distance_mm: float | None = None
    instrument: Instrument = field(default_factory=Instrument)
    operator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    order: Order
    meter: MeterFile
    map_sha256: str
    terms: Terms
    pairing: Pairing
    findings: tuple[Finding, ...]
    day: date

    @property
    def calibration(self) -> str:
        return calibration(self.meter.instrument, self.day)

    @property
    def verdict(self) -> str:
        return verdict_of(self.findings)

    @property
    def exit_code(self) -> int:
        """0 only where rows are paired, and nothing failed, waits, or rests on what is overdue."""
        wrong = self.verdict in ("fail", "not decided") or self.calibration == "past due"
        waits = self.pairing.ambiguous or not self.pairing.pairs
        return CHECK_FAILED if wrong or waits else DONE


def run(order: Order, shots: Sequence[ShotSeen], *, today: date) -> Result:
    """Nothing is kept yet. `today`: where no row has a time. Raises UsageError, ConfigError."""
    _asked_by_somebody(order)
    path = COLUMN_MAPS.path(order.map_name)
    layout = COLUMN_MAPS.load(path)
    limits = LIMITS.load(order.limits_name)
    meter = _completed(read_meter(order.file, layout, order.dropped), order)
    said = Said(pairs=order.pairs, offset_s=order.clock_s)
    pairing = pair(
        meter.rows,
        _chosen(meter, shots, order),
        said=said,
        tolerance_s=order.tolerance_s,
        within_s=order.within_s,
    )
    terms = Terms(
        limits=limits,
        uncertainty_pct={**layout.uncertainty_pct, **order.uncertainty_pct},
        repeat_pct={**layout.repeat_pct, **order.repeat_pct},
        distance_mm=order.distance_mm,
    )
    return Result(
        order=order,
        meter=meter,
        map_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        terms=terms,
        pairing=pairing,
        findings=tuple(judge(pairing.pairs, terms)),
        day=measured_on(meter.rows, pairing.pairs, today),
    )


def _asked_by_somebody(order: Order) -> None:
    decided = order.pairs or order.dropped or order.clock_s is not None
    if decided and not order.operator.strip():
        raise UsageError("say who decides: --pair, --drop and --clock need --operator NAME")


def _completed(meter: MeterFile, order: Order) -> MeterFile:
    """With what the person says of the instrument and of the aluminium in the beam."""
    given = order.instrument
    instrument = Instrument(
        model=given.model or meter.instrument.model,
        serial=given.serial or meter.instrument.serial,
        calibration_due=given.calibration_due or meter.instrument.calibration_due,
    )
    numbers = {row.number for row in meter.rows}
    for number in order.added_al_mm:
        if number not in numbers:
            raise UsageError(f"--al {number}=...: the file has no row {number} with values")
    rows = tuple(_behind(row, order.added_al_mm.get(row.number)) for row in meter.rows)
    return replace(meter, instrument=instrument, rows=rows)


def _behind(row: MeterRow, added_al_mm: float | None) -> MeterRow:
    if added_al_mm is None:
        return row
    return replace(row, values={**row.values, "added_al_mm": added_al_mm})


def _chosen(meter: MeterFile, shots: Sequence[ShotSeen], order: Order) -> list[ShotSeen]:
    if not shots:
        raise UsageError("this bench has made no exposure with a beam; nothing can be paired")
    if order.shots is None:
        if any(row.start is None for row in meter.rows):
            raise UsageError(
                f"{meter.path}: has no times; say which exposures its rows are: "
                f"--shots A-B (there are {shots[0].number} to {shots[-1].number})"
            )
        return list(shots)
    first, last = order.shots
    chosen = [shot for shot in shots if first <= shot.number <= last]
    if not chosen:
        raise UsageError(
            f"--shots {first}-{last}: no exposure with a beam is among them; "
            f"there are {shots[0].number} to {shots[-1].number}"
        )
    return chosen


# --- as it is kept, and answered


def content_of(result: Result, at: datetime) -> dict[str, Any]:
    """For `kept.keep`: plain JSON."""
    meter, pairing = result.meter, result.pairing
    return {
        "kind": "meter",
        "at": at.astimezone(UTC).isoformat(timespec="seconds"),
        "operator": result.order.operator,
        "file": meter.path.name,
        "sha256": meter.sha256,
        "instrument": _instrument(meter.instrument),
        "calibration": result.calibration,
        "decisions": _decisions(result),
        "rows": [_row(row) for row in meter.rows],
        "pairs": [
            {
                "row": pair.row.number,
                "exposure": pair.shot.shot_id,
                "number": pair.shot.number,
                "residual_s": None if pair.residual_s is None else round(pair.residual_s, 3),
                "why": pair.why,
            }
            for pair in pairing.pairs
        ],
        "clock_ahead_s": None if pairing.offset_s is None else round(pairing.offset_s, 3),
        "ambiguous": pairing.ambiguous,
        "rows_left": [{"row": row.number, "why": why} for row, why in pairing.rows_left],
        "exposures_left": [{"number": shot.number, "why": why} for shot, why in pairing.shots_left],
        "notes": [*meter.notes, *pairing.notes],
        "verdict": result.verdict,
        "findings": [_plain(asdict(finding)) for finding in result.findings],
    }


def _decisions(result: Result) -> dict[str, Any]:
    """All that makes the same file another import."""
    order, terms = result.order, result.terms
    return {
        "map": result.meter.map_name,
        "map_sha256": result.map_sha256,
        "limits": terms.limits.name,
        "pair": {str(row): number for row, number in sorted(order.pairs.items())},
        "drop": sorted(order.dropped),
        "clock_s": order.clock_s,
        "tolerance_s": order.tolerance_s,
        "within_s": order.within_s,
        "shots": None if order.shots is None else list(order.shots),
        "uncertainty_pct": dict(sorted(terms.uncertainty_pct.items())),
        "repeat_pct": dict(sorted(terms.repeat_pct.items())),
        "added_al_mm": {str(row): mm for row, mm in sorted(order.added_al_mm.items())},
        "distance_mm": order.distance_mm,
        "instrument": _instrument(result.meter.instrument),
    }


def _instrument(instrument: Instrument) -> dict[str, Any]:
    due = instrument.calibration_due
    return {
        "model": instrument.model,
        "serial": instrument.serial,
        "calibration_due": None if due is None else due.isoformat(),
    }


def _row(row: MeterRow) -> dict[str, Any]:
    return {
        "row": row.number,
        "start": None if row.start is None else row.start.isoformat(),
        "values": dict(row.values),
        "notes": list(row.notes),
    }


def _plain(finding: dict[str, Any]) -> dict[str, Any]:
    return {**finding, "exposures": list(finding["exposures"])}
