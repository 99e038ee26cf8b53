"""What the journal says of each exposure: an intent, and how it ended.

Read beside the one writer; the newest fifty cost the same whether there are a hundred or
ten thousand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.database import explain, open_read_only
from firmware_py.recorder.store.schema import COLUMNS, sound
from hal.types import EndReason, ShotKind

# The reason of a dose that was written by the next run, for a unit or recorder that died.
LOST = "unit or recorder lost"

_SOUND = " AND ".join(
    [sound("intent", "i")]
    + [
        f"({row}.shot_id IS NULL OR {sound(table, row)})"
        for table, row in (("dose", "d"), ("image", "m"), ("acknowledgement", "a"))
    ]
)
_OF_DOSE = "CASE WHEN json_valid(d.detail) THEN json_extract(d.detail, '$.{}') END"
_SELECT = f"""
SELECT i.shot_id, i.number, i.at, i.exam_id, i.planned_mas, i.maximum_mas,
       d.beam, d.mas, d.reason, m.detail, a.who, a.why,
       CASE WHEN json_valid(i.detail) THEN coalesce(json_extract(i.detail, '$.shot.kind'),
       'imaging') ELSE 'imaging' END, {_SOUND},
       {_OF_DOSE.format("maximum_mas")}, {_OF_DOSE.format("bound_by")}
FROM intent i LEFT JOIN dose d USING (shot_id) LEFT JOIN image m USING (shot_id)
LEFT JOIN acknowledgement a USING (shot_id)
"""
_ALL = f"{_SELECT} ORDER BY i.number"
_NEWEST = f"{_SELECT} ORDER BY i.number DESC LIMIT ?"
_ONE = f"{_SELECT} WHERE i.shot_id = ?1 OR i.number = ?2 ORDER BY i.shot_id <> ?1"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One row of the list: an intent and what became of it. None = not recorded."""

    shot_id: str
    number: int
    at: str
    exam_id: str
    planned_mas: float
    maximum_mas: float  # by its programme
    beam: bool | None
    mas: float | None
    reason: str | None
    image: str | None  # JSON: files and their sha256
    acknowledged_by: str | None
    acknowledged_why: str | None
    kind: str  # ShotKind, from the intent
    sound: bool = True  # every row is as it was written
    bound_mas: float | None = None  # where the dose has a bound of its own ...
    bound_by: str | None = None  # ... and by what, where its unit did not live to report it

    @property
    def at_most_mas(self) -> float:
        """It had no more: by what is known of its end, else by its programme."""
        return self.maximum_mas if self.bound_mas is None else self.bound_mas

    @property
    def missing(self) -> str | None:
        """What recovery must look at: "record", "dose", "image", or None when all is there."""
        if not self.sound:
            return "record"
        if self.beam is None or (self.beam and self.reason == LOST):
            return "dose"
        awaited = self.beam and self.kind != ShotKind.NO_RECEPTOR
        return "image" if awaited and self.image is None else None

    @property
    def incomplete(self) -> bool:
        """It lacks something, and nobody has acknowledged that."""
        return self.missing is not None and self.acknowledged_by is None

    @property
    def outcome(self) -> str:
        """One of the four ends (I2); "open" while it is under way, or since its recorder died.

        "damaged": what the journal says of it is not what was written.
        """
        if not self.sound:
            return "damaged"
        if self.beam is None:
            return "open"
        if not self.beam:
            return "no beam"
        if self.reason == EndReason.OBSERVED.value:
            return "observed"
        if self.mas is None:
            return "unknown dose"
        as_planned = self.reason == EndReason.PLANNED.value and self.missing is None
        return "complete" if as_planned else "aborted"

    @property
    def dose_text(self) -> str:
        if not self.sound:
            return "not known, its record is damaged"
        if self.beam is False:
            return "no beam"
        if self.mas is None:
            by = f", by {self.bound_by}" if self.bound_by else ""
            return f"unknown, at most {self.at_most_mas:g} mAs{by}"
        return f"{self.mas:g} mAs"


def read_exposures(journal: Path, last: int | None = None) -> list[Exposure]:
    """All, or the `last` ones, oldest first. Raises JournalError."""
    with _reading(journal) as connection:
        if last is None:
            return exposures_of(connection)
        return [_exposure(row) for row in connection.execute(_NEWEST, (last,))][::-1]


def read_exposure(journal: Path, which: str) -> tuple[Exposure, dict[str, str]] | None:
    """By id or number, with the texts of "intent", "dose" and "image". Raises JournalError."""
    number = int(which) if which.isdecimal() and len(which) < 10 else -1
    with _reading(journal) as connection:
        row = connection.execute(_ONE, (which, number)).fetchone()
        if row is None:
            return None
        exposure = _exposure(row)
        details = {
            table: text
            for table in ("intent", "dose", "image")
            for (text,) in connection.execute(
                f"SELECT detail FROM {table} WHERE shot_id = ?",
                (exposure.shot_id,),
            )
        }
    return exposure, details


def read_beams(journal: Path) -> list[tuple[int, str, dict[str, Any], str, dict[str, Any]]]:
    """Each beam whose rows are sound, oldest first. Raises JournalError.

    Number, id, detail of the intent; when the beam ended, ISO 8601; detail of the dose.
    """
    sql = (
        "SELECT i.number, i.shot_id, i.detail, d.at, d.detail FROM intent i JOIN dose d "
        f"USING (shot_id) WHERE d.beam AND {sound('intent', 'i')} AND {sound('dose', 'd')} "
        "ORDER BY i.number"
    )
    with _reading(journal) as connection:
        rows = connection.execute(sql).fetchall()
    return [(row[0], row[1], json.loads(row[2]), row[3], json.loads(row[4])) for row in rows]


def read_image_at(journal: Path, shot_id: str) -> str | None:
    """When its frame was there, ISO 8601; None: there is no image. Raises JournalError."""
    with _reading(journal) as connection:
        sql = "SELECT at FROM image WHERE shot_id = ?"
        row = connection.execute(sql, (shot_id,)).fetchone()
    return None if row is None else str(row[0])


def damage(journal: Path) -> list[str]:
    """What is wrong with the whole file, page by page and row by row. Raises JournalError."""
    with _reading(journal) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check(20)")]
        found = [] if found == ["ok"] else found
        for table in COLUMNS:
            query = f"SELECT shot_id FROM {table} AS t WHERE NOT ({sound(table, 't')})"
            ids = [shot_id for (shot_id,) in connection.execute(query)]
            found += [f"{table} of {shot_id}: is not what was written" for shot_id in ids]
    return found


def exposure_of(connection: sqlite3.Connection, shot_id: str) -> Exposure | None:
    """Raises sqlite3.Error."""
    row = connection.execute(_ONE, (shot_id, -1)).fetchone()
    return None if row is None else _exposure(row)


def exposures_of(connection: sqlite3.Connection) -> list[Exposure]:
    """All, oldest first. Raises sqlite3.Error."""
    return [_exposure(row) for row in connection.execute(_ALL)]


@contextmanager
def _reading(journal: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_read_only(journal)) as connection:
        try:
            yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise explain("Reading the journal", str(journal), error) from error


def _exposure(row: Sequence[Any]) -> Exposure:
    beam = None if row[6] is None else bool(row[6])
    return Exposure(*(*row[:6], beam, *row[7:13], bool(row[13]), *row[14:]))
