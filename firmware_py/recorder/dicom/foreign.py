"""An image that another maker's tool wrote as DICOM: its pixels, whose panel, and when.

Taken is one frame of 16 bits, linear and MONOCHROME2, in any transfer syntax that pydicom reads
by itself. What would be shown wrongly (inverted, logarithmic, signed, cut) is refused with the
reason. pydicom reads a file that was cut without a word: its pixels tell.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hal.detectors.folder import NoPictureError, Picture, Verdict

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PREAMBLE = 132
_PIXELS = 0x7FE00010
_FORMS = ("%Y%m%d%H%M%S.%f%z", "%Y%m%d%H%M%S%z", "%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S")
_BREAKS = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)


def picture_of(data: bytes, started_at: datetime) -> Picture:
    """`started_at`: the date of the exposures' zero. Raises NoPictureError."""
    dataset = _dataset(data)
    _must_be_taken(dataset)
    pixels = _pixels(dataset)
    made = _made_at(dataset)
    return Picture(
        pixels=pixels.astype("<u2", copy=False).tobytes(),
        rows_px=pixels.shape[0],
        columns_px=pixels.shape[1],
        panel_id=_panel_id(dataset),
        made_us=None if made is None else round((made - started_at).total_seconds() * 1e6),
    )


def _dataset(data: bytes) -> Dataset:
    import pydicom
    from pydicom.errors import InvalidDicomError

    if len(data) < PREAMBLE:
        raise NoPictureError(Verdict.HALF_WRITTEN, f"{len(data)} bytes are no DICOM file yet")
    if data[128:PREAMBLE] != b"DICM":
        raise NoPictureError(Verdict.GARBAGE, "it is no DICOM file")
    try:
        dataset = pydicom.dcmread(BytesIO(data))
        has_pixels = _PIXELS in dataset
    except EOFError:
        raise NoPictureError(Verdict.HALF_WRITTEN, "it ends too early") from None
    except (InvalidDicomError, OSError, *_BREAKS) as error:
        raise NoPictureError(Verdict.GARBAGE, f"it can't be read: {error}") from None
    if not has_pixels:
        raise NoPictureError(Verdict.HALF_WRITTEN, "it has no pixels yet")
    return dataset


def _must_be_taken(dataset: Dataset) -> None:
    for keyword, wanted in (
        ("SamplesPerPixel", 1),
        ("BitsAllocated", 16),
        ("PixelRepresentation", 0),
        ("PhotometricInterpretation", "MONOCHROME2"),
    ):
        value = dataset.get(keyword)
        if value != wanted:
            raise NoPictureError(Verdict.GARBAGE, f"{keyword} is {value}; only {wanted} is taken")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise NoPictureError(Verdict.GARBAGE, "it has more than one frame")
    relation = dataset.get("PixelIntensityRelationship") or "LIN"
    if relation != "LIN":
        why = f"PixelIntensityRelationship is {relation}; only a linear image is taken"
        raise NoPictureError(Verdict.GARBAGE, why)


def _pixels(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.uint16]]:
    rows_px, columns_px = int(dataset.Rows), int(dataset.Columns)
    needed = 2 * rows_px * columns_px
    is_plain = not dataset.file_meta.TransferSyntaxUID.is_compressed
    if is_plain and len(dataset.PixelData) < needed:
        why = f"{len(dataset.PixelData)} of {needed} bytes of pixels are there"
        raise NoPictureError(Verdict.HALF_WRITTEN, why)
    try:
        pixels = dataset.pixel_array
    except (RuntimeError, *_BREAKS) as error:
        raise NoPictureError(Verdict.GARBAGE, f"its pixels can't be read: {error}") from None
    return np.asarray(pixels, np.uint16)


def _panel_id(dataset: Dataset) -> str | None:
    found = dataset.get("DetectorID")
    return str(found) if found else None


def _made_at(dataset: Dataset) -> datetime | None:
    """By the acquisition, else the content. A time without a zone is this machine's."""
    zone = str(dataset.get("TimezoneOffsetFromUTC") or "")
    texts = [str(dataset.get("AcquisitionDateTime") or "")]
    for what in ("Acquisition", "Content"):
        date, time = (str(dataset.get(f"{what}{part}") or "") for part in ("Date", "Time"))
        texts.append(date + time if date and time else "")
    for text in texts:
        for told, form in product((text + zone, text), _FORMS):
            with suppress(ValueError):
                return datetime.strptime(told, form).astimezone()
    return None
