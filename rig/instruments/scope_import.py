"""A trace from file to verdict: measured, held against the exposure that a person names, kept.

A scope's file has no date, so nothing is paired by itself. What is kept has the shape of a meter's
import with one row, and what the trace said beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rig.exit_codes import CHECK_FAILED, DONE, UsageError
from rig.instruments.accuracy import accuracy
from rig.instruments.findings import Finding
from rig.instruments.judge import calibration, verdict_of
from rig.instruments.limits import LimitSet
from rig.instruments.meter_rows import Instrument, MeterRow
from rig.instruments.pairing import Pair
from rig.instruments.scope_file import ScopeFile
from rig.instruments.scope_map import ScopeMap
from rig.instruments.shots import ShotSeen
from rig.instruments.trace import Beam, beams_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`beam_number`: of those in the trace, from 1; `shot`: None: nobody said which."""

    file: ScopeFile
    layout: ScopeMap
    map_path: Path
    beam: Beam
    beam_number: int
    shot: ShotSeen | None
    limits: LimitSet
    uncertainty_pct: dict[str, float]
    instrument: Instrument
    operator: str
    today: date

    @property
    def findings(self) -> list[Finding]:
        return list(accuracy(self._pairs, self.limits, self.uncertainty_pct))

    @property
    def _pairs(self) -> list[Pair]:
        if self.shot is None:
            return []
        row = MeterRow(number=self.beam_number, values=self.beam.values)
        return [Pair(row=row, shot=self.shot, residual_s=None, why="said")]

    @property
    def calibration(self) -> str:
        start = self.shot.start if self.shot else None
        return calibration(self.instrument, start.astimezone(UTC).date() if start else self.today)

    @property
    def exit_code(self) -> int:
        wrong = verdict_of(self.findings) in ("fail", "not decided")
        doubtful = self.calibration == "past due" or any("CLIPPED" in n for n in self.beam.notes)
        return CHECK_FAILED if wrong or doubtful else DONE


def chosen_beam(file: ScopeFile, layout: ScopeMap, number: int | None) -> tuple[Beam, int]:
    """The only beam of a trace, or the one that is named. Raises UsageError."""
    found = beams_in(file, layout)
    if number is None and len(found) > 1:
        starts = ", ".join(f"{beam.start_us / 1000.0:.1f} ms" for beam in found[:6])
        raise UsageError(f"{file.path}: {len(found)} beams, from {starts}; say --beam N")
    at = number or 1
    if at > len(found):
        raise UsageError(f"{file.path}: has {len(found)} beams, and no number {at}")
    return found[at - 1], at


def shot_of(shots: Sequence[ShotSeen], number: int | None) -> ShotSeen | None:
    """Raises UsageError."""
    if number is None:
        return None
    found = next((shot for shot in shots if shot.number == number), None)
    if found is None:
        known = f"{shots[0].number} to {shots[-1].number}" if shots else "none"
        raise UsageError(
            f"--shot {number}: no exposure with a beam has this number; known: {known}"
        )
    return found


def content_of(measured: Measured, at: datetime) -> dict[str, Any]:
    """For `kept.keep`: plain JSON, with the keys of a meter's import and `trace`."""
    beam, shot, due = measured.beam, measured.shot, measured.instrument.calibration_due
    findings = measured.findings
    return {
        "kind": "scope",
        "at": at.astimezone(UTC).isoformat(timespec="seconds"),
        "operator": measured.operator,
        "file": measured.file.path.name,
        "sha256": measured.file.sha256,
        "instrument": {
            "model": measured.instrument.model,
            "serial": measured.instrument.serial,
            "calibration_due": None if due is None else due.isoformat(),
        },
        "calibration": measured.calibration,
        "decisions": {
            "map": measured.file.map_name,
            "map_sha256": hashlib.sha256(measured.map_path.read_bytes()).hexdigest(),
            "limits": measured.limits.name,
            "beam": measured.beam_number,
            "shot": shot.number if shot else None,
            "uncertainty_pct": dict(sorted(measured.uncertainty_pct.items())),
        },
        "rows": [{"row": measured.beam_number, "start": None, "values": beam.values, "notes": []}],
        "pairs": [
            {
                "row": measured.beam_number,
                "exposure": pair.shot.shot_id,
                "number": pair.shot.number,
                "residual_s": None,
                "why": "said",
            }
            for pair in measured._pairs
        ],
        "clock_ahead_s": None,
        "ambiguous": False,
        "rows_left": [],
        "exposures_left": [],
        "notes": list(beam.notes),
        "verdict": verdict_of(findings),
        "findings": [asdict(one) | {"exposures": list(one.exposures)} for one in findings],
        "trace": _trace(measured),
    }


def _trace(measured: Measured) -> dict[str, Any]:
    """Times in ms of the scope's clock; `sync`: which event of the unit's timeline its edge is."""
    beam = measured.beam
    sync = None
    if beam.sync_us is not None:
        means = measured.layout.sync.means
        sync = {
            "means": means,
            "at_ms": beam.sync_us / 1000.0,
            "to_75_pct_ms": beam.delay_ms,
            "to_end_ms": (beam.end_us - beam.sync_us) / 1000.0,
            "loaded_at": _by_the_unit(measured) if means == "beam_on" else None,
        }
    return {
        "level": beam.level,
        "level_unit": beam.level_unit,
        "start_ms": beam.start_us / 1000.0,
        "end_ms": beam.end_us / 1000.0,
        "overshoot_pct": beam.overshoot_pct,
        "ripple_pct": beam.ripple_pct,
        "rise_ms": beam.rise_ms,
        "tail_ms": beam.tail_ms,
        "noise_rms": beam.noise,
        "samples_count": measured.file.samples_count,
        "step_us": measured.file.step_us,
        "sync": sync,
    }


def _by_the_unit(measured: Measured) -> str | None:
    """When 75 % was reached on the unit's clock, ISO 8601: its beam_on is the sync edge."""
    start = measured.shot.start if measured.shot else None
    if start is None or measured.beam.delay_ms is None:
        return None
    return (start + timedelta(milliseconds=measured.beam.delay_ms)).isoformat()


def trace_lines(trace: dict[str, Any]) -> list[str]:
    """For people."""
    kind = "kVp" if trace["level_unit"] == "kV" else "plateau"
    lines = [
        f"{kind} {trace['level']:.4g} {trace['level_unit']}, overshoot "
        f"{trace['overshoot_pct']:.1f} %, ripple {trace['ripple_pct']:.1f} %, "
        f"noise {trace['noise_rms']:.2g} {trace['level_unit']} rms",
        f"rise {trace['rise_ms']:.3g} ms (10 to 75 %), tail {trace['tail_ms']:.3g} ms "
        f"(75 to 10 %); {trace['samples_count']} samples of {trace['step_us']:g} us",
    ]
    sync = trace["sync"]
    if sync is not None:
        event = sync["means"].replace("_", " ")
        lines.append(
            f"sync edge ({event}): 75 % after {sync['to_75_pct_ms']:.3f} ms, "
            f"its end after {sync['to_end_ms']:.3f} ms"
        )
        if sync["loaded_at"]:
            lines.append(f"75 % by the unit's clock: {sync['loaded_at']}")
    return lines
