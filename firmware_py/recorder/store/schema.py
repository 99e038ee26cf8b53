"""The journal's tables, and how an older file becomes one of today's.

Each row carries a seal: a checksum of its values, for SQLite's pages have none, and a bit that
turns in a number is a number, too. A migration works on a copy (`rebuild.py`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3

SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE intent (
    shot_id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, at TEXT NOT NULL,
    exam_id TEXT NOT NULL, planned_mas REAL NOT NULL, maximum_mas REAL NOT NULL,
    detail TEXT NOT NULL, event_uid TEXT UNIQUE, seal TEXT NOT NULL) STRICT;
CREATE TABLE dose (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL,
    beam INTEGER NOT NULL CHECK (beam IN (0, 1)), mas REAL CHECK (mas >= 0),
    reason TEXT NOT NULL, detail TEXT NOT NULL, seal TEXT NOT NULL) STRICT;
CREATE TABLE image (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL, detail TEXT NOT NULL,
    seal TEXT NOT NULL) STRICT;
CREATE TABLE acknowledgement (
    shot_id TEXT PRIMARY KEY REFERENCES intent, at TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, seal TEXT NOT NULL) STRICT;
"""

# All columns but the seal, in the order of the tables.
COLUMNS = {
    "intent": (
        "shot_id", "number", "at", "exam_id", "planned_mas", "maximum_mas", "detail", "event_uid",
    ),
    "dose": ("shot_id", "at", "beam", "mas", "reason", "detail"),
    "image": ("shot_id", "at", "detail"),
    "acknowledgement": ("shot_id", "at", "who", "why"),
}  # fmt: skip

_OLD = "ALTER TABLE {0} RENAME TO {0}_1"
_COPY = "INSERT INTO {0} SELECT *, seal('{0}', {1}) FROM (SELECT {2} FROM {0}_1)"
_DROP = "DROP TABLE {0}_1"
# What version 1 did not have. SR-55: an irradiation event UID is used once.
_NEW_IN_2 = {"event_uid": "json_extract(detail, '$.uids.irradiation_event') AS event_uid"}


def seal(table: str, *values: object) -> str:
    """Of a row's values as they are stored: text, numbers, None. SQL knows it as `seal`."""
    return hashlib.sha256(json.dumps([table, *values]).encode()).hexdigest()[:32]


def teach(connection: sqlite3.Connection) -> None:
    connection.create_function("seal", -1, seal, deterministic=True)


def sound(table: str, row: str) -> str:
    """SQL: is this row as it was written? `row`: the table's name in the query."""
    columns = ", ".join(f"{row}.{name}" for name in COLUMNS[table])
    return f"{row}.seal IS seal('{table}', {columns})"


def migrate(copy: sqlite3.Connection) -> None:
    """From version 1 to today's. Raises sqlite3.Error."""
    teach(copy)
    copy.execute("PRAGMA legacy_alter_table=ON")  # what refers to a table goes on doing so
    for table in COLUMNS:
        copy.execute(_OLD.format(table))
    for statement in SCHEMA.split(";"):
        copy.execute(statement)
    for table, columns in COLUMNS.items():
        taken = ", ".join(_NEW_IN_2.get(name, name) for name in columns)
        copy.execute(_COPY.format(table, ", ".join(columns), taken))
    for table in reversed(COLUMNS):
        copy.execute(_DROP.format(table))
    copy.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
