"""What came of a routine, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rig.answers import answer_json
from rig.records.folder import read_record
from rig.records.record import Event
from rig.routines.work import Order, Outcome


def answer(
    outcome: Outcome,
    folder: Path,
    order: Order,
    *,
    as_json: bool,
    facts: dict[str, Any],
    told: Sequence[str] = (),
) -> None:
    """`folder`: the record's; `told`: more lines for people, `facts`: more for programs."""
    record = read_record(folder)
    if as_json:
        answer_json(
            {
                "bench": order.bench.name,
                "routine": outcome.kept.routine_id,
                "kind": order.spec.kind,
                "verdict": record.verdict,
                "reason": record.reason,
                "resumed_from": outcome.resumed_from,
                "steps": len(outcome.ending.results),
                "values": [asdict(value) for value in record.values],
                "events": [_event(event) for event in record.events],
                "record": str(folder / "record.json"),
                "page": str(folder / "record.html"),
                "runs": [str(run) for run in outcome.lives],
                **facts,
            }
        )
        return
    click.echo(f"{record.title}: {record.verdict.upper()}: {record.reason}")
    for value in record.values:
        if value.has_limit:
            click.echo(f"  {_shown(value.value):>10} {value.unit}  {value.what}: {value.verdict}")
    for line in told:
        click.echo(line)
    click.echo(f"Record: {folder / 'record.html'}")


def _event(event: Event) -> dict[str, Any]:
    return {"at": event.at.isoformat(), "kind": event.kind, "reason": event.reason}


def _shown(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value or "-")
