"""`dxrig reset`: clear a latched fault, on this machine, when its cause is gone (SR-41)."""

from __future__ import annotations

import time

import click

from rig.answers import answer_json
from rig.exit_codes import REFUSED
from rig.options import bench_option, json_option

TAKES_S = 0.05  # some scans


@click.command(
    epilog="""\b
Examples:
  dxrig reset
  dxrig reset --bench portable --json

Exit code 4 while something stands in the way; it is named. LOCKED also needs the key switch
turned off and on. There is no reset from afar, and none of a beam.
"""
)
@bench_option
@json_option
@click.pass_context
def command(ctx: click.Context, bench: str | None, as_json: bool) -> None:
    """Clear a latched fault whose cause is gone."""
    from rig.unit_client import RunningUnit, bench_name
    from rig.unit_states import LATCHED
    from rig.unit_view import tell_state, tell_way

    unit = RunningUnit(bench_name(ctx.obj, bench))
    try:
        unit.ask("reset")
        time.sleep(TAKES_S)
        status = unit.ask("status")
    finally:
        unit.close()
    latched = status["state"] in LATCHED
    if as_json:
        names = ("state", "why", "faults", "reset_waits_for")
        answer_json({"bench": unit.bench, "reset": not latched, **{n: status[n] for n in names}})
    else:
        tell_state(status)
        tell_way(status)
    ctx.exit(REFUSED if latched else 0)
