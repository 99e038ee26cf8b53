"""How beams end: one bench is brought just before a moment, and a copy of it goes on for each case.

The copy is a forked process: it has the whole unit, wire and room as they are, a case costs
only what comes after it, and what a case breaks is broken in its own copy.
"""

from __future__ import annotations

import gc
import os
import pickle
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from firmware_py.decide.memory import Memory, State
from firmware_py.last_words import LastWords
from firmware_py.record import Recording
from firmware_py.trace import Line
from hal.now import grid_us
from hal.ports import FrameLink, RecorderPort
from hal.types import EndReason, Inputs, Outputs, Requests
from rig.bench import Bench
from rig.doctor_bounds import bounds_of
from rig.judge import BeamSeen
from rig.model import setting_of
from rig.run_model import Life, ModelRun, beams_of
from rig.scenario import Scenario
from sim.build import pixel_model
from sim.pixels import PixelModel
from sim.script import UNIT_VERBS, do
from tests.model_runs import bench

Case = TypeVar("Case")
Result = TypeVar("Result")

LONG = os.environ.get("DXRIG_LONG") == "1"  # every case instead of a sample of them
OFF_BYTES, ON_BYTES = b"\x02ENBL0\r", b"\x02ENBL1\r"
PANEL_PX = 64  # the smallest there is: what pixels cost is another matter
LIMIT_US = 60_000_000  # virtual: nothing here takes longer
PRESSES = {"STANDBY": (1, 200_000), "READY": (2, 100_000)}  # state: stage, how long after, in us
NOBODY = [{"event": "start", "do": "release"}]  # of a scenario's steps
ENDS = (State.STANDBY, State.FAULT, State.LOCKED)


@cache
def small() -> Bench:
    panel = bench().unit.panel.model_copy(update={"rows_px": PANEL_PX, "columns_px": PANEL_PX})
    return replace(bench(), unit=bench().unit.model_copy(update={"panel": panel}))


@cache
def small_pixels() -> PixelModel:
    return pixel_model(setting_of(small()))


@cache
def bound_us(sr: str, layer: str, what: str = "") -> int:
    """What this bench promises, as `dxrig doctor --bounds` prints it."""
    (found,) = [
        bound
        for bound in bounds_of(bench())
        if (bound.sr, bound.layer) == (sr, layer) and what in bound.what
    ]
    return found.bound_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """One executed scan: what it saw, decided, and wrote to the generator."""

    inputs: Inputs
    before: State  # in which it began
    memory: Memory
    outputs: Outputs
    sent: bytes

    @property
    def t_us(self) -> int:
        return self.inputs.t_us

    def sees_open(self, stage: int) -> bool:
        room = self.inputs.room
        return room.link_ok and not (room.stage_1 if stage == 1 else room.stage_2)


