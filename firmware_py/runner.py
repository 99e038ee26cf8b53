"""The unit in real time: one scan a tick, and what may be asked of it between scans.

No fsync, no pixels, no web in this process. A late scan says how late it was; missed
ticks are skipped, never caught up. Whatever stops the loop, the last act is to make safe.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from firmware_py.decide import supervisor
from firmware_py.decide.interlocks import inhibits, warnings
from firmware_py.decide.memory import State
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.handover import StoreError
from firmware_py.record import shot_from
from firmware_py.routines.engine import Engine, Stamp
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import result_from_dict
from firmware_py.trace import Line
from firmware_py.unit import Unit
from hal.bus import Client, Message
from hal.faults import FAULTS
from hal.now import Now
from hal.ports import Clock
from hal.types import Shot

SAFE_SCANS = 4  # after the end, at least: an OFF that waited for a reply leaves after it
SAFE_LIMIT_US = 2_000_000  # at most: a device that is gone confirms nothing
STOP_LIMIT_US = 5_000_000
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DONE, DEVICE, REFUSED = 0, 3, 4  # exit codes, as everywhere in dxrig


class Bus(Protocol):
    """What the runner needs of `hal.bus.BusServer`."""

    def poll(self) -> list[tuple[Client, Message]]: ...

    def reply(self, client: Client, message: Mapping[str, Any]) -> None: ...

    def publish(self, message: Mapping[str, Any]) -> None: ...


class TraceFile(Protocol):
    def write(self, text: str, /) -> int: ...


class Runner:
    def __init__(
        self, unit: Unit, clock: Clock, bus: Bus, trace: TraceFile, *, scan_us: int
    ) -> None:
        self._unit = unit
        self._clock = clock
        self._bus = bus
        self._trace = trace
        self._scan_us = scan_us
        self._quit_us: int | None = None  # asked to end, at
        self._engine: Engine | None = None
        self._unwritten: OSError | None = None  # why the files end before the run does
        self._beamed = False
        self.scan_count = 0
        self.skipped_count = 0
        self.latest_us = 0  # the worst lateness so far

    def run(self, log: Path) -> int:
        """Until somebody asks for the end; the process's exit code."""
        for number in ENDING:
            signal.signal(number, lambda *_: self.quit())
        gc.collect()
        gc.freeze()
        bug: Exception | None = None
        try:
            self._loop()
        except Exception as error:
            bug = error
        finally:
            unsafe = self._make_safe()  # before anything is written: a disk may hang
        return self._tell(log, bug or unsafe)

    def quit(self) -> None:
        """End the beam in the ordinary way first; the loop goes on until it is off."""
        if self._quit_us is None:
            self._quit_us = self._clock.now_us()

    def _loop(self) -> None:
        tick_us = self._clock.now_us() + self._scan_us
        while not self._finished():
            self._clock.wait_until(tick_us)
            t_us = self._clock.now_us()
            late_us = t_us - tick_us
            self._scan(t_us, late_us)
            self._answer()
            missed = late_us // self._scan_us
            self.scan_count += 1
            self.skipped_count += missed
            self.latest_us = max(self.latest_us, late_us)
            tick_us += (missed + 1) * self._scan_us

    def _finished(self) -> bool:
        """Asked to end, the beam is off, and the recorder has what was irradiated."""
        if self._quit_us is None:
            return False
        if Now(self._clock.now_us()).reached(self._quit_us + STOP_LIMIT_US):
            return True
        memory = self._unit.memory
        reported = memory.report is None and memory.unread is None
        return memory.state not in IN_SEQUENCE and reported

    def _scan(self, t_us: int, late_us: int) -> None:
        state = self._unit.memory.state
        try:
            for line in self._unit.scan(t_us, late_us):
                self._say(line)
        except OSError as error:
            self._disk_trouble(error)
        trouble = self._unit.record_trouble or self._unwritten
        if trouble is not None:
            self._disk_trouble(trouble)
        if self._unit.memory.state is not state:
            self._beamed |= self._unit.memory.state is State.EXPOSE
            self._collect_or_not()
        self._settle_requests()

    def _disk_trouble(self, error: OSError) -> None:
        """A record that can't be written ends the sequence in the ordinary way: dose first.

        No beam begins without one; none ends for a store that stalls or a scribe that is gone.
        """
        if error.errno not in FULL and not isinstance(error, StoreError):
            raise error
        self._unwritten = error
        if error.errno in FULL or self._unit.memory.state is not State.EXPOSE:
            self.quit()

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
        self._bus.publish({"schema": 1, "kind": "trace", "line": {"t_us": line.t_us,
                           "kind": line.kind, **line.data}})  # fmt: skip

    # --- what may be asked: never a start

    def _answer(self) -> None:
        for client, message in self._bus.poll():
            kind = str(message.get("kind"))
            handler = _HANDLERS.get(kind)
            answer = handler(self, message) if handler else _unknown(kind)
            try:
                self._bus.reply(client, {"schema": 1, "kind": f"{kind}.answer", **answer})
            except ValueError as error:  # a question never stops the unit
                told = {"schema": 1, "kind": "error", "error": f"{kind}: {error}"}
                self._bus.reply(client, told)

    def _program(self, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            shot = shot_from(message["shot"])
            problems = [*_wrong_kinds(shot), *shot.technique.problems()]
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"program: {type(error).__name__}: {error}"}
        if problems:
            return {"error": f"program: {'; '.join(problems)}"}
        try:
            technique = self._unit.effective(shot.technique)
        except ValueError as error:
            return {"error": f"program: {error}"}
        shot = replace(shot, technique=technique)
        if self._engine is not None:
            return {"error": "program: a routine is under way; stop it first"}
        self._unit.request(replace(self._unit.requests, shot=shot))
        return {"shot": shot.shot_id}

    def _routine(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Shots and pauses of a plan, one after the other; each beam by a press of its own."""
        try:
            spec = Spec.from_dict(message["spec"])
            results = [result_from_dict(one) for one in message.get("results", [])]
            engine = Engine(spec.routine(), Stamp(**message["stamp"]), results)
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"routine: {error}"}
        self._engine = engine
        self._unit.follow(engine)
        return {"run_id": message["stamp"]["run_id"]}

    def _confirm(self, message: Mapping[str, Any]) -> dict[str, Any]:
        key, who = str(message.get("key", "")), str(message.get("who", ""))
        if self._engine is None or not self._engine.confirm(key, who):
            return {"error": f"confirm: nothing named {key!r} is asked, or nobody said so"}
        return {}

    def _results(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What came of the routine's steps, from one of them on."""
        first = message.get("first", 0)
        if self._engine is None or not isinstance(first, int) or first < 0:
            return {"error": "results: no routine is under way, or `first` is no index"}
        return {"results": self._engine.results_since(first)}

    def _stop(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if self._engine is not None:
            self._engine.interrupt()
        self._unit.request(replace(self._unit.requests, stop=True))
        return self._status(message)

    def _reset(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self._unit.request(replace(self._unit.requests, reset=True))
        return self._status(message)

    def _quit(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self.quit()
        return {}

    def _status(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return status(self._unit) | {
            "routine": self._engine.status() if self._engine else None,
            "scans": self.scan_count,
            "skipped_scans": self.skipped_count,
            "latest_us": self.latest_us,
            "pid": os.getpid(),
        }

    # --- the end

    def _make_safe(self) -> Exception | None:
        """Until the devices confirm it, or time is up; the first bug on the way."""
        gc.enable()
        start_us = self._clock.now_us()
        bug: Exception | None = None
        safe_count = 0
        while not self._made_safe(start_us, safe_count):
            try:
                found = self._unit.make_safe(self._clock.now_us())
            except Exception as error:
                found = error
            bug = bug or found
            safe_count += 1
            self._clock.wait_until(self._clock.now_us() + self._scan_us)
        return bug

    def _made_safe(self, start_us: int, safe_count: int) -> bool:
        if safe_count < SAFE_SCANS:
            return False
        late = Now(self._clock.now_us()).reached(start_us + SAFE_LIMIT_US)
        return late or self._unit.is_safe(start_us)

    def _tell(self, log: Path, bug: Exception | None) -> int:
        if bug is not None:
            with contextlib.suppress(OSError):
                self._say(Line(self._clock.now_us(), "fault", {"faults": ["UNIT_BUG"]}))
            what = f"{type(bug).__name__}: {bug}".splitlines()[0]
            write_log(log, f"{''.join(traceback.format_exception(bug))}\n{_BUG.format(what)}")
            return DEVICE
        trouble = self._unwritten or self._unit.record_trouble  # the word of a disk comes later
        if trouble is not None:
            why = (trouble.strerror or str(trouble)).lower()
            cure = "free space" if trouble.errno in FULL else "look at the disk"
            write_log(log, f"{log.parent}: {why}: the run ended, outputs are safe; {cure}")
            return DEVICE if self._beamed else REFUSED
        return DONE


_HANDLERS = {
    "program": Runner._program,
    "routine": Runner._routine,
    "confirm": Runner._confirm,
    "results": Runner._results,
    "stop": Runner._stop,
    "reset": Runner._reset,
    "status": Runner._status,
    "quit": Runner._quit,
}


_BUG = "the unit stopped on an internal error ({}); outputs are safe; keep the run folder"


def _unknown(kind: str) -> dict[str, Any]:
    return {"error": f"unknown kind {kind!r}; there are {', '.join(_HANDLERS)}"}


def _wrong_kinds(shot: Shot) -> list[str]:
    """What came over the bus may be anything."""
    texts = [
        f"{name} must be a text, got {value!r}"
        for name in ("shot_id", "exam_id", "panel_id")
        if not isinstance(value := getattr(shot, name), str) or not value
    ]
    maybe = [
        f"{name} must be a text or null, got {value!r}"
        for name in ("clear_by", "deferred")
        if not isinstance(value := getattr(shot, name), str | None)
    ]
    flags = [
        f"{name} must be true or false, got {value!r}"
        for name in ("raw", "warms")
        if not isinstance(value := getattr(shot, name), bool)
    ]
    return texts + maybe + flags


def write_log(log: Path, text: str) -> None:
    """To stderr too: the folder may be what is full."""
    with contextlib.suppress(OSError):
        log.write_text(text + "\n", encoding="utf-8")
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")


def status(unit: Unit) -> dict[str, Any]:
    """What a person wants to know of a unit, in plain values."""
    memory, inputs = unit.memory, unit.inputs
    if inputs is None:
        return {
            "state": State.BOOT.value, "why": memory.why, "beam_ahead": False, "faults": [],
            "inhibits": [], "warnings": [],
        }  # fmt: skip
    waiting = memory.state is State.STANDBY
    blocked = inhibits(memory, inputs, Now(inputs.t_us)) if waiting else ()
    shot = inputs.requests.shot
    return {
        "state": memory.state.value,
        "why": memory.why,
        "beam_ahead": memory.state in supervisor.IN_SEQUENCE - {State.READOUT},  # or it is on
        "since_us": memory.since_us,
        "t_us": inputs.t_us,
        "faults": _told(memory.faults),
        "inhibits": _told(blocked),
        "warnings": _told(warnings(memory, inputs)),
        "refused": _told(memory.refused),
        "aec_locked": _told([memory.aec_lock] if memory.aec_lock is not None else []),
        "reset_waits_for": _told(reset_waits_for(unit)),
        "shot": asdict(shot) if shot else None,
        "generator": {
            "state": inputs.generator.state.value,
            "identity": inputs.generator.identity,
            "battery_v": inputs.generator.battery_v,
            "battery_pct": inputs.generator.battery_pct,
            "oil_c": inputs.generator.oil_c,
            "raw_faults": inputs.generator.raw_faults,
        },
        "panel": {
            "state": inputs.panel.state.value,
            "panel_id": inputs.panel.panel_id,
            "battery_pct": inputs.panel.battery_pct,
        },
        "room": asdict(inputs.room),
        **({"collimator": asdict(inputs.geometry)} if inputs.geometry is not None else {}),
        **({"dap": asdict(inputs.dose)} if inputs.dose is not None else {}),
        "recorder": asdict(inputs.recorder),
    }


def reset_waits_for(unit: Unit) -> tuple[str, ...]:
    """What keeps FAULT or LOCKED from being left by a reset (SR-41); empty = nothing does."""
    memory, inputs = unit.memory, unit.inputs
    if inputs is None or memory.state not in supervisor.LATCHED:
        return ()
    found = [*supervisor.causes(memory, inputs, Now(inputs.t_us))]
    if inputs.room.link_ok and (inputs.room.stage_1 or inputs.room.stage_2):
        found.append("HANDSWITCH_CLOSED")
    turned = memory.key_was_off and inputs.room.key
    if memory.state is State.LOCKED and not turned:
        found.append("KEY_OFF")
    return tuple(dict.fromkeys(found))


def _told(codes: Sequence[str]) -> list[dict[str, str]]:
    """SR-43: code, plain words, hazard and next action."""
    return [
        {name: getattr(FAULTS[code], name) for name in ("code", "text", "hazard", "action")}
        for code in codes
    ]
