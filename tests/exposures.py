"""One exposure of the portable bench, for tests that need something to record."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from firmware_py.config import UnitConfig
from firmware_py.recorder.dicom.exam import ExamInfo
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.dicom.uids import exposure_uids
from hal.ports import PanelFrame
from hal.stream_v1 import encode_image
from hal.types import EndReason, ExposureReport, Intent, Shot, Technique

ROOT = Path(__file__).parents[1]
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMESPACE = UUID("00000000-0000-4000-8000-000000000001")
PANEL = "SIM-PANEL-1"


def unit_config(**changed: Any) -> UnitConfig:
    """The portable bench; `changed` replaces values of a section: panel={"rows_px": 64}."""
    text = (ROOT / "rig/benches/portable.toml").read_text(encoding="utf-8")
    bench = tomllib.loads(text)
    sections = {name: bench[name] for name in UnitConfig.model_fields if name in bench}
    for name, values in changed.items():
        sections[name] = values if isinstance(values, str) else sections[name] | values
    return UnitConfig(**{"name": "portable", **sections})


def shot(shot_id: str = "S1", *, mas: float = 2.0) -> Shot:
    technique = Technique(kv=70.0, ma=0.5, mas=mas)
    return Shot(shot_id=shot_id, technique=technique, exam_id="TEST", panel_id=PANEL)


def intent(shot_id: str = "S1", at_us: int = 1_000_000) -> Intent:
    return Intent(shot=shot(shot_id), planned_mas=2.0, maximum_mas=3.0, at_us=at_us)


def report(shot_id: str = "S1", **changed: Any) -> ExposureReport:
    fields: dict[str, Any] = {
        "shot": shot(shot_id),
        "reason": EndReason.PLANNED,
        "beam": True,
        "mas": 2.013,
        "maximum_mas": 3.0,
        "kv": 70.1,
        "ma": 0.502,
        "beam_ms": 4010.5,
        "start_us": 2_000_000,
        "end_us": 6_010_500,
    }
    return ExposureReport(**(fields | changed))


def facts(*, unit: UnitConfig | None = None, exam: ExamInfo | None = None, **changed: Any) -> Facts:
    exam = exam or ExamInfo()
    uids = exposure_uids(
        root="2.25",
        namespace=NAMESPACE,
        exam_id=exam.exam_id,
        shot_id="S1",
        study=exam.study_uid,
    )
    fields: dict[str, Any] = {
        "exam": exam,
        "unit": unit or unit_config(),
        "report": report(),
        "uids": uids,
        "number": 1,
        "study_at": STARTED,
        "exposed_at": STARTED,
        "imaged_at": STARTED,
        "simulated": True,
        "software": "dxrig test",
        "active_ms": 4321.5,
    }
    return Facts(**(fields | changed))


def ramp(rows_px: int = 256, columns_px: int = 256, bits: int = 14) -> NDArray[np.uint16]:
    """Every value of the range somewhere, when the image is large enough."""
    values = np.linspace(0, (1 << bits) - 1, rows_px * columns_px)
    return values.round().astype(np.uint16).reshape(rows_px, columns_px)


def frame(shot_id: str = "S1", **changed: Any) -> PanelFrame:
    fields: dict[str, Any] = {
        "series": 1,
        "frame_index": 0,
        "rows_px": 64,
        "columns_px": 64,
        "start_us": 1_900_000,
        "stop_us": 6_100_000,
        "panel_id": PANEL,
        "shot_id": shot_id,
    }
    fields |= changed
    if "pixels" not in fields:
        fields["pixels"] = ramp(fields["rows_px"], fields["columns_px"]).astype("<u2").tobytes()
    return PanelFrame(**fields)


def message(shot_id: str = "S1", **changed: Any) -> list[bytes]:
    return encode_image(frame(shot_id, **changed))
