"""From raw frame to the two images: a pure function, so that a replay can repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firmware_py.recorder.dicom import dx
from firmware_py.recorder.dicom.checks import Pixels
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.exposure_record import ExposureRecord, ImageError
from firmware_py.recorder.image.correct import Corrected, Earlier, correct, linear_signal
from firmware_py.recorder.image.field import exposure_index
from firmware_py.recorder.image.maps import PanelSet, PanelSetError
from firmware_py.recorder.image.present import present
from firmware_py.recorder.image.preview import burn_in, preview_png
from hal.ports import PanelFrame
from hal.types import EndReason

if TYPE_CHECKING:
    from firmware_py.recorder.dicom.dx import Dataset

# Its calibration quality; with another beam the number would not be the standard's.
INDEX_QUALITY = "RQA5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """Datasets without pixels; pixels are rows x columns, uint16."""

    processing: Dataset
    processing_pixels: Pixels
    presentation: Dataset
    presentation_pixels: Pixels
    preview_png: bytes


def develop(
    record: ExposureRecord,
    frame: PanelFrame,
    panel_set: PanelSet,
    earlier: Sequence[tuple[int, PanelFrame]] = (),
) -> Developed:
    """`earlier`: (frames ago, frame) of those whose lag this one still holds. Raises ImageError."""
    try:
        return _develop(record, frame, panel_set, earlier)
    except (ValueError, TypeError, OverflowError, PanelSetError) as error:
        raise ImageError(str(error)) from error


def _develop(
    record: ExposureRecord,
    frame: PanelFrame,
    panel_set: PanelSet,
    earlier: Sequence[tuple[int, PanelFrame]],
) -> Developed:
    signals = [Earlier(ago, linear_signal(raw_of(one), panel_set)) for ago, one in earlier]
    corrected = correct(raw_of(frame), panel_set, signals)
    pixels, center, width = present(corrected)
    if record.setup.simulated:
        pixels = burn_in(pixels, white=corrected.full_scale)
    facts = _facts(record, frame, panel_set, corrected)
    return Developed(
        processing=dx.for_processing(facts),
        processing_pixels=corrected.pixels,
        presentation=dx.for_presentation(facts, center=center, width=width),
        presentation_pixels=pixels,
        preview_png=preview_png(pixels, center, width),
    )


def raw_of(frame: PanelFrame) -> Pixels:
    """Counts, rows x columns."""
    return np.frombuffer(frame.pixels, "<u2").reshape(frame.rows_px, frame.columns_px)


def _facts(
    record: ExposureRecord, frame: PanelFrame, panel_set: PanelSet, corrected: Corrected
) -> Facts:
    setup, report = record.setup, record.report
    start_us = record.intent.at_us if report.start_us is None else report.start_us
    ours = report.reason is not EndReason.OBSERVED
    return Facts(
        exam=setup.exam,
        unit=setup.unit,
        report=report,
        uids=setup.uids(record.intent.shot.shot_id),
        number=record.number,
        study_at=setup.started_at,
        exposed_at=setup.at(start_us),
        imaged_at=setup.at(record.imaged_us),
        simulated=setup.simulated,
        software=setup.software,
        # Of another's panel: neither when its window was open nor when it was calibrated.
        active_ms=(frame.stop_us - frame.start_us) / 1000 if ours else None,
        calibrated_at=panel_set.created if ours else None,
        exposure_index=_index(panel_set, corrected),
    )


def _index(panel_set: PanelSet, corrected: Corrected) -> float | None:
    if panel_set.counts_per_ugy is None or panel_set.beam_quality != INDEX_QUALITY:
        return None
    return round(exposure_index(corrected, panel_set.counts_per_ugy), 1)
