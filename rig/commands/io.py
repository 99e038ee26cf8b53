"""`dxrig io`: the room's contacts live, and its lamps and relays one at a time, without a beam."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.guards import Ports
    from rig.room_watch import RoomWatch

PULSE_S = 1.0
TESTED = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor")  # as in rig.io_view


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  dxrig io
  dxrig io --once --json
  dxrig io test beam_lamp

No generator is addressed and all outputs are off: a press of the handswitch does nothing.
The bench is held meanwhile, so no unit can run beside it.
""",
)
@bench_option
@at_option
@click.option("--once", is_flag=True, help="One table, then end.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, bench: str | None, at: Path | None, once: bool, as_json: bool
) -> None:
    """Show the room's contacts and relays live."""
    if ctx.invoked_subcommand is not None:
        return
    from rig.io_view import HEADINGS, Contacts, live, on_terminal, plain

    contacts = Contacts()
    with _room(ctx, bench, at, allow_outputs=None) as (name, _, room):
        contacts.take(room.first_sample())
        room.make_safe()

        def rows() -> Any:
            contacts.take(room.poll())
            time.sleep(0.005)
            return contacts.rows(room.coils())

        if as_json:
            answer_json({"bench": name, "contacts": plain(room.poll()), "outputs": room.coils()})
        elif once or not on_terminal():
            answer_table(HEADINGS[:3], [row[:3] for row in rows()], title=f"Room of bench {name}")
        else:
            live(f"Room of bench {name}", rows)


@command.command(
    epilog="""\b
Examples:
  dxrig io test beam_lamp
  dxrig io test enable --json
  dxrig io test contactor --bench mine.toml --allow-outputs

One output at a time, for a second; no generator is addressed. Exit code 1 when the module
or the lamp current says something else than what was asked for.
"""
)
@click.argument("output", type=click.Choice(TESTED))
@bench_option
@at_option
@click.option("--allow-outputs", is_flag=True, help="Permit switching on a real bench.")
@json_option
@click.pass_context
def test(
    ctx: click.Context,
    output: str,
    bench: str | None,
    at: Path | None,
    allow_outputs: bool,
    as_json: bool,
) -> None:
    """Switch one output on for a second and read it back."""
    from rig.exit_codes import CHECK_FAILED
    from rig.io_view import ALONE

    above = ctx.parent.params if ctx.parent else {}
    bench, at = bench or above.get("bench"), at or above.get("at")
    with _room(ctx, bench, at, allow_outputs=allow_outputs) as (name, _, room):
        room.first_sample()
        room.make_safe()
        sample = room.hold(ALONE[output], PULSE_S)
        on = room.coils().get(output)
        lamp = sample.lamp_current if output == "beam_lamp" else None
        room.make_safe()
        off = room.coils().get(output)
    good = on is not False and lamp is not False and off is not True
    found = {"output": output, "on": on, "off_again": None if off is None else not off}
    if as_json:
        answer_json({"bench": name, **found, "lamp_current": lamp, "good": good})
    else:
        click.echo(_told(output, on, lamp, off))
    ctx.exit(0 if good else CHECK_FAILED)


def _told(output: str, on: bool | None, lamp: bool | None, off: bool | None) -> str:
    words = {True: "on", False: "off", None: "not read back"}
    current = "" if lamp is None else f", lamp current {'flows' if lamp else 'NONE'}"
    return f"{output}: asked for on, reads {words[on]}{current}; then off, reads {words[off]}"


@contextmanager
def _room(
    ctx: click.Context, bench: str | None, at: Path | None, *, allow_outputs: bool | None
) -> Iterator[tuple[str, Ports, RoomWatch]]:
    """`allow_outputs`: None = nothing will be switched on."""
    from rig.bench_lock import hold_bench
    from rig.guards import permit_outputs, ports_of
    from rig.room_watch import RoomWatch
    from rig.state_dir import bench_state

    chosen = chosen_bench(ctx, bench)
    ports = ports_of(chosen, at=at)
    if allow_outputs is not None:
        permit_outputs(ports, allowed=allow_outputs)
    with hold_bench(bench_state(chosen.name), "dxrig io"), RoomWatch(ports.unit) as room:
        yield chosen.name, ports, room
