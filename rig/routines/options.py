"""Options that every routine has: where it runs, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def routine_options(command: F) -> F:
    options = (
        click.option(
            "--rung", type=click.Choice(["model", "wire", "bench"]),
            help="model: in virtual time; wire: a running `sim up`; bench: real ports.",
        ),
        click.option(
            "--at", type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="File with the line that `sim up --json` printed; else found by bench name.",
        ),
        click.option(
            "--hand", type=click.Choice(["auto", "none"]),
            help="auto: a simulated person (default in a simulated room); none: you.",
        ),
        click.option("--operator", metavar="NAME", help="Who does it; stands in the record."),
        click.option(
            "--instrument", "instruments", multiple=True, metavar="NAME,SERIAL,DUE",
            help="A meter that was used; stands in the record. Repeatable.",
        ),
        click.option(
            "--state", type=click.Path(file_okay=False, path_type=Path),
            help="Model rung: keep sets, journal and records here; default: a fresh state.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), help="New folder for the run's files."
        ),
        click.option("--restart", is_flag=True, help="Begin anew; do not resume what was cut off."),
        click.option(
            "--wait-s", type=click.FloatRange(1, 3600), default=300.0, show_default=True,
            help="How long to wait for a press.",
        ),
        click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing."),
        click.option("--allow-exposure", is_flag=True, help="Permit X-rays (real bench)."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command
