"""Routines played by hand: what each step is answered, and the steps that came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from firmware_py.routines.steps import Ask, Charge, Done, Fire, Fired, Pause, Result, Routine, Step
from firmware_py.routines.steps import Verdict as Verdict
from hal.types import ShotKind

S = TypeVar("S", bound=Ask | Charge | Fire | Pause)
MOST_STEPS = 5000


def planned(shot: Fire, **changes: Any) -> Fired:
    """The shot as it was asked for, but for what a test says."""
    technique = shot.technique
    result = Fired(
        shot_id="r-1-001",
        reason="planned end",
        beam=shot.kind is not ShotKind.DARK,
        mas=technique.planned_mas,
        beam_ms=technique.planned_ms,
        level_counts=0 if shot.kind is ShotKind.DARK else None,
    )
    return replace(result, **changes)


def released(shot: Fire, after_s: float) -> Fired:
    return planned(shot, reason="handswitch released", beam_ms=after_s * 1000)


def tripped(shot: Fire, *codes: str) -> Fired:
    return planned(shot, reason="fault", faults=codes or ("GENERATOR_OVERCURRENT",))


class Played:
    """A routine from its first step to its verdict. `answer`: for shots; None = as planned."""

    def __init__(
        self, routine: Routine, answer: Callable[[int, Fire], Fired | None] = lambda n, shot: None
    ) -> None:
        self.steps: list[Step] = []
        self.verdict: Verdict | None = None
        self._answer = answer
        try:
            step = next(routine)
            while len(self.steps) < MOST_STEPS:
                self.steps.append(step)
                step = routine.send(self._result(step))
        except StopIteration as end:
            self.verdict = end.value

    def _result(self, step: Step) -> Result:
        if not isinstance(step, Fire):
            return Done(who="A. Meier")
        return self._answer(len(self.shots), step) or planned(step)

    def all(self, kind: type[S]) -> list[S]:
        return [step for step in self.steps if isinstance(step, kind)]

    @property
    def shots(self) -> list[Fire]:
        return self.all(Fire)

    @property
    def kvs(self) -> list[float]:
        return [shot.technique.kv for shot in self.shots]

    @property
    def text(self) -> str:
        assert self.verdict is not None
        return self.verdict.text


def at(*numbers: int, act: Callable[[Fire], Fired]) -> Callable[[int, Fire], Fired | None]:
    """`act` answers these shots, counted from 1; the others go as planned."""
    return lambda number, shot: act(shot) if number in numbers else None


def grouped(names: Iterable[Any]) -> list[tuple[Any, int]]:
    """[("a", 2), ("b", 1)] of a, a, b."""
    found: list[tuple[Any, int]] = []
    for name in names:
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + 1)
        else:
            found.append((name, 1))
    return found
