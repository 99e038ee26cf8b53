"""Nobody compares times: `now.reached(deadline_us)` knows the next event by construction.

A comparison by hand is a deadline that `Now` never hears of, so the model rung could jump
past it. Where one is right, the line says why: `# us-compare: REASON`.
"""

from __future__ import annotations

import ast

import pytest

from tests.project import name_of, sources
from tools import lint_decide

# now.py is the one place; links.py and clock.py are beneath it: they know when bytes arrive.
EXEMPT = ("hal/now.py", "hal/links.py", "hal/clock.py")


def compared_times(source: str) -> list[int]:
    return lint_decide.compared_times(ast.parse(source), source.splitlines())


def test_no_file_compares_times_by_hand() -> None:
    found = [
        f"{name_of(path)}:{line}"
        for path in sources()
        if name_of(path) not in EXEMPT
        for line in compared_times(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"ask now.reached(deadline_us), or say `# us-compare: REASON`: {found}"


@pytest.mark.parametrize(
    "planted",
    [
        "if t_us < 5: pass",
        "if 5 <= sample.taken_us: pass",
        "if now.t_us - self.start_us >= LIMIT_US: pass",
        "late = clock.now_us() > end",
        "while -times_us[0] > x: pass",
        "ok = 0 < t_us < 9",
        "ok = [t for t in rows if t.end_us > 3]",
    ],
)
def test_a_planted_comparison_of_times_is_found(planted: str) -> None:
    assert compared_times(planted) == [1]


@pytest.mark.parametrize(
    "harmless",
    [
        "if now.reached(t_us): pass",
        "if t_us == 5 or end_us is None: pass",
        "if len(times_us) > 3: pass",
        "if kv < 5: pass",
        "last_us = max(a_us, b_us)",
        "if a_us > b_us: pass  # us-compare: orders two rows of a finished report",
        "if (\n    a_us\n    > b_us  # us-compare: a validated setting, not a moment\n): pass",
    ],
)
def test_what_compares_no_times_or_says_why_is_left_alone(harmless: str) -> None:
    assert compared_times(harmless) == []


def test_a_mark_without_a_reason_does_not_count() -> None:
    assert compared_times("if a_us > b_us: pass  # us-compare:") == [1]
