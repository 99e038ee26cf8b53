"""Scenarios that ran, for people and for programs: a line each, or a table of several benches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from rig.answers import answer_table
from rig.outcomes import Outcome

MARKS = {"pass": "green", "FAIL": "red", "skip": "yellow"}


def mark(outcome: Outcome) -> str:
    if outcome.not_run is not None:
        return "skip"
    return "FAIL" if outcome.failed else "pass"


def line(outcome: Outcome, name: str, name_width: int) -> str:
    """With all its problems, and all that was not judged, below it."""
    told = click.style(mark(outcome), fg=MARKS[mark(outcome)])
    lines = [f"{told}  {name:<{name_width}}  {outcome.seconds:5.1f} s  {outcome.title}"]
    if outcome.not_run is not None:
        lines = [f"{told}  {name:<{name_width}}  {outcome.not_run}"]
    found = outcome.problems if outcome.error is None else (outcome.error,)
    lines += [f"      {problem}" for problem in found]
    return "\n".join(lines + [f"      skipped: {text}" for text in outcome.skipped])


def tell_table(ended: Sequence[Outcome]) -> None:
    """Scenario x bench; below it why a bench does not run some, each reason once."""
    benches = list(dict.fromkeys(outcome.bench for outcome in ended))
    marks = {(outcome.name, outcome.bench): mark(outcome) for outcome in ended}
    rows = [
        (name, *(marks.get((name, bench), "") for bench in benches))
        for name in dict.fromkeys(outcome.name for outcome in ended)
    ]
    answer_table(("scenario", *benches), rows)
    reasons: dict[tuple[str, str], list[str]] = {}
    for outcome in ended:
        if outcome.not_run is not None:
            reasons.setdefault((outcome.bench, outcome.not_run), []).append(outcome.name)
    for (bench, reason), names in reasons.items():
        click.echo(f"\nskipped on {bench}: {', '.join(names)}\n  {reason}")


def total(ended: Sequence[Outcome], rung: str, seconds: float) -> str:
    counts = [
        f"{sum(outcome.passed for outcome in ended)} passed",
        f"{sum(outcome.failed for outcome in ended)} failed",
    ]
    if not_run := sum(outcome.not_run is not None for outcome in ended):
        counts.append(f"{not_run} not run")
    if skipped := _skipped_count(ended):
        counts.append(f"{skipped} expectations skipped")
    return f"{', '.join(counts)} on the {rung} rung in {seconds:.1f} s"


def _skipped_count(ended: Sequence[Outcome]) -> int:
    """Expectations that the rung can't judge; their scenarios did run."""
    return sum(len(outcome.skipped) for outcome in ended)


def content(rung: str, benches: Sequence[str], ended: Sequence[Outcome]) -> dict[str, Any]:
    """`bench` stands beside `benches` where it is one; `not_run`: with the reason, in its row."""
    one = {"bench": benches[0]} if len(benches) == 1 else {}
    return {
        "rung": rung,
        **one,
        "benches": list(benches),
        "passed": sum(outcome.passed for outcome in ended),
        "failed": sum(outcome.failed for outcome in ended),
        "not_run": sum(outcome.not_run is not None for outcome in ended),
        "skipped": _skipped_count(ended),
        "scenarios": [{**asdict(outcome), "passed": outcome.passed} for outcome in ended],
    }
