"""Mistakes planted into the maps of room modules: the vectors alone must find each.

Driver and desk share the map, so no conversation between the two can find any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from hal.room_io.mapped_table import ModuleMap, module_map, shipped_maps
from tests.room_map_vectors import VECTORS, assert_holds, caught_by, driver_with
from tests.vectors_loader import Vector


def swapped(names: tuple[str, ...], a: str, b: str) -> tuple[str, ...]:
    turned = {a: b, b: a}
    return tuple(turned.get(name, name) for name in names)


def of_inputs(right: ModuleMap) -> Iterator[tuple[str, ModuleMap]]:
    rows = right.inputs
    turned = {1: 2, 2: 1}[rows.function]
    yield "inputs: address off by one", replace(right, inputs=replace(rows, address=1))
    yield "inputs: the other function", replace(right, inputs=replace(rows, function=turned))
    yield "inputs: one less", replace(right, inputs=replace(rows, count=rows.count - 1))
    yield "inputs: registers", replace(right, inputs=replace(rows, function=4))
    for name in rows.contacts:
        yield f"{name} inverted", replace(right, inputs=replace(rows, inverted=(name,)))
    for a, b in pairwise(rows.contacts):
        names = swapped(rows.contacts, a, b)
        yield f"{a} for {b}", replace(right, inputs=replace(rows, contacts=names))


def of_outputs(right: ModuleMap) -> Iterator[tuple[str, ModuleMap]]:
    rows = right.outputs
    further = replace(rows, address=rows.address + 1)
    yield "outputs: address off by one", replace(right, outputs=further)
    yield "outputs: one less", replace(right, outputs=replace(rows, count=rows.count - 1))
    for a, b in pairwise(name for name in rows.coils if name != "spare"):
        names = swapped(rows.coils, a, b)
        yield f"{a} for {b}", replace(right, outputs=replace(rows, coils=names))
    if rows.all_address is not None:
        wrong = replace(rows, all_address=rows.all_address + 1)
        yield "all: address off by one", replace(right, outputs=wrong)


def of_pulse(right: ModuleMap) -> Iterator[tuple[str, ModuleMap]]:
    row = right.pulse
    if row is None:
        return
    yield "pulse: address off by one", replace(right, pulse=replace(row, address=row.address + 1))
    if row.unit_ms is None:
        timed = replace(row, value="time", unit_ms=100, longest_count=100)
        yield "pulse: a time for a start", replace(right, pulse=timed)
    else:
        for unit_ms in (10, 1000, 1):
            wrong = replace(row, unit_ms=unit_ms)
            yield f"pulse: unit {unit_ms} ms", replace(right, pulse=wrong)
        started = replace(row, value="start", unit_ms=None, longest_count=None)
        yield "pulse: a start for a time", replace(right, pulse=started)
    yield "pulse: none", replace(right, pulse=None)


PLANTED = [
    (name, what, wrong)
    for name in shipped_maps()
    for planted in (of_inputs, of_outputs, of_pulse)
    for what, wrong in planted(module_map(name))
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_map_makes_the_bytes_of_the_document(
    vector: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_holds(driver_with(monkeypatch, module_map(vector.fields["map"])), vector)


def test_every_map_that_ships_has_vectors() -> None:
    assert {vector.fields["map"] for vector in VECTORS} == set(shipped_maps())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(name, wrong) for name, _, wrong in PLANTED],
    ids=[f"{name} {what}" for name, what, _ in PLANTED],
)
def test_a_planted_mistake_is_found_by_the_vectors_alone(
    name: str, wrong: ModuleMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wrong != module_map(name)
    assert caught_by(monkeypatch, wrong, name)
