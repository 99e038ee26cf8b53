"""One unit in one simulated room, with all that was seen of it and whatever can be done to it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from firmware_py.record import Kind, Recording
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.trace import Line
from hal.ports import FrameLink, RecorderPort
from hal.types import TEST_EXAM_ID, Requests, Shot, Technique
from rig.bench import Bench
from rig.matrix.recorder import FaultyRecorder, Store
from rig.model import ModelRung
from rig.run_folder import record_header
from rig.run_model import STARTED_AT
from sim.pixels import PixelModel
from sim.script import UNIT_VERBS, do


class WireWatch(Recording):
    """In place of a record: notes every ON that left for the generator, with its scan's time."""

    def __init__(self, header: dict[str, Any], on: bytes, on_sent: Callable[[int], None]) -> None:
        """`on`: what the commands that ask this generator for a beam hold, and no other."""
        super().__init__(io.BytesIO(), header)
        self._on, self._on_sent = on, on_sent
        self._scan_us = 0

    def scan(self, t_us: int, late_us: int, *, safe: bool = False) -> None:
        self._scan_us = t_us

    def sent(self, link: str, data: bytes) -> None:
        if link == "generator" and self._on and self._on in data:
            self._on_sent(self._scan_us)

    def _entry(self, kind: Kind, payload: bytes) -> None:
        return None


@dataclass(slots=True)
class Life:
    """One unit from its start to its end. `from_us`: of its first scan."""

    from_us: int
    lines: list[Line] = field(default_factory=list)


class Room:
    """Steps are done at exact times of the world; `on_state` hears of every state entered."""

    def __init__(self, bench: Bench, technique: Technique, pixels: PixelModel) -> None:
        self.bench, self.technique = bench, technique
        self.rung = ModelRung(bench, pixels=pixels)
        self.rung.on_lines = self._took
        self.world = self.rung.world
        self.store = Store()
        self.lives: list[Life] = []
        self.on_sent_us: list[int] = []
        self.done: list[tuple[int, str]] = []
        self.on_state: Callable[[str], None] = lambda state: None
        self._shot_count = 0
        self._wanted = Requests()
        self.start_unit()

    # --- the unit

    def start_unit(self) -> None:
        self.lives.append(Life(self.rung.t_us))
        facts = record_header(self.bench, rung="model", start_us=self.rung.t_us)
        watch = WireWatch(facts, self.world.generator_wire.on, self.on_sent_us.append)
        self.rung.start_unit(self._open_recorder, watch)
        self.next_shot()

    def _open_recorder(self, frames: FrameLink) -> RecorderPort:
        setup = Setup(
            unit=self.bench.unit,
            started_at=STARTED_AT,
            uid_namespace=uuid5(NAMESPACE_OID, self.bench.hash),
            simulated=True,
        )
        recorder = Recorder(setup, self.store.journal, disk=self.store.disk)
        self.store.port = FaultyRecorder(InlineRecorder(recorder, frames, t_us=self.rung.t_us))
        return self.store.port

    def next_shot(self) -> None:
        self._shot_count += 1
        shot = Shot(
            shot_id=f"shot-{self._shot_count}",
            technique=self.technique,
            exam_id=TEST_EXAM_ID,
            panel_id=self.bench.unit.panel.panel_id,
        )
        self._ask(Requests(shot=shot))

    def _ask(self, wanted: Requests) -> None:
        self._wanted = wanted
        if self.rung.unit is not None:
            self.rung.unit.request(wanted)

    def _took(self, lines: Sequence[Line]) -> None:
        self.lives[-1].lines += lines
        for line in lines:
            if line.kind == "state":
                self.on_state(line.data["to"])

    # --- what may be done, now or after a while

    def after(self, ms: float, verb: str, args: Mapping[str, Any] | None = None) -> None:
        self.at(ms, lambda: self.act(verb, args or {}))

    def at(self, ms: float, action: Callable[[], None]) -> None:
        """`ms` from now: world time, which may lie between two scans."""
        self.world.at(self.world.t_us + round(ms * 1000), lambda t_us: action())

    def act(self, verb: str, args: Mapping[str, Any]) -> None:
        """Raises ScriptError when nothing does this."""
        self.done.append((self.world.t_us, verb))
        if verb == "programme":
            self._programme(args)
        elif verb == "ask stop":
            self._ask(replace(self._wanted, stop=True))
            self.at(100, lambda: self._ask(replace(self._wanted, stop=False)))
        elif verb == "tube heat":
            self._heat(args["share"])
        elif verb == "recorder":
            self.store.go_wrong(self.world.t_us, dict(args))
        elif verb in UNIT_VERBS:
            self._unit_verb(verb)
        else:
            do(self.world, verb, args)

    def _programme(self, args: Mapping[str, Any]) -> None:
        """Another exposure than the one before; `same_id`: edited under its own name."""
        if not args.get("same_id"):
            self.next_shot()
        shot = self._wanted.shot
        assert shot is not None
        technique = {name: args[name] for name in ("kv", "ma") if name in args}
        binding = {name: args[name] for name in ("exam_id", "panel_id") if name in args}
        shot = replace(shot, technique=replace(shot.technique, **technique), **binding)
        self._ask(replace(self._wanted, shot=shot))

    def _heat(self, share: float) -> None:
        """What earlier beams left in the tube, as the unit reckons it: 1 is its limit."""
        joules = share * self.bench.unit.tube.heat_max_j
        unit = self.rung.unit
        if unit is not None:
            unit.memory = replace(unit.memory, heat_j=joules, heat_us=self.rung.t_us)
            unit.request(self._wanted)

    def _unit_verb(self, verb: str) -> None:
        if verb == "kill unit":
            self.rung.kill_unit()
        elif verb == "start unit":
            self.start_unit()
        else:
            self.rung.freeze_unit(frozen=verb == "stop unit")

    # --- what is seen

    @property
    def state(self) -> str:
        """Of the unit; "" when there is none."""
        return "" if self.rung.unit is None else self.rung.unit.memory.state.value

    @property
    def lines(self) -> list[Line]:
        return [line for life in self.lives for line in life.lines]

    def run_until(self, done: Callable[[], bool], for_us: int) -> bool:
        """False when `for_us` of virtual time have passed before."""
        return self.rung.run_until(done, self.rung.t_us + for_us)

    def pass_ms(self, ms: float) -> None:
        self.run_until(lambda: False, round(ms * 1000))
