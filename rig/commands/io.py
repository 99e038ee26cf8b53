"""`dxrig io`: the room's contacts live, and its lamps and relays one at a time, without a beam."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.room_watch import RoomWatch
    from rig.service.io_test import Step
    from rig.service.pins import Pin

PULSE_S = 1.0
TESTED = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor")  # as in rig.io_view


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  dxrig io
  dxrig io --once --json
  dxrig io test beam_lamp
  dxrig io test all

Beside a unit that runs it shows what the unit reads and drives, and what is expected in its
state. Without one this command owns the bench: no generator is addressed, all outputs are
off, and a press of the handswitch does nothing.
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
    chosen = chosen_bench(ctx, bench)
    once = once or as_json or not sys.stdout.isatty()
    if not _show_unit(chosen, once=once, as_json=as_json):
        _show_room(chosen, at, once=once, as_json=as_json)


def _pins(bench: Bench) -> dict[str, Pin]:
    from rig.service.pins import pins

    return pins(bench.terminals.model_dump())


def _show_unit(bench: Bench, *, once: bool, as_json: bool) -> bool:
    """False: no unit runs."""
    from rig.io_view import Contacts, live
    from rig.service.unit_io import Commanded, running_unit

    running = running_unit(bench.name)
    if running is None:
        return False
    status, folder = running
    contacts, outputs = Contacts(_pins(bench)), Commanded(folder)
    contacts.take(status["room"])

    def rows() -> Any:
        status, _ = running_unit(bench.name) or running
        contacts.take(status["room"])
        time.sleep(0.2)
        return contacts.rows(outputs.now(), status["state"])

    if as_json:
        _answer(bench, status["room"], outputs.now(), status["state"])
    elif once:
        _table(
            contacts.rows(outputs.now(), status["state"]),
            f"Room of bench {bench.name}, unit in {status['state']}; outputs as it drives them",
        )
    else:
        live(f"Room of bench {bench.name}, by its unit", rows)
    return True


def _show_room(bench: Bench, at: Path | None, *, once: bool, as_json: bool) -> None:
    from rig.io_view import Contacts, live

    contacts = Contacts(_pins(bench))
    with _room(bench, at, allow_outputs=None) as room:
        contacts.take(room.first_sample())
        room.make_safe()

        def rows() -> Any:
            contacts.take(room.poll())
            time.sleep(0.005)
            return contacts.rows(room.coils())

        title = f"Room of bench {bench.name}, no unit runs: as before a press, HV inhibited"
        if as_json:
            _answer(bench, room.poll(), room.coils(), "")
        elif once:
            _table(rows(), title)
        else:
            live(title, rows)


def _answer(bench: Bench, sample: Any, outputs: Any, state: str) -> None:
    from rig.io_view import facts, plain

    contacts = plain(sample)
    found = facts(_pins(bench), {**contacts, **outputs}, state)
    good = all(one["as_expected"] is not False for one in found)
    answer_json(
        {
            "bench": bench.name, "state": state or None, "contacts": contacts,
            "outputs": dict(outputs), "as_expected": good, "pins": found,
        }
    )  # fmt: skip


def _table(rows: Any, title: str) -> None:
    from rig.io_view import HEADINGS

    answer_table(HEADINGS[:6], [row[:6] for row in rows], title=title)


@command.command(
    epilog="""\b
Examples:
  dxrig io test beam_lamp
  dxrig io test all
  dxrig io test all --contacts --wait-s 60
  dxrig io test contactor --bench mine.toml --allow-outputs

