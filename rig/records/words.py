"""Numbers, limits and dates of a record in words for people."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta

from rig.records.record import ShotRow, Value

MARKS = {
    "S": "stated in a public source",
    "C": "computed or measured for this project",
    "D": "a design choice of this project",
    "M": "from memory of a standard, unverified against its text",
}
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # control, direction, half a character


def value_text(value: Value) -> str:
    match value.value:
        case None:
            return "not found"
        case str() as text:
            return text
        case number:
            return _with_unit(_told_apart(number, value.low, value.high), value.unit)


def limit_text(value: Value) -> str:
    """Never empty: a value without a limit says so."""
    if value.limit:
        return value.limit
    low, high = (None if x is None else plain_number(x) for x in (value.low, value.high))
    if low is not None and high is not None:
        return _with_unit(f"{low} to {high}", value.unit)
    if high is not None:
        return _with_unit(f"at most {high}", value.unit)
    if low is not None:
        return _with_unit(f"at least {low}", value.unit)
    return "no limit"


def asked_text(shot: ShotRow) -> str:
    """What ends the beam: a time, a charge, or both."""
    asked = (number_text(shot.asked_ms, "ms"), number_text(shot.asked_mas, "mAs"))
    return ", ".join(filter(None, asked))


def number_text(value: float | None, unit: str = "") -> str:
    return "" if value is None else _with_unit(plain_number(value), unit)


def plain_number(value: float, digits: int = 4) -> str:
    """`digits` significant ones, but all those before the point."""
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    if value == 0 or abs(value) >= 0.001:
        return f"{float(f'{value:.{digits}g}'):.12f}".rstrip("0").rstrip(".")
    return f"{value:.{digits}g}"


def moment(at: datetime) -> str:
    """With its own offset from UTC."""
    offset = at.strftime("%z")
    zone = "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{at:%Y-%m-%d %H:%M:%S} {zone}"


def clock(at: datetime, started: datetime) -> str:
    """The time alone on the day and in the zone of the start, else all of it."""
    same = at.date() == started.date() and at.utcoffset() == started.utcoffset()
    return f"{at:%H:%M:%S}" if same else moment(at)


def duration(span: timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def printable(text: str) -> str:
    """What a page can show: a name can't turn the line round, hide, or stop the page."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(sign) in _INVISIBLE and sign not in "\n\t"
        else sign
        for sign in text
    )


def _told_apart(value: float, low: float | None, high: float | None) -> str:
    """As many digits as it takes that the printed number lies where the value lies."""
    limits = [limit for limit in (low, high) if limit is not None]
    for digits in (4, 5, 6, 8):
        shown = plain_number(value, digits)
        if all((float(shown) > limit) == (value > limit) for limit in limits) and all(
            (float(shown) < limit) == (value < limit) for limit in limits
        ):
            return shown
    return repr(value)


def _with_unit(number: str, unit: str) -> str:
    number = number.replace("-", "\N{MINUS SIGN}")
    return f"{number}\N{NO-BREAK SPACE}{unit}" if unit else number
