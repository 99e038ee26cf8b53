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
INTEGER_DIGITS = 17  # 2^53 has 16, and a sign


def dumps(message: Mapping[str, Any]) -> bytes:
    """Compact text in the order of `message`; ValueError for NaN and Infinity."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()


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
    _refuse_deep(message)
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


def flag(message: Mapping[str, Any], key: str) -> bool:
    value = message.get(key)
    if isinstance(value, bool):
        return value
    raise WireError(f"{key}: must be true or false, got {shown(value)}")


def shown(value: object) -> str:
    """A peer's value, short enough for a message."""
    written = repr(value)
    return written if len(written) <= 40 else f"{written[:37]}..."


def _refuse_deep(message: dict[str, Any]) -> None:
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise WireError(f"JSON is nested deeper than {MAX_DEPTH}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("a key is given twice")
    return message


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= INTEGER_DIGITS else MAX_INTEGER + 1
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("an integer is beyond 2^53")
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is beyond float64")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
)
