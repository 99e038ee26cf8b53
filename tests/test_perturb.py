"""The perturbation gate takes every limit, guard and row, and sees what no test holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests import gate_project
from tests.gate_project import BRAIN, TESTS
from tools.perturbations import Text, enum_members, others, perturbations, table_rows


def changes(source: str) -> list[tuple[str, str, str]]:
    """Where, what stood there and what stands there instead, for one file."""
    text = Text("a.py", source)
    made = perturbations(text, enum_members(text.tree), guards=True)
    return [(trial.change.where, trial.change.was, trial.change.becomes) for trial in made]


def test_good_tests_pass_and_the_one_that_saw_a_change_is_named(tmp_path: Path) -> None:
    ran = gate_project.run("tools.perturb", gate_project.make(tmp_path), "--whole", "--seen")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    limit = (
        "seen by tests/test_brain.py::test_more_than_the_limit_is_hot: brain/decide.py, LIMIT_C:"
    )
    assert lines[lines.index(limit) + 1 : lines.index(limit) + 3] == ["    - 50", "    + 55"]
    assert "0 missed, 0 findings" in lines[-1]


def test_a_limit_and_a_row_that_no_test_holds_make_the_gate_fail(tmp_path: Path) -> None:
    unheld = "\n\ndef test_nothing_else() -> None:\n    assert is_asked(True, 0)\n"
    tests = TESTS.replace("    assert LIMIT_C == 50\n", "").replace("(49, 50, 51)", "(20, 30, 90)")
    tests = tests.replace("        (S.OPEN, True, 60, S.HOT),\n", "") + unheld
    ran = gate_project.run("tools.perturb", gate_project.make(tmp_path, tests=tests), "--whole")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = Counter(
        line.partition(": ")[2] for line in ran.stdout.splitlines() if line.startswith("survived")
    )
    assert found["brain/decide.py, LIMIT_C:"] == 2  # a tenth more, a tenth less
    assert found["brain/decide.py, TABLE:"] == 3  # it is gone, or says another state
    assert "    - row OPEN -> HOT: is_hot\n" in ran.stdout


def test_what_would_be_changed_is_listed_without_a_run(tmp_path: Path) -> None:
    ran = gate_project.run("tools.perturb", gate_project.make(tmp_path), "--whole", "--list")
    assert ran.returncode == 0
    assert "brain/decide.py, LIMIT_C:\n    - 50\n    + 45\n" in ran.stdout


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        (50_000, (55_000, 45_000)),
        (3, (4, 2)),
        (0, (1, -1)),
        (10.0, (11.0, 9.0)),
        (0.0, (1.0, -1.0)),
        (True, (False,)),
        ("DOOR_OPEN", ("DOOR_OPENX",)),
        (None, ()),
    ],
)
def test_a_number_goes_up_and_down_a_flag_turns_a_word_changes(
    value: object, instead: tuple[object, ...]
) -> None:
    assert others(value) == instead


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("A_US = 20", [("A_US", "20", "22"), ("A_US", "20", "18")]),
        (
            "class Limits:\n    ready_us: int = 20\n    who: str | None = None\n",
            [
                ("Limits.ready_us", "20", "22"),
                ("Limits.ready_us", "20", "18"),
                ("Limits.who", "None", "'x'"),
            ],
        ),
        (
            "TOLD = {'a': 'B'}",
            [("TOLD", "'a': 'B'", ""), ("TOLD", "'a'", "'aX'"), ("TOLD", "'B'", "'BX'")],
        ),
        (
            "def f(a, b):\n    return a and b",
            [("f", "a and b", "((b))"), ("f", "a and b", "((a))")],
        ),
        (
            "def f(a, b):\n    return a is not None and b",
            [("f", "a is not None and b", "((a is not None))")],  # mypy holds the other
        ),
        (
            "def f(a):\n    if a:\n        return 1\n    return 2",
            [("f", "if a:\n    return 1", "pass")],
        ),
        (
            "def f(a, b):\n    return [c for x, c in ((a, 'A'), (b, 'B')) if x]",
            [("f", "(a, 'A')", ""), ("f", "(b, 'B')", "")],
        ),
        (
            "def f():\n    return {'lamp': True, 'enable': True}",
            [("f", "'lamp': True", ""), ("f", "'enable': True", "")],
        ),
        ("def f(a: tuple[int, str] = ()) -> dict[str, int]:\n    return g(a)", []),
        ('"""Words."""\n\n\ndef f():\n    """Words, words."""\n', []),
    ],
)
def test_values_guards_and_entries_are_found_and_annotations_left_alone(
    source: str, made: list[tuple[str, str, str]]
) -> None:
    assert changes(source) == made


def test_a_member_of_an_enum_becomes_the_next_one_by_its_short_name_too() -> None:
    source = "class S(Enum):\n    A = 1\n    B = 2\n\n\nT = S\nROW = T.B\n"
    assert changes(source) == [("ROW", "T.B", "T.A")]


def test_of_a_fault_the_code_and_the_reaction_are_changed_not_its_words() -> None:
    source = (
        "class R(Enum):\n    WARN = 1\n    LOCK = 2\n\n\n"
        "_ROWS = (('ARC', R.WARN, 'words', 'more', 'SR-26'), ('DOOR', R.LOCK, 'w', 'm', 'SR-9'))"
    )
    assert [change[1:] for change in changes(source)][2:] == [
        ("'ARC'", "'ARCX'"),
        ("R.WARN", "R.LOCK"),
        ("'DOOR'", "'DOORX'"),
        ("R.LOCK", "R.WARN"),
    ]


def test_each_row_is_dropped_and_swapped_with_the_next_of_its_source_only() -> None:
    text = Text("a.py", BRAIN)
    rows = [("SHUT 1", "SHUT"), ("SHUT 2", "SHUT"), ("OPEN 1", "OPEN")]
    made = [(trial.change.was, trial.change.becomes) for trial in table_rows(text, "TABLE", rows)]
    assert made == [
        ("row SHUT 1", ""),
        ("row SHUT 1", "after SHUT 2"),
        ("row SHUT 2", ""),
        ("row OPEN 1", ""),
    ]


def test_a_change_leaves_every_other_byte_of_the_file_as_it_was() -> None:
    source = "# über 9 µs\nA = 20  # why\nB = 3\n"
    text = Text("a.py", source)
    first = next(perturbations(text, {}, guards=True))
    assert first.source == "# über 9 µs\nA = 22  # why\nB = 3\n"
