"""Whether AEC is locked when a unit starts: by its last automatic exposure (SR-22).

A lock ends with a person's reset, and a unit that ends forgets that. So a reset counts for the unit
that saw it: until an automatic exposure has ended well, each next one starts locked again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from firmware_py.decide.own_account import LOCKS_AEC
from firmware_py.recorder.store.database import JournalError, explain, open_read_only

_LAST = """
SELECT json_extract(d.detail, '$.fault') FROM dose d JOIN intent i USING (shot_id)
WHERE d.beam AND json_extract(d.detail, '$.shot.technique.aec') IS NOT NULL
ORDER BY i.number DESC LIMIT 1
"""


def stored_aec_lock(journal: Path) -> str | None:
    """The fault that locked it. A journal that can't be read lets nobody expose anyway: None."""
    if not journal.exists():
        return None
    try:
        fault = _last_fault(journal)
    except JournalError:
        return None
    return fault if fault in LOCKS_AEC else None


def _last_fault(journal: Path) -> str | None:
    with closing(open_read_only(journal)) as connection:
        try:
            row = connection.execute(_LAST).fetchone()
        except sqlite3.Error as error:
            raise explain("Reading the journal", str(journal), error) from error
    return row[0] if row else None
