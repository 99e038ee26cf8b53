"""Contacts and outputs as the running unit has them: its status, and the levels of its trace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rig.service.pins import OUTPUTS
from rig.service.runs import traces

_IN_TRACE = {"prep": "prep_line", "expose": "expose_line"}


class Commanded:
    """The outputs as the unit drives them, by the newest `out` line that names each.

    A trace may be weeks long: it is read once, then what was added.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._read_bytes: dict[Path, int] = {}
        self._found = dict.fromkeys(OUTPUTS, False)

    def now(self) -> dict[str, bool]:
        for trace in traces(self._run):
            for line in self._added(trace):
                if line.get("kind") == "out":
                    self._take(line)
        return dict(self._found)

    def _added(self, trace: Path) -> Iterator[dict[str, Any]]:
        with trace.open("rb") as file:
            file.seek(self._read_bytes.get(trace, 0))
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes[trace] = self._read_bytes.get(trace, 0) + len(whole)
        yield from (json.loads(line) for line in whole.splitlines())

    def _take(self, line: Mapping[str, Any]) -> None:
        for name in OUTPUTS:
            self._found[name] = bool(line.get(_IN_TRACE.get(name, name), self._found[name]))


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
