"""`dxrig stop`: ask the unit to end the beam or the preparation. Needs no lock and no rights."""

from __future__ import annotations

import time

import click

from rig.answers import answer_json
from rig.options import bench_option, json_option

ENDING_S = 0.1
LOOK_S = 0.01


@click.command(
    epilog="""\b
Examples:
  dxrig stop
  dxrig stop --bench portable --json

It may be given at any time and more than once. What ends a beam without any program is the
handswitch, the emergency stop, the wired chain and the generator's own timer.
"""
)
@bench_option
@json_option
@click.pass_context
def command(ctx: click.Context, bench: str | None, as_json: bool) -> None:
    """End the beam of the running unit, or its preparation."""
    from rig.unit_client import RunningUnit, bench_name

    unit = RunningUnit(bench_name(ctx.obj, bench))
    try:
        status = unit.ask("stop")
        end_s = time.monotonic() + ENDING_S
        while status["beam_ahead"] and time.monotonic() < end_s:
            time.sleep(LOOK_S)
            status = unit.ask("status")
    finally:
        unit.close()
    if as_json:
        answer_json({"bench": unit.bench, "state": status["state"], "why": status["why"]})
    else:
        from rig.unit_view import tell_state

        tell_state(status)
