"""`dxrig matrix`: every injection in every state of the unit, on the model rung."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.options import bench_option, chosen_bench, json_option
from rig.progress import Bar, progress_option

if TYPE_CHECKING:
    from rig.injections import InjectionSection
    from rig.matrix.cell import Result
    from rig.matrix.run import Matrix


@click.command(
    epilog="""\b
Examples:
  dxrig matrix
  dxrig matrix --only F06,F31 --state EXPOSE
  dxrig matrix --json --html matrix.html
  dxrig matrix --own-waits
  dxrig matrix --bench room --spread 2

Every row of rig/injections.toml is injected in each of the eleven states, and the unit is
judged: is the beam prevented or ended within this bench's bound, is nothing lost, is the
right thing told, does it stay until reset. Exit code 1 when a cell is not as its row says.
States that wait for somebody wait 2 to 5 s here, unless --own-waits. All of it takes two
minutes of one core; --spread is the short run, the same cells each time.

\b
In the table: ok = a reaction as its row says, so = carries on, as its row says,
n/a = not applicable, BAD = another reaction, open = a known defect, . = not asked for.
"""
)
@click.option("--only", metavar="IDS", help="Some injections: F06,F31.")
@click.option("--state", "states", metavar="STATES", help="Some states: EXPOSE,READY.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=lambda: min(8, os.cpu_count() or 2),
    show_default="one a processor, at most 8",
    help="How many cells at a time.",
)
@click.option(
    "--own-waits", is_flag=True, help="PREP, READY, READOUT and RELEASE_WAIT as on the bench."
)
@click.option(
    "--spread",
    "each_count",
    metavar="COUNT",
    type=click.IntRange(min=1),
    help="Each fault in so many states only, and each in others: a sample of all.",
)
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page, too.")
@bench_option
@progress_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    only: str | None,
    states: str | None,
    jobs: int,
    own_waits: bool,
    each_count: int | None,
    html: Path | None,
    bench: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Inject every fault in every state, and judge each reaction."""
    from rig.injections import shipped_injections
    from rig.matrix.run import cell_count, run_matrix

    chosen = chosen_bench(ctx, bench)
    rows = _chosen_rows(only, shipped_injections())
    wanted = _chosen_states(states)
    with Bar(progress, cell_count(rows.values(), wanted, each_count), "fault matrix") as bar:
        matrix = run_matrix(
            chosen,
            rows,
            wanted,
            jobs=jobs,
            own_waits=own_waits,
            each_count=each_count,
            on_result=lambda r: bar.advance(f"{r.id} in {r.state} {r.moment}".strip()),
        )
    if html:
        _write(html, matrix, matrix.rows, chosen.name)
    if as_json:
        from rig.matrix.answer import as_json as content

        answer_json(content(matrix))
    else:
        _tell(matrix, matrix.rows)
    ctx.exit(1 if matrix.failures else 0)


def _chosen_rows(
    only: str | None, rows: Mapping[str, InjectionSection]
) -> Mapping[str, InjectionSection]:
    from rig.injections import known_injection

    if only is None:
        return rows
    chosen = [known_injection(word.strip().upper()) for word in only.split(",")]
    return {row.id: row for row in chosen}


def _chosen_states(states: str | None) -> Sequence[str]:
    from rig.config_errors import suggestion
    from rig.unit_states import STATES

    if states is None:
        return STATES
    words = [word.strip().upper() for word in states.split(",")]
    for word in words:
        if word not in STATES:
            raise UsageError(f"no state '{word}'; {suggestion(word, STATES)}")
    return [state for state in STATES if state in words]


def _write(
    html: Path, matrix: Matrix, rows: Mapping[str, InjectionSection], bench_name: str
) -> None:
    from rig.matrix.page import page
    from rig.version import version_line

    try:
        html.write_text(
            page(matrix, rows, bench_name=bench_name, software=version_line()), encoding="utf-8"
        )
    except OSError as error:
        raise UsageError(f"{html}: can't be written ({error.strerror})") from None


def _tell(matrix: Matrix, rows: Mapping[str, InjectionSection]) -> None:
    from rig.matrix.answer import slowest_rows, table_rows

    answer_table(*table_rows(matrix, rows))
    click.echo()
    answer_table(*slowest_rows(matrix), title="Nearest to its bound, class by class")
    click.echo()
    click.echo(
        f"{len(matrix.results)} run, {len(matrix.not_applicable)} not applicable, "
        f"{len(matrix.failures)} not as their row says, {len(matrix.defects)} known defects, "
        f"{matrix.seconds:.1f} s"
    )
    for result in matrix.defects:
        why = rows[result.id].defect_of(result.state, result.moment)
        click.echo(f"open: {result.id} in {result.state} {result.moment}".rstrip() + f": {why}")
    for result in matrix.failures:
        _tell_failure(result, rows[result.id])


def _tell_failure(result: Result, row: InjectionSection) -> None:
    click.echo(f"\n{result.id} in {result.state} {result.moment}".rstrip() + f": {row.title}")
    for text in result.wrong:
        click.echo(f"  {text}")
    click.echo(f"  again: dxrig matrix --only {result.id} --state {result.state}")
