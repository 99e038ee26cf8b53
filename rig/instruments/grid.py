"""A file as rows of cell texts, whatever it is: CSV in the map's words, or XLSX.

What is no such file is told before it is read: folders, pipes, binary, the wrong encoding.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from rig.exit_codes import UsageError
from rig.instruments.column_map import ColumnMap
from rig.instruments.xlsx import ROWS_MAX_COUNT, read_xlsx

FILE_MAX_BYTES = 50_000_000
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """`rows`: cell texts as they stand; row n of the file is `rows[n - 1]`."""

    path: Path
    rows: list[list[str]]
    sha256: str


def read_grid(path: Path, layout: ColumnMap) -> Grid:
    """Raises UsageError."""
    data = file_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if data[:4] == b"PK\x03\x04":
        return Grid(path=path, rows=read_xlsx(path, layout.sheet, layout.decimal), sha256=sha256)
    text = _decoded(data, path, layout.encoding)
    return Grid(path=path, rows=_cells(text, path, layout.delimiter), sha256=sha256)


def file_bytes(path: Path) -> bytes:
    """The whole of an ordinary file that is not empty. Raises UsageError."""
    try:
        plain_file(path)
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: can't be read: {(error.strerror or str(error)).lower()}"
        ) from error
    if len(data) > FILE_MAX_BYTES:
        raise UsageError(f"{path}: {len(data) / 1e6:.0f} MB are too many for a meter's file")
    return data


def plain_file(path: Path) -> int:
    """Its size; a pipe would be waited for. Raises UsageError, OSError."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
        raise UsageError(f"{path}: is {what}; name the file that the instrument wrote")
    if found.st_size == 0:
        raise UsageError(f"{path}: is empty")
    return found.st_size


def _decoded(data: bytes, path: Path, encoding: str) -> str:
    """A byte order mark outvotes the map."""
    marked = next((name for bom, name in _BOMS.items() if data.startswith(bom)), None)
    try:
        text = data.decode(marked or encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}:{line}: is not {encoding} text; say `encoding` in the map "
            "(utf-8, utf-16, cp1252, latin-1), or it is no text at all"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        hint = "UTF-16 without its mark? " if 4 * data[:64].count(0) >= len(data[:64]) else ""
        raise UsageError(f"{path}:{line}: has NUL bytes: {hint}no text file that was meant")
    return text


def _cells(text: str, path: Path, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            # A quoted cell over several lines: the rows behind it keep the file's line numbers.
            rows += [[] for _ in range(reader.line_num - len(rows) - 1)]
            rows.append(row)
            if len(rows) > ROWS_MAX_COUNT:
                raise UsageError(f"{path}: has over {ROWS_MAX_COUNT} rows: no meter's file")
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not readable as CSV: {error}") from error
    return rows
