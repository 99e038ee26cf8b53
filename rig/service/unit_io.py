"""Contacts and outputs as the running unit has them: its status, and the levels of its trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rig.service.pins import OUTPUTS

_IN_TRACE = {"prep": "prep_line", "expose": "expose_line"}


def commanded(lines: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """The outputs as the unit drives them, by the newest `out` line that names each."""
    found = dict.fromkeys(OUTPUTS, False)
    for line in lines:
        if line["kind"] == "out":
            for name in OUTPUTS:
                found[name] = bool(line.get(_IN_TRACE.get(name, name), found[name]))
    return found


def running_unit(bench: str) -> tuple[dict[str, Any], Path] | None:
    """(status, run folder) of the unit that runs on a bench now; None: none does."""
    from rig.exit_codes import DeviceError
    from rig.state_dir import state_home
    from rig.unit_client import RunningUnit, read_unit

    facts = read_unit(state_home() / bench)
    if facts is None or "folder" not in facts:
        return None
    try:
        unit = RunningUnit(bench)
    except DeviceError:
        return None
    try:
        status = unit.ask("status")
    finally:
        unit.close()
    return status, Path(str(facts["folder"]))
