"""The mutation gate sees a test that checks nothing, and is no success when it judged nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests import gate_project
from tests.gate_project import BRAIN, TESTS
from tools.survivors import Change, ListError, problems, read_known

USELESS = "\n\ndef margin_c(oil_c: int) -> int:\n    return LIMIT_C - oil_c\n"
RUNS_ONLY = "\n\ndef test_the_margin_is_told() -> None:\n    margin_c(20)\n"
IMPORTED = TESTS.replace("is_asked, is_hot", "is_asked, is_hot, margin_c")
SURVIVOR = (
    "survived and is not listed: brain/decide.py, margin_c:\n"
    "    - return LIMIT_C - oil_c\n"
    "    + return LIMIT_C + oil_c\n"
)
LISTED = """
[[mutate]]
file = "brain/decide.py"
where = "margin_c"
was = "return LIMIT_C - oil_c"
becomes = "return LIMIT_C + oil_c"
reason = "planted"
date = 2026-11-22
"""


def test_good_tests_pass_the_gate_and_are_named(tmp_path: Path) -> None:
    ran = gate_project.run("tools.mutate", gate_project.make(tmp_path), "--whole", "--seen")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (
        "seen by tests/test_brain.py::test_more_than_the_limit_is_hot: brain/decide.py"
        in ran.stdout
    )
    assert "0 missed, 0 findings" in ran.stdout


def test_a_function_whose_test_checks_nothing_makes_the_gate_fail(tmp_path: Path) -> None:
    project = gate_project.make(tmp_path, BRAIN + USELESS, IMPORTED + RUNS_ONLY)
    ran = gate_project.run("tools.mutate", project, "--whole")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert SURVIVOR in ran.stdout
    (project / "equivalents.toml").write_text(LISTED)
    ran = gate_project.run("tools.mutate", project, "--whole")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 missed, 0 findings" in ran.stdout


def test_a_function_that_no_test_reaches_makes_the_gate_fail(tmp_path: Path) -> None:
    ran = gate_project.run("tools.mutate", gate_project.make(tmp_path, BRAIN + USELESS), "--whole")
    assert ran.returncode == 1
    assert "no test reaches it, or it was not judged: brain/decide.py, margin_c:" in ran.stdout


def test_tests_that_fail_without_a_change_judge_nothing(tmp_path: Path) -> None:
    project = gate_project.make(tmp_path, BRAIN.replace("LIMIT_C = 50", "LIMIT_C = 40"))
    ran = gate_project.run("tools.mutate", project, "--whole")
    assert ran.returncode == 1
    assert "the tests fail without a change:" in ran.stdout


def test_fewer_mutants_than_there_should_be_make_the_gate_fail(tmp_path: Path) -> None:
    project = gate_project.make(tmp_path)
    settings = project / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace("mutants_at_least = 5", "mutants_at_least = 500")
    )
    ran = gate_project.run("tools.mutate", project, "--whole")
    assert ran.returncode == 1
    assert " mutants were made, not 500" in ran.stdout


def test_a_file_that_is_not_mutated_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    ran = gate_project.run("tools.mutate", gate_project.make(tmp_path), "--only", "brain/decde.py")
    assert ran.returncode == 2
    assert "no file of this gate; did you mean brain/decide.py?" in ran.stderr


# --- the list --------------------------------------------------------------------------------

ONE = Change(file="a.py", where="f", was="x + 1", becomes="x - 1")
OTHER = Change(file="b.py", where="g", was="x + 1", becomes="x - 1")


def listed(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "equivalents.toml"
    path.write_text("".join(rows))
    return path


def row(gate: str = "mutate", change: Change = ONE, **changes: str) -> str:
    values = {
        "file": f'"{change.file}"',
        "where": f'"{change.where}"',
        "was": f'"{change.was}"',
        "becomes": f'"{change.becomes}"',
        "reason": '"equal"',
        "date": f"{date(2026, 11, 22)}",
    } | changes
    return f"[[{gate}]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


def test_a_listed_survivor_is_allowed_once_for_each_time_it_is_listed(tmp_path: Path) -> None:
    once = read_known(listed(tmp_path, row()), "mutate")
    assert problems([ONE], once, tried=["a.py"], total_count=100, most_pct=2) == []
    found = problems([ONE, ONE], once, tried=["a.py"], total_count=100, most_pct=2)
    assert [line.partition(":")[0] for line in found] == ["survived and is not listed"]


def test_an_entry_that_is_found_now_must_go_when_its_file_was_tried_as_a_whole(
    tmp_path: Path,
) -> None:
    known = read_known(listed(tmp_path, row(), row(change=OTHER)), "mutate")
    found = problems([ONE], known, tried=["a.py", "b.py"], total_count=100, most_pct=2)
    assert found == [
        f"listed, but it is found now or the code has changed; drop it: {OTHER}",
    ]
    assert problems([ONE], known, tried=["a.py"], total_count=100, most_pct=2) == []


def test_more_than_two_in_a_hundred_are_too_many(tmp_path: Path) -> None:
    known = read_known(listed(tmp_path, row(), row(change=OTHER)), "mutate")
    assert problems([ONE, OTHER], known, tried=[], total_count=100, most_pct=2) == []
    found = problems([ONE, OTHER], known, tried=[], total_count=99, most_pct=2)
    assert found == ["2 of 99 changes are listed as equivalent; at most 2 % may be"]


def test_the_lists_of_the_two_gates_are_apart(tmp_path: Path) -> None:
    path = listed(tmp_path, row("mutate"), row("perturb", OTHER))
    assert list(read_known(path, "mutate")) == [ONE]
    assert list(read_known(path, "perturb")) == [OTHER]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (row("mutat"), "[[mutat]]: allowed are mutate, perturb; did you mean 'mutate'?"),
        (row(resaon='"x"'), "[[mutate]] 1: unknown key 'resaon': allowed are"),
        (row(reason=""), "[[mutate]] 1: reason must be a text"),
        (row(reason='" "'), "[[mutate]] 1: reason must be a text"),
        (row(date=""), "[[mutate]] 1: date must be a date, as in date = 2026-11-22"),
        (row(date='"today"'), "[[mutate]] 1: date must be a date, as in date = 2026-11-22"),
        ("[[mutate]\n", "equivalents.toml: Expected ']]'"),
    ],
)
def test_a_list_that_can_not_be_read_says_where_and_what_is_allowed(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ListError) as caught:
        read_known(listed(tmp_path, text), "mutate")
    assert sentence in str(caught.value)
