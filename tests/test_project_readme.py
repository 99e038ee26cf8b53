"""What the READMEs show of the program is what the program says: bounds, codes, words, examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rig.bench import load_bench
from rig.doctor_bounds import bounds_of
from rig.exit_codes import MEANINGS
from rig.scenario import ExpectSection, load_scenario
from sim.script import UNIT_VERBS, VERBS
from tests.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = (ROOT / "rig" / "scenarios" / "README.md").read_text(encoding="utf-8")
TOML = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def table(text: str) -> list[tuple[str, ...]]:
    """The rows of the first Markdown table in `text`, without its head."""
    rows = re.findall(r"^\|(.+)\|$", text, re.MULTILINE)
    return [tuple(cell.strip() for cell in row.split("|")) for row in rows[2:]]


def test_the_bounds_that_the_readme_shows_are_those_of_the_bench() -> None:
    shown = README.partition("<!-- bounds")[2].partition("<!-- end of bounds -->")[0]
    assert table(shown) == [
        (
            bound.what,
            bound.sr,
            f"{bound.goal_us / 1000:g} ms",
            f"{bound.bound_us / 1000:.0f} ms",
            "yes" if bound.meets_goal else "no",
            bound.layer,
        )
        for bound in bounds_of(load_bench("portable"))
    ]


def test_the_exit_codes_that_the_readme_shows_are_those_of_the_program() -> None:
    shown = README.partition("## Exit codes")[2].partition("\n## ")[0]
    assert table(shown) == [(str(code), meaning) for code, meaning in MEANINGS]


@pytest.mark.parametrize("word", [*VERBS, *UNIT_VERBS])
def test_every_word_of_a_scenario_is_explained(word: str) -> None:
    assert f"`{word}`" in WORDS


@pytest.mark.parametrize("key", list(ExpectSection.model_fields))
def test_everything_that_a_scenario_may_expect_is_named(key: str) -> None:
    assert f"`{key}`" in WORDS


def test_the_scenario_that_is_shown_is_a_sound_one(tmp_path: Path) -> None:
    (example,) = TOML.findall(WORDS)
    path = tmp_path / "shown.toml"
    path.write_text(example, encoding="utf-8")
    assert load_scenario(path).expect.fault == "DOOR_OPEN"
