"""The pytest plugin that ties tests to requirements, by `@pytest.mark.req("SR-17")`.

An id that nobody knows ends every run. `--requirements` also fails a run of the whole suite
on a requirement without a passing test of the kind it names, or with a changed text.
With pytest-xdist the workers collect and the controller hears how it went, so each worker
hands over what it collected.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import ExitCode
from _pytest.terminal import TerminalReporter

from rig.exit_codes import ConfigError
from rig.requirements import FILE, Requirements, TestResult, gaps, load_requirements, unknown_ids

_HANDED = "requirements"  # the key of what a worker hands over
_SPEAKS = "requirement test"  # the property that names the test in each of its reports
_WORST = ("failed", "passed", "skipped", "not run")  # one failed parameter fails the test


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("requirements")
    group.addoption(
        "--requirements",
        action="store_true",
        help="Fail the whole suite on a requirement without its test, or with a changed text.",
    )
    group.addoption(
        "--requirements-json",
        metavar="FILE",
        help="Write which test speaks for which requirement, and how it went.",
    )
    group.addoption("--requirements-file", metavar="FILE", default=str(FILE), help=f"Not {FILE}.")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Ledger(config), "requirements-ledger")


class Ledger:
    """Which tests speak for what, and what came of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._ids: dict[str, dict[str, None]] = {}
        self._kinds: dict[str, str] = {}
        self._results: dict[str, str] = {}
        self._known: Requirements | None = None
        self._deselected = False
        self._problems: list[str] = []

    @property
    def requirements(self) -> Requirements:
        if self._known is None:
            try:
                self._known = load_requirements(Path(self._config.getoption("--requirements-file")))
            except ConfigError as error:
                raise pytest.UsageError(str(error)) from None
        return self._known

    @pytest.hookimpl(tryfirst=True)  # before -k and -m take some away
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            marks = [name for mark in item.iter_markers("req") for name in mark.args]
            if marks:
                name = _name(item)
                item.user_properties.append((_SPEAKS, name))
                self._ids.setdefault(name, {}).update(dict.fromkeys(map(str, marks)))
                self._kinds[name] = kind_of(item)
        if not self._ids and not self._config.getoption("--requirements"):
            return
        unknown = unknown_ids(self.requirements, self.tests)
        if unknown:
            raise pytest.UsageError("\n".join(unknown))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected = self._deselected or bool(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = dict(report.user_properties).get(_SPEAKS)
        if not isinstance(name, str):
            return
        if report.when == "call" or report.outcome != "passed":
            before = self._results.get(name, "not run")
            self._results[name] = min(before, report.outcome, key=_WORST.index)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Each worker collects all; one that crashed hands nothing over, and fails the run."""
        ids, kinds, deselected = getattr(node, "workeroutput", {}).get(_HANDED, ({}, {}, False))
        self._ids.update(ids)
        self._kinds.update(kinds)
        self._deselected = self._deselected or deselected

    @property
    def tests(self) -> list[TestResult]:
        return [
            TestResult(name, tuple(ids), self._kinds[name], self._results.get(name, "not run"))
            for name, ids in sorted(self._ids.items())
        ]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_HANDED] = (self._ids, self._kinds, self._deselected)
            return
        whole = self._whole(session)
        file = self._config.getoption("--requirements-json")
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(_as_json(self.tests, whole), encoding="utf-8")
        if whole and self._config.getoption("--requirements"):
            self._problems = gaps(self.requirements, self.tests)
            if self._problems and session.exitstatus == ExitCode.OK:
                session.exitstatus = ExitCode.TESTS_FAILED

    def _whole(self, session: pytest.Session) -> bool:
        """Everything was collected, nothing taken away, and the run went to its end."""
        config = self._config
        chosen = config.args_source is pytest.Config.ArgsSource.ARGS or self._deselected
        ended = session.exitstatus in (ExitCode.OK, ExitCode.TESTS_FAILED)
        stopped = bool(session.shouldstop or session.shouldfail)
        return ended and not (chosen or stopped or config.option.collectonly)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._problems:
            terminalreporter.section("requirements")
        for problem in self._problems:
            terminalreporter.write_line(problem, red=True)


def _name(item: pytest.Item) -> str:
    """All parameters together, unless each speaks for something of its own."""
    callspec = getattr(item, "callspec", None)
    apart = callspec is not None and any(mark.name == "req" for mark in callspec.marks)
    return item.nodeid if apart else item.nodeid.partition("[")[0]


def kind_of(item: pytest.Item) -> str:
    """`bench` is not among them: no test has met a device."""
    folders = item.path.parent.parts
    if item.get_closest_marker("wire") or "hil" in folders:
        return "wire"
    if item.get_closest_marker("peer"):
        return "peer"
    return "search" if item.path.stem.startswith("test_search") else "model"


def _as_json(tests: list[TestResult], whole: bool) -> str:
    from rig.version import commit

    content = {
        "schema": 1,
        "commit": commit(),
        "whole_suite": whole,
        "tests": [
            {"test": test.test, "ids": test.ids, "kind": test.kind, "result": test.result}
            for test in tests
        ],
    }
    return json.dumps(content, indent=1) + "\n"
