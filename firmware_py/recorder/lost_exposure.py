"""An exposure that nobody can report any more is ended: by what its unit's last words prove.

I2: every intent ends as one of four. With the proof that ON never left it is no beam; else its
dose is unknown, with a bound, and a person looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from firmware_py.last_words import Word
from firmware_py.recorder.dicom.uids import event_name
from firmware_py.recorder.lost_dose import KEYS, LostDose, lost_dose
from firmware_py.recorder.messages import intent_from_dict, report_from_dict, report_to_dict
from firmware_py.recorder.store.exposures import LOST, Exposure
from firmware_py.recorder.store.journal import Journal
from hal.types import EndReason, ExposureReport, Intent, ShotKind

FAULT = "UNIT_LOST"
_NOT_INTENT = ("uids", "run_dir", "observed")  # beside an intent in the journal


def end_lost(journal: Journal, row: Exposure, words: Sequence[Word] = ()) -> None:
    """`row`: without a dose. Raises JournalError."""
    detail = journal.detail("intent", row.shot_id) or {}
    intent = intent_of(detail, at_us=0)
    if intent is None:
        _end_restored(journal, row)
        return
    lost = lost_dose(intent, _of(row.shot_id, detail, words))
    journal.add_dose(
        shot_id=row.shot_id,
        at=datetime.fromisoformat(row.at),
        beam=lost.beam,
        mas=None if lost.beam else 0.0,
        reason=LOST,
        detail=report_to_dict(_report(intent, lost)) | lost.as_dict(),
    )


def as_ended(row: Exposure, detail: Mapping[str, object], words: Sequence[Word]) -> Exposure:
    """As it will be when somebody has ended it: to be shown, nothing is written.

    `detail`: of its intent. One that has its dose, or is damaged, is as it is.
    """
    intent = intent_of(detail, at_us=0)
    if row.beam is not None or not row.sound or intent is None:
        return row
    lost = lost_dose(intent, _of(row.shot_id, detail, words))
    return replace(
        row,
        beam=lost.beam,
        mas=None if lost.beam else 0.0,
        reason=LOST,
        bound_mas=lost.maximum_mas,
        bound_by=lost.by,
    )


def _end_restored(journal: Journal, row: Exposure) -> None:
    """The second witness knows no shot, and so nobody can report one."""
    journal.add_dose(
        shot_id=row.shot_id,
        at=datetime.fromisoformat(row.at),
        beam=row.kind != ShotKind.DARK,
        mas=None,
        reason=LOST,
        detail={"maximum_mas": row.maximum_mas},
    )


def _report(intent: Intent, lost: LostDose) -> ExposureReport:
    """As the unit would have made it: an image can still be made of it."""
    return ExposureReport(
        shot=intent.shot,
        reason=EndReason.FAULT,
        fault=FAULT,
        beam=lost.beam,
        mas=None if lost.beam else 0.0,
        maximum_mas=lost.maximum_mas,
        start_us=lost.word.accepted_us if lost.word else None,
    )


def intent_of(detail: Mapping[str, object], *, at_us: int) -> Intent | None:
    """From the journal's detail; None: the second witness has brought it back, without its shot."""
    content = {name: value for name, value in detail.items() if name not in _NOT_INTENT}
    try:
        return intent_from_dict(content | {"at_us": at_us})
    except ValueError:
        return None


def report_of(detail: Mapping[str, object], intent: Intent, row: Exposure) -> ExposureReport:
    """From the journal's detail of a dose.

    Versions before this one ended a lost exposure without a whole report: the row has the rest.
    """
    try:
        return report_from_dict(reported(detail))
    except ValueError:
        return ExposureReport(
            shot=intent.shot,
            reason=EndReason.FAULT,
            fault=FAULT,
            beam=bool(row.beam),
            mas=row.mas,
            maximum_mas=row.at_most_mas,
        )


def reported(detail: Mapping[str, object]) -> dict[str, object]:
    """The report alone, of the journal's detail of a dose."""
    return {name: value for name, value in detail.items() if name not in (*KEYS, "observed")}


def _of(shot_id: str, detail: Mapping[str, object], words: Sequence[Word]) -> Word | None:
    """The word of this very exposure: its event's UID is made of run and shot, and used once."""
    uids = detail.get("uids")
    event = str(uids.get("irradiation_event")) if isinstance(uids, Mapping) else ""
    found = [
        word for word in words if word.shot_id == shot_id and _is_event(event, word.run, shot_id)
    ]
    return found[0] if len(found) == 1 else None


def _is_event(uid: str, run: UUID, shot_id: str) -> bool:
    """Whatever the site's root was then."""
    return uid.rpartition(".")[2] == str(uuid5(run, event_name(shot_id)).int)
