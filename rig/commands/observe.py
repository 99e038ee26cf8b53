"""`dxrig observe`: shots on a generator that a person sets and presses; dxrig only watches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.options import bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.observe.shots import Setting
    from rig.observe.watching import Watching

HEADINGS = ("number", "exposure", "outcome", "set by a person", "seen from", "ms", "image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    plan: Path | None
    kvp: float | None
    ma: float | None
    mas: float | None
    ms: float | None
    shots: int
    resume: bool
    yes: bool
    operator: str | None
    hand: str
    wait_s: float
    as_json: bool


@click.command(
    epilog="""\b
Examples:
  dxrig observe --kvp 70 --mas 10 --shots 3
  dxrig observe --kvp 70 --ma 100 --ms 100 --operator "A. Physicist"
  dxrig observe output.toml --bench mine.toml
  dxrig observe --bench observe_folder --kvp 70 --ma 100 --mas 10 --yes
  dxrig observe --resume

A plan is a TOML file of [[shot]] tables with kvp, mas (or ma with ms) and shots. For each one
you are told what to set; press Enter, or type what you set; then press the generator's own
switch. Its lamp's contact says when the beam was. dxrig commands nothing and can end no beam:
keep the room's own rules. Every beam goes into the journal as observed, with what you say was
set, and with nothing indicated; one that nobody asked for is recorded, too. On a bench with
panel.driver = "folder" the maker's own tool drops an image of each shot into a folder: it is
paired by time, checked, and becomes DICOM (dxrig observe --bench observe_folder).

