"""Tries changes of the source on the fast tests: each in a process of its own, forked.

A change inside a function is tried *in place*: the tests are collected once and run once without
a change, which also says which test reaches which function; then each change is put into the
function's own object in a fork, and only the tests that reach it run, the quickest first. What
works at import (a default, a table, a function called there) is tried *anew*: the fork imports
the project with that one file changed, and runs all.

Starting pytest for each change instead, as mutmut's own runner does, took 0.4 to 1.5 s of
processor time a change; this takes about 0.1 s in place (2026-11, two cores).
"""

from __future__ import annotations
import __future__

import ast
import gc
import importlib.abc
import importlib.util
import json
import os
import resource
import sys
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, TypeVar

import pytest
from coverage import Coverage

from tools.gate_scope import Settings, copy_of, environment
from tools.survivors import Change

CPU_LIMIT_S = 240  # the fast tests take about ten; a change may make one endless
OPTIONS = ("-q", "--rootdir=.", "-p", "no:randomly", "-p", "no:cacheprovider",
           "-m", "not wire and not slow")  # fmt: skip
Answer = dict[str, Any]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    change: Change
    source: str  # the whole file, changed
    function: str = ""  # where inside; empty: outside of functions


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a change: seen by the test of this name, or not seen, or not judged."""

    change: Change
    code: int | None  # pytest's; None: the process was ended
    test: str = ""

    @property
    def is_seen(self) -> bool:
        return self.code in (1, 2) and bool(self.test)

    @property
    def is_missed(self) -> bool:
        return self.code == 0


class NotGreenError(Exception):
    """The tests fail without a change, so they judge nothing."""


def tried(settings: Settings, trials: Sequence[Trial], jobs: int) -> list[Fate]:
    """Each change's fate, in the order given. NotGreenError: see there."""
    with copy_of(settings) as folder, TemporaryDirectory(prefix="dxrig-fates-") as answers:
        bench = _Bench(folder, settings.tests, Path(answers), jobs)
        fates = bench.in_place(trials)
        fates |= bench.anew({i: trial for i, trial in enumerate(trials) if i not in fates})
    return [fates[i] for i in range(len(trials))]


@dataclass(frozen=True, slots=True)
class _Bench:
    folder: Path
    tests: Sequence[str]
    answers: Path
    jobs: int

    def in_place(self, trials: Sequence[Trial]) -> dict[int, Fate]:
        """The fates of those that can be tried so, by their place; the others are tried anew."""
        path = self.answers / "in-place.json"
        os.waitpid(_fork(lambda: self._collected_once(trials), path), 0)
        answer = _answer_of(path)
        if answer is None or answer["code"] != 0:
            said = path.with_suffix(".log").read_text(errors="replace")
            raise NotGreenError(f"the tests fail without a change:\n{said[-2000:]}")
        return {int(i): _fate(trials[int(i)], fate) for i, fate in answer["fates"].items()}

    def _collected_once(self, trials: Sequence[Trial]) -> Answer:
        self._enter()
        forking = _Forking(self.folder, trials, self.answers, self.jobs)
        forking.coverage.start()
        code = pytest.main([*OPTIONS, *self.tests], plugins=[forking])
        return {"code": int(code), "fates": forking.fates}

    def anew(self, trials: dict[int, Trial]) -> dict[int, Fate]:
        if not trials:
            return {}
        self._load_what_the_tests_import()
        works = ((i, self._imported_anew(trial)) for i, trial in trials.items())
        answers = _forked(works, self.answers, self.jobs, len(trials))
        return {i: _fate(trials[i], answer) for i, answer in answers}

    def _imported_anew(self, trial: Trial | None) -> Callable[[], Answer]:
        def work() -> Answer:
            self._enter()
            if trial is not None:
                changed = _Changed(self.folder, trial.change.file, trial.source)
                sys.meta_path.insert(0, changed)
            plugin = _FirstFailure()
            code = int(pytest.main(["-x", *OPTIONS, *self.tests], plugins=[plugin]))
            if trial is not None and code == 0:
                _say(f"no test sees {trial.change}")
            loaded = [] if trial else sorted(filter(_is_foreign, sys.modules))
            return {"code": code, "test": plugin.test, "modules": loaded}

        return work

    def _enter(self) -> None:
        """The copy is the project from here on; for a child that ends afterwards."""
        here = Path.cwd()
        os.chdir(self.folder)
        os.environ.update(environment())
        sys.path[:] = [str(self.folder), *(path for path in sys.path if Path(path) != here)]

    def _load_what_the_tests_import(self) -> None:
        """What the tests import from elsewhere is imported here, before any fork.

        By a run of pytest, so that its plugins are loaded by pytest and not behind its back.
        """
        path = self.answers / "unchanged.json"
        os.waitpid(_fork(self._imported_anew(None), path), 0)
        answer = _answer_of(path) or {"modules": []}
        first = self.answers / "first" / "test_imports.py"
        first.parent.mkdir(exist_ok=True)
        first.write_text(_imports(answer["modules"]))
        quiet = ("-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly")
        with open(os.devnull, "w") as nowhere:
            out, sys.stdout = sys.stdout, nowhere
            try:
                pytest.main([*quiet, f"--rootdir={first.parent}", str(first)])
            finally:
                sys.stdout = out
        gc.freeze()  # shared pages stay shared


