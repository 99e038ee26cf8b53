"""The dated list of changes that no test can tell from the code, and what a gate makes of it.

A change that survives every test is a gap in the tests, or it means the same as the code: then
it stands in tools/equivalents.toml with a reason and a date. The list is matched by what stood
there and what stands there instead, so an edit elsewhere in the file loses no entry, and an
entry that matches nothing any more is a finding like any other.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

KEYS = ("file", "where", "was", "becomes", "reason", "date")
GATES = ("mutate", "perturb")


class ListError(Exception):
    """The list can't be read as one: says the file, the entry, and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Change:
    """One mutant: `where` is a function or a table; `was` and `becomes` are lines of source."""

    file: str
    where: str
    was: str
    becomes: str

    def __str__(self) -> str:
        was = "".join(f"\n    - {line}" for line in self.was.splitlines())
        becomes = "".join(f"\n    + {line}" for line in self.becomes.splitlines())
        return f"{self.file}, {self.where}:{was}{becomes}"


def read_known(path: Path, gate: str) -> Counter[Change]:
    """The changes listed for one gate; the same one twice allows it twice."""
    if not path.exists():
        return Counter()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ListError(f"{path.name}: {error}") from None
    for name in table:
        if name not in GATES:
            raise ListError(f"{path.name}: [[{name}]]{_nearest(name, GATES)}")
    rows = table.get(gate, [])
    return Counter(_change(path, f"[[{gate}]] {i}", row) for i, row in enumerate(rows, 1))


def _change(path: Path, place: str, row: dict[str, Any]) -> Change:
    for key in row:
        if key not in KEYS:
            raise ListError(f"{path.name}: {place}: unknown key {key!r}{_nearest(key, KEYS)}")
    for key in KEYS[:-1]:
        allow_empty = key == "becomes"  # a line that is dropped
        if not isinstance(row.get(key), str) or not (row[key].strip() or allow_empty):
            raise ListError(f"{path.name}: {place}: {key} must be a text")
    if type(row.get("date")) is not dt.date:
        raise ListError(f"{path.name}: {place}: date must be a date, as in date = 2026-11-22")
    values = {key: row[key].strip("\n") for key in ("file", "where", "was", "becomes")}
    return Change(**values)


def _nearest(word: str, allowed: Sequence[str]) -> str:
    near = get_close_matches(word, allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f": allowed are {', '.join(allowed)}{hint}"


def problems(
    survived: Collection[Change],
    known: Counter[Change],
    *,
    tried: Collection[str],
    total_count: int,
    most_pct: float,
) -> list[str]:
    """What a gate fails on. `tried`: the files whose changes were all tried in this run."""
    counted = Counter(survived)
    found = [
        f"survived and is not listed: {change}" for change in sorted((counted - known).elements())
    ]
    found += [
        f"listed, but it is found now or the code has changed; drop it: {change}"
        for change in sorted((known - counted).elements())
        if change.file in tried
    ]
    if known.total() * 100 > most_pct * total_count:
        found.append(
            f"{known.total()} of {total_count} changes are listed as equivalent; at most "
            f"{most_pct:g} % may be"
        )
    return found
