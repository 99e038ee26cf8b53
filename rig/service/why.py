"""From a run's trace, or a unit that runs, to the one cause that is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rig.exit_codes import CheckFailed
from rig.service.attempts import attempts
from rig.service.cause import Cause, Place, cause_of, refused_now, way_out
from rig.service.layers import PERSON
from rig.service.runs import lines_of
from rig.unit_states import LATCHED

NOBODY = "Nobody has pressed the handswitch: nothing was refused and no beam was made."


def why_of_run(run: Path, place: Place, shot: str = "") -> Cause:
    """Raises CheckFailed when the run's record is needed and can't be replayed."""
    lines = lines_of(run)
    found = attempts(lines)
    if shot:
        found = [one for one in found if one.shot_id == shot]
    if found:
        return cause_of(found[-1], place)
    codes = _inhibits_at_end(run)
    return refused_now(codes, place, over=True) if codes else _nobody()


def _nobody() -> Cause:
    return Cause(
        layer=PERSON, verdict="nothing", sentence=NOBODY, next="Press, and hold both stages."
    )


def _inhibits_at_end(run: Path) -> list[str]:
    """The trace tells what was refused, not what would have been: the record runs again."""
    from firmware_py.record import RecordError
    from rig.replay import status_at_end
    from rig.run_folder import lives

    if not lives(run):
        return []
    record, _ = lives(run)[-1]
    try:
        status = status_at_end(record)
    except (RecordError, OSError) as error:
        raise CheckFailed(str(error)) from error
    return [one["code"] for one in status.get("inhibits", [])]


def why_of_unit(status: dict[str, Any], run: Path, place: Place) -> Cause:
    """`status`: the running unit's own; `run`: its folder."""
    inhibits = [one["code"] for one in status["inhibits"]]
    found = attempts(lines_of(run))
    if status["state"] in LATCHED and found:
        cause = cause_of(found[-1], place)
        waits = [one["code"] for one in status["reset_waits_for"]]
        return replace(cause, next=f"{cause.next} {way_out(waits)}")
    if inhibits:
        return refused_now(inhibits, place)
    return cause_of(found[-1], place) if found and found[-1].why != "trace_ends" else _nobody()
