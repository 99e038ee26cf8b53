"""What observing leaves: rows in the bench's journal, and how far a list of shots has come.

A row of a beam that was only seen says so: its reason is "observed", nothing is indicated, and
what a person says was set stands in the intent under `observed`, never as a read-back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from firmware_py.config import TubeConfig
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.journal import Journal
from hal.generators.manual import Beam
from hal.types import (
    TEST_EXAM_ID,
    EndReason,
    ExposureReport,
    Intent,
    Shot,
    ShotKind,
    Technique,
)
from rig.exit_codes import UsageError
from rig.exposure import uninterrupted
from rig.observe.shots import Setting, most_mas
from rig.state_dir import write_private

LIST = "observe.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a person says about one shot, and how it was said."""

    asked: Setting
    set: Setting
    how: str  # "confirmed as asked" | "typed" | "taken as asked (--yes)"
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An exposure whose image is awaited, as its record will have it."""

    intent: Intent
    report: ExposureReport
    number: int


class Notes:
    """The journal's only writer while a bench is observed. All raise JournalError."""

    def __init__(
        self,
        journal: Journal,
        setup: Setup,
        contact: str,
        *,
        imaged: bool = False,
        corrected: bool = True,
        run_dir: str | None = None,
    ) -> None:
        """`imaged`: the maker's panel stands in the beam, and its images come into `run_dir`,
        which is relative to the journal's folder; `corrected`: an image is made of each.
        """
        self._journal, self._setup, self._contact = journal, setup, contact
        self._tube: TubeConfig = setup.unit.tube
        self._imaged, self._corrected, self._run_dir = imaged, corrected, run_dir

    def prompted(self, claim: Claim, t_us: int) -> str:
        """Durable before anybody is asked to press; the shot's id."""
        told = {"asked": claim.asked.as_dict(), "how": claim.how, "by": claim.by}
        return self._intent(
            claim.set.as_dict(), claim.set.planned_mas, most_mas(self._tube), told, t_us
        )

    def unasked(self, beam: Beam) -> str:
        """A beam that nobody was prompted for: nothing is known but when."""
        technique = dict.fromkeys(("kv", "ma", "mas", "ms"))
        told = {"unasked": True}
        start_us = beam.end_us if beam.start_us is None else beam.start_us
        shot_id = self._intent(technique, 0.0, self._bound_mas(beam), told, start_us)
        self.seen(shot_id, technique, beam)
        return shot_id

    def seen(self, shot_id: str, technique: dict[str, float | None], beam: Beam) -> None:
        seen_us = beam.seen_us
        self._end(
            shot_id, technique, EndReason.OBSERVED, beam=True, mas=None, at_us=beam.end_us,
            maximum_mas=self._bound_mas(beam), start_us=beam.start_us, end_us=beam.end_us,
            seen_ms=None if seen_us is None else seen_us / 1000,
            bound_by="the tube's highest mA for as long as the contact was closed",
        )  # fmt: skip

    def picture_of(self, shot_id: str, setting: Setting, prompted_us: int, beam: Beam) -> Expected:
        """What an image of that beam is made and recorded with: what a person says was set."""
        technique = Technique(kv=setting.kv, ma=_known(setting.ma), mas=setting.mas, ms=setting.ms)
        shot = Shot(
            shot_id=shot_id,
            technique=technique,
            exam_id=TEST_EXAM_ID,
            panel_id=self._setup.unit.panel.panel_id,
            raw=not self._corrected,
        )
        intent = Intent(
            shot=shot,
            planned_mas=setting.planned_mas,
            maximum_mas=most_mas(self._tube),
            at_us=prompted_us,
        )
        report = ExposureReport(
            shot=shot, reason=EndReason.OBSERVED, beam=True, mas=None,
            maximum_mas=self._bound_mas(beam), start_us=beam.start_us, end_us=beam.end_us,
        )  # fmt: skip
        return Expected(intent=intent, report=report, number=self.number(shot_id))

    def imaged(self, shot_id: str, at_us: int, detail: dict[str, object]) -> None:
        """Its files are written: the row comes last."""
        with uninterrupted():
            self._journal.add_image(shot_id=shot_id, at=self._setup.at(at_us), detail=detail)

    def none_seen(self, shot_id: str, technique: dict[str, float | None], t_us: int) -> None:
        self._end(
            shot_id, technique, EndReason.NO_BEAM, beam=False, mas=0.0, at_us=t_us,
            maximum_mas=0.0, start_us=None, end_us=None, seen_ms=None,
        )  # fmt: skip

    def _bound_mas(self, beam: Beam) -> float:
        """What the tube can have been given at most, whatever was set."""
        if beam.at_most_us is None:
            return most_mas(self._tube)
        return self._tube.ma_max * beam.at_most_us / 1e6

    def _intent(
        self,
        technique: dict[str, float | None],
        planned_mas: float,
        maximum_mas: float,
        told: dict[str, Any],
        t_us: int,
    ) -> str:
        shot_id = f"o-{uuid4().hex[:12]}"
        detail: dict[str, Any] = {
            "shot": self._shot(shot_id, technique, imaged=technique["kv"] is not None),
            "planned_mas": planned_mas,
            "maximum_mas": maximum_mas,
            "uids": self._setup.uids_dict(shot_id),
            "observed": {"commanded_by_dxrig": False, **told},
        }
        if self._run_dir is not None:
            detail["run_dir"] = self._run_dir
        with uninterrupted():
            self._journal.add_intent(
                shot_id=shot_id,
                at=self._setup.at(t_us),
                exam_id=TEST_EXAM_ID,
                planned_mas=planned_mas,
                maximum_mas=maximum_mas,
                detail=detail,
            )
        return shot_id

    def _end(
        self,
        shot_id: str,
        technique: dict[str, float | None],
        reason: EndReason,
        *,
        beam: bool,
        mas: float | None,
        at_us: int,
        seen_ms: float | None,
        **facts: Any,
    ) -> None:
        detail = {
            "shot": self._shot(shot_id, technique, imaged=technique["kv"] is not None),
            "reason": reason.value,
            "fault": None,
            "beam": beam,
            "mas": mas,
            "kv": None,  # nothing was indicated to us, a time neither
            "ma": None,
            "beam_ms": None,
            **facts,
            "observed": {"by_contact": self._contact, "seen_ms": seen_ms},
        }
        with uninterrupted():
            self._journal.add_dose(
                shot_id=shot_id,
                at=self._setup.at(at_us),
                beam=beam,
                mas=mas,
                reason=reason.value,
                detail=detail,
            )

    def _shot(
        self, shot_id: str, technique: dict[str, float | None], *, imaged: bool
    ) -> dict[str, Any]:
        """Of a beam that nobody was asked for no image is made: nothing is known of it."""
        shot = {
            "shot_id": shot_id,
            "technique": technique,
            "exam_id": TEST_EXAM_ID,
            "panel_id": self._setup.unit.panel.panel_id,
            "kind": ShotKind.NO_RECEPTOR.value,
        }
        if not (imaged and self._imaged):
            return shot
        of_imaging = {"raw": not self._corrected, "clear_by": None, "warms": False}
        return shot | {"kind": ShotKind.IMAGING.value} | of_imaging | {"deferred": None}

    def number(self, shot_id: str) -> int:
        return self._journal.number(shot_id)

    def at(self, t_us: int) -> datetime:
        return self._setup.at(t_us)


def _known(ma: float | None) -> float:
    """A bench whose images are taken asks for it with each shot (`shots.py`)."""
    assert ma is not None, "an image says with which mA it was made"
    return ma


# --- how far a list has come --------------------------------------------------------------------


def save_list(state: Path, settings: Sequence[Setting], done_count: int) -> None:
    content = {"schema": 1, "shots": [one.as_dict() for one in settings], "done": done_count}
    write_private(state / LIST, json.dumps(content))


def left_of_list(state: Path) -> tuple[list[Setting], int]:
    """All of the list that was broken off, and how many are done. Raises UsageError."""
    try:
        content = json.loads((state / LIST).read_text(encoding="utf-8"))
        settings = [Setting(**one) for one in content["shots"]]
        done_count = int(content["done"])
    except FileNotFoundError:
        raise UsageError("--resume: nothing was broken off on this bench") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{state / LIST}: can't be read ({error}); start anew") from error
    return settings, done_count


def close_list(state: Path) -> None:
    (state / LIST).unlink(missing_ok=True)


def journal_for(path: Path) -> AbstractContextManager[Journal]:
    """Whoever holds the bench may open it."""
    return closing(Journal(path, owner="dxrig observe"))
