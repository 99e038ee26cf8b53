"""What `dxrig meter` and `dxrig scope` share on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError

if TYPE_CHECKING:
    from rig.instruments.meter_rows import Instrument
    from rig.instruments.tables import Tables

_Command = TypeVar("_Command", bound=Callable[..., Any])

limits_option = click.option(
    "--limits",
    "limits_name",
    default="us",
    show_default=True,
    metavar="NAME|FILE",
    help="us, us-before-2006, iec, or a file of your own.",
)


def uncertainty_option(of: str) -> Callable[[_Command], _Command]:
    return click.option(
        "--uncertainty", "uncertainties", multiple=True, metavar="WHAT=PCT", help=of
    )


def out_option(what: str) -> Callable[[_Command], _Command]:
    file = click.Path(path_type=Path, dir_okay=False)
    return click.option("--out", type=file, metavar="FILE", help=what)


def record_options(
    *, model: str, serial: str, due: str, operator: str, dry_run: str
) -> Callable[[_Command], _Command]:
    """Which instrument it was, and who says so; the help of each."""

    def decorate(command: _Command) -> _Command:
        for option in reversed((
            click.option("--model", default="", help=model),
            click.option("--serial", default="", help=serial),
            click.option("--due", metavar="YYYY-MM-DD", help=due),
            click.option("--operator", default="", metavar="NAME", help=operator),
            click.option("--dry-run", is_flag=True, help=dry_run),
        )):  # fmt: skip
            command = option(command)
        return command

    return decorate


def instrument_of(options: dict[str, Any]) -> Instrument:
    """As `record_options` have it."""
    from rig.instruments import given
    from rig.instruments.meter_rows import Instrument

    return Instrument(
        model=options["model"], serial=options["serial"], calibration_due=given.day(options["due"])
    )


def bench_of(ctx: click.Context, bench: str | None) -> tuple[str, Path]:
    """Name and state, without a look into the bench's file."""
    from rig.state_dir import state_home
    from rig.unit_client import bench_name

    name = bench_name(ctx.obj, bench)
    return name, state_home() / name


def show_maps(maps: Tables[Any], name: str | None, *, as_json: bool, hint: str) -> None:
    """What ships; or the text of one, to start one's own."""
    if name is not None:
        click.echo(maps.path(name).read_text(encoding="utf-8"), nl=False)
        return
    about = {shipped: maps.load(shipped).about for shipped in maps.shipped()}
    if as_json:
        answer_json({"maps": about})
    else:
        answer_table(("map", "about"), list(about.items()))
        click.echo(hint)


def kept_words(number: int | None, *, is_new: bool, content: dict[str, Any]) -> str:
    if number is None:
        return "nothing kept (--dry-run)"
    if not is_new:
        return f"this file is import {number} already, of {content['at']}: nothing changed"
    before = content["supersedes"]
    return f"kept as import {number}" + (f"; supersedes import {before}" if before else "")


def write_page(out: Path, bench: str, number: int | None, content: dict[str, Any]) -> None:
    from rig.instruments.page import page

    try:
        out.write_text(page(bench, number, content), encoding="utf-8")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        kept = f"; import {number} is kept: dxrig meter show {number} --out FILE" if number else ""
        raise UsageError(f"{out}: can't be written: {why}{kept}") from error
