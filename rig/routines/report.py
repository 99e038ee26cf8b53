"""The dated record of a routine: what was asked, made and found, for people to sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from firmware_py.routines.steps import Fire, Fired
from hal.types import ShotKind
from rig.bench import Bench
from rig.exit_codes import UsageError
from rig.records.folder import write_record
from rig.records.record import Device, Event, Instrument, Kind, RoutineRecord, ShotRow, Value
from rig.routines.panel_plan import made, planned_steps
from rig.routines.work import Order, Outcome
from rig.version import version_line

WARMING = ("warmup", "conditioning")
MISSING_S = 1.5  # of a shot: half a ramp, and what `warmup` does not ask for again
TITLES: dict[str, tuple[Kind, str]] = {
    "warmup": ("warm-up", "Tube warm-up"),
    "conditioning": ("conditioning", "Tube conditioning"),
    "offset": ("offset", "Detector calibration: offset"),
    "gain": ("gain", "Detector calibration: gain"),
    "defects": ("defects", "Detector calibration: defects"),
    "lag": ("lag", "Detector calibration: lag"),
}


def keep_record(
    order: Order,
    outcome: Outcome,
    *,
    values: Sequence[Value] = (),
    pictures: Mapping[str, bytes] | None = None,
    problem: str | None = None,
    instruments: Sequence[Instrument] = (),
    notes: str = "",
) -> Path:
    """`problem`: why it failed though its shots were made. Returns the record's folder."""
    order = replace(order, spec=outcome.spec)
    bench, kept = order.bench, outcome.kept
    kind, title = TITLES[order.spec.kind]
    record = RoutineRecord(
        id=_free_id(order.state, kept.routine_id, kept.lives),
        kind=kind,
        title=title,
        verdict="failed" if problem else outcome.verdict,
        reason=problem or outcome.reason,
        bench=bench.name,
        bench_hash=bench.hash,
        unit=Device(model=bench.unit.site.model, serial=bench.unit.site.serial),
        tube=bench.unit.generator.identity or "",
        panel="out of the beam" if order.spec.kind in WARMING else bench.unit.panel.panel_id,
        rung="model" if order.ports is None else order.ports.unit.rung,
        simulated=order.ports is None or order.ports.simulated,
        operator=kept.operator,
        started=datetime.fromisoformat(kept.started),
        ended=outcome.at,
        software=version_line(),
        instruments=(*instruments, _own(bench)),
        values=(*values, *tube_values(order, outcome)),
        shots=tuple(_shots(order, outcome)),
        events=tuple(_event(text) for text in kept.events),
        notes=notes,
    )
    return write_record(order.state, record, pictures or {})


def instruments_of(texts: Sequence[str]) -> list[Instrument]:
    """Of `--instrument NAME,SERIAL,DUE`; serial and due date may be left out."""
    found = []
    for text in texts:
        name, _, rest = text.partition(",")
        serial, _, due = rest.partition(",")
        if not name.strip() or "," in due:
            raise UsageError(f"--instrument {text!r}: write NAME,SERIAL,DUE, such as "
                             '"X2 R/F sensor,240117,2027-03-01"')  # fmt: skip
        found.append(
            Instrument(name=name.strip(), serial=serial.strip(), calibration_due=due.strip())
        )
    return found


def _own(bench: Bench) -> Instrument:
    name = "generator's own indication"
    return Instrument(name=name, serial=bench.unit.generator.identity or "")


def _free_id(state: Path, routine_id: str, lives: int) -> str:
    """An interrupted routine leaves a record for each time that it ended."""
    taken = state / "records" / routine_id
    return f"{routine_id}-{lives}" if taken.exists() else routine_id


def tube_values(order: Order, outcome: Outcome) -> list[Value]:
    """What the tube was given, as indicated: by the journal, so that no beam is left out."""
    beams = [row for row in outcome.rows if row.beam is not False and row.kind != ShotKind.DARK]
    if not beams:
        return []
    known = [row.mas for row in beams if row.mas is not None]
    steps = [step for step, fired in made(order.spec, outcome.ending.results) if fired.beam]
    kv_max = max((step.technique.kv for step in steps), default=None)
    return [
        *(_warming_values(order, outcome) if order.spec.kind in WARMING else ()),
        Value(what="beams made", value=len(beams), mark="C"),
        Value(what="highest kV asked for", value=kv_max, unit="kV", mark="C"),
        Value(what="charge, indicated", value=round(sum(known), 4), unit="mAs", mark="C"),
        Value(what="beams of unknown charge", value=len(beams) - len(known), mark="C"),
    ]


