"""The dated record of a routine: what was asked, made and found, for people to sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from hal.types import ShotKind
from rig.bench import Bench
from rig.records.folder import write_record
from rig.records.record import Device, Event, Instrument, RoutineRecord, ShotRow, Value
from rig.routines.panel_plan import made
from rig.routines.work import Order, Outcome
from rig.version import version_line

TITLES = {
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
    bench, kept = order.bench, outcome.kept
    kind, title = TITLES[order.spec.kind]
    record = RoutineRecord(
        id=_free_id(order.state, kept.routine_id, kept.lives),
        kind=kind,  # type: ignore[arg-type]
        title=title,
        verdict="failed" if problem else outcome.verdict,  # type: ignore[arg-type]
        reason=problem or outcome.reason,
        bench=bench.name,
        bench_hash=bench.hash,
        unit=Device(model=bench.unit.site.model, serial=bench.unit.site.serial),
        tube=bench.unit.generator.identity or "",
        panel="" if kind in ("warm-up", "conditioning") else bench.unit.panel.panel_id,
        rung="model" if order.ports is None else order.ports.unit.rung,
        simulated=order.ports is None or order.ports.simulated,
        operator=kept.operator,
        started=datetime.fromisoformat(kept.started),
        ended=outcome.at,
        software=version_line(),
        instruments=tuple(instruments) or (_own(bench),),
        values=(*values, *tube_values(order, outcome)),
        shots=tuple(_shots(order, outcome)),
        events=tuple(_event(text) for text in kept.events),
        notes=notes,
    )
    return write_record(order.state, record, pictures or {})


def _own(bench: Bench) -> Instrument:
    name = "generator's own indication; no independent meter"
    return Instrument(name=name, serial=bench.unit.generator.identity or "")


def _free_id(state: Path, routine_id: str, lives: int) -> str:
    """An interrupted routine leaves a record for each time that it ended."""
    taken = state / "records" / routine_id
    return f"{routine_id}-{lives}" if taken.exists() else routine_id


def tube_values(order: Order, outcome: Outcome) -> list[Value]:
    """What the tube was given, as indicated."""
    shots = [(step, fired) for step, fired in made(order.spec, outcome.ending.results)]
    beams = [(step, fired) for step, fired in shots if fired.beam]
    if not beams:
        return []
    known = [fired.mas for _, fired in beams if fired.mas is not None]
    arcs = sum("ARC" in fired.faults for _, fired in beams)
    unknown = len(beams) - len(known)
    found = [
        Value(what="beams made", value=len(beams), mark="C"),
        Value(what="highest kV asked for", value=max(s.technique.kv for s, _ in beams), unit="kV",
              mark="C"),
        Value(what="charge, indicated", value=round(sum(known), 4), unit="mAs", mark="C"),
        Value(what="beams of unknown charge", value=unknown, mark="C"),
    ]  # fmt: skip
    if order.spec.kind in ("warmup", "conditioning"):
        most = getattr(order.spec.plan, "most_arcs", None)
        inside = most is None or arcs <= most
        judged = "not judged" if most is None else ("passed" if inside else "failed")
        found.append(
            Value(what="arcs", value=arcs, high=most, source="bench file, [conditioning]",
                  mark="D", verdict=judged)  # type: ignore[arg-type]
        )  # fmt: skip
    return found


def _shots(order: Order, outcome: Outcome) -> list[ShotRow]:
    dates = outcome.dates
    rows = []
    for number, (step, fired) in enumerate(made(order.spec, outcome.ending.results), 1):
        technique, dark = step.technique, step.kind is ShotKind.DARK
        rows.append(
            ShotRow(
                number=number,
                id=fired.shot_id,
                kind=step.kind.value,
                start=dates.get(fired.shot_id, outcome.at),
                kv=None if dark else technique.kv,
                ma=None if dark else technique.ma,
                asked_ms=technique.ms,
                asked_mas=technique.mas,
                mas_indicated=fired.mas if fired.beam else None,
                outcome=", ".join((fired.reason, *fired.faults)),
            )
        )
    return rows


def _event(text: str) -> Event:
    """As progress keeps it: an ISO date, the kind, the rest."""
    at, kind, *rest = text.split(" ", 2)
    return Event(at=datetime.fromisoformat(at), kind=kind.rstrip(":"), reason=" ".join(rest))
