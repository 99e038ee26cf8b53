"""Every step of a routine against what tube and generator can do, before anything runs."""

from __future__ import annotations

from firmware_py.config import TubeConfig, UnitConfig
from firmware_py.routines.dry_run import DryRun, dry_run
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import Fire
from hal.types import ShotKind
from rig.drivers import generator_of, nobody
from rig.exit_codes import UsageError
from rig.plan import technique_problems


def checked(
    unit: UnitConfig, spec: Spec, *, heat_j: float = 0.0, level_counts: int | None = None
) -> DryRun:
    """The dry run of a routine that this unit can make. Raises UsageError with every reason."""
    tube = unit.tube
    try:
        run = dry_run(
            spec.routine(),
            heat_max_j=tube.heat_max_j,
            cooling_tau_s=tube.cooling_tau_s,
            heat_j=heat_j,
            supply=spec.supply,
            level_counts=level_counts,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not run.verdict.passed:
        raise UsageError(f"{spec.kind} can't be done here: {run.verdict.text}")
    problems = {problem: None for shot in run.beams for problem in _problems(unit, shot)}
    if problems:
        raise UsageError("\n".join(problems))
    return run


def _problems(unit: UnitConfig, shot: Fire) -> list[str]:
    """The ordinary rating check, and set-points that the generator makes exactly."""
    found = technique_problems(shot.technique, _tube_for(unit.tube, shot.kind))
    if found:
        return [f"{shot.note}: {problem}" for problem in found]
    try:
        made = generator_of(unit.generator, nobody()).effective(shot.technique)
    except ValueError as error:
        return [f"{shot.note}: {error}"]
    return [
        f"{shot.note}: {name} = {asked:g} is between the generator's steps; it makes {made_:g}"
        for name in ("kv", "ma", "ms")
        if (asked := getattr(shot.technique, name)) != (made_ := getattr(made, name))
    ]


def _tube_for(tube: TubeConfig, kind: ShotKind) -> TubeConfig:
    longest_ms = tube.time_max_no_receptor_ms
    if kind is not ShotKind.NO_RECEPTOR or longest_ms is None:
        return tube
    return tube.model_copy(update={"time_max_ms": longest_ms})
