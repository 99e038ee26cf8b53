"""JSON as it may come from a peer: small, shallow, finite, and with no key said twice.

The standard library accepts NaN, Infinity, 1e999 and repeated keys (security check C13).
Everything that is wrong with a text raises WireError with the reason; what we write
ourselves and must not leave (NaN) raises ValueError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from hal.ports import WireError

MAX_BYTES = 65_536
MAX_DEPTH = 32
MAX_INTEGER = 1 << 53  # beyond it, peers that hold numbers as float64 read another value


def dumps(message: Mapping[str, Any]) -> bytes:
    """Compact text in the order of `message`; ValueError for NaN and Infinity."""
    return _ENCODER.encode(message).encode()


def loads(data: bytes, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The object in `data`; WireError for anything else."""
    if len(data) > max_bytes:
        raise WireError(f"JSON of {len(data)} bytes, at most {max_bytes} are taken")
    try:
        message = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(f"no valid JSON: {error}") from None
    if not isinstance(message, dict):
        raise WireError(f"JSON must be an object, got {type(message).__name__}")
    _check_values(message)
    return message


def integer(message: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = message.get(key)
    if type(value) is int and low <= value <= high:  # True is no number
        return value
    raise WireError(f"{key}: must be an integer from {low} to {high}, got {shown(value)}")


def text(message: Mapping[str, Any], key: str, max_chars: int) -> str:
    """A printable ASCII string of 1 to `max_chars`: ids go into logs and file indexes."""
    value = message.get(key)
    if isinstance(value, str) and 1 <= len(value) <= max_chars:
        if value.isascii() and value.isprintable():
            return value
        raise WireError(f"{key}: must be printable ASCII, got {shown(value)}")
    raise WireError(f"{key}: must be a text of 1 to {max_chars} characters, got {shown(value)}")


def texts(message: Mapping[str, Any], key: str, most_count: int, max_chars: int) -> tuple[str, ...]:
    """A list of at most `most_count` such strings."""
    values = message.get(key)
    if not isinstance(values, list) or len(values) > most_count:
        raise WireError(f"{key}: must be a list of at most {most_count}, got {shown(values)}")
    return tuple(text({key: value}, key, max_chars) for value in values)


def flag(message: Mapping[str, Any], key: str) -> bool:
    value = message.get(key)
    if isinstance(value, bool):
        return value
    raise WireError(f"{key}: must be true or false, got {shown(value)}")


def shown(value: object) -> str:
    """A peer's value, short enough for a message."""
    written = repr(value[:40] if isinstance(value, str | bytes) else value)
    return written if len(written) <= 40 else f"{written[:37]}..."


def _check_values(message: dict[str, Any]) -> None:
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise WireError(f"JSON is nested deeper than {MAX_DEPTH}")


def _children(parent: dict[str, Any] | list[Any]) -> list[Any]:
    """The objects and lists in it; WireError for a number that is out of all reason."""
    children = []
    for value in parent.values() if isinstance(parent, dict) else parent:
        kind = type(value)
        if kind is dict or kind is list:
            children.append(value)
        elif kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise WireError("an integer is beyond 2^53")
        elif kind is float and not math.isfinite(value):  # 1e999
            raise WireError("a number is beyond float64")
    return children


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("a key is given twice")
    return message


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


# A digit string of any length costs nothing: Python itself takes at most 4300.
_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
