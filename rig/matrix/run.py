"""All the cells that were asked for, from one snapshot a state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hal.types import Technique
from rig.bench import Bench
from rig.injections import InjectionSection
from rig.matrix.bounds import Parts, parts_of
from rig.matrix.cell import Result, Took, run_cell
from rig.matrix.elsewhere import rows_on
from rig.matrix.fork import Fork
from rig.matrix.places import PLACES, Place, brought_to
from rig.matrix.spread import Chosen, places_of
from rig.matrix.waits import with_short_waits
from rig.model import setting_of
from rig.run_model import shot_of
from rig.scenario import ShotSection
from sim.build import pixel_model
from sim.pixels import PixelModel

SHOT = ShotSection(ma_times=2.0, beam_s=0.7)


@dataclass(frozen=True, slots=True)
class NotApplicable:
    id: str
    state: str
    reason: str


@dataclass(slots=True)
class Matrix:
    """`rows`: what ran, and why the others are none of this bench's; `seconds`: of real time."""

    rows: Mapping[str, InjectionSection] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    not_applicable: list[NotApplicable] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results if result.wrong]

    @property
    def defects(self) -> list[Result]:
        return [result for result in self.results if result.open]

    def slowest(self) -> list[tuple[Result, Took]]:
        """Class by class, the one that comes nearest to its bound."""
        pairs = [(result, took) for result in self.results for took in result.took]
        letters = [letter for letter in "PERTL" if any(t.letter == letter for _, t in pairs)]
        return [
            max((p for p in pairs if p[1].letter == letter), key=lambda p: p[1].share)
            for letter in letters
        ]


def cell_count(
    rows: Iterable[InjectionSection], states: Sequence[str], each_count: int | None = None
) -> int:
    return sum(len(places) for places in places_of(rows, states, each_count).values())


def run_matrix(
    bench: Bench,
    rows: Mapping[str, InjectionSection],
    states: Sequence[str],
    *,
    jobs: int = 2,
    own_waits: bool = False,
    each_count: int | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> Matrix:
    """`own_waits`: every state may last as long as on the bench. `each_count`: see `places_of`."""
    started_s = time.monotonic()
    pixels = pixel_model(setting_of(bench))
    rows = rows_on(bench, rows, pixels)
    matrix = Matrix(rows=rows)
    for row in rows.values():
        for state in states:
            reason = row.reason_not_in(state)
            if reason is not None:
                matrix.not_applicable.append(NotApplicable(row.id, state, reason))
    used = bench if own_waits else with_short_waits(bench)
    places = places_of(rows.values(), states, each_count)
    with Fork(jobs) as fork:
        for answer in _answers(fork, used, rows, places, pixels):
            result = _result(answer)
            matrix.results.append(result)
            on_result(result)
    order = {(row, place.name): n for n, (row, place) in enumerate(_cells(rows))}
    matrix.results.sort(key=lambda r: order[r.id, f"{r.state} {r.moment}".strip()])
    matrix.seconds = time.monotonic() - started_s
    return matrix


def _cells(rows: Mapping[str, InjectionSection]) -> Iterator[tuple[str, Place]]:
    for row in rows:
        for place in PLACES:
            yield row, place


def _answers(
    fork: Fork,
    bench: Bench,
    rows: Mapping[str, InjectionSection],
    places: Chosen,
    pixels: PixelModel,
) -> Iterator[dict[str, Any]]:
    parts = parts_of(bench)
    for technique, place, here in _snapshots(bench, rows, places):
        room, person = brought_to(place, bench, technique, pixels)
        for row in here:
            work = _work(row, place, room, person, parts)
            yield from fork.run(f"{row.id} in {place.name}", work)
    yield from fork.rest()


def _snapshots(
    bench: Bench, rows: Mapping[str, InjectionSection], places: Chosen
) -> Iterator[tuple[Technique, Place, list[InjectionSection]]]:
    by_shot: dict[Technique, list[InjectionSection]] = {}
    for row in rows.values():
        technique = technique_of(bench, row)
        by_shot.setdefault(technique, []).append(row)
    for technique, those in by_shot.items():
        for place in PLACES:
            here = [row for row in those if place in places[row.id]]
            if here:
                yield technique, place, here


def technique_of(bench: Bench, row: InjectionSection) -> Technique:
    """The row's own shot; at its usual kV and mA where the source makes no other."""
    asked = row.shot or SHOT
    try:
        return shot_of(bench, asked, "shot").technique
    except ValueError:
        usual = asked.model_copy(update={"kv_times": 1.0, "ma_times": 1.0})
        return shot_of(bench, usual, "shot").technique


def _work(
    row: InjectionSection, place: Place, room: Any, person: Any, parts: Parts
) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        try:
            return run_cell(row, place, room, person, parts).as_dict()
        except Exception as error:
            return broken_run(row, place, error).as_dict()

    return work


def broken_run(row: InjectionSection, place: Place, error: Exception) -> Result:
    """A run that ends by an exception is a failure like any other."""
    return Result(
        id=row.id,
        state=place.state,
        moment=place.moment,
        told="",
        expected=row.expected(place.state, place.moment),
        beams=0,
        wrong=[f"the run ended by {type(error).__name__}: {error}"],
    )


def _result(answer: dict[str, Any]) -> Result:
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return Result.from_dict(answer)
