"""SR-32: the wall clock ends nothing. It jumps in mid-beam, and no scan and no byte differs.

And it can't: nothing that takes part in a scan, in a device model or in a driver reads it.
"""

from __future__ import annotations

import ast
import datetime as calendar
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_py.decide.memory import State
from tests.model_runs import run, trace_of
from tests.project import ROOT, name_of, parse, sources
from tests.whole_unit import Whole

S = State
HOUR_S = 3600.0
SHARP_S = 1_800_000_000.0  # some moment of the real calendar
JUMPS: dict[str, Callable[[int], float]] = {
    "an hour forward": lambda calls: HOUR_S,
    "an hour back": lambda calls: -HOUR_S,
    "the year 2038": lambda calls: 2**31 - SHARP_S,
    "a leap second": lambda calls: 1.0,
    "a suspended day": lambda calls: 24 * HOUR_S,
    "to and fro": lambda calls: HOUR_S * (-1) ** calls,
}
WALL = ("time", "time_ns", "localtime", "gmtime", "ctime", "strftime")
CALENDAR = ("now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp")


class Clock:
    """The computer's calendar as a run sees it; `jump` sets it to something else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked_count, self._jump = 0, JUMPS["a leap second"]
        self._jumped = False
        clock = self

        class Calendar(calendar.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return calendar.datetime.fromtimestamp(clock.now_s(), tz)

        monkeypatch.setattr(time, "time", self.now_s)
        monkeypatch.setattr(time, "time_ns", lambda: round(self.now_s() * 1e9))
        monkeypatch.setattr(calendar, "datetime", Calendar)

    def jump(self, by: Callable[[int], float]) -> None:
        self._jump, self._jumped = by, True

    def now_s(self) -> float:
        self.asked_count += 1
        return SHARP_S + (self._jump(self.asked_count) if self._jumped else 0.0)


def beam_with(clock: Clock, jump: Callable[[int], float] | None, at_us: int) -> Whole:
    """A whole exposure; the calendar jumps so long after the beam was ordered."""
    whole = Whole().until(S.STANDBY)
    whole.do("press")
    whole.until(S.EXPOSE).pass_us(at_us)
    if jump is not None:
        clock.jump(jump)
    whole.until(S.RELEASE_WAIT).do("release")
    return whole.until(S.STANDBY)


def what_was_done(whole: Whole) -> tuple[object, ...]:
    courses = [(course.on_us, course.off_us) for course in whole.world.generator.courses]
    return [*map(str, whole.lines)], whole.tape.all_sent, courses, whole.rung.scan_count


@pytest.mark.req("SR-32", "F107")
@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_in_the_beam_changes_no_scan_and_no_byte(
    jump: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    steady = what_was_done(beam_with(clock, None, 0))
    for at_us in (5_000, 200_000, 500_000):
        assert what_was_done(beam_with(clock, JUMPS[jump], at_us)) == steady


@pytest.mark.req("SR-32", "F107")
@pytest.mark.parametrize("name", ["clean_by_time", "off_lost_once", "generator_silent_in_beam"])
def test_a_scenario_ends_as_ever_while_the_clock_runs_to_and_fro(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = trace_of(run(name)[0])
    Clock(monkeypatch).jump(JUMPS["to and fro"])
    assert trace_of(run(name)[0]) == steady


def test_the_clock_of_these_tests_does_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert time.time() == SHARP_S  # noqa: TID251 (the clock that is moved here)
    clock.jump(JUMPS["an hour back"])
    assert time.time() == SHARP_S - HOUR_S  # noqa: TID251
    assert calendar.datetime.now(calendar.UTC).timestamp() == SHARP_S - HOUR_S
    assert clock.asked_count == 3


# --- nobody asks for it


def readings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a wall clock is read: `time.time()`, `datetime.now()`, or such a name imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            wanted = WALL if owner == "time" else CALENDAR if owner in ("datetime", "date") else ()
            if node.attr in wanted:
                yield node.lineno, f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from ((node.lineno, f"time.{name.name}") for name in node.names
                        if name.name in WALL)  # fmt: skip


def offenders(files: Iterator[Path]) -> list[str]:
    return [
        f"{name_of(path)}:{line} {what}" for path in files for line, what in readings(parse(path))
    ]


@pytest.mark.req("SR-32")
def test_neither_unit_nor_devices_nor_world_read_the_wall_clock() -> None:
    assert offenders(sources("hal", "sim", "firmware_py")) == []


@pytest.mark.req("SR-32")
def test_the_model_rung_takes_its_calendar_from_the_bench() -> None:
    files = (ROOT / "rig" / name for name in ("model.py", "run_model.py", "replay.py", "judge.py"))
    assert offenders(iter([*files])) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import time\nt = time.time()\n",
        "import time\nt = time.time_ns() // 1000\n",
        "from time import time as clock\n",
        "from datetime import datetime\nt = datetime.now()\n",
        "import datetime\nt = datetime.datetime.utcnow()\n",
        "import datetime\nt = datetime.date.today()\n",
    ],
)
def test_a_reading_of_the_wall_clock_is_found(planted: str) -> None:
    assert len([*readings(ast.parse(planted))]) == 1


@pytest.mark.parametrize(
    "planted",
    [
        "import time\nt = time.monotonic_ns()\n",
        "from datetime import datetime\nt = datetime(2026, 1, 1)\n",
        "t = now.reached(5)\n",
    ],
)
def test_what_is_no_wall_clock_is_left_alone(planted: str) -> None:
    assert [*readings(ast.parse(planted))] == []