class EndingRun(ModelRun):
    """Stage 1 is pressed 200 ms after STANDBY, stage 2 100 ms after READY; nobody lets go."""

    def __init__(
        self,
        *,
        on: Bench | None = None,
        folder: Path | None = None,
        seed: int | None = None,
        press: bool = True,
        **shot: Any,
    ) -> None:
        """`shot`: the fields of a scenario's [shot]."""
        scenario = Scenario.model_validate(
            {"title": "ending", "shot": shot, "step": NOBODY, "expect": {"path": ["BOOT"]}}
        )
        pixels = small_pixels() if seed is None and on is None else None
        self.scans: list[Scanned] = []
        self.presses = dict(PRESSES) if press else {}  # still to be made; a release takes all away
        self._sent = bytearray()
        super().__init__(on or small(), scenario, folder, seed=seed, pixels=pixels)
        self._before = State.BOOT
        self._start_unit()

    def _start_unit(self) -> None:
        life = Life(self.bench, start_us=self.rung.t_us)
        self.lives.append(life)
        self._sent.clear()
        self._before = State.BOOT
        tap = _Tap(life.recording, self._sent)
        unit = self.rung.start_unit(self._open_recorder, tap, words=self._words())
        unit.request(Requests(shot=self.shot))

    def _words(self) -> Callable[[int], LastWords] | None:
        """Where the unit leaves its last words, for runs that ask for them."""
        return None

    def _open_recorder(self, frames: FrameLink) -> RecorderPort:
        self.recorder = super()._open_recorder(frames)
        return self.recorder

    def _took(self, lines: Sequence[Line]) -> None:
        unit = self.rung.unit
        assert unit is not None
        assert unit.inputs is not None
        self.scans.append(
            Scanned(
                inputs=unit.inputs,
                before=self._before,
                memory=unit.memory,
                outputs=unit.outputs,
                sent=bytes(self._sent),
            )
        )
        if unit.memory.state is not self._before:
            self._press(unit.memory.state)
        self._before = unit.memory.state
        self._sent.clear()
        super()._took(lines)

    def _press(self, state: State) -> None:
        stage, after_us = self.presses.get(state.value, (0, 0))
        if stage:
            self.rung.world.at(self.rung.t_us + after_us, lambda _t_us: self._pressed(state, stage))

    def _pressed(self, state: State, stage: int) -> None:
        if self.presses.pop(state.value, None):
            do(self.rung.world, "press", {"stage": stage})

    # --- time

    @property
    def state(self) -> State:
        assert self.rung.unit is not None
        return self.rung.unit.memory.state

    def program(self, shot_id: str) -> None:
        """The next exposure, of the same technique."""
        assert self.rung.unit is not None
        self.shot = replace(self.shot, shot_id=shot_id)
        self.rung.unit.request(Requests(shot=self.shot))

    def go_on(self, done: Callable[[], bool]) -> EndingRun:
        reached = self._run_until(done, self.rung.t_us + LIMIT_US)
        assert reached, f"still {self.state.value} after {LIMIT_US / 1e6:g} s"
        return self

    def until(self, *states: State) -> EndingRun:
        """Go on until the unit is in one of these."""
        return self.go_on(lambda: self.state in states)

    def until_beam(self) -> EndingRun:
        """Go on until the generator has begun its beam, of which the unit knows nothing yet."""
        return self.go_on(lambda: bool(self.beams()))

    def until_us(self, t_us: int) -> EndingRun:
        """Go on; the newest scan is then the last one before `t_us`."""
        self._run_until(lambda: False, grid_us(t_us, self.rung.scan_us) - self.rung.scan_us)
        return self

    def pass_us(self, duration_us: int) -> EndingRun:
        self._run_until(lambda: False, self.rung.t_us + duration_us)
        return self

    def at(self, t_us: int, verb: str, **args: Any) -> EndingRun:
        """A verb of scenarios, at exactly `t_us`. Who lets go doesn't press by himself again."""
        self.rung.world.at(t_us, lambda _t_us: self._do(verb, args))
        return self

    def _do(self, verb: str, args: dict[str, Any]) -> None:
        if verb == "release":
            self.presses.clear()
        if verb in UNIT_VERBS:
            self._unit_verb(verb)
        else:
            do(self.rung.world, verb, args)

    # --- what is left

    def beams(self) -> list[BeamSeen]:
        return beams_of(self.rung.world)

    def true_mas(self) -> float:
        """The simulator's own integral, tails included."""
        return sum(beam.mas for beam in self.beams())

    def gone_us(self) -> int:
        """When HV was below 10 % for good."""
        (beam,) = self.beams()
        assert beam.gone_us is not None, "the beam is still on"
        return beam.gone_us

    def reports(self) -> list[dict[str, Any]]:
        return [line.data for line in self.lines if line.kind == "report"]

    def report(self) -> dict[str, Any]:
        (report,) = self.reports()
        return report

    def faults(self) -> list[str]:
        """Codes that were latched, first one first."""
        found = [code for line in self.lines for code in line.data.get("faults", ())
                 if line.kind == "state"]  # fmt: skip
        return list(dict.fromkeys(found))

    def entered_us(self, state: State) -> int:
        """When it was entered last."""
        return [s.t_us for s in self.scans if s.memory.state is state is not s.before][-1]

    def net_us(self, net: str, closed: bool, from_us: int) -> int | None:
        """When the wiring's own log has this move, at `from_us` or later."""
        log = self.rung.world.wiring.log
        moves = [t_us for t_us, name, is_closed in log if (name, is_closed) == (net, closed)]
        later = [t_us for t_us in moves if t_us >= from_us]  # us-compare: a log is read
        return later[0] if later else None

    @property
    def images(self) -> int:
        return self._image_count()


