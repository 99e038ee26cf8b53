"""`dxrig snapshot`: a bench as it is now, in one file; and what a visit changed."""

from __future__ import annotations

import textwrap
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.service.params_device import Known


@click.group(
    epilog="""\b
Examples:
  dxrig snapshot take start.json
  dxrig snapshot take end.json --clock 2026-11-22T16:00:05+00:00
  dxrig snapshot compare start.json end.json
"""
)
def command() -> None:
    """Keep a bench's state in one file, and compare two."""


@command.command(
    epilog="""\b
Examples:
  dxrig snapshot take start.json
  dxrig snapshot take start.json --clock 2026-11-22T16:00:05+00:00 --json

Firmware, settings and counters of the devices, versions, ports, errors of the last runs with
their dates, the computer's clock. Asks, changes nothing. A device that does not answer stands
in it with the reason, and the exit code is 3; beside a unit that runs its status is taken.
--clock: a clock you trust, as you read it now; the offset stands in the file.
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@bench_option
@at_option
@click.option("--clock", metavar="TIME", help="What a trusted clock says now, with time zone.")
@json_option
@click.pass_context
def take(
    ctx: click.Context,
    file: Path,
    bench: str | None,
    at: Path | None,
    clock: str | None,
    as_json: bool,
) -> None:
    """Write how the bench is now to a new file."""
    from datetime import UTC

    from rig.exit_codes import DEVICE
    from rig.service.cause import place_of
    from rig.service.snapshot import taken, write_snapshot
    from rig.service.unit_io import running_unit
    from rig.state_dir import state_home

    now, reference = datetime.now(UTC), _read_clock(clock)
    chosen = chosen_bench(ctx, bench)
    running = running_unit(chosen.name)
    devices = {} if running else _ask(chosen, at)
    state = state_home() / chosen.name
    found = taken(
        chosen, state, place_of(chosen), devices,
        unit=running[0] if running else None, at=now, reference=reference,
    )  # fmt: skip
    write_snapshot(file, found)
    silent = {name: told for name, told in devices.items() if isinstance(told, str)}
    if as_json:
        answer_json({"saved": str(file), "snapshot": found})
    else:
        _tell(file, found, silent)
    ctx.exit(DEVICE if silent else 0)


def _read_clock(text: str | None) -> datetime | None:
    from rig.exit_codes import UsageError

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--clock {text}: {error}; write 2026-11-22T16:00:05+00:00") from error
    if found.tzinfo is None:
        raise UsageError(f"--clock {text}: has no time zone; write 2026-11-22T16:00:05+00:00")
    return found


def _ask(bench: Bench, at: Path | None) -> dict[str, Known | str]:
    """What each device says, or why it does not."""
    from rig.exit_codes import DeviceError, UsageError
    from rig.service.params_device import read_device
    from rig.service.port import open_port, talker_on
    from rig.service.snapshot import why_not

    found: dict[str, Known | str] = {}
    for link in ("generator", "room"):
        try:
            with open_port(bench, link, at, "dxrig snapshot") as (unit, port, _):
                found[link] = read_device(unit, link, talker_on(unit, link, port))
        except (DeviceError, UsageError) as error:  # UsageError: nothing is known to ask it
            found[link] = why_not(error)
    return found


def _tell(file: Path, found: dict[str, Any], silent: dict[str, str]) -> None:
    counters = ", ".join(f"{name} {value}" for name, value in found["counters"].items())
    click.echo(f"bench {found['bench']['name']}: {counters}")
    for name, one in found["devices"].items():
        if name not in silent:
            kept = ", ".join(f"{key} {value}" for key, value in one["counters"].items())
            told = filter(None, (one["model"], one["serial"], one["firmware"], kept))
            click.echo(f"{name}: {one['driver']} {', '.join(told)}".rstrip())
    for name, why in silent.items():
        click.echo(f"{name}: NOT ASKED: {why}")
    if found["unit"]:
        click.echo(f"a unit runs: {found['unit']['state']}; its devices were not asked")
    clock = found["computer"]["clock"]
    word = {True: "synchronised", False: "NOT synchronised", None: "not known"}
    click.echo(f"clock of this computer: {word[clock['synchronised']]}{_offset(clock)}")
    errors, runs = _counted(found["errors"], "error"), _counted(found["runs"], "run")
    click.echo(f"{errors} in the last {runs}")
    for one in found["errors"][:5]:
        click.echo(f"  {one['at'] or 'no date':<29} {', '.join(one['codes'])}")
    click.echo(f"saved in {file}")


def _counted(found: list[Any], word: str) -> str:
    return f"{len(found)} {word}{'' if len(found) == 1 else 's'}"


def _offset(clock: dict[str, Any]) -> str:
    offset_s = clock.get("offset_to_reference_s")
    return "" if offset_s is None else f", {offset_s:+.1f} s to the clock given"


@command.command(
    epilog="""\b
Example:
  dxrig snapshot compare start.json end.json

Exit code 1 when something differs.
"""
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def compare(ctx: click.Context, a: Path, b: Path, as_json: bool) -> None:
    """Show what changed from one snapshot to another."""
    from rig.exit_codes import CHECK_FAILED
    from rig.service.snapshot import changes, compared, read_snapshot

    found = compared(read_snapshot(a), read_snapshot(b))
    if as_json:
        answer_json(found)
    elif not any(found.values()):
        click.echo(f"{a.name} and {b.name}: no difference")
    else:
        click.echo(f"from {a.name} to {b.name}:")
        for key, was, is_ in changes(found["changed"]):
            click.echo(f"  {key}: {was} -> {is_}")
        for one in found["new_errors"]:
            click.echo(f"new error {one['at'] or 'without date'} ({', '.join(one['codes'])})")
            click.echo(textwrap.fill(one["text"], 76, initial_indent="  ", subsequent_indent="  "))
        for one in found["new_runs"]:
            click.echo(f"new run {one['run']}: {one['end_reason'] or 'no exposure'}")
    ctx.exit(CHECK_FAILED if any(found.values()) else 0)
