"""`dxrig run`: scenarios on a rung, and whether all was seen that they expect."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json
from rig.options import benches_option, chosen_benches, json_option
from rig.progress import Bar, progress_option

if TYPE_CHECKING:
    from rig.outcomes import Outcome, Task


@click.command(
    epilog="""\b
Examples:
  dxrig run clean_by_mas
  dxrig run rig/scenarios --rung wire --jobs 2 --junit report.xml
  dxrig run mine.toml --out runs/today
  dxrig run rig/scenarios --bench portable --bench mobile
  dxrig run rig/scenarios --bench all --json

A shipped scenario takes kV and mA from [typical] of the bench. What a bench can't show is
skipped with the reason, and counted as not run.
Exit code 1 when a scenario saw something else than it expects. rig/scenarios/README.md
has the words of a scenario.
"""
)
@click.argument("paths", metavar="PATH|NAME...", nargs=-1, required=True)
@click.option(
    "--rung",
    type=click.Choice(["model", "wire"]),
    default="model",
    show_default=True,
    help="model: virtual time in one process; wire: real processes, ports and time.",
)
@benches_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Noise and defects.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep a folder a scenario in here.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Report for CI.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="How many at a time on the wire rung.",
)
@progress_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    rung: str,
    benches: tuple[str, ...],
    seed: int | None,
    out: Path | None,
    junit: Path | None,
    jobs: int,
    progress: str,
    as_json: bool,
) -> None:
    """Run scenarios: files, folders, or shipped ones by name."""
    from rig.outcomes import load_tasks
    from rig.scenario import find_scenarios
    from rig.state_dir import new_folder

    chosen = chosen_benches(ctx, benches)
    found = find_scenarios(paths)
    tasks = load_tasks(found, chosen, rung=rung, seed=seed, out=out)
    if out is not None:
        new_folder(out)
    ended = _run(tasks, rung, jobs, junit, progress, as_json)
    if as_json:
        from rig.run_view import content

        answer_json(content(rung, [bench.name for bench in chosen], ended))
    ctx.exit(1 if any(outcome.failed for outcome in ended) else 0)


def _run(
    tasks: Sequence[Task], rung: str, jobs: int, junit: Path | None, progress: str, as_json: bool
) -> list[Outcome]:
    """In the order of the tasks. The report for CI is written whatever ends us."""
    from rig import run_view
    from rig.junit import write_junit
    from rig.outcomes import outcomes

    wanted = [(task.bench.name, task.scenario.name) for task in tasks]
    several = len({bench for bench, _ in wanted}) > 1
    names = [f"{bench}: {name}" if several else name for bench, name in wanted]
    width = max(map(len, names))
    ended: list[Outcome] = []
    started_s = time.monotonic()
    try:
        with Bar(progress, len(tasks), f"{rung} rung") as bar:
            for outcome in outcomes(tasks, jobs):
                ended.append(outcome)
                name = names[wanted.index((outcome.bench, outcome.name))]
                if not as_json and (outcome.failed or not several):
                    bar.say(run_view.line(outcome, name, width))
                bar.advance(name)
    finally:
        ended.sort(key=lambda outcome: wanted.index((outcome.bench, outcome.name)))
        if junit is not None:
            done = {(outcome.bench, outcome.name) for outcome in ended}
            write_junit(junit, rung, ended, unfinished=[n for n in wanted if n not in done])
    if not as_json:
        if several:
            run_view.tell_table(ended)
            click.echo()
        click.echo(run_view.total(ended, rung, time.monotonic() - started_s))
    return ended
