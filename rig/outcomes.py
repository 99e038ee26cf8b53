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
from itertools import groupby
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
from rig.scenario_on import cannot_show, makes_no_beam, on_bench
from rig.session import die_with_parent
from rig.toml_lines import key_lines
from sim.build import pixel_model
from sim.pixels import PixelModel
from sim.script import UNIT_VERBS, NotOnThisBenchError, ScriptError, do


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    scenario: Scenario
    bench: Bench
    rung: str  # model | wire
    seed: int
    out: Path | None  # the run's folder; None: nothing is kept
    not_run: str | None = None  # why this bench can't show the scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    bench: str
    name: str
    title: str
    covers: tuple[str, ...]
    seconds: float
    problems: tuple[str, ...] = ()  # seen and expected differ
    skipped: tuple[str, ...] = ()  # expected, but not judged on this rung: "which: why"
    error: str | None = None  # it could not be run to its end
    not_run: str | None = None  # why this bench can't show it
    states: tuple[str, ...] = ()
    end_reason: str | None = None
    trace_sha256: str | None = None
    folder: str | None = None

    @property
    def passed(self) -> bool:
        return not self.failed and self.not_run is None

    @property
    def failed(self) -> bool:
        return bool(self.problems) or self.error is not None


def load_tasks(
    paths: Sequence[Path],
    benches: Sequence[Bench],
    *,
    rung: str,
    seed: int | None,
    out: Path | None,
) -> list[Task]:
    """Bench by bench. Raises ConfigError with the mistakes of all files, before anything runs."""
    tasks, messages = [], []
    for bench in benches:
        unfit = makes_no_beam(bench) if len(benches) > 1 else None  # alone it is a mistake
        pixels = None if unfit else pixel_model(setting_of(bench))
        place = out / bench.name if out is not None and len(benches) > 1 else out
        for path in paths:
            try:
                scenario = load_scenario(path)
                reason = unfit or cannot_show(scenario, bench)
                if reason is None and pixels is not None:
                    scenario, reason = rehearsed(scenario, bench, path, pixels)
            except ConfigError as error:
                messages += error.messages
                continue
            tasks.append(
                Task(
                    scenario=scenario,
                    bench=bench,
                    rung=rung,
                    seed=bench.sim.seed if seed is None else seed,
                    out=None if place is None else place / scenario.name,
                    not_run=reason,
                )
            )
    if messages:
        raise ConfigError(list(dict.fromkeys(messages)))
    return tasks


def rehearsed(
    scenario: Scenario, bench: Bench, path: Path, pixels: PixelModel
) -> tuple[Scenario, str | None]:
    """With this bench's numbers: can it make the shot, does its room understand the steps?

    The text: what the scenario does that only other benches have. Raises ConfigError.
    """
    mistakes, reason = [], None
    try:
        scenario = on_bench(scenario, bench)
        shot_of(bench, scenario.shot, scenario.name)
    except (ValueError, UsageError) as error:
        mistakes.append(Mistake(path=("shot",), text=str(error)))
    for index, section in enumerate(scenario.step):
        for step in steps_of(section):
            if step.args and step.do not in UNIT_VERBS:
                try:
                    do(ModelRung(bench, pixels=pixels).world, step.do, step.args)
                except NotOnThisBenchError as error:
                    reason = str(error)
                except ScriptError as error:
                    mistakes.append(Mistake(path=("step", index, "args"), text=str(error)))
    if mistakes:
        lines = key_lines(path.read_text(encoding="utf-8"))
        raise ConfigError(told(shown_path(path), lines, mistakes))
    return scenario, reason


# --- one


def attempt(task: Task, pixels: PixelModel | None = None) -> Outcome:
    """A device or link that fails the run is the outcome's error."""
    facts = _facts(task)
    if task.not_run is not None:
        return Outcome(**facts, seconds=0.0, not_run=task.not_run)
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
        **facts,
        seconds=round(time.perf_counter() - started_s, 3),
        problems=() if error else tuple(problems(task.scenario.expect, seen)),
        skipped=() if error else tuple(skipped(task.scenario.expect, seen)),
        error=error,
        states=tuple(seen.states()),
        end_reason=report.get("reason"),
        trace_sha256=sha256,
        folder=str(task.out) if task.out else None,
    )


def _facts(task: Task) -> dict[str, Any]:
    scenario = task.scenario
    return {
        "bench": task.bench.name,
        "name": scenario.name,
        "title": scenario.title,
        "covers": tuple(scenario.covers),
    }


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
        for _, those in groupby(tasks, key=lambda task: task.bench.name):
            yield from _in_order(list(those))
    else:
        yield from _side_by_side(tasks, jobs)


def _in_order(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Of one bench: the panel's maps take the time, and are the same for all."""
    is_run = any(task.not_run is None for task in tasks)
    pixels = pixel_model(setting_of(tasks[0].bench, tasks[0].seed)) if is_run else None
    yield from (attempt(task, pixels) for task in tasks)


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
