"""SIGKILL, at random and at every crash point: five lives in one folder, each going on where
the last one was killed, and judged after each.

A kill is not a power cut: what was written without a sync is still there.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from rig.durability.crash_points import POINTS
from rig.durability.heard import Heard
from rig.durability.lives import killed, lived
from rig.durability.rows import Row, timed
from rig.durability.verdict import Verdict, judge
from rig.durability.victim import Plan

LIVES = 5
LENGTH = 12  # exposures: each kind at least once, wherever the last life ended


def run_kills(count: int, seed: int, work: Path, weaken: str | None = None) -> Row:
    """Every second kill is at a crash point, one after the other; the rest is chance."""
    with timed(Row("kills")) as row:
        for first in range(0, count, LIVES):
            kills = range(first, min(first + LIVES, count))
            _one_folder(row, kills, seed, work / f"kills-{first}", weaken)
    return row


def _one_folder(row: Row, kills: range, seed: int, folder: Path, weaken: str | None) -> None:
    heard, verdict, told = Heard(), Verdict(), set[str]()
    plan = Plan(seed=seed + kills.start, weaken=weaken, checkpoint_count=8)
    for kill in kills:
        plan, where = _life(plan, kill, seed, folder, heard)
        verdict = judge(folder, plan.seed, heard)
        for lines in (verdict.lost, verdict.noted):
            lines[:] = [line for line in lines if line not in told]
            told.update(lines)
        row.tell(verdict, f"kill {kill} ({where}, seed {seed})")
    row.count(verdict)


def _life(plan: Plan, kill: int, seed: int, folder: Path, heard: Heard) -> tuple[Plan, str]:
    chance = random.Random(f"{seed}/kill/{kill}")
    first = 1 + max(heard.intents, default=0)
    plan = replace(
        plan,
        first_number=first,
        last_number=first + LENGTH - 1,
        resend_number=heard.under_way(),
        crash_at=None,
    )
    if kill % 2:
        heard.take(killed(plan, folder, chance))
        return plan, "at random"
    plan = replace(
        plan, crash_at=f"{POINTS[kill // 2 % len(POINTS)]}:{1 + kill // (2 * len(POINTS))}"
    )
    heard.take(lived(plan, folder))
    return plan, f"{plan.crash_at}"
