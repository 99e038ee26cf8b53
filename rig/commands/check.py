"""`dxrig check`: the controller itself proved, without a bench."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import CHECK_FAILED, CheckFailed
from rig.options import json_option

if TYPE_CHECKING:
    from rig.durability.rows import Row
    from rig.search.explore import Found

# Known without rig.durability, which imports the recorder.
WEAKENINGS = (
    "ignore-sync-errors", "late-commit", "no-folder-sync", "rename-before-fsync",
    "synchronous-normal",
)  # fmt: skip


@click.group(
    epilog="""\b
Examples:
  dxrig check search
  dxrig check durability
"""
)
def command() -> None:
    """Check the controller itself; no bench and no device is needed."""


@command.command(
    epilog="""\b
Examples:
  dxrig check search
  dxrig check search --no-timer
  dxrig check search --faults 1 --json | jq .violations

Exit code 1 when a property is broken; the shortest way to it is told.
"""
)
@click.option(
    "--faults",
    type=click.IntRange(0, 2),
    default=2,
    show_default=True,
    help="How many devices may be wrong at a time.",
)
@click.option(
    "--no-timer", is_flag=True, help="Its generator has no timer: the unit ends a beam by time."
)
@json_option
@click.pass_context
def search(ctx: click.Context, faults: int, *, no_timer: bool, as_json: bool) -> None:
    """Go through every state that the controller reaches in a small world, and judge each step.

    Deadlines are a few scans long there; what is not covered stands in rig/search/explore.py.
    """
    from rig.search.explore import Search

    found = Search(faults, has_timer=not no_timer).run()
    if as_json:
        counts = {"reached": dict(found.reached), "rows": dict(found.rows)}
        answer_json(
            {
                "faults": faults,
                "has_timer": not no_timer,
                **asdict(found),
                **counts,
                "beams": dict(found.beams),
            }
        )
    else:
        _tell(found)
    if found.violations and as_json:
        ctx.exit(CHECK_FAILED)  # one object on stdout, not two
    if found.violations:
        raise CheckFailed(f"{len(found.violations)} properties are broken")


def _tell(found: Found) -> None:
    click.echo(
        f"{found.states} states, {found.transitions} transitions, {found.seconds:.1f} s, "
        f"{len(found.violations)} violations"
    )
    answer_table(("state", "count"), [(name, str(n)) for name, n in found.reached.items()])
    answer_table(
        ("row of the table", "taken"), [(r, str(n)) for r, n in sorted(found.rows.items())]
    )
    for violation in found.violations:
        click.echo(f"\n{violation.what}")
        for words in violation.path:
            click.echo(f"  {words}")


@command.command(
    epilog="""\b
Examples:
  dxrig check durability
  dxrig check durability --cuts 700 --kills 500 --rot 1000 --seed 7
  dxrig check durability --cuts 16 --weaken no-folder-sync
  dxrig check durability --json | jq '.rows[] | {what, lost}'

The same seed repeats cuts, failures and flips exactly; of the kills, half are chance. Kills that
are to be followed step by step: python -m rig.durability.victim --help. Exit code 1 when
something is lost, also with --weaken: then it is what was hoped for.
"""
)
@click.option("--kills", type=click.IntRange(0), default=40, show_default=True, help="SIGKILLs.")
@click.option("--cuts", type=click.IntRange(0), default=16, show_default=True, help="Power cuts.")
@click.option("--sweep/--no-sweep", default=True, help="Each disk operation fails once.")
@click.option("--rot", type=click.IntRange(0), default=40, show_default=True, help="Bits flipped.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--weaken", type=click.Choice(WEAKENINGS), help="Take one promise away: it must be noticed."
)
@json_option
@click.pass_context
def durability(
    ctx: click.Context,
    kills: int,
    cuts: int,
    *,
    sweep: bool,
    rot: int,
    seed: int,
    weaken: str | None,
    as_json: bool,
) -> None:
    """Kill the recorder, cut its power, let its disk fail and rot; judge what is left.

    It is the recorder itself, with small panels, in a folder of its own under the temporary
    directory. Power cuts and failing disks need FUSE; where it is missing they say so.
    """
    from rig.durability.check import run_check

    rows = run_check(
        kills_count=kills, cuts_count=cuts, sweep=sweep, rot_count=rot, seed=seed, weaken=weaken
    )
    if as_json:
        answer_json({"seed": seed, "weaken": weaken, "rows": [asdict(row) for row in rows]})
    else:
        _tell_rows(rows, seed)
    lost_count = sum(len(row.lost) for row in rows)
    if lost_count and as_json:
        ctx.exit(CHECK_FAILED)
    if lost_count:
        raise CheckFailed(f"{lost_count} times something was lost")


def _tell_rows(rows: list[Row], seed: int) -> None:
    from rig.durability.check import in_short

    headings = (
        "what", "runs", "acknowledged", "lost", "unreadable", "noted", "seconds", "",
    )  # fmt: skip
    table = [
        (row.what, *(["-"] * 5), "", f"skipped: {row.skipped}")
        if row.skipped
        else (
            row.what,
            str(row.runs_count),
            str(row.acknowledged_count or "-"),
            str(len(row.lost)),
            str(row.unreadable_count),
            str(len(row.noted)),
            f"{row.seconds:.1f}",
            row.detail,
        )
        for row in rows
    ]
    answer_table(headings, table)
    click.echo(f"seed {seed}")
    for row in rows:
        for line in row.lost:
            click.echo(f"lost: {line}")
    for line in in_short([line for row in rows for line in row.noted]):
        click.echo(f"noted: {line}")
