"""What a recorder is told once: unit, exam, dates, UIDs. Nothing here asks a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from firmware_py.config import UnitConfig
from firmware_py.recorder.dicom.exam import TEST_EXAM, ExamInfo
from firmware_py.recorder.dicom.uids import ExposureUids, exposure_uids


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    unit: UnitConfig
    started_at: datetime  # the date of the scan clock's zero
    uid_namespace: UUID  # one per run; a scenario's own on the model rung
    simulated: bool
    exam: ExamInfo = TEST_EXAM
    software: str = "dxrig"

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None:
            raise ValueError("started_at: needs a time zone, such as 2026-01-02T03:04:05+00:00")
        if self.unit.rung != "bench" and not self.simulated:
            raise ValueError(
                f"simulated: must be true on the {self.unit.rung} rung; "
                "its images must not be taken for radiographs"
            )

    def at(self, t_us: int) -> datetime:
        return self.started_at + timedelta(microseconds=t_us)

    def uids(self, shot_id: str) -> ExposureUids:
        return exposure_uids(
            root=self.unit.site.uid_root,
            namespace=self.uid_namespace,
            exam_id=self.exam.exam_id,
            shot_id=shot_id,
            study=self.exam.study_uid,
        )

    def uids_dict(self, shot_id: str) -> dict[str, str]:
        return asdict(self.uids(shot_id))

    def to_dict(self) -> dict[str, Any]:
        return {
            "unit": self.unit.model_dump(),
            "started_at": self.started_at.isoformat(),
            "uid_namespace": str(self.uid_namespace),
            "simulated": self.simulated,
            "exam": self.exam.model_dump(),
            "software": self.software,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Setup:
        """Raises KeyError, ValueError (pydantic's too) naming the field."""
        return cls(
            unit=UnitConfig.model_validate(data["unit"]),
            started_at=datetime.fromisoformat(data["started_at"]),
            uid_namespace=UUID(data["uid_namespace"]),
            simulated=data["simulated"],
            exam=ExamInfo.model_validate(data.get("exam", {})),
            software=data.get("software", "dxrig"),
        )
