"""`dxrig recover`: exposures that an earlier run left incomplete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import CHECK_FAILED, UsageError
from rig.options import bench_option, json_option

if TYPE_CHECKING:
    from rig.recovery import Open


@click.command(
    epilog="""\b
Examples:
  dxrig recover
  dxrig recover --acknowledge x-0123456789ab --who "R. Hoffmann" --why "power cut, phantom only"

Exit code 1 while an exposure is open: `dxrig expose` is refused until somebody has looked.
The record itself stays as it is; name and reason stand beside it.
"""
)
@bench_option
@click.option("--acknowledge", "shot_id", metavar="SHOT_ID", help="Somebody has looked at it.")
@click.option("--who", help="Name of the person; with --acknowledge.")
@click.option("--why", help="What happened, in a sentence; with --acknowledge.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    bench: str | None,
    shot_id: str | None,
    who: str | None,
    why: str | None,
    as_json: bool,
) -> None:
    """List and acknowledge exposures that an earlier run left incomplete."""
    from rig.recovery import acknowledge, open_exposures
    from rig.state_dir import state_home
    from rig.unit_client import bench_name

    name = bench_name(ctx.obj, bench)
    state = state_home() / name
    if shot_id is not None:
        if not (who or "").strip() or not (why or "").strip():
            raise UsageError("--acknowledge: say --who does it and --why")
        acknowledge(state, shot_id, who=who or "", why=why or "")
    elif who is not None or why is not None:
        raise UsageError("--who and --why go with --acknowledge SHOT_ID")
    found = open_exposures(state)
    _answer(name, found, as_json=as_json)
    ctx.exit(CHECK_FAILED if found else 0)


def _answer(bench: str, found: list[Open], *, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        answer_json({"bench": bench, "open": [asdict(one) for one in found]})
    elif not found:
        click.echo(f"Bench {bench}: no incomplete exposure")
    else:
        rows = [(o.shot_id, o.at, _technique(o.technique), o.missing, o.dose) for o in found]
        headings = ("exposure", "when", "technique", "missing", "dose")
        answer_table(headings, rows, title=f"Incomplete exposures of bench {bench}")
        click.echo(f"dxrig recover --bench {bench} --acknowledge ID --who NAME --why TEXT")


def _technique(found: dict[str, float | None]) -> str:
    units = (("kv", "kV"), ("ma", "mA"), ("mas", "mAs"), ("ms", "ms"))
    return " ".join(f"{found[name]:g} {unit}" for name, unit in units if found.get(name))
