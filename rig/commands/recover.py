"""`dxrig recover`: exposures that an earlier run left incomplete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.exit_codes import CHECK_FAILED, UsageError
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.panel_fetch import Fetched
    from rig.recovery import Open


@click.command(
    epilog="""\b
Examples:
  dxrig recover
  dxrig recover --fetch
  dxrig recover --acknowledge x-0123456789ab --who "YOUR NAME" --why "power cut, phantom only"

Exit code 1 while an exposure is open: `dxrig expose` is refused until somebody has looked.
The record itself stays as it is; name and reason stand beside it.

--fetch asks the panel for the frames that it still keeps, and makes their images with the
UIDs of their exposures. Nothing is irradiated; no unit may run meanwhile.
"""
)
@bench_option
@click.option("--fetch", is_flag=True, help="Ask the panel's memory for missing frames.")
@at_option
@click.option("--acknowledge", "shot_id", metavar="SHOT_ID", help="Somebody has looked at it.")
@click.option("--who", help="Name of the person; with --acknowledge.")
@click.option("--why", help="What happened, in a sentence; with --acknowledge.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    bench: str | None,
    fetch: bool,
    at: Path | None,
    shot_id: str | None,
    who: str | None,
    why: str | None,
    as_json: bool,
) -> None:
    """List, fetch and acknowledge exposures that an earlier run left incomplete."""
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
    fetched = _fetch(ctx, bench, at) if fetch else None
    found = open_exposures(state)
    _answer(name, found, fetched, as_json=as_json)
    ctx.exit(CHECK_FAILED if found else 0)


def _fetch(ctx: click.Context, bench: str | None, at: Path | None) -> list[Fetched]:
    from rig.guards import ports_of
    from rig.panel_fetch import fetch
    from rig.state_dir import bench_state

    chosen = chosen_bench(ctx, bench)
    ports = ports_of(chosen, at=at)
    return fetch(ports.unit, bench_state(chosen.name), lambda text: click.echo(text, err=True))


def _answer(bench: str, found: list[Open], fetched: list[Fetched] | None, *, as_json: bool) -> None:
    from rig.recovery_page import page

    if as_json:
        from dataclasses import asdict

        content: dict[str, Any] = {"bench": bench, "open": [asdict(one) for one in found]}
        if fetched is not None:
            content["fetched"] = [asdict(one) for one in fetched]
        answer_json(content)
        return
    for line in page(bench, found, fetched):
        click.echo(line)
