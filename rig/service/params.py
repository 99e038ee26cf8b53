"""Settings of a bench's devices as a TOML file: written, read, compared.

Keys are flat on purpose: a difference is one line. The tube's limits come from the bench file,
because no generator here tells its own over the wire. What the wire can't tell stands in `by_hand`,
empty: a person types it, and it is compared between files like all else.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rig.bench import Bench
from rig.exit_codes import DeviceError, UsageError
from rig.service.params_device import Known, Value
from rig.version import version_line

SCHEMA = 1
SECTIONS = ("generator", "room")
NAMES = ("driver", "model", "serial", "firmware")
BY_HAND = "by_hand"
PLATE = "serial number on its plate"  # of a device whose wire tells none


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    key: str
    a: Value | None  # None: not there
    b: Value | None


def content(bench: Bench, known: Mapping[str, Known], at: datetime) -> dict[str, Any]:
    tube = bench.unit.tube.model_dump(mode="json")
    return {
        "file": {
            "schema": SCHEMA, "kind": "params", "saved_at": at.isoformat(timespec="seconds"),
            "bench": bench.name, "bench_sha256": bench.hash, "by": version_line(),
        },
        "limits": {name: value for name, value in tube.items() if value is not None},
        **{link: _section(one) for link, one in known.items()},
    }  # fmt: skip


def _section(known: Known) -> dict[str, Any]:
    names = {name: getattr(known, name) for name in NAMES}
    typed = ([] if known.serial else [PLATE]) + list(known.unread)
    return {
        **names, "silent": list(known.silent), BY_HAND: dict.fromkeys(typed, ""),
        "counters": dict(known.counters), "values": dict(known.values),
    }  # fmt: skip


def as_toml(found: Mapping[str, Any]) -> str:
    """Tables of plain values and lists of texts: all that such a file has."""
    lines: list[str] = []
    for name, table in found.items():
        lines += _table(name, table)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
    lines = ["", f"[{name}]", *(f"{_key(k)} = {_value(v)}" for k, v in plain.items())]
    for key, inner in table.items():
        if isinstance(inner, Mapping):
            lines += _table(f"{name}.{key}", inner)
    return lines


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() else json.dumps(name)


def _value(value: Any) -> str:
    """JSON's words for texts, numbers, booleans and lists of them are TOML's, too."""
    return json.dumps(value, ensure_ascii=False)


def write_params(path: Path, found: Mapping[str, Any]) -> None:
    """A new file. Raises DeviceError: an old one is never overwritten."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(as_toml(found))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DeviceError(f"{path}: can't be written: {why}") from error


def read_params(path: Path) -> dict[str, Any]:
    """Raises UsageError with what is wrong."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{path}: can't be read: {why}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    head = found.get("file")
    if not isinstance(head, dict) or head.get("kind") != "params":
        raise UsageError(f"{path}: no file of `dxrig params save`")
    if head.get("schema") != SCHEMA:
        raise UsageError(f"{path}: has schema {head.get('schema')!r}; this version reads {SCHEMA}")
    for link in SECTIONS:
        _check(path, link, found.get(link, {}))
    return found


def _check(path: Path, link: str, table: object) -> None:
    """People type into these files."""
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {link}: expected a section [{link}]")
    for name in (BY_HAND, "values"):
        inner = table.get(name, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{path}: {link}.{name}: expected a section [{link}.{name}]")
        for key, value in inner.items():
            if not isinstance(value, int | float | str):
                raise UsageError(
                    f'{path}: {link}.{name}."{key}": write a number, true or false, or a text in '
                    f'"quotes", not {value!r}'
                )


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Of names, limits and settings; counters move by themselves, dates always differ.

    What only one of them has typed by hand is not known of the other, and no difference.
    """
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    for one, other in ((flat_a, flat_b), (flat_b, flat_a)):
        for key in [key for key in one if f".{BY_HAND}." in key and key not in other]:
            del one[key]
    keys = [*flat_a, *(key for key in flat_b if key not in flat_a)]
    return [
        Difference(key=key, a=flat_a.get(key), b=flat_b.get(key))
        for key in keys
        if flat_a.get(key) != flat_b.get(key)
    ]


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for name in ("limits", *SECTIONS):
        table = found.get(name, {})
        for key, value in table.items():
            if isinstance(value, int | float | str):
                yield f"{name}.{key}", value
        for key, value in table.get("values", {}).items():
            yield f"{name}.{key}", value
        for key, value in table.get(BY_HAND, {}).items():
            if value != "":
                yield f"{name}.{BY_HAND}.{key}", value


def sheet(found: Mapping[str, Any]) -> list[str]:
    """What the wire can't tell: as it was typed, else to be read off by a person."""
    head = found["file"]
    lines = [f"Bench {head['bench']}, {head['saved_at']}: settings that the wire can't read back"]
    for name in SECTIONS:
        for what, typed in found.get(name, {}).get(BY_HAND, {}).items():
            lines.append(f"  {name:<10} {what:<50} {typed if typed != '' else '_' * 12}")
    return [*lines, "  name, date: ______________________________"]
