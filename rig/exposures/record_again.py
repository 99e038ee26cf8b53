"""exposure.json made again from the journal, and proved by the sha256 of when it was saved.

Intent, report, UIDs, dates and sums are in the journal. What is not is said elsewhere: the
recorder's setup in the run's `work/recorder*.json`, in the records of the run's other exposures,
or in what can still be read of this one; the panel set in the run's folder; which frames lag
was taken out of is one of a few possibilities. Each is tried; only the sum decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from firmware_py.recorder.archive import PROCESSING, RECORD, record_bytes
from firmware_py.recorder.earlier_frames import REMEMBERED_FRAMES
from firmware_py.recorder.lost_exposure import reported
from firmware_py.recorder.messages import SCHEMA
from firmware_py.recorder.process import read_config
from rig.exposures.made_again import NotAgainError
from rig.exposures.stored import Stored

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known of a record's surroundings.

    `imaged_at`: by the journal. `before`: the run's exposures before it, oldest first.
    `panel_sets`: sha256 of those that may have been used; they are asked for when needed.
    """

    imaged_at: str
    before: Sequence[str]
    panel_sets: Iterable[str]


def record_again(one: Stored, around: Around) -> bytes:
    """Raises NotAgainError."""
    assert one.folder is not None
    wanted = one.sha256[RECORD]
    for content in _possible(one, one.folder, around):
        if hashlib.sha256(found := record_bytes(content)).hexdigest() == wanted:
            return found
    raise NotAgainError("what the journal and its run's folder still say gives another record")


def _possible(one: Stored, folder: Path, around: Around) -> Iterator[dict[str, Any]]:
    run = folder.parents[1]
    known = _readable(folder / RECORD)
    files = {name: sha256 for name, sha256 in one.sha256.items() if name != RECORD}
    raw = PROCESSING not in one.sha256
    sets = () if raw else tuple(_first(known.get("panel_set"), around.panel_sets))
    for setup in _setups(run, known):
        try:
            content = _of_journal(one, around.imaged_at, setup) | {"files": files}
        except (LookupError, TypeError, ValueError):
            continue
        if raw:
            yield content | {"raw": True}
            continue
        for panel_set, earlier in product(sets, _chains(around.before, known)):
            yield content | {"panel_set": panel_set, "earlier": earlier}


def _of_journal(one: Stored, imaged_at: str, setup: Mapping[str, Any]) -> dict[str, Any]:
    started_at = datetime.fromisoformat(setup["started_at"])

    def us(at: str) -> int:
        return round((datetime.fromisoformat(at) - started_at) / _US)

    intent = {k: v for k, v in one.intent.items() if k not in ("uids", "run_dir", "observed")}
    return {
        "schema": SCHEMA,
        "setup": setup,
        "intent": intent | {"at_us": us(one.exposure.at)},
        "report": reported(one.dose),
        "uids": one.intent["uids"],
        "number": one.exposure.number,
        "imaged_us": us(imaged_at),
    }


def _setups(run: Path, known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for config in sorted((run / "work").glob("recorder*.json")):  # one for each life of a unit
        with suppress(OSError, ValueError):
            yield read_config(config).setup.to_dict()
    records = [known, *map(_readable, sorted(run.glob(f"exposures/*/{RECORD}")))]
    for setup in (record.get("setup") for record in records):
        if isinstance(setup, dict):
            yield setup


def _first(name: object, others: Iterable[str]) -> Iterator[str]:
    if isinstance(name, str):
        yield name
    yield from others


def _chains(before: Sequence[str], known: Mapping[str, Any]) -> Iterator[list[Any]]:
    """(frames ago, shot): of none, the one before, the two before, ..."""
    if isinstance(chain := known.get("earlier"), list):
        yield chain
    for count in range(min(len(before), REMEMBERED_FRAMES) + 1):
        newest = before[len(before) - count :]
        yield [[count - index, shot_id] for index, shot_id in enumerate(newest)]


def _readable(path: Path) -> dict[str, Any]:
    """Empty where it is damaged beyond reading. What it says is only ever tried."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
