"""The kept files of a run, as they lie: are they whole, and whose are they?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from firmware_py.recorder.archive import FRAME, RECORD, differences, read_frame
from firmware_py.recorder.exposure_record import ImageError


def exposures_folder(run: Path) -> Path:
    return run / "exposures"


def files_wrong(run: Path, detail: Mapping[str, Any]) -> Iterator[str]:
    """The files of an image row that are not there, or not what the journal says they were."""
    for name, sha256 in detail["files"].items():
        try:
            data = (run / detail["folder"] / name).read_bytes()
        except OSError as error:
            yield f"{name} is gone ({error.strerror})"
            continue
        if hashlib.sha256(data).hexdigest() != sha256:
            yield f"{name} has another sha256 than in the journal"


def frame_wrong(run: Path, shot: str, pixels: bytes | None) -> str | None:
    """None: it is what the panel sent, to the last pixel."""
    try:
        found = read_frame(exposures_folder(run) / shot).pixels
    except (ImageError, OSError) as error:
        return f"lost its frame: {short(error, run)}"
    return None if found == pixels else "has other pixels"


def not_again(run: Path, shot: str) -> list[str]:
    """Why an exposure's images can't be made again to the same; empty = they can."""
    try:
        return differences(exposures_folder(run) / shot)
    except (ImageError, OSError) as error:
        return [short(error, run)]


def orphans(run: Path, shots: Container[str]) -> Iterator[str]:
    """What belongs to no intent, and what has its name but not its content."""
    folder = exposures_folder(run)
    for path in sorted(folder.iterdir() if folder.exists() else ()):
        if path.name.startswith("stray-"):
            yield f"{path.name}: a frame of nobody"
        elif path.name not in shots:
            yield f"{path.name}: a folder without an intent"
        else:
            yield from _half_written(path, run)


def short(error: Exception, run: Path) -> str:
    """Without the folder, which is gone when somebody reads it."""
    return str(error).replace(f"{run}/", "")


def _half_written(folder: Path, run: Path) -> Iterator[str]:
    """What has its final name was written to its end, whether acknowledged or not."""
    try:
        if (folder / FRAME).exists():
            read_frame(folder)
        if (folder / RECORD).exists():
            json.loads((folder / RECORD).read_bytes())
    except (ImageError, ValueError) as error:
        yield f"{folder.name}: a file has its name and not its content: {short(error, run)}"
