"""A routine run without a unit: what it would ask of tube, battery and people, and how long."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_py.routines.steps import (
    Ask,
    Charge,
    Done,
    Fire,
    Fired,
    Pause,
    Result,
    Routine,
    Step,
    Verdict,
)
from firmware_py.routines.supply import Supply, seconds_of
from hal.types import ShotKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step, when it begins, and what is in tube and battery after it."""

    at_s: float
    step: Step
    cool_s: float  # waited beforehand, for the tube to cool
    heat_j: float
    charge: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    rows: tuple[Row, ...]
    verdict: Verdict
    seconds: float

    @property
    def shots(self) -> list[Fire]:
        return [row.step for row in self.rows if isinstance(row.step, Fire)]

    @property
    def beams(self) -> list[Fire]:
        return [shot for shot in self.shots if shot.kind is not ShotKind.DARK]

    @property
    def mas(self) -> float:
        return math.fsum(shot.technique.planned_mas for shot in self.beams)

    @property
    def energy_j(self) -> float:
        return math.fsum(shot.technique.kv * shot.technique.planned_mas for shot in self.beams)

    @property
    def beam_s(self) -> float:
        return math.fsum(shot.technique.planned_ms for shot in self.beams) / 1000

    @property
    def kv_max(self) -> float:
        return max((shot.technique.kv for shot in self.beams), default=0.0)

    @property
    def heat_max_j(self) -> float:
        return max((row.heat_j for row in self.rows), default=0.0)

    @property
    def charge_min(self) -> float | None:
        return min((row.charge for row in self.rows if row.charge is not None), default=None)

    @property
    def sessions(self) -> int:
        return 1 + sum(isinstance(row.step, Charge) for row in self.rows)

    def left_s(self, done_count: int) -> float:
        """From the step of that index to the end."""
        return self.seconds - self.rows[done_count].at_s if done_count < len(self.rows) else 0.0


def dry_run(
    routine: Routine,
    *,
    heat_max_j: float,
    cooling_tau_s: float,
    heat_j: float = 0.0,
    supply: Supply | None = None,
    level_counts: int | None = None,
) -> DryRun:
    """Every step goes as planned; `level_counts`: what every flat is assumed to have,
    over dark frames of none.

    `heat_j`: in the tube beforehand. Raises ValueError when one shot alone is too much.
    """
    rows: list[Row] = []
    at_s, charge = 0.0, supply.charge if supply else None
    steps = _Ideal(routine, level_counts)
    for step in steps:
        load_j = _load_j(step)
        cool_s = _cool_s(heat_j, load_j, heat_max_j, cooling_tau_s)
        took_s = seconds_of(step)
        heat_j = heat_j * math.exp(-cool_s / cooling_tau_s) + load_j
        if supply is not None and charge is not None:
            charge = 1.0 if isinstance(step, Charge) else _after(supply, charge, step, cool_s)
        rows.append(Row(at_s=at_s, step=step, cool_s=cool_s, heat_j=heat_j, charge=charge))
        heat_j *= math.exp(-took_s / cooling_tau_s)
        at_s += cool_s + took_s
    assert steps.verdict is not None
    return DryRun(rows=tuple(rows), verdict=steps.verdict, seconds=at_s)


class _Ideal:
    """Iterates a routine's steps while everything goes as planned."""

    def __init__(self, routine: Routine, level_counts: int | None) -> None:
        self._routine, self._level_counts = routine, level_counts
        self.verdict: Verdict | None = None

    def __iter__(self) -> Iterator[Step]:
        try:
            step = next(self._routine)
            while True:
                yield step
                step = self._routine.send(self._ideal(step))
        except StopIteration as end:
            self.verdict = end.value

    def _ideal(self, step: Step) -> Result:
        if isinstance(step, Pause | Ask | Charge):
            return Done(who="dry run")
        technique = step.technique
        return Fired(
            shot_id="dry-run",
            reason="planned end",
            beam=step.kind is not ShotKind.DARK,
            mas=technique.planned_mas,
            beam_ms=technique.planned_ms,
            kv=technique.kv,
            ma=technique.ma,
            level_counts=0 if step.kind is ShotKind.DARK else self._level_counts,
        )


def _load_j(step: Step) -> float:
    if not isinstance(step, Fire) or step.kind is ShotKind.DARK:
        return 0.0
    return step.technique.kv * step.technique.planned_mas


def _cool_s(heat_j: float, load_j: float, heat_max_j: float, tau_s: float) -> float:
    """Until the load fits (SR-14)."""
    if heat_j + load_j <= heat_max_j:
        return 0.0
    if load_j >= heat_max_j:
        raise ValueError(f"one shot of {load_j:g} J is above the tube's {heat_max_j:g} J")
    return tau_s * math.log(heat_j / (heat_max_j - load_j))


def _after(supply: Supply, charge: float, step: Step, cool_s: float) -> float:
    taken_j = supply.taken_j(step) + supply.standby_w * cool_s
    return charge - taken_j / supply.capacity_j
