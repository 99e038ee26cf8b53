"""What `sets.json` says of a panel's sets: who made which, from which, and which is current.

Pure: texts in, texts out. The files beside it are `sets.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from firmware_py.recorder.image.maps import PanelSet, PanelSetError

SCHEMA = 1
KEPT_COUNT = 8  # newest files that pruning leaves alone


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDates:
    """Of one part of a set: when it was made and until when it may be used."""

    created: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A row of the history: a set that was made, or an earlier one that became current again."""

    number: int  # of the set that this row made current
    kind: Literal["made", "rollback"]
    at: datetime
    operator: str
    changed: str  # the parts that are new, as in "offset"; of a rollback ""
    from_version: int | None  # made: what it was derived from; rollback: what was left
    why: str  # made: the routine's id; rollback: the reason
    verdict: str
    sha256: str
    parts: Mapping[str, PartDates] = field(default_factory=dict)
    pruned: bool = False  # the file was removed, the row stays


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    panel_id: str
    current_number: int
    rows: tuple[Version, ...]  # oldest first

    def made(self) -> list[Version]:
        return [row for row in self.rows if row.kind == "made"]

    def version(self, number: int) -> Version | None:
        return next((row for row in self.made() if row.number == number), None)

    def there_are(self, *, but: int) -> str:
        """What may be gone back to instead of `but`, for people."""
        there = [row.number for row in self.made() if not row.pruned and row.number != but]
        return f"there are: {', '.join(map(str, there))}" if there else "there is no other"


def dates_of(panel_set: PanelSet) -> dict[str, PartDates]:
    return {
        name: PartDates(created=part.created, valid_until=part.valid_until)
        for name, part in panel_set.parts.items()
    }


def pruned(history: History) -> History:
    """Marks what need not be kept: all but the newest few, the current, the newest of each part."""
    keep = {row.number for row in history.made()[-KEPT_COUNT:]}
    keep |= {history.current_number} | _first_with_newest_part(history.made())
    rows = (
        replace(row, pruned=True) if row.kind == "made" and row.number not in keep else row
        for row in history.rows
    )
    return replace(history, rows=tuple(rows))


def _first_with_newest_part(made: Sequence[Version]) -> set[int]:
    """Later versions carry a part along; the first that has it was made with it."""
    numbers = set()
    for name in {name for row in made for name in row.parts}:
        holders = [row for row in made if name in row.parts]
        newest = max(row.parts[name].created for row in holders)
        numbers.add(min(row.number for row in holders if row.parts[name].created == newest))
    return numbers


# --- as text


def written(history: History) -> str:
    content = {
        "schema": SCHEMA,
        "panel_id": history.panel_id,
        "current": history.current_number,
        "history": [asdict(row) for row in history.rows],
    }
    return json.dumps(content, indent=1, default=datetime.isoformat) + "\n"


def read(text: str) -> History:
    """Raises PanelSetError with what is wrong in the text."""
    try:
        content = json.loads(text)
        if content["schema"] != SCHEMA:
            raise PanelSetError(f"has schema {content['schema']!r}; this program reads {SCHEMA}")
        history = History(
            panel_id=_text(content["panel_id"]),
            current_number=_number(content["current"]),
            rows=tuple(_row(row) for row in content["history"]),
        )
    except KeyError as error:
        raise PanelSetError(f"is damaged: {error} is missing") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise PanelSetError(f"is damaged: {error}") from error
    numbers = [row.number for row in history.made()]
    if numbers != sorted(set(numbers)):
        raise PanelSetError("is damaged: its versions are not in order")
    if history.current_number not in numbers:
        raise PanelSetError(f"is damaged: the current version {history.current_number} has no row")
    return history


def _row(row: dict[str, Any]) -> Version:
    if row["kind"] not in ("made", "rollback"):
        raise ValueError(f"{row['kind']!r} is no kind of row")
    from_version = row["from_version"]
    return Version(
        number=_number(row["number"]),
        kind=row["kind"],
        at=_date(row["at"]),
        operator=_text(row["operator"]),
        changed=_text(row["changed"]),
        from_version=None if from_version is None else _number(from_version),
        why=_text(row["why"]),
        verdict=_text(row["verdict"]),
        sha256=_text(row["sha256"]),
        parts={
            _text(name): PartDates(
                created=_date(part["created"]), valid_until=_date(part["valid_until"])
            )
            for name, part in row["parts"].items()
        },
        pruned=row["pruned"] is True,
    )


def _number(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r} is no version")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _date(value: Any) -> datetime:
    date = datetime.fromisoformat(value)
    if date.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return date
