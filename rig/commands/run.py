"""`dxrig run`: scenarios on a rung, and whether all was seen that they expect."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json
from rig.options import bench_option, chosen_bench, json_option
from rig.progress import Bar, progress_option

if TYPE_CHECKING:
    from rig.outcomes import Outcome, Task


@click.command(
    epilog="""\b
Examples:
  dxrig run clean_by_mas
  dxrig run rig/scenarios --rung wire --jobs 2 --junit report.xml
  dxrig run mine.toml --out runs/today

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
@bench_option
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
    bench: str | None,
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

    chosen = chosen_bench(ctx, bench)
    found = find_scenarios(paths)
    tasks = load_tasks(found, chosen, rung=rung, seed=seed, out=out)
    if out is not None:
        new_folder(out)
    ended = _run(tasks, rung, jobs, junit, progress, as_json)
    failed = sum(not outcome.passed for outcome in ended)
    if as_json:
        answer_json(_answer(rung, chosen.name, ended))
    ctx.exit(1 if failed else 0)


def _run(
    tasks: Sequence[Task], rung: str, jobs: int, junit: Path | None, progress: str, as_json: bool
) -> list[Outcome]:
    """In the order of the tasks. The report for CI is written whatever ends us."""
    from rig.junit import write_junit
    from rig.outcomes import outcomes

    names = [task.scenario.name for task in tasks]
    ended: list[Outcome] = []
    started_s = time.monotonic()
    try:
        with Bar(progress, len(tasks), f"{rung} rung") as bar:
            for outcome in outcomes(tasks, jobs):
                ended.append(outcome)
                if not as_json:
                    bar.say(_told(outcome, max(map(len, names))))
                bar.advance(outcome.name)
    finally:
        ended.sort(key=lambda outcome: names.index(outcome.name))
        if junit is not None:
            done = {outcome.name for outcome in ended}
            write_junit(junit, rung, ended, unfinished=[n for n in names if n not in done])
    if not as_json:
        click.echo(_total(ended, rung, time.monotonic() - started_s))
    return ended


def _told(outcome: Outcome, name_width: int) -> str:
    mark = click.style("pass", fg="green") if outcome.passed else click.style("FAIL", fg="red")
    lines = [f"{mark}  {outcome.name:<{name_width}}  {outcome.seconds:5.1f} s  {outcome.title}"]
    found = outcome.problems if outcome.error is None else (outcome.error,)
    lines += [f"      {problem}" for problem in found]
    return "\n".join(lines + [f"      skipped: {text}" for text in outcome.skipped])


def _total(ended: Sequence[Outcome], rung: str, seconds: float) -> str:
    passed = sum(outcome.passed for outcome in ended)
    counts = [f"{passed} passed", f"{len(ended) - passed} failed"]
    if skipped := _skipped_count(ended):
        counts.append(f"{skipped} expectations skipped")
    return f"{', '.join(counts)} on the {rung} rung in {seconds:.1f} s"


def _skipped_count(ended: Sequence[Outcome]) -> int:
    """Expectations that the rung can't judge; their scenarios did run."""
    return sum(len(outcome.skipped) for outcome in ended)


def _answer(rung: str, bench_name: str, ended: Sequence[Outcome]) -> dict[str, Any]:
    from dataclasses import asdict

    passed = sum(outcome.passed for outcome in ended)
    return {
        "rung": rung,
        "bench": bench_name,
        "passed": passed,
        "failed": len(ended) - passed,
        "skipped": _skipped_count(ended),
        "scenarios": [{**asdict(outcome), "passed": outcome.passed} for outcome in ended],
    }
