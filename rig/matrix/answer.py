"""What the matrix answers: JSON for programs, a table of short words for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rig.injections import NONE, InjectionSection
from rig.matrix.cell import Result
from rig.matrix.run import Matrix
from rig.unit_states import STATES

SHORT = {
    "SELF_TEST": "SELF-T", "STANDBY": "STDBY", "INTERLOCK_CHECK": "ILOCK", "READOUT": "RDOUT",
    "RELEASE_WAIT": "RELWT",
}  # fmt: skip
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def as_json(matrix: Matrix) -> dict[str, Any]:
    return {
        "run": len(matrix.results),
        "injections": len({result.id for result in matrix.results}),
        "not_applicable": [
            {"id": one.id, "state": one.state, "reason": one.reason}
            for one in matrix.not_applicable
        ],
        "failures": [
            {
                "id": result.id,
                "state": result.state,
                "moment": result.moment,
                "told": result.told,
                "expected": result.expected,
                "wrong": result.wrong,
            }
            for result in matrix.failures
        ],
        "defects": [
            {
                "id": result.id,
                "state": result.state,
                "moment": result.moment,
                "open": result.open,
            }
            for result in matrix.defects
        ],
        "slowest": [
            {
                "class": took.letter,
                "id": result.id,
                "state": result.state,
                "moment": result.moment,
                "took_ms": took.took_us / 1000,
                "bound_ms": took.bound_us / 1000,
                "goal_ms": None if took.goal_us is None else took.goal_us / 1000,
            }
            for result, took in matrix.slowest()
        ],
        "seconds": round(matrix.seconds, 1),
    }


def mark(results: Sequence[Result], *, applicable: bool) -> str:
    """One word for a cell: several results where a state has several moments."""
    if not applicable:
        return "n/a"
    if not results:
        return "."
    if any(result.wrong for result in results):
        return "BAD"
    if any(result.open for result in results):
        return "open"
    return "so" if all(result.told == NONE for result in results) else "ok"


def by_cell(matrix: Matrix) -> dict[tuple[str, str], list[Result]]:
    found: dict[tuple[str, str], list[Result]] = {}
    for result in matrix.results:
        found.setdefault((result.id, result.state), []).append(result)
    return found


def table_rows(matrix: Matrix, rows: Mapping[str, InjectionSection]) -> Table:
    """Rows that can't run on this bench are counted below, not shown."""
    cells = by_cell(matrix)
    body = [
        [
            row.id,
            row.title,
            *(
                mark(
                    cells.get((row.id, state), []),
                    applicable=row.reason_not_in(state) is None,
                )
                for state in STATES
            ),
        ]
        for row in rows.values()
        if row.runs
    ]
    return ["id", "fault", *(SHORT.get(state, state) for state in STATES)], body


def slowest_rows(matrix: Matrix) -> Table:
    body = [
        [
            took.letter,
            f"{result.id} {result.state} {result.moment}".rstrip(),
            f"{took.took_us / 1000:.1f}",
            f"{took.bound_us / 1000:.1f}",
            "-" if took.goal_us is None else f"{took.goal_us / 1000:g}",
        ]
        for result, took in matrix.slowest()
    ]
    return ["class", "cell", "took, ms", "bound, ms", "goal, ms"], body
