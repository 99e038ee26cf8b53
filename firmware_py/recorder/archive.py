"""The files of one run: raw frame, two DICOM images, preview, and what ties them together.

    RUN/exposures/SHOT/frame.stream      the multipart message as received
                       processing.dcm presentation.dcm preview.png
                       exposure.json     written last: its presence says that all is there
    RUN/exposures/stray-0001.raw         a frame that belongs to nothing
    RUN/panel-set-HASH.npz               the maps, so that a run folder replays by itself

The raw frame is safe before anything is made of it; all else can be made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from firmware_py.recorder.develop import Developed, develop
from firmware_py.recorder.dicom.write import NotWrittenError, chunks, read, write
from firmware_py.recorder.exposure_record import ExposureRecord, ImageError
from firmware_py.recorder.frame_file import pack, unpack
from firmware_py.recorder.image import maps
from firmware_py.recorder.image.maps import PanelSet
from firmware_py.recorder.store.files import (
    give_back,
    make_folder,
    reserve,
    sync_folder,
    write_file,
)
from hal.frame_codec import decode
from hal.ports import PanelFrame, WireError

FRAME, RECORD = "frame.stream", "exposure.json"
OVERHEAD_BYTES = 16_384  # of a frame's message: its head, lengths, and a line of configuration
PROCESSING, PRESENTATION, PREVIEW = "processing.dcm", "presentation.dcm", "preview.png"


class Archive:
    def __init__(self, run_dir: Path, panel_set: PanelSet | None, *, durable: bool = True) -> None:
        """`durable=False`: no fsync, for runs that need not outlive a power cut."""
        self.run_dir = run_dir
        self._panel_set = panel_set
        self._panel_set_sha256 = panel_set.sha256 if panel_set else ""
        self._durable = durable
        self._exposures = run_dir / "exposures"

    def panel_set_problem(
        self, *, panel_id: str, rows_px: int, columns_px: int, at: datetime, unit_serial: str
    ) -> str | None:
        """Why frames of that panel can't be corrected now; None = they can."""
        if self._panel_set is None:
            return f"no calibration set for panel {panel_id}; run `dxrig calibrate`"
        try:
            maps.require(
                self._panel_set,
                panel_id=panel_id,
                rows_px=rows_px,
                columns_px=columns_px,
                at=at,
                unit_serial=unit_serial,
            )
        except maps.PanelSetError as error:
            return str(error)
        return None

    def keep_frame(self, shot_id: str, message: Sequence[bytes]) -> None:
        """Raises OSError."""
        folder = self._exposures / shot_id
        self._make(folder)
        write_file(folder / FRAME, pack(message), durable=self._durable)

    def reserve_frame(self, shot_id: str, size_bytes: int) -> None:
        """So that a disk which fills up meanwhile still takes this frame. Raises OSError."""
        folder = self._exposures / shot_id
        if not self._durable or (folder / FRAME).exists():
            return
        self._make(folder)
        reserve(folder / FRAME, size_bytes + OVERHEAD_BYTES)

    def expect_no_frame(self, shot_id: str) -> None:
        """Gives the reserved space back. Raises OSError."""
        folder = self._exposures / shot_id
        give_back(folder / FRAME)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def _make(self, folder: Path) -> None:
        for path in dict.fromkeys((self._exposures, folder)):  # each name is synced
            make_folder(path, durable=self._durable)

    def kept_frame(self, shot_id: str) -> list[bytes] | None:
        """What `keep_frame` was given, also by a recorder before this one."""
        try:
            return unpack((self._exposures / shot_id / FRAME).read_bytes())
        except (OSError, ValueError):
            return None

    def keep_stray(self, message: Sequence[bytes]) -> Path:
        """Raises OSError."""
        self._make(self._exposures)
        number = 1 + len(list(self._exposures.glob("stray-*.raw")))
        path = self._exposures / f"stray-{number:04d}.raw"
        write_file(path, pack(message), durable=self._durable)
        return path

    def save(
        self, record: ExposureRecord, frame: PanelFrame, before: Sequence[tuple[int, str]] = ()
    ) -> dict[str, object]:
        """Folder and sha256 of each file, for the journal. Raises ImageError, OSError.

        `before`: (frames ago, shot) of this run's frames; those that lag is known of count.
        """
        if self._panel_set is None:
            raise ImageError(f"no calibration set for panel {frame.panel_id}")
        still = [(ago, shot) for ago, shot in before if ago <= len(self._panel_set.lag)]
        made = develop(record, frame, self._panel_set, _earlier(self._exposures, still))
        self._keep_panel_set(self._panel_set)
        shot_id = record.intent.shot.shot_id
        folder = self._exposures / shot_id
        files = {FRAME: _sha256(folder / FRAME)} | self._write(folder, made)
        content = record.to_dict() | {"panel_set": self._panel_set_sha256, "files": files}
        content["earlier"] = still
        return self._save_record(shot_id, content, files)

    def save_raw(self, record: ExposureRecord) -> dict[str, object]:
        """For a frame that is kept as it came: there is nothing to make. Raises OSError."""
        shot_id = record.intent.shot.shot_id
        files = {FRAME: _sha256(self._exposures / shot_id / FRAME)}
        content = record.to_dict() | {"raw": True, "files": files}
        return self._save_record(shot_id, content, files)

    def _save_record(
        self, shot_id: str, content: dict[str, object], files: dict[str, str]
    ) -> dict[str, object]:
        path = self._exposures / shot_id / RECORD
        sha256 = write_file(path, [record_bytes(content)], durable=self._durable)
        return {"folder": f"exposures/{shot_id}", "files": files | {RECORD: sha256}}

    def _write(self, folder: Path, made: Developed) -> dict[str, str]:
        images = (
            (PROCESSING, made.processing, made.processing_pixels),
            (PRESENTATION, made.presentation, made.presentation_pixels),
        )
        try:
            files = {
                name: write(folder / name, dataset, pixels, durable=self._durable)
                for name, dataset, pixels in images
            }
        except NotWrittenError as error:
            raise ImageError(str(error)) from error
        files[PREVIEW] = write_file(folder / PREVIEW, [made.preview_png], durable=self._durable)
        return files

    def _keep_panel_set(self, panel_set: PanelSet) -> None:
        path = panel_set_path(self.run_dir, self._panel_set_sha256)
        if not path.exists():
            maps.save(panel_set, path)
            if self._durable:
                sync_folder(self.run_dir)


