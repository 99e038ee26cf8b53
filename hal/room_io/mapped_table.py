"""A remote I/O module as data: one TOML file says where its channels are and what they do.

`hal/room_io/maps/NAME.toml` ships; any other file will do, so a new module needs no code
(hal/README.md has a worked example). Every row names its source. A map is read once, when a
driver or a desk is built.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from hal.types import CONTACTS

MAPS = Path(__file__).parent / "maps"
COILS = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose", "spare")
# The type that a family's driver takes a module for when the bench names none.
DEFAULTS = {
    "adam": "adam-6050",
    "iologik": "iologik-e1213",
    "mapped": "",
    "waveshare": "waveshare-8",
}
# A generator with commands of its own for them needs no PREP and EXPOSE lines.
NEEDED_COILS = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor")

WORD_BITS = 16
_REGISTER_MAX = 0xFFFF
_CHANNELS_MAX = 64
_TIME_MAX_MS = 3_600_000


def map_name(driver: str, named: str | None) -> str:
    """The map that a bench means. Raises MapError where `driver` has none of its own."""
    found = named or DEFAULTS[driver]
    if not found:
        raise MapError([f'is missing: driver = "{driver}" is told by its map what the module is'])
    return found


class MapError(ValueError):
    """All that is wrong with one map, a sentence each: file, line, key, what would do."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """`contacts` name the channels from the first one on; those beyond are not wired."""

    function: (
        int  # 1 coils, 2 discrete inputs; 3 holding, 4 input registers: 16 a word, bit 0 first
    )
    address: int
    count: int
    contacts: tuple[str, ...]
    source: str
    inverted: tuple[str, ...] = ()  # these read 0 when closed


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRows:
    """Coils: FC01 reads them, FC05 and FC15 write them."""

    address: int
    count: int
    coils: tuple[str, ...]
    source: str
    all_address: int | None = None  # FC05 here switches every channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """FC05 at `address` + channel closes the output, and the module itself opens it again.

    value "time": the raw value is the time, in `unit_ms`, at most `longest_count` of them.
    value "start": ff00 starts a pulse whose width is set in the module, 0000 ends it.
    """

    address: int
    value: Literal["time", "start"]
    source: str
    unit_ms: int | None = None
    longest_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """The module opens its outputs when nobody asks for a time that is set in the module."""

    least_ms: int
    longest_ms: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the module keeps of its own set-up: one name for each address. Read, never written."""

    function: int  # 1 coils, 2 discrete inputs, 3 holding, 4 input registers
    addresses: tuple[int, ...]
    names: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleMap:
    name: str
    source: str
    verified: str
    wires: tuple[str, ...]
    device_id: int
    inputs: Inputs
    outputs: OutputRows
    pulse: Pulse | None = None
    watchdog: Watchdog | None = None
    settings: Settings | None = None

    def missing(self) -> tuple[str, ...]:
        """What a room needs and this module has no channel for."""
        has = (*self.inputs.contacts, *self.outputs.coils)
        return tuple(name for name in (*CONTACTS, *NEEDED_COILS) if name not in has)


def shipped_maps() -> list[str]:
    return sorted(file.stem for file in MAPS.glob("*.toml"))


@cache
def module_map(named: str) -> ModuleMap:
    """A map that ships by its name, a file by its path, or the text of one (it has lines).

    Raises MapError with every mistake.
    """
    if "\n" in named:
        return parsed(named, "map")
    path = Path(named) if named.endswith(".toml") else MAPS / f"{named}.toml"
    if not named.endswith(".toml") and named not in shipped_maps():
        raise MapError([f"no map {named!r} in hal/room_io/maps; {_hint(named, shipped_maps())}"])
    return parsed(map_text(path), path.name)


def map_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MapError(
            [f"{path}: can't be read: {(error.strerror or str(error)).lower()}"]
        ) from None
    except UnicodeDecodeError:
        raise MapError([f"{path}: not UTF-8 text"]) from None


# --- the schema ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    kind: type  # int, str, or tuple: a list of words
    least: int = 0
    most: int = _REGISTER_MAX
    words: tuple[int | str, ...] = ()  # what is allowed, where not everything is
    each: type = str  # of a list without `words`
    needed: bool = True

    def wrong(self, value: object) -> str | None:
        if self.kind is tuple:
            return self._wrong_list(value)
        if not isinstance(value, self.kind) or isinstance(value, bool):
            what = "a whole number" if self.kind is int else 'a text in "quotes"'
            return f"expected {what}, got {value!r}"
        if self.words and value not in self.words:
            return f"{value!r} is not allowed; {_hint(value, self.words)}"
        if isinstance(value, int) and not self.words and not self.least <= value <= self.most:
            return f"{value} is outside {self.least} to {self.most}"
        return "must not be empty" if value == "" else None

    def _wrong_list(self, value: object) -> str | None:
        if not isinstance(value, list):
            return f"expected a list in [brackets], got {value!r}"
        for word in value:
            if not self.words and (wrong := _Key(kind=self.each).wrong(word)):
                return wrong
            if self.words and word not in self.words:
                return f"{word!r} is not allowed; {_hint(word, self.words)}"
        twice = [word for word in value if value.count(word) > 1 and word != "spare"]
        return f"{twice[0]!r} stands there twice" if twice else None


