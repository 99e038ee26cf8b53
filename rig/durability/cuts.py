"""Power cuts: what was not synced is gone, at a place that is counted in operations.

The places are spread over the whole life, so that as many cuts as there are operations are a
cut between any two of them. Each second cut lets SQLite move its WAL every eight pages; in each
second pair of cuts chance keeps a part of what was not synced. The recorder then starts again
on what is left, recovers, and is cut off once more.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rig.durability.heard import Heard
from rig.durability.lives import lived
from rig.durability.mount import Mount, why_not
from rig.durability.rows import Row, timed
from rig.durability.story import Kind
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
            again = chance.randrange(whole[cut % 2] // 2)
            keeps_seed = chance.randrange(1 << 30) if cut // 2 % 2 else None
            troubles = [Trouble(cut_after_count=n, keeps_seed=keeps_seed) for n in (at, again)]
            for at_now, verdict in _two_lives(plans[cut % 2], troubles, work / f"cut-{cut}"):
                row.add(verdict, f"cut {cut} (before operation {at_now}, seed {seed})")
    return row


def _two_lives(
    plan: Plan, troubles: Sequence[Trouble], work: Path
) -> Iterator[tuple[str, Verdict]]:
    """Where each was cut, and what was left. The judge recovers in a copy, the recorder itself."""
    heard, before, at = Heard(), _empty(work / "before"), ""
    for life, trouble in enumerate(troubles):
        here = work / f"life-{life}"
        _life(plan, trouble, before, here, heard)
        before = here / "after"
        shutil.copytree(before, here / "judged")
        at += f"{' and ' if at else ''}{1 + (trouble.cut_after_count or 0)}"
        yield at, judge(here / "judged", plan.seed, heard)
        first = 1 + max(heard.intents, default=0)
        plan = replace(
            plan,
            first_number=first,
            last_number=first + len(Kind) - 1,
            resend_number=heard.under_way(),
        )


def _operations_count(plan: Plan, work: Path) -> int:
    mount = _life(plan, Trouble(), _empty(work / "before"), work, Heard())
    return sum(mount.counts.values())


def _empty(folder: Path) -> Path:
    """With the folders that are older than the bench's first start."""
    for made in (journal_path(folder).parent, run_folder(folder)):
        made.mkdir(parents=True)
    return folder


def _life(plan: Plan, trouble: Trouble, before: Path, work: Path, heard: Heard) -> Mount:
    with Mount(work / "mount", trouble, before=before, after=work / "after") as mount:
        heard.take(lived(plan, mount.at))
    return mount
