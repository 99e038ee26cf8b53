"""A routine for whoever watches: the dry run as a table, and its steps as they come."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import click

from firmware_py.routines.dry_run import DryRun, Row
from firmware_py.routines.steps import Ask, Charge, Fire, Pause
from hal.types import ShotKind
from rig.answers import answer_table
from rig.durations import words_of
from rig.plan import HEAT_UNITS_PER_J
from rig.routines.follow import View


def summary(run: DryRun) -> dict[str, Any]:
    """The totals, in plain values."""
    return {
        "shots": len(run.shots),
        "presses": len(run.beams),
        "seconds": round(run.seconds, 1),
        "beam_s": round(run.beam_s, 2),
        "kv_max": run.kv_max,
        "mas": round(run.mas, 3),
        "energy_j": round(run.energy_j, 1),
        "tube_heat_max_j": round(run.heat_max_j, 1),
        "sessions": run.sessions,
        "battery_least_pct": None if run.charge_min is None else round(100 * run.charge_min, 1),
    }


def groups(run: DryRun) -> list[dict[str, Any]]:
    """The steps, like ones together: what a person would do, in order."""
    found = []
    rows = [row for row in run.rows if not isinstance(row.step, Pause)]
    for _, same in groupby(rows, key=_alike):
        found.append(_group(list(same)))
    return found


def _alike(row: Row) -> tuple[object, ...]:
    step = row.step
    if isinstance(step, Fire):
        return (step.kind, step.technique, step.part)
    return (type(step).__name__, getattr(step, "key", ""))


def _group(rows: list[Row]) -> dict[str, Any]:
    step, last = rows[0].step, rows[-1]
    made: dict[str, Any] = {
        "at_s": round(rows[0].at_s, 1),
        "count": len(rows),
        "heat_j": round(last.heat_j, 1),
        "battery_pct": None if last.charge is None else round(100 * last.charge, 1),
    }
    if isinstance(step, Ask | Charge):
        return made | {"what": "charge" if isinstance(step, Charge) else "ask", "text": step.text}
    assert isinstance(step, Fire)
    technique = step.technique
    return made | {
        "what": step.kind.value,
        "text": step.part,
        "kv": technique.kv if step.kind is not ShotKind.DARK else None,
        "ma": technique.ma if step.kind is not ShotKind.DARK else None,
        "mas": technique.mas,
        "ms": technique.ms,
    }


def tell_dry_run(run: DryRun, title: str) -> None:
    rows = [_shown(group) for group in groups(run)]
    headings = ("begins", "what", "shots", "kV", "mA", "each", "tube heat", "battery")
    answer_table(headings, rows, title=title)
    total = summary(run)
    click.echo()
    click.echo(
        f"In all {words_of(run.seconds)}: {total['presses']} presses of the handswitch, "
        f"{total['shots'] - total['presses']} dark frames, {run.beam_s:.1f} s of beam, "
        f"up to {run.kv_max:g} kV, {run.mas:.2f} mAs, {run.energy_j:.0f} J "
        f"({run.energy_j * HEAT_UNITS_PER_J:.0f} HU)."
    )
    if run.sessions > 1:
        click.echo(f"The battery does not last: {run.sessions} sessions, charging in between.")


def _shown(group: Mapping[str, Any]) -> tuple[str, ...]:
    begins = clock(group["at_s"])
    battery = "-" if group["battery_pct"] is None else f"{group['battery_pct']:.0f} %"
    heat = f"{group['heat_j']:.0f} J"
    if group["what"] in ("ask", "charge"):
        return (begins, group["text"], "", "", "", "", heat, battery)
    each = f"{group['mas']:g} mAs" if group["mas"] is not None else f"{group['ms'] / 1000:g} s"
    kv = "-" if group["kv"] is None else f"{group['kv']:g}"
    ma = "-" if group["ma"] is None else f"{group['ma']:g}"
    plain = group["text"] in ("", group["what"])
    what = group["what"] if plain else f"{group['what']}: {group['text']}"
    return (begins, what, str(group["count"]), kv, ma, each, heat, battery)


def clock(seconds: float) -> str:
    """Hours only where there are any: 1:02:05, 7:30."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class LiveView(View):
    """A line for each step, with what is left; on stderr."""

    def __init__(self, progress: str, run: DryRun, *, person: bool) -> None:
        """`person`: somebody must be told what to do, whatever `progress` says."""
        self._lines = progress == "plain" or (progress == "auto" and sys.stderr.isatty())
        self._person = person or self._lines
        self._run = run

    def step(self, index: int, step: Mapping[str, Any]) -> None:
        if not self._lines:
            return
        place, left = _place(index, len(self._run.rows)), clock(self._run.left_s(index))
        click.echo(f"{place}  {left:>8} left  {_words(step)}", err=True)

    def result(self, index: int, result: Mapping[str, Any]) -> None:
        if self._lines and result.get("faults"):
            click.echo(f"          !! {', '.join(result['faults'])}", err=True)
        elif self._lines and result.get("beam"):
            mas = result["mas"]
            told = "charge unknown" if mas is None else f"{mas:.3f} mAs indicated"
            click.echo(f"          {result['reason']}, {told}", err=True)

    def line(self, line: Mapping[str, Any]) -> None:
        return None

    def say(self, text: str) -> None:
        if self._person:
            click.echo(f"  >> {text}", err=True)


def _place(index: int, total: int) -> str:
    """Repeated steps make a routine longer than its plan."""
    return f"{index + 1:>4}/{total}" if index < total else f"{index + 1:>4}, more than planned,"


def _words(step: Mapping[str, Any]) -> str:
    if step["is"] == "Fire":
        technique = step["technique"]
        if step["kind"] == ShotKind.DARK.value:
            return str(step["note"])
        each = (
            f"{technique['mas']:g} mAs"
            if technique["mas"] is not None
            else f"{technique['ms'] / 1000:g} s"
        )
        return f"{technique['kv']:g} kV {technique['ma']:g} mA {each}  ({step['note']})"
    if step["is"] == "Pause":
        return f"{step['seconds']:g} s  {step['why']}"
    return str(step["text"])