def record_bytes(content: Mapping[str, object]) -> bytes:
    """exposure.json: the same content makes the same bytes."""
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
    return text.encode()


# --- replay


def image_bytes(made: Developed) -> dict[str, bytes]:
    """What `Archive.save` writes of it, by file name. Raises ImageError."""
    try:
        return {
            PROCESSING: b"".join(chunks(made.processing, made.processing_pixels)),
            PRESENTATION: b"".join(chunks(made.presentation, made.presentation_pixels)),
            PREVIEW: made.preview_png,
        }
    except NotWrittenError as error:
        raise ImageError(str(error)) from error


def reprocess(folder: Path, panel_set: PanelSet | None = None) -> Developed:
    """Make the images of an exposure folder again. Raises ImageError, OSError.

    The maps are those of the run folder, unless handed in.
    """
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        record = ExposureRecord.from_dict(content)
        frame = _frame(folder)
        earlier = _earlier(folder.parent, content.get("earlier", ()))
        if panel_set is None:
            panel_set = maps.load(panel_set_path(folder.parents[1], content["panel_set"]))
    except (ImageError, WireError, ValueError, KeyError, TypeError, maps.PanelSetError) as error:
        raise ImageError(f"{folder.name} can't be made again: {error}") from error
    return develop(record, frame, panel_set, earlier)


def differences(folder: Path) -> list[str]:
    """How the stored images differ from those made again; empty = in nothing.

    Raises ImageError, OSError.
    """
    raw = raw_files(folder)
    if raw is not None:
        return _changed(folder, raw)
    made = reprocess(folder)
    found = []
    for name, dataset, pixels in (
        (PROCESSING, made.processing, made.processing_pixels),
        (PRESENTATION, made.presentation, made.presentation_pixels),
    ):
        try:
            stored, stored_pixels = read(folder / name)
        except ValueError as error:
            found.append(str(error))
            continue
        keywords = {e.keyword for e in dataset} | {e.keyword for e in stored}
        found += [
            f"{name}: {keyword} is {stored.get(keyword)!r}, made again {dataset.get(keyword)!r}"
            for keyword in sorted(keywords)
            if stored.get(keyword) != dataset.get(keyword)
        ]
        if stored_pixels.shape != pixels.shape or (stored_pixels != pixels).any():
            found.append(f"{name}: the pixels differ")
    if (folder / PREVIEW).read_bytes() != made.preview_png:
        found.append(f"{PREVIEW}: differs")
    return found


def raw_files(folder: Path) -> dict[str, str] | None:
    """Name and sha256 of what was kept as it came; None where images were made."""
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return dict(content["files"]) if content.get("raw") else None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ImageError(f"{folder.name}: {RECORD} is damaged: {error!r}") from error


def _changed(folder: Path, files: dict[str, str]) -> list[str]:
    return [
        f"{name}: its sha256 is another than when it was written"
        for name, sha256 in files.items()
        if _sha256(folder / name) != sha256
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_frame(folder: Path) -> PanelFrame:
    """The frame of an exposure's folder as the panel sent it. Raises ImageError, OSError."""
    try:
        return _frame(folder)
    except (ValueError, WireError) as error:
        raise ImageError(f"{folder.name}: {FRAME} can't be read: {error}") from error


def _frame(folder: Path) -> PanelFrame:
    frame = decode(unpack((folder / FRAME).read_bytes()))
    if not isinstance(frame, PanelFrame):
        raise ValueError(f"{FRAME} holds no image")
    return frame


def _earlier(exposures: Path, before: Sequence[tuple[int, str]]) -> list[tuple[int, PanelFrame]]:
    """Raises ImageError, OSError."""
    return [(int(ago), read_frame(exposures / shot)) for ago, shot in before]


def panel_set_path(run_dir: Path, sha256: str) -> Path:
    """Of the maps that an exposure.json names as `panel_set`."""
    return run_dir / f"panel-set-{sha256[:16]}.npz"
