"""The unit in real time: one scan a tick, and what may be asked of it between scans.

No fsync, no pixels, no web in this process. A late scan says how late it was; missed
ticks are skipped, never caught up. Whatever stops the loop, the last act is to make safe.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from hal.bus import BusServer

from firmware_py.decide.interlocks import inhibits
from firmware_py.decide.memory import State
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.record import shot_from
from firmware_py.trace import Line
from firmware_py.unit import Unit
from hal.faults import FAULTS
from hal.now import Now
from hal.ports import Clock

SAFE_SCANS = 40  # after the end: OFF is repeated until the generator has answered
STOP_LIMIT_US = 5_000_000
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Runner:
    def __init__(
        self, unit: Unit, clock: Clock, bus: BusServer, trace: TextIO, *, scan_us: int
    ) -> None:
        self._unit = unit
        self._clock = clock
        self._bus = bus
        self._trace = trace
        self._scan_us = scan_us
        self._quit_us: int | None = None  # asked to end, at
        self.skipped_count = 0
        self.latest_us = 0  # the worst lateness so far

    def run(self, log: Path) -> int:
        """Until somebody asks for the end; the process's exit code."""
        for number in ENDING:
            signal.signal(number, lambda *_: self.quit())
        gc.collect()
        gc.freeze()
        try:
            self._loop()
        except Exception:
            log.write_text(traceback.format_exc())
            self._say(Line(self._clock.now_us(), "fault", {"faults": ["UNIT_BUG"]}))
            return 3
        finally:
            self._make_safe()
        return 0

    def quit(self) -> None:
        """End the beam in the ordinary way first; the loop goes on until it is off."""
        if self._quit_us is None:
            self._quit_us = self._clock.now_us()

    def _loop(self) -> None:
        tick_us = self._scan_us
        while not self._finished():
            self._clock.wait_until(tick_us)
            t_us = self._clock.now_us()
            late_us = t_us - tick_us
            self._scan(t_us, late_us)
            self._answer()
            missed = late_us // self._scan_us
            self.skipped_count += missed
            self.latest_us = max(self.latest_us, late_us)
            tick_us += (missed + 1) * self._scan_us

    def _finished(self) -> bool:
        if self._quit_us is None:
            return False
        waited = Now(self._clock.now_us()).reached(self._quit_us + STOP_LIMIT_US)
        return waited or self._unit.memory.state not in IN_SEQUENCE

    def _scan(self, t_us: int, late_us: int) -> None:
        state = self._unit.memory.state
        lines = self._unit.scan(t_us, late_us)
        for line in lines:
            self._say(line)
        if self._unit.memory.state is not state:
            self._collect_or_not()
        self._settle_requests()

    def _collect_or_not(self) -> None:
        """The collector stalls a loop by up to 69 ms (performance.md): never in a sequence."""
        if self._unit.memory.state in IN_SEQUENCE:
            gc.disable()
        else:
            gc.enable()

    def _settle_requests(self) -> None:
        """Reset is a press of one scan; stop lasts until the sequence has ended."""
        requests = self._unit.requests
        stop = self._quit_us is not None or requests.stop
        stop = stop and self._unit.memory.state in IN_SEQUENCE
        if requests.reset or requests.stop is not stop:
            self._unit.request(replace(requests, reset=False, stop=stop))

    def _say(self, line: Line) -> None:
        text = line.as_json()
        self._trace.write(text + "\n")
        self._trace.flush()
        self._bus.publish({"schema": 1, "kind": "trace", "line": {"t_us": line.t_us,
                           "kind": line.kind, **line.data}})  # fmt: skip

    # --- what may be asked: never a start

    def _answer(self) -> None:
        for client, message in self._bus.poll():
            kind = message.get("kind")
            handler = _HANDLERS.get(kind if isinstance(kind, str) else "")
            answer = handler(self, message) if handler else {"error": f"unknown kind {kind!r}"}
            self._bus.reply(client, {"schema": 1, "kind": f"{kind}.answer", **answer})

    def _program(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            shot = shot_from(message["shot"])
            problems = shot.technique.problems()
        except (KeyError, TypeError) as error:
            return {"error": f"program: {error}"}
        if problems:
            return {"error": "; ".join(problems)}
        self._unit.request(replace(self._unit.requests, shot=shot))
        return {"shot": shot.shot_id}

    def _stop(self, message: dict[str, Any]) -> dict[str, Any]:
        self._unit.request(replace(self._unit.requests, stop=True))
        return self._status(message)

    def _reset(self, message: dict[str, Any]) -> dict[str, Any]:
        self._unit.request(replace(self._unit.requests, reset=True))
        return self._status(message)

    def _quit(self, message: dict[str, Any]) -> dict[str, Any]:
        self.quit()
        return {}

    def _status(self, message: dict[str, Any]) -> dict[str, Any]:
        return status(self._unit) | {
            "skipped_scans": self.skipped_count,
            "latest_us": self.latest_us,
            "pid": os.getpid(),
        }

    def _make_safe(self) -> None:
        gc.enable()
        for _ in range(SAFE_SCANS):
            with contextlib.suppress(Exception):
                self._unit.make_safe(self._clock.now_us())
            self._clock.wait_until(self._clock.now_us() + self._scan_us)


_HANDLERS = {
    "program": Runner._program,
    "stop": Runner._stop,
    "reset": Runner._reset,
    "status": Runner._status,
    "quit": Runner._quit,
}


def status(unit: Unit) -> dict[str, Any]:
    """What a person wants to know of a unit, in plain values."""
    memory, inputs = unit.memory, unit.inputs
    if inputs is None:
        return {"state": State.BOOT.value, "why": memory.why, "faults": []}
    waiting = memory.state is State.STANDBY
    blocked = inhibits(memory, inputs, Now(inputs.t_us)) if waiting else ()
    shot = inputs.requests.shot
    return {
        "state": memory.state.value,
        "why": memory.why,
        "since_us": memory.since_us,
        "t_us": inputs.t_us,
        "faults": _told(memory.faults),
        "inhibits": _told(blocked),
        "refused": list(memory.refused),
        "shot": asdict(shot) if shot else None,
        "generator": {
            "state": inputs.generator.state.value,
            "identity": inputs.generator.identity,
            "battery_v": inputs.generator.battery_v,
            "oil_c": inputs.generator.oil_c,
            "raw_faults": inputs.generator.raw_faults,
        },
        "panel": {"state": inputs.panel.state.value, "panel_id": inputs.panel.panel_id},
        "room": asdict(inputs.room),
        "recorder": asdict(inputs.recorder),
    }


def _told(codes: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"code": code, "text": FAULTS[code].text, "action": FAULTS[code].action} for code in codes
    ]
