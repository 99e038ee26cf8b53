"""The page of `dxrig recover`: what is open, what is known of it, and what to type next."""

from __future__ import annotations

from typing import Any

import pytest

from rig.panel_fetch import NOT_COME, SAVED, Fetched
from rig.recovery import Open
from rig.recovery_page import page

TECHNIQUE = {"kv": 70.0, "ma": 1.0, "mas": None, "ms": 3000.0}
ACKNOWLEDGE = "  dxrig recover --bench portable --acknowledge ID --who NAME --why TEXT"


def lost(**changed: Any) -> Open:
    fields = {
        "shot_id": "x-0285929a221a",
        "at": "2026-11-22T13:32:53.316958+00:00",
        "technique": TECHNIQUE,
        "missing": "dose",
        "dose": "unknown, at most 1.116 mAs, by the last readings",
        "image": "missing",
    }
    return Open(**(fields | changed))


def test_it_says_what_is_known_and_what_to_type_next() -> None:
    assert list(page("portable", [lost()], None)) == [
        "Bench portable: 1 exposure is incomplete.",
        "No exposure is granted before somebody has looked and said so.",
        "",
        "x-0285929a221a   2026-11-22 13:32:53 UTC   70 kV 1 mA 3000 ms",
        "  dose   unknown, at most 1.116 mAs, by the last readings",
        "  image  missing; the panel may still keep its frame",
        "",
        "Next:",
        "  dxrig recover --bench portable --fetch",
        "      asks the panel for its frames and makes their images; irradiates nothing",
        ACKNOWLEDGE,
        "      when you have looked; the record stays, your name and reason beside it",
    ]


def test_what_the_panel_was_asked_for_comes_first_and_is_not_proposed_again() -> None:
    asked = [Fetched(shot_id="x-1", said=SAVED), Fetched(shot_id="x-2", said=NOT_COME)]
    lines = list(page("portable", [lost(image="saved"), lost(shot_id="x-2")], asked))
    assert lines[:4] == [
        "Frame x-1: fetched, image saved.",
        "Frame x-2: left in the panel: it was asked for three times and did not come whole.",
        "",
        "Bench portable: 2 exposures are incomplete.",
    ]
    assert lines[-3:-1] == ["Next:", ACKNOWLEDGE]


@pytest.mark.parametrize("image", ["saved", "missing", "not awaited", "not known"])
def test_it_fits_a_terminal_of_80_characters(image: str) -> None:
    lines = list(page("portable", [lost(image=image)], None))
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("fetched", [None, []])
def test_nothing_open_is_one_sentence(fetched: list[Fetched] | None) -> None:
    lines = list(page("portable", [], fetched))
    assert lines[-1] == "Bench portable: no incomplete exposure"
    assert ("The panel keeps no frame." in lines) is (fetched is not None)


def test_a_record_that_has_no_technique_ends_after_its_date() -> None:
    lines = list(page("portable", [lost(technique={}, image="not known")], None))
    assert lines[3] == "x-0285929a221a   2026-11-22 13:32:53 UTC"
