"""A routine from its plan to its record: state, folder, unit, person, lives, verdict.

A life is one run of the unit. A routine has several where the battery must be charged in
between, or where an earlier run was cut short and this one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from firmware_py.recorder.image.maps import PanelSet
from firmware_py.recorder.store.exposures import Exposure, read_exposures
from firmware_py.recorder.store.tube_heat import stored_heat
from firmware_py.routines.engine import Stamp
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import ReplayError
from hal.faults import FAULTS
from hal.types import Technique
from rig.bench import Bench
from rig.exit_codes import CHECK_FAILED, DEVICE, DONE, ENDED, REFUSED, DeviceError
from rig.exposure_run import folder_for, session_for
from rig.guards import Ports, permit_exposure, room_on_disk
from rig.model import ModelRung, setting_of
from rig.records.record import Verdict
from rig.recovery import journal_of, refuse_if_open
from rig.routines import progress
from rig.routines.follow import Ending, Follow, View
from rig.routines.panel_plan import made
from rig.routines.people import FarRoom, Person, RealPerson, SimulatedPerson, WorldRoom
from rig.routines.progress import Progress
from rig.routines.seats import ModelSeat, Seat, WireSeat
from rig.run_folder import finish
from rig.run_model import STARTED_AT
from sim.build import pixel_model
from sim.pixels import PixelModel

CHARGED_RESUME_H = 12.0  # after a charge the tube may have rested so long: our choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for. `ports`: None on the model rung."""

    bench: Bench
    spec: Spec
    state: Path
    ports: Ports | None
    out: Path | None = None
    by_hand: bool = False
    allowed: bool = False
    operator: str = ""
    restart: bool = False
    wait_s: float = 300.0
    warm: bool = True
    panel_set: PanelSet | None = None
    panel_set_path: Path | None = None
    seed: int | None = None
    before: Callable[[ModelRung], None] = lambda rung: None  # model rung: faults to inject


@dataclass(slots=True, kw_only=True)
class Outcome:
    """`run`: the newest life's folder; `at`: when it ended, by the bench's clock.

    `spec`: what was run; of a resumed routine, what it was begun with.
    """

    kept: Progress
    spec: Spec
    ending: Ending
    run: Path
    journal: Path
    at: datetime
    resumed_from: int = 0
    lives: list[Path] = field(default_factory=list)

    @property
    def rows(self) -> list[Exposure]:
        """Every shot of all its lives, by the journal."""
        shots = f"{self.kept.routine_id}-"
        return [row for row in read_exposures(self.journal) if row.shot_id.startswith(shots)]

    @property
    def dates(self) -> dict[str, datetime]:
        """When each shot was begun."""
        return {row.shot_id: datetime.fromisoformat(row.at) for row in self.rows}

    @property
    def verdict(self) -> Verdict:
        ending = self.ending
        if ending.verdict is not None:
            return "passed" if ending.verdict["passed"] else "failed"
        if ending.suspended is not None:
            return "suspended"
        return "interrupted" if ending.interrupted or ending.timed_out else "aborted"

    @property
    def reason(self) -> str:
        ending = self.ending
        if ending.verdict is not None:
            return str(ending.verdict["text"])
        if ending.suspended is not None:
            return str(ending.suspended["text"])
        if ending.timed_out:
            return "nobody pressed the handswitch in time"
        told = [f"{FAULTS[code].text} {FAULTS[code].action}" for code in
                (*ending.refused, *ending.faults)]  # fmt: skip
        return " ".join(told) or "ended by the operator"

    @property
    def exit_code(self) -> int:
        ending = self.ending
        if ending.verdict is not None:
            return DONE if ending.verdict["passed"] else CHECK_FAILED
        if ending.refused:
            return REFUSED
        if ending.faults:
            return DEVICE
        return CHECK_FAILED if ending.suspended is not None else ENDED


