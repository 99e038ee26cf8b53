"""What one kind of trouble found: a row of the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rig.durability.verdict import Verdict


@dataclass(slots=True)
class Row:
    """`lost`, `noted`: one line each, with what repeats it. `skipped`: why nothing was done.

    `lost` breaks a promise; `noted` is worth knowing, and nobody promised otherwise.
    """

    what: str
    runs_count: int = 0
    acknowledged_count: int = 0
    incomplete_count: int = 0
    recovered_count: int = 0
    unreadable_count: int = 0
    lost: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    skipped: str | None = None
    detail: str = ""
    seconds: float = 0.0

    def add(self, verdict: Verdict, where: str) -> None:
        """`where` says which run it was, and repeats it."""
        self.count(verdict)
        self.tell(verdict, where)

    def count(self, verdict: Verdict) -> None:
        """A verdict counts all that its folder ever acknowledged: once a folder."""
        self.acknowledged_count += verdict.acknowledged_count
        self.incomplete_count += verdict.incomplete_count
        self.unreadable_count += verdict.is_unreadable

    def tell(self, verdict: Verdict, where: str) -> None:
        self.runs_count += 1
        self.recovered_count += verdict.recovered_count
        self.lost += [f"{where}: {text}" for text in verdict.lost]
        self.noted += [f"{where}: {text}" for text in verdict.noted]


@contextmanager
def timed(row: Row) -> Iterator[Row]:
    started_s = time.monotonic()
    try:
        yield row
    finally:
        row.seconds = round(time.monotonic() - started_s, 1)
