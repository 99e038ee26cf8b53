"""A command that goes on until Ctrl-C ends it in the ordinary way, with its summary."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def until_signal(for_s: float | None = None) -> Iterator[Callable[[], bool]]:
    """Gives a question: has SIGINT, SIGTERM or SIGHUP come, or is the time over?"""
    told: list[int] = []
    end_s = None if for_s is None else time.monotonic() + for_s
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(n, lambda number, frame: told.append(number)) for n in numbers]
    try:
        yield lambda: bool(told) or (end_s is not None and time.monotonic() > end_s)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
