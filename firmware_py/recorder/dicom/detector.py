"""On which panel, and how the numbers are meant: detector, pixels, DX image, window.

Always MONOCHROME2 with IDENTITY (bone white) and a plain linear window: every other way
was shown wrongly by somebody's viewer (dicom.md 2.5, 7).
"""

from __future__ import annotations

from firmware_py.config import PanelConfig
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.dicom.values import Fields, day, decimal, pair, time


def detector(facts: Facts) -> Fields:
    panel = facts.unit.panel
    rows_mm, columns_mm = panel.rows_px * panel.pitch_mm, panel.columns_px * panel.pitch_mm
    at = facts.calibrated_at
    return {
        "DetectorType": "SCINTILLATOR",
        "DetectorConfiguration": "AREA",
        "DetectorDescription": "simulated flat panel" if facts.simulated else None,
        "DetectorID": panel.panel_id,
        "DateOfLastDetectorCalibration": day(at) if at else None,
        "TimeOfLastDetectorCalibration": time(at) if at else None,
        "ExposureIndex": decimal(facts.exposure_index),
        "DetectorActiveTime": decimal(facts.active_ms),
        "DetectorActiveShape": "RECTANGLE",
        "DetectorActiveDimensions": pair(rows_mm, columns_mm),
        "FieldOfViewShape": "RECTANGLE",
        "FieldOfViewDimensions": [str(round(rows_mm)), str(round(columns_mm))],
        "FieldOfViewOrigin": ["0", "0"],
        "FieldOfViewRotation": "0",
        "FieldOfViewHorizontalFlip": "NO",
        # At the detector; PixelSpacing would need a calibration (dicom.md 7).
        "ImagerPixelSpacing": pair(panel.pitch_mm, panel.pitch_mm),
    }


def image_pixel(panel: PanelConfig) -> Fields:
    return {
        "SamplesPerPixel": 1,
        "Rows": panel.rows_px,
        "Columns": panel.columns_px,
        "BitsAllocated": 16,
        "BitsStored": panel.bits_stored,
        "HighBit": panel.bits_stored - 1,
        "PixelRepresentation": 0,
        "PhotometricInterpretation": "MONOCHROME2",
    }


def dx_image(*, presentation: bool) -> Fields:
    return {
        "PixelIntensityRelationship": "LOG" if presentation else "LIN",
        "PixelIntensityRelationshipSign": -1 if presentation else 1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
    }


def voi_lut(center: float, width: float) -> Fields:
    return {
        "WindowCenter": decimal(center),
        "WindowWidth": decimal(width),
        "WindowCenterWidthExplanation": "NORMAL",
        "VOILUTFunction": "LINEAR",
    }
