"""Lines for a reader who may stop reading: whoever stands in a device's line must never wait.

A terminal held with Ctrl-S, or a pipe into a pager, takes nothing for as long as it likes. What
has no room is kept up to a limit; then the oldest lines go, and their number is told.
"""

from __future__ import annotations

import os
import select
from collections import deque

import click

LIMIT_COUNT = 5_000
CHUNK_BYTES = 512  # what a terminal or a pipe that says "ready" takes without waiting


class PatientLines:
    def __init__(self, fileno: int | None) -> None:
        """`fileno`: None = an object in this process reads, which never waits."""
        self._fileno = fileno
        self._lines: deque[bytes] = deque()
        self._rest = b""  # of a line that has begun to leave
        self.dropped_count = 0

    def say(self, text: str) -> None:
        if self._fileno is None:
            click.echo(text)
            return
        self._lines.append(text.encode() + b"\n")
        if len(self._lines) > LIMIT_COUNT:
            self._lines.popleft()
            self.dropped_count += 1

    def pump(self, wait_s: float = 0.0) -> bool:
        """What the reader takes now; True when nothing is left. Raises BrokenPipeError."""
        while self._fileno is not None and (self._rest or self._lines):
            if not select.select([], [self._fileno], [], wait_s)[1]:
                return False
            self._rest = self._rest or self._lines.popleft()
            sent_bytes = os.write(self._fileno, self._rest[:CHUNK_BYTES])
            self._rest = self._rest[sent_bytes:]
        return True