class Work:
    def __init__(self, order: Order, view: View) -> None:
        self._order, self._view = order, view
        self._rung: ModelRung | None = None
        self._pixels: PixelModel | None = None
        self._kept: Progress | None = None
        self._spec = order.spec
        self._zero_at = clock_of(order.ports, order.state)  # of the model rung's calendar

    def run(self) -> Outcome:
        """The bench must be held. Raises DxrigError."""
        order = self._order
        refuse_if_open(order.state, order.bench.name)
        if order.ports is not None:
            permit_exposure(order.ports, allowed=order.allowed)
        room_on_disk([order.state], order.bench.unit)
        kept = self._kept = self._progress()
        resumed_from = len(kept.results)
        outcome = self._live(kept)
        while outcome.ending.suspended is not None and self._rung is not None:
            self._charge(self._rung, float(outcome.ending.suspended["hours"]))
            self._keep_charged(kept, outcome)
            outcome = self._live(kept)
        outcome.resumed_from = resumed_from
        outcome.lives = [Path(run) for run in kept.runs]
        return outcome

    # --- what was before

    def _progress(self) -> Progress:
        """Of the run that this one resumes, or a new one."""
        order, unit = self._order, self._order.bench.unit
        at = self._now()
        kept = None if order.restart else progress.load(order.state, order.spec.kind)
        if kept is not None:
            why = progress.why_not(
                kept, order.spec, unit_serial=unit.site.serial, panel_id=unit.panel.panel_id,
                at=at, limit_s=self._limit_s(kept),
            )  # fmt: skip
            if why is None:
                self._view.say(f"goes on with {kept.routine_id} after {len(kept.results)} steps")
                kept.events.append(f"{at.isoformat()} resumed after {len(kept.results)} steps")
                if kept.suspended:
                    _charged(kept)
                self._spec = Spec.from_dict(kept.spec)  # with the battery that it began with
                return kept
            self._view.say(f"begins anew, {kept.routine_id} is not resumed: {why}")
        return self._new(at)

    def _new(self, at: datetime) -> Progress:
        order, unit = self._order, self._order.bench.unit
        made_id = f"{order.spec.kind}-{at:%Y%m%dT%H%M%S}-{uuid4().hex[:4]}"
        return Progress(
            routine_id=made_id if order.ports else f"{order.spec.kind}-{at:%Y%m%dT%H%M%S}",
            kind=order.spec.kind,
            spec=order.spec.to_dict(),
            unit_serial=unit.site.serial,
            panel_id=unit.panel.panel_id,
            operator=order.operator,
            started=at.isoformat(),
            at=at.isoformat(),
        )

    def _limit_s(self, kept: Progress) -> float:
        """How long it may have rested: a tube cools and a panel drifts meanwhile."""
        table = self._order.bench.unit.warmup
        minutes = table.resume_minutes if table is not None else 30.0
        return CHARGED_RESUME_H * 3600 if kept.suspended else minutes * 60

    # --- one life

    def _live(self, kept: Progress) -> Outcome:
        order = self._order
        folder = folder_for(order.bench, order.state, self._out(kept))
        kept.lives += 1
        kept.runs.append(str(folder.resolve()))
        kept.suspended = False
        kept.save(order.state)
        seat, person = self._seat(folder)
        follow = Follow(
            seat, person, wait_s=order.wait_s, patient=order.by_hand, view=self._view,
            keep=self._keep,
        )  # fmt: skip
        stamp = Stamp(
            run_id=f"{kept.routine_id}-{kept.lives}",
            panel_id=order.bench.unit.panel.panel_id,
        )
        try:
            ending = follow.run(self._spec, stamp, kept.results)
        except ReplayError as error:
            raise DeviceError(f"{error}; begin anew with --restart") from error
        finally:
            self._keep(follow.ending)
        self._finish(folder, follow.ending)
        outcome = Outcome(kept=kept, spec=self._spec, ending=ending, run=folder,
                          journal=journal_of(order.state), at=self._now())  # fmt: skip
        if ending.verdict is not None or not ending.results:  # nothing is left to go on with
            progress.forget(order.state, kept.kind)
        return outcome

    def _out(self, kept: Progress) -> Path | None:
        """The first life's folder is the one asked for, the next stand beside it."""
        out = self._order.out
        if out is None or kept.lives == 0:
            return out
        return out.with_name(f"{out.name}-{kept.lives + 1}")

    def _seat(self, folder: Path) -> tuple[Seat, Person]:
        order = self._order
        if order.ports is None:
            return self._model_seat(folder)
        session = session_for(
            order.bench, order.ports, folder, order.state,
            panel_set=order.panel_set_path, warm=order.warm,
        )  # fmt: skip
        seat = WireSeat(session)
        if order.by_hand or order.ports.simulator is None:
            return seat, RealPerson(self._view.say, order.operator)
        room = FarRoom(order.ports.simulator, seat.now_s)
        for verb in ("release", "release reset"):  # a killed run could not let go
            room.do(verb, {})
        return seat, SimulatedPerson(room, order.operator or "simulated person")

    def _model_seat(self, folder: Path) -> tuple[Seat, Person]:
        order, bench = self._order, self._order.bench
        (folder / "work").mkdir(exist_ok=True)
        if self._rung is None or self._pixels is None:
            self._pixels = pixel_model(setting_of(bench, order.seed))
            self._rung = ModelRung(bench, seed=order.seed, pixels=self._pixels)
            order.before(self._rung)
        heat = stored_heat(journal_of(order.state), bench.unit.tube, self._now())
        seat = ModelSeat(
            bench, self._rung, folder, order.state, started_at=self._zero_at,
            panel_set=order.panel_set, warm=order.warm, heat_j=heat.heat_j,
        )  # fmt: skip
        room = WorldRoom(self._rung.world)
        return seat, SimulatedPerson(room, order.operator or "simulated person")

    def _keep(self, ending: Ending) -> None:
        kept = self._kept
        assert kept is not None
        for event in ending.events:
            kept.events.append(f"{self._now().isoformat()} {event}")
        ending.events.clear()
        if len(ending.results) > len(kept.results):  # a life without one makes nothing younger
            kept.at = self._now().isoformat()
        kept.results = list(ending.results)
        kept.suspended = ending.suspended is not None
        kept.save(self._order.state)

    def _finish(self, folder: Path, ending: Ending) -> None:
        """The folder of a life, tied together as any run's."""
        order = self._order
        finish(
            folder,
            order.bench,
            technique=_technique(self._spec, ending),
            rung="model" if order.ports is None else order.ports.unit.rung,
            simulated=order.ports is None or order.ports.simulated,
            seed=order.seed,
            scenario=None,
            routine=order.spec.kind,
        )

    # --- time and supply

    def _now(self) -> datetime:
        if self._order.ports is not None:
            return datetime.now(UTC)
        t_us = self._rung.t_us if self._rung is not None else 0
        return self._zero_at + timedelta(microseconds=t_us)

    def _charge(self, rung: ModelRung, hours: float) -> None:
        """The unit is off meanwhile, and the simulated person charges."""
        self._view.say(f"charges for {hours:g} h")
        rung.pass_time(round(hours * 3.6e9))
        WorldRoom(rung.world).do("charge battery", {})

    def _keep_charged(self, kept: Progress, outcome: Outcome) -> None:
        kept.events.append(f"{self._now().isoformat()} charged")
        _charged(kept)


def clock_of(ports: Ports | None, state: Path) -> datetime:
    """The model rung has a calendar of its own; it goes on where the state's journal ends."""
    if ports is not None:
        return datetime.now(UTC)
    journal = journal_of(state)
    rows = read_exposures(journal) if journal.exists() else []
    newest = max((datetime.fromisoformat(row.at) for row in rows), default=None)
    return STARTED_AT if newest is None else newest.replace(microsecond=0) + timedelta(minutes=5)


def _charged(kept: Progress) -> None:
    """What the charge's step is sent: it was done."""
    kept.results.append({"result": "done", "who": kept.operator or "charged"})


def _technique(spec: Spec, ending: Ending) -> Technique:
    """Of the last shot: a run's summary names one."""
    last = None
    for step, _ in made(spec, ending.results):
        last = step.technique
    return last or Technique(kv=1.0, ma=1.0, ms=1.0)
