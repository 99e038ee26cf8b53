"""The matrix as one HTML page: a heat map of how much of its bound each reaction used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from rig.injections import DEAD, ENDED, HELD, NONE, NOTHING, InjectionSection
from rig.matrix.answer import SHORT, by_cell, mark, slowest_rows
from rig.matrix.cell import Result
from rig.matrix.run import Matrix
from rig.unit_states import STATES

STEPS = (10, 30, 60, 90)  # % of the bound, where a darker shade begins
OUTCOMES = {
    NONE: "goes on as planned",
    ENDED: "ends or stays out",
    NOTHING: "no press counts",
    HELD: "fault stays",
    DEAD: "unit is dead",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """`figure`: share of the bound in %, or a word; `shade`: a class of the style sheet."""

    figure: str
    words: str
    shade: str


def page(
    matrix: Matrix, rows: Mapping[str, InjectionSection], *, bench_name: str, software: str
) -> str:
    environment = Environment(
        loader=PackageLoader("rig", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cells = by_cell(matrix)
    body = [(row, [_cell(cells, row, state) for state in STATES]) for row in rows.values()]
    headings, slowest = slowest_rows(matrix)
    return environment.get_template("matrix/page.html.j2").render(
        bench=bench_name,
        software=software,
        matrix=matrix,
        states=[SHORT.get(state, state) for state in STATES],
        running=[(row, cells) for row, cells in body if row.runs],
        absent=[row for row, _ in body if not row.runs],
        excepted=_excepted(rows),
        defects=[(result, _defect(rows[result.id], result)) for result in matrix.defects],
        failures=[(result, rows[result.id]) for result in matrix.failures],
        slowest_headings=headings,
        slowest=slowest,
        outcomes=OUTCOMES,
        steps=STEPS,
    )


def _cell(cells: Mapping[tuple[str, str], list[Result]], row: InjectionSection, state: str) -> Cell:
    here = cells.get((row.id, state), [])
    word = mark(here, applicable=row.reason_not_in(state) is None)
    if word in ("n/a", "."):
        return Cell(word, row.reason_not_in(state) or "not asked for", "absent")
    shares = [took.share for result in here for took in result.took]
    told = ", ".join(dict.fromkeys(OUTCOMES.get(r.told, r.told) for r in here))
    share_pct = round(100 * max(shares)) if shares else None
    figure = {"BAD": "BAD", "open": "open"}.get(word) or (
        word if share_pct is None else f"{share_pct}"
    )
    return Cell(figure, told, _shade(share_pct, word))


def _defect(row: InjectionSection, result: Result) -> str:
    return row.defect_of(result.state, result.moment) or ""


def _shade(share_pct: int | None, word: str) -> str:
    if word in ("BAD", "open"):
        return word.lower()
    if share_pct is None:
        return "plain"
    return f"s{sum(share_pct >= step for step in STEPS)}"


def _excepted(rows: Mapping[str, InjectionSection]) -> Sequence[tuple[str, str, str]]:
    """(id, states, reason): what a state excludes, reasons said once."""
    found: list[tuple[str, str, str]] = []
    for row in rows.values():
        by_reason: dict[str, list[str]] = {}
        for state, reason in row.except_in.items():
            by_reason.setdefault(reason, []).append(state)
        found += [(row.id, ", ".join(states), reason) for reason, states in by_reason.items()]
    return found