Before each output high voltage is proved inhibited: enable relay, contactor, PREP and EXPOSE
lines read open, the handswitch is released, no unit runs, the generator's port stays shut;
else exit code 4 and nothing is switched. One output at a time. `all` goes through the
outputs, and with --contacts (the default on a terminal) asks you to move each contact.
Exit code 1 when something read differs from what was asked for.
"""
)
@click.argument("output", type=click.Choice((*TESTED, "all")))
@bench_option
@at_option
@click.option("--allow-outputs", is_flag=True, help="Permit switching on a real bench.")
@click.option("--contacts/--no-contacts", default=None, help="Of `all`: also the contacts.")
@click.option(
    "--wait-s",
    type=click.FloatRange(0.1, 600),
    default=30.0,
    show_default=True,
    help="How long to wait for each move of a contact.",
)
@json_option
@click.pass_context
def test(
    ctx: click.Context,
    output: str,
    bench: str | None,
    at: Path | None,
    allow_outputs: bool,
    contacts: bool | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Switch one output on for a second and read it back, or go through all."""
    from rig.exit_codes import CHECK_FAILED

    above = ctx.parent.params if ctx.parent else {}
    chosen = chosen_bench(ctx, bench or above.get("bench"))
    with _room(chosen, at or above.get("at"), allow_outputs=allow_outputs) as room:
        room.first_sample()
        if output == "all":
            moved = sys.stdin.isatty() and not as_json if contacts is None else contacts
            good = _test_all(chosen, room, wait_s=wait_s if moved else None, as_json=as_json)
        else:
            good = _test_one(chosen, room, output, as_json=as_json)
    ctx.exit(0 if good else CHECK_FAILED)


def _test_one(bench: Bench, room: RoomWatch, output: str, *, as_json: bool) -> bool:
    from rig.service.io_test import switched, told

    found = switched(room, _pins(bench), output, PULSE_S)
    if as_json:
        read = {"on": found.on, "off_again": found.off_again, "alone": found.alone}
        lamp = {"lamp_current": found.lamp_current, "good": found.good}
        answer_json({"bench": bench.name, "output": output, **read, **lamp})
    else:
        click.echo(f"{output}: {told(found)}")
    return found.good


def _test_all(bench: Bench, room: RoomWatch, *, wait_s: float | None, as_json: bool) -> bool:
    """`wait_s`: for each move of a contact; None: contacts are left out."""
    from dataclasses import asdict

    from rig.service.io_test import contact_steps, output_steps, proved

    pins = _pins(bench)
    kept_off = proved(room, pins)
    steps: list[Step] = []

    def tell(text: str) -> None:
        click.echo(text, err=as_json)  # a person reads it; the answer has stdout

    for text in kept_off:
        tell(f"proved: {text}")
    found = output_steps(room, pins, hold_s=PULSE_S, seen=_asker(as_json=as_json))
    for step in found:
        steps.append(step)
        tell(_line(step))
    if wait_s is not None:
        for step in contact_steps(room, pins, wait_s=wait_s, say=tell):
            steps.append(step)
            tell(_line(step))
    good = all(step.good is not False for step in steps)
    if as_json:
        rows = [asdict(step) for step in steps]
        answer_json({"bench": bench.name, "proved": kept_off, "steps": rows, "good": good})
    else:
        _sum_up(steps, with_contacts=wait_s is not None)
    return good


def _line(step: Step) -> str:
    return f"{_VERDICT[step.good]:<9}{step.what}: {step.found}"


_VERDICT = {True: "pass", False: "FAIL", None: "look"}


def _sum_up(steps: list[Step], *, with_contacts: bool) -> None:
    failed = [step.what for step in steps if step.good is False]
    unseen = [step.what for step in steps if step.good is None]
    passed = len(steps) - len(failed) - len(unseen)
    click.echo(f"\n{passed} passed, {len(failed)} failed, {len(unseen)} not judged")
    for what in failed:
        click.echo(f"FAIL  {what}")
    for what in unseen:
        click.echo(f"look  {what}: nobody said whether it was seen")
    if not with_contacts:
        click.echo("The contacts were left out; --contacts asks you to move each.")


def _asker(*, as_json: bool) -> Any:
    """Asks the person in front of a terminal; elsewhere nobody looked."""
    if as_json or not sys.stdin.isatty():
        return lambda name: None
    return lambda name: click.confirm(f"Was {name.replace('_', ' ')} on for a moment?")


@contextmanager
def _room(bench: Bench, at: Path | None, *, allow_outputs: bool | None) -> Iterator[RoomWatch]:
    """`allow_outputs`: None = nothing will be switched on."""
    from rig.bench_lock import hold_bench
    from rig.guards import permit_outputs, ports_of
    from rig.room_watch import RoomWatch
    from rig.state_dir import bench_state

    ports = ports_of(bench, at=at)
    if allow_outputs is not None:
        permit_outputs(ports, allowed=allow_outputs)
    with hold_bench(bench_state(bench.name), "dxrig io"), RoomWatch(ports.unit) as room:
        yield room
