"""All of one exposure but its pixels: what exposure.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firmware_py.recorder.messages import (
    SCHEMA,
    intent_from_dict,
    intent_to_dict,
    report_from_dict,
    report_to_dict,
)
from firmware_py.recorder.setup import Setup
from hal.types import ExposureReport, Intent


class ImageError(Exception):
    """This frame can't become an image; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRecord:
    setup: Setup
    intent: Intent
    report: ExposureReport
    number: int
    imaged_us: int  # the frame was there

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "setup": self.setup.to_dict(),
            "intent": intent_to_dict(self.intent),
            "report": report_to_dict(self.report),
            "uids": self.setup.uids_dict(self.intent.shot.shot_id),
            "number": self.number,
            "imaged_us": self.imaged_us,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExposureRecord:
        """Raises ValueError, saying what is wrong."""
        try:
            return cls(
                setup=Setup.from_dict(data["setup"]),
                intent=intent_from_dict(data["intent"]),
                report=report_from_dict(data["report"]),
                number=data["number"],
                imaged_us=data["imaged_us"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no exposure record: {error}") from None
