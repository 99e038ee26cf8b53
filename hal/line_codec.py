"""Codecs for devices that speak in lines of text: a table of lines, and how a line is framed.

A device's file is a table of `Row`s and two framings. A row's form is what stands on the line,
with {} for each value, so that the table reads like the manual and writes and reads the wire.
Most of these wires have no checksum: a flipped digit can't be seen, and each set-point has to
be read back where the device lets it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hal.listener import WireListener
from hal.ports import Direction, Kind, WireError

OPEN_COUNT_MAX = 4  # questions that may wait for a reply
DIGITS_MAX = 8  # where a document gives no width

# --- what a line carries ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A quantity of `unit`, sent as counts or, with decimals, as a decimal fraction."""

    unit: str = ""
    per_unit: int = 1  # counts on the wire per unit
    digits: int = 0  # exactly so many; 0 = as many as it takes
    decimals: int | None = 0  # behind a dot; None = as many as it takes
    low: float = 0
    high: float | None = None  # in units; None: the document does not say
    says: Mapping[int, str] = field(default_factory=dict)  # values that are words
    bits: tuple[str, ...] = ()  # names, lowest bit first, where it is a set of bits

    @property
    def pattern(self) -> str:
        if self.decimals is None:
            return rf"\d{{1,{DIGITS_MAX}}}(?:\.\d{{1,{DIGITS_MAX}}})?"
        whole = rf"\d{{{self.digits}}}" if self.digits else rf"\d{{1,{DIGITS_MAX}}}"
        return rf"{whole}\.\d{{{self.decimals}}}" if self.decimals else whole

    def write(self, value: float | str) -> str:
        """ValueError for what the wire can't carry or the document does not allow."""
        if isinstance(value, str) or not self._allows(value):
            raise ValueError(f"must be {self.range}, got {value!r}")
        if self.decimals is None:
            text = f"{value * self.per_unit:.{DIGITS_MAX}f}".rstrip("0").rstrip(".")
        elif self.decimals:
            text = f"{value * self.per_unit:.{self.decimals}f}"
        else:
            text = f"{round(value * self.per_unit):0{self.digits}d}"
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"must have fewer digits, got {value!r}")
        return text

    def read(self, text: str) -> float:
        value = float(text) / self.per_unit
        if not self._allows(value):
            raise WireError(f"{text} is outside {self.range}")
        return int(value) if value == int(value) else value

    def _allows(self, value: float) -> bool:
        return self.low <= value <= (sys.float_info.max if self.high is None else self.high)

    @property
    def range(self) -> str:
        most = " or more" if self.high is None else f"-{self.high:g}"
        return f"{self.low:g}{most} {self.unit}".rstrip()

    def shown(self, value: float | str) -> str:
        if self.bits:
            named = [name for at, name in enumerate(self.bits) if int(value) >> at & 1]
            return f"{value} ({', '.join(named) or 'none'})"
        word = self.says.get(int(value)) if not isinstance(value, str) else None
        return f"{value:g} ({word})" if word else f"{value:.10g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One of a few words, with what each means; no words: any text, which nobody explains."""

    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        return "|".join(map(re.escape, self.words)) or r"[ -~]+"

    def write(self, value: float | str) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise ValueError(f"must be {' or '.join(self.words) or 'text'}, got {value!r}")
        return value

    def read(self, text: str) -> str:
        return text

    def shown(self, value: float | str) -> str:
        meaning = self.words.get(str(value), "")
        return f"{value} ({meaning})" if meaning else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a manual. `to`: what a reply answers, where its text does not say what it is."""

    name: str  # in our words, unique in its direction
    form: str  # the line, {} for each value
    kind: Kind
    values: tuple[Number | Word, ...] = ()
    to: tuple[str, ...] = ()
    source: str

    @property
    def direction(self) -> Direction:
        return Direction.FROM_DEVICE if self.kind is Kind.REPLY else Direction.TO_DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a line says."""

    row: Row
    values: tuple[float | str, ...] = ()

    @property
    def text(self) -> str:
        shown = [v.shown(value) for v, value in zip(self.row.values, self.values, strict=True)]
        return " ".join((self.row.name, *shown))


# --- how a line is framed -------------------------------------------------------------------------


