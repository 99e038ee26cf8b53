"""A panel's calibration set: offset, gain, defects and curves, for one panel on one unit.

A set is made of parts that age apart: an offset lasts days, a gain map months. It may be
incomplete while it is being made. One that is missing, damaged, incomplete, expired or of
another panel is refused with the reason; nothing falls back silently (qc-and-physics.md
3.5, after XDET's CalibSet gate). Dates are handed in, aware of their zone: this file asks
no clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

VERSION = 2
NEEDED = {"offset": "offset map", "gain": "gain map", "defects": "defect map"}
PARTS = (*NEEDED, "lag")
_ARRAYS = {"offset": np.float32, "gain": np.float32, "defects": np.bool_}
_FACTS = (
    "panel_id", "unit_serial", "linearity", "lag", "bits_stored", "counts_per_ugy",
    "beam_quality", "version",
)  # fmt: skip


class PanelSetError(Exception):
    """Why a set can't be used, in a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where one part comes from, and how long it holds."""

    created: datetime
    valid_until: datetime
    operator: str = ""
    routine: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)  # for JSON: frames_count, kv, mas ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanelSet:
    """Arrays are rows x columns. Two sets are the same only if they are one object.

    Without a part "gain" the gain is all ones, without "defects" no pixel is one.
    """

    panel_id: str
    unit_serial: str
    offset: Floats  # counts of a dark frame
    gain: Floats  # response of each pixel; any scale, good pixels above 0
    defects: Mask  # True: not to be believed
    parts: Mapping[str, Part]  # at least one of PARTS
    # (a, b): with y = x / full_scale, linear = x * (1 + a * y + b * y * y); x has no offset
    linearity: tuple[float, float] = (0.0, 0.0)
    lag: tuple[float, ...] = ()  # share of a linear signal in the 1st, 2nd, ... frame after it
    bits_stored: int = 14
    counts_per_ugy: float | None = None  # corrected counts at the calibration quality
    beam_quality: str = ""  # what the gain map and counts_per_ugy were taken with
    version: int = VERSION

    def __post_init__(self) -> None:
        if problem := _first_problem(self):
            raise PanelSetError(f"calibration set of panel {self.panel_id}: {problem}")

    @property
    def shape(self) -> tuple[int, int]:
        rows_px, columns_px = self.offset.shape
        return rows_px, columns_px

    @property
    def full_scale(self) -> int:
        return (1 << self.bits_stored) - 1

    @property
    def complete(self) -> bool:
        return all(name in self.parts for name in NEEDED)

    @property
    def created(self) -> datetime:
        """Of the newest part."""
        return max(part.created for part in self.parts.values())

    @property
    def valid_until(self) -> datetime:
        """Of the part that ends first."""
        return min(part.valid_until for part in self.parts.values())

    @property
    def sha256(self) -> str:
        """Over facts and arrays: names this very set in journal and image."""
        digest = hashlib.sha256(_facts(self).encode())
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()


def all_parts(
    *, created: datetime, valid_until: datetime, operator: str = "", routine: str = ""
) -> dict[str, Part]:
    """Offset, gain and defects that were made in one go."""
    part = Part(created=created, valid_until=valid_until, operator=operator, routine=routine)
    return dict.fromkeys(NEEDED, part)


# --- the gate


def require(
    panel_set: PanelSet,
    *,
    panel_id: str,
    rows_px: int,
    columns_px: int,
    at: datetime,
    unit_serial: str | None = None,
) -> None:
    """Before an exposure: this panel on this unit (unless None), this matrix, whole, today."""
    if panel_set.panel_id != panel_id:
        raise PanelSetError(
            f"the calibration set is of panel {panel_set.panel_id}, not of {panel_id}; "
            "select that panel or run `dxrig calibrate`"
        )
    whose = f"the calibration set of panel {panel_id}"
    if unit_serial is not None and panel_set.unit_serial != unit_serial:
        raise PanelSetError(
            f"{whose} was made on unit {panel_set.unit_serial}, this is {unit_serial}; "
            "run `dxrig calibrate`"
        )
    if panel_set.shape != (rows_px, columns_px):
        have, want = _size(panel_set.shape), _size((rows_px, columns_px))
        raise PanelSetError(f"{whose} is {have} px, not {want}")
    for name in PARTS:
        _require_part(whose, name, panel_set.parts.get(name), at)


def _require_part(whose: str, name: str, part: Part | None, at: datetime) -> None:
    if part is None:
        if name in NEEDED:
            raise PanelSetError(f"{whose} has no {NEEDED[name]} yet; run `dxrig calibrate {name}`")
        return
    if at > part.valid_until:
        until = f"its {name} was valid until {part.valid_until:%Y-%m-%d}"
        raise PanelSetError(f"{whose}: {until}; run `dxrig calibrate {name}`")
    if at < part.created:
        made = f"its {name} is of {part.created:%Y-%m-%d %H:%M}"
        raise PanelSetError(f"{whose}: {made}, and now it is {at:%Y-%m-%d %H:%M}: set the clock")


