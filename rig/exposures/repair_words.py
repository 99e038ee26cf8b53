"""What a repair found and did: as a table for people, as JSON for programs."""

from __future__ import annotations

from typing import Any

import click

from rig.answers import answer_table
from rig.exposures.repair import Repaired

HEADINGS = ("exposure", "file", "found", "done")


def as_dict(done: Repaired) -> dict[str, Any]:
    return {
        "exposures": done.exposures_count,
        "files": done.files_count,
        "mended": len(done.rows) - done.left_count,
        "left": done.left_count,
        "findings": [one.as_dict() for one in done.rows],
    }


def told(done: Repaired, bench: str) -> None:
    """A row a finding; below it what a person must know, then the sum."""
    if done.rows:
        rows = [(one.exposure or "-", one.file, one.found, one.done) for one in done.rows]
        answer_table(HEADINGS, rows, title=f"Repair of bench {bench}")
    for one in done.rows:
        if one.why:
            click.echo(f"{one.exposure} {one.file}: {one.why}".lstrip())
    for folder in sorted({one.kept.parent for one in done.rows if one.kept is not None}):
        click.echo(f"Kept aside, with a list: {folder}")
    counts = f"{done.exposures_count} exposures, {done.files_count} files"
    if not done.rows:
        click.echo(f"{counts}: as saved")
        return
    mended = len(done.rows) - done.left_count
    click.echo(f"{counts}: {len(done.rows)} findings, {mended} put right, {done.left_count} left")
    if done.left_count:
        click.echo(f"With a backup: dxrig exposures repair --bench {bench} --from FOLDER")
