"""Which tests name which requirement, read from the tests' text: nothing is run.

What a run found is better (`pytest --requirements-json`); this serves where there is none yet.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from rig.bench_names import ROOT
from rig.requirements import TestResult

NOT_RUN = "not run"


def named(root: Path = ROOT) -> tuple[TestResult, ...]:
    """Of a checkout, in order of name; an installation without its tests has none."""
    files = sorted((root / "tests").rglob("test_*.py"))
    found = [test for file in files for test in _of_file(file, file.relative_to(root).as_posix())]
    return tuple(found + list(_scenarios(root / "rig" / "scenarios")))


def _of_file(file: Path, name: str) -> Iterator[TestResult]:
    """Marks on a test are that test's; marks elsewhere (parameters, a module's) are the file's."""
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=name)
    on_tests: set[ast.Call] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower()[:4] == "test":
            marks = [call for word in node.decorator_list for call in _marks(word)]
            on_tests.update(marks)
            yield from _result(f"{name}::{node.name}", marks, _kind(name, node.decorator_list))
    rest = [call for call in _marks(tree) if call not in on_tests]
    yield from _result(name, rest, _kind(name, []))


def _marks(tree: ast.AST) -> list[ast.Call]:
    """`pytest.mark.req(...)` in it."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "req"]


def _result(name: str, marks: Iterable[ast.Call], kind: str) -> Iterator[TestResult]:
    words = [word.value for mark in marks for word in mark.args if isinstance(word, ast.Constant)]
    if words:
        yield TestResult(name, tuple(dict.fromkeys(map(str, words))), kind, NOT_RUN)


def _kind(name: str, decorators: list[ast.expr]) -> str:
    marked = {word.attr for word in decorators if isinstance(word, ast.Attribute)}
    if "wire" in marked:
        return "wire"
    return "search" if Path(name).stem.startswith("test_search") else "model"


def _scenarios(folder: Path) -> Iterator[TestResult]:
    for file in sorted(folder.glob("*.toml")):
        covers = tomllib.loads(file.read_text(encoding="utf-8")).get("covers", [])
        if covers:
            yield TestResult(f"rig/scenarios/{file.name}", tuple(covers), "model", NOT_RUN)
