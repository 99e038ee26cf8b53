"""What is kept of a routine that is under way, so that a crash loses no step.

`STATE/routine-KIND.json`: the plan, every result so far, the lives of the unit and their run
folders. Written whole after each result. Each kind has its own: a warm-up that waits for a
charge is not lost to a calibration in between.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from firmware_py.routines.spec import Spec
from rig.exit_codes import DeviceError
from rig.state_dir import write_private


@dataclass(slots=True, kw_only=True)
class Progress:
    """`at`: of the newest result, or of the start. `suspended`: it waits for a charge."""

    routine_id: str
    kind: str
    spec: dict[str, Any]
    unit_serial: str
    panel_id: str
    operator: str
    started: str
    at: str
    suspended: bool = False
    lives: int = 0
    runs: list[str] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def save(self, state: Path) -> None:
        text = json.dumps({"schema": 1, **asdict(self)}, indent=1)
        write_private(path_of(state, self.kind), text + "\n")

    def age_s(self, at: datetime) -> float:
        return (at - datetime.fromisoformat(self.at)).total_seconds()


def path_of(state: Path, kind: str) -> Path:
    return state / f"routine-{kind}.json"


def load(state: Path, kind: str) -> Progress | None:
    """None where no such routine is under way. Raises DeviceError for a file that is none."""
    path = path_of(state, kind)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        data = json.loads(text)
        if data.pop("schema") != 1:
            raise ValueError("another schema")
        return Progress(**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(
            f"{path}: no routine can be resumed from it ({error}); begin anew with --restart"
        ) from error


def forget(state: Path, kind: str) -> None:
    path_of(state, kind).unlink(missing_ok=True)


def why_not(
    kept: Progress, spec: Spec, *, unit_serial: str, panel_id: str, at: datetime, limit_s: float
) -> str | None:
    """Why it is not safe to go on where it ended; None = it is."""
    if kept.kind != spec.kind or kept.spec["plan"] != _plain(spec)["plan"]:
        return "it was of another plan"
    if kept.unit_serial != unit_serial:
        return f"it was of another unit, {kept.unit_serial}"
    if kept.panel_id != panel_id:
        return f"it was of another panel, {kept.panel_id}"
    age_s = kept.age_s(at)
    if age_s < 0:
        return "the clock is behind its last step"
    if age_s > limit_s:
        return f"its last step is {age_s / 60:.0f} min ago, more than {limit_s / 60:.0f} min"
    return None


def _plain(spec: Spec) -> dict[str, Any]:
    """As it comes back from a file."""
    plain: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    return plain
