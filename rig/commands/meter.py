"""`dxrig meter`: what an independent meter measured, beside what the unit indicated."""

from __future__ import annotations

from collections.abc import Sequence
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

if TYPE_CHECKING:
    from rig.instruments.importing import Order


@click.group(
    epilog="""\b
Examples:
  dxrig meter maps
  dxrig meter import meter.csv --map raysafe-like --uncertainty kv=2 --uncertainty dose=5
  dxrig meter list
  dxrig meter show 3

A meter's rows are paired with the exposures of a bench by order and time, judged against limits,
and kept. `dxrig exposures show` then has the independent values beside the indicated ones.
"""
)
def command() -> None:
    """Import and judge what an independent meter measured."""


@command.command(
    name="import",
    epilog="""\b
Examples:
  dxrig meter import meter.csv --map raysafe-like
  dxrig meter import meter.xlsx --map mine.toml --distance 75cm --out report.html
  dxrig meter import meter.csv --map mine.toml --drop 9 --pair 5=4 --operator "A. Meier"
  dxrig meter import al.csv --map mine.toml --al 6=1 --al 7=2 --al 8=3 --uncertainty dose=5

Rows are the file's own, the header counted; exposures have the numbers of `dxrig exposures list`.
The meter's clock may be wrong: its offset is found in the pattern of times. What could be either
is left over and told; say --pair, --drop or --clock then, and who decides. A file that was
imported before changes nothing, unless it comes with other decisions; the earlier one stays.

Uncertainties are expanded (k = 2), in % of the reading: kv, dose, dose_rate, time, hvl, ma, mas.
--repeat is the meter's scatter alone, for ratios; without it the whole uncertainty counts there.

\b
Exit codes: 0 nothing failed; 1 a value failed or is not decided, a row waits for your word, no
row is paired, or the calibration is past due; 2 the file, the map or an option; 3 journal or disk.
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@bench_option
@click.option("--map", "map_name", required=True, metavar="NAME|FILE", help="A column map.")
@limits_option
@click.option(
    "--pair", "pairs", multiple=True, metavar="ROW=NUMBER", help="A row is this exposure."
)
@click.option(
    "--drop",
    "dropped",
    multiple=True,
    type=click.IntRange(1),
    metavar="ROW",
    help="Leave a row out.",
)
@click.option(
    "--clock", "clock_s", type=float, metavar="SECONDS", help="How far the meter's clock is ahead."
)
@click.option("--shots", metavar="A-B", help="Only these exposures, by number.")
@click.option(
    "--tolerance-s",
    type=click.FloatRange(0.01, 60),
    default=2.0,
    show_default=True,
    help="How far apart a row and its exposure may lie.",
)
@uncertainty_option("Of the meter, k = 2, % of the reading.")
@click.option(
    "--repeat", "repeats", multiple=True, metavar="WHAT=PCT", help="Of its scatter alone, k = 2."
)
@click.option("--al", "layers", multiple=True, metavar="ROW=MM", help="Aluminium in the beam.")
@click.option("--distance", metavar="LENGTH", help="Focus to meter, such as 75cm or 1m.")
@record_options(
    model="Of the meter, where the file does not say it.",
    serial="Of the meter.",
    due="Until when its calibration is valid.",
    operator="Who decides; stands in the record.",
    dry_run="Pair and judge, and keep nothing.",
)
@out_option("A page to print, HTML.")
@json_option
@click.pass_context
def import_(ctx: click.Context, /, bench: str | None, **options: Any) -> None:
    """Read, pair, judge and keep a meter's file."""
    from datetime import UTC, datetime

    from rig.instruments.importing import content_of, run
    from rig.instruments.kept import keep
    from rig.instruments.shots import shots_seen

    name, state = bench_of(ctx, bench)
    now = datetime.now(UTC)
    result = run(_order(options), shots_seen(state), today=now.date())
    content = content_of(result, now)
    number, is_new = None, True
    if not options["dry_run"]:
        kept, is_new = keep(state, content)
        number, content = kept.number, kept.content
    if options["out"] is not None:
        write_page(options["out"], name, number, content)
    about = {"bench": name, "import": number, "new": is_new and number is not None}
    if options["as_json"]:
        answer_json({**about, **content})
    else:
        _tell(content)
        click.echo(kept_words(number, is_new=is_new, content=content))
    ctx.exit(result.exit_code)


@command.command(
    name="list",
    epilog="""\b
Examples:
  dxrig meter list
  dxrig meter list --json | jq '.imports[].verdict'
""",
)
@bench_option
@json_option
@click.pass_context
def list_(ctx: click.Context, bench: str | None, as_json: bool) -> None:
    """What was imported, oldest first."""
    from rig.instruments.kept import read_kept
    from rig.instruments.words import LIST_HEADINGS, list_row

    name, state = bench_of(ctx, bench)
    kept = read_kept(state)
    current = {one.number for one in kept.current}
    if as_json:
        whole = [{"import": one.number, **one.content} for one in kept.imports]
        answer_json({"bench": name, "imports": whole, "damaged": list(kept.damaged)})
        return
    for damaged in kept.damaged:
        click.echo(damaged, err=True)
    if not kept.imports:
        click.echo(f"Bench {name}: nothing imported yet; `dxrig meter import` does it")
        return
    rows = [
        list_row(one.number, one.content, superseded=one.number not in current)
        for one in kept.imports
    ]
    answer_table(LIST_HEADINGS, rows, title=f"Imports of bench {name}")


@command.command(
    epilog="""\b
Examples:
  dxrig meter show 3
  dxrig meter show 3 --out report.html
"""
)
@click.argument("number", type=click.IntRange(1))
@bench_option
@out_option("A page to print, HTML.")
@json_option
@click.pass_context
def show(
    ctx: click.Context, number: int, bench: str | None, out: Path | None, as_json: bool
) -> None:
    """An import as it was judged on its day."""
    from rig.instruments.kept import read_kept

    name, state = bench_of(ctx, bench)
    kept = read_kept(state)
    found = next((one for one in kept.imports if one.number == number), None)
    if found is None:
        known = ", ".join(str(one.number) for one in kept.imports) or "none"
        raise UsageError(f"no import {number}; there are: {known}")
    if out is not None:
        write_page(out, name, number, found.content)
    if as_json:
        answer_json({"bench": name, "import": number, **found.content})
    else:
        _tell(found.content)


@command.command(
    epilog="""\b
Examples:
  dxrig meter maps
  dxrig meter maps raysafe-like > mine.toml
"""
)
@click.argument("name", required=False)
@json_option
def maps(name: str | None, as_json: bool) -> None:
    """The column maps that ship; or the text of one, to start your own."""
    from rig.instruments.column_map import COLUMN_MAPS

    hint = "All are synthetic: compare their headers with your file, and copy one."
    show_maps(COLUMN_MAPS, name, as_json=as_json, hint=hint)


@command.command(
    epilog="""\b
Examples:
  dxrig meter live --port /dev/ttyUSB0 --count 1
  dxrig meter live --port socket://127.0.0.1:4001 --rearm --out doses.csv
  dxrig meter import doses.csv --map multidos-live --shots 3-14

For a PTW MULTIDOS in its application Dual Dosemeter; from its public manual, not checked against an
instrument. A reading counts when the meter holds and says the same twice. Ends with Ctrl-C, too.
""",
)
@click.option("--port", required=True, metavar="URL", help="A serial port or pyserial URL.")
@click.option(
    "--baud",
    type=click.Choice(["4800", "9600", "19200", "38400"]),
    default="38400",
    show_default=True,
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N readings.")
@click.option("--rearm", is_flag=True, help="RESET and START first, and after each reading.")
@out_option("A new CSV file with a row a reading.")
@json_option
def live(
    port: str, baud: str, count: int | None, rearm: bool, out: Path | None, as_json: bool
) -> None:
    """Show the readings of a dosemeter as it holds them; no generator is addressed."""
    from contextlib import ExitStack, closing
    from itertools import islice

    from hal.links import SerialLink
    from hal.ports import LinkError
    from rig.exit_codes import DeviceError
    from rig.instruments.live import HeldFile, LiveMeter
    from rig.instruments.words import held_text

    if as_json and count is None:
        raise UsageError("--json answers once: say --count N")
    with ExitStack() as stack:
        try:
            link = stack.enter_context(closing(SerialLink(port, baud=int(baud))))
        except LinkError as error:
            raise DeviceError(str(error)) from error
        meter = LiveMeter(link)
        sample = meter.identified()
        file = stack.enter_context(closing(HeldFile(out, sample))) if out is not None else None
        if not as_json:
            click.echo(f"{sample.model}, serial {sample.serial}: {sample.status}")
        readings = []
        for held in islice(meter.readings(rearm=rearm), count):
            if file is not None:
                file.add(held)
            readings.append({"at": held.at.isoformat(), "values": held.values, "unit": held.unit})
            if not as_json:
                click.echo(held_text(held.at, held.values, held.unit, held.flags))
        if as_json:
            meter_is = {"model": sample.model, "serial": sample.serial}
            answer_json({"meter": meter_is, "readings": readings})


def _order(options: dict[str, Any]) -> Order:
    from rig.instruments import given
    from rig.instruments.importing import Order

    return Order(
        file=options["file"],
        map_name=options["map_name"],
        limits_name=options["limits_name"],
        pairs=given.row_pairs(options["pairs"]),
        dropped=options["dropped"],
        clock_s=options["clock_s"],
        tolerance_s=options["tolerance_s"],
        shots=given.number_range(options["shots"]),
        uncertainty_pct=given.percents("--uncertainty", options["uncertainties"]),
        repeat_pct=given.percents("--repeat", options["repeats"]),
        added_al_mm=given.layers_mm(options["layers"]),
        distance_mm=given.length_mm(options["distance"]),
        instrument=instrument_of(options),
        operator=options["operator"],
    )


def _tell(content: dict[str, Any]) -> None:
    from rig.instruments import words

    for line in words.wrapped(words.head(content)):
        click.echo(line)
    findings: Sequence[dict[str, Any]] = content["findings"]
    for headings, rows in (
        (words.PER_EXPOSURE, words.per_exposure(findings)),
        (words.PER_SERIES, words.per_series(findings)),
    ):
        if rows:
            click.echo("")
            answer_table(headings, rows)
    click.echo("")
    for line in words.wrapped(words.reasons(findings)):
        click.echo(line)
    for line in words.wrapped([words.verdict(content)]):
        click.echo(line)
