"""When the generator's own timer was last seen to end a beam, from the journal (SR-46).

A beam by mAs is ended by the unit, so it proves nothing of the timer behind it; a beam by time
that ended as planned does. The watchdog can't be seen to act on a bench whose enable relay
drops first: its setting is read back before each beam.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from firmware_py.recorder.store.database import JournalError, explain, open_read_only
from hal.types import EndReason

_TIMED = """
SELECT max(d.at) FROM dose d
WHERE d.beam AND d.reason = ? AND json_extract(d.detail, '$.shot.technique.ms') IS NOT NULL
"""


def timer_proved(journal: Path) -> datetime | None:
    """None: never. Raises JournalError."""
    if not journal.exists():
        return None
    with closing(open_read_only(journal)) as connection:
        try:
            (at,) = connection.execute(_TIMED, (EndReason.PLANNED.value,)).fetchone()
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(journal), error) from error
    try:
        return None if at is None else datetime.fromisoformat(at)
    except ValueError as error:
        raise JournalError(f"Reading the journal: a date makes no sense ({error})") from error
