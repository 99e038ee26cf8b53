"""A unit and its recorder as processes, and what a client may say to them.

The session owns what it starts: it ends the unit first (which ends a beam in the ordinary
way and makes safe), then the recorder. A session that dies takes both along: each child
asks the kernel for a SIGTERM when its parent is gone.
"""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from firmware_py.config import UnitConfig
from firmware_py.recorder.dicom.exam import TEST_EXAM, ExamInfo
from firmware_py.recorder.store.aec_lock import stored_aec_lock
from firmware_py.recorder.store.files import free_bytes
from firmware_py.recorder.store.tube_heat import COLD, StoredHeat, stored_heat
from hal.bus import BusClient
from hal.ports import LinkError
from hal.types import Shot
from rig import unit_client
from rig.bench import Bench
from rig.exit_codes import DeviceError, DxrigError, Refused
from rig.recovery import end_lost, journal_of
from rig.run_folder import life_mark, record_header
from rig.unit_files import wait_until_written

START_S = 15.0
END_S = 10.0
FOLLOW_S = 0.002
PR_SET_PDEATHSIG = 1
LAST_WORDS_BYTES = 4096  # a sentence needs a block


@dataclass(slots=True)
class _Tail:
    """The whole lines that were added to a growing file."""

    path: Path
    at_bytes: int = 0

    def new_lines(self) -> list[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.at_bytes)
                data = file.read()
        except OSError:
            return []  # not there yet
        whole = data[: data.rfind(b"\n") + 1]
        self.at_bytes += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


