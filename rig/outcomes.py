"""Scenarios run one after the other (model) or side by side (wire), and what came of each."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from rig.bench import Bench
from rig.bench_names import shown_path
from rig.config_errors import Mistake, told
from rig.exit_codes import ConfigError, DxrigError, UsageError
from rig.judge import Seen, problems, skipped
from rig.model import ModelRung, setting_of
from rig.run_folder import trace_sha256
from rig.run_model import ModelRun, shot_of
from rig.run_wire import WireRun
from rig.scenario import Scenario, load_scenario, steps_of
from rig.session import die_with_parent
from rig.toml_lines import key_lines
from sim.build import pixel_model
from sim.pixels import PixelModel
from sim.script import UNIT_VERBS, ScriptError, do


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    scenario: Scenario
    bench: Bench
    rung: str  # model | wire
    seed: int
    out: Path | None  # the run's folder; None: nothing is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    name: str
    title: str
    covers: tuple[str, ...]
    seconds: float
    problems: tuple[str, ...] = ()  # seen and expected differ
    skipped: tuple[str, ...] = ()  # expected, but not judged on this rung: "which: why"
    error: str | None = None  # it could not be run to its end
    states: tuple[str, ...] = ()
    end_reason: str | None = None
    trace_sha256: str | None = None
    folder: str | None = None

    @property
    def passed(self) -> bool:
        return not self.problems and self.error is None


def load_tasks(
    paths: Sequence[Path], bench: Bench, *, rung: str, seed: int | None, out: Path | None
) -> list[Task]:
    """Raises ConfigError with the mistakes of all files, before anything runs."""
    tasks, messages = [], []
    pixels = pixel_model(setting_of(bench))
    for path in paths:
        try:
            scenario = load_scenario(path)
            rehearse(scenario, bench, path, pixels)
        except ConfigError as error:
            messages += error.messages
            continue
        folder = None if out is None else out / scenario.name
        chosen_seed = bench.sim.seed if seed is None else seed
        tasks.append(Task(scenario=scenario, bench=bench, rung=rung, seed=chosen_seed, out=folder))
    if messages:
        raise ConfigError(messages)
    return tasks


def rehearse(scenario: Scenario, bench: Bench, path: Path, pixels: PixelModel) -> None:
    """Can this bench make the shot, and does its room understand the steps' values?"""
    mistakes = []
    try:
        shot_of(bench, scenario.shot, scenario.name)
    except (ValueError, UsageError) as error:
        mistakes.append(Mistake(path=("shot",), text=str(error)))
    for index, section in enumerate(scenario.step):
        for step in steps_of(section):
            if step.args and step.do not in UNIT_VERBS:
                try:
                    do(ModelRung(bench, pixels=pixels).world, step.do, step.args)
                except ScriptError as error:
                    mistakes.append(Mistake(path=("step", index, "args"), text=str(error)))
    if mistakes:
        lines = key_lines(path.read_text(encoding="utf-8"))
        raise ConfigError(told(shown_path(path), lines, mistakes))


# --- one


def attempt(task: Task, pixels: PixelModel | None = None) -> Outcome:
    """A device or link that fails the run is the outcome's error."""
    started_s = time.perf_counter()
    seen, sha256, error = Seen(), None, None
    with _folder(task) as folder:
        try:
            seen = _run(task, folder, pixels)
            sha256 = trace_sha256(folder)
        except DxrigError as failure:
            error = str(failure)
    report: dict[str, Any] = next(reversed(seen.of("report")), {})
    return Outcome(
        name=task.scenario.name,
        title=task.scenario.title,
        covers=tuple(task.scenario.covers),
        seconds=round(time.perf_counter() - started_s, 3),
        problems=() if error else tuple(problems(task.scenario.expect, seen)),
        skipped=() if error else tuple(skipped(task.scenario.expect, seen)),
        error=error,
        states=tuple(seen.states()),
        end_reason=report.get("reason"),
        trace_sha256=sha256,
        folder=str(task.out) if task.out else None,
    )


def _run(task: Task, folder: Path, pixels: PixelModel | None) -> Seen:
    run = (
        ModelRun(task.bench, task.scenario, folder, seed=task.seed, pixels=pixels)
        if task.rung == "model"
        else WireRun(task.bench, task.scenario, folder, seed=task.seed)
    )
    seen = run.run()
    if task.out is not None:
        run.finish()
    return seen


@contextlib.contextmanager
def _folder(task: Task) -> Iterator[Path]:
    if task.out is not None:
        task.out.mkdir(parents=True)
        yield task.out
        return
    with tempfile.TemporaryDirectory(prefix="dxrig-") as name:
        yield Path(name)


# --- many


def outcomes(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """As they end: in order on the model rung, `jobs` at a time on the wire rung."""
    if tasks and tasks[0].rung == "model":
        pixels = pixel_model(setting_of(tasks[0].bench, tasks[0].seed))
        yield from (attempt(task, pixels) for task in tasks)
    else:
        yield from _side_by_side(tasks, jobs)


def _side_by_side(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """Each in a process of its own; whatever ends us ends them first, in their own order."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once, not once a scenario
    waiting = list(tasks)
    running: dict[Connection, ForkServerProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_worker, args=(theirs, waiting.pop(0)))
                process.start()
                theirs.close()
                running[ours] = process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                yield _received(ready)
                running.pop(ready).join()
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _worker(connection: Connection, task: Task) -> None:
    """Ctrl-C is for the parent, which ends us with a SIGTERM: that unwinds and cleans up."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _unwind)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            connection.send(attempt(task))
        except Exception as error:
            error.add_note(traceback.format_exc())
            connection.send(error)


def _unwind(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _received(connection: Connection) -> Outcome:
    with connection:
        answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Outcome)
    return answer
