"""STATE/records/ID: `record.json`, `record.html` and the pictures. Whole or not there.

The folder is made under a hidden name and moved into place; a record is never overwritten.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from firmware_py.recorder.store.files import sync_folder, write_file
from rig.exit_codes import DeviceError, UsageError
from rig.records.page import page
from rig.records.record import Picture, RecordError, RoutineRecord, from_json, to_json
from rig.state_dir import private_folder


def record_folder(state: Path, record_id: str) -> Path:
    return state / "records" / record_id


def write_record(
    state: Path, record: RoutineRecord, pngs: Mapping[str, bytes] | None = None
) -> Path:
    """`pngs`: caption to PNG. Returns the folder. Raises DeviceError if it is there already."""
    pngs = pngs or {}
    record = replace(record, pictures=_pictures(pngs))
    folder = record_folder(state, record.id)
    private_folder(folder.parent)
    if folder.exists():
        raise DeviceError(f"{folder}: exists already; a record is never overwritten")
    text = to_json(record).encode()
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{record.id}."))  # 0700
    try:
        for caption, png in pngs.items():
            write_file(beside / record.pictures[caption].file, [png])
        html = page(from_json(text.decode()), pngs, sha256=hashlib.sha256(text).hexdigest())
        write_file(beside / "record.html", [html.encode()])
        write_file(beside / "record.json", [text])
        os.rename(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return folder


def read_record(folder: Path) -> RoutineRecord:
    """Raises UsageError with what is wrong."""
    return _read(folder)[0]


def page_again(folder: Path) -> str:
    """`record.html` made anew from the record and its pictures: the very same text."""
    record, sha256 = _read(folder)
    pngs = {}
    for caption, picture in record.pictures.items():
        path = folder / Path(picture.file).name
        png = _bytes(path)
        if hashlib.sha256(png).hexdigest() != picture.sha256:
            raise UsageError(f"{path}: is not the picture that the record was made with")
        pngs[caption] = png
    return page(record, pngs, sha256=sha256)


def _pictures(pngs: Mapping[str, bytes]) -> dict[str, Picture]:
    return {
        caption: Picture(file=f"picture-{number}.png", sha256=hashlib.sha256(png).hexdigest())
        for number, (caption, png) in enumerate(pngs.items(), start=1)
    }


def _read(folder: Path) -> tuple[RoutineRecord, str]:
    path = folder / "record.json"
    data = _bytes(path)
    try:
        return from_json(data.decode("utf-8")), hashlib.sha256(data).hexdigest()
    except (RecordError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{path}: can't be read: {why}") from error