@dataclass(slots=True, kw_only=True)
class Session:
    """`folder`: the run's; `state`: what outlives it; `unit`: with the real urls."""

    bench: Bench
    unit: UnitConfig
    folder: Path
    state: Path
    simulated: bool
    exam: ExamInfo = TEST_EXAM
    panel_set: Path | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    unit_process: subprocess.Popen[bytes] | None = None
    recorder_process: subprocess.Popen[bytes] | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    heat: StoredHeat = COLD  # in the tube when the unit's life began
    aec_lock: str | None = None  # what locked AEC in an earlier one
    warm: bool = True  # the tube is warmed up, or needs no warm-up
    _sockets: tempfile.TemporaryDirectory[str] | None = None
    _bus: BusClient | None = None
    _traces: list[_Tail] = field(default_factory=list)

    # --- the processes

    def start(self) -> None:
        """Raises DeviceError with the reason that the process itself gave."""
        self._sockets = tempfile.TemporaryDirectory(prefix="dxrig-")
        self._start_both(self.started_at)

    def _start_both(self, at: datetime) -> None:
        """`at`: the date of the unit's time zero.

        The journal tells the tube's heat while nobody has it open.
        """
        journal = journal_of(self.state)
        self.heat = stored_heat(journal, self.unit.tube, datetime.now(UTC))
        self.aec_lock = stored_aec_lock(journal) if self.unit.aec is not None else None
        run = uuid4()  # one life of both: it ties the unit's last words to the recorder's intents
        self.start_recorder(at, run)
        self.start_unit(run)

    def start_recorder(self, at: datetime, run: UUID) -> None:
        config = {
            "state_dir": str(self.state),
            "run_dir": str(self.folder),
            "bus": self._endpoint("recorder"),
            "data_url": self.unit.panel.data_url,
            "unit": self.unit.model_dump(mode="json"),
            "started_at": at.isoformat(),
            "uid_namespace": str(run),
            "simulated": self.simulated,
            "exam": self.exam.model_dump(mode="json"),
            "panel_set": str(self.panel_set) if self.panel_set else None,
            "folder": self.bench.folder.model_dump() if self.bench.folder else None,
        }
        # One for each life: its UIDs are needed when a frame is fetched later.
        path = self._work(f"recorder{life_mark(len(self._traces))}.json", config)
        # Without us it stays until the unit has ended, and saves the dose.
        self.recorder_process = self._spawn(
            "recorder", "firmware_py.recorder", path, orphaned=signal.SIGHUP
        )

    def start_unit(self, run: UUID) -> None:
        """A first life, or one after the unit was killed: each has its own record and trace."""
        mark = life_mark(len(self._traces))
        endpoint = self._endpoint(f"unit{mark}")
        setup = {
            "unit": self.unit.model_dump(mode="json"),
            "bus": endpoint,
            "recorder": self._endpoint("recorder"),
            "folder": str(self.folder),
            "record": f"record{mark}.bin",
            "trace": f"trace{mark}.jsonl",
            "log": "unit.log",
            "state": str(self.state),
            "run": str(run),
            "heat_j": self.heat.heat_j,
            "warm": self.warm,
            "aec_lock": self.aec_lock,
            "header": record_header(self.bench, rung=self.unit.rung)
            | {"unit": self.unit.model_dump(mode="json")},
        }
        path = self._work(f"unit{mark}.json", setup)
        self._traces.append(_Tail(self.folder / f"trace{mark}.jsonl"))
        self.unit_process = self._spawn("unit", "firmware_py", path)
        if self._bus is not None:  # that of the life before
            self._bus.close()
            self._bus = None
        self._bus = self._connect(endpoint)
        self._publish(endpoint)

    def _publish(self, endpoint: str) -> None:
        """Where `dxrig status`, `stop` and `reset` find the unit."""
        assert self.unit_process is not None
        facts = {
            "bench": self.bench.name,
            "rung": self.unit.rung,
            "simulated": self.simulated,
            "pid": self.unit_process.pid,
            "bus": endpoint,
            "folder": str(self.folder.absolute()),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        unit_client.publish(self.state, facts)

    def _spawn(
        self, name: str, module: str, config: Path, *, orphaned: signal.Signals = signal.SIGTERM
    ) -> subprocess.Popen[bytes]:
        path = self.folder / "work" / f"{name}.stderr"
        with path.open("ab") as stderr, signals_wait():
            return subprocess.Popen(
                [sys.executable, "-m", module, str(config)],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for the session, which ends them in order
                preexec_fn=partial(die_with_parent, orphaned),
            )

    def _connect(self, endpoint: str) -> BusClient:
        client = BusClient(endpoint)
        deadline_s = time.monotonic() + START_S
        try:
            while time.monotonic() < deadline_s:
                self.check()
                with suppress(LinkError):
                    client.ask({"schema": 1, "kind": "status"}, timeout_s=0.5)
                    return client
        except BaseException:
            client.close()
            raise
        client.close()
        raise DeviceError("the unit did not start in time; see work/unit.stderr in the run folder")

    def check(self, *, in_beam: bool = False) -> None:
        """Raises DeviceError or Refused when a process has ended by itself, with its words.

        `in_beam`: a recorder that is gone is told afterwards; no beam ends for it (SR-31).
        """
        recorder = None if in_beam else self.recorder_process
        for name, process in (("unit", self.unit_process), ("recorder", recorder)):
            if process is not None and process.poll() is not None:
                raise self._ended_by_itself(name, process.returncode)

    def _ended_by_itself(self, name: str, code: int) -> DxrigError:
        if name == "unit":
            self._wait_for_files()
        kind = Refused if code == Refused.code else DeviceError
        return kind(self._last_words(name, code))

    def _last_words(self, name: str, code: int) -> str:
        for path in (self.folder / "work" / f"{name}.stderr", self.folder / f"{name}.log"):
            with suppress(OSError):
                words = path.read_text(encoding="utf-8").strip().splitlines()
                if words:
                    return words[-1]
        if code < 0:
            return f"the {name} process was killed ({signal.Signals(-code).name})"
        if code == Refused.code or _no_room(self.folder):  # its own words had none either
            return f"{self.folder}: the disk is full: the run ended, outputs are safe; free space"
        return f"the {name} process ended with {code} and said nothing"

    def end(self) -> None:
        """Unit first: it ends the beam and makes safe; then the recorder.

        What a unit that died still owed is written down: its last words may be gone tomorrow.
        """
        _end(self.unit_process)
        self._wait_for_files()
        if self.unit_process is not None:
            unit_client.withdraw(self.state, self.unit_process.pid)
        _end(self.recorder_process)
        if self.recorder_process is not None:
            end_lost(self.state)
        self.drain()
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        if self._sockets is not None:
            self._sockets.cleanup()
            self._sockets = None

    def restart(self) -> None:
        """After a kill: recorder and unit anew, as after a power cut of the computer."""
        _end(self.recorder_process)
        self._start_both(datetime.now(UTC))

    def kill_unit(self) -> None:
        if self.unit_process is not None:
            self.unit_process.kill()
            self.unit_process.wait()
            self.unit_process = None
            self._wait_for_files()

    def _wait_for_files(self) -> None:
        """What the unit handed over before it ended stands in them after it."""
        for trace in self._traces[-1:]:
            wait_until_written(trace.path)

    def signal_unit(self, number: signal.Signals) -> None:
        if self.unit_process is not None:
            self.unit_process.send_signal(number)

    # --- what is said

    def ask(self, kind: str, **facts: Any) -> dict[str, Any]:
        assert self._bus is not None
        try:
            answer = self._bus.ask({"schema": 1, "kind": kind, **facts})
        except LinkError as error:
            self.check()
            raise DeviceError(
                "the unit does not answer: its process hangs or is stopped"
            ) from error
        if "error" in answer:
            raise DeviceError(str(answer["error"]))
        return answer

    def program(self, shot: Shot) -> None:
        self.ask("program", shot=asdict(shot))

    def news(self, timeout_s: float) -> Iterator[dict[str, Any]]:
        """The trace lines written within the time; they are kept in `lines`."""
        deadline_s = time.monotonic() + timeout_s
        while not (found := self.drain()) and time.monotonic() < deadline_s:
            time.sleep(FOLLOW_S)
        yield from found

    def drain(self) -> list[dict[str, Any]]:
        """From the files: they hold the first lines too, and those of a killed unit."""
        found = [line for trace in self._traces for line in trace.new_lines()]
        self.lines += found
        return found

    # --- files

    def _endpoint(self, name: str) -> str:
        assert self._sockets is not None
        return f"ipc://{self._sockets.name}/{name}"

    @property
    def bus_endpoint(self) -> str:
        return self._bus.endpoint if self._bus else ""

    def _work(self, name: str, content: dict[str, Any]) -> Path:
        path = self.folder / "work" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path


def _no_room(folder: Path) -> bool:
    try:
        return free_bytes(folder) < LAST_WORDS_BYTES
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
        process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_wait() -> Iterator[None]:
    """While a child is made: Python loses a KeyboardInterrupt that falls into a fork's hooks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Linux: a signal when the parent dies, so that no unit outlives its session."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # the child has signals of its own
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)
