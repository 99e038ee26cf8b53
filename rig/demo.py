"""One simulated exposure with the technique that was asked for, and whether it went well."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hal.types import EndReason, Technique
from rig.bench import Bench
from rig.drivers import generator_of, nobody
from rig.judge import problems
from rig.plan import plan
from rig.run_folder import as_dict
from rig.run_model import ModelRun
from rig.run_wire import WireRun
from rig.scenario import SHIPPED, Scenario, ShotSection, load_scenario
from rig.state_dir import bench_state, new_folder, run_folder

Follow = Callable[[dict[str, Any]], None]
FILES = {  # what people open, by its place in the run folder
    "presentation": "exposures/demo-1/presentation.dcm",
    "processing": "exposures/demo-1/processing.dcm",
    "preview": "exposures/demo-1/preview.png",
    "curve": "curve.svg",
    "trace": "trace.txt",
    "record": "record.bin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    folder: Path
    manifest: dict[str, Any]  # run.json
    files: dict[str, str]
    problems: tuple[str, ...]

    @property
    def ended_as_planned(self) -> bool:
        return bool(self.manifest["end_reason"] == EndReason.PLANNED.value)


def prepared(bench: Bench, technique: Technique, out: Path | None) -> Path:
    """The run's folder, before anything starts.

    Raises UsageError for a technique that the bench would refuse or a folder of no use.
    """
    plan(bench.unit, generator_of(bench.unit.generator, nobody()), technique)
    return new_folder(out).resolve() if out else _own_folder(bench)


def demo(
    bench: Bench,
    technique: Technique,
    *,
    rung: str,
    seed: int | None,
    folder: Path,
    follow: Follow,
) -> Demo:
    """`folder`: of `prepared`."""
    scenario = _scenario(technique)
    run = (
        ModelRun(bench, scenario, folder, seed=seed, on_line=lambda line: follow(as_dict(line)))
        if rung == "model"
        else WireRun(bench, scenario, folder, seed=seed, on_line=follow)
    )
    seen = run.run()
    manifest = run.finish()
    return Demo(
        folder=folder,
        manifest=manifest,
        files={n: str(folder / place) for n, place in FILES.items() if (folder / place).is_file()},
        problems=tuple(problems(run.scenario.expect, seen)),
    )


def _scenario(technique: Technique) -> Scenario:
    """The clean exposure with another shot."""
    clean = load_scenario(SHIPPED / "clean_by_mas.toml")
    shot = ShotSection(kv=technique.kv, ma=technique.ma, mas=technique.mas, ms=technique.ms)
    expect = clean.expect.model_copy(update={"true_mas": technique.planned_mas, "true_s": None})
    return clean.model_copy(update={"name": "demo", "shot": shot, "expect": expect})


def _own_folder(bench: Bench) -> Path:
    runs = bench_state(bench.name) / "runs"
    return run_folder(runs, bench.name, datetime.now(UTC), secrets.token_hex(3))
