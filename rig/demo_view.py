"""How a demo looks: states as they come, then what happened, what was indicated, what was made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firmware_py.bounds import Bound
from firmware_py.trace import ending_of
from hal.types import Technique
from rig.bench import Bench
from rig.demo import Demo, Follow
from rig.doctor_bounds import bounds_of
from rig.exposure_view import COLOURS
from rig.progress import wants_live
from rig.why import in_words
from rig.wire_words import wire_line

if TYPE_CHECKING:
    from rich.console import RenderableType

STATE_WIDTH = len("INTERLOCK_CHECK")
ABOUT = {
    "presentation": "the picture, DICOM For Presentation",
    "processing": "the corrected frame, DICOM For Processing",
    "preview": "the picture, to look at now",
    "curve": "kV and mA of the beam",
    "trace": "what the unit did, line by line",
    "record": "every byte of every scan",
}
BOUNDS_SHOWN = ("SR-17", "SR-19", "SR-28")


# --- while it runs


@contextlib.contextmanager
def follower(progress: str, bench: Bench, rung: str, technique: Technique) -> Iterator[Follow]:
    """What is called with every trace line. All of it goes to stderr."""
    head = f"Demo on bench {bench.name}, {rung} rung: {_asked(technique)}, all simulated"
    if wants_live(progress):
        with _live(f"{head}\n{wire_line(bench.unit.generator.driver)}") as follow:
            yield follow
        return
    if progress == "none":
        yield lambda line: None
        return
    click.echo(head, err=True)
    click.echo(wire_line(bench.unit.generator.driver), err=True)
    yield _plain


def _plain(line: dict[str, Any]) -> None:
    if line["kind"] == "state":
        click.echo(f"{line['t_us'] / 1e6:7.3f} s  {line['to']}", err=True)


@contextlib.contextmanager
def _live(head: str) -> Iterator[Follow]:
    from rich.console import Console, Group  # 112 ms
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    console = Console(stderr=True)
    states: list[RenderableType] = [Text(head), Text()]
    beam: dict[str, float] = {}
    spinner = Spinner("dots", text="starting simulator, recorder and unit")

    def follow(line: dict[str, Any]) -> None:
        if line["kind"] == "state":
            states.append(Text(_state_line(line["t_us"] / 1e6, line["to"], in_words(line["why"]))))
            spinner.update(text=Text(line["to"], style=COLOURS.get(line["to"], "")))
        elif line["kind"] == "generator" and line.get("ma") is not None:
            beam.update({name: line[name] for name in ("kv", "ma") if name in line})
            spinner.update(text=f"EXPOSE  {beam.get('kv', 0):.1f} kV  {beam['ma']:.3f} mA")
        live.update(Group(*states, spinner))

    with Live(
        Group(*states, spinner),
        console=console,
        transient=True,
        refresh_per_second=12,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        yield follow


# --- when it is over


def tell(made: Demo, bench: Bench, technique: Technique) -> None:
    click.echo(f"One exposure on bench {bench.name}, {made.manifest['rung']} rung, all simulated")
    click.echo(_dim(wire_line(bench.unit.generator.driver)) + "\n")
    _tell_timeline(made.manifest["timeline"])
    click.echo()
    _tell_technique(technique, made.manifest["measured"])
    click.echo()
    _tell_end(made)
    click.echo()
    _tell_files(made)
    click.echo()
    _tell_safety(bench)


def _tell_timeline(timeline: list[dict[str, Any]]) -> None:
    for entry in timeline:
        why = " ".join([entry["why"], *entry["faults"]])
        colour = COLOURS.get(entry["state"])
        click.echo(click.style(_state_line(entry["t_ms"] / 1000, entry["state"], why), fg=colour))


def _state_line(t_s: float, state: str, why: str) -> str:
    return f"{t_s:8.3f} s  {state:<{STATE_WIDTH}}  {why}"


def _tell_technique(asked: Technique, measured: dict[str, Any]) -> None:
    rows = (
        ("kV", asked.kv, measured["kv"], 1),
        ("mA", asked.ma, measured["ma"], 3),
        ("mAs", asked.planned_mas, measured["mas"], 3),
        ("ms", asked.planned_ms, measured["beam_ms"], 0),
    )
    click.echo(_dim(f"{'':>10}{'asked for':>12}{'indicated':>12}"))
    for name, wanted, indicated, digits in rows:
        seen = "-" if indicated is None else f"{indicated:.{digits}f}"
        click.echo(f"{name:>10}{wanted:>12.{digits}f}{seen:>12}")
    click.echo(
        _dim(f"{'':12}indicated by the generator, not measured; ms from the middle of the ramp")
    )


def _tell_end(made: Demo) -> None:
    end = f"Ended by: {made.manifest['end_reason'] or 'nothing that was reported'}"
    if made.manifest["fault"]:
        end += f" ({made.manifest['fault']})"
    click.echo(click.style(end, fg="red" if made.problems else "green"))
    for problem in made.problems:
        click.echo(click.style(f"  {problem}", fg="red"))


def _tell_files(made: Demo) -> None:
    click.echo(f"Files in {made.folder}")
    places = {name: str(Path(path).relative_to(made.folder)) for name, path in made.files.items()}
    width = max(map(len, places.values()), default=0)
    for name, place in places.items():
        click.echo(f"  {place:<{width}}  {_dim(ABOUT[name])}")
    click.echo(f"Run it again from its record: dxrig replay {made.folder}")


def _tell_safety(bench: Bench) -> None:
    shown: dict[str, Bound] = {}
    for bound in bounds_of(bench):
        shown.setdefault(bound.sr, bound)  # the first of each is the one that counts
    click.echo("What ends a beam on this bench, and how soon (more: dxrig doctor --bounds)")
    for sr in BOUNDS_SHOWN:
        if sr in shown:
            bound = shown[sr]
            click.echo(f"  {bound.what:<34}{bound.bound_us / 1000:5.0f} ms  {_dim(bound.layer)}")
    click.echo(_dim("Simulated; bounds are computed, not measured. Not a cleared medical device."))


def _asked(technique: Technique) -> str:
    return f"{technique.kv:g} kV {technique.ma:g} mA {ending_of(technique)}"


def _dim(text: str) -> str:
    return click.style(text, dim=True)
