"""State x input as reviewed text: complete, and what the real `step` does today."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_py.decide import interlocks
from firmware_py.decide.memory import State
from firmware_py.decide.states import TABLE, Row
from tests import state_table
from tests.samples import T_US
from tests.state_table import START, WHEN, Cell, cells

S = State
GOLDEN = Path(__file__).parent / "golden" / "state_table.md"


@pytest.fixture(scope="module")
def all_cells() -> list[Cell]:
    return list(cells())


@pytest.mark.req("SR-01", "SR-45")
def test_the_table_of_state_and_input_is_the_reviewed_one(update_golden: bool) -> None:
    text = state_table.text()
    if update_golden:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), "look at the difference, --update-golden"


def test_every_state_has_every_input(all_cells: list[Cell]) -> None:
    assert {(cell.source, cell.when) for cell in all_cells} == {
        (state, when) for state in State for when in WHEN
    }
    assert len(all_cells) == len(State) * len(WHEN) >= 500


def test_every_row_of_the_sequence_is_taken_by_a_line_of_the_table(all_cells: list[Cell]) -> None:
    taken = {(cell.source, cell.dest, cell.why) for cell in all_cells if cell.why}
    assert taken == _rows(TABLE)


def _rows(table: tuple[Row, ...]) -> set[tuple[State, State, str]]:
    return {(row.source, row.dest, row.when.__name__) for row in table}


@pytest.mark.req("SR-01")
def test_one_line_of_the_table_begins_a_beam(all_cells: list[Cell]) -> None:
    begun = [
        (cell.source, cell.when)
        for cell in all_cells
        if cell.outputs.expose_from_us is not None and cell.source is not S.EXPOSE
    ]
    assert begun == [(S.INTERLOCK_CHECK, "window opens")]


@pytest.mark.req("SR-33")
def test_what_leaves_expose_orders_off_and_drops_the_enable_in_the_same_scan(
    all_cells: list[Cell],
) -> None:
    left = [c for c in all_cells if c.source is S.EXPOSE and c.dest is not S.EXPOSE]
    assert len(left) >= 20
    for cell in left:
        assert (cell.outputs.expose_from_us, cell.outputs.enable) == (None, False), cell.when


def test_a_row_that_is_turned_shows_as_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: a door that nobody looks at."""
    before, blind = state_table.text(), interlocks.room_causes

    def without_door(*arguments: object) -> list[str]:
        return [code for code in blind(*arguments) if code != "DOOR_OPEN"]  # type: ignore[arg-type]

    monkeypatch.setattr(interlocks, "room_causes", without_door)
    assert state_table.text() != before


def test_a_case_in_which_nothing_is_wrong_tells_nothing(all_cells: list[Cell]) -> None:
    for cell in all_cells:
        if cell.when == "nothing":
            assert (cell.dest, cell.told) == (cell.source, ()), cell.source


def test_the_cases_are_of_the_state_that_they_name() -> None:
    assert [*START] == [*State]
    for state, (about, (memory, inputs)) in START.items():
        assert memory.state is state
        assert about.endswith(".")
        assert inputs.t_us == T_US
