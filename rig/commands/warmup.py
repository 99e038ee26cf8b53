"""`dxrig warmup`: the daily warm-up of a tube, and the conditioning of a long-idle one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.options import bench_option, chosen_bench, json_option
from rig.progress import progress_option
from rig.routines.options import routine_options

if TYPE_CHECKING:
    from firmware_py.routines.idle import Warmth
    from firmware_py.routines.spec import Spec
    from rig.bench import Bench
    from rig.model import ModelRung
    from rig.routines.place import Place


@click.command(
    epilog="""\b
Examples:
  dxrig warmup --dry-run --idle 40d
  dxrig warmup --rung model --idle 3d
  dxrig warmup --hand none --operator "A. Meier"
  dxrig warmup --conditioning --rung model --arc-at 90

The minutes are those of the tube's table for its rest and the temperature ([warmup] of the
bench file); a rest that is not known counts as the longest. No receptor may be in the beam:
panel away or collimator closed. Until it is done kV is capped; `dxrig expose --defer-warmup
REASON` lets it wait in an emergency. Where an interruption, a crash or an empty battery ended
it, the same command goes on; after too long a rest it begins anew.

--dry-run looks at what this bench has recorded and speaks to no device and no simulator.

\b
Exit codes: 0 warmed up, or nothing to do; 1 it failed, or the battery must be charged first;
2 usage; 3 device; 4 refused before any beam; 130 ended by the operator, or nobody pressed.
"""
)
@bench_option
@routine_options
@click.option("--conditioning", is_flag=True, help="Service: the kV ladder of a long-idle tube.")
@click.option(
    "--idle",
    metavar="TIME",
    help="The tube has rested so long: 90m, 3h, 40d, 2w; default: what is recorded.",
)
@click.option("--ambient-c", type=click.FloatRange(-40, 60), help="Temperature of tube and room.")
@click.option(
    "--charge", type=click.IntRange(0, 100), default=100, show_default=True,
    help="The battery's state of charge at the start, %; the source does not tell it.",
)  # fmt: skip
@click.option(
    "--arc-at", type=float, multiple=True, metavar="KV",
    help="Model rung: the simulated tube arcs once at this kV; repeatable.",
)  # fmt: skip
@progress_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, bench: str | None, **options: Any) -> None:
    """Warm the tube up, or condition it; each beam by the handswitch."""
    ctx.exit(_run(chosen_bench(ctx, bench), options))


def _run(bench: Bench, options: dict[str, Any]) -> int:
    from rig.durations import seconds_of
    from rig.exit_codes import UsageError
    from rig.routines.place import place_of

    if options["idle"] is not None:
        seconds_of(options["idle"])  # what is written wrong is told before a device is missed
    if options["arc_at"] and options["rung"] != "model":
        raise UsageError("--arc-at: only a simulated tube on --rung model arcs when it is told to")
    if options["dry_run"]:
        return _dry_run(bench, options)
    with place_of(
        bench,
        rung=options["rung"],
        at=options["at"],
        hand=options["hand"],
        state=options["state"],
        out=options["out"],
    ) as place:
        return _in(place, bench, options)


def _in(place: Place, bench: Bench, options: dict[str, Any]) -> int:
    from rig.bench_lock import hold_bench
    from rig.routines.place import space_told

    with hold_bench(place.state, "dxrig warmup"), space_told(place.state):
        warmth = _warmth(bench, options, place)
        spec = _spec(bench, options, warmth)
        if spec is None:
            return _nothing_to_do(warmth, as_json=options["as_json"])
        return _work(place, bench, options, spec, warmth)


def _work(
    place: Place, bench: Bench, options: dict[str, Any], spec: Spec, warmth: Warmth | None
) -> int:
    from firmware_py.recorder.store.tube_heat import stored_heat
    from rig.recovery import journal_of
    from rig.routines.answer import answer
    from rig.routines.check import checked
    from rig.routines.place import operator_of
    from rig.routines.report import instruments_of, keep_record
    from rig.routines.show import LiveView
    from rig.routines.tube import note_warmed
    from rig.routines.work import Order, Work, clock_of

    instruments = instruments_of(options["instruments"])
    at = clock_of(place.ports, place.state)
    heat = stored_heat(journal_of(place.state), bench.unit.tube, at)
    order = Order(
        bench=bench,
        spec=spec,
        state=place.state,
        ports=place.ports,
        out=_run_folder(options["out"], place),
        by_hand=place.by_hand,
        allowed=options["allow_exposure"],
        operator=operator_of(options["operator"], place),
        restart=options["restart"],
        wait_s=options["wait_s"],
        warm=warmth is None or warmth.warm,
        before=_arcs(options["arc_at"]),
    )
    run = checked(bench.unit, spec, heat_j=heat.heat_j)
    outcome = Work(order, LiveView(options["progress"], run, person=place.by_hand)).run()
    if outcome.verdict == "passed":
        note_warmed(place.state, bench.unit, outcome.at, outcome.kept.routine_id)
    folder = keep_record(order, outcome, instruments=instruments, notes=_notes(warmth))
    answer(outcome, folder, order, as_json=options["as_json"], facts={})
    return outcome.exit_code


def _run_folder(out: Path | None, place: Place) -> Path | None:
    """On the model rung `--out` holds the state, too."""
    return out / "run" if out is not None and place.ports is None else out


def _warmth(bench: Bench, options: dict[str, Any], place: Place | None) -> Warmth | None:
    """None: there is no table, or conditioning asks for none."""
    from firmware_py.routines.idle import Warmth, minutes_after
    from rig.durations import seconds_of
    from rig.routines.tube import ambient_of, warmth_on

    table = bench.unit.warmup
    if options["conditioning"] or table is None:
        return None
    ambient_c = options["ambient_c"]
    ambient_c = ambient_of(bench, place, table) if ambient_c is None else ambient_c
    if options["idle"] is not None:
        idle_s = seconds_of(options["idle"])
        minutes = minutes_after(table, idle_s, ambient_c)
        return Warmth(idle_s=idle_s, minutes=minutes, why="of rest, as --idle says")
    return warmth_on(bench, place, ambient_c)


def _spec(bench: Bench, options: dict[str, Any], warmth: Warmth | None) -> Spec | None:
    """None: nothing is to be done."""
    from rig.routines.tube import conditioning_spec, warmup_spec

    charge = options["charge"] / 100
    if options["conditioning"]:
        return conditioning_spec(bench.unit, charge=charge)
    if warmth is not None and warmth.warm:
        return None
    return warmup_spec(bench.unit, warmth.minutes if warmth else 0.0, charge=charge)


def _nothing_to_do(warmth: Warmth | None, *, as_json: bool) -> int:
    if as_json:
        answer_json({"needed": False, "warmth": _plain(warmth)})
    else:
        click.echo(f"No warm-up is needed: {_told(warmth)}.")
    return 0


def _dry_run(bench: Bench, options: dict[str, Any]) -> int:
    from rig.routines.check import checked
    from rig.routines.show import groups, summary, tell_dry_run

    warmth = _warmth(bench, options, None)
    spec = _spec(bench, options, warmth)
    if spec is None:
        return _nothing_to_do(warmth, as_json=options["as_json"])
    run = checked(bench.unit, spec)
    if options["as_json"]:
        answer_json({"needed": True, "kind": spec.kind, "warmth": _plain(warmth),
                     "total": summary(run), "steps": groups(run)})  # fmt: skip
        return 0
    if warmth is not None:
        click.echo(f"Warm-up of {warmth.minutes:g} min: {_told(warmth)}.")
    tell_dry_run(run, f"{spec.kind} on bench {bench.name}")
    _tell_sources(bench, conditioning=options["conditioning"])
    return 0


def _tell_sources(bench: Bench, *, conditioning: bool) -> None:
    rules = bench.unit.conditioning if conditioning else bench.unit.warmup
    if rules is not None:
        click.echo(f"Source: {rules.source}. kV, mA and pauses are the bench file's.")


def _told(warmth: Warmth | None) -> str:
    from rig.durations import words_of

    if warmth is None:
        return "this tube has no table"
    if warmth.idle_s is None:
        return warmth.why
    return f"{words_of(warmth.idle_s)} {warmth.why}"


def _plain(warmth: Warmth | None) -> dict[str, Any] | None:
    if warmth is None:
        return None
    return {"idle_s": warmth.idle_s, "minutes": warmth.minutes, "why": warmth.why}


def _notes(warmth: Warmth | None) -> str:
    if warmth is None:
        return "Rules: see [conditioning] of the bench file; its figures are the site's own."
    return f"{warmth.minutes:g} min by the tube's table: {_told(warmth)}."


def _arcs(kvs: tuple[float, ...]) -> Any:
    """A simulated tube that arcs once in the first beam at each of these kV."""
    from rig.routines.inject import arc_at

    def inject(rung: ModelRung) -> None:
        for kv in kvs:
            arc_at(rung, kv)

    return inject