def _imports(names: Sequence[str]) -> str:
    lines = "".join(f"    with suppress(Exception):\n        import {name}\n" for name in names)
    return (
        "import warnings\nfrom contextlib import suppress\n"
        "with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n"
        f"{lines}    pass\n\n\ndef test_is_imported() -> None:\n    pass\n"
    )


def _is_foreign(name: str) -> bool:
    file = getattr(sys.modules[name], "__file__", None)
    ours = name.startswith(("_pytest", "pytest", "mutmut"))
    return isinstance(file, str) and "site-packages" in file and not ours


def _fate(trial: Trial, answer: Answer) -> Fate:
    return Fate(trial.change, answer["code"], answer["test"])


# --- in place ----------------------------------------------------------------------------------


class _Forking:
    """A pytest plugin: runs all without a change, then each change's tests in a fork."""

    def __init__(self, folder: Path, trials: Sequence[Trial], answers: Path, jobs: int) -> None:
        self._folder, self._trials, self._answers, self._jobs = folder, trials, answers, jobs
        files = {str(folder / trial.change.file) for trial in trials}
        self.coverage = Coverage(data_file=None, config_file=False, include=sorted(files))
        self._reaching: dict[tuple[str, str], set[str]] = {}
        self._at_import: set[tuple[str, str]] = set()
        self._saw: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._duration_s: list[float] = []
        self._failed = ""
        self.fates: dict[int, Answer] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self._failed:
            self._failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:
            return None  # pytest says what could not be collected
        for i, item in enumerate(session.items):
            started_s = time.perf_counter()
            self.coverage.switch_context(str(i))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self._duration_s.append(time.perf_counter() - started_s)
        self.coverage.stop()
        if self._failed:
            session.testsfailed += 1
            return True
        self._note_what_reaches_what()
        gc.freeze()
        able = {i: trial for i, trial in enumerate(self._trials) if self._can_do(trial)}
        works = ((i, self._changed(session.items, trial)) for i, trial in able.items())
        places = {item.nodeid: i for i, item in enumerate(session.items)}
        for i, answer in _forked(works, self._answers, self._jobs, len(able)):
            self.fates[i] = answer
            if answer["test"] in places:
                self._saw[self._trials[i].change.file][places[answer["test"]]] += 1
        return True

    def _note_what_reaches_what(self) -> None:
        data = self.coverage.get_data()
        for file in sorted({trial.change.file for trial in self._trials}):
            path = self._folder / file
            by_line = data.contexts_by_lineno(str(path))
            tree = ast.parse(path.read_text(encoding="utf-8"))
            self._at_import |= {(file, name) for name in called_at_import(tree)}
            for name, lines in function_lines(tree):
                told = (by_line.get(line, []) for line in lines)
                self._reaching[file, name] = set(chain.from_iterable(told)) - {""}

    def _can_do(self, trial: Trial) -> bool:
        where = (trial.change.file, trial.function)
        return bool(trial.function) and where not in self._at_import

    def _changed(self, items: Sequence[pytest.Item], trial: Trial) -> Callable[[], Answer]:
        """First the tests that saw changes of this file before, then the quickest."""
        reaching = self._reaching[trial.change.file, trial.function]
        saw = self._saw[trial.change.file]
        order = sorted(map(int, reaching), key=lambda i: (-saw[i], self._duration_s[i]))

        def work() -> Answer:
            if not order:
                _say(f"no test reaches {trial.change}")
                return {"code": None, "test": ""}
            put_in_place(trial)
            for i in order:
                items[i].config.hook.pytest_runtest_protocol(item=items[i], nextitem=None)
                if self._failed:
                    return {"code": 1, "test": self._failed}
            _say(f"no test sees {trial.change}")
            return {"code": 0, "test": ""}

        return work


