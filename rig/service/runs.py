"""Which run is meant: a folder, its name, a shot's id, or the newest of the bench."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rig.exit_codes import CheckFailed, UsageError


def runs_of(state: Path) -> list[Path]:
    """Run folders of a bench, the newest first: their names begin with the date."""
    folder = state / "runs"
    found = [path for path in folder.glob("*") if is_run(path)] if folder.is_dir() else []
    return sorted(found, key=lambda path: path.name, reverse=True)


def is_run(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("trace*.jsonl"))


def find_run(state: Path, named: str | None) -> tuple[Path, str]:
    """(folder, shot id or ""). Raises UsageError when nothing answers to that name."""
    runs = runs_of(state)
    if named is None:
        if not runs:
            raise UsageError(f"no run of bench {state.name} is kept in {state / 'runs'}")
        return runs[0], ""
    path = Path(named)
    if path.is_dir():
        if is_run(path):
            return path, ""
        raise UsageError(f"{named}: is no run: it holds no trace")
    by_name = [run for run in runs if named in (run.name, run.name.rpartition("-")[2])]
    if by_name:
        return by_name[0], ""
    of_shot = next((run for run in runs if named in shots_of(run)), None)
    if of_shot is None:
        raise UsageError(
            f"no run or shot {named!r} of bench {state.name}; `dxrig exposures list` names the "
            "shots, and a run is named by its folder"
        )
    return of_shot, named


def shots_of(run: Path) -> set[str]:
    return {str(line["shot"]) for line in lines_of(run) if line.get("kind") == "report"}


def lines_of(run: Path) -> list[dict[str, Any]]:
    """The trace of all lives. A last line that a kill cut in half is no line."""
    return list(_lines(run))


def _lines(run: Path) -> Iterator[dict[str, Any]]:
    for trace in traces(run):
        try:
            data = trace.read_bytes()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"{trace}: can't be read: {why}") from error
        whole = data[: data.rfind(b"\n") + 1].splitlines()
        for number, line in enumerate(whole, start=1):
            try:
                found = json.loads(line)
                found["t_us"], found["kind"]
            except (ValueError, KeyError, TypeError) as error:
                raise CheckFailed(f"{trace}:{number}: no line of a trace; damaged") from error
            yield found


def traces(run: Path) -> list[Path]:
    """trace.jsonl, trace-2.jsonl, ... in the order of the unit's lives."""
    return sorted(run.glob("trace*.jsonl"), key=lambda path: (len(path.name), path.name))
