"""Shipped scenarios on the model rung, for tests: one bench and one set of pixels for all."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rig.bench import Bench, load_bench
from rig.judge import Seen
from rig.model import setting_of
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, Scenario, load_scenario
from sim.build import pixel_model
from sim.pixels import PixelModel

NAMES = tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


@cache
def bench() -> Bench:
    return load_bench("portable")


@cache
def pixels() -> PixelModel:
    return pixel_model(setting_of(bench()))


@cache
def scenario(name: str) -> Scenario:
    return load_scenario(SHIPPED / f"{name}.toml")


@cache
def shipped(name: str) -> tuple[ModelRun, Seen]:
    """As everybody runs it; read only, since all tests share it."""
    return run(name)


def run(
    what: str | Scenario,
    folder: Path | None = None,
    *,
    on: Bench | None = None,
    seed: int | None = None,
    **options: Any,
) -> tuple[ModelRun, Seen]:
    chosen = scenario(what) if isinstance(what, str) else what
    shared = pixels() if seed is None else None
    made = ModelRun(on or bench(), chosen, folder, seed=seed, pixels=shared, **options)
    return made, made.run()


def kept(name: str, folder: Path) -> Path:
    """The run folder of a scenario, tied together."""
    run(name, folder)[0].finish()
    return folder


def trace_of(made: ModelRun) -> str:
    return "".join(line.as_json() + "\n" for line in made.lines)
