"""A panel's calibration set: offset, gain and defects, for one panel on one unit.

A set that is missing, damaged, expired or of another panel is refused with the reason;
nothing falls back silently (qc-and-physics.md 3.5, after XDET's CalibSet gate). Dates
are handed in, aware of their zone: this file asks no clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

VERSION = 1
_ARRAYS = {"offset": np.float32, "gain": np.float32, "defects": np.bool_}


class PanelSetError(Exception):
    """Why a set can't be used, in a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanelSet:
    """Arrays are rows x columns. Two sets are the same only if they are one object."""

    panel_id: str
    unit_serial: str
    created: datetime
    valid_until: datetime
    offset: Floats  # counts of a dark frame
    gain: Floats  # response of each pixel; any scale, good pixels above 0
    defects: Mask  # True: not to be believed
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
    def sha256(self) -> str:
        """Over facts and arrays: names this very set in journal and image."""
        digest = hashlib.sha256(_facts(self).encode())
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()


def require(
    panel_set: PanelSet, *, panel_id: str, rows_px: int, columns_px: int, at: datetime
) -> None:
    """The gate before an exposure: this panel, this matrix, today."""
    if panel_set.panel_id != panel_id:
        raise PanelSetError(
            f"the calibration set is of panel {panel_set.panel_id}, not of {panel_id}; "
            "select that panel or run `dxrig calibrate`"
        )
    if panel_set.shape != (rows_px, columns_px):
        have, want = _size(panel_set.shape), _size((rows_px, columns_px))
        raise PanelSetError(f"the calibration set of panel {panel_id} is {have} px, not {want}")
    if not panel_set.created <= at <= panel_set.valid_until:
        raise PanelSetError(
            f"the calibration set of panel {panel_id} is valid from {panel_set.created:%Y-%m-%d} "
            f"to {panel_set.valid_until:%Y-%m-%d}, not on {at:%Y-%m-%d}; run `dxrig calibrate`"
        )


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
        raise PanelSetError(f"{path} has format {version}; this program reads {VERSION}")
    panel_set = _assemble(path, facts, arrays)
    if panel_set.sha256 != sha256:
        raise PanelSetError(f"{path} is damaged: its content does not match its checksum")
    return panel_set


def _assemble(path: Path, facts: dict[str, Any], arrays: dict[str, Any]) -> PanelSet:
    try:
        for name in ("created", "valid_until"):
            facts[name] = datetime.fromisoformat(facts[name])
        return PanelSet(**facts, **arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise PanelSetError(f"{path} is no calibration set: {error}") from error


def _facts(panel_set: PanelSet) -> str:
    facts = {
        "panel_id": panel_set.panel_id,
        "unit_serial": panel_set.unit_serial,
        "created": panel_set.created.isoformat(),
        "valid_until": panel_set.valid_until.isoformat(),
        "bits_stored": panel_set.bits_stored,
        "counts_per_ugy": panel_set.counts_per_ugy,
        "beam_quality": panel_set.beam_quality,
        "version": panel_set.version,
    }
    return json.dumps(facts, sort_keys=True)


def _first_problem(panel_set: PanelSet) -> str:
    for name, kind in _ARRAYS.items():
        array = getattr(panel_set, name)
        if array.dtype != kind or array.ndim != 2:
            got = f"{array.ndim}-d {array.dtype}"
            return f"{name} must be rows x columns of {kind.__name__}, got {got}"
        if array.shape != panel_set.offset.shape:
            return f"{name} is {_size(array.shape)}, offset is {_size(panel_set.offset.shape)}"
    good = ~panel_set.defects
    if not good.any():
        return "every pixel is a defect"
    if not np.isfinite(panel_set.offset[good]).all():
        return "offset is not a number in a good pixel"
    gain = panel_set.gain[good]
    if not (np.isfinite(gain).all() and gain.min() > 0.0):
        return "gain must be above 0 in each good pixel"
    if panel_set.created.tzinfo is None or panel_set.valid_until.tzinfo is None:
        return "dates need a time zone"
    return ""


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(count) for count in shape)
