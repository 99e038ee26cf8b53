"""What the mutation gates work on: settings of pyproject.toml, a copy, and the files that changed.

Both gates run the same fast tests on a copy of the project, so that nobody's working tree is
touched, whatever a changed line may do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import click

LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "runs", ".venv", "mutants", "*.pyc")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[tool.mutmut]` and `[tool.dxrig.gates]` of one project."""

    root: Path
    copied: tuple[str, ...]  # folders and files that the tests need
    mutated: tuple[str, ...]  # globs
    perturbed: tuple[str, ...]
    table: str  # FILE:NAME of the table whose rows are dropped and swapped
    tests: tuple[str, ...]
    mutants_at_least: int
    perturbations_at_least: int
    equivalents: Path
    equivalents_pct_max: float
    fully_covered: tuple[str, ...]

    def files(self, globs: Iterable[str]) -> list[str]:
        found = (path for pattern in globs for path in sorted(self.root.glob(pattern)))
        return [path.relative_to(self.root).as_posix() for path in found if path.suffix == ".py"]


def read_settings(root: Path) -> Settings:
    tool = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    mutmut, gates = tool["mutmut"], tool["dxrig"]["gates"]
    return Settings(
        root=root,
        copied=(*mutmut["source_paths"], *mutmut["also_copy"], "tests", "pyproject.toml"),
        mutated=tuple(mutmut["only_mutate"]),
        perturbed=tuple(gates["perturbed"]),
        table=gates["table"],
        tests=tuple(mutmut["pytest_add_cli_args_test_selection"]),
        mutants_at_least=gates["mutants_at_least"],
        perturbations_at_least=gates["perturbations_at_least"],
        equivalents=root / gates["equivalents"],
        equivalents_pct_max=gates["equivalents_pct_max"],
        fully_covered=tuple(gates["fully_covered"]),
    )


def changed_since(root: Path, base: str, files: Sequence[str]) -> list[str] | None:
    """Those of `files` that differ from a commit; None when git can't say."""
    told: set[str] = set()
    for question in (
        ("diff", "--name-only", base, "--", *files),
        ("ls-files", "--others", "--exclude-standard", "--", *files),
    ):
        try:
            answer = subprocess.run(
                ("git", "-C", str(root), *question), capture_output=True, text=True, check=False
            )
        except OSError:
            return None
        if answer.returncode:
            return None
        told.update(answer.stdout.splitlines())
    return [file for file in files if file in told]


def files_of(
    settings: Settings, files: Sequence[str], *, base: str | None, only: Sequence[str]
) -> list[str] | None:
    """Those to look at: `only` these, or what differs from `base`, or (None) all of them."""
    for file in only:
        if file not in files:
            near = get_close_matches(file, files, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"--only {file}: no file of this gate{hint}")
    if only:
        return list(only)
    return None if base is None else changed_since(settings.root, base, files)


@contextmanager
def copy_of(settings: Settings) -> Iterator[Path]:
    """The project without what the tests don't need; gone afterwards."""
    with TemporaryDirectory(prefix="dxrig-gate-") as folder:
        for name in settings.copied:
            source, target = settings.root / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=LEFT_BEHIND)
            elif source.exists():
                shutil.copy(source, target)
        yield Path(folder)


def environment() -> dict[str, str]:
    """Tests without luck (tests/conftest.py), and none of them sees the tree that was copied."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COV")}
    return kept | {"CI": "true", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most that many, evenly over the whole, the same ones in each run."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]
