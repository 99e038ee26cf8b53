"""`dxrig why`: one sentence that says who refused or ended the beam."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json
from rig.options import bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.service.cause import Cause

WIDTH = 80


@click.command(
    epilog="""\b
Examples:
  dxrig why
  dxrig why x-d396be15c7c0
  dxrig why runs/20261121T200405Z-portable-1a2b3c --json

Without a name: the running unit of the bench, else its newest run. The layer is one of person,
interlock contact, room I/O, generator, panel, supervisor, recorder, duty, timer, programme,
unit. It is read from the run's own trace; contacts are named with input and terminal.
"""
)
@click.argument("named", metavar="[RUN|SHOT]", required=False)
@bench_option
@json_option
@click.pass_context
def command(ctx: click.Context, named: str | None, bench: str | None, as_json: bool) -> None:
    """Say in one sentence who refused or ended the beam, and what to do next."""
    from dataclasses import asdict

    chosen = chosen_bench(ctx, bench)
    run, cause = _found(chosen, named)
    if as_json:
        answer_json({"bench": chosen.name, "run": str(run), **asdict(cause)})
        return
    _tell(f"{cause.layer}: {cause.sentence}")
    _tell(f"-> {cause.next}")
    click.echo(f"run {run}")


def _tell(text: str) -> None:
    """Wrapped for a person; one line for a program."""
    click.echo(textwrap.fill(text, WIDTH) if sys.stdout.isatty() else text)


def _found(bench: Bench, named: str | None) -> tuple[Path, Cause]:
    from rig.service.cause import place_of
    from rig.service.runs import find_run
    from rig.service.unit_io import running_unit
    from rig.service.why import why_of_run, why_of_unit
    from rig.state_dir import state_home

    if named is None and (running := running_unit(bench.name)) is not None:
        status, folder = running
        return folder, why_of_unit(status, folder, place_of(bench))
    run, shot = find_run(state_home() / bench.name, named)
    return run, why_of_run(run, place_of(_bench_of(run, bench)), shot)


def _bench_of(run: Path, chosen: Bench) -> Bench:
    """As the bench was in that run; a killed run kept no copy of it."""
    from rig.bench import load_bench

    kept = run / "bench.toml"
    return load_bench(kept) if kept.is_file() else chosen
