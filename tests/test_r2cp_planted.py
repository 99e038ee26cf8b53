"""Mistakes planted into the R2CP tables: the vectors alone must find each.

Driver and desk share the tables, so no conversation between the two can find any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hal.generators import r2cp_layouts as layouts
from hal.generators import r2cp_wire as wire
from hal.generators.r2cp_layouts import Layout
from tests.r2cp_vectors import VECTORS, assert_holds

Plant = Callable[[pytest.MonkeyPatch], None]
TABLES = ("DATABANK", "STATUS", "POST_EXPOSURE", "MESSAGE", "PROCEDURE")


def fields(patch: pytest.MonkeyPatch, table: str, made: Layout) -> None:
    patch.setattr(layouts, table, made)


def scale(table: str, name: str, factor: int) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        honest: Layout = getattr(layouts, table)
        wrong = tuple(
            replace(f, per_unit=f.per_unit * factor) if f.name == name else f for f in honest
        )
        fields(patch, table, wrong)

    return plant


def swapped(table: str, first: str, second: str) -> Plant:
    """Two fields of one length stand in each other's place."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        names = {first: second, second: first}
        honest: Layout = getattr(layouts, table)
        fields(patch, table, tuple(replace(f, name=names.get(f.name, f.name)) for f in honest))

    return plant


def little_endian(patch: pytest.MonkeyPatch) -> None:
    def packed(layout: Layout, values: dict[str, float]) -> bytes:
        return b"".join(
            round(values[f.name] * f.per_unit).to_bytes(f.size_bytes, "little") for f in layout
        )

    def unpacked(layout: Layout, data: bytes) -> dict[str, float]:
        cut = {f: data[f.at_index : f.at_index + f.size_bytes] for f in layout}
        counts = {f: int.from_bytes(part, "little") for f, part in cut.items()}
        return {f.name: c if f.per_unit == 1 else c / f.per_unit for f, c in counts.items()}

    patch.setattr(layouts, "packed", packed)
    patch.setattr(layouts, "unpacked", unpacked)


def address(name: str, *, index: int = 0, subindex: int = 0) -> Plant:
    """`index`, `subindex`: how far off."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = wire.ENTRIES[name]
        patch.setitem(
            wire.ENTRIES,
            name,
            replace(honest, index=honest.index + index, subindex=honest.subindex + subindex),
        )

    return plant


def function(first: str, second: str) -> Plant:
    """The two functions have each other's number."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        names = {"SET": wire.SET, "GET": wire.GET, "ANSWER": wire.ANSWER} | {
            "PROCESSED": wire.PROCESSED
        }
        honest = wire.encode
        there, back = names[first], names[second]
        turned = {there: back, back: there}
        patch.setattr(
            wire,
            "encode",
            lambda frame: honest(
                replace(frame, function=turned.get(frame.function, frame.function))
            ),
        )

    return plant


SCALES = [
    (f"{table} {field.name} x{factor}", scale(table, field.name, factor))
    for table in TABLES
    for field in getattr(layouts, table)
    if field.per_unit != 1
    for factor in (10, 1000)
]
INDEXES = [
    (f"{name} {part}", address(name, **{part: 1}))
    for name in sorted({vector.fields["entry"] for vector in VECTORS})
    for part in ("index", "subindex")
]
NEIGHBOURS = [
    (f"{table} {a.name} for {b.name}", swapped(table, a.name, b.name))
    for table in TABLES
    for a, b in zip(getattr(layouts, table), getattr(layouts, table)[1:], strict=False)
    if a.size_bytes == b.size_bytes
]
REST: list[tuple[str, Plant]] = [
    ("little endian", little_endian),
    ("SET for GET", function("SET", "GET")),
    ("ANSWER for PROCESSED", function("ANSWER", "PROCESSED")),
]
PLANTED = SCALES + INDEXES + NEIGHBOURS + REST


def caught_by() -> list[str]:
    """The vectors that no longer hold."""
    caught = []
    for vector in VECTORS:
        try:
            assert_holds(vector)
        except (AssertionError, ValueError):
            caught.append(vector.name)
    return caught


def test_without_a_mistake_all_hold() -> None:
    assert caught_by() == []


@pytest.mark.parametrize("plant", [p for _, p in PLANTED], ids=[name for name, _ in PLANTED])
def test_a_planted_mistake_is_found_by_the_vectors_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert caught_by()
