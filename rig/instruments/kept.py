"""What was imported from instruments: STATE/instruments/imports.jsonl, a line an import.

Append-only. Each line is sealed with its own content and the seal of the line before, and synced; a
line that is not what was written is told and believed no more. A file is known by its sha256: the
same one with the same decisions is not kept twice, with others it supersedes its earlier self.
Only the standard library is imported here: `dxrig exposures show` looks in.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.exit_codes import DeviceError
from rig.state_dir import PRIVATE_FILE, private_folder

SCHEMA = 1
FOLDER, FILE = "instruments", "imports.jsonl"


@dataclass(frozen=True, slots=True)
class Imported:
    """`number`: from 1, in the order of import. `content`: as it was handed to `keep`."""

    number: int
    content: dict[str, Any]

    @property
    def sha256(self) -> str:
        return str(self.content["sha256"])


@dataclass(frozen=True, slots=True)
class Kept:
    """Oldest first; `damaged`: sentences about lines that are not what was written."""

    imports: tuple[Imported, ...]
    damaged: tuple[str, ...] = ()
    seal: str = ""

    @property
    def current(self) -> list[Imported]:
        """Without what a later import of the same file has superseded."""
        newest = {one.sha256: one.number for one in self.imports}
        return [one for one in self.imports if newest[one.sha256] == one.number]

    def of_file(self, sha256: str) -> Imported | None:
        return next((one for one in reversed(self.imports) if one.sha256 == sha256), None)


def read_kept(state: Path) -> Kept:
    """Raises DeviceError when the file can't be read."""
    path = state / FOLDER / FILE
    try:
        return _read(path.read_bytes(), path)
    except FileNotFoundError:
        return Kept(())
    except OSError as error:
        raise DeviceError(f"{path}: can't be read: {_why(error)}") from error


def keep(state: Path, content: dict[str, Any]) -> tuple[Imported, bool]:
    """The import, and whether it is new. On the disk when this returns. Raises DeviceError."""
    path = private_folder(state / FOLDER) / FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        with open(handle, "r+b") as file:
            fcntl.flock(handle, fcntl.LOCK_EX)
            data = file.read()
            known = _read(data, path)
            before = known.of_file(str(content["sha256"]))
            if before is not None and before.content["decisions"] == content["decisions"]:
                return before, False
            # A line that a power cut left open is ended first, so that ours stands alone.
            number = data.count(b"\n") + (data[-1:] not in (b"", b"\n")) + 1
            supersedes = before.number if before is not None else None
            whole = {**content, "supersedes": supersedes}
            ended = b"" if data[-1:] in (b"", b"\n") else b"\n"
            file.write(ended + _line(number, whole, known.seal))
            file.flush()
            os.fsync(handle)
        _sync_folder(path.parent)
    except OSError as error:
        raise DeviceError(f"{path}: can't be written: {_why(error)}") from error
    return Imported(number, whole), True


def values_of(kept: Kept, shot_id: str) -> Iterator[dict[str, Any]]:
    """What instruments measured of one exposure, each with the instrument's name."""
    for one in kept.current:
        rows = {row["row"]: row for row in one.content["rows"]}
        for pair in one.content["pairs"]:
            if pair["exposure"] == shot_id:
                yield {
                    "import": one.number,
                    "kind": one.content["kind"],
                    "instrument": one.content["instrument"],
                    "calibration": one.content["calibration"],
                    "file": one.content["file"],
                    "row": pair["row"],
                    "paired_by": pair["why"],
                    "values": rows[pair["row"]]["values"],
                    "notes": rows[pair["row"]]["notes"],
                }


def _line(number: int, content: dict[str, Any], seal_before: str) -> bytes:
    body = {"schema": SCHEMA, "number": number, **content}
    text = json.dumps(body, sort_keys=True, allow_nan=False)
    seal = _seal(text, seal_before)
    return (json.dumps({"seal": seal, "import": text}) + "\n").encode()


def _seal(text: str, before: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _read(data: bytes, path: Path) -> Kept:
    imports, damaged = [], []
    seal = ""
    for at, line in enumerate(data.splitlines(), start=1):
        try:
            outer = json.loads(line)
            text, its = outer["import"], outer["seal"]
            sound = _seal(text, seal) == its
            seal = its
            body = json.loads(text)
            if not sound or body.pop("schema") != SCHEMA:
                raise ValueError("seal")
            imports.append(Imported(body.pop("number"), body))
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged.append(f"{path}:{at}: is not what was written, or follows what is not")
    return Kept(tuple(imports), tuple(damaged), seal)


def _sync_folder(folder: Path) -> None:
    from firmware_py.recorder.store.files import sync_folder

    sync_folder(folder)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
