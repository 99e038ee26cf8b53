"""What lies in an exposure's folder and is none of its files: reserved space, halves, strangers.

Only bytes that are all zero, and what a killed repair wrote, are given back: the rest might be the
only copy of something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firmware_py.recorder.archive import FRAME, PRESENTATION, PREVIEW, PROCESSING, RECORD
from firmware_py.recorder.frame_file import unpack
from firmware_py.recorder.store.files import sync_folder
from hal.frame_codec import decode
from hal.ports import PanelFrame, WireError
from rig.exposures.quarantine import AGAIN
from rig.exposures.stored import Stored

_OWN = (FRAME, RECORD, PROCESSING, PRESENTATION, PREVIEW)
_OURS = tuple(f"{name}{AGAIN}{part}" for name in _OWN for part in ("", ".part"))
_CHUNK_BYTES = 1 << 20
RESERVED, HALF, WHOLE_FRAME, FOREIGN, OURS = (
    "reserved space", "half-written", "a whole frame", "not of this exposure",
    "of a repair that was ended",
)  # fmt: skip
NO_LOSS = (RESERVED, OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    path: Path
    what: str  # RESERVED, HALF, WHOLE_FRAME, FOREIGN, OURS


def is_ended(one: Stored) -> bool:
    """Nobody waits for its frame any more, once no unit runs."""
    known = one.exposure
    return known.sound and (known.beam is not None or known.acknowledged_by is not None)


def leftovers(one: Stored) -> Iterator[Leftover]:
    """Of an exposure that is ended; while a unit runs they may be in use. Raises OSError."""
    if one.folder is None or not is_ended(one):
        return
    names = set(one.sha256) or set(_OWN)
    for path in sorted(one.folder.iterdir()):
        if path.name not in names:
            yield Leftover(path=path, what=_what(path))


def stray_halves(run: Path) -> Iterator[Leftover]:
    """Of frames that belong to nothing, which lie beside the folders of exposures."""
    for path in sorted(run.glob("exposures/*.part")):
        yield Leftover(path=path, what=_what(path))


def give_back(path: Path) -> None:
    """And the folder, when nothing else was in it. Raises OSError."""
    path.unlink()
    sync_folder(path.parent)
    if path.parent.name != "exposures" and not any(path.parent.iterdir()):
        path.parent.rmdir()
        sync_folder(path.parents[1])


def _what(path: Path) -> str:
    if path.name in _OURS:
        return OURS
    if path.suffix != ".part" or not path.is_file():
        return FOREIGN
    if _is_zero(path):
        return RESERVED
    return WHOLE_FRAME if _holds_frame(path) else HALF


def _is_zero(path: Path) -> bool:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if chunk.count(0) != len(chunk):
                return False
    return True


def _holds_frame(path: Path) -> bool:
    try:
        return isinstance(decode(unpack(path.read_bytes())), PanelFrame)
    except (OSError, ValueError, WireError):
        return False
