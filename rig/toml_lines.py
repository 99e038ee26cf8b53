"""On which line does a key of a TOML text stand? tomllib tells it for syntax errors only.

The text must be valid TOML: only as much is understood as is needed to find the keys
of tables, arrays of tables, dotted keys, arrays and inline tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Path = tuple[str | int, ...]

_KEY_PART = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*""")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.S
)
_BARE = re.compile(r"[^,\]}\n#]+")
_CLOSE = re.compile(r"\]+")


def key_lines(text: str) -> dict[Path, int]:
    """Line, from 1, of every table, key and array element."""
    reader = _Reader(text)
    reader.document()
    return reader.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest table around it; 1 if there is none."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._table: Path = ()
        self._counts: dict[Path, int] = {}  # arrays of tables: index of the newest element
        self.lines: dict[Path, int] = {}

    def document(self) -> None:
        self._skip(_BLANK)
        while self._at < len(self._text):
            before = self._at
            if self._take("["):
                self._header()
            else:
                self._pair(self._table)
            self._skip(_BLANK)
            if self._at == before:
                raise ValueError("not a valid TOML text")

    def _header(self) -> None:
        is_array = self._take("[")
        line = self._line()
        path: Path = ()
        parts = self._key()
        for number, part in enumerate(parts, start=1):
            path = (*path, part)
            self.lines.setdefault(path, line)
            if is_array and number == len(parts):
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
                self.lines.setdefault(path, line)
        self._table = path
        self._skip(_CLOSE)

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._take("=")
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while match := _KEY_PART.match(self._text, self._at):
            self._at = match.end()
            parts.append(next(group for group in match.groups() if group is not None))
            if not self._take("."):
                break
        return parts

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        self.lines.setdefault(path, self._line())
        if self._take("["):
            self._elements(path)
        elif self._take("{"):
            self._pairs(path)
        elif not self._skip(_STRING):
            self._skip(_BARE)

    def _elements(self, path: Path) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._take("]"):
            self._value((*path, index))
            index += 1
            self._next()

    def _pairs(self, path: Path) -> None:
        self._skip(_BLANK)
        while not self._take("}"):
            self._pair(path)
            self._next()

    def _next(self) -> None:
        self._skip(_BLANK)
        self._take(",")
        self._skip(_BLANK)
        if self._at >= len(self._text):
            raise ValueError("not a valid TOML text")

    def _take(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return bool(match and match.group())

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
