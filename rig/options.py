"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rig.settings import settings

if TYPE_CHECKING:
    from rig.bench import Bench

PANEL = "dxrig.panel"
_Command = TypeVar("_Command", bound=Callable[..., Any])

bench_option = click.option(
    "--bench", "bench", metavar="NAME|FILE", help="A bench that ships, or a bench file."
)


def _select_panel(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    ctx.meta[PANEL] = value


panel_option = click.option(
    "--panel",
    metavar="ID",
    callback=_select_panel,
    expose_value=False,  # `chosen_bench` takes it from the context
    help="A registered panel of the bench (`panel.also`); default: panel.panel_id.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout."
)
at_option = click.option(
    "--at",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the line that `sim up --json` printed; else found by bench name.",
)


def aec_options(command: _Command) -> _Command:
    """Chambers instead of --mas or --ms, and what goes with them."""
    for option in reversed((
        click.option("--aec", metavar="CHAMBERS",
                     help="Chambers end the beam: left, centre, right, with commas, or all."),
        click.option("--density", type=int, help="AEC: steps darker or lighter, such as +1 or -2."),
        click.option("--sensitivity", type=int,
                     help="AEC: the generator's number of a cut-off dose; the bench's first."),
        click.option("--expected-mas", type=float,
                     help="AEC: for this patient, not by the bench's table; makes the back-up."),
    )):  # fmt: skip
        command = option(command)
    return command


def chosen_bench(ctx: click.Context, flag: str | None) -> Bench:
    """The bench of flag, environment or settings file. Raises ConfigError with all mistakes."""
    from rig.bench import load_bench, on_panel  # pydantic: 190 ms

    bench = load_bench(settings(config_file=ctx.obj, bench=flag).bench.value)
    panel_id = ctx.meta.get(PANEL)
    return bench if panel_id is None else on_panel(bench, panel_id)
