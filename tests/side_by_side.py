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

REAL_TIME = re.compile(r"pytest\.mark\.wire\b")  # a peer that only reads files needs no clock
SLOW = re.compile(r"pytest\.mark\.slow\b")
TESTS = Path(__file__).parent


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Its base hands out scopes in the order in which their tests were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


@cache
def _text(file: str) -> str:
    return (TESTS.parent / file).read_text(encoding="utf-8")


def scope_of(file: str) -> str:
    """`file`: as pytest names it, from the project's root on."""
    return "real time" if REAL_TIME.search(_text(file)) else file


def longest_first(file: str) -> int:
    """A key to sort by: a long file that is begun last would leave one worker idle."""
    if REAL_TIME.search(_text(file)):
        return 0
    return 1 if SLOW.search(_text(file)) else 2
