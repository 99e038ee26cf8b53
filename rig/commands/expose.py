"""`dxrig expose`: one exposure, started by the handswitch and by nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.options import (
    aec_options,
    at_option,
    bench_option,
    chosen_bench,
    json_option,
    panel_option,
    sid_option,
)
from rig.progress import progress_option

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.exposure import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for on the command line."""

    kvp: float
    ma: float | None
    mas: float | None
    ms: float | None
    aec: str | None
    density: int | None
    sensitivity: int | None
    expected_mas: float | None
    sid_mm: float | None
    at: Path | None
    rung: str | None
    hand: str | None
    phantom: str | None
    out: Path | None
    wait_s: float
    allow_exposure: bool
    defer_warmup: str | None
    progress: str
    as_json: bool


@click.command(
    epilog="""\b
Examples:
  dxrig expose --kvp 70 --mas 0.5
  dxrig expose --kvp 60 --ma 1 --ms 200 --json
  dxrig expose --kvp 80 --ma 0.5 --ms 800 --defer-warmup "trauma, no time"
  dxrig expose --bench mobile --kvp 80 --mas 2.5 --sid-mm 1500
  dxrig expose --bench mine.toml --kvp 70 --mas 0.5 --allow-exposure
  dxrig expose --bench room --kvp 50 --aec left,right --density +1
  dxrig expose --bench mobile --kvp 110 --mas 1.6 --phantom chest

Without a real bench it needs `dxrig sim up`. A real bench (rung = "bench" in its file) needs
the key switch on and --allow-exposure, and a person at the handswitch.

\b
Exit codes: 0 planned end; 2 technique out of range; 3 device, link, or a beam ended by
them or by an interlock; 4 refused before any beam; 130 released, stopped or interrupted.
"""
)
@bench_option
@panel_option
@click.option("--kvp", type=float, required=True, help="Tube voltage, kV.")
@click.option("--mas", type=float, help="Charge that ends the beam; the highest mA unless --ma.")
@click.option("--ma", type=float, help="Tube current, mA.")
@click.option("--ms", type=float, help="Time that ends the beam; needs --ma.")
@aec_options
@sid_option
@at_option
@click.option(
    "--hand",
    type=click.Choice(["auto", "none"]),
    help="auto: the simulated hand presses (default in a simulated room); none: you do.",
)
@click.option(
    "--phantom",
    metavar="NAME",
    help="What stands in a simulated beam from now on: `dxrig sim show phantom` lists them.",
)
@click.option(
    "--rung",
    type=click.Choice(["wire", "bench"]),
    help="wire: simulated devices on real ports; bench: real ones. Default: the bench file's.",
)
@click.option("--out", type=click.Path(path_type=Path), help="New folder for the run's files.")
@click.option(
    "--wait-s",
    type=click.FloatRange(1, 3600),
    default=120.0,
    show_default=True,
    help="How long to wait for a press.",
)
@click.option(
    "--defer-warmup",
    metavar="REASON",
    help="Emergency: the warm-up waits; kV and mA are capped, the reason is recorded.",
)
@click.option("--allow-exposure", is_flag=True, help="Permit X-rays on this run (real bench).")
@progress_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, bench: str | None, **options: Any) -> None:
    """Programme one exposure; the handswitch starts it."""
    ctx.exit(_run(chosen_bench(ctx, bench), Order(**options)))


def _run(bench: Bench, order: Order) -> int:
    from rig.aec_plan import asked_for
    from rig.bench_lock import hold_bench
    from rig.exposure_run import check_hand, check_phantom, expose, technique_of
    from rig.exposure_view import LiveLines
    from rig.guards import ports_of
    from rig.state_dir import bench_state

    aec = asked_for(order.aec, order.density, order.sensitivity, order.expected_mas)
    technique = technique_of(
        bench, order.kvp, ma=order.ma, mas=order.mas, ms=order.ms, aec=aec, sid_mm=order.sid_mm
    )
    ports = ports_of(bench, at=order.at, rung=order.rung)
    check_hand(order.hand, ports)
    check_phantom(order.phantom, ports)
    by_hand = order.hand == "none" or not ports.simulated
    state = bench_state(bench.name)
    with hold_bench(state, "dxrig expose"):
        outcome, made = expose(
            bench,
            ports,
            technique,
            state=state,
            out=order.out,
            by_hand=by_hand,
            wait_s=order.wait_s,
            allowed=order.allow_exposure,
            deferred=order.defer_warmup,
            sid_mm=order.sid_mm,
            phantom=order.phantom,
            view=LiveLines(order.progress, person=by_hand),
        )
    with _output_told(made["run"]):
        _answer(made, outcome, as_json=order.as_json)
    return outcome.exit_code


@contextmanager
def _output_told(run: str) -> Iterator[None]:
    """An answer that nobody can read stands in the run folder, too."""
    from rig.failures import OutputError

    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        text = f"the output can't be written ({why}); the run is in {run}"
        raise OutputError(text) from error


def _answer(made: dict[str, Any], outcome: Outcome, *, as_json: bool) -> None:
    from rig.exposure_view import tell_result

    if as_json:
        answer_json({**made, "exit_code": outcome.exit_code})
        return
    tell_result(made)
    if outcome.timed_out and not made["faults"]:
        held = outcome.state == "RELEASE_WAIT"
        what = "the handswitch was not released" if held else "nobody pressed the handswitch"
        click.echo(f"dxrig: {what} in time", err=True)
    for told in made["faults"]:
        click.echo(f"dxrig: {told}", err=True)