class _Tap(Recording):
    """Notes what goes to the generator in the scan."""

    def __init__(self, recording: Recording, sent: bytearray) -> None:
        """`sent`: whoever reads it clears it, scan by scan."""
        self.__dict__.update(recording.__dict__)
        self._generator = sent

    def sent(self, link: str, data: bytes) -> None:
        if link == "generator":
            self._generator += data
        super().sent(link, data)


def exposing(**options: Any) -> EndingRun:
    """A bench whose unit has just entered EXPOSE."""
    return EndingRun(**options).until(State.EXPOSE)


# --- a copy for each case


def forked(what: Callable[[], Result]) -> Result:
    """What it returns in a copy of this process; what it raises there is an error here."""
    result: Result = _answer(*_fork(what))
    return result


def sweep(
    run: EndingRun,
    cases: Iterable[tuple[int, Case]],
    what: Callable[[EndingRun, int, Case], Result],
) -> dict[tuple[int, Case], Result]:
    """`what(run, t_us, case)` in a copy whose newest scan is the last one before `t_us`.

    The bench itself goes on from case to case, untouched by them.
    """
    found = {}
    for t_us, case in sorted(cases, key=lambda pair: pair[0]):
        run.until_us(t_us)
        found[t_us, case] = forked(lambda t_us=t_us, case=case: what(run, t_us, case))  # type: ignore[misc]
    return found


def _fork(what: Callable[[], object]) -> tuple[int, int]:
    read_fd, write_fd = os.pipe()
    gc.freeze()  # a collection in the copy would touch, and so copy, every page
    child = os.fork()
    if child == 0:
        gc.disable()
        _say(write_fd, what)
    gc.unfreeze()
    os.close(write_fd)
    return child, read_fd


def _say(write_fd: int, what: Callable[[], object]) -> NoReturn:
    try:
        try:
            said = pickle.dumps((True, what()))
        except BaseException:
            said = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(write_fd, "wb") as file:
            file.write(said)
    finally:
        os._exit(0)  # nothing of the test run may go on in the copy


