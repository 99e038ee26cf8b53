"""Bytes there and back over a pseudo-terminal, whose other end is another process.

`serial`: 20 and 20 through the link alone. `exchange`: the status question of an IXS through
link, codec and `Exchange`, as its driver asks it in a beam.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hal.exchange import Exchange
from hal.generators.vj_ixs_wire import STATUS, Codec, Question, Reply
from hal.links import SerialLink
from hal.now import Now
from tools.bench.ends import Waiting, terminal
from tools.bench.responder import Dialogue
from tools.bench.timing import Benchmark, Case, in_turn

CALLS_COUNT = 100
DIALOGUE = Dialogue(request=b"a question of 20 b..", reply=b"an answer of 20 byte")
STATUS_DIALOGUE = Dialogue(request=b"\x02STAT\r", reply=b"\x020\r")


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


def exchange(seconds: float) -> Benchmark:
    with terminal(STATUS_DIALOGUE) as (_, fd), terminal(STATUS_DIALOGUE) as (path, _):
        link = SerialLink(path, baud=115200)
        try:
            cases = in_turn(
                Case(name="raw bytes", run=_raw(fd, STATUS_DIALOGUE), calls_count=CALLS_COUNT),
                Case(name="ours", run=_asked(link), calls_count=CALLS_COUNT),
                seconds=seconds,
            )
        finally:
            link.close()
    return Benchmark(name="exchange", about="an IXS status over a pseudo-terminal", cases=cases)


def _asked(link: SerialLink) -> Callable[[], None]:
    asking: Exchange[Question, Reply] = Exchange(link, Codec(), timeout_us=1)
    wait = Waiting(link.fileno())
    now = Now(0)  # no time passes here: nothing expires

    def trip() -> None:
        asking.ask(now, STATUS)
        answer = None
        while answer is None:
            wait()
            answer = asking.read(now)

    return trip


def _raw(fd: int, dialogue: Dialogue = DIALOGUE) -> Callable[[], None]:
    def trip() -> None:
        os.write(fd, dialogue.request)
        left_bytes = len(dialogue.reply)
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
