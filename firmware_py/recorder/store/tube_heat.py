"""The heat that earlier runs left in the tube, from what the journal says was irradiated.

An unknown dose counts with its maximum. A clock that runs behind the journal gives no age
to cool by, and a journal that can't be read gives no heat at all: both count as hot (SR-16).
"""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from firmware_py.config import TubeConfig
from firmware_py.decide.tube_load import energy_j
from firmware_py.recorder.store.database import JournalError, explain, open_read_only

_LOADS = """
SELECT coalesce(d.at, i.at), coalesce(d.mas, i.maximum_mas), i.detail
FROM intent i LEFT JOIN dose d USING (shot_id) WHERE d.beam IS NOT 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHeat:
    heat_j: float
    doubt: str | None = None  # why it was not worked out, but assumed


COLD = StoredHeat(heat_j=0.0)


@dataclass(frozen=True, slots=True)
class _Load:
    at: datetime
    energy_j: float


def stored_heat(journal: Path, tube: TubeConfig, at: datetime) -> StoredHeat:
    """In the tube at that date. No journal: nothing was ever irradiated, the tube is cold."""
    if not journal.exists():
        return COLD
    try:
        loads = _loads(journal, tube.kv_max)
        newest = max((load.at for load in loads), default=at)
        heat_j = _sum_j(loads, tube, max(at, newest))
    except JournalError as error:
        return StoredHeat(heat_j=tube.heat_max_j, doubt=f"the tube counts as hot: {error}")
    if newest > at:
        when = newest.isoformat(timespec="seconds")
        return StoredHeat(heat_j=heat_j, doubt=f"the clock is behind the exposure of {when}")
    return StoredHeat(heat_j=heat_j)


def _sum_j(loads: list[_Load], tube: TubeConfig, at: datetime) -> float:
    ages_s = ((at - load.at).total_seconds() for load in loads)
    return math.fsum(
        load.energy_j * math.exp(-age_s / tube.cooling_tau_s)
        for load, age_s in zip(loads, ages_s, strict=True)
    )


def _loads(journal: Path, kv_max: float) -> list[_Load]:
    with closing(open_read_only(journal)) as connection:
        try:
            rows = connection.execute(_LOADS).fetchall()
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(journal), error) from error
    try:
        return [_load(at, mas, detail, kv_max) for at, mas, detail in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"Reading the journal: an exposure makes no sense ({error})") from error


def _load(at: str, mas: float, detail: str, kv_max: float) -> _Load:
    """A beam that nobody was asked for may have had any kV: it counts with the tube's highest."""
    intent = json.loads(detail)
    is_unasked = "observed" in intent and "unasked" in intent["observed"]
    kv = kv_max if is_unasked else intent["shot"]["technique"]["kv"]
    when = datetime.fromisoformat(at)
    if when.tzinfo is None:
        raise ValueError(f"{at}: a date without a time zone")
    return _Load(when, energy_j(float(kv), mas))
