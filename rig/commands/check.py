"""`dxrig check`: the controller itself proved, without a bench."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import CheckFailed
from rig.options import json_option

if TYPE_CHECKING:
    from rig.search.explore import Found


@click.group(
    epilog="""\b
Examples:
  dxrig check search
"""
)
def command() -> None:
    """Check the controller itself; no bench and no device is needed."""


@command.command(
    epilog="""\b
Examples:
  dxrig check search
  dxrig check search --faults 1 --json | jq .violations

Exit code 1 when a property is broken; the shortest way to it is told.
"""
)
@click.option(
    "--faults",
    type=click.IntRange(0, 2),
    default=2,
    show_default=True,
    help="How many devices may be wrong at a time.",
)
@json_option
def search(faults: int, as_json: bool) -> None:
    """Go through every state that the controller reaches in a small world, and judge each step.

    Deadlines are a few scans long there; what is not covered stands in rig/search/explore.py.
    """
    from rig.search.explore import Search

    found = Search(faults).run()
    if as_json:
        counts = {"reached": dict(found.reached), "rows": dict(found.rows)}
        answer_json({"faults": faults, **asdict(found), **counts, "beams": dict(found.beams)})
    else:
        _tell(found)
    if found.violations:
        raise CheckFailed(f"{len(found.violations)} properties are broken")


def _tell(found: Found) -> None:
    click.echo(
        f"{found.states} states, {found.transitions} transitions, {found.seconds:.1f} s, "
        f"{len(found.violations)} violations"
    )
    answer_table(("state", "count"), [(name, str(n)) for name, n in found.reached.items()])
    answer_table(
        ("row of the table", "taken"), [(r, str(n)) for r, n in sorted(found.rows.items())]
    )
    for violation in found.violations:
        click.echo(f"\n{violation.what}")
        for words in violation.path:
            click.echo(f"  {words}")
