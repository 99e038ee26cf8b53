"""R2CP in words: its set-points. Enabling words are known, too: to be refused by name.

The bytes are the driver's own (hal/generators/r2cp_*): a technique is the databank that the driver
would load. It has no parts on the wire, so focus is said with the technique.
"""

from __future__ import annotations

from difflib import get_close_matches

from firmware_py.config import TubeConfig, UnitConfig
from rig.exit_codes import UsageError

ENABLING = ("preparation", "prepare", "activate")  # each readies rotor and filament
WORDS = ("technique", "focus", "assign", "exposure", "start", "stop", *ENABLING)
FOCUS = {"small": 0, "large": 1}
NUMBERS = ("kv", "ma", "mas", "ms")


def word_bytes(unit: UnitConfig, name: str, argument: str) -> bytes | None:
    """None: it is no word of this table, but may be an entry. Raises UsageError."""
    from hal.generators.r2cp_ratings import ACTIVATE, ASSIGN, READ_BACK
    from hal.generators.r2cp_wire import START, STOP, encode

    known = {
        "technique": READ_BACK, "focus": READ_BACK, "assign": ASSIGN,
        "exposure": START, "start": START, "stop": STOP, **dict.fromkeys(ENABLING, ACTIVATE),
    }  # fmt: skip
    if name == "technique" and argument:
        return _technique(unit, argument)
    if name == "focus" and argument:
        raise UsageError(
            f"focus {argument}: it is set with the technique, as one databank: "
            f"technique kv=80 ma=100 mas=2.5 focus={argument}"
        )
    return encode(known[name].framed(1)) if name in known else None


def _technique(unit: UnitConfig, argument: str) -> bytes:
    from hal.generators.r2cp_ratings import databank_of, load
    from hal.generators.r2cp_wire import encode
    from hal.types import Technique

    given = _given(argument)
    focus = given.pop("focus", unit.generator.focus or "large")
    if focus not in FOCUS:
        raise UsageError(f"focus = {focus}: must be small or large")
    values = {key: _number(key, text) for key, text in given.items()}
    if not ({"kv", "ma"} <= values.keys() and len(values) == 3):
        raise UsageError("technique: needs kv, ma, and mas or ms: technique kv=80 ma=100 mas=2.5")
    _within(unit.tube, values)
    try:
        technique = Technique(
            kv=values["kv"], ma=values["ma"], mas=values.get("mas"), ms=values.get("ms")
        )
        bank = databank_of(technique, focus_index=FOCUS[focus])
        return encode(load(bank).framed(1))
    except ValueError as error:
        raise UsageError(f"technique: {error}") from error


def _given(argument: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in argument.lower().split():
        key, equals, value = text.partition("=")
        if not equals or key not in (*NUMBERS, "focus"):
            near = get_close_matches(key, (*NUMBERS, "focus"), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"technique {text}: write kv=, ma=, mas= or ms=, focus={hint}")
        if key in found:
            raise UsageError(f"technique: {key} is given twice")
        found[key] = value
    return found


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"technique: {key} = {text!r} is no number") from None


def _within(tube: TubeConfig, values: dict[str, float]) -> None:
    """A set-point makes no beam, but the next press would use it."""
    for key, low, high in (("kv", tube.kv_min, tube.kv_max), ("ma", tube.ma_min, tube.ma_max)):
        if not low <= values[key] <= high:
            raise UsageError(
                f"technique: {key} = {values[key]:g}: this bench's tube takes {low:g} to {high:g}"
            )
