"""The diagram in the README is the table, as it is now."""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from firmware_py.decide.memory import State
from firmware_py.decide.states import SEQUENCE
from tools import draw_states

ARROW = re.compile(r"^  (\w+) --> (\w+): (.+)$", re.MULTILINE)


def test_the_page_is_current() -> None:
    page = draw_states.PAGE.read_text(encoding="utf-8")
    assert draw_states.page_with(draw_states.diagram(), page) == page, (
        "the table changed: run python tools/draw_states.py"
    )


def test_every_row_of_the_sequence_is_an_arrow_with_its_name_and_there_is_no_other() -> None:
    drawn = [
        (source, dest, when)
        for source, dest, names in ARROW.findall(draw_states.diagram())
        for when in names.split(" | ")
    ]
    rows = [(row.source.value, row.dest.value, row.when.__name__) for row in SEQUENCE]
    assert sorted(drawn) == sorted(rows)


def test_the_trips_are_one_note() -> None:
    notes = [line for line in draw_states.diagram().splitlines() if "note" in line]
    assert notes == [
        "  note right of FAULT : from every state but LOCKED to LOCKED when fault_that_locks, "
        "from every state but FAULT and LOCKED to FAULT when fault_that_trips"
    ]


def test_no_state_is_marked_as_the_current_one() -> None:
    text = draw_states.diagram()
    assert re.search(r"\bclass(Def)?\b", text, re.IGNORECASE) is None
    assert text.splitlines()[0] == "stateDiagram-v2"
    assert "[*] --> BOOT" in text


def test_every_state_is_drawn_once() -> None:
    named = re.findall(r'state "(\w+)" as \1', draw_states.diagram())
    assert [name for name, _ in groupby(named)] == [state.value for state in State]


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="the page needs the two lines"):
        draw_states.page_with("x", "# a page\n" + draw_states.BEGIN)


def test_a_changed_table_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw_states.main(["--check"]) == 0
    monkeypatch.setattr(draw_states, "SEQUENCE", SEQUENCE[:-1])
    assert draw_states.main(["--check"]) == 1
    assert "run python tools/draw_states.py" in capsys.readouterr().out
