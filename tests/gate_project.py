"""A project of a page, for the tests of the gates: a brain with a limit, a guard and a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.project import ROOT

BRAIN = '''\
"""Opens the valve when asked, unless it is hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

LIMIT_C = 50


class State(Enum):
    SHUT = "SHUT"
    OPEN = "OPEN"
    HOT = "HOT"


@dataclass(frozen=True)
class Row:
    source: State
    dest: State
    when: Callable[[bool, int], bool]


def is_hot(asked: bool, oil_c: int) -> bool:
    return oil_c > LIMIT_C


def is_asked(asked: bool, oil_c: int) -> bool:
    return asked


TABLE = (
    Row(State.SHUT, State.HOT, is_hot),
    Row(State.SHUT, State.OPEN, is_asked),
    Row(State.OPEN, State.HOT, is_hot),
)


def following(state: State, asked: bool, oil_c: int) -> State:
    for row in TABLE:
        if row.source is state and row.when(asked, oil_c):
            return row.dest
    return state
'''

TESTS = """\
import pytest

from brain.decide import LIMIT_C, State, TABLE, following, is_asked, is_hot

S = State


def test_more_than_the_limit_is_hot() -> None:
    assert LIMIT_C == 50
    assert [is_hot(True, oil_c) for oil_c in (49, 50, 51)] == [False, False, True]


@pytest.mark.parametrize(
    ("state", "asked", "oil_c", "then"),
    [
        (S.SHUT, False, 20, S.SHUT),
        (S.SHUT, True, 20, S.OPEN),
        (S.SHUT, True, 60, S.HOT),
        (S.OPEN, True, 20, S.OPEN),
        (S.OPEN, True, 60, S.HOT),
        (S.HOT, True, 20, S.HOT),
    ],
)
def test_the_table_is_followed(state: S, asked: bool, oil_c: int, then: S) -> None:
    assert following(state, asked, oil_c) is then
"""

SETTINGS = """\
[tool.pytest.ini_options]
pythonpath = ["."]
markers = ["wire: ", "slow: "]

[tool.mutmut]
source_paths = ["brain"]
only_mutate = ["brain/*.py"]
also_copy = []
pytest_add_cli_args_test_selection = ["tests/test_brain.py"]

[tool.dxrig.gates]
mutants_at_least = 5
perturbed = ["brain/*.py"]
perturbations_at_least = 10
table = "brain/decide.py:TABLE"
equivalents = "equivalents.toml"
equivalents_pct_max = 15.0
fully_covered = ["brain/*.py"]
"""


def make(root: Path, brain: str = BRAIN, tests: str = TESTS) -> Path:
    for name, text in (
        ("brain/__init__.py", ""),
        ("brain/decide.py", brain),
        ("tests/test_brain.py", tests),
        ("pyproject.toml", SETTINGS),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def run(module: str, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A gate on that project, as a developer starts it."""
    return subprocess.run(
        (sys.executable, "-m", module, "--root", str(root), *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
