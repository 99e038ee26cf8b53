"""Which row of a meter's file is which exposure: by order and time, and by a person's word.

Deterministic, and it explains itself: every row and every exposure that is left over has its
reason, and what could be either is left over, too. The values that were measured have no say: a
unit that makes 20 % too much kV must not lose its rows for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from rig.exit_codes import UsageError
from rig.instruments.clock import Fit, fit_at, fits
from rig.instruments.meter_rows import MeterRow
from rig.instruments.shots import ShotSeen

TOLERANCE_S = 2.0  # a stamp of whole seconds, of the start or the end, and a clock's drift [D]
ALIKE_S = 0.5  # two that lie no more apart than this can't be told apart by time [D]
WITHIN_S = 15 * 3600.0  # any time zone, and summer time on top
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`residual_s`: row minus shot, less the clock's offset; None: they have no times."""

    row: MeterRow
    shot: ShotSeen
    residual_s: float | None
    why: str  # time | order | said


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """`offset_s`: how far the meter's clock is ahead; None: not found. Reasons are sentences."""

    pairs: tuple[Pair, ...]
    rows_left: tuple[tuple[MeterRow, str], ...]
    shots_left: tuple[tuple[ShotSeen, str], ...]
    offset_s: float | None = None
    ambiguous: bool = False  # something was left over that a person's word would settle
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person decided. `pairs`: row number -> exposure number."""

    pairs: Mapping[int, int]
    offset_s: float | None = None


def pair(
    rows: Sequence[MeterRow],
    shots: Sequence[ShotSeen],
    *,
    said: Said | None = None,
    tolerance_s: float = TOLERANCE_S,
    within_s: float = WITHIN_S,
) -> Pairing:
    """`rows`: in their order; `shots`: oldest first. Raises UsageError for what was said wrong."""
    said = said or Said(pairs={})
    fixed = _fixed(rows, shots, said.pairs)
    timed = [shot for shot in shots if shot.start is not None]
    if all(row.start is not None for row in rows) and timed:
        return _by_time(rows, shots, fixed, said.offset_s, tolerance_s, within_s)
    return _by_order(rows, shots, fixed)


def _fixed(
    rows: Sequence[MeterRow], shots: Sequence[ShotSeen], said: Mapping[int, int]
) -> dict[int, int]:
    """By index. They may not cross: time goes on for both."""
    row_index = {row.number: index for index, row in enumerate(rows)}
    shot_index = {shot.number: index for index, shot in enumerate(shots)}
    fixed: dict[int, int] = {}
    for row_number, shot_number in said.items():
        if row_number not in row_index:
            raise UsageError(f"--pair {row_number}={shot_number}: the file has no such row")
        if shot_number not in shot_index:
            raise UsageError(
                f"--pair {row_number}={shot_number}: no such exposure with a beam is looked at"
            )
        fixed[row_index[row_number]] = shot_index[shot_number]
    for (_, one), (row, other) in pairwise(sorted(fixed.items())):
        if other <= one:
            raise UsageError(
                f"--pair {rows[row].number}={shots[other].number}: crosses another pair, or takes "
                "its exposure; both follow one another in time"
            )
    return fixed


# --- by time


def _by_time(
    rows: Sequence[MeterRow],
    shots: Sequence[ShotSeen],
    fixed: dict[int, int],
    offset_s: float | None,
    tolerance_s: float,
    within_s: float,
) -> Pairing:
    rows_s = [_seconds(row.start) for row in rows]
    timed = [index for index, shot in enumerate(shots) if shot.start is not None]
    shots_s = [_seconds(shots[index].start) for index in timed]
    known = offset_s
    notes: tuple[str, ...] = ()
    if known is None and fixed:
        differences = [
            rows_s[i] - _seconds(shots[j].start) for i, j in fixed.items() if shots[j].start
        ]
        known = median(differences) if differences else None
    if known is not None:
        fit = fit_at(rows_s, shots_s, known, tolerance_s)
    else:
        found = fits(rows_s, shots_s, tolerance_s=tolerance_s, within_s=within_s)
        if len(found) != 1:
            return _no_offset(rows, shots, found)
        fit = found[0]
    matched = {i: timed[j] for i, j in fit.pairs}
    offset = fit.offset_s if fit.pairs else known
    assert offset is not None
    return _settled(rows, shots, fixed, matched, offset, tolerance_s, notes)


def _no_offset(
    rows: Sequence[MeterRow], shots: Sequence[ShotSeen], found: Sequence[Fit]
) -> Pairing:
    if not found:
        why = (
            "the times of the file fit no exposures of this bench; another bench or day? "
            "Few rows show no pattern: say how far the meter's clock is ahead (--clock)"
        )
    else:
        offsets = " or ".join(f"{fit.offset_s:+.1f} s" for fit in found[:4])
        why = f"the meter's clock may be {offsets} ahead, all fit as well; say which (--clock)"
    return Pairing(
        pairs=(),
        rows_left=tuple((row, why) for row in rows),
        shots_left=tuple((shot, "no row is paired yet") for shot in shots if found),
        ambiguous=True,
        notes=(why,),
    )


def _settled(
    rows: Sequence[MeterRow],
    shots: Sequence[ShotSeen],
    fixed: dict[int, int],
    matched: dict[int, int],
    offset_s: float,
    tolerance_s: float,
    notes: tuple[str, ...],
) -> Pairing:
    """A person's pairs first; then the fit's, less those that could be others as well."""
    taken = set(fixed.values())
    pairs = {
        i: j
        for i, j in matched.items()
        if i not in fixed and j not in taken and _keeps_order(i, j, fixed)
    } | fixed
    distance = _Distances(rows, shots, offset_s, tolerance_s)
    unsure = _unsure(pairs, fixed, distance)
    for i in unsure:
        del pairs[i]
    made = [
        Pair(
            row=rows[i],
            shot=shots[j],
            residual_s=distance.signed_s(i, j),
            why="said" if i in fixed else "time",
        )
        for i, j in sorted(pairs.items())
    ]
    first = min(pairs.values(), default=0)
    last = max([*pairs.values(), *distance.reached], default=-1)
    return Pairing(
        pairs=tuple(made),
        rows_left=tuple(
            (rows[i], unsure.get(i) or distance.why_row(i, pairs))
            for i in range(len(rows))
            if i not in pairs
        ),
        shots_left=tuple(
            (shots[j], distance.why_shot(j, pairs, unsure))
            for j in range(min([first, *distance.reached], default=0), last + 1)
            if j not in pairs.values()
        ),
        offset_s=offset_s,
        ambiguous=bool(unsure),
        notes=notes,
    )


def _keeps_order(i: int, j: int, fixed: Mapping[int, int]) -> bool:
    return all((i < row) == (j < shot) for row, shot in fixed.items())


def _unsure(
    pairs: Mapping[int, int], fixed: Mapping[int, int], distance: _Distances
) -> dict[int, str]:
    """Rows that another free exposure suits as well, or whose exposure suits another free row.

    What one unsure pair lets go may make the next unsure: looked at until nothing changes.
    """
    unsure: dict[int, str] = {}
    while True:
        sure = {i: j for i, j in pairs.items() if i not in unsure}
        found = {
            i: why
            for i, j in sure.items()
            if i not in fixed and (why := distance.why_unsure(i, j, sure))
        }
        if not found:
            return unsure
        unsure |= found


class _Distances:
    """How far rows and shots lie apart once the clock is set right."""

    def __init__(
        self,
        rows: Sequence[MeterRow],
        shots: Sequence[ShotSeen],
        offset_s: float,
        tolerance_s: float,
    ) -> None:
        self._rows, self._shots, self._tolerance_s = rows, shots, tolerance_s
        self._rows_s = [_seconds(row.start) - offset_s for row in rows]
        self._shots_s = [None if shot.start is None else _seconds(shot.start) for shot in shots]
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
        return self._apart_s(i, j) <= self._tolerance_s and _keeps_order(i, j, others)

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


# --- by order


def _by_order(
    rows: Sequence[MeterRow], shots: Sequence[ShotSeen], fixed: dict[int, int]
) -> Pairing:
    """Between what a person paired, as many rows as exposures go one by one; else none does."""
    pairs = dict(fixed)
    left: dict[int, str] = {}
    shots_left: dict[int, str] = {}
    ends = [(-1, -1), *sorted(fixed.items()), (len(rows), len(shots))]
    for (row_a, shot_a), (row_b, shot_b) in pairwise(ends):
        between_rows, between = range(row_a + 1, row_b), range(shot_a + 1, shot_b)
        if len(between_rows) == len(between):
            pairs |= dict(zip(between_rows, between, strict=True))
            continue
        why = (
            f"{len(between_rows)} rows and {len(between)} exposures, and no times to tell them "
            "apart; say --pair ROW=NUMBER, --drop ROW or --shots A-B"
        )
        left |= dict.fromkeys(between_rows, why)
        shots_left |= dict.fromkeys(between, why)
    return Pairing(
        pairs=tuple(
            Pair(
                row=rows[i],
                shot=shots[j],
                residual_s=None,
                why="said" if i in fixed else "order",
            )
            for i, j in sorted(pairs.items())
        ),
        rows_left=tuple((rows[i], why) for i, why in sorted(left.items())),
        shots_left=tuple((shots[j], why) for j, why in sorted(shots_left.items())),
        ambiguous=bool(left or shots_left),
        notes=("the file has no times: paired by order alone",),
    )


def _seconds(at: datetime | None) -> float:
    assert at is not None
    return (at - _EPOCH).total_seconds()
