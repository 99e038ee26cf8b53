"""What a person types, without waiting for it: the room is watched meanwhile."""

from __future__ import annotations

import select
import sys
from typing import Protocol


class Answers(Protocol):
    def poll(self) -> str | None:
        """A line that has been typed; None: none yet. Raises EOFError: nobody will answer."""


class Typed:
    """Lines of standard input: a terminal, or whatever is piped in."""

    def poll(self) -> str | None:
        if not select.select([sys.stdin], [], [], 0)[0]:
            return None
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()


class AsAsked:
    """--yes: each shot is taken as set as it was asked for, and the record says so."""

    def poll(self) -> str | None:
        return ""
