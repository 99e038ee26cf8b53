"""`dxrig params`: settings of generator and I/O module saved, compared, and put back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from firmware_py.config import UnitConfig
    from rig.bench import Bench
    from rig.service.params_device import Known, Write
    from rig.service.talk import Talker

LINKS = ("generator", "room")


@click.group(
    epilog="""\b
Examples:
  dxrig params save before.toml
  dxrig params diff before.toml
  dxrig params diff before.toml after.toml --json
  dxrig params restore before.toml

Read before any write. What a device does not tell over its wire stands in the file under
[generator.by_hand] and [room.by_hand], empty, for you to type: an IXS tells neither its
set-points nor its watchdog time, a Spellman no serial number. `diff` compares it, and
`restore` tells it to be set by hand.
"""
)
def command() -> None:
    """Save, compare and restore the settings of a bench's devices."""


@command.command(
    epilog="""\b
Example:
  dxrig params save before.toml

Serial number, model, firmware, settings, counters, and the limits of the bench file. Asks,
changes nothing; an existing file is never overwritten.
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@bench_option
@at_option
@json_option
@click.pass_context
def save(ctx: click.Context, file: Path, bench: str | None, at: Path | None, as_json: bool) -> None:
    """Write the devices' settings to a new TOML file."""
    from rig.service.params import sheet, write_params

    found = _read_all(chosen_bench(ctx, bench), at)
    write_params(file, found)
    if as_json:
        answer_json({"saved": str(file), "params": found})
        return
    for link in LINKS:
        one = found[link]
        name = " ".join(filter(None, (one["model"], one["serial"]))) or "tells no name"
        click.echo(f"{link}: {one['driver']}, {name}: {len(one['values'])} settings")
        for what in one["silent"]:
            click.echo(f"  no answer: {what}")
    click.echo(f"saved in {file}; type what is missing under [generator.by_hand], [room.by_hand]\n")
    click.echo("\n".join(sheet(found)))


@command.command(
    epilog="""\b
Examples:
  dxrig params diff before.toml            against the devices
  dxrig params diff before.toml after.toml

Exit code 1 when something differs.
"""
)
@click.argument("files", metavar="FILE [FILE]", nargs=-1, type=click.Path(path_type=Path))
@bench_option
@at_option
@json_option
@click.pass_context
def diff(
    ctx: click.Context, files: tuple[Path, ...], bench: str | None, at: Path | None, as_json: bool
) -> None:
    """Show what differs between two files, or a file and the devices."""
    from dataclasses import asdict

    from rig.exit_codes import CHECK_FAILED, UsageError
    from rig.service.params import differences, read_params

    if len(files) not in (1, 2):
        raise UsageError("name one file, to compare with the devices, or two")
    saved = read_params(files[0])
    other = read_params(files[1]) if files[1:] else _read_all(chosen_bench(ctx, bench), at)
    found = differences(saved, other)
    names = (files[0].name, files[1].name if files[1:] else "devices")
    if as_json:
        answer_json({"a": names[0], "b": names[1], "differences": [asdict(one) for one in found]})
    elif found:
        rows = [(one.key, _shown(one.a), _shown(one.b)) for one in found]
        answer_table(("setting", *names), rows)
    else:
        click.echo(f"{names[0]} and {names[1]}: no difference")
    ctx.exit(CHECK_FAILED if found else 0)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


@command.command(
    epilog="""\b
Examples:
  dxrig params restore before.toml             shows what it would write, and asks
  dxrig params restore before.toml --yes
  dxrig params restore before.toml --bench mine.toml --yes --allow-settings
  dxrig params restore before.toml --serial 20-1234

Only the generator that the file names by serial number, else exit code 4. Where the wire tells
no serial number (Spellman), yours counts: typed into the file, and given with --serial as the
plate in front of you has it. Nothing is written while HV is on. Before the first
write the settings are saved beside the bench's state; afterwards each is read back. What
would switch a protection off, and what has no command, is told to be done by hand.
Exit code 1 when a setting does not read back as written.
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@bench_option
@at_option
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--allow-settings", is_flag=True, help="Permit writing on a real bench.")
@click.option("--serial", metavar="TEXT", help="On the plate, of a generator that tells none.")
@json_option
@click.pass_context
def restore(
    ctx: click.Context,
    file: Path,
    bench: str | None,
    at: Path | None,
    yes: bool,
    allow_settings: bool,
    serial: str | None,
    as_json: bool,
) -> None:
    """Write the generator's settings of a file back, and read them again."""
    from rig.exit_codes import CHECK_FAILED, Refused
    from rig.service.params import read_params, sheet
    from rig.service.params_device import read_device, writes

    saved, chosen = read_params(file), chosen_bench(ctx, bench)
    with _talker(chosen, "generator", at) as (unit, talker, simulated):
        now = read_device(unit, "generator", talker)
        _must_be_the_same(file, saved["generator"], now, serial)
        if now.hv_on:
            raise Refused("HV is on: end the beam first; nothing was written")
        plan = writes(unit, saved["generator"]["values"], now)
        if not as_json:
            _tell_plan(plan)
        todo = [one for one in plan if one.data]
        if todo and not (simulated or allow_settings):
            raise Refused("the port is real and this writes settings; add --allow-settings")
        may = yes or (not as_json and sys.stdin.isatty() and click.confirm("Write these?"))
        wrong = _write(chosen, unit, talker, now, todo) if may else []
    if as_json:
        rows = [{"name": w.name, "now": w.now, "then": w.then, "by_hand": w.by_hand} for w in plan]
        answer_json({"plan": rows, "written": bool(todo and may), "wrong": wrong})
    elif todo and not may:
        click.echo("Nothing was written; --yes writes.")
    else:
        for name in wrong:
            click.echo(f"WRONG  {name} does not read back as written")
        click.echo(f"{len(todo) - len(wrong)} of {len(todo)} written and read back")
        click.echo("\n".join(("", *sheet({**saved, "room": {}}))))
    ctx.exit(CHECK_FAILED if wrong else 0)


def _must_be_the_same(file: Path, saved: dict[str, Any], now: Known, serial: str | None) -> None:
    """By the wire where it tells a serial number, else by model, version and the plate."""
    from rig.exit_codes import Refused
    from rig.service.params import BY_HAND, PLATE

    names = {name: (saved.get(name, ""), getattr(now, name)) for name in ("driver", "serial")}
    if not now.serial:
        names |= {name: (saved.get(name, ""), getattr(now, name)) for name in ("model", "firmware")}
        names["serial"] = (
            str(saved.get("serial") or saved.get(BY_HAND, {}).get(PLATE, "")),
            serial or "",
        )
        if not all(names["serial"]):
            raise Refused(
                f"{file}: this generator's wire tells no serial number; type the one on its plate "
                f'into [generator.{BY_HAND}] "{PLATE}", and give it again with --serial; nothing '
                "was written"
            )
    for name, (was, is_) in names.items():
        if was != is_ or (not was and name != "firmware"):
            raise Refused(
                f"{file}: is of {name} {was or 'not known'}, this generator is "
                f"{is_ or 'not known'}; nothing was written"
            )


def _tell_plan(plan: list[Write]) -> None:
    for one in plan:
        how = f"by hand: {one.by_hand}" if one.by_hand else one.data.hex(" ")
        click.echo(f"{one.name}: {_shown(one.now)} -> {one.then}   {how}")
    if not plan:
        click.echo("The settings are as in the file.")


def _write(
    bench: Bench, unit: UnitConfig, talker: Talker, before: Known, todo: list[Write]
) -> list[str]:
    """The names that don't read back as written."""
    from datetime import UTC, datetime

    from rig.service.params import content, write_params
    from rig.service.params_device import read_device, send
    from rig.state_dir import bench_state, private_folder

    if not todo:
        return []
    at = datetime.now(UTC)
    kept = private_folder(bench_state(bench.name) / "params")
    path = kept / f"{at:%Y%m%dT%H%M%S%f}Z-before.toml"
    write_params(path, content(bench, {"generator": before}, at))
    click.echo(f"as it was: {path}", err=True)
    sent: set[bytes] = set()
    for one in todo:
        if one.data not in sent:  # a databank goes as a whole
            send(talker, one)
            sent.add(one.data)
    after = read_device(unit, "generator", talker)
    return [one.name for one in todo if after.values.get(one.name) != one.then]


def _read_all(bench: Bench, at: Path | None) -> dict[str, Any]:
    from datetime import UTC, datetime

    from rig.service.params import content
    from rig.service.params_device import read_device

    known = {}
    for link in LINKS:
        with _talker(bench, link, at) as (unit, talker, _):
            known[link] = read_device(unit, link, talker)
    return content(bench, known, datetime.now(UTC))


@contextmanager
def _talker(bench: Bench, link: str, at: Path | None) -> Iterator[tuple[UnitConfig, Talker, bool]]:
    from rig.service.port import open_port, talker_on

    with open_port(bench, link, at, "dxrig params") as (unit, port, simulated):
        yield unit, talker_on(unit, link, port), simulated
