"""The whole unit in a simulated room, moved by hand and looked at from outside.

Everything of the model rung is there (drivers, real wire bytes, chain, recorder); the test
is the hand. `Tape` keeps every byte with the scan that sent it, and the room's coils and
the beams are the simulator's own record, which the unit can't reach.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from firmware_py.assemble import LINKS, OPTIONAL_LINKS
from firmware_py.decide.memory import State
from firmware_py.record import Recording
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.disk import Disk
from firmware_py.recorder.store.journal import Journal
from firmware_py.trace import Line
from hal.ports import FrameLink, RecorderPort
from hal.types import Requests, Shot
from rig.bench import Bench
from rig.model import ModelRung
from rig.run_model import STARTED_AT, shot_of
from rig.scenario import ShotSection
from sim import script
from tests.model_runs import bench, pixels

S = State
SCAN_US = 5_000
ON, OFF = b"ENBL1", b"ENBL0"
BY_CHARGE = ShotSection(kv=80.0, ma=0.5, mas=0.3)
BY_TIME = ShotSection(kv=60.0, ma=1.0, ms=200.0)
Port = Callable[[RecorderPort], RecorderPort]


class Tape(Recording):
    """Every byte that the unit sent, with the time of its scan."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), {"links": [*LINKS, *OPTIONAL_LINKS]})
        self.all_sent: list[tuple[int, str, bytes]] = []
        self.got_us: dict[str, int] = {}  # when each link said something last

    def scan(self, t_us: int, late_us: int, *, safe: bool = False) -> None:
        super().scan(t_us, late_us, safe=safe)
        self.now_us = t_us

    def got(self, link: str, data: bytes) -> None:
        super().got(link, data)
        self.got_us[link] = self.now_us

    def sent(self, link: str, data: bytes) -> None:
        super().sent(link, data)
        self.all_sent.append((self.now_us, link, data))


class Whole:
    """A unit from power-up on; `shot` is programmed, nobody is at the switch."""

    def __init__(
        self,
        shot: Shot | None = None,
        *,
        jump: bool = True,
        journal: Journal | None = None,
        disk: Disk | None = None,
        wrap: Port = lambda port: port,
        on: Bench | None = None,
        **options: Any,
    ) -> None:
        """`wrap`: puts something between the unit and its recorder. `on`: default portable."""
        self.bench = on or bench()
        self.rung = ModelRung(self.bench, pixels=pixels(), jump=jump, **options)
        self.world = self.rung.world
        self.lines: list[Line] = []
        self.tape = Tape()
        self.journal = journal or Journal(":memory:", durable=False)
        self._disk, self._wrap = disk, wrap
        self.rung.on_lines = self._took
        self.unit = self.rung.start_unit(self._recorder, self.tape)
        self.request(shot=shot or a_shot())

    def _recorder(self, frames: FrameLink) -> RecorderPort:
        setup = Setup(
            unit=self.bench.unit, started_at=STARTED_AT, uid_namespace=UUID(int=1), simulated=True
        )
        recorder = Recorder(setup, self.journal, disk=self._disk)
        return self._wrap(InlineRecorder(recorder, frames, t_us=self.rung.t_us))

    def _took(self, lines: Sequence[Line]) -> None:
        self.lines += lines

    # --- the hand, and what is asked for

    def do(self, verb: str, **args: Any) -> None:
        """As a script does it: "press", "open door", ..."""
        script.do(self.world, verb, args)

    def at(self, t_us: int, verb: str, **args: Any) -> None:
        """... at that time, which may lie between two scans."""
        self.world.at(t_us, lambda _: self.do(verb, **args))

    def request(self, **changes: Any) -> None:
        asked = {name: getattr(self.unit.requests, name) for name in ("shot", "stop", "reset")}
        self.unit.request(Requests(**asked | changes))

    # --- time

    @property
    def t_us(self) -> int:
        return self.rung.t_us

    @property
    def state(self) -> State:
        return self.unit.memory.state

    def until(self, state: State, within_us: int = 30_000_000) -> Whole:
        end_us = self.t_us + within_us
        assert self.rung.run_until(lambda: self.state is state, end_us), (state, self.path())
        return self

    def until_any(self, *states: State, within_us: int = 30_000_000) -> State:
        end_us = self.t_us + within_us
        assert self.rung.run_until(lambda: self.state in states, end_us), self.path()
        return self.state

    def pass_us(self, duration_us: int) -> Whole:
        self.rung.run_until(lambda: False, self.t_us + duration_us)
        return self

    def scan(self) -> Whole:
        """The very next point of the scan grid."""
        self.rung.scan(self.t_us + SCAN_US)
        return self

    # --- what was seen

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.kind == kind]

    def path(self) -> list[str]:
        return [line.data["to"] for line in self.of("state")]

    def entered_us(self, state: State) -> int:
        """When it was entered last."""
        return [line.t_us for line in self.of("state") if line.data["to"] == state.value][-1]

    def told(self) -> tuple[str, ...]:
        """Faults, or what refused the last press."""
        return self.unit.memory.faults or self.unit.memory.refused

    def sent(self, word: bytes, link: str = "generator") -> list[int]:
        """The times of the scans that sent it."""
        return [t_us for t_us, name, data in self.tape.all_sent if name == link and word in data]

    def outputs_are_safe(self) -> bool:
        """No ON, no enable, no contactor: what is ordered in this scan."""
        outputs = self.unit.outputs
        return outputs.expose_from_us is None and not outputs.enable and not outputs.contactor

    @property
    def beams(self) -> int:
        """By the simulator: how often there was high voltage."""
        return len(self.world.generator.courses)


