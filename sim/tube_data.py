"""Data sheets of tubes: `sim/tubes/NAME.toml`, every value with its mark and its source.

What a document gives is "stated", what follows from that is "computed", what somebody remembers
is "memory", and what nobody gives and a model needs is "chosen". What is not known is absent:
a model that needs it says so by name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

TUBES = Path(__file__).parent / "tubes"
MARKS = ("stated", "computed", "memory", "chosen")
_MANY = 20  # too many words to list
VERIFIED = ("stated", "computed")  # a document stands behind it
ANODES = ("rotating", "stationary")
ABOUT = ("maker", "model", "anode", "document")

# name of a fact: (what it is, least, most)
FACTS: dict[str, tuple[str, float, float]] = {
    "anode_heat_j": ("heat that the anode stores", 1e2, 1e7),
    "anode_cooling_w": ("what it loses at that heat", 1.0, 1e5),
    "anode_cooling_order": ("loss goes with the heat to this power: 1 or 2", 1, 2),
    "anode_deg": ("angle of the target", 1.0, 45.0),
    "anode_mm": ("diameter of the target", 5.0, 300.0),
    "continuous_w": ("power for any time", 1.0, 1e5),
    "housing_heat_j": ("heat that the housing stores, above the room", 1e3, 1e8),
    "housing_cooling_w": ("what it loses at that heat", 1.0, 1e5),
    "rating_input_w": ("equivalent anode input at which the powers hold", 0.0, 1e5),
    "rating_hz": ("stator supply at which the powers hold", 50.0, 200.0),
    "rotor_rpm": ("speed of the anode", 100.0, 12_000.0),
    "large_mm": ("large focal spot, or the only one", 0.01, 10.0),
    "large_w": ("its power for 0.1 s; stationary: for any time", 1.0, 2e5),
    "large_60hz_w": ("... with 60 Hz at the stator", 1.0, 2e5),
    "small_mm": ("small focal spot", 0.01, 10.0),
    "small_w": ("its power for 0.1 s", 1.0, 2e5),
    "small_60hz_w": ("... with 60 Hz at the stator", 1.0, 2e5),
    "kv_min": ("least tube voltage", 1.0, 500.0),
    "kv_max": ("most tube voltage", 1.0, 500.0),
    "ma_max": ("most tube current", 0.001, 5000.0),
    "leakage_ma": ("current of the leakage test, at kv_max", 0.001, 100.0),
    "inherent_mm_al": ("filtration of the tube and its housing", 0.0, 10.0),
    "filament_a": ("filament current of the point from which its emission is counted", 0.1, 20.0),
    "filament_k": ("... its temperature there", 1500.0, 3000.0),
    "filament_ma": ("... its emission there", 0.001, 5000.0),
    "filament_exponent": ("temperature goes with the current to this power", 0.5, 0.71),
    "filament_tau_s": ("time constant of its temperature", 0.01, 10.0),
    "filament_standby_a": ("current between beams", 0.0, 20.0),
    "filament_max_a": ("most filament current", 0.1, 20.0),
    "space_charge_40kv_ma": ("space charge lets so much through at 40 kV", 0.1, 1e5),
    "filament_small_a": ("filament of the small focus: current of its point", 0.1, 20.0),
    "filament_small_k": ("... its temperature there", 1500.0, 3000.0),
    "filament_small_ma": ("... its emission there", 0.001, 5000.0),
    "filament_small_standby_a": ("... its current between beams", 0.0, 20.0),
    "filament_small_max_a": ("... most filament current", 0.1, 20.0),
    "space_charge_small_40kv_ma": ("... space charge lets so much through at 40 kV", 0.1, 1e5),
    "oil_limit_c": ("temperature of the oil that ends a beam", 20.0, 120.0),
}  # fmt: skip


class TubeError(ValueError):
    """A data sheet that can't be used, or a fact that it does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    value: float  # in the unit that ends its name
    mark: str  # one of MARKS
    source: str

    @property
    def verified(self) -> bool:
        return self.mark in VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeSheet:
    name: str  # of its file
    maker: str
    model: str
    anode: str  # one of ANODES
    document: str
    facts: Mapping[str, Fact]

    def __getitem__(self, name: str) -> float:
        """Raises TubeError where the sheet does not have it."""
        if name not in self.facts:
            raise TubeError(f"{self.name}.toml: has no {name} ({FACTS[name][0]})")
        return self.facts[name].value

    def get(self, name: str) -> float | None:
        fact = self.facts.get(name)
        return None if fact is None else fact.value

    def __contains__(self, name: str) -> bool:
        return name in self.facts


def shipped_tubes() -> list[str]:
    return sorted(file.stem for file in TUBES.glob("*.toml"))