def _warming_values(order: Order, outcome: Outcome) -> list[Value]:
    """Beam time at each kV beside the plan's, and arcs beside what is allowed."""
    results = outcome.ending.results
    seconds: dict[float, float] = {}
    arcs = 0
    for step, fired in made(order.spec, results):
        arcs += "ARC" in fired.faults
        clean_s = 0.0 if fired.faults else (fired.beam_ms or 0.0) / 1000
        seconds[step.technique.kv] = seconds.get(step.technique.kv, 0.0) + clean_s
    ended = outcome.ending.verdict is not None
    found = [
        _beam_time(kv, planned, seconds.get(kv, 0.0), ended=ended)
        for kv, planned in _planned(order).items()
    ]
    most = getattr(order.spec.plan, "most_arcs", None)
    if most is None:
        return [*found, Value(what="arcs", value=arcs, mark="C")]
    judged: Any = "passed" if arcs <= most else "failed"
    return [
        *found,
        Value(what="arcs", value=arcs, high=most, source="bench file, [conditioning]", mark="D",
              verdict=judged),
    ]  # fmt: skip


def _planned(order: Order) -> dict[float, tuple[float, float]]:
    """kV -> seconds of beam if everything goes as planned, and how many are enough."""
    found: dict[float, tuple[float, float]] = {}
    for step in planned_steps(order.spec):
        if isinstance(step, Fire):
            kv, seconds = step.technique.kv, step.technique.planned_ms / 1000
            planned_s, low_s = found.get(kv, (0.0, 0.0))
            enough_s = max(seconds / 2, seconds - MISSING_S)
            found[kv] = (planned_s + seconds, low_s + enough_s)
    return found


def _beam_time(kv: float, planned: tuple[float, float], made_s: float, *, ended: bool) -> Value:
    planned_s, low_s = planned
    judged: Any = ("passed" if made_s >= low_s else "failed") if ended else "not judged"
    return Value(
        what=f"beam at {kv:g} kV", value=round(made_s, 2), unit="s", low=round(low_s, 2),
        source=f"plan: {planned_s:g} s, less {MISSING_S:g} s a shot for ramp and hand", mark="D",
        verdict=judged,
    )  # fmt: skip


def _shots(order: Order, outcome: Outcome) -> list[ShotRow]:
    """Dark frames that follow each other make one row."""
    dates, rows = outcome.dates, list[ShotRow]()
    numbered = enumerate(made(order.spec, outcome.ending.results), 1)
    for (dark, *_), group in groupby(numbered, key=_alike):
        shots = [(number, step, fired) for number, (step, fired) in group]
        number, step, first = shots[0]
        last = shots[-1][2]
        technique, many = step.technique, len(shots) > 1
        rows.append(
            ShotRow(
                number=number,
                id=f"{first.shot_id} to {last.shot_id[-3:]}" if many else first.shot_id,
                kind=f"{len(shots)} x {step.kind.value}" if many else step.kind.value,
                start=dates.get(first.shot_id, outcome.at),
                kv=None if dark else technique.kv,
                ma=None if dark else technique.ma,
                asked_ms=technique.ms,
                asked_mas=technique.mas,
                mas_indicated=first.mas if first.beam else None,
                outcome=", ".join((first.reason, *first.faults)),
            )
        )
    return rows + _uncounted(outcome, {row.id for row in rows}, len(rows))


def _uncounted(outcome: Outcome, listed: set[str], count: int) -> list[ShotRow]:
    """Beams that the journal knows and no result tells of: made when a run was killed."""
    told = {str(one.get("shot_id")) for one in outcome.ending.results} | listed
    rows = [row for row in outcome.rows if row.beam is not False and row.shot_id not in told]
    return [
        ShotRow(
            number=number,
            id=row.shot_id,
            kind=row.kind,
            start=datetime.fromisoformat(row.at),
            mas_indicated=row.mas,
            outcome=f"not counted: {row.reason or 'its end is not known'}",
        )
        for number, row in enumerate(rows, count + 1)
        if row.kind != ShotKind.DARK
    ]


def _alike(numbered: tuple[int, tuple[Fire, Fired]]) -> tuple[object, ...]:
    number, (step, fired) = numbered
    dark = step.kind is ShotKind.DARK
    return (dark, step.part, fired.faults) if dark else (dark, number)


def _event(text: str) -> Event:
    """As progress keeps it: an ISO date, the kind, the rest."""
    at, kind, *rest = text.split(" ", 2)
    return Event(at=datetime.fromisoformat(at), kind=kind.rstrip(":"), reason=" ".join(rest))
