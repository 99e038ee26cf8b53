"""What a finding is held against, and who says so: data in TOML files, marked verified or not."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from firmware_py.config import Strict
from rig.bench import parsed, read_text
from rig.bench_names import shown_path
from rig.config_errors import Mistake, mistakes_of, suggestion, told
from rig.exit_codes import ConfigError, UsageError
from rig.toml_lines import key_lines

SHIPPED = Path(__file__).parent / "limits"
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


def shipped_limits() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_limits(name_or_file: str) -> LimitSet:
    """Raises UsageError with the nearest name, ConfigError with all the mistakes of a file."""
    if name_or_file in shipped_limits():
        path = SHIPPED / f"{name_or_file}.toml"
    else:
        path = Path(name_or_file)
        if path.suffix != ".toml" and not path.exists():
            near = suggestion(name_or_file, shipped_limits())
            raise UsageError(f"no limits {name_or_file!r}; {near}")
    text, name = read_text(path), shown_path(path)
    data = parsed(text, name)
    found, mistakes = None, []
    try:
        found = LimitSet.model_validate(data | {"name": path.stem})
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), LimitSet)
    if found is not None:
        mistakes = [m for at, limit in enumerate(found.limit) for m in _crossed(at, limit)]
    if found is None or mistakes:
        raise ConfigError(told(name, key_lines(text), mistakes))
    return found


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
