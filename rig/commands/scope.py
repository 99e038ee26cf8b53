"""`dxrig scope`: what an oscilloscope at a divider saw of a beam."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.instruments.command_parts import (
    bench_of,
    instrument_of,
    kept_words,
    limits_option,
    out_option,
    record_options,
    show_maps,
    uncertainty_option,
    write_page,
)
from rig.options import bench_option, json_option
from rig.progress import Bar, progress_option

if TYPE_CHECKING:
    from rig.instruments.scope_file import ScopeFile
    from rig.instruments.scope_import import Measured
    from rig.instruments.scope_map import ScopeMap

LARGE_PIECES_COUNT = 3  # about a second of reading


@click.group(
    epilog="""\b
Examples:
  dxrig scope maps
  dxrig scope import beam.csv --map mine.toml
  dxrig scope import beam.csv --map mine.toml --shot 12 --out beam.html
"""
)
def command() -> None:
    """Import and measure the trace of an oscilloscope."""


@command.command(
    name="import",
    epilog="""\b
Examples:
  dxrig scope import beam.csv --map tek-like
  dxrig scope import beam.csv --map mine.toml --shot 12 --uncertainty kv=2 --operator "A. Meier"
  dxrig scope import beam.csv --map mine.toml --beam 2 --json | jq .trace

The map says which column is kV, mA or sync, and how many kV or mA a volt is. A trace has no date:
--shot says which exposure it is of; without it the trace is measured, and nothing is kept.
Time is from the first to the last sample at 75 % of kVp; kVp is the mean of its middle 80 %.

\b
Exit codes: 0 nothing failed; 1 a value failed or is not decided, the trace is clipped, or the
calibration is past due; 2 the file, the map or an option, no beam, or several without --beam.
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@bench_option
@click.option("--map", "map_name", required=True, metavar="NAME|FILE", help="A scope map.")
@click.option("--shot", type=click.IntRange(1), metavar="NUMBER", help="The exposure it is of.")
@click.option("--beam", type=click.IntRange(1), metavar="N", help="Which of several beams.")
@limits_option
@uncertainty_option("Of scope and divider, k = 2, % of the reading: kv, time, ma, mas.")
@record_options(
    model="Of the scope and its divider.",
    serial="Of the scope and its divider.",
    due="Until when their calibration is valid.",
    operator="Who says which exposure it is.",
    dry_run="Measure and judge, and keep nothing.",
)
@out_option("A page with the picture, HTML.")
@progress_option
@json_option
@click.pass_context
def import_(ctx: click.Context, /, bench: str | None, **options: Any) -> None:
    """Measure a trace, hold it against an exposure, and keep it."""
    from datetime import UTC, datetime

    from rig.instruments.kept import keep
    from rig.instruments.scope_import import content_of

    if options["shot"] is not None and not options["operator"].strip() and not options["dry_run"]:
        raise UsageError("say who decides: --shot needs --operator NAME, or --dry-run")
    name, state = bench_of(ctx, bench)
    now = datetime.now(UTC)
    measured = _measured(state, options, now)
    content = content_of(measured, now)
    number, is_new = None, False
    if options["shot"] is not None and not options["dry_run"]:
        kept, is_new = keep(state, content)
        number, content = kept.number, kept.content
    if options["out"] is not None:
        _write_page(options["out"], name, number, content, measured)
    if options["as_json"]:
        answer_json({"bench": name, "import": number, "new": is_new, **content})
    else:
        _tell(content)
        if options["shot"] is None:
            click.echo("nothing kept: --shot NUMBER says which exposure it is of")
        else:
            click.echo(kept_words(number, is_new=is_new, content=content))
    ctx.exit(measured.exit_code)


@command.command(
    epilog="""\b
Examples:
  dxrig scope maps
  dxrig scope maps tek-like > mine.toml
"""
)
@click.argument("name", required=False)
@json_option
def maps(name: str | None, as_json: bool) -> None:
    """The scope maps that ship; or the text of one, to start your own."""
    from rig.instruments.scope_map import SCOPE_MAPS

    hint = "All are synthetic, and their scales are examples: put your divider's own."
    show_maps(SCOPE_MAPS, name, as_json=as_json, hint=hint)


def _measured(state: Path, options: dict[str, Any], now: Any) -> Measured:
    from rig.instruments import given
    from rig.instruments.limits import LIMITS
    from rig.instruments.scope_import import Measured, chosen_beam, shot_of
    from rig.instruments.scope_map import SCOPE_MAPS
    from rig.instruments.shots import shots_seen

    path = SCOPE_MAPS.path(options["map_name"])
    layout = SCOPE_MAPS.load(path)
    limits = LIMITS.load(options["limits_name"])
    shot = shot_of(shots_seen(state), options["shot"])
    file = _read(options["file"], layout, options["progress"])
    beam, number = chosen_beam(file, layout, options["beam"])
    said = given.percents("--uncertainty", options["uncertainties"])
    return Measured(
        file=file,
        layout=layout,
        map_path=path,
        beam=beam,
        beam_number=number,
        shot=shot,
        limits=limits,
        uncertainty_pct={**layout.uncertainty_pct, **said},
        instrument=instrument_of(options),
        operator=options["operator"],
        today=now.date(),
    )


def _read(path: Path, layout: ScopeMap, progress: str) -> ScopeFile:
    from rig.instruments.scope_file import pieces_count, read_scope

    pieces = pieces_count(path)
    if pieces < LARGE_PIECES_COUNT:
        return read_scope(path, layout)
    with Bar(progress, pieces, "reading") as bar:
        return read_scope(path, layout, lambda: bar.advance("8 MB"))


def _tell(content: dict[str, Any]) -> None:
    from rig.instruments import words
    from rig.instruments.scope_import import trace_lines

    click.echo(
        f"{content['file']}: beam {content['decisions']['beam']}, "
        f"by {words.instrument(content['instrument'])}"
    )
    lines = [words.calibration(content), *trace_lines(content["trace"])]
    values = content["rows"][0]["values"]
    lines.append("measured: " + words.values_text(values))
    lines += [f"note: {note}" for note in content["notes"]]
    for line in words.wrapped(lines):
        click.echo(line)
    rows = words.per_exposure(content["findings"])
    if rows:
        click.echo("")
        answer_table(words.PER_EXPOSURE, rows)
        click.echo("")
        for line in words.wrapped([*words.reasons(content["findings"]), words.verdict(content)]):
            click.echo(line)


def _write_page(
    out: Path, bench: str, number: int | None, content: dict[str, Any], measured: Measured
) -> None:
    from rig.instruments.scope_import import trace_lines
    from rig.instruments.scope_picture import trace_svg

    svg = trace_svg(measured.file, measured.layout, measured.beam)
    notes = [*trace_lines(content["trace"]), *content["notes"]]
    write_page(out, bench, number, {**content, "notes": notes, "pictures": [svg]})
