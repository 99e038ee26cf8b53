"""Intent, report and sample as JSON objects: on the bus, in the journal, in exposure.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from hal.types import (
    AecSetting,
    EndReason,
    ExposureReport,
    Intent,
    RecorderSample,
    Shot,
    ShotKind,
    Technique,
)

SCHEMA = 1
T = TypeVar("T")


def intent_to_dict(intent: Intent) -> dict[str, Any]:
    return _as_ever(asdict(intent))


def intent_from_dict(data: object) -> Intent:
    """Raises ValueError, saying what is wrong."""
    content = _object(data, "intent")
    return _made(Intent, content, shot=_shot(content.get("shot")))


def report_to_dict(report: ExposureReport) -> dict[str, Any]:
    return _as_ever(asdict(report)) | {"reason": report.reason.value}


def report_from_dict(data: object) -> ExposureReport:
    """Raises ValueError, saying what is wrong."""
    content = _object(data, "report")
    reason = EndReason(content.get("reason"))
    return _made(ExposureReport, content, shot=_shot(content.get("shot")), reason=reason)


def sample_to_dict(sample: RecorderSample) -> dict[str, Any]:
    return asdict(sample)


def sample_from_dict(data: object, *, taken_us: int) -> RecorderSample:
    """`taken_us` is by the reader's clock. Raises ValueError, saying what is wrong."""
    content = _object(data, "sample")
    lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
    return _made(RecorderSample, content, taken_us=taken_us, **lists)


def same_news(one: RecorderSample, other: RecorderSample) -> bool:
    """Equal but for the time."""
    return replace(one, taken_us=other.taken_us) == other


def _as_ever(data: dict[str, Any]) -> dict[str, Any]:
    """Nothing of what was not asked for (AEC, a distance): records are proved by their sums."""
    technique = data["shot"]["technique"]
    if technique["aec"] is None:
        del technique["aec"]
    if data["shot"]["sid_mm"] is None:
        del data["shot"]["sid_mm"]
    for name in _LATER:
        if name in data and data[name] is None:
            del data[name]
    return data


_LATER = ("sid_mm", "field_rows_mm", "field_columns_mm", "dap_dgycm2", "calculated_dap_dgycm2",
          "dap_doubt", "timer_us")  # fmt: skip


def _shot(data: object) -> Shot:
    content = _object(data, "shot")
    technique = _technique(content.get("technique"))
    kind = ShotKind(content.get("kind", ShotKind.IMAGING))
    return _made(Shot, content, technique=technique, kind=kind)


def _technique(data: object) -> Technique:
    content = _object(data, "technique")
    aec = content.get("aec")
    if aec is None:
        return _made(Technique, content)
    told = _object(aec, "aec")
    setting = _made(AecSetting, told, chambers=_words(told.get("chambers")))
    return _made(Technique, content, aec=setting)


def _words(data: object) -> object:
    """JSON has no tuples; what is no list is judged as it is."""
    return tuple(data) if isinstance(data, list) else data


def _object(data: object, name: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{name}: must be an object, got {data!r}")
    return data


def _made(kind: type[T], data: Mapping[str, Any], /, **parts: Any) -> T:
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
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(one, get_args(hint)[0]) for one in value)
    allowed = get_args(hint) or (hint,)
    if isinstance(value, bool):
        return bool in allowed
    if isinstance(value, int) and float in allowed:
        return True
    return isinstance(value, allowed)
