"""What the journal knows of each beam: asked for, indicated by the unit, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.exposures import read_beams
from rig.exit_codes import DeviceError
from rig.recovery import journal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotSeen:
    """One beam. `start`: of the beam, UTC, by the unit's computer; None: its dose was lost.

    Commanded is what was asked for, indicated the unit's own feedback; None: not known.
    """

    number: int
    shot_id: str
    start: datetime | None
    commanded: dict[str, float | None]  # kv, ma, mas, ms
    indicated: dict[str, float | None]  # kv, ma, mas, time_ms


def shots_seen(state: Path) -> list[ShotSeen]:
    """Oldest first; only what irradiated, and whose rows are sound. Raises DeviceError."""
    journal = journal_of(state)
    if not journal.exists():
        return []
    try:
        return [_seen(*row) for row in read_beams(journal)]
    except JournalError as error:
        raise DeviceError(str(error)) from error


def _seen(
    number: int, shot_id: str, intent: dict[str, Any], dose_at: str, dose: dict[str, Any]
) -> ShotSeen:
    technique = intent.get("shot", {}).get("technique", {})
    start_us, end_us = dose.get("start_us"), dose.get("end_us")
    start = None
    if start_us is not None and end_us is not None:
        start = datetime.fromisoformat(dose_at) - timedelta(microseconds=end_us - start_us)
    return ShotSeen(
        number=number,
        shot_id=shot_id,
        start=start,
        commanded={name: technique.get(name) for name in ("kv", "ma", "mas", "ms")},
        indicated={
            "kv": dose.get("kv"),
            "ma": dose.get("ma"),
            "mas": dose.get("mas"),
            "time_ms": dose.get("beam_ms"),
        },
    )
