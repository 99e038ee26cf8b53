"""Steps a routine by the scan: programmes its shots, waits its pauses, keeps its results.

The unit asks it in every scan what is to be programmed; a press of the handswitch starts
it, as any exposure. Nothing here starts a beam, and nothing is counted but what the unit
itself reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firmware_py.decide.memory import Memory, State
from firmware_py.decide.supervisor import LATCHED
from firmware_py.routines.steps import (
    Ask,
    Charge,
    Done,
    Fire,
    Fired,
    Pause,
    ReplayError,
    Result,
    Routine,
    Step,
    Verdict,
    fits,
    result_to_dict,
)
from hal.now import Now
from hal.types import TEST_EXAM_ID, EndReason, ExposureReport, Inputs, Shot

LAST_LOOK_US = 500_000  # for the generator's fault list, which is read after the beam
TOLD_AFTERWARDS = frozenset({"ARC"})  # no reason to stop by itself: the routine decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What every shot of one run of a routine carries."""

    run_id: str  # shots are RUN_ID-001 and so on: used once, ever
    panel_id: str


class Engine:
    """One run of one routine. `results`: of an earlier run that this one resumes."""

    def __init__(self, routine: Routine, stamp: Stamp, results: Sequence[Result] = ()) -> None:
        """Raises ReplayError when the results are of another plan."""
        self.results: list[Result] = []
        self.verdict: Verdict | None = None
        self.suspended: Charge | None = None
        self.interrupted = False
        self.step: Step | None = None
        self._routine, self._stamp = routine, stamp
        self._shot: Shot | None = None
        self._shot_count = 0
        self._report: ExposureReport | None = None
        self._faults: tuple[str, ...] = ()
        self._saved_us: int | None = None  # back in STANDBY, all written down
        self._level_counts: int | None = None
        self._since_us: int | None = None  # the step was begun
        self._clear_by: str | None = None
        self._confirmed: str | None = None
        self._asked: Ask | None = None  # the newest question that was answered
        self._held: Step | None = None  # waits until that was answered anew
        self._advance(None)
        for result in results:
            if self.step is None or not fits(self.step, result):
                raise ReplayError("the results that were kept are not of this plan")
            self._take(result)
        self._ask_again()

    # --- what the unit asks and people say

    def shot(self, now: Now, memory: Memory, inputs: Inputs) -> Shot | None:
        """What is programmed for the next scan; `memory` and `inputs`: of this one."""
        while self._look(now, memory, inputs):
            pass
        return self._shot

    def confirm(self, key: str, who: str) -> bool:
        """A person did what was asked. False: nothing of that name is asked now."""
        if not isinstance(self.step, Ask) or self.step.key != key or not who.strip():
            return False
        self._confirmed = who
        return True

    def interrupt(self) -> None:
        """Nothing more is programmed; what is under way ends as the unit ends it."""
        self.interrupted = True

    @property
    def over(self) -> bool:
        return self.verdict is not None or self.suspended is not None or self.interrupted

    def status(self) -> dict[str, Any]:
        """For people and programs: where it is."""
        step = self.step
        return {
            "run_id": self._stamp.run_id,
            "step": None if step is None else {"is": type(step).__name__, **asdict(step)},
            "step_index": len(self.results),
            "since_us": self._since_us,
            "shot": self._shot.shot_id if self._shot and self._report is None else None,
            "busy": self._shot is not None,  # one is programmed, or its result is to come
            "verdict": asdict(self.verdict) if self.verdict else None,
            "suspended": asdict(self.suspended) if self.suspended else None,
            "interrupted": self.interrupted,
        }

    def results_since(self, first_index: int) -> list[dict[str, Any]]:
        return [result_to_dict(result) for result in self.results[first_index:]]

    # --- scan by scan

    def _look(self, now: Now, memory: Memory, inputs: Inputs) -> bool:
        """True: a step has ended, and the next one may go on in the same scan."""
        step, done_count = self.step, len(self.results)
        if step is None or (self.over and self._shot is None):
            return False
        if self._since_us is None:
            self._since_us = now.t_us
        if isinstance(step, Fire):
            self._follow_shot(now, step, memory, inputs)
        elif isinstance(step, Charge):
            self.suspended = step
        elif isinstance(step, Ask):
            if self._confirmed is not None:
                return self._answered(self._confirmed)
        elif now.reached(self._since_us + round(step.seconds * 1e6)):
            self._take(Done())
        return len(self.results) > done_count

    def _ask_again(self) -> None:
        """Between two lives somebody may have changed what stands in the beam."""
        self._clear_by = None
        if self._asked is not None and isinstance(self.step, Fire | Pause):
            self._held, self.step = self.step, self._asked

    def _answered(self, who: str) -> bool:
        if self._held is None:
            self._take(Done(who=who))
            return True
        self._note_answer(who)
        self.step, self._held = self._held, None
        self._since_us, self._confirmed = None, None
        return True

    def _note_answer(self, who: str) -> None:
        """A shot without receptor needs its confirmation; another answer may have undone it."""
        assert isinstance(self.step, Ask)
        self._asked = self.step
        self._clear_by = who if self.step.key == "no receptor" else None

    def _follow_shot(self, now: Now, step: Fire, memory: Memory, inputs: Inputs) -> None:
        if self._shot is None:
            if memory.state is State.STANDBY:
                self._program(step)
            return
        if self.interrupted and memory.state is State.STANDBY and memory.shot != self._shot:
            self._shot = None  # it was programmed, and nobody had pressed
            return
        if memory.report is not None and memory.report.shot == self._shot:
            self._report = memory.report
        self._note_faults(memory, inputs)
        if inputs.recorder.image_saved == self._shot.shot_id:
            self._level_counts = inputs.recorder.level_counts
        saved = self._report is not None and memory.report is None
        if saved and memory.state is State.STANDBY:
            self._saved_us = now.t_us if self._saved_us is None else self._saved_us
            if not self._shot.has_beam or now.reached(self._saved_us + LAST_LOOK_US):
                self._made(self._shot, self._report)

    def _note_faults(self, memory: Memory, inputs: Inputs) -> None:
        """What latched, and what the generator only told: an arc that went out by itself.

        Its fault list is read after the beam, so from the report on.
        """
        if self._report is None:
            return
        told = [code for code in inputs.generator.faults if code in TOLD_AFTERWARDS]
        found = [*self._faults, *(memory.faults if memory.state in LATCHED else ()), *told]
        self._faults = tuple(dict.fromkeys(found))

    def _program(self, step: Fire) -> None:
        self._shot_count += 1
        self._shot = Shot(
            shot_id=f"{self._stamp.run_id}-{self._shot_count:03d}",
            technique=step.technique,
            exam_id=TEST_EXAM_ID,
            panel_id=self._stamp.panel_id,
            kind=step.kind,
            raw=step.raw,
            warms=step.warms,
            clear_by=self._clear_by,
        )
        self._report, self._faults, self._level_counts = None, (), None
        self._saved_us = None

    def _made(self, shot: Shot, report: ExposureReport | None) -> None:
        assert report is not None
        done = report.beam or report.reason is EndReason.DARK
        if not done and report.fault is None:
            self._shot = None  # let go before the beam, or cut short: again, under a new id
            return
        faults = self._faults or ((report.fault,) if report.fault else ())
        self._take(
            Fired(
                shot_id=shot.shot_id,
                reason=report.reason.value,
                beam=report.beam,
                mas=report.mas,
                beam_ms=report.beam_ms,
                kv=report.kv,
                ma=report.ma,
                faults=faults,
                level_counts=self._level_counts,
            )
        )

    def _take(self, result: Result) -> None:
        if isinstance(self.step, Ask) and isinstance(result, Done):
            self._note_answer(result.who)
        self.results.append(result)
        self._advance(result)

    def _advance(self, result: Result | None) -> None:
        self._shot, self._since_us, self._confirmed = None, None, None
        try:
            self.step = next(self._routine) if result is None else self._routine.send(result)
        except StopIteration as end:
            self.step, self.verdict = None, end.value
