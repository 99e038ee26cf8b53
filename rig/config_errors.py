"""A mistake in a file, told to people: file, line, key, what is wrong, what would do.

pydantic finds the mistakes; its own wording carries internet addresses and neither
lines nor neighbours, so `e.errors()` is worded here (user-interface.md section 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rig.toml_lines import Path, line_of

SHOWN_CHARACTERS = 60  # of a wrong value
_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*(\S*)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    path: Path
    text: str


def told(file: str, lines: Mapping[Path, int], mistakes: Iterable[Mistake]) -> list[str]:
    """One message a mistake, in the order of the file."""
    placed = sorted((line_of(lines, m.path), _dotted(m.path), m.text) for m in mistakes)
    return [f"{file}:{line}: {key}: {text}" for line, key, text in dict.fromkeys(placed)]


def mistakes_of(errors: Iterable[ErrorDetails], model: type[BaseModel]) -> list[Mistake]:
    """The mistakes behind pydantic's errors; a misspelt key is not told again as missing."""
    mistakes = []
    meant: set[Path] = set()
    missing: list[Mistake] = []
    for error in errors:
        path = tuple(error["loc"])
        if error["type"] == "missing":
            missing.append(Mistake(path=path, text=_missing(path, model)))
            continue
        if error["type"] == "extra_forbidden":
            near = nearest(str(path[-1]), _siblings(path, model))
            meant |= {(*path[:-1], near)} if near else set()
        mistakes.append(Mistake(path=path, text=_wrong(error, path, model)))
    return mistakes + [m for m in missing if m.path not in meant]


def nearest(word: str, known: Iterable[str]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or all that is known where nothing is near."""
    known = sorted(known)
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else f"known: {', '.join(known) or 'none'}"


def shown(value: object) -> str:
    """A value as it stands in TOML, cut short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        text = '"' + value.encode("unicode_escape").decode("ascii") + '"'
    else:
        text = _plain(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def allowed(field: FieldInfo | None) -> str:
    """The range of a field in words, such as `10 to 200`; "" if it has none."""
    limits: dict[str, Any] = {}
    for item in field.metadata if field else ():
        for name in ("ge", "gt", "le", "lt"):
            if (value := getattr(item, name, None)) is not None:
                limits[name] = value
    if not limits:
        return ""
    if "ge" in limits and "le" in limits:
        return f"{limits['ge']:g} to {limits['le']:g}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[name]} {value:g}" for name, value in limits.items())


# --- what is wrong ---------------------------------------------------------------------------


def _wrong(error: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    wording = _WORDINGS.get(error["type"])
    if wording is None:
        return f"{error['msg'][0].lower()}{error['msg'][1:]}; got {shown(error['input'])}"
    return wording(error, path, model)


def _unknown(error: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    what = "key" if len(path) > 1 or not isinstance(error["input"], dict) else "section"
    return f"unknown {what}; {suggestion(str(path[-1]), _siblings(path, model))}"


def _missing(path: Path, model: type[BaseModel]) -> str:
    field = _field(path, model)
    if field and section_model(field):
        return f"the section [{path[-1]}] is missing"
    about = field.description if field and field.description else allowed(field)
    return f"is missing ({about})" if about else "is missing"


def _outside(error: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    ((name, limit),) = error["ctx"].items()
    side = "below" if name in ("ge", "gt") else "above"
    value = shown(error["input"])
    if value == f"{limit:g}":
        return f"{value} is not allowed; allowed: {allowed(_field(path, model))}"
    return f"{value} is {side} the limit {limit:g}; allowed: {allowed(_field(path, model))}"


def _no_number(error: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    kind = "a whole number" if error["type"].startswith("int") else "a number"
    if isinstance(error["input"], str):
        return f"expected {kind}, got the text {shown(error['input'])}{_as_number(error, path)}"
    limits = allowed(_field(path, model))
    text = f"expected {kind}, got {shown(error['input'])}"
    return f"{text}; allowed: {limits}" if limits else text


def _as_number(error: ErrorDetails, path: Path) -> str:
    """One way to write a quantity: the unit stands in the key's name, so the value has none."""
    match = _QUANTITY.fullmatch(error["input"])
    if not match:
        return ""
    number, unit = match.groups()
    key = str(path[-1])
    if not unit or unit.lower() in key.lower().split("_"):
        return f"; write {key} = {number}"
    return f"; write the plain number in the unit that the key names ({key})"


def _no_word(error: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    field = _field(path, model)
    known = [str(word) for word in _literals(field.annotation if field else None)]
    text = f"{shown(error['input'])} is not one of {', '.join(known)}"
    near = nearest(error["input"], known) if isinstance(error["input"], str) else None
    return f"{text}; did you mean '{near}'?" if near else text


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    try:
        return str(value)
    except ValueError:  # an integer of over 4300 digits
        return "a number too long to print"


_Wording = Callable[[ErrorDetails, Path, type[BaseModel]], str]
_WORDINGS: dict[str, _Wording] = {
    "extra_forbidden": _unknown,
    "greater_than": _outside,
    "greater_than_equal": _outside,
    "less_than": _outside,
    "less_than_equal": _outside,
    "float_type": _no_number,
    "int_type": _no_number,
    "int_parsing_size": lambda e, p, m: "is too large a number",
    "finite_number": lambda e, p, m: f"{shown(e['input'])} is not a usable number",
    "string_type": lambda e, p, m: f'expected a text in "quotes", got {shown(e["input"])}',
    "model_type": lambda e, p, m: f"expected a section [{p[-1]}], got {shown(e['input'])}",
    "tuple_type": lambda e, p, m: f"expected a list in [brackets], got {shown(e['input'])}",
    "literal_error": _no_word,
    "value_error": lambda e, p, m: str(e["ctx"]["error"]),  # a validator's own sentence
    "string_pattern_mismatch": lambda e, p, m: (
        f"{shown(e['input'])} does not fit the pattern {e['ctx']['pattern']}"
    ),
    "string_too_short": lambda e, p, m: "must not be empty",
    "string_too_long": lambda e, p, m: (
        f"{shown(e['input'])} is too long: at most {e['ctx']['max_length']} characters"
    ),
}


# --- the schema, asked by path ---------------------------------------------------------------


def _field(path: Path, model: type[BaseModel]) -> FieldInfo | None:
    """The field at `path`; for an element of a list, the list's."""
    field: FieldInfo | None = None
    inner: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        if inner is None:
            break
        field = inner.model_fields.get(part)
        inner = section_model(field) if field else None
    return field


def _siblings(path: Path, model: type[BaseModel]) -> list[str]:
    field = _field(path[:-1], model)
    table = section_model(field) if field else None
    return list((table or model).model_fields)


def section_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section, optional ones too; None for a plain value."""
    for one in (field.annotation, *get_args(field.annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _literals(annotation: Any) -> list[object]:
    found: list[object] = []
    for inner in get_args(annotation):
        deeper = _literals(inner)
        found += deeper or ([] if isinstance(inner, type) or inner is ... else [inner])
    return found


def _dotted(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".").encode("unicode_escape").decode("ascii")
