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
        if not self._has_come():
            return None
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()

    def _has_come(self) -> bool:
        if sys.stdin is None or sys.stdin.closed:
            raise EOFError
        try:
            return bool(select.select([sys.stdin], [], [], 0)[0])
        except (OSError, ValueError):  # no file of the system's: all of it is there
            return True


class AsAsked:
    """--yes: each shot is taken as set as it was asked for, and the record says so."""

    def poll(self) -> str | None:
        return ""
