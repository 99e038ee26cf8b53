"""`dxrig calibrate`: a panel's maps, made, listed and rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.options import bench_option, chosen_bench, json_option, panel_option
from rig.progress import progress_option
from rig.routines.options import routine_options

if TYPE_CHECKING:
    from firmware_py.recorder.image.sets import SetStore
    from firmware_py.routines.dry_run import DryRun
    from firmware_py.routines.idle import Warmth
    from firmware_py.routines.spec import Spec
    from rig.bench import Bench
    from rig.routines.panel_maps import Made
    from rig.routines.place import Place
    from rig.routines.work import Order, Outcome

KINDS = {
    "offset": "Make the offset map, from dark frames. No beam, no press.",
    "gain": "Make offset and gain maps, and linearity. Dark frames, then flats by the handswitch.",
    "defects": "Make the defect map. The classes of ASTM E2597, from dark frames and bright flats.",
    "lag": "Measure lag. What a frame still holds of the ones before it; a set may go without.",
}

KIND_EPILOG = """\b
Examples:
  dxrig calibrate {kind} --dry-run
  dxrig calibrate {kind} --rung model --state trial
  dxrig calibrate {kind} --hand none --operator "A. Meier"

\b
Exit codes: 0 a new set is in use; 1 a limit was missed, the set before stays; 2 usage;
3 device; 4 refused before any beam; 130 ended by the operator, or nobody pressed.
"""


@click.group(
    epilog="""\b
Examples:
  dxrig calibrate gain --dry-run
  dxrig calibrate offset
  dxrig calibrate gain --hand none --operator "A. Meier"
  dxrig calibrate list
  dxrig calibrate rollback --operator "A. Meier" --why "stripes since Monday"

The order is gain, defects, lag; each begins with dark frames and makes a new offset, too.
`offset` alone is the daily one. Nothing is corrected while maps are made. A set is used only
when every limit was met; exposures are refused while it is incomplete (offset, gain and defects
are needed), expired, or of another panel or unit. Flats need a warm tube and an open field.

\b
Exit codes: 0 a new set is in use; 1 a limit was missed, the set before stays; 2 usage;
3 device; 4 refused before any beam; 130 ended by the operator, or nobody pressed.
"""
)
def command() -> None:
    """Make, list and roll back a panel's calibration sets."""


def _add_kind(kind: str, about: str) -> None:
    @command.command(name=kind, help=about, epilog=KIND_EPILOG.format(kind=kind))
    @bench_option
    @panel_option
    @routine_options
    @click.option(
        "--kvp", type=float, help="Tube voltage of the flats, kV; default: [calibration]."
    )
    @progress_option
    @json_option
    @click.pass_context
    def make(ctx: click.Context, /, bench: str | None, **options: Any) -> None:
        ctx.exit(_run(kind, chosen_bench(ctx, bench), options))


for _kind, _about in KINDS.items():
    _add_kind(_kind, _about)


def _run(kind: str, bench: Bench, options: dict[str, Any]) -> int:
    from rig.routines.panel_plan import panel_spec
    from rig.routines.place import place_of

    spec = panel_spec(kind, bench.unit, kv=options["kvp"])
    if options["dry_run"]:
        return _dry_run(bench, spec, as_json=options["as_json"])
    with place_of(
        bench,
        rung=options["rung"],
        at=options["at"],
        hand=options["hand"],
        state=options["state"],
        out=options["out"],
    ) as place:
        return _in(place, kind, bench, spec, options)