# --- files


def save(panel_set: PanelSet, path: Path) -> None:
    """Whole or not at all: written beside and moved into place."""
    beside = path.with_name(path.name + ".new")
    arrays = {name: getattr(panel_set, name) for name in _ARRAYS}
    with beside.open("wb") as file:
        np.savez(file, facts=_facts(panel_set), sha256=panel_set.sha256, **arrays)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(path: Path) -> PanelSet:
    """A sound set, of whatever panel and date: `require` decides whether it may be used."""
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            facts, sha256 = json.loads(str(file["facts"])), str(file["sha256"])
        version = facts["version"]
    except FileNotFoundError as error:
        raise PanelSetError(f"no calibration set at {path}; run `dxrig calibrate`") from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise PanelSetError(f"{path} is no calibration set: {error}") from error
    if version != VERSION:
        raise PanelSetError(
            f"{path} has format {version}; this program reads {VERSION}: run `dxrig calibrate`"
        )
    panel_set = _assemble(path, facts, arrays)
    if panel_set.sha256 != sha256:
        raise PanelSetError(f"{path} is damaged: its content does not match its checksum")
    return panel_set


def _assemble(path: Path, facts: dict[str, Any], arrays: dict[str, Any]) -> PanelSet:
    try:
        facts["parts"] = {name: _part(content) for name, content in facts["parts"].items()}
        for name in ("linearity", "lag"):
            facts[name] = tuple(facts[name])
        return PanelSet(**facts, **arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PanelSetError(f"{path} is no calibration set: {error}") from error


def _part(content: dict[str, Any]) -> Part:
    dates = {name: datetime.fromisoformat(content[name]) for name in ("created", "valid_until")}
    return Part(**(content | dates))


def _facts(panel_set: PanelSet) -> str:
    facts: dict[str, Any] = {name: getattr(panel_set, name) for name in _FACTS}
    facts["parts"] = {name: asdict(part) for name, part in panel_set.parts.items()}
    return json.dumps(facts, sort_keys=True, allow_nan=False, default=datetime.isoformat)


# --- what can't be a set


def _first_problem(panel_set: PanelSet) -> str:
    for problem in _problems(panel_set):
        if problem:
            return problem
    return ""


def _problems(panel_set: PanelSet) -> Iterator[str]:
    """In an order in which each may rely on those before it."""
    yield from (_array_problem(panel_set, name) for name in _ARRAYS)
    yield _value_problem(panel_set)
    yield _curve_problem(panel_set)
    yield _provenance_problem(panel_set)


def _array_problem(panel_set: PanelSet, name: str) -> str:
    array, kind = getattr(panel_set, name), _ARRAYS[name]
    if array.dtype != kind or array.ndim != 2:
        got = f"{array.ndim}-d {array.dtype}"
        return f"{name} must be rows x columns of {kind.__name__}, got {got}"
    if array.shape != panel_set.offset.shape:
        return f"{name} is {_size(array.shape)}, offset is {_size(panel_set.offset.shape)}"
    return ""


def _value_problem(panel_set: PanelSet) -> str:
    good = ~panel_set.defects
    if not good.any():
        return "every pixel is a defect"
    if not np.isfinite(panel_set.offset[good]).all():
        return "offset is not a number in a good pixel"
    gain = panel_set.gain[good]
    if not (np.isfinite(gain).all() and gain.min() > 0.0):
        return "gain must be above 0 in each good pixel"
    return ""


def _provenance_problem(panel_set: PanelSet) -> str:
    """A map without a part would never expire."""
    parts = panel_set.parts
    if not parts or not set(parts) <= set(PARTS):
        return f"parts must be some of {', '.join(PARTS)}, got {', '.join(parts) or 'none'}"
    if "gain" not in parts and (panel_set.gain != 1.0).any():
        return "there is a gain map, but no part that says where it is from"
    if "defects" not in parts and panel_set.defects.any():
        return "there is a defect map, but no part that says where it is from"
    for part in parts.values():
        if part.created.tzinfo is None or part.valid_until.tzinfo is None:
            return "dates need a time zone"
    try:
        _facts(panel_set)
    except (TypeError, ValueError) as error:
        return f"its facts can't be written as JSON: {error}"
    return ""


def _curve_problem(panel_set: PanelSet) -> str:
    a, b = panel_set.linearity
    y = np.linspace(0.0, 1.0, 65)
    if not (1.0 + 2.0 * a * y + 3.0 * b * y * y > 0.0).all():
        return f"linearity ({a:g}, {b:g}) must rise from 0 to full scale"
    if not all(0.0 <= share < 1.0 for share in panel_set.lag):
        return f"lag must be shares from 0 to 1, got {', '.join(map(str, panel_set.lag))}"
    return ""


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(count) for count in shape)
