"""How characters stand on a serial line: `8N1`, `7E1`, ... - data bits, parity, stop bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

LineWord = Literal[
    "8N1", "8E1", "8O1", "8N2", "8E2", "8O2", "7N1", "7E1", "7O1", "7N2", "7E2", "7O2"
]
LINES: tuple[str, ...] = get_args(LineWord)
USUAL = "8N1"


@dataclass(frozen=True, slots=True)
class LineForm:
    data_count: int  # bits
    parity: str  # N none, E even, O odd
    stop_count: int

    @property
    def bits_count(self) -> int:
        """Of one character on the line, its start bit among them."""
        return 1 + self.data_count + (self.parity != "N") + self.stop_count

    @property
    def pty_can(self) -> bool:
        """A pseudo-terminal ignores parity while fresh, and fails for it once it is raw."""
        return self.parity == "N" and self.data_count == 8


def line_form(word: str = USUAL) -> LineForm:
    """ValueError for what is none of LINES."""
    if word not in LINES:
        raise ValueError(f"line {word!r}: there are {', '.join(LINES)}")
    return LineForm(int(word[0]), word[1], int(word[2]))
