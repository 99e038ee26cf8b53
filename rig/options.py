"""Options that many commands share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rig.exit_codes import UsageError
from rig.settings import settings

if TYPE_CHECKING:
    from rig.bench import Bench

PANEL = "dxrig.panel"
_Command = TypeVar("_Command", bound=Callable[..., Any])
ALL = "all"  # in place of a bench's name


class Numbers(click.FloatRange):
    """From `min` to `max`; click's own range lets NaN pass."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


bench_option = click.option(
    "--bench", "bench", metavar="NAME|FILE", help="A bench that ships, or a bench file."
)
benches_option = click.option(
    "--bench",
    "benches",
    metavar="NAME|FILE",
    multiple=True,
    help="A bench that ships, or a bench file; may be given several times. all: all that ship.",
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


sid_option = click.option(
    "--sid-mm", type=float, metavar="MM",
    help="Source to detector, for this exposure; default: the bench's geometry.sid_mm.",
)  # fmt: skip


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


def chosen_benches(ctx: click.Context, flags: Sequence[str]) -> list[Bench]:
    """Each once, in their order; `all` is every bench that ships. Raises as `chosen_bench`."""
    from rig.bench import load_bench
    from rig.bench_names import shipped_benches

    if not flags:
        return [chosen_bench(ctx, None)]
    names = [n for flag in flags for n in (shipped_benches() if flag == ALL else [flag])]
    benches = [load_bench(name) for name in dict.fromkeys(names)]
    for name, count in Counter(bench.name for bench in benches).items():
        if count > 1:
            raise UsageError(f"{count} benches are called '{name}'; run them one by one")
    return benches


def chosen_bench(ctx: click.Context, flag: str | None, default: str | None = None) -> Bench:
    """The bench of flag, environment or settings file. Raises ConfigError with all mistakes.

    `default`: where nobody has chosen one; else it is the settings' own.
    """
    from rig.bench import load_bench, on_panel  # pydantic: 190 ms

    chosen = settings(config_file=ctx.obj, bench=flag).bench
    bench = load_bench(default if default and chosen.origin == "default" else chosen.value)
    panel_id = ctx.meta.get(PANEL)
    return bench if panel_id is None else on_panel(bench, panel_id)
