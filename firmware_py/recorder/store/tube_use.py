"""When the tube was used, from what the journal says was irradiated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from firmware_py.recorder.store.database import JournalError, explain, open_read_only

_BEAMS = """
SELECT coalesce(d.at, i.at) FROM intent i LEFT JOIN dose d USING (shot_id)
WHERE coalesce(d.beam, json_extract(i.detail, '$.shot.kind') IS NOT 'dark')
"""


def beam_dates(journal: Path) -> list[datetime]:
    """Ends of beams, and of intents whose end is not known, but for dark frames'.

    Raises JournalError.
    """
    if not journal.exists():
        return []
    with closing(open_read_only(journal)) as connection:
        try:
            rows = connection.execute(_BEAMS).fetchall()
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(journal), error) from error
    try:
        dates = [datetime.fromisoformat(at) for (at,) in rows]
    except (ValueError, TypeError) as error:
        raise JournalError(f"Reading the journal: a date makes no sense ({error})") from error
    if any(date.tzinfo is None for date in dates):
        raise JournalError("Reading the journal: a date without a time zone")
    return dates
