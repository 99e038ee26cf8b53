"""A finding beside its limit, with its uncertainty: pass, fail, or not decided within it.

The expanded uncertainty (k = 2) makes an interval around what was found. The whole of it inside the
limit passes, the whole of it outside fails, and what lies across is not decided: both risks are
told instead of shared (our own rule, as ILAC-G8 guard bands would do it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "not decided", "not judged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`indicated`, `independent`: in `unit`; `found`, `uncertainty`, `limit`: in `found_unit`.

    None: there is none. `why`: what keeps it from being judged or decided.
    """

    test: str
    what: str
    exposures: tuple[int, ...]
    found: float | None
    found_unit: str
    verdict: Verdict
    indicated: float | None = None
    independent: float | None = None
    unit: str = ""
    uncertainty: float | None = None
    limit: float | None = None
    limit_text: str = ""
    why: str = ""
    source: str = ""
    mark: str = ""


NOT_STATED = "no uncertainty is stated for the meter (--uncertainty)"


def at_most(low: float, high: float, limit: float) -> Verdict:
    """Of an interval that must lie below a limit; a limit itself is kept."""
    if high <= limit:
        return "pass"
    return "fail" if low > limit else "not decided"


def at_least(low: float, high: float, limit: float) -> Verdict:
    if low >= limit:
        return "pass"
    return "fail" if high < limit else "not decided"
