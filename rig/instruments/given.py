"""What a person gives by option, such as 5=4, kv=2 or 75cm; each wrong one with its form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

from rig.exit_codes import UsageError
from rig.instruments.quantities import UNCERTAIN

T = TypeVar("T")
_LENGTH = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(mm|cm|m)")
_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
NEAREST_MM, FARTHEST_MM = 50.0, 20_000.0
THICKEST_MM = 200.0
# dose -> dose_ugy: the quantity without its unit, as people say it
SHORT = {re.sub(r"_(ugy_s|ugy|ms|mm)$", "", name): name for name in UNCERTAIN}


def row_pairs(words: Sequence[str]) -> dict[int, int]:
    return _by_row("--pair", words, "ROW=NUMBER, such as 5=4", lambda text: int(_digits(text)))


def layers_mm(words: Sequence[str]) -> dict[int, float]:
    def thickness(text: str) -> float:
        value = float(text)
        if not 0 <= value <= THICKEST_MM:
            raise ValueError("thickness")
        return value

    return _by_row("--al", words, f"ROW=MM, 0 to {THICKEST_MM:g} mm, such as 6=1.5", thickness)


def percents(option: str, words: Sequence[str]) -> dict[str, float]:
    from rig.config_errors import suggestion

    found: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in SHORT:
            raise UsageError(f"{option} {word}: no quantity {name!r}; {suggestion(name, SHORT)}")
        try:
            pct = float(value.removesuffix("%"))
        except ValueError:
            pct = -1.0
        if not 0 < pct <= 100:
            raise UsageError(f"{option} {word}: write {name}=PCT, above 0 and at most 100")
        found[SHORT[name]] = pct
    return found


def number_range(word: str | None) -> tuple[int, int] | None:
    if word is None:
        return None
    match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", word)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise UsageError(f"--shots {word}: write A-B, the first and the last number, such as 3-14")
    return int(match[1]), int(match[2] or match[1])


def length_mm(word: str | None) -> float | None:
    if word is None:
        return None
    match = _LENGTH.fullmatch(word.strip())
    found = float(match[1]) * _MM[match[2]] if match else 0.0
    if not NEAREST_MM <= found <= FARTHEST_MM:
        raise UsageError(f"--distance {word}: write a length from 5cm to 20m, such as 75cm or 1m")
    return found


def day(word: str | None) -> date | None:
    if word is None:
        return None
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise UsageError(f"--due {word}: write a day as YYYY-MM-DD, such as 2027-03-31") from None


def _by_row(option: str, words: Sequence[str], form: str, read: Callable[[str], T]) -> dict[int, T]:
    found: dict[int, T] = {}
    for word in words:
        row, _, value = word.partition("=")
        try:
            number, of = int(_digits(row)), read(value)
        except ValueError:
            raise UsageError(f"{option} {word}: write {form}") from None
        if number in found:
            raise UsageError(f"{option} {word}: row {number} was said before")
        found[number] = of
    return found


def _digits(text: str) -> str:
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(text)
    return text
