"""`dxrig sim meter FILE`: what the meter in the simulated beams read, as a table to import."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rig.exit_codes import UsageError
from rig.options import at_option, bench_option, chosen_bench

MAP = "raysafe-like"  # of rig/instruments/maps, whose headers these are
ABOUT = (("Model", "SIM-METER"), ("Serial number", "M0001"))
HEADERS = ("Date", "Time of day", "kVp (kV)", "Dose (mGy)", "Time (ms)", "HVL (mm Al)")


@click.command(
    "meter",
    epilog=f"""\b
Examples:
  dxrig sim meter meter.csv
  dxrig meter import meter.csv --map {MAP} --uncertainty kv=2

The meter lies on the axis at 1 m, in front of any phantom, in every beam since the simulator
began; `dxrig sim do meter` makes it drift. All of it is simulated.
""",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@bench_option
@at_option
@click.pass_context
def command(ctx: click.Context, file: Path, bench: str | None, at: Path | None) -> None:
    """Write what an independent meter read of the simulated beams, a row each."""
    from rig.announce import found
    from rig.simulator import ask

    readings = ask(found(chosen_bench(ctx, bench).name, at), {"kind": "show"})["meter"]
    try:
        with file.open("x", encoding="utf-8", newline="") as stream:
            stream.write(table(readings))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from None
    rows = "1 row" if len(readings) == 1 else f"{len(readings)} rows"
    words = shlex.join(["dxrig", "meter", "import", str(file), "--map", MAP])
    click.echo(f"{file}: {rows}; import it: {words}")


def table(readings: Sequence[Mapping[str, Any]]) -> str:
    """`readings`: as a running simulator shows them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(ABOUT)
    writer.writerow(HEADERS)
    writer.writerows(_row(one) for one in readings)
    return text.getvalue()


def _row(one: Mapping[str, Any]) -> Sequence[str]:
    ended = datetime.fromisoformat(one["ended_at"]).astimezone(UTC)
    return (
        ended.strftime("%Y-%m-%d"),
        ended.strftime("%H:%M:%S"),
        f"{one['kv']:.2f}",
        f"{one['kerma_ugy'] / 1000:.5f}",
        f"{one['time_ms']:.2f}",
        f"{one['hvl_mm_al']:.3f}",
    )