@cache
def tube_sheet(name: str) -> TubeSheet:
    """A sheet that ships, by its name in either case, or a file, by a path that ends in .toml.

    Raises TubeError with every mistake, a sentence each.
    """
    path = Path(name) if name.endswith(".toml") else TUBES / f"{name.lower()}.toml"
    if not name.endswith(".toml") and name.lower() not in shipped_tubes():
        raise TubeError(f"no tube {name!r}; {_hint(name.lower(), shipped_tubes())}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise TubeError(f"{path}: can't be read: {(reason or str(error)).lower()}") from None
    return parsed(text, path.stem)


def parsed(text: str, name: str) -> TubeSheet:
    """Raises TubeError."""
    try:
        data = tomllib.loads(text)
    except ValueError as error:
        raise TubeError(f"{name}.toml: not valid TOML: {error}") from None
    mistakes = list(_mistakes(data)) or list(_contradictions(data["facts"]))
    if mistakes:
        raise TubeError("\n".join(f"{name}.toml: {mistake}" for mistake in mistakes))
    facts = {
        key: Fact(value=float(row["value"]), mark=row["mark"], source=row["source"])
        for key, row in data["facts"].items()
    }
    return TubeSheet(name=name, facts=facts, **data["tube"])


def _mistakes(data: Mapping[str, Any]) -> Iterator[str]:
    for table in ("tube", "facts"):
        if not isinstance(data.get(table), dict):
            yield f"[{table}] is missing"
    for table in sorted(set(data) - {"tube", "facts"}):
        yield f"unknown table [{table}]; {_hint(table, ['tube', 'facts'])}"
    yield from _of_tube(_table(data, "tube"))
    for key, row in _table(data, "facts").items():
        if key not in FACTS:
            yield f"unknown fact {key}; {_hint(key, FACTS)}"
        elif not isinstance(row, dict):
            yield f'{key}: expected {{ value = ..., mark = "...", source = "..." }}, got {row!r}'
        else:
            yield from (f"{key}.{mistake}" for mistake in _of_fact(key, row))


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = data.get(name)
    return table if isinstance(table, dict) else {}


def _of_tube(about: Mapping[str, Any]) -> Iterator[str]:
    for key in ABOUT if about else ():
        if not _is_text(about.get(key)):
            yield f'tube.{key}: expected a text in "quotes", got {about.get(key)!r}'
    for key in sorted(set(about) - set(ABOUT)):
        yield f"unknown key tube.{key}; {_hint(key, ABOUT)}"
    if _is_text(about.get("anode")) and about["anode"] not in ANODES:
        yield f"tube.anode: {about['anode']!r}; {_hint(about['anode'], ANODES)}"


def _of_fact(key: str, row: Mapping[str, Any]) -> Iterator[str]:
    _, least, most = FACTS[key]
    value = row.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield f"value: expected a number, got {value!r}"
    elif not least <= value <= most:
        yield f"value: {value:g} is outside {least:g} to {most:g}"
    elif key == "anode_cooling_order" and value not in (1, 2):
        yield f"value: {value:g} is not 1 or 2"
    if row.get("mark") not in MARKS:
        yield f"mark: {row.get('mark')!r}; {_hint(str(row.get('mark')), MARKS)}"
    if not _is_text(row.get("source")):
        yield f'source: expected a text in "quotes", got {row.get("source")!r}'
    for word in sorted(set(row) - {"value", "mark", "source"}):
        yield f"{word}: unknown; {_hint(word, ['value', 'mark', 'source'])}"


def _contradictions(facts: Mapping[str, Any]) -> Iterator[str]:
    pairs = (("kv_min", "kv_max"), ("small_w", "large_w"), ("small_mm", "large_mm"),
             ("small_60hz_w", "large_60hz_w"))  # fmt: skip
    for less, more in pairs:
        if less in facts and more in facts and facts[less]["value"] > facts[more]["value"]:
            yield f"{less} is above {more}"
    together = (("anode_cooling_w", "anode_cooling_order", "anode_heat_j"),
                ("housing_cooling_w", "housing_heat_j"), ("large_w", "large_mm"))  # fmt: skip
    for names in together:
        missing = [one for one in names if one not in facts]
        if 0 < len(missing) < len(names) and missing != ["large_w"]:
            yield f"{', '.join(missing)}: missing beside {_first(names, facts)}"


def _first(names: tuple[str, ...], facts: Mapping[str, Any]) -> str:
    return next(one for one in names if one in facts)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _hint(word: str, words: Any) -> str:
    known = list(words)
    near = get_close_matches(word, known, n=1, cutoff=0.6 if len(known) < _MANY else 0.0)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
