"""The unit as a process: `python -m firmware_py SETUP.json`.

SETUP.json: `unit` (firmware_py.config.UnitConfig), `bus` and `recorder` (ipc endpoints),
`folder`, `record`, `trace` and `log` (file names in it), `header` (facts for the record),
`heat_j` (what earlier runs left in the tube), `warm` (it is warmed up), `aec_lock` (the fault that
locked AEC, or null), `state` (the bench's folder, by which the next run finds the last words of
this unit) and `run` (its UUID).
Ends with 0 when asked to, 3 when a port can't be opened or the unit stopped on a bug, 4 when
the disk was full before any beam; the last line of `log` is then for people.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from firmware_py.assemble import build_unit, link_names
from firmware_py.config import UnitConfig
from firmware_py.handover import START_S, scribe_of
from firmware_py.last_words import LastWords
from firmware_py.real_ports import open_links
from firmware_py.record import Recording
from firmware_py.recorder.ports import BusRecorder
from firmware_py.runner import DEVICE, FULL, REFUSED, Runner, write_log
from firmware_py.word_file import WordFile
from hal.bus import BusClient, BusServer
from hal.clock import UNIT_PRIORITY, WallClock, real_time
from hal.ports import LinkError


def run(setup: dict[str, Any]) -> int:
    """Raises LinkError, or OSError when the folder takes no files."""
    folder = Path(setup["folder"])
    with ExitStack() as opened:
        scribe = opened.enter_context(scribe_of(folder))  # it comes up while the ports open
        config = UnitConfig.model_validate(setup["unit"])
        links = open_links(config)
        heat_j, warm = float(setup["heat_j"]), bool(setup["warm"])
        aec_lock = setup.get("aec_lock")
        header = {
            "links": list(link_names(config)),
            "unit": setup["unit"],
            "real_time": real_time(UNIT_PRIORITY),
        }
        record, trace = scribe.open(setup["record"]), scribe.open(setup["trace"])
        left = {"heat_j": heat_j, "warm": warm, "aec_lock": aec_lock}
        recording = Recording(record, header | setup["header"] | left)
        scribe.settle(START_S)
        recorder = BusRecorder(BusClient(setup["recorder"]))
        words = _words(Path(setup["state"]), UUID(setup["run"]), opened)
        unit = build_unit(
            config,
            links,
            recorder,
            recording,
            heat_j=heat_j,
            warm=warm,
            aec_lock=aec_lock,
            words=words,
        )
        bus = BusServer(setup["bus"])
        opened.callback(bus.close)
        scan_us = config.limits.scan_ms * 1000
        runner = Runner(unit, WallClock(), bus, trace, scan_us=scan_us)
        return runner.run(folder / setup["log"])


def _words(state: Path, run: UUID, opened: ExitStack) -> Callable[[int], LastWords] | None:
    """None: nowhere to note them. What this unit comes to owe is bounded by its programme then."""
    try:
        file = WordFile(state)
    except (OSError, ValueError):
        return None
    opened.callback(file.close)
    return partial(file.speak, run)


def main() -> int:
    setup = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    log = Path(setup["folder"]) / setup["log"]
    try:
        return run(setup)
    except LinkError as error:
        write_log(log, str(error))
        return DEVICE
    except OSError as error:
        if error.errno not in FULL:
            raise
        write_log(log, f"{log.parent}: {(error.strerror or str(error)).lower()}; free space")
        return REFUSED


if __name__ == "__main__":
    # All is closed; on a full disk the interpreter's own farewell would make the code 120.
    os._exit(main())
