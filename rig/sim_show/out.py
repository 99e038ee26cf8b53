"""`--out FILE`: a picture or the data of what is shown; the ending of the name says which."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.exit_codes import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".svg", ".png", ".json")
PNG_DPI = 150


def _ending(_ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix not in ENDINGS:
        raise click.BadParameter(f"{value.name}: write to a file that ends in {_either(ENDINGS)}")
    return value


out_option = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    callback=_ending,
    help="Draw it (.svg, .png), or write its data (.json).",
)


def wants_json(as_json: bool) -> bool:
    """`--json` may stand before the word, too."""
    parent = click.get_current_context().parent
    return as_json or bool(parent and parent.params.get("as_json"))


def refuse_without_name(what: str) -> None:
    """Without NAME all are listed: an option of one alone would be ignored. Raises UsageError."""
    ctx = click.get_current_context()
    given = [
        one.opts[0]
        for one in ctx.command.params
        if one.name not in ("as_json", "out", "name")
        and ctx.get_parameter_source(str(one.name)) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        told = f"`dxrig sim show {what}` lists them"
        raise UsageError(f"{', '.join(given)}: needs the NAME of a {what}; {told}")


def write_out(path: Path, data: Mapping[str, Any], draw: Callable[[], Figure]) -> None:
    """The same facts give the same bytes. Raises UsageError where the file can't be written.

    `data`: what --json answers, and the curves. `draw` is called for a picture only.
    """
    try:
        if path.suffix == ".json":
            path.write_text(json.dumps({"schema": 1, **data}) + "\n", encoding="utf-8")
        else:
            _save(path, draw)
    except OSError as error:
        raise UsageError(f"--out {path}: {error.strerror or error}") from None


def tell_out(out: Path | None) -> None:
    """The last line of each word's answer to people."""
    if out is not None:
        click.echo(f"{out} is written.")


def _save(path: Path, draw: Callable[[], Figure]) -> None:
    from matplotlib import rc_context

    none = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "dxrig", "svg.fonttype": "none", "font.size": 9}):
        draw().savefig(path, format=path.suffix[1:], dpi=PNG_DPI, metadata=none)


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
