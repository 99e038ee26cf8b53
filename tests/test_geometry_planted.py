"""Mistakes planted into the two synthetic wires: the vectors alone must find each.

Driver and desk share the tables, so no conversation between the two can find any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hal import summed_lines
from hal.collimators import blade_lines
from hal.line_codec import LineCodec, Number, Row, Word
from hal.meters import dap_lines
from hal.ports import WireError
from hal.summed_lines import Summed
from tests.line_vectors import assert_holds
from tests.vectors_loader import load

VECTORS = {name: load(name) for name in ("blade_lines", "dap_lines")}
TABLES = {"blade_lines": blade_lines.TABLE, "dap_lines": dap_lines.TABLE}
Change = Callable[[Row], Row]


def planted(name: str, change: Change) -> LineCodec:
    rows = tuple(change(row) for row in TABLES[name].rows)
    assert rows != TABLES[name].rows, "nothing was planted"
    return LineCodec(rows, commands=Summed(), replies=Summed())


def holds(name: str, table: LineCodec) -> bool:
    try:
        for vector in VECTORS[name]:
            assert_holds(table, vector)
    except (AssertionError, WireError, ValueError, KeyError):
        return False
    return True


def numbers(**changed: object) -> Change:
    """In each number of each row."""
    return lambda row: replace(
        row,
        values=tuple(
            replace(one, **changed) if isinstance(one, Number) else one  # type: ignore[arg-type]
            for one in row.values
        ),
    )


def form(old: str, new: str) -> Change:
    return lambda row: replace(row, form=row.form.replace(old, new))


def states(words: dict[str, str]) -> Change:
    return lambda row: replace(
        row,
        values=tuple(
            Word(words=words) if isinstance(one, Word) and one.words else one for one in row.values
        ),
    )


PLANTS: dict[str, tuple[str, Change]] = {
    "openings in mm": ("blade_lines", numbers(per_unit=1)),
    "a digit more": ("blade_lines", numbers(digits=5)),
    "another question": ("blade_lines", form("POS?", "POZ?")),
    "semicolons": ("blade_lines", form(",", ";")),
    "no failed sensor": ("blade_lines", states({"R": "at rest", "M": "moving"})),
    "tenths of uGy m2": ("dap_lines", numbers(per_unit=10)),
    "seven digits": ("dap_lines", numbers(digits=7)),
    "reset without its answer's number": ("dap_lines", form("RST,0", "RST")),
    "no range": ("dap_lines", states({"R": "ready", "F": "its chamber has no voltage"})),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_the_vectors_find_each_planted_mistake(plant: str) -> None:
    name, change = PLANTS[plant]
    assert holds(name, TABLES[name])
    assert not holds(name, planted(name, change))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda text: f"{sum(text.encode()) & 0xFF:02X}",
        lambda text: summed_lines.check(f"${text}"),
        lambda text: summed_lines.check(f"{text}*"),
        lambda text: summed_lines.check(text).lower(),
    ],
    ids=["a sum", "with its start", "with its star", "small digits"],
)
def test_the_vectors_find_a_wrong_check(
    name: str, wrong: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = summed_lines.check

    def planted_check(text: str) -> str:
        monkeypatch.setattr(summed_lines, "check", right)
        found = wrong(text)
        monkeypatch.setattr(summed_lines, "check", planted_check)
        return found

    monkeypatch.setattr(summed_lines, "check", planted_check)
    assert not holds(name, TABLES[name])
