"""`dxrig exposures`: what was irradiated, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import CHECK_FAILED, UsageError
from rig.options import bench_option, json_option
from rig.progress import Bar, progress_option

if TYPE_CHECKING:
    from rig.exposures.stored import Stored

last_option = click.option(
    "--last", type=click.IntRange(1, 1_000_000), metavar="N", help="The newest N alone."
)


@click.group(
    epilog="""\b
Examples:
  dxrig exposures list
  dxrig exposures show 12
  dxrig exposures verify
  dxrig exposures repair
  dxrig exposures export /media/stick/march --last 20

An exposure is named by its id or its number.
"""
)
def command() -> None:
    """List, show, verify, repair and export the exposures of a bench."""


@command.command(
    name="list",
    epilog="""\b
Examples:
  dxrig exposures list
  dxrig exposures list --last 10 --json | jq '.exposures[].outcome'
  dxrig exposures list --all

\b
Ends: complete (as planned, image there if one was due), aborted (ended early, or without its
image), no beam, unknown dose (with its bound), open (under way, or its recorder died).
Doses are indicated by the generator, not measured.
""",
)
@bench_option
@last_option
@click.option("--all", "every", is_flag=True, help="All of them; else the newest 50.")
@json_option
@click.pass_context
def list_(
    ctx: click.Context, bench: str | None, last: int | None, every: bool, as_json: bool
) -> None:
    """The newest exposures, oldest first."""
    from rig.exposures.stored import listed
    from rig.exposures.words import HEADINGS, as_dict, row

    if every and last:
        raise UsageError("--all and --last N exclude each other")
    name, state = _bench(ctx, bench)
    found = listed(state, None if every else last or 50)
    if as_json:
        answer_json({"bench": name, "exposures": [as_dict(one) for one in found]})
    elif not found:
        click.echo(f"Bench {name}: no exposure yet; `dxrig expose` makes one")
    else:
        answer_table(HEADINGS, [row(one) for one in found], title=f"Exposures of bench {name}")
        if found[0].number > 1 and not last:
            click.echo(f"{found[0].number - 1} older ones: dxrig exposures list --all")


@command.command(
    epilog="""\b
Examples:
  dxrig exposures show 12
  dxrig exposures show x-0123456789ab --json
"""
)
@click.argument("which", metavar="ID|NUMBER")
@bench_option
@json_option
@click.pass_context
def show(ctx: click.Context, which: str, bench: str | None, as_json: bool) -> None:
    """All that is known of one exposure."""
    from rig.exposures.stored import stored
    from rig.exposures.words import sheet, whole
    from rig.instruments.kept import read_kept, values_of

    name, state = _bench(ctx, bench)
    found = stored(state, which)
    measured = list(values_of(read_kept(state), found.exposure.shot_id))
    if as_json:
        answer_json({"bench": name, **whole(found, measured)})
        return
    for line in sheet(found, measured):
        click.echo(line)


@command.command(
    epilog="""\b
Examples:
  dxrig exposures verify
  dxrig exposures verify 12 13
  dxrig exposures verify --last 100 --json

Reads every file and compares it with the sha256 of when it was saved; without a choice, checks
the journal as a whole and looks for folders that it does not know, too.
Exit code 1 when something is not as it was saved. Nothing is changed:
`dxrig exposures repair` puts right what can be.
"""
)
@click.argument("which", metavar="[ID|NUMBER]...", nargs=-1)
@bench_option
@last_option
@progress_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    which: Sequence[str],
    bench: str | None,
    last: int | None,
    progress: str,
    as_json: bool,
) -> None:
    """Is everything still as it was saved?"""
    from rig.exposures import verify as verifying
    from rig.exposures.stored import listed

    name, state = _bench(ctx, bench)
    chosen = _chosen(state, which, last) if which or last else None
    total = len(listed(state, None)) if chosen is None else len(chosen)
    with Bar(progress, total, "verifying") as bar:
        verdict = verifying.verify(state, chosen, bar.advance)
    found = [{"exposure": one.exposure, "what": one.what} for one in verdict.findings]
    counts = {"exposures": verdict.exposures_count, "files": verdict.files_count}
    if as_json:
        answer_json({"bench": name, **counts, "findings": found})
    else:
        for one in verdict.findings:
            click.echo(f"{one.exposure}: {one.what}" if one.exposure else one.what)
        verb = "as saved" if not found else f"{len(found)} findings"
        click.echo(f"{counts['exposures']} exposures, {counts['files']} files: {verb}")
        if found:
            click.echo(f"Put right what can be: dxrig exposures repair --bench {name}")
    ctx.exit(CHECK_FAILED if found else 0)


@command.command(
    epilog="""\b
