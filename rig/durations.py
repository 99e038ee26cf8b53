"""How long something lasts, as people write it: 40d, 3h, 90m, 2w."""

from __future__ import annotations

import re

from rig.exit_codes import UsageError

SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
FORM = "a number and w, d, h or m, such as 2w, 40d, 3h or 90m"
_WRITTEN = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([mhdw])")


def seconds_of(text: str) -> float:
    """Of "40d". Raises UsageError with the form that is allowed."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise UsageError(f"{text!r} is no duration: write {FORM}")
    return float(written[1]) * SECONDS[written[2]]


def words_of(seconds: float) -> str:
    """For people, in the largest unit of which there are two: "40 d", "2.5 h", "90 s"."""
    for word, unit_s in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * unit_s:
            return f"{_number(seconds / unit_s)} {word}"
    return f"{_number(seconds)} s"


def _number(value: float) -> str:
    """Two digits where it is small."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")