_TEXT = _Key(kind=str)
_ADDRESS = _Key(kind=int)
_COUNT = _Key(kind=int, least=1, most=_CHANNELS_MAX)
_MS = _Key(kind=int, least=1, most=_TIME_MAX_MS)
_SCHEMA: dict[str, dict[str, _Key]] = {
    "module": {
        "name": _TEXT,
        "source": _TEXT,
        "verified": _TEXT,
        "wires": _Key(kind=tuple, words=("tcp", "rtu")),
        "device_id": _Key(kind=int, least=1, most=247),
    },
    "inputs": {
        "function": _Key(kind=int, words=(1, 2, 3, 4)),
        "address": _ADDRESS,
        "count": _COUNT,
        "contacts": _Key(kind=tuple, words=CONTACTS),
        "inverted": _Key(kind=tuple, words=CONTACTS, needed=False),
        "source": _TEXT,
    },
    "outputs": {
        "address": _ADDRESS,
        "count": _COUNT,
        "coils": _Key(kind=tuple, words=COILS),
        "all_address": _Key(kind=int, needed=False),
        "source": _TEXT,
    },
    "pulse": {
        "address": _ADDRESS,
        "value": _Key(kind=str, words=("time", "start")),
        "unit_ms": _Key(kind=int, least=1, most=1000, needed=False),
        "longest_count": _Key(kind=int, least=1, needed=False),
        "source": _TEXT,
    },
    "watchdog": {"least_ms": _MS, "longest_ms": _MS, "source": _TEXT},
    "settings": {
        "function": _Key(kind=int, words=(1, 2, 3, 4)),
        "addresses": _Key(kind=tuple, each=int),
        "names": _Key(kind=tuple),
        "source": _TEXT,
    },
}
_OPTIONAL = ("pulse", "watchdog", "settings")


def parsed(text: str, file: str) -> ModuleMap:
    """Raises MapError."""
    try:
        data = tomllib.loads(text)
    except ValueError as error:
        raise MapError([f"{file}: not valid TOML: {error}"]) from None
    mistakes = [*_of_form(data)]
    mistakes += () if mistakes else _of_sense(data)
    if mistakes:
        raise MapError(
            [f"{file}:{_line(text, where)}: {where}: {what}" for where, what in mistakes]
        )
    rows = {name: _frozen(table) for name, table in data.items()}
    return ModuleMap(
        **rows["module"],
        inputs=Inputs(**rows["inputs"]),
        outputs=OutputRows(**rows["outputs"]),
        pulse=Pulse(**rows["pulse"]) if "pulse" in rows else None,
        watchdog=Watchdog(**rows["watchdog"]) if "watchdog" in rows else None,
        settings=Settings(**rows["settings"]) if "settings" in rows else None,
    )


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def _of_form(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(section.key, what is wrong with it), key by key."""
    for section, keys in _SCHEMA.items():
        table = data.get(section)
        if table is None and section not in _OPTIONAL:
            yield section, f"the section [{section}] is missing"
        elif table is not None and not isinstance(table, dict):
            yield section, f"expected a section [{section}]"
        elif table is not None:
            yield from _of_section(section, keys, table)
    for section in sorted(data.keys() - _SCHEMA.keys()):
        yield section, f"unknown section; {_hint(section, tuple(_SCHEMA))}"


def _of_section(
    section: str, keys: Mapping[str, _Key], table: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name, key in keys.items():
        if name not in table:
            if key.needed:
                yield f"{section}.{name}", "is missing"
        elif (wrong := key.wrong(table[name])) is not None:
            yield f"{section}.{name}", wrong
    for name in sorted(table.keys() - keys.keys()):
        yield f"{section}.{name}", f"unknown key; {_hint(name, tuple(keys))}"


def _of_sense(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What one key can't say alone."""
    inputs, outputs = data["inputs"], data["outputs"]
    for section, names in (("inputs", "contacts"), ("outputs", "coils")):
        table = data[section]
        if len(table[names]) > table["count"]:
            yield f"{section}.{names}", f"{len(table[names])} names for {table['count']} channels"
        if table["address"] + table["count"] - 1 > _REGISTER_MAX:
            yield f"{section}.count", f"ends beyond address {_REGISTER_MAX}"
    for name in inputs.get("inverted", ()):
        if name not in inputs["contacts"]:
            yield "inputs.inverted", f"{name!r} is none of the contacts"
    first, last = outputs["address"], outputs["address"] + outputs["count"] - 1
    overlap = first <= inputs["address"] + inputs["count"] - 1 and inputs["address"] <= last
    if inputs["function"] == 1 and overlap:
        yield (
            "inputs.address",
            f"inputs and outputs are both coils, and these are {first} to {last}",
        )
    yield from _of_pulse(data.get("pulse"))
    dog = data.get("watchdog")
    if dog and dog["least_ms"] > dog["longest_ms"]:
        yield "watchdog.longest_ms", f"is below least_ms, which is {dog['least_ms']}"
    kept = data.get("settings")
    if kept and len(kept["names"]) != len(kept["addresses"]):
        counts = f"{len(kept['names'])} names for {len(kept['addresses'])} addresses"
        yield "settings.names", counts


def _of_pulse(pulse: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    timed = pulse is not None and pulse["value"] == "time"
    for key in ("unit_ms", "longest_count"):
        if pulse is not None and timed is not (key in pulse):
            what = 'is missing: value = "time" needs it' if timed else 'goes with value = "time"'
            yield f"pulse.{key}", what


def _hint(word: object, known: Sequence[int | str]) -> str:
    near = get_close_matches(str(word), [str(each) for each in known], n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(map(str, known))}"


def _line(text: str, where: str) -> int:
    """Of `section.key`; of its section if the key is not there; 1 if that isn't, either.

    Enough for these files: sections of plain keys, one a line.
    """
    section, _, key = where.partition(".")
    found, inside = 1, False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("["):
            inside = line.strip("[] \t").split("]")[0] == section
            found = number if inside else found
        elif inside and key and line.partition("=")[0].strip() == key:
            return number
    return found
