"""The plan of a panel's calibration on this bench, and the frames that its run left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firmware_py.config import UnitConfig
from firmware_py.recorder.archive import read_frame
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.recorder.image.correct import Pixels
from firmware_py.routines.calibration import PanelPlan
from firmware_py.routines.dry_run import dry_run
from firmware_py.routines.spec import Spec
from firmware_py.routines.steps import Fire, Fired, Step, result_from_dict
from hal.types import Technique
from rig.bench_checks import WINDOW_MARGIN_MS
from rig.drivers import generator_of, nobody
from rig.exit_codes import DeviceError
from rig.plan import most_ma, plan

KINDS = ("offset", "gain", "defects", "lag")
SHORTEST_MS = 200.0  # shorter beams end before the generator has told their mA


def panel_spec(kind: str, unit: UnitConfig, *, kv: float | None = None) -> Spec:
    """Raises UsageError for a beam that the bench would refuse."""
    own, tube = unit.calibration, unit.tube
    kv = own.kv if kv is None else kv
    ma = min(tube.ma_max, most_ma(tube, kv))
    generator = generator_of(unit.generator, nobody())
    has_monitor = generator.capabilities.has_monitor  # else it tells its mA after the beam
    start_ms = 1000 * own.start_mas / ma
    beam = plan(unit, generator, Technique(kv=kv, ma=ma, ms=start_ms)).effective
    return Spec(
        kind=kind,
        plan=PanelPlan(
            kv=beam.kv,
            ma=beam.ma,
            start_ms=start_ms,
            ms_min=max(tube.time_min_ms, SHORTEST_MS if has_monitor else 0.0),
            ms_max=min(tube.time_max_ms, unit.panel.window_ms - WINDOW_MARGIN_MS),
            step_ms=generator.capabilities.time_step_ms,
            full_scale=(1 << unit.panel.bits_stored) - 1,
            dark_kv=tube.kv_min,
            dark_ma=tube.ma_min,
            window_ms=float(own.window_ms),
            flats=own.flats,
        ),
    )


def flats_kv(spec: Spec) -> float:
    assert isinstance(spec.plan, PanelPlan)
    return spec.plan.kv


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One frame that counts, and what the generator said of its beam."""

    folder: Path
    fired: Fired

    def pixels(self) -> Pixels:
        """Raw counts, rows x columns. Raises DeviceError."""
        try:
            frame = read_frame(self.folder)
        except (ImageError, OSError) as error:
            raise DeviceError(f"a frame of the routine can't be read: {error}") from error
        return np.frombuffer(frame.pixels, "<u2").reshape(frame.rows_px, frame.columns_px)


class Frames:
    """The frames of a routine by part ("dark", "flat", ...), in the order of their making."""

    def __init__(
        self, spec: Spec, results: Sequence[Mapping[str, Any]], runs: Sequence[Path]
    ) -> None:
        """`runs`: the folders of all lives."""
        self._parts: dict[str, list[Shot]] = {}
        for step, fired in made(spec, results):
            if not fired.faults and not fired.released:
                shot = Shot(folder=_folder(fired.shot_id, runs), fired=fired)
                self._parts.setdefault(step.part, []).append(shot)

    def shots(self, part: str) -> list[Shot]:
        return self._parts.get(part, [])

    def parts(self, beginning: str) -> list[str]:
        return [part for part in self._parts if part.startswith(beginning)]

    def pixels(self, part: str) -> Iterator[Pixels]:
        return (shot.pixels() for shot in self.shots(part))


def made(spec: Spec, results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Fire, Fired]]:
    """Every shot and what came of it: the routine is told its results once more."""
    routine = spec.routine()
    step = next(routine, None)
    for data in results:
        result = result_from_dict(data)
        if isinstance(step, Fire) and isinstance(result, Fired):
            yield step, result
        try:
            step = routine.send(result)
        except StopIteration:
            return


def planned_steps(spec: Spec) -> list[Step]:
    """The steps when everything goes as planned. Not for flats: their level is not known."""
    bench_knows = dry_run(spec.routine(), heat_max_j=math.inf, cooling_tau_s=1.0)
    return [row.step for row in bench_knows.rows]


def _folder(shot_id: str, runs: Sequence[Path]) -> Path:
    for run in runs:
        folder = run / "exposures" / shot_id
        if folder.is_dir():
            return folder
    raise DeviceError(f"the frame of {shot_id} is in none of the routine's run folders")
