"""Many runs from one snapshot: the process is copied, the copy runs and sends what came of it.

Everything of a model bench is in memory, so a forked process is a snapshot. Each child
writes one JSON object into a pipe and ends; a child that says nothing in time is ended.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PATIENCE_S = 120.0  # real time for one run; the slowest needs a second
READ_BYTES = 65_536


@dataclass(slots=True)
class _Child:
    pid: int
    name: str
    data: bytes = b""


class Fork:
    """At most `jobs` children at a time; results come in the order in which they end."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._children: dict[int, _Child] = {}  # by the reading end of its pipe

    def __enter__(self) -> Fork:
        gc.freeze()  # else every child's first collection copies the whole heap
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        for pipe in self._children:
            os.close(pipe)
        self._children.clear()
        gc.unfreeze()

    def run(self, name: str, work: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Start it when there is room; yields what others have finished meanwhile."""
        while len(self._children) >= self._jobs:
            yield from self._finished()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _in_child(writing, work)
        os.close(writing)
        self._children[reading] = _Child(pid, name)

    def rest(self) -> Iterator[dict[str, Any]]:
        while self._children:
            yield from self._finished()

    def _finished(self) -> Iterator[dict[str, Any]]:
        ready, _, _ = select.select(list(self._children), [], [], PATIENCE_S)
        if not ready:
            for child in self._children.values():
                os.kill(child.pid, signal.SIGKILL)  # the pipe ends; told below
            return
        for pipe in ready:
            child = self._children[pipe]
            got = os.read(pipe, READ_BYTES)
            if got:
                child.data += got
                continue
            os.close(pipe)
            del self._children[pipe]
            os.waitpid(child.pid, 0)
            yield _answer(child)


def _answer(child: _Child) -> dict[str, Any]:
    if not child.data:
        return {"error": f"{child.name}: no answer within {PATIENCE_S:g} s"}
    answer: dict[str, Any] = json.loads(child.data)
    return answer


def _in_child(writing: int, work: Callable[[], dict[str, Any]]) -> None:
    """Never returns: nothing of the parent's may run twice, not even at exit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children itself
    gc.disable()  # it lives for a second: its memory goes with it
    try:
        answer = work()
    except BaseException:
        answer = {"error": traceback.format_exc()}
    try:
        data = memoryview(json.dumps(answer).encode())
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)
