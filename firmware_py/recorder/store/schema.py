"""The journal's tables, and how an older file becomes one of today's.

A migration works on a copy (`rebuild.py`): the old file stays beside it under its version.
"""

from __future__ import annotations

import sqlite3

SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE intent (
    shot_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, at TEXT NOT NULL,
    exam_id TEXT NOT NULL, planned_mas REAL NOT NULL, maximum_mas REAL NOT NULL,
    detail TEXT NOT NULL, event_uid TEXT UNIQUE) STRICT;
CREATE TABLE dose (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL,
    beam INTEGER NOT NULL CHECK (beam IN (0, 1)), mas REAL CHECK (mas >= 0),
    reason TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE image (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE acknowledgement (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL) STRICT;
"""

# from which version -> the statements that make the next one of it
MIGRATIONS = {
    # SR-55: an irradiation event UID is used once, also after an old copy was put back.
    1: """
    CREATE TABLE intent_2 (
        shot_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, at TEXT NOT NULL,
        exam_id TEXT NOT NULL, planned_mas REAL NOT NULL, maximum_mas REAL NOT NULL,
        detail TEXT NOT NULL, event_uid TEXT UNIQUE) STRICT;
    INSERT INTO intent_2 SELECT shot_id, number, at, exam_id, planned_mas, maximum_mas, detail,
        json_extract(detail, '$.uids.irradiation_event') FROM intent;
    DROP TABLE intent;
    ALTER TABLE intent_2 RENAME TO intent
    """,
}


def migrate(copy: sqlite3.Connection) -> None:
    """From its version to today's, one after the other. Raises sqlite3.Error."""
    (version,) = copy.execute("PRAGMA user_version").fetchone()
    for step in range(version, SCHEMA_VERSION):
        for statement in MIGRATIONS[step].split(";"):
            copy.execute(statement)
    copy.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
