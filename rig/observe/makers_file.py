"""Files as the simulated maker's tool writes them: raw with a header, or DICOM.

Synthetic. The DICOM file has what such tools are seen to write at least: who, when, which panel,
and linear pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from firmware_py.config import FolderConfig, PanelConfig
from firmware_py.recorder.dicom.modules import PROCESSING_CLASS

Pixels = NDArray[np.uint16]


def writer(
    config: FolderConfig, panel: PanelConfig, started_at: datetime
) -> Callable[[Pixels, int], bytes]:
    """From pixels and the time of their beam to a file's bytes."""
    if config.form == "raw":
        return lambda pixels, t_us: raw_file(pixels, config)
    return lambda pixels, t_us: dicom_file(pixels, panel, started_at + timedelta(microseconds=t_us))


def raw_file(pixels: Pixels, config: FolderConfig) -> bytes:
    order = ">" if config.byte_order == "big" else "<"
    header = b"MAKER".ljust(config.header_bytes, b"\0")[: config.header_bytes]
    return header + pixels.astype(f"{order}u2").tobytes()


def dicom_file(pixels: Pixels, panel: PanelConfig, at: datetime, **others: object) -> bytes:
    """`others`: attributes by keyword, instead of those of a sound file."""
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    at = at.astimezone()  # the date of the tool's own wall clock, without a zone
    uid = generate_uid(entropy_srcs=[panel.panel_id, at.isoformat()])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.UID(PROCESSING_CLASS)
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = pydicom.Dataset()
    content: dict[str, object] = {
        "SOPClassUID": PROCESSING_CLASS,
        "SOPInstanceUID": uid,
        "Modality": "DX",
        "PresentationIntentType": "FOR PROCESSING",
        "AcquisitionDate": at.strftime("%Y%m%d"),
        "AcquisitionTime": at.strftime("%H%M%S.%f"),
        "DetectorID": panel.panel_id,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": panel.bits_stored,
        "HighBit": panel.bits_stored - 1,
        "PixelRepresentation": 0,
        "PixelIntensityRelationship": "LIN",
        "PixelData": pixels.astype("<u2").tobytes(),
    }
    for keyword, value in (content | others).items():
        setattr(dataset, keyword, value)
    buffer = BytesIO()
    file = pydicom.FileDataset(buffer, dataset, file_meta=meta, preamble=bytes(128))
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
