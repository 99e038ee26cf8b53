"""With which beam: positioning, generation, dose, filter and collimator (dicom.md 2.2, 2.3).

kV, mA, ms and mAs are what the generator *indicated*: its own feedback, no measurement,
and the dose comment says so. What it did not indicate is left out and never replaced by
the set-point.
"""

from __future__ import annotations

from firmware_py.config import ReceptorConfig, UnitConfig
from firmware_py.recorder.dicom.codes import projection
from firmware_py.recorder.dicom.exam import ExamInfo
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.dicom.values import Fields, coded, decimal, twins
from hal.types import EndReason, ExposureReport, Technique


def anatomy(exam: ExamInfo) -> Fields:
    row = projection(exam.projection)
    return {
        "ImageLaterality": exam.laterality,
        "AnatomicRegionSequence": coded(row.region.code),
    }


def positioning(facts: Facts) -> Fields:
    """NONE: a source on no column, as free as the panel; one over a bucky hangs on a column."""
    view, unit = projection(facts.exam.projection).view, facts.unit
    fields: Fields = {
        "PositionerType": "NONE" if unit.geometry.receptor == "free" else "COLUMN",
        "DistanceSourceToDetector": decimal(facts.sid_mm),
        # A phantom has no left; the letters are those of a frontal view.
        "PatientOrientation": [view.rows, view.columns] if view else ["L", "F"],
    }
    if view:
        fields["ViewPosition"] = view.position
        # ViewModifierCodeSequence inside may be absent (dicom.md 2.2).
        fields["ViewCodeSequence"] = coded(view.code)
    return fields


def generation(facts: Facts) -> Fields:
    report = facts.report
    mode = "MANUAL" if report.shot.technique.aec is None else "AUTOMATIC"
    status = "ABORTED" if facts.aborted else "NORMAL"
    return {
        "KVP": decimal(report.kv),
        **twins(report.ma, "XRayTubeCurrent", "XRayTubeCurrentInuA"),
        **twins(report.beam_ms, "ExposureTime", "ExposureTimeInuS"),
        **twins(report.mas, "Exposure", "ExposureInuAs"),
        "ExposureControlMode": None if facts.observed else mode,
        "ExposureStatus": None if facts.observed else status,
        "FocalSpots": decimal(facts.unit.tube.focal_spot_mm),
        **_grid(facts.unit.receptor),
    }


def _grid(receptor: ReceptorConfig | None) -> Fields:
    """A stationary focused one, as the bench file has it: none of our wires tells that it moves."""
    if receptor is None or receptor.grid_ratio is None:
        return {"Grid": "NONE"}
    assert receptor.grid_lines_per_cm is not None
    return {
        "Grid": ["FIXED", "FOCUSED"],
        "GridFocalDistance": decimal(receptor.grid_focus_mm),
        "GridAspectRatio": [str(round(receptor.grid_ratio)), "1"],
        "GridPitch": decimal(10.0 / receptor.grid_lines_per_cm),
    }


def dose(facts: Facts) -> Fields:
    rows_mm, columns_mm = facts.field_mm
    report = facts.report
    return {
        "ExposedArea": [round(rows_mm), round(columns_mm)],
        "ImageAndFluoroscopyAreaDoseProduct": decimal(_dap_dgycm2(report)),
        "CommentsOnRadiationDose": dose_comment(report),
    }


def _dap_dgycm2(report: ExposureReport) -> float | None:
    """The measured one. Where the two disagree the larger: no dose is told too small."""
    measured, computed = report.dap_dgycm2, report.calculated_dap_dgycm2
    if measured is None or computed is None:
        return computed if measured is None else measured
    return measured if report.dap_doubt is None else max(measured, computed)


def _dap_comment(report: ExposureReport) -> str:
    """Which of the two the value is: the header has one place for it."""
    measured, computed = report.dap_dgycm2, report.calculated_dap_dgycm2
    if measured is None:
        return "" if computed is None else "DAP calculated, not measured."
    if computed is None:
        return "DAP measured by a meter in the beam."
    if report.dap_doubt is None:
        return f"DAP measured by a meter in the beam; calculated {computed:.4g} dGy.cm2."
    which = "measured" if measured > computed else "calculated"
    both = f"measured {measured:.4g}, calculated {computed:.4g} dGy.cm2"
    return f"DAP {which}; the two DISAGREE: {both}."


def dose_comment(report: ExposureReport) -> str:
    technique = report.shot.technique
    if report.reason is EndReason.OBSERVED:
        return (
            f"Nothing indicated or measured; mAs unknown, at most {report.maximum_mas:g}. "
            f"Set by a person: {technique.kv:g} kV, {technique.ma:g} mA, {_ending(technique)}."
        )
    known = "mAs" if report.mas is not None else ""
    indicated = [
        name
        for name, value in (("kV", report.kv), ("mA", report.ma), ("ms", report.beam_ms))
        if value is not None
    ]
    names = ", ".join([*indicated, *([known] if known else [])])
    parts = [f"{names} indicated by the generator, not measured." if names else ""]
    if report.mas is None:
        parts.append(f"mAs unknown, at most {report.maximum_mas:g}.")
    parts.append(_dap_comment(report))
    parts.append(f"Programmed {technique.kv:g} kV, {technique.ma:g} mA, {_ending(technique)}.")
    return " ".join(part for part in parts if part)


def _ending(technique: Technique) -> str:
    """SR-40: the mode stands in every image."""
    aec = technique.aec
    if aec is None:
        return f"{technique.planned_mas:g} mAs"
    chambers = ", ".join(aec.chambers)
    return (
        f"AEC ({chambers}; density {aec.density_index:+d}, sensitivity {aec.sensitivity_index}), "
        f"{aec.expected_mas:g} mAs expected, back-up {aec.backup_mas:g} mAs"
    )


def filtration(unit: UnitConfig) -> Fields:
    """One flat filter: FilterType has no accepted term for it (FLAT warns), so none is written."""
    tube = unit.tube
    if not tube.filter_mm:
        return {}
    return {
        "FilterMaterial": tube.filter_material,
        "FilterThicknessMinimum": decimal(tube.filter_mm),
        "FilterThicknessMaximum": decimal(tube.filter_mm),
    }


def collimator(facts: Facts) -> Fields:
    """The field, centred, in pixels from 1; edges stay on the panel."""
    panel = facts.unit.panel
    rows_mm, columns_mm = facts.field_mm
    top = 1 + _margin_px(panel.rows_px, rows_mm / panel.pitch_mm)
    left = 1 + _margin_px(panel.columns_px, columns_mm / panel.pitch_mm)
    return {
        "CollimatorShape": "RECTANGULAR",
        "CollimatorLeftVerticalEdge": str(left),
        "CollimatorRightVerticalEdge": str(panel.columns_px + 1 - left),
        "CollimatorUpperHorizontalEdge": str(top),
        "CollimatorLowerHorizontalEdge": str(panel.rows_px + 1 - top),
    }


def _margin_px(size_px: int, field_px: float) -> int:
    return max(0, round((size_px - field_px) / 2))