class Framing(Protocol):
    def frame(self, text: str) -> bytes: ...

    def take(self, buffer: bytearray) -> str | None:
        """The next line's text, consumed with its frame; None = more bytes are needed.

        Raises WireError after it has dropped what can't be a line. The lines do not depend on how
        the stream was cut.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Text up to an end mark, and after a start mark where the device has one.

    Without a start mark, bytes in front of a line can't be told from it: then the whole line is
    refused, and the next one is sound again.
    """

    end: bytes
    start: bytes = b""
    longest_bytes: int = 80  # of the text; silent: chosen

    def frame(self, text: str) -> bytes:
        return self.start + text.encode("ascii") + self.end

    def take(self, buffer: bytearray) -> str | None:
        if self.start:
            self._must_start(buffer)
        end = buffer.find(self.end)
        if end < 0:
            # As much stays as makes the line too long, however late its end comes.
            drop(buffer, len(buffer) - len(self.start) - self.longest_bytes - 1, "too long a line")
            return None
        text = bytes(buffer[len(self.start) : end])
        size_bytes = end + len(self.end)
        if len(text) > self.longest_bytes:
            drop(buffer, size_bytes, "too long a line")
        if not is_text(text):
            drop(buffer, size_bytes, "no line of text")
        del buffer[:size_bytes]
        return text.decode("ascii")

    def _must_start(self, buffer: bytearray) -> None:
        """What stands before the start mark goes; so does a line that another start interrupts."""
        start = buffer.find(self.start)
        drop(buffer, len(buffer) if start < 0 else start, "bytes outside a line")
        end, again = buffer.find(self.end), buffer.find(self.start, 1)
        if not 0 < end < again:
            drop(buffer, again, "a line without end")


def is_text(data: bytes) -> bool:
    return bool(data) and all(0x20 <= byte <= 0x7E for byte in data)


def drop(buffer: bytearray, size_bytes: int, why: str) -> None:
    """Raises WireError with what was dropped; does nothing when there is nothing to drop."""
    if size_bytes <= 0:
        return
    noise = bytes(buffer[:size_bytes])
    del buffer[:size_bytes]
    raise WireError(f"{why}: {noise.hex(' ')}")


# --- both ways ------------------------------------------------------------------------------------


class LineCodec:
    def __init__(
        self, rows: Sequence[Row], *, commands: Framing, replies: Framing, between: str = ""
    ) -> None:
        """`between`: what stands between several replies in one frame, where that can be."""
        self._between = between
        self.rows = tuple(rows)
        self._patterns = [(row, re.compile(_pattern(row))) for row in self.rows]
        self._framings = {Direction.TO_DEVICE: commands, Direction.FROM_DEVICE: replies}

    def row(self, direction: Direction, name: str) -> Row:
        """KeyError for a name that the table does not have."""
        return {row.name: row for row in self.rows if row.direction is direction}[name]

    def encode(self, row: Row, *values: float | str) -> bytes:
        """ValueError with the allowed range."""
        try:
            pairs = zip(row.values, values, strict=True)
            text = row.form.format(*(kind.write(value) for kind, value in pairs))
        except ValueError as error:
            raise ValueError(f"{row.name}: {error}") from None
        return self.frame(row.direction, text)

    def frame(self, direction: Direction, text: str) -> bytes:
        return self._framings[direction].frame(text)

    def take(self, direction: Direction, buffer: bytearray) -> str | None:
        return self._framings[direction].take(buffer)

    def replies(self, text: str) -> list[str]:
        """The replies in the text of one frame from the device."""
        return text.split(self._between) if self._between else [text]

    def read(self, direction: Direction, text: str, asked: str = "") -> Line:
        """`asked`: the name of the command before a reply, "" if nobody knows.

        Where two rows fit, the one that spells out more does. WireError for what no row fits.
        """
        fitting = [
            line
            for row, pattern in self._patterns
            if row.direction is direction and (not row.to or asked in row.to)
            if (line := _line(row, pattern.fullmatch(text))) is not None
        ]
        if not fitting:
            raise WireError(f"{text!r} is not in the table")
        return max(fitting, key=lambda line: len(line.row.form) - 2 * len(line.row.values))

    def listener(self) -> WireListener[str]:
        return WireListener(_Told(self))


def _pattern(row: Row) -> str:
    first, *rest = (re.escape(part) for part in row.form.split("{}"))
    pairs = zip(row.values, rest, strict=True)
    return first + "".join(f"({value.pattern}){part}" for value, part in pairs)


def _line(row: Row, match: re.Match[str] | None) -> Line | None:
    if match is None:
        return None
    try:
        values = tuple(v.read(part) for v, part in zip(row.values, match.groups(), strict=True))
    except WireError:
        return None
    return Line(row=row, values=values)


class _Told:
    """A reply is read as the answer to the newest question that it can be one of."""

    def __init__(self, codec: LineCodec) -> None:
        self._codec = codec
        self._open: list[str] = []

    def take(self, direction: Direction, buffer: bytearray) -> str | None:
        return self._codec.take(direction, buffer)

    def tell(self, direction: Direction, frame: str) -> tuple[Kind, str]:
        if direction is Direction.FROM_DEVICE:
            answers = [self._answer(text).text for text in self._codec.replies(frame)]
            return Kind.REPLY, ", ".join(answers)
        line = self._codec.read(direction, frame)
        self._open = [*self._open, line.row.name][-OPEN_COUNT_MAX:]
        return line.row.kind, line.text

    def _answer(self, text: str) -> Line:
        for at in reversed(range(len(self._open))):
            try:
                line = self._codec.read(Direction.FROM_DEVICE, text, self._open[at])
            except WireError:
                continue
            if line.row.to:
                del self._open[: at + 1]  # older ones were never answered
            return line
        return self._codec.read(Direction.FROM_DEVICE, text)