def _answer(child: int, read_fd: int) -> Any:
    with os.fdopen(read_fd, "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    assert said, "the copy died without a word"
    went_well, result = pickle.loads(said)
    assert went_well, f"in the copy:\n{result}"
    return result


# --- what must hold of every release, at whichever moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What came of one release."""

    t_us: int
    state: State  # of the unit when it first saw the switch open
    on_left: bool  # ON had been written, or there was no EXPOSE to write it in
    problems: tuple[str, ...]
    reason: str
    mas: float | None  # as the report has it
    maximum_mas: float
    true_mas: float
    off_ms: float | None  # release -> HV gone; None: no beam, or gone before
    seen_ms: float  # release -> the scan that saw it
    images: int


def released(run: EndingRun, t_us: int, stage: int = 1) -> Released:
    """Let go at `t_us` (1: both stages, 2: the second alone, the rest 500 ms later), then judge."""
    first = len(run.scans)
    run.at(t_us, "release", stage=stage)
    if stage == 2:
        run.at(t_us + 500_000, "release")
    run.go_on(lambda: run.scans[-1].sees_open(stage)).until(*ENDS)
    scans = run.scans[first:]
    return _judged(run, t_us, scans, next(scan for scan in scans if scan.sees_open(stage)))


def _judged(run: EndingRun, t_us: int, scans: Sequence[Scanned], seeing: Scanned) -> Released:
    after = scans[scans.index(seeing) :]
    report, beams = run.report(), run.beams()
    gone_us = beams[0].gone_us if beams else None
    off_us = None if gone_us is None else gone_us - t_us
    return Released(
        t_us=t_us,
        state=seeing.before,
        on_left=seeing.before is not State.EXPOSE or _on_left(seeing),
        problems=tuple(_release_problems(run, t_us, seeing, after, off_us)),
        reason=report["reason"],
        mas=report["mas"],
        maximum_mas=report["maximum_mas"],
        true_mas=run.true_mas(),
        off_ms=off_us / 1000 if off_us is not None and off_us > 0 else None,  # us-compare: a span
        seen_ms=(seeing.t_us - t_us) / 1000,
        images=run.images,
    )


def _release_problems(
    run: EndingRun, t_us: int, seeing: Scanned, after: Sequence[Scanned], off_us: int | None
) -> Iterable[str]:
    if seeing.outputs.enable or seeing.outputs.expose_from_us is not None:
        yield "the scan that saw the release holds enable or ON"
    if any(scan.outputs.enable or ON_BYTES in scan.sent for scan in after):
        yield "enable or ON after the release was seen"
    if seeing.before is State.EXPOSE:
        yield from _off_problems(seeing)
    if run.faults():
        yield f"faults {run.faults()}"
    if len(run.beams()) > 1:
        yield f"{len(run.beams())} beams"
    if off_us is not None and off_us > bound_us("SR-17", "chain"):  # us-compare: two spans
        yield f"HV gone {off_us / 1000} ms after the release"
    yield from _report_problems(run, seeing)


def _off_problems(seeing: Scanned) -> Iterable[str]:
    """ON may have left or not: where it has, OFF is the very next that is written."""
    if _on_left(seeing) and not seeing.sent.startswith(OFF_BYTES):
        yield f"the scan that saw the release wrote {seeing.sent!r} to the generator, not OFF"


def _on_left(scan: Scanned) -> bool:
    return scan.memory.beam is not None and scan.memory.beam.sent_us is not None


def _report_problems(run: EndingRun, seeing: Scanned) -> Iterable[str]:
    report, true_mas = run.report(), run.true_mas()
    wanted = {
        State.EXPOSE: EndReason.RELEASED,
        State.READOUT: EndReason.PLANNED,
        State.RELEASE_WAIT: EndReason.PLANNED,
    }.get(seeing.before, EndReason.NO_BEAM)
    if report["reason"] != wanted.value:
        yield f"report says {report['reason']!r}, not {wanted.value!r}"
    yield from charge_problems(report, true_mas)
    ordered = seeing.before in (State.EXPOSE, State.READOUT, State.RELEASE_WAIT)
    if seeing.before is State.EXPOSE and not _on_left(seeing):
        ordered = False
        yield from _never_ordered_problems(run)
    if run.images != ordered:
        yield f"{run.images} images"


def _never_ordered_problems(run: EndingRun) -> Iterable[str]:
    """ON never left: there was no beam, and the record says so."""
    report = run.report()
    if run.beams():
        yield f"{len(run.beams())} beams without ON"
    if (report["beam"], report["mas"], report["maximum_mas"]) != (False, 0.0, 0.0):
        yield f"ON never left, and the report says {report}"


def charge_problems(report: dict[str, Any], true_mas: float) -> Iterable[str]:
    """The record beside the simulator's own integral: within 10 % + 0.02 mAs, or unknown; and
    the bound on it is never below the truth."""
    mas, most_mas = report["mas"], report["maximum_mas"]
    if mas is not None and abs(mas - true_mas) > 0.1 * true_mas + 0.02:
        yield f"report has {mas} mAs, the simulator {true_mas}"
    if most_mas < true_mas:
        yield f"the bound is {most_mas} mAs, the simulator has {true_mas}"
    if mas == 0 and true_mas:
        yield f"report has no charge, the simulator {true_mas} mAs"
