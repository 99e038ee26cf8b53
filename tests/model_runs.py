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
from rig.scenario_on import cannot_show
from sim.build import pixel_model
from sim.pixels import PixelModel

NAMES = tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


@cache
def bench(name: str = "portable") -> Bench:
    return load_bench(name)


@cache
def pixels(name: str = "portable") -> PixelModel:
    return pixel_model(setting_of(bench(name)))


@cache
def told_on(name: str) -> tuple[str, ...]:
    """The shipped scenarios that this bench can show by what they need of it."""
    return tuple(n for n in NAMES if cannot_show(scenario(n), bench(name)) is None)


def home(what: Scenario) -> Bench:
    """Where a scenario is told in the first place: the plainest bench that can show it."""
    return bench("portable" if set(what.needs) <= {"OFF by the unit"} else "room")


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
    where = on or home(chosen)
    panel = "room" if where.name == "room" else "portable"  # all others' pixels do as well
    shared = pixels(panel) if seed is None else None
    made = ModelRun(where, chosen, folder, seed=seed, pixels=shared, **options)
    return made, made.run()


def kept(name: str, folder: Path) -> Path:
    """The run folder of a scenario, tied together."""
    run(name, folder)[0].finish()
    return folder


def trace_of(made: ModelRun) -> str:
    return "".join(line.as_json() + "\n" for line in made.lines)
