"""A column map: which cell of a meter's file means what, in which unit. One TOML file a layout.

The maps that ship are synthetic: the vendors' programs let people choose columns, and no export of
theirs was at hand.
"""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from firmware_py.config import Strict
from rig.config_errors import Mistake, suggestion
from rig.instruments.quantities import QUANTITIES, UNCERTAIN
from rig.instruments.tables import Tables

Pct = Annotated[float, Field(gt=0, le=100)]


class Column(Strict):
    """A quantity's column. `header`: as it stands in the header row, spaces and case aside."""

    header: str = Field(min_length=1)
    quantity: str
    unit: str = ""
    scale: Annotated[float, Field(gt=0)] = 1.0
    optional: bool = False  # a file may come without it


class When(Strict):
    """`headers`: one column, or a date's and a time's; `format`: strptime's, of both."""

    headers: list[str] = Field(min_length=1, max_length=2)
    format: str = "iso"
    zone: str = "UTC"
    means: Literal["start", "end"] = "end"


class Place(Strict):
    """A text of the file: the cell behind a `label`, or a cell by `row` and `column` from 1."""

    label: str = ""
    row: Annotated[int, Field(ge=1, le=1000)] | None = None
    column: Annotated[int, Field(ge=1, le=1000)] | None = None


class Meter(Strict):
    """Where instrument and calibration stand; what does not, a person says by option."""

    model: Place | None = None
    serial: Place | None = None
    calibration_due: Place | None = None
    due_format: str = "%Y-%m-%d"


class ColumnMap(Strict):
    name: str = ""
    about: str
    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    encoding: Literal["utf-8", "utf-16", "cp1252", "latin-1"] = "utf-8"
    sheet: str | None = None  # of an XLSX file
    header_row: Annotated[int, Field(ge=1, le=1000)] | None = None  # None: found by its headers
    skip_rows: Annotated[int, Field(ge=0, le=100)] = 0  # behind the header, such as a row of units
    column: list[Column] = Field(min_length=1)
    when: When | None = None
    meter: Meter = Meter()
    uncertainty_pct: dict[str, Pct] = Field(default_factory=dict)  # of a reading, expanded, k = 2
    repeat_pct: dict[str, Pct] = Field(
        default_factory=dict
    )  # of its scatter alone, k = 2: for ratios

    @property
    def required(self) -> list[str]:
        """The headers that a file must have."""
        wanted = [one.header for one in self.column if not one.optional]
        return wanted + (self.when.headers if self.when else [])


def _crossed(found: ColumnMap) -> list[Mistake]:
    mistakes = []
    seen: set[str] = set()
    for at, column in enumerate(found.column):
        quantity = QUANTITIES.get(column.quantity)
        if quantity is None:
            text = f"no quantity {column.quantity!r}; {suggestion(column.quantity, QUANTITIES)}"
            mistakes.append(Mistake(path=("column", at, "quantity"), text=text))
        elif column.unit not in quantity.scales:
            known = ", ".join(quantity.scales) or "none"
            text = f"{column.quantity} can't be in {column.unit!r}; known: {known}"
            mistakes.append(Mistake(path=("column", at, "unit"), text=text))
        if column.quantity in seen:
            text = f"{column.quantity} has two columns; a file has one truth"
            mistakes.append(Mistake(path=("column", at, "quantity"), text=text))
        seen.add(column.quantity)
    if found.delimiter == found.decimal == ",":
        text = "the same sign parts cells and decimals; say delimiter or decimal"
        mistakes.append(Mistake(path=("decimal",), text=text))
    mistakes += [
        Mistake(path=(key, name), text=f"unknown; {suggestion(name, UNCERTAIN)}")
        for key in ("uncertainty_pct", "repeat_pct")
        for name in getattr(found, key)
        if name not in UNCERTAIN
    ]
    return mistakes + _zone(found)


def _zone(found: ColumnMap) -> list[Mistake]:
    if found.when is None:
        return []
    try:
        ZoneInfo(found.when.zone)
    except (KeyError, ValueError, OSError):
        text = f"no time zone {found.when.zone!r}; such as UTC or Europe/Berlin"
        return [Mistake(path=("when", "zone"), text=text)]
    return []


COLUMN_MAPS = Tables("maps", ColumnMap, _crossed)
