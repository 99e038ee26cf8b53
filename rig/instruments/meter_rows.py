"""A meter's file as rows of measurements in our units, by a column map.

What a cell says that is no value (`OL`, `<0.1`, `---`) is kept as a note of its row. What can't be
understood ends the reading: file, row, column, and what would do; several mistakes at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from rig.exit_codes import ConfigError, UsageError
from rig.instruments.column_map import Column, ColumnMap, Place
from rig.instruments.grid import Grid, read_grid
from rig.instruments.numbers import NotANumberError, read_number
from rig.instruments.quantities import QUANTITIES
from rig.instruments.xlsx import NO_VALUE

MISTAKES_MAX_COUNT = 10
_WORDS = {"below": "below", "above": "above"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRow:
    """`number`: the file's row. `start`: UTC, by the meter's clock; None: it has no stamp.

    `values`: by quantity, in its unit; what was not measured is not in it.
    """

    number: int
    start: datetime | None = None
    values: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """As the file or a person says; "" and None: nobody did."""

    model: str = ""
    serial: str = ""
    calibration_due: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFile:
    path: Path
    sha256: str
    map_name: str
    instrument: Instrument
    rows: tuple[MeterRow, ...]
    notes: tuple[str, ...] = ()


def read_meter(path: Path, layout: ColumnMap, dropped: Collection[int] = ()) -> MeterFile:
    """`dropped`: rows that a person leaves out, not even read. Raises UsageError, ConfigError."""
    grid = read_grid(path, layout)
    header = _header_row(grid, layout)
    reader = _RowReader(grid, layout, header)
    rows = reader.rows(dropped)
    if reader.mistakes:
        more = len(reader.mistakes) - MISTAKES_MAX_COUNT
        told = reader.mistakes[:MISTAKES_MAX_COUNT]
        raise ConfigError(told + ([f"{path}: and {more} more mistakes"] if more > 0 else []))
    if not rows:
        raise UsageError(f"{path}: has headers in row {header + 1} and no row of values")
    ordered, notes = _in_order(rows)
    return MeterFile(
        path=path,
        sha256=grid.sha256,
        map_name=layout.name,
        instrument=_instrument(grid, layout, header),
        rows=ordered,
        notes=notes,
    )


# --- the header


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _header_row(grid: Grid, layout: ColumnMap) -> int:
    """Its index: the one named, or the first that has every header the map needs."""
    wanted = {_plain(header): header for header in layout.required}
    if layout.header_row is not None:
        at = layout.header_row - 1
        if at >= len(grid.rows):
            raise UsageError(f"{grid.path}: has {len(grid.rows)} rows, and its map says {at + 1}")
        candidates = [at]
    else:
        candidates = list(range(min(len(grid.rows), 200)))
    found = [(len(wanted.keys() & set(map(_plain, grid.rows[at]))), -at) for at in candidates]
    count, at = max(found)
    if count == len(wanted):
        return -at
    raise UsageError(_no_header(grid, layout, -at, wanted, count))


def _no_header(grid: Grid, layout: ColumnMap, at: int, wanted: dict[str, str], count: int) -> str:
    from rig.config_errors import suggestion

    if count == 0 and layout.header_row is None:
        cells = " ".join(cell for row in grid.rows[:50] for cell in row)[:60]
        shown = cells.encode("unicode_escape").decode("ascii")
        return (
            f"{grid.path}: no row has a header of the map {layout.name!r} (it begins {shown!r}); "
            "another map? `dxrig meter maps` lists those that ship"
        )
    there = [cell for cell in grid.rows[at] if cell.strip()]
    missing = [header for plain, header in wanted.items() if plain not in map(_plain, there)]
    near = "; ".join(
        f"{header!r} is missing, {suggestion(header, there)}" for header in missing[:4]
    )
    return f"{grid.path}:{at + 1}: the map {layout.name!r} does not fit: {near}"


# --- the rows


class _RowReader:
    def __init__(self, grid: Grid, layout: ColumnMap, header: int) -> None:
        self._grid, self._layout, self._header = grid, layout, header
        self._places: dict[str, int] = {}
        for at, cell in enumerate(grid.rows[header]):
            self._place(_plain(cell), at)
        self.mistakes: list[str] = []

    def _place(self, plain: str, at: int) -> None:
        mapped = {_plain(one.header) for one in self._layout.column}
        mapped |= {_plain(header) for header in self._layout.required}
        if plain in mapped and plain in self._places:
            raise UsageError(
                f"{self._grid.path}:{self._header + 1}: two columns are called {plain!r}; "
                "rename one in the file, or use a map that needs neither"
            )
        self._places.setdefault(plain, at)

    def rows(self, dropped: Collection[int]) -> list[MeterRow]:
        first = self._header + 1 + self._layout.skip_rows
        numbered = enumerate(self._grid.rows[first:], start=first + 1)
        return [
            row
            for number, cells in numbered
            if number not in dropped and any(cell.strip() for cell in cells)
            if (row := self._row(number, cells)) is not None
        ]

    def _row(self, number: int, cells: list[str]) -> MeterRow | None:
        before = len(self.mistakes)
        values: dict[str, float] = {}
        notes: list[str] = []
        for column in self._layout.column:
            at = self._places.get(_plain(column.header))
            text = cells[at] if at is not None and at < len(cells) else ""
            note = self._take(number, column, text, values)
            notes += [note] if note else []
        start = self._start(number, cells, values)
        if len(self.mistakes) != before:
            return None
        return MeterRow(number=number, start=start, values=values, notes=tuple(notes))

    def _take(self, number: int, column: Column, text: str, values: dict[str, float]) -> str:
        """Puts the value there; else what there is to say."""
        quantity = QUANTITIES[column.quantity]
        try:
            if text == NO_VALUE:
                raise NotANumberError(
                    "a formula whose value the file does not hold; open and save it"
                )
            read = read_number(text, self._layout.decimal)
        except NotANumberError as error:
            self._wrong(number, column.header, str(error))
            return ""
        if read.value is None:
            return f"{quantity.word}: overload" if read.state == "overload" else ""
        value = read.value * column.scale * quantity.scales[column.unit]
        if read.state != "value":
            return f"{quantity.word}: {_WORDS[read.state]} {value:g} {quantity.unit}"
        if value < 0:
            self._wrong(
                number, column.header, f"{text.strip()} is negative: {quantity.word} can't be"
            )
        values[quantity.name] = value
        return ""

    def _start(self, number: int, cells: list[str], values: dict[str, float]) -> datetime | None:
        when = self._layout.when
        if when is None:
            return None
        places = [self._places[_plain(header)] for header in when.headers]
        text = " ".join(cells[at].strip() if at < len(cells) else "" for at in places).strip()
        try:
            iso = when.format == "iso"
            at = datetime.fromisoformat(text) if iso else _stamp(text, when.format)
        except ValueError:
            form = "an ISO 8601 time" if when.format == "iso" else f"a time as {when.format}"
            self._wrong(number, " + ".join(when.headers), f"{text[:40]!r} is not {form}")
            return None
        try:
            aware = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(when.zone))
            lasted_ms = values.get("time_ms", 0.0) if when.means == "end" else 0.0
            return aware.astimezone(UTC) - timedelta(milliseconds=lasted_ms)
        except OverflowError:
            self._wrong(number, " + ".join(when.headers), f"{text[:40]!r} is no usable time")
            return None

    def _wrong(self, number: int, column: str, what: str) -> None:
        self.mistakes.append(f"{self._grid.path}:{number}: {column}: {what}")


def _stamp(text: str, form: str) -> datetime:
    """With or without a fraction of the second, whatever the map says; XLSX dates are ISO."""
    for candidate in (form, form.replace("%S", "%S.%f")):
        try:
            return datetime.strptime(text, candidate)  # noqa: DTZ007 (the map has the zone)
        except ValueError:
            continue
    return datetime.fromisoformat(text)


def _in_order(rows: list[MeterRow]) -> tuple[tuple[MeterRow, ...], tuple[str, ...]]:
    """By time where the rows have it, and what was found otherwise."""
    stamps = [row.start for row in rows if row.start is not None]
    if len(stamps) != len(rows) or stamps == sorted(stamps):
        return tuple(rows), ()
    if stamps == sorted(stamps, reverse=True):
        return tuple(rows[::-1]), ("the newest row stands first; read from the oldest",)
    late = [f"{b.number}" for a, b in _pairs(rows) if a.start and b.start and b.start < a.start]
    note = f"rows are not in the order of time (row {', '.join(late[:5])}): sorted by their stamps"
    return tuple(sorted(rows, key=lambda row: (row.start or stamps[0], row.number))), (note,)


def _pairs(rows: list[MeterRow]) -> Iterator[tuple[MeterRow, MeterRow]]:
    return pairwise(rows)


# --- the instrument


def _instrument(grid: Grid, layout: ColumnMap, header: int) -> Instrument:
    due = _found(grid, layout.meter.calibration_due, header)
    try:
        day = _stamp(due, layout.meter.due_format).date() if due else None
    except ValueError:
        raise UsageError(
            f"{grid.path}: calibration due {due[:40]!r} is not a date as {layout.meter.due_format}"
        ) from None
    return Instrument(
        model=_found(grid, layout.meter.model, header),
        serial=_found(grid, layout.meter.serial, header),
        calibration_due=day,
    )


def _found(grid: Grid, place: Place | None, header: int) -> str:
    """The cell behind a label above the header, or the one that is named; else ""."""
    if place is None:
        return ""
    if place.row is not None and place.column is not None:
        cells = grid.rows[place.row - 1] if place.row <= len(grid.rows) else []
        return cells[place.column - 1].strip() if place.column <= len(cells) else ""
    for cells in grid.rows[:header]:
        for label, value in pairwise(cells):
            if place.label and _plain(label).rstrip(":") == _plain(place.label):
                return value.strip()
    return ""