\b
Exit codes: 0 each shot was seen (and its image saved), and nothing else; 1 a shot without a beam
or image, or a beam that nobody asked for; 2 usage; 3 room I/O or folder; 4 an earlier exposure
is open; 130 ended by you.
"""
)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@bench_option
@click.option("--kvp", type=float, help="Tube voltage to be set, kV.")
@click.option("--mas", type=float, help="Charge to be set, mAs.")
@click.option("--ma", type=float, help="Tube current to be set, mA.")
@click.option("--ms", type=float, help="Time to be set; needs --ma.")
@click.option("--shots", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the shots that were broken off.")
@click.option("--yes", is_flag=True, help="Ask for no Enter: each shot is taken as set as asked.")
@click.option("--operator", metavar="NAME", help="Who sets and presses, for the record.")
@click.option(
    "--hand",
    type=click.Choice(["auto", "none"]),
    default="auto",
    help="auto: the simulated person presses (in a simulated room only); none: nobody does.",
)
@click.option(
    "--wait-s",
    type=click.FloatRange(1, 3600),
    default=120.0,
    show_default=True,
    help="How long to wait for a beam.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, bench: str | None, **options: Any) -> None:
    """Watch shots that a person sets and presses; command nothing."""
    ctx.exit(_run(chosen_bench(ctx, bench or "observe"), Order(**options)))


def _run(bench: Bench, order: Order) -> int:
    from rig.bench_checks import OBSERVED
    from rig.bench_lock import hold_bench
    from rig.exit_codes import CHECK_FAILED, DONE, Ended, UsageError
    from rig.observe.notes import close_list, left_of_list
    from rig.observe.shots import must_tell_ma
    from rig.recovery import refuse_if_open
    from rig.state_dir import bench_state

    if bench.unit.generator.driver != OBSERVED:
        raise UsageError(
            f'{bench.path}: its generator is commanded by dxrig; observing needs driver = "manual"'
        )
    state = bench_state(bench.name)
    if order.resume:
        settings, done_count = left_of_list(state)
    else:
        settings, done_count = _asked_for(bench, order), 0
    if bench.folder is not None:
        must_tell_ma(settings)
    with hold_bench(state, "dxrig observe"):
        refuse_if_open(state, bench.name)
        watching = None
        try:
            watching = _watch(bench, order, state, settings, done_count)
        except KeyboardInterrupt:
            raise Ended("ended by the operator; `dxrig observe --resume` goes on") from None
        close_list(state)
    code = DONE if all(one.is_clean for one in watching.shown) else CHECK_FAILED
    _answer(bench, order, watching, code)
    return code


def _asked_for(bench: Bench, order: Order) -> list[Setting]:
    from rig.exit_codes import UsageError
    from rig.observe.shots import plan_of, setting_of

    if (order.plan is None) is (order.kvp is None):
        raise UsageError("name a plan, or give --kvp with --mas (or --ma with --ms)")
    if order.plan is not None:
        return plan_of(order.plan, bench.unit.tube)
    assert order.kvp is not None
    one = setting_of(bench.unit.tube, order.kvp, ma=order.ma, mas=order.mas, ms=order.ms)
    return [one] * order.shots


def _watch(
    bench: Bench, order: Order, state: Path, settings: list[Setting], done_count: int
) -> Watching:
    from contextlib import ExitStack
    from datetime import UTC, datetime
    from uuid import uuid4

    from firmware_py.recorder.setup import Setup
    from firmware_py.recorder.store.database import JournalError
    from hal.generators.manual import BeamWatch
    from rig.exit_codes import DeviceError
    from rig.observe.answers import AsAsked, Typed
    from rig.observe.imaging import images_for
    from rig.observe.notes import Notes, journal_for, save_list
    from rig.observe.watching import Watching
    from rig.recovery import journal_of

    assert bench.observe is not None
    watch = BeamWatch(bench.observe.beam_contact, bench.observe.gap_ms * 1000)
    with ExitStack() as opened:
        room = _room(bench, order)
        opened.callback(room.close)
        setup = Setup(
            unit=bench.unit,
            started_at=datetime.now(UTC),
            uid_namespace=uuid4(),
            simulated=bench.unit.rung != "bench",
        )
        images = images_for(bench, setup, room, state)
        opened.callback(images.close)
        try:
            journal = opened.enter_context(journal_for(journal_of(state)))
            save_list(state, settings, done_count)
            watching = Watching(
                room,
                watch,
                Notes(journal, setup, bench.observe.beam_contact, **images.noted),
                bench.unit.tube,
                AsAsked() if order.yes else Typed(),
                wait_us=round(order.wait_s * 1e6),
                by=order.operator,
                say=lambda text: click.echo(f"dxrig: {text}", err=True),
                done=lambda count: save_list(state, settings, count),
                imaging=images.imaging,
                image_us=images.image_us,
            )
            watching.run(settings, done_count)
        except JournalError as error:
            raise DeviceError(str(error)) from error
    return watching


def _room(bench: Bench, order: Order) -> Any:
    """A simulated maker's room where the module is simulated, else the real module."""
    from rig.exit_codes import UsageError
    from rig.observe.room import RealRoom, SimulatedRoom

    if bench.unit.room.url == "sim":
        by_hand = order.hand == "auto"
        return SimulatedRoom(
            bench.unit.room, seed=bench.sim.seed, hand=by_hand, paced=not order.yes
        )
    if bench.unit.rung != "bench":
        raise UsageError(
            f'{bench.path}: room.url names a real port; that needs rung = "bench" in the file'
        )
    return RealRoom(bench.unit.room)


def _answer(bench: Bench, order: Order, watching: Watching, code: int) -> None:
    rows = [one.as_dict() for one in watching.shown]
    if order.as_json:
        facts = {"bench": bench.name, "simulated": bench.unit.rung != "bench"}
        answer_json({**facts, "commanded_by_dxrig": False, "exposures": rows, "exit_code": code})
        return
    table = [
        (
            str(one.number),
            one.shot_id,
            one.outcome,
            str(one.set or "not known"),
            one.start.astimezone().strftime("%H:%M:%S.%f")[:-3] if one.start else "",
            f"{row['seen_ms']:g}" if row["seen_ms"] is not None else "",
            one.image or "",
        )
        for one, row in zip(watching.shown, rows, strict=True)
    ]
    answer_table(HEADINGS, table, title=f"Observed on bench {bench.name}, not commanded by dxrig")
    if bench.unit.rung != "bench":
        click.echo("Simulated room and person. Not a cleared medical device.")
