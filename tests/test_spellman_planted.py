"""Mistakes planted into the Spellman tables and frames: the vectors alone must find each.

Driver and desk share the tables, so no conversation between the two can find any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from operator import xor

import pytest

from hal.generators import spellman_framing as framing
from hal.generators import spellman_opcodes as opcodes
from hal.generators import spellman_tables as tables
from hal.generators.spellman_opcodes import Does, Field, Model, Opcode
from hal.ports import WireError
from tests.spellman_vectors import VECTORS, assert_holds, model_of

Plant = Callable[[pytest.MonkeyPatch], None]
Planted = list[tuple[str, Plant]]


def in_row(model: Model, row: Opcode, wrong: Opcode) -> Plant:
    """The table of this model with another row in the place of this one."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        rows = tuple(wrong if one is row else one for one in model.opcodes)
        made = Model(model.name, rows, model.errors, model.source, model.drives_beam)
        patch.setitem(tables.MODELS, model.name, made)

    return plant


def fields_of(row: Opcode) -> tuple[str, tuple[Field, ...]]:
    return ("sends", row.sends) if row.sends else ("answers", row.answers)


def numbers(model: Model) -> Planted:
    """Each opcode one off, or that of its neighbour."""
    return [
        (f"{model.name} {row.name} is {row.number + by}",
         in_row(model, row, replace(row, number=row.number + by)))
        for row in model.opcodes
        for by in (1, 10)
    ]  # fmt: skip


def kinds(model: Model) -> Planted:
    """A query that is taken for a command, and the other way round: `$` or a number follows."""
    found = []
    for row in model.opcodes:
        if row.does is Does.ASK and not row.is_text:
            found.append((f"{model.name} {row.name} acts", replace(row, does=Does.ACT)))
        elif any(v.fields.get("to") == row.name for v in VECTORS if model_of(v) is model):
            asks = replace(row, does=Does.ASK, answers=row.sends or row.answers, is_text=False)
            found.append((f"{model.name} {row.name} asks", asks))
    return [
        (name, in_row(model, model.by_name[wrong.name], wrong)) for name, wrong in found
    ]  # fmt: skip


def scales(model: Model) -> Planted:
    """Each field ten times as much, of the other full scale, or without its over-range."""
    found = []
    for row in model.opcodes:
        part, made = fields_of(row)
        for at, one in enumerate(made):
            wrong = [replace(one, per_count=one.per_count * 10)]
            if one.of:
                wrong += [replace(one, of={"kv": "ma", "ma": "kv"}[one.of])]
                wrong += [replace(one, over=1.0 if one.over != 1.0 else 1.2)]
            for nth, other in enumerate(wrong):
                name = f"{model.name} {row.name} {one.name} scale {nth}"
                changed = {part: (*made[:at], other, *made[at + 1 :])}
                found.append((name, in_row(model, row, replace(row, **changed))))  # type: ignore[arg-type]
    return found


def neighbours(model: Model) -> Planted:
    """Two fields that stand side by side in each other's place: bits and values alike."""
    found = []
    for row in model.opcodes:
        part, made = fields_of(row)
        for at, (one, two) in enumerate(pairwise(made)):
            if replace(one, name="") == replace(two, name="") and part == "sends":
                continue  # what is sent knows no names
            changed = {part: (*made[:at], two, one, *made[at + 2 :])}
            name = f"{model.name} {row.name}: {two.name} before {one.name}"
            found.append((name, in_row(model, row, replace(row, **changed))))  # type: ignore[arg-type]
    return found


def lengths(model: Model) -> Planted:
    """One value too few in a reply, and one too many."""
    found = []
    for row in model.opcodes:
        if row.does is not Does.ASK or row.is_text:
            continue
        for by in (1, -1):
            lowest, highest = row.counts.start, len(row.answers)  # what is beyond is our choice
            wrong = replace(row, fewest_count=lowest + max(by, 0), most_count=highest + min(by, 0))
            found.append((f"{model.name} {row.name} {by:+d}", in_row(model, row, wrong)))
    return found


def summed(wrong: Callable[[bytes], int]) -> Plant:
    return lambda patch: patch.setattr(framing, "checksum", wrong)


CHECKSUMS: Planted = [
    ("not negated", summed(lambda body: sum(body) & 0x7F | 0x40)),
    ("one's complement", summed(lambda body: ~sum(body) & 0x7F | 0x40)),
    ("bit 6 not set", summed(lambda body: -sum(body) & 0x7F)),
    ("bit 7 kept", summed(lambda body: -sum(body) & 0xFF | 0x40)),
    ("without the last comma", summed(lambda body: -sum(body[:-1]) & 0x7F | 0x40)),
    ("with STX", summed(lambda body: -(sum(body) + 2) & 0x7F | 0x40)),
    ("exclusive or", summed(lambda body: reduce(xor, body) & 0x7F | 0x40)),
]
FRAMES: Planted = [
    ("another end", lambda patch: patch.setattr(framing, "ETX", 0x04)),
    ("another beginning", lambda patch: patch.setattr(framing, "STX", 0x01)),
    ("4096 counts", lambda patch: patch.setattr(opcodes, "FULL_COUNT", 4096 * 1.01)),
]
KINDS: dict[str, Callable[[Model], Planted]] = {
    "numbers": numbers,
    "kinds": kinds,
    "scales": scales,
    "neighbours": neighbours,
    "lengths": lengths,
}


def is_caught(model: str | None) -> bool:
    for vector in VECTORS:
        if model is not None and vector.fields["model"] != model:
            continue
        try:
            assert_holds(vector)
        except (AssertionError, ValueError, KeyError, WireError):
            return True
    return False


def test_without_a_mistake_all_hold() -> None:
    assert not is_caught(None)


def missed(planted: Planted, model: str | None) -> list[str]:
    """The mistakes that no vector found."""
    found = []
    for name, plant in planted:
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            if not is_caught(model):
                found.append(name)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", tables.MODELS.values(), ids=tables.MODELS)
def test_each_mistake_in_a_table_is_found_by_its_vectors_alone(model: Model, kind: str) -> None:
    assert missed(KINDS[kind](model), model.name) == []


def test_each_mistake_in_checksum_and_frame_is_found_by_the_vectors_alone() -> None:
    assert missed(CHECKSUMS + FRAMES, None) == []


def test_so_many_were_planted() -> None:
    """A loop that plants nothing would find all of it."""
    count = sum(len(kind(model)) for model in tables.MODELS.values() for kind in KINDS.values())
    assert count + len(CHECKSUMS + FRAMES) == 1075
