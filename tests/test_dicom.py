"""The DX pair: judged by dciodvfy, dcentvfy and dcmtk, then by our own checks.

dciodvfy's exit code is 0 for some errors, so only its words count (dicom.md 1.4).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
import pytest
from pydantic import ValidationError
from pydicom.dataset import Dataset

from firmware_py.recorder.dicom import dx
from firmware_py.recorder.dicom.checks import Pixels, problems
from firmware_py.recorder.dicom.codes import PROJECTIONS, projection
from firmware_py.recorder.dicom.exam import ExamInfo
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.dicom.uids import exposure_uids
from firmware_py.recorder.dicom.values import decimal, merged, twins
from firmware_py.recorder.dicom.write import NotWrittenError, file_meta, write
from hal.types import EndReason
from tests.exposures import NAMESPACE, facts, ramp, report, unit_config
from tests.peers import require_peer

PATIENT = {
    "exam_id": "E-77",
    "patient_id": "4711",
    "patient_name": "Müller^Zoë",
    "birth_date": "19610203",
    "sex": "F",
    "accession": "A-2026-1",
    "study_id": "77",
    "operator": "Gómez^Ana",
    "projection": "CHEST_AP",
}


def processing(facts_: Facts | None = None) -> Dataset:
    return dx.for_processing(facts_ or facts())


def presentation(facts_: Facts | None = None) -> Dataset:
    return dx.for_presentation(facts_ or facts(), center=8192, width=16384)


def verdict(path: Path) -> list[str]:
    """dciodvfy's complaints, errors and warnings alike."""
    command = [require_peer("dciodvfy"), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (result.stdout + result.stderr).splitlines()
    assert any(line.startswith("DXImage") for line in lines), (
        lines
    )  # it read the file as what it is
    return [line for line in lines if line.startswith(("Error", "Warning", "Abort"))]


def written(folder: Path, name: str, dataset: Dataset, pixels: Pixels | None = None) -> Path:
    path = folder / f"{name}.dcm"
    write(path, dataset, ramp() if pixels is None else pixels, durable=False)
    return path


EXPOSURES = {
    "test exam": facts(),
    "patient": facts(exam=ExamInfo(**PATIENT), simulated=False),  # type: ignore[arg-type]
    "released early": facts(
        report=report(reason=EndReason.RELEASED, mas=0.0004, beam_ms=0.4, kv=None, ma=None)
    ),
    "unknown dose": facts(report=report(reason=EndReason.FAULT, fault="DOOR_OPEN", mas=None)),
    "thirds": facts(report=report(kv=200 / 3, ma=1 / 3, mas=4 / 3, beam_ms=4000 / 3)),
    "halves": facts(report=report(ma=0.5, mas=2.5, beam_ms=12.5)),
    "field larger than the panel": facts(
        unit=unit_config(geometry={"field_rows_mm": 430.0, "field_columns_mm": 350.0})
    ),
    "sensed, with a meter in the beam": facts(
        report=report(
            sid_mm=1150.0,
            field_rows_mm=140.0,
            field_columns_mm=180.4,
            dap_dgycm2=1.779,
            calculated_dap_dgycm2=5 / 3,
            dap_doubt="DAP_DEVIATES",
        )
    ),
    "no filter": facts(unit=unit_config(tube={"filter_mm": 0.0})),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", EXPOSURES)
def test_dciodvfy_finds_no_error_and_no_warning(tmp_path: Path, name: str) -> None:
    for made in (processing, presentation):
        assert verdict(written(tmp_path, made.__name__, made(EXPOSURES[name]))) == []


@pytest.mark.peer
@pytest.mark.parametrize("row", PROJECTIONS)
def test_dciodvfy_accepts_every_row_of_the_table(tmp_path: Path, row: str) -> None:
    paired = PROJECTIONS[row].region.paired
    exam = ExamInfo(projection=row, laterality="L" if paired else "U")
    assert verdict(written(tmp_path, row, presentation(facts(exam=exam)))) == []


@pytest.mark.peer
def test_dcentvfy_finds_the_pair_consistent(tmp_path: Path) -> None:
    files = [
        written(tmp_path, "processing", processing()),
        written(tmp_path, "presentation", presentation()),
    ]
    assert entities(*files) == []
    other_day = presentation()
    other_day.StudyDate = "20260103"
    files[1] = written(tmp_path, "presentation", other_day)
    assert any("StudyDate" in line for line in entities(*files))


def entities(*paths: Path) -> list[str]:
    command = [require_peer("dcentvfy"), *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).splitlines()


def _set(**values: Any) -> Callable[[Dataset], None]:
    def plant(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return plant


def _drop(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


PLANTED_FOR_THE_JUDGE = {
    "no laterality": (presentation, _drop("ImageLaterality"), "ImageLaterality"),
    "no laterality value": (presentation, _set(ImageLaterality=""), "ImageLaterality"),
    "half a window": (presentation, _drop("WindowWidth"), "WindowWidth"),
    "window in processing": (processing, _set(WindowCenter="1", WindowWidth="2"), "WindowCenter"),
    "white bones twice": (presentation, _set(PresentationLUTShape="INVERSE"), "LUT"),
    "twin differs": (processing, _set(ExposureInuAs="1100"), "Exposure"),
    "wrong modality": (processing, _set(Modality="CT"), "Modality"),
    "spacing zero": (processing, _set(ImagerPixelSpacing=["0", "0"]), "Imager Pixel Spacing"),
    "unknown view": (presentation, _set(ViewPosition="UPSIDE"), "ViewPosition"),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", PLANTED_FOR_THE_JUDGE)
def test_the_judge_sees_planted_defects(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware_py.recorder.dicom.write.problems", lambda *_: [])
    made, plant, word = PLANTED_FOR_THE_JUDGE[name]
    dataset = made()
    plant(dataset)
    assert any(word in line for line in verdict(written(tmp_path, "planted", dataset)))


@pytest.mark.peer
def test_dcmtk_shows_the_presentation_image_as_its_window_says(tmp_path: Path) -> None:
    pixels = ramp()
    source = written(tmp_path, "presentation", presentation(), pixels)
    shown = rendered(source, "+Wi", "1")
    assert np.abs(shown - pixels * (255 / 16383)).max() <= 1.0


@pytest.mark.peer
def test_dcmtk_shows_the_processing_image_over_its_range(tmp_path: Path) -> None:
    pixels = ramp()
    source = written(tmp_path, "processing", processing(), pixels)
    shown = rendered(source, "+Wm")
    assert np.abs(shown - pixels * (255 / 16383)).max() <= 1.0


def rendered(source: Path, *window: str) -> Any:
    target = source.with_suffix(".pgm")
    command = [require_peer("dcmj2pnm"), *window, "+op", str(source), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    data = target.read_bytes()
    return np.frombuffer(data[-65536:], np.uint8).reshape(256, 256).astype(float)


@pytest.mark.peer
def test_dcmdump_reads_names_beyond_ascii(tmp_path: Path) -> None:
    path = written(tmp_path, "patient", presentation(EXPOSURES["patient"]))
    command = [require_peer("dcmdump"), "+P", "PatientName", str(path)]
    dump = subprocess.run(command, capture_output=True, check=True).stdout
    assert "[Müller^Zoë]".encode() in dump


@pytest.mark.parametrize("made", [processing, presentation])
def test_the_fast_path_writes_the_same_bytes_as_pydicom(
    tmp_path: Path, made: Callable[[], Dataset]
) -> None:
    fast = written(tmp_path, "fast", made()).read_bytes()
    dataset = made()
    dataset.PixelData = ramp().tobytes()
    dataset["PixelData"].VR = "OW"
    slow = tmp_path / "slow.dcm"
    file = pydicom.FileDataset(
        str(slow), dataset, file_meta=file_meta(dataset), preamble=bytes(128)
    )
    file.save_as(slow, enforce_file_format=True)
    assert fast == slow.read_bytes()


def test_what_was_written_reads_back_pixel_for_pixel(tmp_path: Path) -> None:
    read = pydicom.dcmread(written(tmp_path, "x", presentation()))
    assert np.array_equal(read.pixel_array, ramp())


def test_the_pair_belongs_to_one_beam_and_points_at_itself() -> None:
    first, second = processing(), presentation()
    for keyword in ("StudyInstanceUID", "IrradiationEventUID", "AcquisitionUID", "AcquisitionDate"):
        assert first[keyword].value == second[keyword].value
    (source,) = second.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert (first.SeriesNumber, second.SeriesNumber) == (1, 2)


def test_the_two_images_say_what_their_numbers_mean() -> None:
    first, second = processing(), presentation()
    keywords = (
        "PresentationIntentType",
        "ImageType",
        "PixelIntensityRelationship",
        "PixelIntensityRelationshipSign",
    )
    assert [first[keyword].value for keyword in keywords] == [
        "FOR PROCESSING", ["ORIGINAL", "PRIMARY"], "LIN", 1,
    ]  # fmt: skip
    assert [second[keyword].value for keyword in keywords] == [
        "FOR PRESENTATION", ["DERIVED", "PRIMARY"], "LOG", -1,
    ]  # fmt: skip
    assert "WindowCenter" not in first
    assert (second.WindowCenter, second.WindowWidth) == (8192, 16384)


def test_a_simulated_image_says_so_wherever_people_look() -> None:
    first, second = processing(), presentation()
    for dataset in (first, second):
        assert dataset.QualityControlImage == "YES"
        assert dataset.ImageComments == "SIMULATED: no patient, no radiation."
        assert dataset.SeriesDescription.startswith("SIMULATED ")
        assert dataset.ManufacturerModelName == "portable (simulated)"
    assert (first.BurnedInAnnotation, second.BurnedInAnnotation) == ("NO", "YES")


def test_a_real_image_of_a_patient_carries_no_mark_of_simulation() -> None:
    dataset = presentation(EXPOSURES["patient"])
    assert (dataset.BurnedInAnnotation, dataset.QualityControlImage) == ("NO", "NO")
    assert "ImageComments" not in dataset
    assert "SIMULATED" not in str(dataset).upper()
    assert (dataset.PatientAge, dataset.BodyPartExamined) == ("064Y", "CHEST")


def test_an_exposure_of_the_test_exam_is_quality_control_also_on_a_real_unit() -> None:
    dataset = processing(facts(simulated=False))
    assert (dataset.QualityControlImage, dataset.PatientID) == ("YES", "TEST")


def test_loading_factors_are_the_indicated_ones_and_the_comment_says_so() -> None:
    dataset = processing()
    assert {
        keyword: str(dataset[keyword].value)
        for keyword in (
            "KVP", "XRayTubeCurrent", "XRayTubeCurrentInuA", "ExposureTime", "ExposureTimeInuS",
            "Exposure", "ExposureInuAs",
        )
    } == {
        "KVP": "70.1", "XRayTubeCurrent": "1", "XRayTubeCurrentInuA": "502",
        "ExposureTime": "4010", "ExposureTimeInuS": "4010500", "Exposure": "2",
        "ExposureInuAs": "2013",
    }  # fmt: skip
    assert dataset.CommentsOnRadiationDose == (
        "kV, mA, ms, mAs indicated by the generator, not measured. Programmed 70 kV, 0.5 mA, 2 mAs."
    )


def test_an_unknown_dose_is_bounded_and_not_written_as_a_number() -> None:
    dataset = processing(EXPOSURES["unknown dose"])
    assert "Exposure" not in dataset
    assert "ExposureInuAs" not in dataset
    assert "mAs unknown, at most 3." in dataset.CommentsOnRadiationDose


def test_nothing_indicated_is_replaced_by_the_set_point() -> None:
    nothing = report(kv=None, ma=None, mas=None, beam_ms=None)
    dataset = processing(facts(report=nothing))
    for keyword in ("KVP", "XRayTubeCurrentInuA", "ExposureTimeInuS", "ExposureInuAs"):
        assert keyword not in dataset
    assert dataset.CommentsOnRadiationDose == (
        "mAs unknown, at most 3. Programmed 70 kV, 0.5 mA, 2 mAs."
    )


@pytest.mark.req("SR-54")
def test_an_exposure_that_ended_early_is_aborted_with_its_reason() -> None:
    released = processing(EXPOSURES["released early"])
    assert released.ExposureStatus == "ABORTED"
    assert released.ImageComments.endswith("Exposure ended early: handswitch released.")
    tripped = processing(EXPOSURES["unknown dose"])
    assert tripped.ImageComments.endswith("Exposure ended early: fault (DOOR_OPEN).")
    assert processing().ExposureStatus == "NORMAL"


def test_twins_round_together_and_zero_is_left_out() -> None:
    assert twins(12.4996, "Exposure", "ExposureInuAs") == {
        "Exposure": "12",
        "ExposureInuAs": "12500",
    }
    assert twins(0.4, "Exposure", "ExposureInuAs") == {"ExposureInuAs": "400"}
    assert twins(0.0, "Exposure", "ExposureInuAs") == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(90.0, "90"), (1 / 3, "0.3333333333"), (-1 / 3e7, "-3.333333333e-08"), (0.14, "0.14")],
)
def test_a_decimal_string_has_at_most_sixteen_characters(value: float, text: str) -> None:
    assert decimal(value) == text
    assert len(text) <= 16


OWN_CHECKS: dict[str, tuple[Callable[[], Dataset], Callable[[Dataset], None], str]] = {
    "polarity": (presentation, _set(PixelIntensityRelationshipSign=1), "do not go together"),
    "photometric": (presentation, _set(PhotometricInterpretation="MONOCHROME1"), "MONOCHROME2"),
    "view contradicts": (
        lambda: presentation(EXPOSURES["patient"]),
        _set(ViewPosition="PA"),
        "no row of the table",
    ),
    "no event": (processing, _drop("IrradiationEventUID"), "IrradiationEventUID has no value"),
    "secondary": (processing, _set(ImageType=["ORIGINAL", "SECONDARY"]), "PRIMARY is required"),
    "character set": (processing, _drop("SpecificCharacterSet"), "ISO_IR 192"),
    "laterality": (processing, _set(Laterality="L"), "illegal beside ImageLaterality"),
    "kVp 9000": (processing, _set(KVP="9000"), "KVP is 9000, allowed 5 to 500"),
    "lossy": (processing, _set(LossyImageCompression="01"), "never written"),
    "spacing": (processing, _set(PixelSpacing=["0.8", "0.8"]), "needs a calibration"),
    "window beside": (
        presentation,
        _set(WindowCenter="40000", WindowWidth="100"),
        "misses all pixel values",
    ),
    "window width": (presentation, _set(WindowWidth="0.5"), "at least 1"),
    "window in processing": (processing, _set(WindowCenter="1", WindowWidth="2"), "has no window"),
    "no window": (presentation, _drop("WindowCenter"), "has a window"),
    "collimator": (
        processing,
        _set(CollimatorRightVerticalEdge="300"),
        "CollimatorLeftVerticalEdge",
    ),
    "status": (processing, _set(ExposureStatus="ENDED"), "NORMAL or ABORTED"),
    "target alone": (processing, _set(TargetExposureIndex="250"), "go together"),
    "deviation": (
        processing,
        _set(ExposureIndex="500", TargetExposureIndex="250", DeviationIndex="1"),
        "is not 10 log10",
    ),
    "size": (processing, _set(Rows=255), "Rows and Columns say"),
}


@pytest.mark.parametrize("name", OWN_CHECKS)
def test_our_own_checks_see_what_the_judge_does_not(name: str) -> None:
    made, plant, word = OWN_CHECKS[name]
    dataset = made()
    assert problems(dataset, ramp()) == []
    plant(dataset)
    (found,) = problems(dataset, ramp())
    assert word in found


def test_a_deviation_index_that_fits_is_accepted() -> None:
    """EI 274, target 250: +0.4 (dicom.md 2.2)."""
    dataset = processing()
    _set(ExposureIndex="274", TargetExposureIndex="250", DeviationIndex="0.4")(dataset)
    assert problems(dataset, ramp()) == []


def test_pixels_beyond_the_stored_bits_are_refused(tmp_path: Path) -> None:
    pixels = ramp()
    pixels[0, 0] = 1 << 14
    path = tmp_path / "x.dcm"
    with pytest.raises(NotWrittenError, match="pixel value 16384 needs more than the 14 bits"):
        write(path, processing(), pixels, durable=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Modality", "dx"),
        ("StationName", "a name of more than 16"),
        ("StudyDate", "2026-01-02"),
        ("StudyInstanceUID", "1.2.03"),
        ("InstanceNumber", "12.5"),
        ("KVP", "0.333333333333333333"),
    ],
)
def test_values_that_pydicom_would_only_warn_about_are_refused(keyword: str, value: str) -> None:
    with pytest.raises((ValueError, OverflowError, TypeError)):
        dx.dataset({keyword: value})


def test_a_misspelled_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="Modalty is no DICOM attribute"):
        dx.dataset({"Modalty": "DX"})


def test_two_modules_may_not_disagree() -> None:
    with pytest.raises(ValueError, match="disagree about Modality"):
        merged([{"Modality": "DX"}, {"Modality": "CR"}])


def test_uids_depend_on_namespace_shot_and_role_and_on_nothing_else() -> None:
    def made(namespace: UUID = NAMESPACE, shot_id: str = "S1", root: str = "2.25") -> set[str]:
        uids = exposure_uids(root=root, namespace=namespace, exam_id="TEST", shot_id=shot_id)
        return {getattr(uids, name) for name in uids.__dataclass_fields__}

    assert made() == made()
    assert len(made()) == 7
    assert len(made() & made(shot_id="S2")) == 1  # the study
    assert made() & made(namespace=UUID(int=5)) == set()
    assert all(uid.startswith("1.2.840.99999.1.") for uid in made(root="1.2.840.99999.1"))


def test_a_uid_has_at_most_sixty_four_characters() -> None:
    with pytest.raises(ValueError, match=r"uid_root has 28 characters"):
        exposure_uids(
            root="1.2.840.1234567890.123456789", namespace=NAMESPACE, exam_id="X", shot_id="Y"
        )


def test_a_worklist_study_is_kept() -> None:
    exam = ExamInfo(study_uid="1.2.840.1.1")
    assert processing(facts(exam=exam)).StudyInstanceUID == "1.2.840.1.1"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"projection": "CHST_AP"}, "did you mean CHEST_AP"),
        ({"laterality": "L"}, "laterality of CHEST_AP must be U"),
        ({"projection": "HAND_PA"}, "laterality of HAND_PA must be R, L or B"),
        ({"birth_date": "1961-02-03"}, "must be YYYYMMDD"),
        ({"birth_date": "19611301"}, "month must be in 1..12"),
        ({"patient_id": "TEST"}, "exam TEST and patient TEST go together"),
        ({"patient_name": "a^b^c^d^e^f"}, "at most five parts"),
        ({"study_uid": "1.02"}, "no leading zeros"),
        ({"accession": "12345678901234567"}, "at most 16 characters"),
        ({"operator": "a\\b"}, "match pattern"),
    ],
)
def test_an_exam_that_dicom_could_not_carry_is_refused_before_any_beam(
    changed: dict[str, str], text: str
) -> None:
    with pytest.raises(ValidationError, match=text):
        ExamInfo(**(PATIENT | changed))  # type: ignore[arg-type]


def test_the_table_gives_the_codes_of_the_reference() -> None:
    """dicom.md 2.4, CID 4009 and CID 4010."""
    chest = projection("CHEST_AP")
    assert chest.view is not None
    assert (chest.region.code.value, chest.view.code.value) == ("816094009", "399348003")
    assert projection("PHANTOM").region.code.value == "706342009"
