"""How far rows and exposures lie apart, and why one of them is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rig.instruments.meter_rows import MeterRow
from rig.instruments.shots import ShotSeen

ALIKE_S = 0.5  # two that lie no more apart than this can't be told apart by time [D]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Distances:
    """Once the clock is set right. `reached`: the shots that lie in the time of the rows."""

    def __init__(
        self,
        rows: Sequence[MeterRow],
        shots: Sequence[ShotSeen],
        offset_s: float,
        tolerance_s: float,
    ) -> None:
        self._rows, self._shots, self._tolerance_s = rows, shots, tolerance_s
        self._rows_s = [seconds(row.start) - offset_s for row in rows]
        self._shots_s = [None if shot.start is None else seconds(shot.start) for shot in shots]
        low_s, high_s = min(self._rows_s) - tolerance_s, max(self._rows_s) + tolerance_s
        self.reached = [
            j
            for j, at_s in enumerate(self._shots_s)
            if at_s is not None and low_s <= at_s <= high_s
        ]

    def signed_s(self, i: int, j: int) -> float | None:
        at_s = self._shots_s[j]
        return None if at_s is None else self._rows_s[i] - at_s

    def _apart_s(self, i: int, j: int) -> float:
        signed_s = self.signed_s(i, j)
        return float("inf") if signed_s is None else abs(signed_s)

    def _free(self, i: int, j: int, pairs: Mapping[int, int]) -> bool:
        others = {row: shot for row, shot in pairs.items() if row != i and shot != j}
        return self._apart_s(i, j) <= self._tolerance_s and keeps_order(i, j, others)

    def why_unsure(self, i: int, j: int, pairs: Mapping[int, int]) -> str:
        near_s = self._apart_s(i, j) + ALIKE_S
        for other in self.reached:
            alike = other not in pairs.values() and self._apart_s(i, other) <= near_s
            if alike and self._free(i, other, pairs):
                a, b = sorted((self._shots[j].number, self._shots[other].number))
                number = self._rows[i].number
                return (
                    f"exposures {a} and {b} suit it alike; say --pair {number}={a} or {number}={b}"
                )
        for row in range(len(self._rows)):
            alike = row not in pairs and self._apart_s(row, j) <= near_s
            if alike and self._free(row, j, pairs):
                shot = self._shots[j].number
                mine, its = self._rows[i].number, self._rows[row].number
                return (
                    f"row {its} suits exposure {shot} alike; say --pair {mine}={shot} "
                    f"or --pair {its}={shot}, or --drop one"
                )
        return ""

    def why_row(self, i: int, pairs: Mapping[int, int]) -> str:
        if not self.reached:
            return "no exposure lies in the time of the file"
        j = min(self.reached, key=lambda shot: self._apart_s(i, shot))
        shot, apart_s = self._shots[j].number, self._apart_s(i, j)
        if apart_s > self._tolerance_s:
            return f"no exposure at its time; the nearest, {shot}, is {apart_s:.1f} s away"
        by_row = next((row for row, its in pairs.items() if its == j), None)
        if by_row is None:
            return f"exposure {shot} is not decided, or would cross another pair"
        nearer_s = self._apart_s(by_row, j)
        return (
            f"exposure {shot} has row {self._rows[by_row].number} "
            f"({nearer_s:.1f} s away, this one {apart_s:.1f} s)"
        )

    def why_shot(self, j: int, pairs: Mapping[int, int], unsure: Mapping[int, str]) -> str:
        if self._shots_s[j] is None:
            return "its time is not known"
        near = [i for i in unsure if self._apart_s(i, j) <= self._tolerance_s + ALIKE_S]
        if near:
            numbers = ", ".join(str(self._rows[i].number) for i in near)
            return f"row {numbers} may be it; not decided"
        i = min(range(len(self._rows)), key=lambda row: self._apart_s(row, j))
        number, apart_s = self._rows[i].number, self._apart_s(i, j)
        if apart_s <= self._tolerance_s and i in pairs:
            its = self._shots[pairs[i]].number
            return f"row {number}, {apart_s:.1f} s away, is exposure {its}'s"
        return f"no row at its time; the nearest, row {number}, is {apart_s:.1f} s away"


def keeps_order(i: int, j: int, fixed: Mapping[int, int]) -> bool:
    return all((i < row) == (j < shot) for row, shot in fixed.items())


def seconds(at: datetime | None) -> float:
    assert at is not None
    return (at - _EPOCH).total_seconds()
