"""tools/new_generator.py and its page: followed to the letter, there is a driver that works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hal.generators import names
from tests.project import ROOT
from tools import new_generator

PAGE = ROOT / "hal/generators/README.md"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "golden", ".*")
MADE = [path.format("acme_dx") for path in new_generator.FILES.values()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What of a clone the steps need."""
    copy = tmp_path / "clone"
    for folder in ("firmware_py", "hal", "rig", "sim", "tests", "tools"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", copy)
    monkeypatch.setattr(new_generator, "ROOT", copy)
    return copy


def run(project: Path, *command: str) -> str:
    """Its output; it has to succeed."""
    place = {"PYTHONPATH": str(project), "XDG_STATE_HOME": str(project / "state")}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        command, cwd=project, env={**os.environ, **place, "PATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_followed_to_the_letter_gives_a_driver_that_passes_the_contract(
    project: Path,
) -> None:
    (steps,) = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    said = run(project, "sh", "-ec", steps)
    assert all(f"wrote {path}\n" in said for path in MADE)
    (passed,) = re.findall(r"^(\d+) passed in", said, re.MULTILINE)
    assert int(passed) > 100
    assert "Ended by: planned end" in said
    python = [path for path in MADE if path.endswith(".py")]
    run(project, "ruff", "check", *python)
    run(project, "ruff", "format", "--check", *python)
    texts = [(project / path).read_text() for path in MADE]
    assert not any("example_generator" in text for text in texts)
    assert all("EXAMPLE" in text for text in texts)


def test_a_dry_run_names_the_files_and_writes_none(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new_generator.main(["acme_dx", "--dry-run"]) == 0
    assert capsys.readouterr().out == "".join(f"would write {path}\n" for path in MADE)
    assert not any((project / path).exists() for path in MADE)


@pytest.mark.parametrize("there", MADE)
def test_nothing_is_overwritten_and_nothing_else_is_left_behind(
    project: Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    (project / there).write_text("mine")
    assert new_generator.main(["acme_dx"]) == 2
    assert there in capsys.readouterr().err
    assert (project / there).read_text() == "mine"
    assert [path for path in MADE if (project / path).exists()] == [there]


def test_a_file_that_can_not_be_made_tidy_leaves_nothing_behind(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (project / "tools/example_generator.py").open("a") as file:
        file.write("def broken(:\n")
    assert new_generator.main(["acme_dx"]) == 2
    assert "ruff" in capsys.readouterr().err
    assert not any((project / path).exists() for path in MADE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vj_ixs", "'vj_ixs' exists: hal/generators/vj_ixs.py"),
        ("_yolong", "must be a module's name"),
        ("vj_ixs_two", "'vj_ixs_two' would be taken for a part of 'vj_ixs'"),
        ("yolong", "'yolong' would hide 'yolong_portable'"),
        ("acme_desk", "'acme_desk' would be a part of another driver"),
        ("class", "'class' is a word of Python"),
        ("Acme-DX", "must be a module's name (2-24 of a-z, 0-9 and _, a letter first, no _ last); "
                    "did you mean 'acme_dx'?"),
        ("9x", "must be a module's name"),
        ("x", "must be a module's name"),
        ("acme_", "did you mean 'acme'?"),
        ("", "must be a module's name"),
        ("../acme", "did you mean 'acme'?"),
        ("a" * 25, "2-24 of a-z"),
    ],
)  # fmt: skip
def test_a_wrong_name_gets_one_sentence_and_code_2(
    capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert new_generator.main([name]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert words in told.err


def test_no_bench_can_name_the_example_itself() -> None:
    assert not [name for name in names() if "example" in name]
