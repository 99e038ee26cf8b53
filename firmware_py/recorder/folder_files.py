"""The panel's folder on a disk, and how the bench file says that its files are to be read.

`hal/detectors/folder.py` judges; here are the disk, the raw layout and the dates. For the
process that takes frames: a listing on a network share may take seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from firmware_py.config import FolderConfig, PanelConfig
from firmware_py.recorder.dicom.foreign import picture_of
from hal.detectors.folder import Entry, Folder, FolderLink, NoPictureError, Picture, Verdict

DICOM_HEADER_BYTES = 4 << 20  # more than any header without an embedded icon of its own


class DiskFolder:
    """Plain files of one folder; what lies deeper, links and hidden files are not looked at."""

    def __init__(self, path: Path, started_at: datetime) -> None:
        """`started_at`: the date of the exposures' zero."""
        self._path = path
        self._zero_s = (started_at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()

    def entries(self) -> Sequence[Entry]:
        found = []
        with os.scandir(self._path) as listing:
            for file in listing:
                if file.name.startswith(".") or not file.is_file(follow_symlinks=False):
                    continue
                try:
                    status = file.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # renamed or deleted meanwhile
                changed_us = round((status.st_mtime_ns / 1e9 - self._zero_s) * 1e6)
                found.append(
                    Entry(name=file.name, size_bytes=status.st_size, changed_us=changed_us)
                )
        return found

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()


def folder_link(
    folder: Folder, config: FolderConfig, panel: PanelConfig, started_at: datetime
) -> FolderLink:
    """Raises LinkError where the folder can't be listed."""
    raw_bytes = config.header_bytes + 2 * panel.rows_px * panel.columns_px
    extra_bytes = DICOM_HEADER_BYTES if config.form == "dicom" else 0
    return FolderLink(
        folder,
        decoder(config, panel, started_at),
        panel_id=panel.panel_id,
        pattern=config.files,
        most_bytes=2 * raw_bytes + extra_bytes,  # what is a little too large is kept, too
        settle_us=config.settle_ms * 1000,
        stall_us=round(config.stall_s * 1e6),
        slack_us=round(config.clock_s * 1e6),
    )


def decoder(
    config: FolderConfig, panel: PanelConfig, started_at: datetime
) -> Callable[[bytes], Picture]:
    """From a file's bytes to its picture; it raises NoPictureError."""

    def decode(data: bytes) -> Picture:
        if config.form == "raw":
            picture = raw_picture(data, config, panel)
        else:
            picture = picture_of(data, started_at)
        return fitting(picture, panel)

    return decode


def raw_picture(data: bytes, config: FolderConfig, panel: PanelConfig) -> Picture:
    """Raises NoPictureError. A header's content is not looked at: no layout of one is known."""
    needed = config.header_bytes + 2 * panel.rows_px * panel.columns_px
    if len(data) != needed:
        verdict = Verdict.HALF_WRITTEN if len(data) < needed else Verdict.WRONG_SIZE
        raise NoPictureError(verdict, f"{len(data)} bytes, {needed} are needed")
    order = ">" if config.byte_order == "big" else "<"
    pixels = np.frombuffer(data, f"{order}u2", offset=config.header_bytes)
    return Picture(
        pixels=pixels.astype("<u2", copy=False).tobytes(),
        rows_px=panel.rows_px,
        columns_px=panel.columns_px,
    )


def fitting(picture: Picture, panel: PanelConfig) -> Picture:
    """This matrix, and no value that its bits can't hold (another byte order makes such)."""
    size, wanted = (picture.rows_px, picture.columns_px), (panel.rows_px, panel.columns_px)
    if size != wanted:
        why = f"{size[0]} x {size[1]} pixels, the panel has {wanted[0]} x {wanted[1]}"
        raise NoPictureError(Verdict.WRONG_SIZE, why)
    pixels = np.frombuffer(picture.pixels, "<u2").reshape(size)
    full_scale = (1 << panel.bits_stored) - 1
    if pixels.max() > full_scale:
        why = f"a pixel is {pixels.max()}, above the {full_scale} of {panel.bits_stored} bits"
        raise NoPictureError(Verdict.GARBAGE, f"{why}: check byte_order and header_bytes")
    return replace(picture, ends_empty=not pixels[-1].any())
