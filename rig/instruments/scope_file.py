"""An oscilloscope's CSV as samples: read in pieces, kept as float32 in a file without a name.

Ten million rows are 200 MB of text; what stands in memory is one piece of it and whatever of the
mapped samples is looked at.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rig.exit_codes import UsageError
from rig.instruments.grid import plain_file
from rig.instruments.scope_map import SECONDS, ScopeMap

PIECE_BYTES = 8_000_000
SAMPLES_MAX_COUNT = 50_000_000
LEAST_COUNT = 10
HEADER_ROWS_COUNT = 200
LINE_MAX_BYTES = 4096

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeFile:
    """`volts`: by what a channel means, as the scope had them. Sample n lies at start + n step."""

    path: Path
    sha256: str
    map_name: str
    start_us: float
    step_us: float
    volts: dict[str, Samples]

    @property
    def samples_count(self) -> int:
        return len(next(iter(self.volts.values())))


def pieces_count(path: Path) -> int:
    """For a progress bar. Raises UsageError."""
    return -(-_size(path) // PIECE_BYTES)


def read_scope(
    path: Path, layout: ScopeMap, on_piece: Callable[[], None] = lambda: None
) -> ScopeFile:
    """Raises UsageError."""
    _size(path)
    try:
        with path.open("rb") as file:
            return _Reader(path, layout, file).read(on_piece)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {_why(error)}") from error


class _Reader:
    def __init__(self, path: Path, layout: ScopeMap, file: BinaryIO) -> None:
        self._path, self._layout, self._file = path, layout, file
        self._digest = hashlib.sha256()
        self._row = 0  # rows of the file that are read
        self._start_us, self._step_us = 0.0, layout.time.interval_us or 0.0
        self._last_us = 0.0
        self._count = 0
        self._columns: list[int] = []
        self._means: list[str] = []

    def read(self, on_piece: Callable[[], None]) -> ScopeFile:
        self._header()
        with ExitStack() as stack:
            kept = [stack.enter_context(tempfile.TemporaryFile()) for _ in self._means]
            for piece in self._pieces():
                self._keep(piece, kept)
                on_piece()
            if self._count < LEAST_COUNT:
                raise UsageError(f"{self._path}: has {self._count} samples: no trace")
            volts: dict[str, Samples] = {}
            for means, file in zip(self._means, kept, strict=True):
                file.flush()
                volts[means] = np.memmap(file, np.float32, mode="r")  # lives on without its file
        if self._layout.time.header:
            self._step_us = (self._last_us - self._start_us) / (self._count - 1)
        return ScopeFile(
            path=self._path,
            sha256=self._digest.hexdigest(),
            map_name=self._layout.name,
            start_us=self._start_us,
            step_us=self._step_us,
            volts=volts,
        )

    def _keep(self, piece: bytes, kept: Sequence[IO[bytes]]) -> None:
        values = self._numbers(piece)
        if self._layout.time.header:
            self._take_times(values[:, 0])
            values = values[:, 1:]
        self._count += len(values)
        if self._count > SAMPLES_MAX_COUNT:
            raise UsageError(f"{self._path}: has over {SAMPLES_MAX_COUNT} samples: export less")
        for column, file in zip(values.T, kept, strict=True):
            file.write(np.ascontiguousarray(column, np.float32).tobytes())

    # the head

    def _header(self) -> None:
        time = self._layout.time
        needed = [one.header for one in self._layout.channel if not one.optional]
        needed += [header for header in (time.header, time.interval_header) if header]
        best: list[str] = []
        for _ in range(HEADER_ROWS_COUNT):
            cells = self._cells()
            if cells is None:
                break
            there = {_plain(cell) for cell in cells}
            if all(_plain(header) in there for header in needed):
                self._place(cells)
                return
            found = [header for header in needed if _plain(header) in there]
            best = max(best, found, key=len)
        missing = ", ".join(repr(header) for header in needed if header not in best)
        raise UsageError(
            f"{self._path}: no row has the headers of the map {self._layout.name!r}: "
            f"{missing} missing; `dxrig scope maps` lists those that ship"
        )

    def _place(self, cells: list[str]) -> None:
        plain = [_plain(cell) for cell in cells]
        time = self._layout.time
        if time.header:
            self._columns.append(plain.index(_plain(time.header)))
        for channel in self._layout.channel:
            if _plain(channel.header) in plain:
                self._columns.append(plain.index(_plain(channel.header)))
                self._means.append(channel.means)
        for number in range(self._layout.rows_behind_header):
            behind = self._cells() or []
            if number == 0 and time.interval_header:
                self._interval(plain.index(_plain(time.interval_header)), behind)
        if time.interval_header and not self._step_us:
            raise UsageError(f"{self._path}: the map wants rows_behind_header for its interval")

    def _interval(self, at: int, cells: list[str]) -> None:
        text = cells[at].strip() if at < len(cells) else ""
        try:
            self._step_us = float(text.replace(self._layout.decimal, ".")) * self._unit_us
        except ValueError:
            self._step_us = 0.0
        if not 0 < self._step_us <= 1e6:  # us-compare: a scope's interval, nothing waits
            header = self._layout.time.interval_header
            raise UsageError(f"{self._path}:{self._row}: {header}: {text[:40]!r} is no interval")

    @property
    def _unit_us(self) -> float:
        return SECONDS[self._layout.time.unit] * 1e6

    def _cells(self) -> list[str] | None:
        line = self._file.readline(LINE_MAX_BYTES)
        if not line:
            return None
        self._digest.update(line)
        self._row += 1
        if b"\0" in line:
            raise UsageError(f"{self._path}:{self._row}: has NUL bytes: binary, or UTF-16")
        text = line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
        return [cell.strip().strip('"') for cell in text.split(self._layout.delimiter)]

    # the samples

    def _pieces(self) -> Iterator[bytes]:
        """Whole lines."""
        rest = b""
        while chunk := self._file.read(PIECE_BYTES):
            self._digest.update(chunk)
            piece, newline, rest_of = (rest + chunk).rpartition(b"\n")
            rest = rest_of
            if not newline and len(rest) > LINE_MAX_BYTES:
                raise UsageError(f"{self._path}:{self._row + 1}: a line without an end: no CSV")
            if piece:
                yield piece
        if rest.strip():
            yield rest

    def _numbers(self, piece: bytes) -> NDArray[np.float64]:
        """Rows by columns of the map."""
        text = piece.replace(b",", b".") if self._layout.decimal == "," else piece
        try:
            found = np.loadtxt(
                io.BytesIO(text),
                delimiter=self._layout.delimiter,
                usecols=self._columns,
                ndmin=2,
                comments=None,
                encoding="latin-1",
            )
        except ValueError:
            raise UsageError(self._bad_line(text)) from None
        if not np.isfinite(found).all():
            raise UsageError(self._bad_line(text))
        self._row += piece.count(b"\n") + 1
        return found

    def _bad_line(self, text: bytes) -> str:
        """The first that is no row of numbers."""
        for number, line in enumerate(text.split(b"\n"), start=self._row + 1):
            cells = line.decode("latin-1").strip().split(self._layout.delimiter)
            if cells == [""]:
                continue
            for column in self._columns:
                word = cells[column].strip() if column < len(cells) else ""
                if not _is_number(word):
                    shown = word[:40].encode("unicode_escape").decode("ascii")
                    return f"{self._path}:{number}: column {column + 1}: '{shown}' is no number"
        return f"{self._path}: not readable as rows of numbers"

    def _take_times(self, times: NDArray[np.float64]) -> None:
        times_us = times * self._unit_us
        if self._count == 0:
            self._start_us = float(times_us[0])
        elif len(times_us) and times_us[0] <= self._last_us:  # us-compare: a scope's own times
            raise UsageError(f"{self._path}: its times run backwards near row {self._row}")
        steps = np.diff(times_us)
        if len(steps) and (steps.min() < 0 or steps.max() > 3 * max(np.median(steps), 1e-9)):
            raise UsageError(
                f"{self._path}: its times run backwards or have gaps near row {self._row}; "
                "export one even record"
            )
        self._last_us = float(times_us[-1])


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _size(path: Path) -> int:
    try:
        return plain_file(path)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {_why(error)}") from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
