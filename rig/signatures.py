"""Faults by a name that a physicist knows: a row of `signatures.toml` each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rig.config_errors import nearest
from rig.exit_codes import UsageError
from rig.scenario import ShotSection

TABLE = Path(__file__).with_name("signatures.toml")
PHANTOM = "pmma_100"
SHOT = ShotSection(kv=70.0, ma=100.0, ms=50.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    name: str
    sign: str  # what it looks like, and what not
    steps: tuple[tuple[str, dict[str, Any]], ...]  # of `dxrig sim do`; none: no fault
    shot: ShotSection  # with which it is shown
    phantom: str


@cache
def signatures() -> dict[str, Signature]:
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["fault"]
    return {row["name"]: _signature(row) for row in rows}


def _signature(row: dict[str, Any]) -> Signature:
    return Signature(
        name=row["name"],
        sign=row["sign"],
        steps=tuple(row.get("set", {}).items()),
        shot=ShotSection.model_validate(row["shot"]) if "shot" in row else SHOT,
        phantom=row.get("phantom", PHANTOM),
    )


def is_signature(name: str) -> bool:
    return _as_written(name) in signatures()


def signature(name: str) -> Signature:
    """In either case. Raises UsageError with all names and the nearest."""
    known = signatures()
    name = _as_written(name)
    if name not in known:
        near = nearest(name, known)
        meant = f"; did you mean {near!r}?" if near else ""
        raise UsageError(f"no fault {name!r}; there are {', '.join(known)}{meant}")
    return known[name]


def _as_written(name: str) -> str:
    return next((one for one in signatures() if one.lower() == name.lower()), name)