@cache
def a_shot(asked: ShotSection = BY_CHARGE, shot_id: str = "shot-1") -> Shot:
    return shot_of(bench(), asked, shot_id)


def brought_to(state: State, **options: Any) -> Whole:
    """A unit that has just entered `state`, by the shortest way, with the hand that it needs."""
    whole = Whole(**options)
    _WAYS[state](whole)
    assert whole.state is state
    return whole


def _to_standby(whole: Whole) -> None:
    whole.until(S.STANDBY)


def _to_prep(whole: Whole) -> None:
    _to_standby(whole)
    whole.do("press", stage=1)
    whole.until(S.PREP)


def _to_ready(whole: Whole) -> None:
    _to_prep(whole)
    whole.until(S.READY)


def _pressed_to(state: State) -> Callable[[Whole], None]:
    def way(whole: Whole) -> None:
        _to_ready(whole)
        whole.do("press")
        whole.until(state)

    return way


def _to_fault(whole: Whole) -> None:
    _to_standby(whole)
    whole.do("press e-stop")
    whole.until(S.FAULT)


def _to_locked(whole: Whole) -> None:
    """Stage 2 is held, and a welded enable relay leaves the pair closed."""
    whole.do("weld", relay="enable")
    _to_ready(whole)
    whole.do("press")
    whole.until(S.LOCKED)


def _to_boot(whole: Whole) -> None:
    whole.scan()


def _to_self_test(whole: Whole) -> None:
    whole.until(S.SELF_TEST)


_WAYS: dict[State, Callable[[Whole], None]] = {
    S.BOOT: _to_boot,
    S.SELF_TEST: _to_self_test,
    S.STANDBY: _to_standby,
    S.PREP: _to_prep,
    S.READY: _to_ready,
    S.INTERLOCK_CHECK: _pressed_to(S.INTERLOCK_CHECK),
    S.EXPOSE: _pressed_to(S.EXPOSE),
    S.READOUT: _pressed_to(S.READOUT),
    S.RELEASE_WAIT: _pressed_to(S.RELEASE_WAIT),
    S.FAULT: _to_fault,
    S.LOCKED: _to_locked,
}
