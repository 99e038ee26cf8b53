"""The cells of an XLSX sheet as texts, read with the standard library alone and bounded.

A sheet from a stick is nobody's friend: a document type is refused before anything of it is read
(entity bombs need one), and sizes are bounded while unpacking (zip bombs lie in their headers).
No formula is evaluated: the value that the writing program cached is read, and a formula
without one is told. Dates are numbers of days in a cell of a date's style; shown as ISO times.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from rig.exit_codes import UsageError

PART_MAX_BYTES = 16_000_000  # as a tree about ten times that
ROWS_MAX_COUNT, COLUMNS_MAX_COUNT = 100_000, 1000
NO_VALUE = "#NO VALUE: formula"  # shown to whoever reads that cell as a number
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_REL = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PACKED = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_DATE_STYLES = frozenset((*range(14, 23), *range(45, 48)))  # built-in number formats, ECMA-376
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 (a cell has no zone; the map has)
_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


def read_xlsx(path: Path, sheet: str | None, decimal: str) -> list[list[str]]:
    """Rows of cell texts; `sheet`: its name, None: the first. Raises UsageError.

    `decimal`: the sign that numbers get; a cell that is a text keeps its own.
    """
    try:
        with zipfile.ZipFile(path) as book:
            names = _sheets(book, path)
            if sheet is not None and sheet not in names:
                raise UsageError(f"{path}: has no sheet {sheet!r}; there are: {', '.join(names)}")
            shared = [_text(item) for item in _part(book, "xl/sharedStrings.xml", path)]
            part = names[sheet] if sheet is not None else next(iter(names.values()))
            dates = _date_styles(book, path)
            return _rows(_part(book, part, path), _Reader(shared, dates, decimal), path)
    except (zipfile.BadZipFile, ParseError, KeyError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: no readable XLSX file: {error}") from error


def _part(book: zipfile.ZipFile, name: str, path: Path) -> Element:
    if name not in book.namelist():
        return Element("nothing")
    parser = XMLParser(target=_NoDocumentType())
    taken_bytes = 0
    with book.open(name) as stream:
        while chunk := stream.read(65_536):
            taken_bytes += len(chunk)
            if taken_bytes > PART_MAX_BYTES:
                raise UsageError(f"{path}: {name} unpacks to over {PART_MAX_BYTES // 10**6} MB")
            parser.feed(chunk)
    found: Element = parser.close()
    return found


class _NoDocumentType(TreeBuilder):
    def doctype(self, *_given: object) -> None:
        raise ValueError("it declares a document type; no program that writes XLSX does")


def _sheets(book: zipfile.ZipFile, path: Path) -> dict[str, str]:
    """Name to part, in the order of the book."""
    targets = {
        relation.get("Id"): relation.get("Target", "")
        for relation in _part(book, "xl/_rels/workbook.xml.rels", path).iter(
            f"{_PACKED}Relationship"
        )
    }
    found = {}
    workbook = _part(book, "xl/workbook.xml", path)
    if any(about.get("date1904") in ("1", "true") for about in workbook.iter(f"{_MAIN}workbookPr")):
        raise ValueError("its dates count from 1904; save it with dates since 1900")
    for sheet in workbook.iter(f"{_MAIN}sheet"):
        target = targets[sheet.get(_REL)]
        found[sheet.get("name", "")] = target.lstrip("/") if target[:1] == "/" else f"xl/{target}"
    if not found:
        raise ValueError("it has no sheet")
    return found


def _date_styles(book: zipfile.ZipFile, path: Path) -> frozenset[int]:
    """The style numbers that show a date or a time."""
    styles = _part(book, "xl/styles.xml", path)
    own = {
        int(form.get("numFmtId", 0)): re.sub(
            r'"[^"]*"|\[[^\]]*\]|\\.', "", form.get("formatCode", "")
        )
        for form in styles.iter(f"{_MAIN}numFmt")
    }
    dates = _DATE_STYLES | {key for key, code in own.items() if re.search("[ymdhs]", code, re.I)}
    formats = styles.find(f"{_MAIN}cellXfs")
    cells = [] if formats is None else list(formats)
    return frozenset(at for at, xf in enumerate(cells) if int(xf.get("numFmtId", 0)) in dates)


@dataclass(frozen=True, slots=True)
class _Reader:
    shared: list[str]
    dates: frozenset[int]
    decimal: str

    def shown(self, cell: Element) -> str:
        value = cell.findtext(f"{_MAIN}v")
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text(cell)
        if kind == "s":
            return self.shared[int(value or "")]
        if value is None:
            return NO_VALUE if cell.find(f"{_MAIN}f") is not None else ""
        if kind == "n" and int(cell.get("s", 0)) in self.dates:
            return (_EPOCH + timedelta(days=float(value))).isoformat(
                sep=" ", timespec="milliseconds"
            )
        return value.replace(".", self.decimal) if kind == "n" else value


def _rows(sheet: Element, reader: _Reader, path: Path) -> list[list[str]]:
    rows: dict[int, dict[int, str]] = {}
    for cell in sheet.iter(f"{_MAIN}c"):
        place = _CELL.fullmatch(cell.get("r", ""))
        if place is None:
            raise ValueError(f"a cell is called {cell.get('r')!r}")
        column, row = _column(place[1]), int(place[2])
        if row > ROWS_MAX_COUNT or column >= COLUMNS_MAX_COUNT:
            raise UsageError(f"{path}: cell {place[0]} is far out; at most {ROWS_MAX_COUNT} rows")
        rows.setdefault(row, {})[column] = reader.shown(cell)
    last = max(rows, default=0)
    return [_filled(rows.get(number, {})) for number in range(1, last + 1)]


def _filled(cells: dict[int, str]) -> list[str]:
    return [cells.get(column, "") for column in range(max(cells, default=-1) + 1)]


def _column(letters: str) -> int:
    index = 0
    for letter in letters:
        index = 26 * index + ord(letter) - 64
    return index - 1


def _text(element: Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_MAIN}t"))