def _in(place: Place, kind: str, bench: Bench, spec: Spec, options: dict[str, Any]) -> int:
    from rig.bench_lock import hold_bench
    from rig.exit_codes import Refused
    from rig.panel_sets import current_set
    from rig.routines.answer import answer
    from rig.routines.place import operator_of, space_told
    from rig.routines.report import instruments_of, keep_record
    from rig.routines.show import LiveView
    from rig.routines.tube import warmth_on
    from rig.routines.work import Order, Work

    instruments = instruments_of(options["instruments"])
    with hold_bench(place.state, f"dxrig calibrate {kind}"), space_told(place.state):
        current = current_set(place.state, bench.unit)
        if kind in ("defects", "lag") and (current is None or "gain" not in current[0].parts):
            raise Refused(
                f"panel {bench.unit.panel.panel_id} has no gain map yet; "
                "run `dxrig calibrate gain` first"
            )
        _refuse_cold(kind, bench, spec, warmth_on(bench, place, None))
        out = options["out"]
        order = Order(
            bench=bench,
            spec=spec,
            state=place.state,
            ports=place.ports,
            out=out / "run" if out is not None and place.ports is None else out,
            by_hand=place.by_hand,
            allowed=options["allow_exposure"],
            operator=operator_of(options["operator"], place),
            restart=options["restart"],
            wait_s=options["wait_s"],
            warm=warmth_on(bench, place, None).warm,
            panel_set=current[0] if current else None,
            panel_set_path=current[1] if current else None,
        )
        view = LiveView(options["progress"], _dry(bench, spec), person=place.by_hand)
        outcome = Work(order, view).run()
        made, problem = _made(kind, order, outcome)
        told, facts = _stored(kind, order, outcome, made)
        folder = keep_record(
            order,
            outcome,
            values=made.values if made else (),
            pictures=made.pictures if made else {},
            problem=problem,
            instruments=instruments,
            notes="; ".join(told),
        )
        answer(outcome, folder, order, as_json=options["as_json"], facts=facts, told=told)
        return 1 if problem else outcome.exit_code


def _refuse_cold(kind: str, bench: Bench, spec: Spec, warmth: Warmth) -> None:
    """Before the first dark frame, not after the last."""
    from rig.exit_codes import Refused
    from rig.routines.panel_plan import flats_kv

    table = bench.unit.warmup
    if kind == "offset" or warmth.warm or table is None or flats_kv(spec) <= table.cold_kv_max:
        return
    raise Refused(
        f"the tube is not warmed up ({warmth.why}) and flats need {flats_kv(spec):g} kV, more "
        f"than the {table.cold_kv_max:g} kV of a cold tube; run `dxrig warmup` first"
    )


def _made(kind: str, order: Order, outcome: Outcome) -> tuple[Made | None, str | None]:
    """The maps, and why they are not to be used; None, None when the routine did not end."""
    from rig.routines.panel_maps import Maker, make_set
    from rig.routines.panel_plan import Frames, flats_kv

    if outcome.verdict != "passed":
        return None, None
    maker = Maker(
        unit=order.bench.unit,
        at=outcome.at,
        operator=order.operator,
        routine_id=outcome.kept.routine_id,
        kv=flats_kv(order.spec),
    )
    try:
        frames = Frames(order.spec, outcome.ending.results, outcome.lives)
        made = make_set(kind, frames, order.panel_set, maker)
    except ValueError as error:
        return None, str(error)
    return made, f"out of limits: {', '.join(made.failed)}" if made.failed else None


def _stored(
    kind: str, order: Order, outcome: Outcome, made: Made | None
) -> tuple[list[str], dict[str, Any]]:
    """What became of the set, in words and in plain values."""
    from rig.panel_sets import store_of

    store = store_of(order.state, order.bench.unit)
    before = store.current_number()
    if made is None or made.panel_set is None:
        stays = "there is no set yet" if before is None else f"set {before} stays in use"
        return [f"No new set was stored; {stays}."], {"set": before, "new": False}
    number = store.add(
        made.panel_set,
        changed=kind if kind == "offset" else f"offset, {kind}",
        operator=order.operator,
        routine=outcome.kept.routine_id,
        at=outcome.at,
    )
    missing = [name for name in ("offset", "gain", "defects") if name not in made.panel_set.parts]
    told = f"Set {number} of panel {made.panel_set.panel_id} is in use."
    if missing:
        told += f" It is not complete yet: {', '.join(missing)} to be made."
    return [told], {"set": number, "new": True, "missing": missing}


def _dry(bench: Bench, spec: Spec) -> DryRun:
    from rig.routines.check import checked

    full_scale = (1 << bench.unit.panel.bits_stored) - 1
    return checked(bench.unit, spec, level_counts=round(0.2 * full_scale))


