"""A scenario on the wire rung: the same steps, real processes, ports and time.

The simulator is `dxrig sim up` in a process of its own; it does the steps, with its own
stamps. What concerns the unit (kill, stop, continue) is done here, for real.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware_py.recorder.image.maps import save
from firmware_py.recorder.store.exposures import read_exposures
from hal.bus import BusClient
from hal.ports import LinkError
from rig.bench import Bench
from rig.exit_codes import DeviceError, UsageError
from rig.judge import BeamSeen, Seen
from rig.model import setting_of
from rig.run_folder import finish
from rig.run_model import shot_of, valid_set
from rig.scenario import Scenario
from rig.scenario_on import on_bench
from rig.session import Session, die_with_parent
from rig.simulator import with_ports
from sim.build import pixel_model

SIM_START_S = 20.0


class Simulator:
    """`dxrig sim up` as a child process, and its control."""

    def __init__(self, bench: Bench, folder: Path, *, seed: int) -> None:
        """`folder`: where its errors go and its announcement lies."""
        stderr = (folder / "simulator.stderr").open("wb")
        environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rig", "sim", "up", "--bench", str(bench.path),
             "--seed", str(seed), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        stderr.close()
        try:
            self.facts = self._announced(folder)
        except BaseException:  # Ctrl-C too: nothing is left running
            self._end_process()
            raise
        self.control = BusClient(self.facts["control"])

    def _announced(self, folder: Path) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], SIM_START_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            words = (folder / "simulator.stderr").read_text().strip().splitlines()
            raise DeviceError(f"the simulator did not start: {words[-1] if words else 'silent'}")
        facts: dict[str, Any] = json.loads(line)
        if "control" not in facts:
            raise UsageError(str(facts.get("error", "the simulator did not start")))
        return facts

    def ask(self, kind: str, **facts: Any) -> dict[str, Any]:
        try:
            answer = self.control.ask({"schema": 1, "kind": kind, **facts})
        except LinkError as error:
            raise DeviceError(f"the simulator does not answer: {error}") from error
        if "error" in answer:
            raise DeviceError(str(answer["error"]))
        return answer

    def unit_verbs(self) -> list[str]:
        """What the script asks to be done to the unit."""
        return [m["verb"] for m in self.control.poll() if m["kind"] == "unit"]

    def end(self) -> None:
        self.control.close()
        self._end_process()

    def _end_process(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class WireRun:
    def __init__(
        self,
        bench: Bench,
        scenario: Scenario,
        folder: Path,
        *,
        seed: int | None = None,
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.bench, self.scenario, self.folder = bench, on_bench(scenario, bench), folder
        self.seed = bench.sim.seed if seed is None else seed
        self._on_line = on_line
        self.shot = shot_of(bench, scenario.shot, f"{scenario.name or 'shot'}-1")
        self._state_count = 0
        self._reached_s: float | None = None
        self._owes_report = False  # a beam was ended, and its end is not proved yet
        self._reported_s = 0.0
        self._started_at: datetime | None = None

    def run(self) -> Seen:
        (self.folder / "work").mkdir(exist_ok=True)
        simulator = Simulator(self.bench, self.folder / "work", seed=self.seed)
        session: Session | None = None
        try:
            session = self._session(simulator)
            if self.shot.sid_mm is not None:  # a person moves the tube to where the shot has it
                place = {"sid_mm": self.shot.sid_mm}
                simulator.ask("do", verb="geometry", args=place)
            simulator.ask("script", steps=[_plain(step) for step in self.scenario.steps()])
            session.start()
            session.program(self.shot)
            self._follow(session, simulator)
            shown = simulator.ask("show")
        finally:
            if session is not None:
                session.end()
            simulator.end()
        self._started_at = session.started_at
        return self._seen(session, shown)

    def finish(self) -> dict[str, Any]:
        """Tie the folder together, after `run()`; returns the manifest."""
        assert self._started_at is not None
        return finish(
            self.folder,
            self.bench,
            technique=self.shot.technique,
            rung="wire",
            simulated=True,
            seed=self.seed,
            scenario=self.scenario.name,
            started_at=self._started_at.isoformat(),
        )

    def _session(self, simulator: Simulator) -> Session:
        started_at = datetime.now(UTC)
        pixels = pixel_model(setting_of(self.bench, self.seed))
        panel_set = self.folder / "work" / "panel-set.npz"
        save(valid_set(self.bench, pixels, started_at), panel_set)
        return Session(
            bench=self.bench,
            unit=with_ports(self.bench.unit, simulator.facts),
            folder=self.folder,
            state=self.folder / "state",
            simulated=True,
            panel_set=panel_set,
            started_at=started_at,
        )

    def _follow(self, session: Session, simulator: Simulator) -> None:
        """Hand the unit's states to the script until the scenario is over."""
        deadline_s = time.monotonic() + self.scenario.deadline_s
        while not self._over() and time.monotonic() < deadline_s:
            for line in session.news(0.01):
                self._take(line, simulator)
            session.check()
            for verb in simulator.unit_verbs():
                self._unit_verb(verb, session)

    def _take(self, line: dict[str, Any], simulator: Simulator) -> None:
        self._on_line(line)
        if line["kind"] == "report":
            self._owes_report, self._reported_s = False, time.monotonic()
        if line["kind"] != "state":
            return
        simulator.ask("event", name=line["to"])
        owes = self._owes_report or line["from"] == "EXPOSE"
        self._owes_report = owes and line["to"] != "BOOT"
        self._state_count += line["to"] == self.scenario.until.event
        if self._state_count >= self.scenario.until.nth and self._reached_s is None:
            self._reached_s = time.monotonic()

    def _over(self) -> bool:
        """A beam's end that is hard to prove is told seconds after the state."""
        if self._reached_s is None or self._owes_report:
            return False
        last_s = max(self._reached_s, self._reported_s)
        return time.monotonic() > last_s + self.scenario.until.after_ms / 1000

    def _unit_verb(self, verb: str, session: Session) -> None:
        if verb == "kill unit":
            session.kill_unit()
        elif verb == "start unit":
            session.restart()
            session.program(self.shot)
        else:
            name = "SIGSTOP" if verb == "stop unit" else "SIGCONT"
            session.signal_unit(getattr(signal.Signals, name))

    # --- what is left

    def _seen(self, session: Session, shown: dict[str, Any]) -> Seen:
        saved = {
            line["image_saved"]
            for line in session.lines
            if line["kind"] == "recorder" and line.get("image_saved")
        }
        exposures = read_exposures(session.state / "journal.db")
        return Seen(
            lines=session.lines,
            beams=[_beam_seen(beam) for beam in shown["beams"]],
            actions=[(action["t_us"], action["do"]) for action in shown["actions"]],
            image_count=len(saved),
            incomplete_count=sum(exposure.incomplete for exposure in exposures),
            same_clock=False,
            kind=self.shot.kind,
        )


def _plain(step: Any) -> dict[str, Any]:
    return {
        "event": step.event,
        "do": step.do,
        "after_ms": step.after_ms,
        "nth": step.nth,
        "args": dict(step.args),
    }


def _beam_seen(beam: dict[str, Any]) -> BeamSeen:
    """What is judged; the simulator tells more of a beam."""
    return BeamSeen(**{name: beam[name] for name in BeamSeen.__dataclass_fields__})
