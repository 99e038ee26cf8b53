"""What every test shares: Hypothesis without luck in CI, missing peers counted, real time alone."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.peers import MISSING, require_fuse
from tests.side_by_side import SideBySide, longest_first

pytest_plugins = ("rig.pytest_requirements",)

# A deadline per example would judge the machine's load, not the code.
settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")

# A shell that starts a job in the background has it ignore Ctrl-C, and all that it starts, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The shared suites (contract_*.py) are no test files, so pytest would not explain their asserts.
CONTRACTS = sorted(path.stem for path in Path(__file__).parent.glob("contract_*.py"))
pytest.register_assert_rewrite(*(f"tests.{name}" for name in CONTRACTS))


@pytest.fixture
def fuse() -> None:
    require_fuse()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="Rewrite tests/golden; review the difference."
    )


# Whole units and long sweeps show behaviour; which lines decide is shown by the fast tests.
UNMEASURED = ("slow", "wire", "e2e")
WHOLE_UNIT = (
    "test_calibrate", "test_campaign", "test_determinism", "test_durability", "test_endings",
    "test_entries", "test_frozen", "test_glitches", "test_grid", "test_kill", "test_layer",
    "test_matrix", "test_mischief", "test_r2cp_exposure", "test_regressions", "test_repair",
    "test_replay", "test_routine_model", "test_rule", "test_scenarios", "test_search",
    "test_sim_unit", "test_starts", "test_telling", "test_wall_clock",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Coverage would double their time (pytest-cov's own mark pauses it)."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: longest_first(item.nodeid.partition("::")[0]))
    for item in items:
        whole = item.path.name.startswith(WHOLE_UNIT)
        if whole or any(item.get_closest_marker(name) for name in UNMEASURED):
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True, trylast=True)  # inside of pytest-cov's own
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """In a worker pytest-cov 7.1 measures twice, and its mark pauses one of the two."""
    tracer = sys.gettrace()
    if hasattr(item.config, "workerinput") and item.get_closest_marker("no_cover"):
        sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return SideBySide(config, log)


@pytest.fixture
def update_golden(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--update-golden"))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    line = missing_peers(terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(line, yellow=not line.startswith("0 "))


def missing_peers(skipped: Iterable[pytest.TestReport]) -> str:
    """One line: how many tests nobody else judged on this machine, and what would cure it."""
    reasons = Counter(
        report.longrepr[2].partition(MISSING)[2]
        for report in skipped
        if isinstance(report.longrepr, tuple) and MISSING in report.longrepr[2]
    )
    named = "; ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
    return f"{reasons.total()} tests skipped because a peer is missing" + (
        f": {named}" if named else ""
    )
