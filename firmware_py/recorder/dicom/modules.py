"""Who, when, with what: one function per DICOM module (attribute list: dicom.md 2.2).

What nobody told us is left out, not guessed: anode, rectification, grid detail, DAP.
"""

from __future__ import annotations

from datetime import date, datetime

from firmware_py.recorder.dicom.codes import SOURCE_IMAGE, projection
from firmware_py.recorder.dicom.exam import ExamInfo
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.dicom.uids import device_uid
from firmware_py.recorder.dicom.values import Fields, coded, day, time

PROCESSING_CLASS = "1.2.840.10008.5.1.4.1.1.1.1.1"
PRESENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


def sop_common(facts: Facts, *, presentation: bool) -> Fields:
    uids = facts.uids
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": PRESENTATION_CLASS if presentation else PROCESSING_CLASS,
        "SOPInstanceUID": uids.presentation if presentation else uids.processing,
        "TimezoneOffsetFromUTC": facts.study_at.strftime("%z"),
    }


def patient(exam: ExamInfo) -> Fields:
    return {
        "PatientName": exam.patient_name,
        "PatientID": exam.patient_id,
        "PatientBirthDate": exam.birth_date,
        "PatientSex": exam.sex,
    }


def study(facts: Facts) -> Fields:
    exam = facts.exam
    return {
        "StudyInstanceUID": facts.uids.study,
        "StudyDate": day(facts.study_at),
        "StudyTime": time(facts.study_at),
        "StudyID": exam.study_id,
        "AccessionNumber": exam.accession,
        "ReferringPhysicianName": exam.referring_physician,
        "StudyDescription": f"{facts.mark}XR {projection(exam.projection).words}",
        "PatientAge": _age(exam.birth_date, facts.study_at),
    }


def series(facts: Facts, *, presentation: bool) -> Fields:
    """One series per image: a series holds one presentation intent and one exposure."""
    row = projection(facts.exam.projection)
    uids = facts.uids
    return {
        "Modality": "DX",
        "PresentationIntentType": "FOR PRESENTATION" if presentation else "FOR PROCESSING",
        "SeriesInstanceUID": uids.presentation_series if presentation else uids.processing_series,
        "SeriesNumber": str(2 * facts.number - (0 if presentation else 1)),
        "SeriesDate": day(facts.exposed_at),
        "SeriesTime": time(facts.exposed_at),
        "SeriesDescription": f"{facts.mark}{row.words}" + ("" if presentation else " processing"),
        "OperatorsName": facts.exam.operator or None,
        "ProtocolName": row.words,
        "BodyPartExamined": row.region.body_part,
    }


def equipment(facts: Facts) -> Fields:
    site = facts.unit.site
    return {
        "Manufacturer": site.manufacturer,
        "ManufacturerModelName": site.model + (" (simulated)" if facts.simulated else ""),
        "DeviceSerialNumber": site.serial,
        "SoftwareVersions": facts.software,
        "InstitutionName": site.institution or None,
        "StationName": site.station,
        "DeviceUID": device_uid(site),
    }


def acquisition(facts: Facts) -> Fields:
    """Shared by the pair: who reads both knows that it was one beam (SR-55)."""
    return {
        "AcquisitionUID": facts.uids.acquisition,
        "IrradiationEventUID": facts.uids.irradiation_event,
        "AcquisitionNumber": str(facts.number),
        "AcquisitionDate": day(facts.exposed_at),
        "AcquisitionTime": time(facts.exposed_at),
        "AcquisitionDateTime": facts.exposed_at.strftime("%Y%m%d%H%M%S.%f%z"),
    }


def general_image(facts: Facts, *, presentation: bool) -> Fields:
    is_test = facts.simulated or facts.exam.is_test
    return {
        "ImageType": ["DERIVED" if presentation else "ORIGINAL", "PRIMARY"],
        "InstanceNumber": "1",
        "ContentDate": day(facts.imaged_at),
        "ContentTime": time(facts.imaged_at),
        "ImageComments": _comments(facts),
        "BurnedInAnnotation": "YES" if presentation and facts.simulated else "NO",
        "QualityControlImage": "YES" if is_test else "NO",
        "LossyImageCompression": "00",
        "AcquisitionContextSequence": [],
    }


def derivation(facts: Facts) -> Fields:
    """The presentation image names the image that it was made from."""
    burned_in = '; "SIMULATED" burned in' if facts.simulated else ""
    corrected = "offset, gain and defects corrected"
    if facts.observed:
        corrected += " by the maker's tool, not by dxrig"
    source: Fields = {
        "ReferencedSOPClassUID": PROCESSING_CLASS,
        "ReferencedSOPInstanceUID": facts.uids.processing,
        "SpatialLocationsPreserved": "YES",
        "PurposeOfReferenceCodeSequence": coded(SOURCE_IMAGE),
    }
    return {
        "SourceImageSequence": [source],
        "DerivationDescription": f"{corrected}; logarithm{burned_in}",
    }


def _comments(facts: Facts) -> str | None:
    report = facts.report
    parts = []
    if facts.simulated:
        parts.append("SIMULATED: no patient, no radiation.")
    if facts.observed:
        parts.append("Beam and image are another maker's, watched and recorded by dxrig.")
    if facts.aborted:
        fault = f" ({report.fault})" if report.fault else ""
        parts.append(f"Exposure ended early: {report.reason.value}{fault}.")
    return " ".join(parts) or None


def _age(birth_date: str, at: datetime) -> str | None:
    if not birth_date:
        return None
    born = date(int(birth_date[:4]), int(birth_date[4:6]), int(birth_date[6:]))
    years = at.year - born.year - ((at.month, at.day) < (born.month, born.day))
    return f"{years:03d}Y" if 0 <= years <= 999 else None
