"""An exposure's images made again, and proved: by the sha256 of when they were saved.

Nothing else counts as proof. Where another version of dxrig or of a library writes other bytes,
a file is put together from what is made again and from what is still sound of the old one: its
meta header, its attributes, its pixels. The sum says which of them were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from firmware_py.recorder.archive import FRAME, RECORD, image_bytes, reprocess
from firmware_py.recorder.exposure_record import ImageError
from rig.exit_codes import DxrigError
from rig.exposures.stored import Stored
from rig.exposures.wrong import wrong_file

# PS3.10 7.1: preamble, "DICM", then (0002,0000) UL: how many bytes of meta header follow it.
_META_LENGTH_AT, _META_AT = 140, 144


class NotAgainError(Exception):
    """Why a file can't be made again, in words that follow the file's name."""


def images_again(one: Stored, other: Callable[[str], Stored]) -> dict[str, bytes]:
    """By file name, from sound files alone. `other`: an exposure by id. Raises NotAgainError."""
    if one.folder is None or RECORD not in one.sha256:
        raise NotAgainError("its exposure record is not there")
    for name, what in ((FRAME, "raw frame"), (RECORD, "exposure record")):
        if name not in one.sha256 or wrong_file(one.folder / name, one.sha256[name]):
            raise NotAgainError(f"its {what} is not what was saved")
    for shot_id in _earlier(one.folder):
        if _frame_is_wrong(shot_id, other):
            raise NotAgainError(
                f"the raw frame of {shot_id}, whose lag is in it, is not what was saved"
            )
    try:
        return image_bytes(reprocess(one.folder))
    except (ImageError, OSError) as error:
        raise NotAgainError(str(error)) from error


def proved(again: bytes, path: Path, sha256: str) -> bytes | None:
    """What is made again, or put together with the file that is there; None: no proof."""
    if _is(again, sha256):
        return again
    try:
        there = path.read_bytes()
    except OSError:
        return None
    found = (b"".join(parts) for parts in _mixtures(again, there))
    return next((content for content in found if _is(content, sha256)), None)


def _mixtures(again: bytes, there: bytes) -> Iterator[tuple[bytes, ...]]:
    if again[128:132] != b"DICM":
        return
    pixels = _pixels_length(again)
    yield from product(*zip(_parts(again, pixels), _parts(there, pixels), strict=True))


def _parts(content: bytes, pixels: int) -> tuple[bytes, bytes, bytes]:
    """Meta header, attributes, pixels: the last by their length, which no rot changes."""
    meta = int.from_bytes(content[_META_LENGTH_AT:_META_AT], "little")
    end = max(len(content) - pixels, 0)
    attributes_at = min(_META_AT + meta, end)
    return content[:attributes_at], content[attributes_at:end], content[end:]


def _pixels_length(content: bytes) -> int:
    """They are the last attribute: OW, its length in the four bytes before them."""
    at = content.rfind(b"\xe0\x7f\x10\x00OW\x00\x00")
    while at >= 0:
        length = int.from_bytes(content[at + 8 : at + 12], "little")
        if at + 12 + length == len(content):
            return length
        at = content.rfind(b"\xe0\x7f\x10\x00OW\x00\x00", 0, at)
    return 0


def _is(content: bytes, sha256: str) -> bool:
    return hashlib.sha256(content).hexdigest() == sha256


def _earlier(folder: Path) -> list[str]:
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return [str(shot_id) for _, shot_id in content.get("earlier", ())]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise NotAgainError(f"its exposure record can't be read ({error})") from error


def _frame_is_wrong(shot_id: str, other: Callable[[str], Stored]) -> bool:
    """One that has no sum in the journal, because it never became an image, is taken as it is."""
    try:
        one = other(shot_id)
    except DxrigError:
        return False
    if one.folder is None:
        return True
    sha256 = one.sha256.get(FRAME)
    return sha256 is not None and wrong_file(one.folder / FRAME, sha256) is not None