def called_at_import(tree: ast.Module) -> set[str]:
    """Functions of a file that make what its module holds, and those that they call."""
    bodies = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    waiting: list[ast.stmt] = [
        node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    found: set[str] = set()
    while waiting:
        calls = (n for n in ast.walk(waiting.pop()) if isinstance(n, ast.Call))
        named = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        waiting += [bodies[name] for name in named & bodies.keys() - found]
        found |= named & bodies.keys()
    return found


def function_lines(tree: ast.Module) -> Iterator[tuple[str, Sequence[int]]]:
    """Name and the lines of the body of each function, methods as CLASS.NAME."""
    classes = [(f"{node.name}.", node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
    for prefix, body in [("", tree.body), *classes]:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                first, last = node.body[0].lineno, node.body[-1].end_lineno
                yield f"{prefix}{node.name}", range(first, (last or first) + 1)


def put_in_place(trial: Trial) -> None:
    """The function itself is changed: whoever holds it, a table or a neighbour, holds the new."""
    module = sys.modules[trial.change.file.removesuffix(".py").replace("/", ".")]
    node = find_function(ast.parse(trial.source), trial.function)
    flags = __future__.annotations.compiler_flag
    code = compile(ast.Module([node], []), trial.change.file, "exec", flags=flags)
    made: dict[str, Any] = {}
    exec(code, module.__dict__, made)
    target: Any = module
    for name in trial.function.split("."):
        target = getattr(target, name)
    changed = made[node.name]
    target.__code__ = changed.__code__
    target.__defaults__, target.__kwdefaults__ = changed.__defaults__, changed.__kwdefaults__


def find_function(tree: ast.Module, name: str) -> ast.FunctionDef:
    body: Sequence[ast.stmt] = tree.body
    *classes, function = name.split(".")
    for part in classes:
        body = next(n.body for n in body if isinstance(n, ast.ClassDef) and n.name == part)
    return next(n for n in body if isinstance(n, ast.FunctionDef) and n.name == function)


# --- anew --------------------------------------------------------------------------------------


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed source, and all others as ever."""

    def __init__(self, folder: Path, file: str, source: str) -> None:
        self._module = file.removesuffix(".py").replace("/", ".")
        self._path, self._source = folder / file, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)


class _FirstFailure:
    """A pytest plugin: the first test that fails, or the file that can't be collected."""

    def __init__(self) -> None:
        self.test = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.test:
            self.test = f"{report.nodeid} (does not import)"


# --- forks -------------------------------------------------------------------------------------


def _forked(
    works: Iterator[tuple[Key, Callable[[], Answer]]], answers: Path, jobs: int, total_count: int
) -> Iterator[tuple[Key, Answer]]:
    """Every work's answer, so many at a time, in the order in which they end."""
    running: dict[int, tuple[Key, Path]] = {}
    started_count = done_count = 0
    is_more = True
    while is_more or running:
        while is_more and len(running) < jobs:
            following = next(works, None)
            if following is None:
                is_more = False
                break
            key, work = following
            path = answers / f"{os.getpid()}-{started_count}.json"
            running[_fork(work, path, CPU_LIMIT_S)] = (key, path)
            started_count += 1
        if not running:
            return
        child, _ = os.wait()
        if child in running:
            done_count += 1
            _say_progress(done_count, total_count)
            key, path = running.pop(child)
            yield key, _answer_of(path) or {"code": None, "test": ""}
            path.unlink(missing_ok=True)
            path.with_suffix(".log").unlink(missing_ok=True)


PROGRESS_FD = os.dup(2)  # a child's own standard error goes to a file


def _say_progress(done_count: int, total_count: int) -> None:
    if done_count % 100 == 0:
        _say(f"{done_count} of {total_count}")


def _say(text: str) -> None:
    """At once, from whatever process: a whole run takes minutes."""
    os.write(PROGRESS_FD, f"  {text}\n".encode())


def _fork(work: Callable[[], Answer], path: Path, cpu_s: int | None = None) -> int:
    """The child's answer goes to a file, its output beside it. Returns its process id."""
    child = os.fork()
    if child:
        return child
    _be_the_child(work, path, cpu_s)


def _be_the_child(work: Callable[[], Answer], path: Path, cpu_s: int | None) -> NoReturn:
    code = 1
    try:
        log = os.open(path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if cpu_s is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
        path.write_text(json.dumps(work()))
        code = 0
    finally:
        os._exit(code)


def _answer_of(path: Path) -> Answer | None:
    return dict(json.loads(path.read_text())) if path.exists() else None
