"""What dciodvfy does not catch, checked here before anything is written (dicom.md 2.7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from firmware_py.recorder.dicom.codes import PROJECTIONS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Pixels = NDArray[np.uint16]
Check = Callable[["Dataset", Pixels], Iterator[str]]

# Physical limits of what a diagnostic or industrial unit of this class can show.
_RANGES = {
    "KVP": (5.0, 500.0),
    "XRayTubeCurrentInuA": (1.0, 2_000_000.0),
    "ExposureTimeInuS": (1.0, 60_000_000.0),
    "ExposureInuAs": (1.0, 2_000_000.0),
    "DistanceSourceToDetector": (100.0, 10_000.0),
    "ImageAndFluoroscopyAreaDoseProduct": (0.0, 10_000.0),  # dGy.cm2: 1 is a chest
}


def problems(dataset: Dataset, pixels: Pixels) -> list[str]:
    """One sentence each; a dataset with any is not written."""
    return [text for check in _CHECKS for text in check(dataset, pixels)]


def _shape(dataset: Dataset, pixels: Pixels) -> Iterator[str]:
    wanted = (dataset.Rows, dataset.Columns)
    if pixels.dtype != np.uint16:
        yield f"pixels are {pixels.dtype}, not uint16"
    if pixels.shape != wanted:
        yield f"pixels are {pixels.shape}, Rows and Columns say {wanted}"


def _bits(dataset: Dataset, pixels: Pixels) -> Iterator[str]:
    largest, limit = int(pixels.max(initial=0)), 1 << dataset.BitsStored
    if largest >= limit:
        yield f"pixel value {largest} needs more than the {dataset.BitsStored} bits stored"


def _polarity(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    found = (
        dataset.PresentationIntentType,
        dataset.PixelIntensityRelationship,
        dataset.PixelIntensityRelationshipSign,
    )
    if found not in (("FOR PROCESSING", "LIN", 1), ("FOR PRESENTATION", "LOG", -1)):
        yield f"intent, relationship and sign do not go together: {found}"
    shown = (dataset.PhotometricInterpretation, dataset.PresentationLUTShape)
    if shown != ("MONOCHROME2", "IDENTITY"):
        yield f"only MONOCHROME2 with IDENTITY is written, not {shown}"


def _window(dataset: Dataset, pixels: Pixels) -> Iterator[str]:
    has_window = "WindowCenter" in dataset and "WindowWidth" in dataset
    if dataset.PresentationIntentType == "FOR PROCESSING":
        if "WindowCenter" in dataset or "WindowWidth" in dataset:
            yield "a processing image has no window"
        return
    if not has_window:
        yield "a presentation image has a window"
        return
    center, width = float(dataset.WindowCenter), float(dataset.WindowWidth)
    low, high = center - width / 2, center + width / 2
    if not width >= 1:
        yield f"WindowWidth is {width:g}, at least 1 is legal"
    if not (low <= int(pixels.max(initial=0)) and int(pixels.min(initial=0xFFFF)) <= high):
        yield f"window {low:g} to {high:g} misses all pixel values"


def _anatomy(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    """Region, body part, view and position together must be a row of the checked table."""
    found = (
        _code(dataset, "AnatomicRegionSequence"),
        dataset.get("BodyPartExamined"),
        _code(dataset, "ViewCodeSequence"),
        dataset.get("ViewPosition"),
    )
    rows = [
        (
            row.region.code.value,
            row.region.body_part,
            row.view.code.value if row.view else None,
            row.view.position if row.view else None,
        )
        for row in PROJECTIONS.values()
    ]
    if found not in rows:
        yield f"region, body part, view and position are no row of the table: {found}"


def _identity(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    for keyword in ("IrradiationEventUID", "AcquisitionUID", "StudyID", "PatientID"):
        if not dataset.get(keyword):
            yield f"{keyword} has no value"
    if "PRIMARY" not in dataset.ImageType:
        yield f"ImageType is {list(dataset.ImageType)}, PRIMARY is required"
    if dataset.get("SpecificCharacterSet") != "ISO_IR 192":
        yield "SpecificCharacterSet must be ISO_IR 192"
    if "Laterality" in dataset:
        yield "Laterality is illegal beside ImageLaterality"


def _ranges(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    for keyword, (low, high) in _RANGES.items():
        value = dataset.get(keyword)
        if value is not None and not low <= float(value) <= high:
            yield f"{keyword} is {value}, allowed {low:g} to {high:g}"
    # Of another maker's beam neither how it was controlled nor how it ended is known.
    controlled = dataset.get("ExposureControlMode") is not None
    status = dataset.get("ExposureStatus")
    if status not in ("NORMAL", "ABORTED") and (controlled or status is not None):
        yield "ExposureStatus must be NORMAL or ABORTED"


def _exposure_index(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    """A deviation is computed, never set; without a target there is none."""
    index, target = dataset.get("ExposureIndex"), dataset.get("TargetExposureIndex")
    deviation = dataset.get("DeviationIndex")
    if deviation is None and target is None:
        return
    if index is None or target is None or deviation is None:
        yield "exposure index, target and deviation go together"
    elif min(index, target) <= 0:
        yield f"exposure index and target must be positive, not {index:g} and {target:g}"
    elif not abs(10 * math.log10(index / target) - deviation) <= 0.06:
        yield f"DeviationIndex {deviation:g} is not 10 log10({index:g} / {target:g})"


def _compression_and_spacing(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    if dataset.LossyImageCompression != "00":
        yield "lossy compression is never written"
    if "PixelSpacing" in dataset and "PixelSpacingCalibrationType" not in dataset:
        yield "PixelSpacing needs a calibration; ImagerPixelSpacing is the detector's"


def _collimator(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    if "CollimatorShape" not in dataset:
        return
    edges = (
        ("CollimatorLeftVerticalEdge", "CollimatorRightVerticalEdge", dataset.Columns),
        ("CollimatorUpperHorizontalEdge", "CollimatorLowerHorizontalEdge", dataset.Rows),
    )
    for first, last, size_px in edges:
        if not 1 <= dataset[first].value < dataset[last].value <= size_px:
            yield f"{first}, {last}: {dataset[first].value}, {dataset[last].value} of {size_px}"


def _private(dataset: Dataset, _pixels: Pixels) -> Iterator[str]:
    for element in dataset:
        if element.tag.is_private:
            yield f"private element {element.tag}"


def _code(dataset: Dataset, keyword: str) -> str | None:
    return dataset[keyword].value[0].CodeValue if dataset.get(keyword) else None


_CHECKS: tuple[Check, ...] = (
    _shape,
    _bits,
    _polarity,
    _window,
    _anatomy,
    _identity,
    _ranges,
    _exposure_index,
    _compression_and_spacing,
    _collimator,
    _private,
)
