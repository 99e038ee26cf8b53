"""`dxrig diff`: where two runs part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.options import json_option

if TYPE_CHECKING:
    from rig.diff import Difference, Excerpt


@click.command(
    epilog="""\b
Examples:
  dxrig diff runs/monday runs/tuesday
  dxrig diff --no-times runs/model runs/wire

Exit code 1 when trace, technique, bench, seed or versions differ. On the wire rung no two
runs have the same times: --no-times compares what happened, not when.
"""
)
@click.argument("run_a", metavar="RUN_A", type=click.Path(path_type=Path))
@click.argument("run_b", metavar="RUN_B", type=click.Path(path_type=Path))
@click.option("--times/--no-times", default=True, show_default=True, help="Compare times too.")
@json_option
@click.pass_context
def command(ctx: click.Context, run_a: Path, run_b: Path, times: bool, as_json: bool) -> None:
    """Show the first difference between two runs."""
    from dataclasses import asdict

    from rig.diff import compare

    found = compare(run_a, run_b, times=times)
    if as_json:
        answer_json(
            {"equal": found.equal, "run_a": str(run_a), "run_b": str(run_b), **asdict(found)}
        )
    else:
        _tell(found, run_a, run_b)
    ctx.exit(0 if found.equal else 1)


def _tell(found: Difference, run_a: Path, run_b: Path) -> None:
    if found.equal:
        click.echo("equal: trace and facts")
        return
    if found.facts:
        rows = [(fact.name, _word(fact.a), _word(fact.b)) for fact in found.facts]
        answer_table(("fact", "a", "b"), rows)
        click.echo()
    if found.line is None or found.a is None or found.b is None:
        click.echo("the traces are equal")
        return
    click.echo(f"the traces part at line {found.line}")
    _tell_excerpt("a", run_a, found.a)
    _tell_excerpt("b", run_b, found.b)


def _tell_excerpt(name: str, run: Path, excerpt: Excerpt) -> None:
    click.echo(f"\n{name}: {run}")
    lines = list(excerpt.lines)
    if excerpt.at == len(lines):
        lines.append("(the trace ends here)")
    for index, line in enumerate(lines):
        differs = index == excerpt.at
        text = f"{'>' if differs else ' '} {excerpt.first_line + index:>5}  {line}"
        click.echo(click.style(text, fg="red") if differs else text)


def _word(value: object) -> str:
    return "-" if value is None else str(value)
