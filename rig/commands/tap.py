"""`dxrig tap`: the decoded traffic of a bench's links, live or again; it changes no byte."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.service.patient_lines import PatientLines
    from rig.service.tap_view import TapView

LAST_S = 1.0  # for the reader's last lines, when nothing waits for us any more
LINKS = ("generator", "room", "panel", "collimator", "dap")
THROUGH = {"generator", "room", "panel"}
FRAMES = "frames"  # rig.service.hearing


@click.command(
    epilog="""\b
Examples:
  dxrig tap                               the unit that runs: all its links
  dxrig tap generator --raw
  dxrig tap room --grep contactor
  dxrig tap generator --through           between any program and the port
  dxrig tap panel --through               control and frames, without the pixels
  dxrig tap --read FILE --errors          again, from a tap or a run's folder

Beside a unit that runs it follows the unit's own record: no byte is touched or delayed. With
--through it stands between a client and the device's port: it prints the address that the
client connects to, hands every byte on as it is, waits for a port that is pulled out, and
keeps what passed in a file that --read shows and `dxrig talk --play` answers from.
Ctrl-C ends it with a summary.
"""
)
@click.argument(
    "links", metavar="[generator|room|panel|collimator|dap]...", nargs=-1, type=click.Choice(LINKS)
)
@bench_option
@at_option
@click.option("--through", is_flag=True, help="Stand between a client and the device's port.")
@click.option(
    "--read", "read_from", metavar="FILE|RUN", type=click.Path(path_type=Path), help="Show again."
)
@click.option("--out", type=click.Path(path_type=Path), help="Of --through: the new file.")
@click.option("--raw", is_flag=True, help="The bytes of each frame, too.")
@click.option("--grep", metavar="TEXT", default="", help="Only lines with this text.")
@click.option("--errors", is_flag=True, help="Only what is no frame or unknown, and lost ports.")
@click.option("--for-s", type=click.FloatRange(0.05), help="End after so long.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    links: tuple[str, ...],
    bench: str | None,
    at: Path | None,
    through: bool,
    read_from: Path | None,
    out: Path | None,
    raw: bool,
    grep: str,
    errors: bool,
    for_s: float | None,
    as_json: bool,
) -> None:
    """Show what passes on a bench's links, decoded, with times."""
    from rig.exit_codes import UsageError
    from rig.service.patient_lines import PatientLines
    from rig.service.tap_view import TapView, Wanted
    from rig.service.until_signal import until_signal

    wanted = Wanted(links=_all_of(links or LINKS), grep=grep, errors=errors)
    if read_from is not None:
        view = _again(read_from, wanted, raw=raw, as_json=as_json)
    else:
        chosen = chosen_bench(ctx, bench)
        lines = PatientLines(_fileno())
        view = TapView(chosen.unit, wanted, raw=raw, as_json=as_json, write=lines.say)
        if out is not None and not through:
            raise UsageError("--out is --through's; a unit that runs keeps its own record")
        if through and (len(links) > 1 or not THROUGH.issuperset(links)):
            raise UsageError("--through stands in one link: generator, room or panel")
        with until_signal(for_s) as stopping:
            if through:
                _through(chosen, (links or ("generator",))[0], at, out, view, lines, stopping)
            else:
                _follow(chosen, view, lines, stopping)
        lines.pump(LAST_S)
        if lines.dropped_count:
            click.echo(f"dxrig: {lines.dropped_count} lines were not shown: nobody read", err=True)
    if as_json:
        left_out = {"older_frames_left_out": view.left_out_count}
        answer_json({"frames": list(view.kept), **left_out, "summary": view.summary()})
    else:
        view.tell_summary()


def _all_of(links: tuple[str, ...]) -> tuple[str, ...]:
    """A panel's two: what is said to it, and its frames."""
    return (*links, FRAMES) if "panel" in links else links


def _again(path: Path, wanted: Any, *, raw: bool, as_json: bool) -> TapView:
    from rig.service.tap_view import TapView
    from rig.service.tape import read_tape

    unit, passages, trouble = read_tape(path)
    view = TapView(unit, wanted, raw=raw, as_json=as_json)
    for passage in passages:
        view.take(passage)
    view.end()
    if trouble:
        click.echo(f"dxrig: {path}: {trouble}", err=True)
    return view


def _fileno() -> int | None:
    """None: stdout is no file, but a caller's object in this process."""
    sys.stdout.flush()
    try:
        return sys.stdout.fileno()
    except OSError:
        return None


def _follow(bench: Bench, view: TapView, lines: PatientLines, stopping: Any) -> None:
    from rig.exit_codes import DeviceError
    from rig.service.follow import follow
    from rig.service.unit_io import running_unit

    running = running_unit(bench.name)
    if running is None:
        raise DeviceError(
            f"no unit of bench {bench.name} runs; start one, or `dxrig tap generator --through`, "
            "or show a run again: `dxrig tap --read RUN`"
        )

    def ended() -> bool:
        lines.pump()
        return bool(stopping())

    follow(running[1], view, ended)


def _through(
    bench: Bench,
    link: str,
    at: Path | None,
    out: Path | None,
    view: TapView,
    lines: PatientLines,
    stopping: Any,
) -> None:
    from datetime import UTC, datetime

    from rig.guards import ports_of
    from rig.service.middle import open_middle, serve
    from rig.service.tape import Passage, Tape
    from rig.state_dir import bench_state, private_folder

    unit = ports_of(bench, at=at).unit
    url = unit.panel.control_url if link == "panel" else getattr(unit, link).url
    now = datetime.now(UTC)
    folder = private_folder(bench_state(bench.name) / "taps")
    path = out or folder / f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{link}.tap"

    def tell(passage: Passage) -> None:
        tape.write(passage)
        view.take(passage)

    middle = open_middle(link, unit, tell)
    try:
        tape = Tape(path, _all_of((link,)), unit, bench=bench.name, started_at=now.isoformat())
        view.say(f"{link} {url} <-> {middle.url}: the client connects there; Ctrl-C ends it")
        view.say(f"kept in {path}")

        def ended(t_us: int) -> bool:
            view.pause(t_us)
            lines.pump()
            return bool(stopping())

        try:
            serve(middle, ended)
        finally:
            view.end()
            tape.close()
        if tape.stopped:
            click.echo(f"dxrig: {path}: the file ends early: {tape.stopped}", err=True)
    finally:
        middle.close()
