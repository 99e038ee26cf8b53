"""Which row of a meter's file is which exposure: by order and time, and by a person's word.

Deterministic, and it explains itself: every row and every exposure that is left over has its
reason, and what could be either is left over, too. The values that were measured have no say: a
unit that makes 20 % too much kV must not lose its rows for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from rig.exit_codes import UsageError
from rig.instruments.clock import Fit, fit_at, fits
from rig.instruments.meter_rows import MeterRow
from rig.instruments.reasons import Distances, keeps_order, seconds
from rig.instruments.shots import ShotSeen

TOLERANCE_S = 2.0  # a stamp of whole seconds, of the start or the end, and a clock's drift [D]
WITHIN_S = 15 * 3600.0  # any time zone, and summer time on top


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
    rows_s = [seconds(row.start) for row in rows]
    timed = [index for index, shot in enumerate(shots) if shot.start is not None]
    shots_s = [seconds(shots[index].start) for index in timed]
    known = offset_s
    if known is None and fixed:
        differences = [
            rows_s[i] - seconds(shots[j].start) for i, j in fixed.items() if shots[j].start
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
    return _settled(rows, shots, fixed, matched, offset, tolerance_s)


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
) -> Pairing:
    """A person's pairs first; then the fit's, less those that could be others as well."""
    taken = set(fixed.values())
    pairs = {
        i: j
        for i, j in matched.items()
        if i not in fixed and j not in taken and keeps_order(i, j, fixed)
    } | fixed
    distance = Distances(rows, shots, offset_s, tolerance_s)
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
    )


def _unsure(
    pairs: Mapping[int, int], fixed: Mapping[int, int], distance: Distances
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
