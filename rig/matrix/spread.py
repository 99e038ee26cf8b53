"""Fewer cells than all of them: each fault in some places, and each in others than the one before.

The same choice each time, so that a cell that fails can be run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rig.injections import InjectionSection
from rig.matrix.places import PLACES, Place

Chosen = Mapping[str, Sequence[Place]]  # by the id of the row


def places_of(
    rows: Iterable[InjectionSection], states: Sequence[str], each_count: int | None = None
) -> Chosen:
    """`each_count`: of how many places for each row; None: of all that it can occur in."""
    possible = {row.id: _possible(row, states) for row in rows}
    running = [row_id for row_id, places in possible.items() if places]
    if each_count is not None:
        for index, row_id in enumerate(running):
            possible[row_id] = _spread(possible[row_id], index, each_count)
    return possible


def _possible(row: InjectionSection, states: Sequence[str]) -> list[Place]:
    return [p for p in PLACES if p.state in states and row.reason_not_in(p.state) is None]


def _spread(places: list[Place], index: int, each_count: int) -> list[Place]:
    """As far apart as they can be, beginning one further for each row."""
    many = len(places)
    taken = min(each_count, many)
    wanted = {(index + nth * many // taken) % many for nth in range(taken)}
    return [place for at, place in enumerate(places) if at in wanted]
