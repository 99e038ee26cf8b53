"""Intent, report and sample as JSON objects: on the bus, in the journal, in exposure.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar, get_args, get_type_hints

from hal.types import EndReason, ExposureReport, Intent, RecorderSample, Shot, Technique

SCHEMA = 1
T = TypeVar("T")


def intent_to_dict(intent: Intent) -> dict[str, Any]:
    return asdict(intent)


def intent_from_dict(data: Mapping[str, Any]) -> Intent:
    """Raises ValueError, saying what is wrong."""
    return _made(Intent, data, shot=_shot(data.get("shot")))


def report_to_dict(report: ExposureReport) -> dict[str, Any]:
    return asdict(report) | {"reason": report.reason.value}


def report_from_dict(data: Mapping[str, Any]) -> ExposureReport:
    """Raises ValueError, saying what is wrong."""
    reason = EndReason(data.get("reason"))
    return _made(ExposureReport, data, shot=_shot(data.get("shot")), reason=reason)


def sample_to_dict(sample: RecorderSample) -> dict[str, Any]:
    return asdict(sample)


def sample_from_dict(data: Mapping[str, Any], *, taken_us: int) -> RecorderSample:
    """`taken_us` is by the reader's clock. Raises ValueError, saying what is wrong."""
    return _made(RecorderSample, data, taken_us=taken_us)


def same_news(one: RecorderSample, other: RecorderSample) -> bool:
    """Equal but for the time."""
    return replace(one, taken_us=other.taken_us) == other


def _shot(data: object) -> Shot:
    if not isinstance(data, Mapping) or not isinstance(data.get("technique"), Mapping):
        raise ValueError("shot: must be an object with a technique")
    return _made(Shot, data, technique=_made(Technique, data["technique"]))


def _made(kind: type[T], data: Mapping[str, Any], **parts: Any) -> T:
    """`kind` from JSON values of the very types that it declares."""
    values = {**data, **parts}
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"{kind.__name__}: has no {name}")
        if not _fits(value, hints[name]):
            raise ValueError(f"{kind.__name__}: {name} can't be {value!r}")
    try:
        return kind(**values)
    except TypeError as error:  # something is missing
        raise ValueError(str(error)) from None


def _fits(value: object, hint: Any) -> bool:
    allowed = get_args(hint) or (hint,)
    if isinstance(value, bool):
        return bool in allowed
    if isinstance(value, int) and float in allowed:
        return True
    return isinstance(value, allowed)
