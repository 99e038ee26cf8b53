"""A simulated room with a unit in it, driven by hand: each action at a time of the test's own.

Beside the unit there is a history of what really was, in the simulator's words: which
contacts were closed, what was broken, whether the unit ran. Nothing in it comes from the
controller. The verbs are those of `sim.script`, in the same words as in a scenario.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from firmware_py.decide.memory import Limits
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.disk import RESERVE_BYTES, Disk
from firmware_py.recorder.store.exposures import Exposure
from firmware_py.recorder.store.journal import Journal
from firmware_py.trace import Line
from hal.now import Now
from hal.ports import FrameLink
from hal.types import (
    TEST_EXAM_ID,
    ExposureReport,
    Intent,
    RecorderSample,
    Requests,
    Shot,
    ShotKind,
    Technique,
)
from rig.bench import Bench, WiringConfig
from rig.model import ModelRung
from rig.run_model import STARTED_AT
from sim import script
from tests.model_runs import bench, pixels

NAMESPACE = UUID("00000000-0000-4000-8000-000000000002")
MS = 1_000
DEVICES = ("generator", "room", "panel")


@cache
def wired(wiring: str) -> Bench:
    """As shipped ("chain"), or so that only the unit opens the generator's pair ("bare").

    With the chain the hardware ends a beam whatever the controller does; without it, as no
    bench file may be, a controller that forgets to is seen.
    """
    if wiring == "chain":
        return bench()
    return replace(bench(), wiring=WiringConfig(interlock_pair=("enable",), safety_relay=()))


class FrailRecorder:
    """A recorder that hangs, or is gone; what it missed is asked of it again."""

    def __init__(self, inner: InlineRecorder) -> None:
        self._inner = inner
        self.trouble: str | None = None  # "hangs" | "is gone"
        self.sample = inner.sample

    def read(self, now: Now) -> RecorderSample:
        if self.trouble is None:
            self.sample = self._inner.read(now)
        elif self.trouble == "is gone" and self.sample.alive:
            self.sample = replace(self.sample, alive=False, taken_us=now.t_us)
        return self.sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        if self.trouble is None:
            self._inner.write(now, intent, report, kept)
        now.wake(now.t_us + 50 * MS)  # a heartbeat's period


@dataclass(frozen=True, slots=True)
class Moment:
    """From here on these words were true, until the next moment."""

    t_us: int
    words: frozenset[str]


class History:
    """What was true when; a word is a contact that is closed, or something broken."""

    def __init__(self) -> None:
        self._moments = [Moment(0, frozenset())]
        self._times_us = [0]

    def note(self, t_us: int, words: frozenset[str]) -> None:
        if words != self._moments[-1].words:
            self._moments.append(Moment(t_us, words))
            self._times_us.append(t_us)

    def between(self, from_us: int, to_us: int) -> Sequence[Moment]:
        """The moments that reach into the interval, the one under way at its start included."""
        first = max(0, bisect_left(self._times_us, from_us) - 1)
        return self._moments[first : bisect_right(self._times_us, to_us)]

    def ever(self, from_us: int, to_us: int) -> frozenset[str]:
        """Words that were true at some time of the interval."""
        return frozenset().union(*(moment.words for moment in self.between(from_us, to_us)))

    def spans(
        self, true: Callable[[frozenset[str]], bool], from_us: int, to_us: int
    ) -> list[tuple[int, int]]:
        """Where it was true without a break, cut to the interval."""
        found: list[tuple[int, int]] = []
        moments = self.between(from_us, to_us)
        ends_us = [moment.t_us for moment in moments[1:]] + [to_us]
        for moment, end_us in zip(moments, ends_us, strict=True):
            start_us = max(moment.t_us, from_us)
            if start_us == end_us or not true(moment.words):
                continue
            if found and found[-1][1] == start_us:
                found[-1] = (found[-1][0], end_us)
            else:
                found.append((start_us, end_us))
        return found


class RuleBench:
    """`wiring`: see `wired`. A unit has started, and nothing has been done yet."""

    def __init__(self, wiring: str = "chain") -> None:
        self.bench = wired(wiring)
        self.rung = ModelRung(self.bench, pixels=pixels())
        self.world = self.rung.world
        self.journal = Journal(":memory:", durable=False)  # outlives a unit, as a file would
        self.history = History()
        self.shots: dict[str, Shot] = {}
        self.lines: list[Line] = []
        self.after_scan: Callable[[Sequence[Line]], None] = lambda lines: None
        self.rung.on_lines = self._took
        self._set_contact = self.world.set_contact
        self.world.set_contact = self._contact_moves  # type: ignore[method-assign]
        self.frozen = False
        self.stop = self.reset = False
        self.lamp_failed = False  # at some time
        self.disk_full = False
        self._state = ""
        self._recorder: Recorder
        self._port: FrailRecorder | None = None
        self.program()
        self.start_unit()

    # --- the unit

    @property
    def runs(self) -> bool:
        return self.rung.unit is not None

    @property
    def limits(self) -> Limits:
        """What this bench's devices make of the design's deadlines."""
        assert self.rung.unit is not None
        return self.rung.unit.memory.limits

    def start_unit(self) -> None:
        self.rung.start_unit(self._open_recorder)
        self._ask()

    def kill_unit(self) -> None:
        self.rung.kill_unit()
        self.frozen = False
        self.note()

    def freeze_unit(self, *, frozen: bool = True) -> None:
        self.rung.freeze_unit(frozen=frozen)
        self.frozen = frozen
        self.note()

    def _open_recorder(self, frames: FrameLink) -> FrailRecorder:
        setup = Setup(
            unit=self.bench.unit, started_at=STARTED_AT, uid_namespace=NAMESPACE, simulated=True
        )
        disk = Disk([Path()], free=lambda folder: 0 if self.disk_full else 2 * RESERVE_BYTES)
        self._recorder = Recorder(setup, self.journal, disk=disk)
        port = FrailRecorder(InlineRecorder(self._recorder, frames, t_us=self.rung.t_us))
        self._port = port
        return port

    # --- what people and programs ask

    def program(
        self,
        kind: ShotKind = ShotKind.IMAGING,
        *,
        kv: float = 70.0,
        ma: float = 0.5,
        mas: float | None = None,
        ms: float | None = None,
    ) -> Shot:
        """The next shot; by default 0.25 mAs, which takes half a second."""
        shot = Shot(
            shot_id=f"S{len(self.shots) + 1}",
            technique=Technique(kv=kv, ma=ma, mas=mas if mas or ms else 0.25, ms=ms),
            exam_id=TEST_EXAM_ID,
            panel_id=self.bench.unit.panel.panel_id,
            kind=kind,
            raw=kind is ShotKind.DARK,
            clear_by="A. Physicist" if kind is ShotKind.NO_RECEPTOR else None,
        )
        self.shots[shot.shot_id] = shot
        self._ask()
        return shot

    def request(self, *, stop: bool | None = None, reset: bool | None = None) -> None:
        """Both last until they are taken back."""
        self.stop = self.stop if stop is None else stop
        self.reset = self.reset if reset is None else reset
        self._ask()

    def _ask(self) -> None:
        if self.rung.unit is not None:
            shot = list(self.shots.values())[-1]
            self.rung.unit.request(Requests(shot=shot, stop=self.stop, reset=self.reset))
        self.note()

    def recorder_is(self, trouble: str | None) -> None:
        """`trouble`: "hangs", "is gone", "disk full"; None: in order."""
        self.disk_full = trouble == "disk full"
        assert self._port is not None
        self._port.trouble = None if self.disk_full else trouble
        self.note()

    def acknowledge(self) -> None:
        """Somebody looks at what an earlier run left."""
        for exposure in self._recorder.recover():
            self._recorder.acknowledge(
                exposure.shot_id, who="A. Person", why="looked at", now_us=self.rung.t_us
            )

    # --- the room

    def do(self, verb: str, **args: Any) -> None:
        script.do(self.world, verb, args)
        self.note()

    def mend(self) -> None:
        """Everything that was broken is whole; switch, requests and latches stay."""
        self.lamp_failed = self.lamp_failed or not self.world.wiring.lamp_intact
        self.do("heal", what="all")
        self.recorder_is(None)
        for verb in ("close door", "pull e-stop", "key on", "release reset"):
            self.do(verb)

    def go_home(self) -> None:
        """All is mended, and a person does what brings a unit back to STANDBY."""
        self.mend()
        if self.lamp_failed and self.runs:
            self.kill_unit()  # a new lamp is believed after a self-test only
        self.do("release")
        self.request(stop=False, reset=False)
        if self.frozen:
            self.freeze_unit(frozen=False)
        if not self.runs:
            self.start_unit()
            self.lamp_failed = False
        self.wait(300)
        for verb, pause_ms in (("key off", 100), ("key on", 100)):
            self.do(verb)
            self.wait(pause_ms)
        self.acknowledge()
        for _ in range(3):  # while a beam is in doubt a reset is turned down
            for verb in ("press reset", "release reset"):
                self.do(verb)
                self.wait(100)
            if self.wait_for_state("STANDBY", 10_000):
                return

    # --- time

    @property
    def t_us(self) -> int:
        return max(self.rung.t_us, self.world.t_us)

    def wait(self, ms: float) -> None:
        self.rung.run_until(lambda: False, self.rung.t_us + round(ms * MS))

    def wait_for(self, done: Callable[[], bool], most_ms: float) -> bool:
        """False: it did not come in that time."""
        return self.rung.run_until(done, self.rung.t_us + round(most_ms * MS))

    def wait_for_state(self, state: str, most_ms: float) -> bool:
        """By the unit's own trace."""
        return self.wait_for(lambda: self.state == state, most_ms)

    def beam_on(self) -> bool:
        return self.world.generator.beam_on(self.world.t_us)

    @property
    def state(self) -> str:
        """What the unit says of itself; "" before its first scan."""
        return self._state

    def exposures(self) -> list[Exposure]:
        return self.journal.exposures()

    # --- what really is

    def _contact_moves(self, name: str, closed: bool) -> None:
        """By a verb, or at a moment that a verb has planned."""
        self._set_contact(name, closed)
        self.note()

    def note(self) -> None:
        self.history.note(self.t_us, frozenset(self._words()))

    def _words(self) -> set[str]:
        world, wiring, generator = self.world, self.world.wiring, self.world.generator
        lines = {name: getattr(world, f"{name}_device") for name in DEVICES}
        flags = {
            "unit runs": self.runs and not self.frozen,
            "stop": self.stop,
            "reset asked": self.reset,
            "enable useless": wiring.enable.welded or wiring.pair_bridged or generator.ignores_pair,
            "pulse timer dead": world.room.pulse_timer_dead,
            "OFF ignored": generator.ignore_off or bool(lines["generator"].lose_once),
            "timer dead": generator.timer_dead,
            "mA off": generator.ma_off_pct != 0,
            "watchdog dead": generator.watchdog_dead,
            **{f"{name} silent": _silent(line) for name, line in lines.items()},
            **{f"{name} cut off": _cut_off(line) for name, line in lines.items()},
        }
        closed = {name for name, is_closed in wiring.contacts.items() if is_closed}
        return closed | {word for word, is_so in flags.items() if is_so}

    def _took(self, lines: Sequence[Line]) -> None:
        self.note()  # what a verb had planned for later has no other moment of its own
        self.lines += lines
        for line in lines:
            self._state = line.data["to"] if line.kind == "state" else self._state
        self.after_scan(lines)


def _silent(line: Any) -> bool:
    return bool(line.silent or not line.powered)


def _cut_off(line: Any) -> bool:
    """Nothing gets through that could be relied on, in one direction or both."""
    return bool(_silent(line) or line.deaf or line.mute or line.delay_ms)
