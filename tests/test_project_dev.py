"""tools/dev.py up to the point where it would install: what it accepts, refuses and says."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tools import dev


class BecameError(Exception):
    """Stands for the program that dev.py turns into."""


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """An environment that is made already; holds the wheel folders that were handed over."""
    wheels: list[Path | None] = []

    def become(program: Path, *arguments: str) -> NoReturn:
        raise BecameError(program.name, *arguments)

    monkeypatch.setattr(dev, "set_up", wheels.append)
    monkeypatch.setattr(dev, "become", become)
    monkeypatch.setattr("os.chdir", lambda folder: None)
    return wheels


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with a .venv that looks made."""
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    for name in ("python", "dxrig"):
        (bin_folder / name).touch()
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(dev, "BIN", bin_folder)
    monkeypatch.setattr(dev, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(dev, "STAMP", tmp_path / ".venv" / "dxrig-stamp")
    dev.STAMP.write_text(dev.stamp())
    return tmp_path


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as stopped:
        dev.main(arguments)
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "became"),
    [
        (["demo"], ("dxrig", "demo")),
        (["demo", "--help"], ("dxrig", "demo", "--help")),
        (["demo", "--kvp", "70", "--", "-x"], ("dxrig", "demo", "--kvp", "70", "--", "-x")),
        (["test", "-k", "ready", "-x"], ("python", "-m", "pytest", "-k", "ready", "-x")),
        (["test"], ("python", "-m", "pytest", *dev.SIDE_BY_SIDE, *dev.COVERAGE, *dev.REQUIREMENTS)),
        (["gates"], ("python", "-m", "tools.gates")),
        (["gates", "--whole"], ("python", "-m", "tools.gates", "--whole")),
    ],
)
def test_demo_and_test_become_the_program_with_all_arguments(
    ready: list[Path | None], arguments: list[str], became: tuple[str, ...]
) -> None:
    with pytest.raises(BecameError) as caught:
        dev.main(arguments)
    assert caught.value.args == became
    assert ready == [None]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--wheels", "W", "demo", "-v"],
        ["demo", "--wheels", "W", "-v"],
        ["demo", "-v", "--wheels=W"],
    ],
)
def test_wheels_may_stand_anywhere_and_never_reach_the_program(
    ready: list[Path | None], arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "click-8-py3-none-any.whl").touch()
    given = [argument.replace("W", str(tmp_path)) for argument in arguments]
    with pytest.raises(BecameError) as caught:
        dev.main(given)
    assert caught.value.args == ("dxrig", "demo", "-v")
    assert ready == [tmp_path]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tset"], "dev.py: no command 'tset'; there are demo, test, check, gates, setup\n"),
        (["check", "hal"], "dev.py: check takes no arguments, got 'hal'\n"),
        (["demo", "--wheels"], "dev.py: --wheels needs a folder\n"),
        (["demo", "--wheels=/nowhere"], "dev.py: --wheels /nowhere: no .whl file there\n"),
    ],
)
def test_a_wrong_word_gets_one_line_and_code_2(
    ready: list[Path | None],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    assert refused(arguments, capsys) == (2, sentence)
    assert ready == []


def test_a_debian_without_the_venv_package_is_told_its_name(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else found(name)
    )
    (project / "requirements.lock").write_text("changed")
    code, said = refused(["setup"], capsys)
    assert code == 2
    assert said == "dev.py: this Python has no ensurepip; on Debian: apt install python3-venv\n"
    assert (project / ".venv").is_dir()  # nothing was touched


# --- when .venv is made anew -----------------------------------------------------------------


def test_an_environment_made_from_this_lock_is_kept(project: Path) -> None:
    assert dev.is_current()


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_makes_the_environment_anew(project: Path, changed: str) -> None:
    (project / changed).write_text("changed")
    assert not dev.is_current()


def test_a_moved_folder_makes_the_environment_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "moved").mkdir()
    (project / "moved" / "pyproject.toml").write_text("pyproject.toml")
    monkeypatch.setattr(dev, "ROOT", project / "moved")
    assert not dev.is_current()


def test_an_environment_without_a_stamp_is_half_made_or_not_ours(project: Path) -> None:
    dev.STAMP.unlink()
    assert not dev.is_current()


def test_an_environment_whose_python_is_gone_is_made_anew(project: Path) -> None:
    (dev.BIN / "python").unlink()
    (dev.BIN / "python").symlink_to("/nowhere/python3")
    assert not dev.is_current()


# --- what pip's last words mean --------------------------------------------------------------

NOT_FOUND = "ERROR: No matching distribution found for click==8.5.1"


def test_no_index_names_the_way_without_a_network() -> None:
    said = dev.pip_failure(["WARNING: Retrying", NOT_FOUND], offline=False)
    assert said == (
        "no package index answered, or it lacks a package. Without a network give --wheels DIR "
        f"(see --help). pip: {NOT_FOUND}"
    )


def test_a_folder_that_lacks_a_wheel_says_which() -> None:
    said = dev.pip_failure([NOT_FOUND], offline=True)
    assert said == f"--wheels: the folder lacks a package of requirements.lock. pip: {NOT_FOUND}"


def test_a_package_with_another_hash_is_called_refused() -> None:
    said = dev.pip_failure(
        ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."], offline=False
    )
    assert said == "a package's hash is not the one in requirements.lock: refused"


def test_pip_failing_ends_with_code_3(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = dev.BIN / "python"
    python.write_text(f"#!/bin/sh\necho '{NOT_FOUND}'\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(SystemExit) as stopped:
        dev.pip("-r", "requirements.lock", total=3, offline=True)
    assert stopped.value.code == 3
    assert capsys.readouterr().err == f"dev.py: {dev.pip_failure([NOT_FOUND], offline=True)}\n"


# --- check -----------------------------------------------------------------------------------


def test_check_runs_every_check_and_names_those_that_failed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, code in (("ruff", 1), ("mypy", 0), ("lint-imports", 0), ("python", 1)):
        (dev.BIN / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (dev.BIN / name).chmod(0o755)
    assert dev.check() == 1
    assert capsys.readouterr().err.splitlines() == [
        "dev.py: format: ruff format --check",
        "dev.py: lint: ruff check",
        "dev.py: types: mypy",
        "dev.py: imports: lint-imports",
        "dev.py: decide: python -m tools.lint_decide",
        "dev.py: FAILED: format, lint, decide",
    ]


def test_check_finds_a_host_in_the_lock(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "CHECKS", ())
    dev.LOCK.write_text("--index-url https" + "://packages.example\n")
    assert dev.check() == 1
    assert capsys.readouterr().err.splitlines()[-1] == "dev.py: FAILED: lock"
