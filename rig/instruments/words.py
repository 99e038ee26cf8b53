"""An import in words for people: lines and tables of at most 80 characters.

It is made of what is kept (plain JSON), so that a file that was imported long ago is shown as it
was on the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rig.instruments.quantities import QUANTITIES
from rig.records.words import plain_number

WIDTH = 80
PER_EXPOSURE = ("exp", "what", "indicated", "independent", "deviation", "limit", "verdict")
PER_SERIES = ("what", "found", "limit", "verdict")
_VERDICTS = {"pass": "pass", "fail": "FAIL", "not decided": "undecided", "not judged": "-"}
_ACCURACY = ("kv", "time", "ma", "mas")
MARKS = {"M": "from memory, unverified", "S": "stated", "C": "computed", "D": "our own"}
LIST_HEADINGS = ("import", "when", "file", "instrument", "paired", "verdict")

Content = Mapping[str, Any]
Rows = list[tuple[str, ...]]


def head(content: Content) -> Iterator[str]:
    """The first screen: which instrument, is it in calibration, what was paired, the verdict."""
    rows, pairs = content["rows"], content["pairs"]
    yield f"{content['file']}: {len(rows)} rows of {instrument(content['instrument'])}"
    yield calibration(content)
    if content["clock_ahead_s"] is not None:
        worst = max((abs(pair["residual_s"] or 0.0) for pair in pairs), default=0.0)
        yield f"its clock: {_ahead(content['clock_ahead_s'])}; pairs lie within {worst:.1f} s of it"
    told = {left["why"] for left in content["rows_left"]}
    yield from (f"note: {note}" for note in content["notes"] if note not in told)
    numbers = _ranges([pair["number"] for pair in pairs])
    yield f"{len(pairs)} of {len(rows)} rows paired" + (f": exposures {numbers}" if pairs else "")
    yield from _left("row", content["rows_left"], "row")
    yield from _left("exposure", content["exposures_left"], "number")
    for row in rows:
        yield from (f"  row {row['row']}: {note}" for note in row["notes"])


def _left(word: str, left: Sequence[Mapping[str, Any]], key: str) -> Iterator[str]:
    """A line a reason."""
    reasons: dict[str, list[int]] = {}
    for one in left:
        reasons.setdefault(one["why"], []).append(one[key])
    for why, numbers in reasons.items():
        yield f"  {word if len(numbers) == 1 else word + 's'} {_ranges(numbers)}: {why}"


def calibration(content: Content) -> str:
    due = content["instrument"]["calibration_due"]
    return {
        "valid": f"calibration due {due}: valid",
        "past due": f"CALIBRATION PAST DUE since {due}: these values prove nothing",
        "not stated": "calibration: nobody states when it is due (--due)",
    }[content["calibration"]]


def instrument(found: Mapping[str, Any]) -> str:
    serial = f"serial {found['serial']}" if found["serial"] else "serial not stated"
    return f"{found['model'] or 'an instrument'}, {serial}"


def verdict(content: Content) -> str:
    counts = dict.fromkeys(_VERDICTS, 0)
    for finding in content["findings"]:
        counts[finding["verdict"]] += 1
    judged = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    past = "; CALIBRATION PAST DUE" if content["calibration"] == "past due" else ""
    left = "; rows wait for your word" if content["ambiguous"] else ""
    return f"verdict: {content['verdict'].upper()} ({judged or 'nothing was judged'}){past}{left}"


def per_exposure(findings: Sequence[Mapping[str, Any]]) -> Rows:
    """Indicated against independent; `exp` is the exposure's number."""
    return [
        (
            str(one["exposures"][0]),
            one["what"],
            _number(one["indicated"], one["unit"]),
            _number(one["independent"], one["unit"]),
            _with_u(one, signed=True),
            one["limit_text"] or "none",
            _VERDICTS[one["verdict"]],
        )
        for one in findings
        if one["test"] in _ACCURACY
    ]


def per_series(findings: Sequence[Mapping[str, Any]]) -> Rows:
    return [
        (one["what"], _with_u(one), one["limit_text"] or "none", _VERDICTS[one["verdict"]])
        for one in findings
        if one["test"] not in _ACCURACY
    ]


def reasons(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Why some are not judged or decided, and whose the limits are; each once."""
    for why, numbers in _grouped(findings, "why").items():
        yield f"{why} ({numbers})"
    sources = dict.fromkeys((one["mark"], one["source"]) for one in findings if one["source"])
    for mark, source in sources:
        yield f"limit [{mark}: {MARKS[mark]}] {source}"


def values_text(values: Mapping[str, float]) -> str:
    """70.4 kV, 101 ms."""
    shown = ((QUANTITIES[name], value) for name, value in values.items())
    return ", ".join(f"{plain_number(value)} {about.unit}".strip() for about, value in shown)


def held_text(at: datetime, values: Sequence[float | None], unit: str, flags: Sequence[str]) -> str:
    shown = ", ".join("overload" if v is None else f"{v:.4g} {unit}" for v in values)
    complaint = f" ({'; '.join(flags)})" if flags else ""
    return f"{at:%H:%M:%S}  {shown}{complaint}"


def list_row(number: int, content: Content, *, superseded: bool) -> tuple[str, ...]:
    count = f"{len(content['pairs'])} of {len(content['rows'])}"
    word = "superseded" if superseded else content["verdict"]
    at = datetime.fromisoformat(content["at"])
    when = f"{at:%Y-%m-%d %H:%MZ}"
    return (str(number), when, content["file"][:20], instrument_short(content), count, word)


def instrument_short(content: Content) -> str:
    found = content["instrument"]
    return " ".join(filter(None, (found["model"], found["serial"])))[:20] or "not stated"


def wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Within the width, indented where a line goes on."""
    import textwrap

    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(line, WIDTH, subsequent_indent=indent) or [""]


def _grouped(findings: Sequence[Mapping[str, Any]], key: str) -> dict[str, str]:
    numbers: dict[str, list[str]] = {}
    for one in findings:
        if one[key]:
            whats = numbers.setdefault(one[key], [])
            what = one["what"].split(",")[0]
            if what not in whats:
                whats.append(what)
    return {why: ", ".join(whats) for why, whats in numbers.items()}


def _with_u(finding: Mapping[str, Any], *, signed: bool = False) -> str:
    found, u, unit = finding["found"], finding["uncertainty"], finding["found_unit"]
    if found is None:
        return "not found"
    text = f"{round(found, 1) + 0.0:+.1f}" if signed else plain_number(found)
    if u is not None:
        text += f" ±{u:.1f}" if signed else f" ±{plain_number(u, 2)}"
    return f"{text} {unit}".strip()


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{plain_number(value)} {unit}"


def _ahead(seconds: float) -> str:
    word = "ahead of" if seconds >= 0 else "behind"
    size = abs(seconds)
    if size < 120:
        return f"{size:.1f} s {word} the unit's"
    hours, rest = divmod(round(size), 3600)
    return f"{hours} h {rest // 60} min {rest % 60} s {word} the unit's"


def _ranges(numbers: Sequence[int]) -> str:
    """1-4, 6, 8-9."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
