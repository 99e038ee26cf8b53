"""20 bytes there and 20 back over a pseudo-terminal, whose other end is another process."""

from __future__ import annotations

import os
from collections.abc import Callable

from hal.links import SerialLink
from tools.bench.ends import Waiting, terminal
from tools.bench.responder import Dialogue
from tools.bench.timing import Benchmark, Case, in_turn

CALLS_COUNT = 100
DIALOGUE = Dialogue(request=b"a question of 20 b..", reply=b"an answer of 20 byte")


def serial(seconds: float) -> Benchmark:
    with terminal(DIALOGUE) as (path, fd):
        link = SerialLink(path, baud=115200)
        try:
            cases = in_turn(
                Case(name="os.write, os.read", run=_raw(fd), calls_count=CALLS_COUNT),
                Case(name="SerialLink", run=_ours(link), calls_count=CALLS_COUNT),
                seconds=seconds,
            )
        finally:
            link.close()
    return Benchmark(name="serial", about="20 B and 20 B over a pseudo-terminal", cases=cases)


def _raw(fd: int) -> Callable[[], None]:
    def trip() -> None:
        os.write(fd, DIALOGUE.request)
        left_bytes = len(DIALOGUE.reply)
        while left_bytes:
            left_bytes -= len(os.read(fd, left_bytes))

    return trip


def _ours(link: SerialLink) -> Callable[[], None]:
    wait = Waiting(link.fileno())

    def trip() -> None:
        link.write(0, DIALOGUE.request)
        left_bytes = len(DIALOGUE.reply)
        while left_bytes:
            wait()
            left_bytes -= len(link.read(0))

    return trip
