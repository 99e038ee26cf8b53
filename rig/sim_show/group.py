"""`dxrig sim show`: what a running simulator says of its room, and what is simulated as physics.

Without a word, and with one of `rig.sim_show.room.VIEWS`, a running simulator is asked. Each
other word is a file of `rig/sim_show/` and needs no simulator.
"""

from __future__ import annotations

from pathlib import Path

import click

from rig.answers import answer_json, answer_table
from rig.options import at_option, bench_option, chosen_bench, json_option
from rig.sim_show import beam, faults, panel, phantom, supply, tube
from rig.sim_show.room import VIEWS

# A new word is a file beside `beam.py`, named here.
PHYSICS = (
    beam.command, panel.command, phantom.command, supply.command, tube.command, faults.command,
)  # fmt: skip
_ABOUT = {
    "room": "Contacts, relays, panel, beam; as without a word.",
    "io": "The same as room.",
    "beams": "Every beam that the simulator made, with its times.",
    "meter": "What an independent meter at 1 m read of each beam.",
    "nets": "When contacts and relays changed.",
}


@click.group(
    name="show",
    invoke_without_command=True,
    subcommand_metavar="[WHAT] [ARGS]...",
    epilog="""\b
Examples:
  dxrig sim show
  dxrig sim show io --json
  dxrig sim show beam --kvp 80 --total-al-mm 3.0
  dxrig sim show phantom chest --out chest.png

room, io, beams, meter and nets ask a running simulator; the others are physics and ask nobody.
""",
)
@bench_option
@at_option
@json_option
@click.pass_context
def command(ctx: click.Context, bench: str | None, at: Path | None, as_json: bool) -> None:
    """Show contacts, relays, beams: the simulator's own word; or the physics of its models."""
    if ctx.invoked_subcommand is None:
        _ask("room", ctx, bench, at, as_json)
    elif ctx.invoked_subcommand not in VIEWS and (
        at or (bench and ctx.invoked_subcommand != "panel")
    ):
        option = "--at" if at else "--bench"
        raise click.UsageError(f"{ctx.invoked_subcommand} asks no simulator: leave out {option}")


def _view(name: str) -> click.Command:
    @click.command(name=name, help=_ABOUT[name])
    @bench_option
    @at_option
    @json_option
    @click.pass_context
    def view(ctx: click.Context, bench: str | None, at: Path | None, as_json: bool) -> None:
        assert ctx.parent is not None
        before = ctx.parent.params  # options may stand before the word, too
        _ask(name, ctx, bench or before["bench"], at or before["at"], as_json or before["as_json"])

    return view


def _ask(what: str, ctx: click.Context, bench: str | None, at: Path | None, as_json: bool) -> None:
    from rig.announce import found
    from rig.simulator import ask

    facts = ask(found(chosen_bench(ctx, bench).name, at), {"kind": "show"})
    if as_json:
        facts.pop("kind", None)
        facts.pop("schema", None)
        answer_json(facts)
        return
    headings, rows = VIEWS[what](facts)
    answer_table(headings, rows)


for _name in VIEWS:
    command.add_command(_view(_name))
for _physics in PHYSICS:
    command.add_command(_physics)