Examples:
  dxrig exposures repair
  dxrig exposures repair 12 13
  dxrig exposures repair --from /media/stick/march
  dxrig exposures repair --json | jq '.findings[] | select(.mended | not)'

What `dxrig exposures verify` finds is put right where that can be proved, by the sha256 of when
it was saved: images are made again from the raw frame, exposure.json from the journal, the run's
panel set is copied from where the same one lies. Nothing makes a raw frame again: it stays where
it is, and is put back from a backup or an export that --from names.

Nothing is deleted but reserved space in which nothing was ever written. What is rotten, half
written or not of the exposure goes to RUN/quarantine, with a list (quarantine.jsonl) of when,
from where, and both sha256. Runs a second time without harm, also after it was killed.

Exit code 0: nothing wrong, or all of it put right; 1: something is rotten still, and why;
3: somebody else owns the bench, or its disk can't be written.
"""
)
@click.argument("which", metavar="[ID|NUMBER]...", nargs=-1)
@bench_option
@last_option
@click.option(
    "--from",
    "source",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A backup or an export that may hold sound copies.",
)
@progress_option
@json_option
@click.pass_context
def repair(
    ctx: click.Context,
    which: Sequence[str],
    bench: str | None,
    last: int | None,
    source: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Put right what is not as it was saved; keep the rotten files aside."""
    from rig.exposures import repair as repairing
    from rig.exposures.repair_words import as_dict, told
    from rig.exposures.stored import listed

    name, state = _bench(ctx, bench)
    chosen = _chosen(state, which, last) if which or last else None
    ids = None if chosen is None else [one.exposure.shot_id for one in chosen]
    total = len(listed(state, None)) if ids is None else len(ids)
    with Bar(progress, total, "repairing") as bar:
        done = repairing.repair(state, ids, source=source, on_exposure=bar.advance)
    if as_json:
        answer_json({"bench": name, **as_dict(done)})
    else:
        told(done, name)
    ctx.exit(CHECK_FAILED if done.left_count else 0)


@command.command(
    epilog="""\b
Examples:
  dxrig exposures export /media/stick/march --last 20
  dxrig exposures export out 12 13
  dxrig exposures export out --all && (cd out && sha256sum -c SHA256SUMS)

A folder an exposure, exposures.csv, exposures.json and SHA256SUMS. The folder must be new or
empty. Files that are not what was saved stay behind, with exit code 1. What names a patient is
exported as it stands in the images: treat the folder so.
"""
)
@click.argument("out", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@click.argument("which", metavar="[ID|NUMBER]...", nargs=-1)
@bench_option
@last_option
@click.option("--all", "every", is_flag=True, help="All exposures of the bench.")
@json_option
@click.pass_context
def export(
    ctx: click.Context,
    out: Path,
    which: Sequence[str],
    bench: str | None,
    last: int | None,
    every: bool,
    as_json: bool,
) -> None:
    """Copy exposures, checked, into a folder for others."""
    from rig.exposures import export as exporting
    from rig.exposures.stored import all_stored
    from rig.state_dir import new_folder

    if sum(map(bool, (which, last, every))) != 1:
        raise UsageError("say which: ids or numbers, --last N, or --all")
    _, state = _bench(ctx, bench)
    chosen = all_stored(state) if every else _chosen(state, which, last)
    if not chosen:
        raise UsageError("this bench has made no exposure; there is nothing to export")
    done = exporting.export(chosen, new_folder(out))
    if as_json:
        counts = {"exposures": done.exposures_count, "files": done.files_count}
        answer_json({"folder": str(out), **counts, "left_out": done.left_out})
    else:
        for text in done.left_out:
            click.echo(f"left out: {text}")
        of = f"{done.exposures_count} of {len(chosen)} exposures"
        click.echo(f"{out}: {of}, {done.files_count} files")
    ctx.exit(CHECK_FAILED if done.left_out else 0)


def _bench(ctx: click.Context, bench: str | None) -> tuple[str, Path]:
    from rig.state_dir import state_home
    from rig.unit_client import bench_name

    name = bench_name(ctx.obj, bench)
    return name, state_home() / name


def _chosen(state: Path, which: Sequence[str], last: int | None) -> list[Stored]:
    from rig.exposures.stored import listed, stored

    if which and last:
        raise UsageError("name exposures, or say --last N")
    ids = [one.shot_id for one in listed(state, last)] if last else which
    found = [stored(state, one) for one in ids]
    return list({one.exposure.shot_id: one for one in found}.values())  # named twice: once
