"""A model rung that is kept running: a hand exposes again whenever the unit is in STANDBY."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from firmware_py.decide.memory import Memory, State
from firmware_py.record import Recording
from firmware_py.trace import Line
from hal.now import Now
from hal.ports import FrameLink
from hal.types import (
    ExposureReport,
    Inputs,
    Intent,
    RecorderSample,
    Requests,
    Shot,
    Technique,
)
from rig.bench import Bench, load_bench
from rig.drivers import generator_of, nobody
from rig.model import ModelRung, setting_of
from sim.build import pixel_model
from sim.script import do

TECHNIQUE = Technique(kv=60.0, ma=1.0, mas=0.25)  # a hand
PANEL_PX = 64  # the smallest there is: what pixels cost is another matter
BREATH_US = 100_000  # from STANDBY to the press, and from READOUT to the release
RENEW_US = 250_000
LIMIT_US = 60_000_000  # virtual: nothing here takes longer


class SteadyRung:
    """The portable bench, `poll_ms` between two looks at the room from PREP to EXPOSE."""

    def __init__(self, *, poll_ms: int, jump: bool = True, recorded: bool = False) -> None:
        bench = _small(load_bench("portable"), poll_ms)
        self.rung = ModelRung(
            bench, jump=jump, poll_all=not jump, pixels=pixel_model(setting_of(bench))
        )
        self.rung.on_lines = self._follow
        self._shot = Shot(
            shot_id="",
            technique=generator_of(bench.unit.generator, nobody()).effective(TECHNIQUE),
            exam_id="TEST",
            panel_id=bench.unit.panel.panel_id,
        )
        self._standby_count = 0
        links = {"links": ["generator", "room", "panel"]}
        recording = Recording(io.BytesIO(), links) if recorded else None
        self.unit = self.rung.start_unit(SavesAtOnce, recording)
        self.expose(2)  # the first STANDBY is that of start-up

    def expose(self, count: int) -> list[Inputs]:
        """Run until `count` more exposures are over; what the unit read in each scan."""
        goal, seen = self._standby_count + count, []
        deadline_us = self.rung.t_us + count * LIMIT_US
        while self._standby_count != goal:
            self.rung.scan(deadline_us)
            assert self.unit.inputs is not None
            seen.append(self.unit.inputs)
            assert not self.unit.memory.faults, self.unit.memory.faults
        return seen

    def moment(self, state: State) -> tuple[Memory, Inputs]:
        """A scan that changed nothing, well within `state`."""
        is_there = lambda: self.unit.memory.state is state  # noqa: E731
        assert self.rung.run_until(is_there, self.rung.t_us + LIMIT_US), f"no {state.value}"
        self.rung.run_until(lambda: False, self.rung.t_us + BREATH_US // 2)
        before = None
        while before is not self.unit.memory:
            before = self.unit.memory
            self.rung.scan()
        assert self.unit.inputs is not None
        assert before.state is state
        return before, self.unit.inputs

    def _follow(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.kind == "state" and line.data["to"] == "STANDBY":
                self._standby_count += 1
                shot = replace(self._shot, shot_id=f"S-{self._standby_count}")
                self.unit.request(Requests(shot=shot))
                self._later("press")
            elif line.kind == "state" and line.data["to"] == "READOUT":
                self._later("release")

    def _later(self, verb: str) -> None:
        world = self.rung.world
        world.at(world.t_us + BREATH_US, lambda _t_us: do(world, verb, {}))


def _small(bench: Bench, poll_ms: int) -> Bench:
    room = bench.unit.room.model_copy(update={"active_poll_ms": poll_ms})
    panel = bench.unit.panel.model_copy(update={"rows_px": PANEL_PX, "columns_px": PANEL_PX})
    return replace(bench, unit=bench.unit.model_copy(update={"room": room, "panel": panel}))


class SavesAtOnce:
    """A recorder that acknowledges everything and keeps nothing."""

    def __init__(self, frames: FrameLink) -> None:
        self._frames = frames
        self.sample = RecorderSample(taken_us=0, alive=True, disk_ok=True, panel_set_ok=True)

    def read(self, now: Now) -> RecorderSample:
        if self._frames.read(now.t_us):
            self.sample = replace(self.sample, image_saved=self.sample.intent_durable)
        if now.reached(self.sample.taken_us + RENEW_US):
            self.sample = replace(self.sample, taken_us=now.t_us)
        now.wake(self.sample.taken_us + RENEW_US)
        return self.sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        before = self.sample
        if intent is not None:
            self.sample = replace(self.sample, intent_durable=intent.shot.shot_id)
        if report is not None:
            self.sample = replace(self.sample, dose_saved=report.shot.shot_id)
        if kept != self.sample.frames_safe:
            self.sample = replace(self.sample, frames_safe=kept)
        if self.sample != before:
            now.wake(now.t_us)  # seen by the next scan
