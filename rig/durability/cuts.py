"""Power cuts: what was not synced is gone, at a place that is counted in operations.

The places are spread over the whole life, so that as many cuts as there are operations are a
cut between any two of them. Each second cut lets SQLite move its WAL every eight pages.
"""

from __future__ import annotations

import random
from pathlib import Path

from rig.durability.heard import Heard
from rig.durability.lives import lived
from rig.durability.mount import Mount, why_not
from rig.durability.rows import Row, timed
from rig.durability.trouble import Trouble
from rig.durability.verdict import Verdict, judge
from rig.durability.victim import Plan, journal_path, run_folder


def run_cuts(count: int, seed: int, work: Path, weaken: str | None = None) -> Row:
    with timed(Row("power cuts")) as row:
        row.skipped = why_not()
        if row.skipped:
            return row
        plans = [Plan(seed=seed, weaken=weaken), Plan(seed=seed, weaken=weaken, checkpoint_count=8)]
        whole = [_operations_count(plan, work / f"whole-{n}") for n, plan in enumerate(plans)]
        for cut in range(count):
            chance = random.Random(f"{seed}/cut/{cut}")
            at = int((cut + chance.random()) * whole[cut % 2] / count)
            verdict = cut_after(at, plans[cut % 2], work / f"cut-{cut}")
            row.add(verdict, f"cut {cut} (before operation {at + 1}, seed {seed})")
    return row


def cut_after(operations_count: int, plan: Plan, work: Path) -> Verdict:
    """One life that ends so; the judge sees what was durable."""
    heard, _ = _life(plan, Trouble(cut_after_count=operations_count), work)
    return judge(work / "after", plan.seed, heard)


def _operations_count(plan: Plan, work: Path) -> int:
    _, mount = _life(plan, Trouble(), work)
    return sum(mount.counts.values())


def _life(plan: Plan, trouble: Trouble, work: Path) -> tuple[Heard, Mount]:
    before, heard = work / "before", Heard()
    for folder in (journal_path(before).parent, run_folder(before)):
        folder.mkdir(parents=True)
    with Mount(work / "mount", trouble, before=before, after=work / "after") as mount:
        heard.take(lived(plan, mount.at))
    return heard, mount
