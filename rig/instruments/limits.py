"""What a finding is held against, and who says so: data in TOML files, marked verified or not."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Literal

from pydantic import Field

from firmware_py.config import Strict
from rig.config_errors import Mistake
from rig.instruments.tables import Tables

Test = Literal["kv", "time", "ma", "mas", "reproducibility", "four shots", "linearity", "hvl"]
Mark = Literal["S", "M", "D", "C"]  # qc-and-physics.md: stated, memory, design, computed
_ACCURACY = ("kv", "time", "ma", "mas")
Point = Annotated[tuple[float, float], Field(strict=False)]  # TOML knows lists alone
Points = Annotated[list[Point], Field(min_length=2)]


class Limit(Strict):
    """`pct` of the indicated value, `plus` in its unit; `most`: of a ratio; `hvl_mm`: kV, mm Al.

    `above`: only where the indicated value is larger. `shots`: how many it takes.
    `hvl_mm` has a list for each operating range: nothing is interpolated across their steps.
    """

    test: Test
    pct: Annotated[float, Field(gt=0, le=100)] | None = None
    plus: Annotated[float, Field(ge=0)] = 0.0
    above: Annotated[float, Field(ge=0)] | None = None
    most: Annotated[float, Field(gt=0, le=1)] | None = None
    shots: Annotated[int, Field(ge=2, le=100)] = 2
    hvl_mm: list[Points] = Field(default_factory=list)
    unverified_above: float | None = None  # kV: from there on the table is from memory
    mark: Mark
    source: str = Field(min_length=1)

    def least_hvl_mm(self, kv: float) -> float:
        """On the line through two points of the nearest range, and on beyond its ends."""
        points = min(self.hvl_mm, key=lambda range_: max(range_[0][0] - kv, kv - range_[-1][0]))
        at = min(max(bisect_right([kv for kv, _ in points], kv) - 1, 0), len(points) - 2)
        (kv_a, mm_a), (kv_b, mm_b) = points[at : at + 2]
        return mm_a + (mm_b - mm_a) * (kv - kv_a) / (kv_b - kv_a)

    def mark_at(self, kv: float) -> Mark:
        beyond = self.unverified_above is not None and kv > self.unverified_above
        return "M" if beyond else self.mark


class LimitSet(Strict):
    name: str = ""
    about: str
    limit: list[Limit] = Field(min_length=1)

    def of(self, test: Test) -> list[Limit]:
        return [limit for limit in self.limit if limit.test == test]


def _mistakes(found: LimitSet) -> list[Mistake]:
    return [mistake for at, limit in enumerate(found.limit) for mistake in _crossed(at, limit)]


def _crossed(at: int, limit: Limit) -> list[Mistake]:
    needed = "pct" if limit.test in _ACCURACY else "hvl_mm" if limit.test == "hvl" else "most"
    if not getattr(limit, needed):
        text = f"a limit of {limit.test!r} needs {needed}"
        return [Mistake(path=("limit", at, "test"), text=text)]
    rising = [kv for points in limit.hvl_mm for kv, _ in points]
    if rising != sorted(set(rising)):
        text = "the kV of its points must rise from the first to the last"
        return [Mistake(path=("limit", at, "hvl_mm"), text=text)]
    return []


LIMITS = Tables("limits", LimitSet, _mistakes, word="limits")
