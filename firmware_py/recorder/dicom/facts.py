"""All that the two images of one exposure are made of, dates and UIDs included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from firmware_py.config import UnitConfig
from firmware_py.recorder.dicom.exam import ExamInfo
from firmware_py.recorder.dicom.uids import ExposureUids
from hal.types import EndReason, ExposureReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    exam: ExamInfo
    unit: UnitConfig
    report: ExposureReport
    uids: ExposureUids
    number: int  # of the exposure, from 1
    study_at: datetime  # the same for all images of the study
    exposed_at: datetime  # start of the beam
    imaged_at: datetime  # the frame was there
    simulated: bool
    software: str
    active_ms: float | None = None  # how long the panel's window was open
    calibrated_at: datetime | None = None  # the panel's maps
    exposure_index: float | None = None  # IEC 62494-1; None without its calibration

    @property
    def aborted(self) -> bool:
        """Anything but the planned end (SR-54); how another's beam ended nobody knows."""
        return self.report.reason is not EndReason.PLANNED and not self.observed

    @property
    def observed(self) -> bool:
        """Another's beam and another's image: only seen, and recorded."""
        return self.report.reason is EndReason.OBSERVED

    @property
    def sid_mm(self) -> float:
        """As sensed, else as asked for, else the bench's."""
        known = (self.report.sid_mm, self.report.shot.sid_mm)
        return next((mm for mm in known if mm is not None), self.unit.geometry.sid_mm)

    @property
    def field_mm(self) -> tuple[float, float]:
        """Rows and columns that meet the panel: as sensed, else as the light field is set."""
        panel, own, seen = self.unit.panel, self.unit.geometry, self.report
        rows = own.field_rows_mm if seen.field_rows_mm is None else seen.field_rows_mm
        columns = own.field_columns_mm if seen.field_columns_mm is None else seen.field_columns_mm
        return (
            min(rows, panel.rows_px * panel.pitch_mm),
            min(columns, panel.columns_px * panel.pitch_mm),
        )

    @property
    def mark(self) -> str:
        return "SIMULATED " if self.simulated else ""
