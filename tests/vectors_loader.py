"""Bytes from outside: tests/vectors/NAME.toml, each with the source that it was taken from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    name: str
    source: str
    bytes: bytes
    fields: Mapping[str, Any] = field(default_factory=dict)  # whatever else the entry says

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def load(name: str, folder: Path = FOLDER) -> list[Vector]:
    """The [[vector]] entries of NAME.toml. A vector without a source is refused: ValueError."""
    entries = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))["vector"]
    return [_vector(name, dict(entry)) for entry in entries]


def _vector(file: str, entry: dict[str, Any]) -> Vector:
    label = str(entry.pop("name", "")).strip()
    source = str(entry.pop("source", "")).strip()
    if not label or not source:
        raise ValueError(f"{file}.toml: vector {label or entry!r} needs a name and a source")
    return Vector(name=label, source=source, bytes=_bytes(entry.pop("bytes")), fields=entry)


def _bytes(text: str) -> bytes:
    """Hex pairs, `01 0a ff`."""
    return bytes.fromhex(text)
