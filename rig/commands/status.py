"""`dxrig status`: what the running unit is doing, and why a press would be refused."""

from __future__ import annotations

import click

from rig.answers import answer_json
from rig.options import bench_option, json_option


@click.command(
    epilog="""\b
Examples:
  dxrig status
  dxrig status --bench portable --json

Exit code 3 when no unit of the bench runs.
"""
)
@bench_option
@json_option
@click.pass_context
def command(ctx: click.Context, bench: str | None, as_json: bool) -> None:
    """Show what the running unit is doing."""
    from rig.unit_client import RunningUnit, bench_name
    from rig.unit_view import tell_status

    unit = RunningUnit(bench_name(ctx.obj, bench))
    try:
        status = unit.ask("status")
    finally:
        unit.close()
    if as_json:
        answer_json({"bench": unit.bench, **status})
    else:
        tell_status(unit.bench, status)
