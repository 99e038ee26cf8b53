"""All kinds of trouble one after the other, each in a folder that is gone afterwards."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from rig.durability.cuts import run_cuts
from rig.durability.kills import run_kills
from rig.durability.rot import run_rot
from rig.durability.rows import Row
from rig.durability.sweep import run_sweep

_SHOT = re.compile(r"\bD\d+-\d{5}\b|\b[0-9a-f]{16}\b|\d+")


def run_check(
    *, kills_count: int, cuts_count: int, sweep: bool, rot_count: int, seed: int, weaken: str | None
) -> list[Row]:
    """What is asked for with 0 is left out; rot has nothing that could be weakened."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="dxrig-durability-") as folder:
        work = Path(folder)
        if kills_count:
            rows.append(run_kills(kills_count, seed, work / "kills", weaken))
        if cuts_count:
            rows.append(run_cuts(cuts_count, seed, work / "cuts", weaken))
        if sweep:
            rows.append(run_sweep(seed, work / "sweep", weaken))
        if rot_count and weaken is None:
            rows += run_rot(rot_count, seed, work / "rot")
    for row in rows:
        row.detail = row.detail or _detail(row)
    return rows


def in_short(lines: list[str]) -> list[str]:
    """The first of each sort, with how many there are: a sort differs in names and numbers."""
    sorts: dict[str, list[str]] = {}
    for line in lines:
        words = line.partition("): ")[2]
        sorts.setdefault(_SHOT.sub("#", words), []).append(line)
    return [
        found[0] if len(found) == 1 else f"{found[0]} (and {len(found) - 1} more like it)"
        for found in sorts.values()
    ]


def _detail(row: Row) -> str:
    return f"{row.incomplete_count} told as incomplete, {row.recovered_count} images recovered"