def _dry_run(bench: Bench, spec: Spec, *, as_json: bool) -> int:
    from rig.routines.show import groups, summary, tell_dry_run

    run = _dry(bench, spec)
    if as_json:
        answer_json({"kind": spec.kind, "total": summary(run), "steps": groups(run)})
        return 0
    tell_dry_run(run, f"calibrate {spec.kind} on bench {bench.name}")
    if run.beams:
        click.echo("The first flat is assumed to reach its level; else more are made to find it.")
    return 0


# --- what there is


state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="The state folder of model-rung runs; default: the bench's own.",
)


def _store(bench: Bench, state: Path | None) -> tuple[SetStore, Path]:
    from rig.panel_sets import store_of
    from rig.state_dir import bench_state

    folder = bench_state(bench.name) if state is None else state
    return store_of(folder, bench.unit), folder


@command.command(
    name="list",
    epilog="""\b
Examples:
  dxrig calibrate list
  dxrig calibrate list --state trial --json

"expired" is judged by today's date; runs on the model rung carry dates of their own calendar.

\b
Exit codes: 0 listed, also when there is none; 4 the list of sets is damaged.
""",
)
@bench_option
@panel_option
@state_option
@json_option
@click.pass_context
def list_sets(ctx: click.Context, bench: str | None, state: Path | None, as_json: bool) -> None:
    """Every version of the panel's set, newest first."""
    from datetime import UTC, datetime

    from firmware_py.recorder.image.maps import PanelSetError
    from rig.exit_codes import Refused
    from rig.routines.work import clock_of
    from rig.set_view import HEADINGS, set_json, set_rows

    chosen = chosen_bench(ctx, bench)
    store, folder = _store(chosen, state)
    at = datetime.now(UTC) if state is None else clock_of(None, folder)
    try:
        if as_json:
            answer_json({"bench": chosen.name, **set_json(store, at)})
            return
        rows = set_rows(store, at)
    except PanelSetError as error:
        raise Refused(str(error)) from error
    panel = chosen.unit.panel.panel_id
    if not rows:
        click.echo(f"Panel {panel} was never calibrated; run `dxrig calibrate offset`.")
        return
    answer_table(HEADINGS, rows, title=f"Calibration sets of panel {panel}")
    for problem in store.problems():
        click.echo(f"note: {problem}")


@command.command(
    epilog="""\b
Examples:
  dxrig calibrate rollback --operator "A. Meier" --why "stripes since Monday"
  dxrig calibrate rollback --to 3 --operator "A. Meier" --why "gain map with the grid in"

An earlier set may lack parts or have expired ones; `dxrig calibrate list` shows which. Exposures
are then refused until they have been made.

\b
Exit codes: 0 the earlier set is in use; 2 usage, such as no name or no reason; 3 bench in
use; 4 there is no such version, or its file is damaged or missing.
"""
)
@bench_option
@panel_option
@state_option
@click.option(
    "--to", "number", type=click.IntRange(min=1), help="Version; default: the one before."
)
@click.option("--operator", required=True, metavar="NAME", help="Who decides it.")
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is recorded.")
@json_option
@click.pass_context
def rollback(
    ctx: click.Context,
    bench: str | None,
    state: Path | None,
    number: int | None,
    operator: str,
    why: str,
    as_json: bool,
) -> None:
    """Use an earlier version again; nothing is deleted."""
    from datetime import UTC, datetime

    from firmware_py.recorder.image.maps import PanelSetError
    from rig.bench_lock import hold_bench
    from rig.exit_codes import UsageError
    from rig.panel_sets import unfit
    from rig.routines.work import clock_of

    chosen = chosen_bench(ctx, bench)
    store, folder = _store(chosen, state)
    at = datetime.now(UTC) if state is None else clock_of(None, folder)
    with hold_bench(folder, "dxrig calibrate rollback"):
        try:
            now = store.rollback(number, operator=operator, why=why, at=at)
        except PanelSetError as error:
            raise UsageError(str(error)) from error
        problem = unfit(store.load(now), chosen.unit, at)
    if as_json:
        answer_json({"bench": chosen.name, "set": now, "problem": problem})
        return
    click.echo(f"Set {now} of panel {chosen.unit.panel.panel_id} is in use again.")
    if problem:
        click.echo(f"No exposure can be made with it: {problem}.")
