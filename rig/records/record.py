"""What one warm-up, conditioning or calibration did, and what came of it.

A record says what was asked, what was found, against which limit, and whose limit that is.
It is written once, at the end, however the routine ended.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

SCHEMA = 1
Kind = Literal["warm-up", "conditioning", "offset", "gain", "defects", "lag"]
Verdict = Literal["passed", "failed", "interrupted", "suspended", "aborted"]
Judgement = Literal["passed", "failed", "not judged"]
Mark = Literal["S", "M", "D", "C"]  # qc-and-physics.md: stated, memory, design, computed
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")  # a folder's name


class RecordError(ValueError):
    """What is wrong with a record, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    model: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What measured, beside the unit itself; `calibration_due` as its certificate writes it."""

    name: str
    serial: str = ""
    calibration_due: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One finding beside its limit. `limit` is for limits that are no plain range."""

    what: str
    value: float | str | None  # in `unit`; None: could not be found
    unit: str = ""
    low: float | None = None
    high: float | None = None
    limit: str = ""
    source: str = ""  # of the limit: document, edition, page
    mark: Mark = "D"
    verdict: Judgement = "not judged"

    def __post_init__(self) -> None:
        _one_of(Judgement, self.verdict, f"verdict of {self.what!r}")
        _one_of(Mark, self.mark, f"mark of {self.what!r}")
        if not isinstance(self.value, int | float | str | None):
            raise RecordError(f"{self.what!r} is a {type(self.value).__name__}, no plain number")
        outside = isinstance(self.value, int | float) and not self._within(self.value)
        if self.verdict == "passed" and (outside or self.value is None):
            raise RecordError(f"{self.what!r} is {self.value}, outside its limit, yet passed")

    def _within(self, value: float) -> bool:
        """NaN is within nothing."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= value <= high

    @property
    def has_limit(self) -> bool:
        return bool(self.limit) or self.low is not None or self.high is not None

    @property
    def unverified(self) -> bool:
        return self.mark == "M"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRow:
    """kV, mA, ms or mAs as asked; `mas_indicated` by the generator."""

    number: int
    id: str
    kind: str  # such as beam | dark
    start: datetime
    kv: float | None = None
    ma: float | None = None
    asked_ms: float | None = None
    asked_mas: float | None = None
    mas_indicated: float | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An arc, an interruption, a resumption, a deferral."""

    at: datetime
    kind: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG beside the record. `sha256` ties it to the record's own."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineRecord:
    id: str
    kind: Kind
    title: str
    verdict: Verdict
    reason: str
    bench: str
    bench_hash: str
    unit: Device
    tube: str
    panel: str
    rung: str
    simulated: bool
    operator: str
    started: datetime
    ended: datetime
    software: str
    instruments: tuple[Instrument, ...] = ()
    values: tuple[Value, ...] = ()
    shots: tuple[ShotRow, ...] = ()
    events: tuple[Event, ...] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # by caption, in their order
    notes: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise RecordError(f"{self.id!r} can't name a record: letters, digits, - and _ can")
        _one_of(Kind, self.kind, "kind")
        _one_of(Verdict, self.verdict, "verdict")
        if self.verdict == "passed" and (failed := [v.what for v in self.values if _failed(v)]):
            raise RecordError(f"a record with failed values can't pass: {', '.join(failed)}")
        dates = (self.started, self.ended, *(s.start for s in self.shots))
        if any(date.tzinfo is None for date in (*dates, *(e.at for e in self.events))):
            raise RecordError("the dates of a record need a time zone")


def _failed(value: Value) -> bool:
    return value.verdict == "failed"


def _one_of(choices: Any, value: str, what: str) -> None:
    if value not in get_args(choices):
        raise RecordError(f"{what}: {value!r} is none of {', '.join(get_args(choices))}")


# --- as JSON


def to_json(record: RoutineRecord) -> str:
    content = {"schema": SCHEMA, **_plain(asdict(record))}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> RoutineRecord:
    """Raises RecordError."""
    try:
        content = json.loads(text)
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise RecordError(f"the record has schema {schema!r}; this program reads {SCHEMA}")
        return _record(content)
    except RecordError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"no record of a routine: {error}") from error


def _plain(value: Any) -> Any:
    """A measurement that gave NaN must not cost the record: it is written as a word."""
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime():
            return value.isoformat()
        case float() if not math.isfinite(value):
            return "not a number"
    return value


def _record(content: dict[str, Any]) -> RoutineRecord:
    given = dict(content)
    for name in ("started", "ended"):
        given[name] = datetime.fromisoformat(given[name])
    given["unit"] = Device(**given["unit"])
    given["instruments"] = tuple(Instrument(**row) for row in given["instruments"])
    given["values"] = tuple(Value(**row) for row in given["values"])
    given["shots"] = tuple(ShotRow(**_dated(row, "start")) for row in given["shots"])
    given["events"] = tuple(Event(**_dated(row, "at")) for row in given["events"])
    given["pictures"] = {name: Picture(**row) for name, row in given["pictures"].items()}
    return RoutineRecord(**given)


def _dated(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {**row, name: datetime.fromisoformat(row[name])}
