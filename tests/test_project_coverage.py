"""The coverage gate names each line and branch that no test ran, and takes no data for none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import gate_project
from tests.gate_project import BRAIN, TESTS
from tests.project import ROOT
from tools.gate_scope import read_settings

GAP = """

def margin_c(oil_c: int) -> int:
    if oil_c > LIMIT_C:
        return 0
    return LIMIT_C - oil_c
"""


def measured(project: Path) -> Path:
    """The tests of the project have run with branch coverage."""
    with (project / "pyproject.toml").open("a") as settings:
        settings.write('\n[tool.coverage.run]\nbranch = true\nsource = ["brain"]\n')
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    ran = subprocess.run(
        (sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=project,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return project


def test_a_project_that_is_covered_wholly_passes(tmp_path: Path) -> None:
    ran = gate_project.run("tools.coverage_gate", measured(gate_project.make(tmp_path)))
    assert ran.stdout == "coverage: 2 files must be covered wholly, 0 are not\n"
    assert ran.returncode == 0


def test_a_planted_gap_is_named_by_its_lines_and_branches(tmp_path: Path) -> None:
    tests = TESTS.replace("is_asked, is_hot", "is_asked, is_hot, margin_c")
    tests += "\n\ndef test_the_margin() -> None:\n    assert margin_c(20) == 30\n"
    project = measured(gate_project.make(tmp_path, BRAIN + GAP, tests))
    ran = gate_project.run("tools.coverage_gate", project)
    line = len(BRAIN.splitlines()) + 4
    assert ran.stdout.splitlines()[0] == (
        f"brain/decide.py: lines {line + 1}; branches {line} -> {line + 1}"
    )
    assert ran.returncode == 1


def test_a_file_that_no_test_imports_is_not_covered(tmp_path: Path) -> None:
    project = gate_project.make(tmp_path)
    (project / "brain" / "spare.py").write_text("def spare() -> int:\n    return 1\n")
    ran = gate_project.run("tools.coverage_gate", measured(project))
    assert ran.stdout.startswith("brain/spare.py: ")
    assert ran.returncode == 1


def test_a_file_that_changed_since_it_was_measured_is_not_covered(tmp_path: Path) -> None:
    project = measured(gate_project.make(tmp_path))
    newer_s = (project / ".coverage").stat().st_mtime + 10
    os.utime(project / "brain" / "decide.py", (newer_s, newer_s))
    ran = gate_project.run("tools.coverage_gate", project)
    assert ran.stdout.splitlines()[0] == "brain/decide.py: changed since it was measured"
    assert ran.returncode == 1


def test_without_data_the_gate_says_what_makes_it(tmp_path: Path) -> None:
    ran = gate_project.run("tools.coverage_gate", gate_project.make(tmp_path))
    assert ran.returncode == 2
    assert "`python3 tools/dev.py test` makes it" in ran.stderr


@pytest.mark.parametrize("pattern", read_settings(ROOT).fully_covered)
def test_every_file_that_must_be_covered_is_there(pattern: str) -> None:
    assert read_settings(ROOT).files((pattern,))


def test_the_gates_run_tests_that_are_there_and_none_that_waits() -> None:
    tests = read_settings(ROOT).tests
    assert [test for test in tests if not (ROOT / test).is_file()] == []
    assert len(set(tests)) == len(tests)
