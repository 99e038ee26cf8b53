"""Who and what is imaged: bound to the shot before PREP (SR-13), written into every image."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from firmware_py.config import Strict
from firmware_py.recorder.dicom.codes import projection

TEST = "TEST"

_Line = Annotated[str, Field(max_length=64, pattern=r"^[^\\\x00-\x1f\x7f]*$")]
_Short = Annotated[str, Field(max_length=16, pattern=r"^[^\\\x00-\x1f\x7f]*$")]


class ExamInfo(Strict):
    """One examination. The default is the TEST exam: a phantom, nobody's picture."""

    exam_id: Annotated[str, Field(min_length=1, max_length=64)] = TEST
    patient_id: _Line = TEST
    patient_name: _Line = "TEST^PHANTOM"
    birth_date: str = Field(default="", description="YYYYMMDD, or empty when unknown")
    sex: Literal["", "F", "M", "O"] = ""
    accession: _Short = ""
    study_id: Annotated[_Short, Field(min_length=1)] = TEST
    study_uid: Annotated[str, Field(max_length=64)] | None = None
    referring_physician: _Line = ""
    operator: _Line = ""
    projection: str = "PHANTOM"
    laterality: Literal["R", "L", "U", "B"] = "U"

    @property
    def is_test(self) -> bool:
        return self.exam_id == TEST

    @field_validator("birth_date")
    @classmethod
    def _real_date(cls, text: str) -> str:
        if text and not re.fullmatch(r"\d{8}", text):
            raise ValueError("must be YYYYMMDD or empty")
        if text:
            date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return text

    @field_validator("patient_name", "referring_physician", "operator")
    @classmethod
    def _family_first(cls, text: str) -> str:
        if text.count("^") > 4 or "=" in text:
            raise ValueError("must be Family^Given with at most five parts")
        return text

    @field_validator("study_uid")
    @classmethod
    def _uid(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", text):
            raise ValueError("must be a UID: numbers and dots, no leading zeros")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> ExamInfo:
        row = projection(self.projection)
        if row.region.paired != (self.laterality != "U"):
            allowed = "R, L or B" if row.region.paired else "U"
            raise ValueError(f"laterality of {row.name} must be {allowed}")
        if self.is_test != (self.patient_id == TEST):
            raise ValueError("exam TEST and patient TEST go together, and with nobody else")
        return self


TEST_EXAM = ExamInfo()
