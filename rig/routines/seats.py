"""Where a routine runs: a unit as a process in real time, or in this one, in virtual time.

Both are asked the same. A seat is started for one life of the unit; `end` leaves its
record, trace and frames in the run's folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import NAMESPACE_OID, uuid5

from firmware_py.recorder.archive import Archive
from firmware_py.recorder.image.maps import PanelSet
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.journal import Journal
from firmware_py.routines.engine import Engine, Stamp
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import result_from_dict
from firmware_py.runner import status
from firmware_py.trace import Line
from hal.ports import FrameLink, RecorderPort
from hal.types import Requests
from rig.bench import Bench
from rig.exit_codes import DeviceError
from rig.model import ModelRung
from rig.recovery import journal_of
from rig.run_folder import as_dict
from rig.run_model import Life
from rig.session import Session

NEWS_S = 0.02
GLANCE_S = 0.5  # virtual: how long nothing may be looked at


class Seat(Protocol):
    def start(self) -> None: ...

    def begin(self, spec: Spec, stamp: Stamp, results: Sequence[Mapping[str, Any]]) -> None: ...

    def news(self) -> list[dict[str, Any]]:
        """Let a little time pass; the trace lines that came of it."""

    def status(self) -> dict[str, Any]: ...

    def results(self, first_index: int) -> list[dict[str, Any]]: ...

    def confirm(self, key: str, who: str) -> None: ...

    def stop(self) -> None: ...

    def end(self) -> None: ...

    def now_s(self) -> float: ...


class WireSeat:
    """Unit and recorder as processes, on simulated or real ports."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(self) -> None:
        self._session.start()

    def begin(self, spec: Spec, stamp: Stamp, results: Sequence[Mapping[str, Any]]) -> None:
        sent = {"run_id": stamp.run_id, "panel_id": stamp.panel_id}
        self._session.ask("routine", spec=spec.to_dict(), stamp=sent, results=list(results))

    def news(self) -> list[dict[str, Any]]:
        self._session.check()
        return list(self._session.news(NEWS_S))

    def status(self) -> dict[str, Any]:
        return self._session.ask("status")

    def results(self, first_index: int) -> list[dict[str, Any]]:
        return list(self._session.ask("results", first=first_index)["results"])

    def confirm(self, key: str, who: str) -> None:
        self._session.ask("confirm", key=key, who=who)

    def stop(self) -> None:
        if self._session.bus_endpoint:
            self._session.ask("stop")

    def end(self) -> None:
        self._session.end()

    def now_s(self) -> float:
        return time.monotonic()


class ModelSeat:
    """The unit in this process; time jumps. `rung`: the room, which outlives the seat."""

    def __init__(
        self,
        bench: Bench,
        rung: ModelRung,
        folder: Path,
        state: Path,
        *,
        started_at: datetime,
        panel_set: PanelSet | None,
        warm: bool,
        heat_j: float,
    ) -> None:
        """`started_at`: the date of the room's time zero."""
        self._bench, self._rung, self._folder, self._state = bench, rung, folder, state
        self._started_at, self._panel_set = started_at, panel_set
        self._warm, self._heat_j = warm, heat_j
        self._life = Life(bench, start_us=rung.t_us, warm=warm, heat_j=heat_j)
        self._lines: list[dict[str, Any]] = []
        self._engine: Engine | None = None
        self._journal: Journal | None = None
        rung.on_lines = self._took

    def start(self) -> None:
        self._rung.start_unit(
            self._open_recorder, self._life.recording, heat_j=self._heat_j, warm=self._warm
        )

    def begin(self, spec: Spec, stamp: Stamp, results: Sequence[Mapping[str, Any]]) -> None:
        """Raises ReplayError."""
        kept = [result_from_dict(one) for one in results]
        self._engine = Engine(spec.routine(), stamp, kept)
        assert self._rung.unit is not None
        self._rung.unit.follow(self._engine)

    def news(self) -> list[dict[str, Any]]:
        until_us = self._rung.t_us + round(GLANCE_S * 1e6)
        self._rung.run_until(lambda: bool(self._lines), until_us)
        self._settle_requests()
        found, self._lines = self._lines, []
        return found

    def status(self) -> dict[str, Any]:
        unit, engine = self._rung.unit, self._engine
        assert unit is not None
        return status(unit) | {"routine": engine.status() if engine else None}

    def results(self, first_index: int) -> list[dict[str, Any]]:
        return self._engine.results_since(first_index) if self._engine else []

    def confirm(self, key: str, who: str) -> None:
        if self._engine is None or not self._engine.confirm(key, who):
            raise DeviceError(f"nothing named {key!r} is asked")

    def stop(self) -> None:
        unit = self._rung.unit
        if self._engine is not None:
            self._engine.interrupt()
        if unit is not None:
            unit.request(Requests(shot=unit.requests.shot, stop=True))

    def end(self) -> None:
        if self._rung.unit is not None:
            with suppress(OSError):
                self._rung.unit.make_safe(self._rung.t_us)
            self._rung.kill_unit()
        if self._journal is not None:
            self._journal.close()
        self._life.write(self._folder, "")

    def now_s(self) -> float:
        return self._rung.t_us / 1e6

    def _open_recorder(self, frames: FrameLink) -> RecorderPort:
        setup = Setup(
            unit=self._bench.unit,
            started_at=self._started_at,
            uid_namespace=uuid5(NAMESPACE_OID, f"{self._bench.hash} {self._folder.name}"),
            simulated=True,
        )
        self._journal = Journal(journal_of(self._state))
        archive = Archive(self._folder, self._panel_set, durable=False)
        recorder = Recorder(setup, self._journal, archive=archive)
        return InlineRecorder(recorder, frames, t_us=self._rung.t_us)

    def _took(self, lines: Sequence[Line]) -> None:
        self._life.lines += lines
        self._lines += [as_dict(line) for line in lines]

    def _settle_requests(self) -> None:
        """A stop lasts until the sequence has ended, as in the unit's own process."""
        unit = self._rung.unit
        if unit is not None and unit.requests.stop and unit.memory.state.value == "STANDBY":
            unit.request(Requests(shot=unit.requests.shot))
