"""A number as instruments write it: understood, or told, and never 0 by silence.

`1,234.5` and `1.234,5` differ by what a map says of its decimal sign; what fits neither way is
refused, because a thousandfold dose is what a guess would cost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

State = Literal["value", "none", "overload", "below", "above"]
Decimal = Literal[".", ","]

_NOTHING = frozenset(("", "-", "--", "---", "----", "n/a", "na", "none", "nan", "#n/a", "\u2014"))
_OVERLOAD = frozenset(("ol", "ovl", "over", "overload", "overrange", "inf", "+inf"))
_FORM = (  # groups of thousands, decimal sign twice
    r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:[%s' ][0-9]{3})+)?"
    r"(?:%s[0-9]+|(?<=[0-9])%s)?(?:[eE][+-]?[0-9]{1,3})?"
)
_POINT = re.compile(_FORM % (",", r"\.", r"\."))
_COMMA = re.compile(_FORM % (".", ",", ","))
LARGEST = 1e9  # in any unit of a file; beyond it lies a shifted column, no measurement


class NotANumberError(ValueError):
    """What is wrong with a cell, in words for people."""


@dataclass(frozen=True, slots=True)
class Read:
    """`value` in the file's unit: a reading, or the limit that the meter stayed below or above."""

    state: State
    value: float | None = None


def read_number(text: str, decimal: Decimal = ".") -> Read:
    """Raises NotANumberError."""
    word = text.strip().replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")
    if word.lower() in _NOTHING:
        return Read("none")
    if word.lower() in _OVERLOAD:
        return Read("overload")
    if word[0] in "<>":
        return Read("below" if word[0] == "<" else "above", _number(word[1:].strip(), decimal))
    return Read("value", _number(word, decimal))


def _number(word: str, decimal: Decimal) -> float:
    form = _POINT if decimal == "." else _COMMA
    if not form.fullmatch(word) or not any(sign.isdigit() for sign in word):
        raise NotANumberError(_why_not(word, decimal))
    plain = re.sub(r"[,' ]" if decimal == "." else r"[.' ]", "", word).replace(",", ".")
    value = float(plain)
    if not -LARGEST <= value <= LARGEST:
        raise NotANumberError(f"{word[:40]!r} is beyond {LARGEST:g}: no instrument shows that")
    return value


def _why_not(word: str, decimal: Decimal) -> str:
    other = _COMMA if decimal == "." else _POINT
    shown = word[:40].encode("unicode_escape").decode("ascii")
    told = f"'{shown}' is no number with a decimal '{decimal}'"
    if other.fullmatch(word) and any(sign.isdigit() for sign in word):
        return f'{told}; does the file write decimals with "{"," if decimal == "." else "."}"?'
    return f"{told}; known besides numbers: <0.1, >0.1, ---, OL and an empty cell"
