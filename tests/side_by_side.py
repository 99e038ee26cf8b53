"""How two workers share the suite (pytest-xdist): by file, and all that needs real time in one.

Two units on real ports at once would make each other late; beside one, the other worker runs
in virtual time. A scheduler of our own, because the controller collects nothing: it knows a
test by its name alone.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

REAL_TIME = re.compile(r"pytest\.mark\.(?:wire|e2e|peer)\b")
TESTS = Path(__file__).parent


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Its base hands out the scopes with the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


@cache
def scope_of(file: str) -> str:
    """`file`: as pytest names it, from the project's root on."""
    text = (TESTS.parent / file).read_text(encoding="utf-8")
    return "real time" if REAL_TIME.search(text) else file
