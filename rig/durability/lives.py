"""A victim's life seen from outside: started as a copy of this process, read, and killed.

Copied, not started anew: its imports cost half a second, a life a tenth of that.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rig.durability.victim import Plan, live

PATIENCE_S = 30.0  # without a line
LONGEST_DELAY_S = 0.02  # from the last line to a random kill: as long as an image takes


class LifeError(Exception):
    """A victim said nothing for too long; it was ended."""


class Life:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self._pipe, writing = os.pipe()
        self._data = b""
        self._is_over = False
        self.was_killed = False
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _victim(writing, plan, folder)
        os.close(writing)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Until it ends. Raises LifeError."""
        while not self._is_over:
            ready, _, _ = select.select([self._pipe], [], [], PATIENCE_S)
            if not ready:
                raise LifeError(f"no word of the recorder within {PATIENCE_S:g} s")
            got = os.read(self._pipe, 65_536)
            self._is_over = not got
            *whole, self._data = (self._data + got).split(b"\n")
            yield from (json.loads(line) for line in whole)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def end(self) -> None:
        self.kill()
        _, status = os.waitpid(self._pid, 0)
        self.was_killed = os.WIFSIGNALED(status)
        os.close(self._pipe)


@contextmanager
def life(plan: Plan, folder: Path) -> Iterator[Life]:
    made = Life(plan, folder)
    try:
        yield made
    finally:
        made.end()


def lived(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """All that a victim said until it ended by itself, or at its crash point."""
    with life(plan, folder) as one:
        return list(one.lines())


def killed(plan: Plan, folder: Path, chance: random.Random) -> list[dict[str, Any]]:
    """... until it was killed, some lines and some ten milliseconds later."""
    heard: list[dict[str, Any]] = []
    last_count = chance.randrange(3 * (1 + plan.last_number - plan.first_number))
    with life(plan, folder) as one:
        for line in one.lines():
            heard.append(line)
            if len(heard) == 1 + last_count:
                time.sleep(chance.random() * LONGEST_DELAY_S)  # chance, nothing waits for it
                one.kill()
    return heard


def _victim(pipe: int, plan: Plan, folder: Path) -> NoReturn:
    """In the child; never returns, so that nothing of the parent's runs twice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    try:
        live(plan, folder, lambda line: _say(pipe, line))
    finally:
        os._exit(0)


def _say(pipe: int, line: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(line).encode() + b"\n")
