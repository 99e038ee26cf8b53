"""A failing disk: each operation of one exposure fails once, one after the other.

Judged is what would be left after a power cut, so that nothing is acknowledged that only
seemed to be stored. What could not be stored must have been told. Reads don't fail here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from rig.durability.heard import Heard
from rig.durability.lives import lived
from rig.durability.mount import Mount, why_not
from rig.durability.rows import Row, timed
from rig.durability.story import Kind, planned
from rig.durability.trouble import ERRORS, KINDS, Trouble
from rig.durability.verdict import Verdict, judge
from rig.durability.victim import Plan


def run_sweep(
    seed: int,
    work: Path,
    weaken: str | None = None,
    *,
    every: int = 1,
    kinds: Sequence[str] = KINDS,
) -> Row:
    """`every`: only each n-th operation. Errors take turns: four seeds see all of them."""
    with timed(Row("failing disk")) as row:
        row.skipped = why_not()
        if row.skipped:
            return row
        sweep = _Sweep(seed, work, weaken)
        for number, trouble in enumerate(sweep.troubles(kinds)):
            if number % every == 0:
                where = f"{trouble.fail_kind} {trouble.fail_nth} fails with {trouble.error}"
                where += " for good" if trouble.for_good else ""
                row.add(sweep.run(trouble), f"sweep ({where}, seed {seed})")
    return row


class _Sweep:
    def __init__(self, seed: int, work: Path, weaken: str | None) -> None:
        """All of it starts from the same folder, with what came before the exposure in it."""
        self._work = work
        self._number = next(n for n in count(2) if planned(seed, n).kind is Kind.IMAGE)
        self._plan = Plan(
            seed=seed, first_number=self._number, last_number=self._number, weaken=weaken
        )
        self._before = work / "before"
        earlier = Plan(seed=seed, first_number=1, last_number=self._number - 1)
        self._earlier = lived(earlier, self._before)
        self._lives = count()

    def troubles(self, kinds: Sequence[str]) -> list[Trouble]:
        """One for each operation of a life without trouble."""
        shift = self._plan.seed
        _, mount, _ = self._life(Trouble())
        places = [(kind, nth) for kind in kinds for nth in range(1, 1 + mount.counts.get(kind, 0))]
        return [
            Trouble(
                fail_kind=kind,
                fail_nth=nth,
                error=sorted(ERRORS)[(number + shift) % 2],
                for_good=(number + shift) % 4 > 1,
            )
            for number, (kind, nth) in enumerate(places)
        ]

    def run(self, trouble: Trouble) -> Verdict:
        heard, _, after = self._life(trouble)
        return judge(after, self._plan.seed, heard)

    def _life(self, trouble: Trouble) -> tuple[Heard, Mount, Path]:
        work = self._work / f"life-{next(self._lives)}"
        heard = Heard()
        heard.take(self._earlier)
        after = work / "after"
        with Mount(work / "mount", trouble, before=self._before, after=after) as mount:
            heard.take(lived(self._plan, mount.at))
        return heard, mount, after
