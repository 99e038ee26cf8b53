"""The unit as a process: `python -m firmware_py SETUP.json`.

SETUP.json: `unit` (firmware_py.config.UnitConfig), `bus` and `recorder` (ipc endpoints),
`folder`, `record`, `trace` and `log` (file names in it), `header` (facts for the record).
Ends with 0 when asked to, 3 when a port can't be opened or the unit stopped on a bug.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from firmware_py.assemble import LINKS, Links, build_unit
from firmware_py.config import UnitConfig
from firmware_py.record import Recording
from firmware_py.recorder.ports import BusRecorder
from firmware_py.runner import Runner
from hal.bus import BusClient, BusServer
from hal.clock import WallClock
from hal.frames import DealerLink
from hal.links import SerialLink, TcpLink
from hal.ports import ByteLink, LinkError

REAL_TIME_PRIORITY = 20


def open_byte_link(url: str, baud: int) -> ByteLink:
    """tcp://HOST:PORT, else whatever pyserial opens. Raises LinkError with one sentence."""
    if not url.startswith("tcp://"):
        return SerialLink(url, baud=baud)
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return TcpLink(host, int(port))


def open_links(config: UnitConfig) -> Links:
    return Links(
        generator=open_byte_link(config.generator.url, config.generator.baud),
        room=open_byte_link(config.room.url, 9600),
        panel=DealerLink(config.panel.control_url),
    )


def real_time() -> bool:
    """SCHED_FIFO is what survives a busy machine; True when it was granted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REAL_TIME_PRIORITY))
    except (OSError, AttributeError):
        return False
    return True


def run(setup: dict[str, Any]) -> int:
    config = UnitConfig.model_validate(setup["unit"])
    folder = Path(setup["folder"])
    links = open_links(config)
    header = {"links": list(LINKS), "unit": setup["unit"], "real_time": real_time()}
    with (
        (folder / setup["record"]).open("wb", buffering=0) as record,
        (folder / setup["trace"]).open("w", encoding="utf-8", newline="\n") as trace,
    ):
        recording = Recording(record, header | setup["header"])
        recorder = BusRecorder(BusClient(setup["recorder"]))
        unit = build_unit(config, links, recorder, recording)
        bus = BusServer(setup["bus"])
        scan_us = config.limits.scan_ms * 1000
        runner = Runner(unit, WallClock(), bus, trace, scan_us=scan_us)
        try:
            return runner.run(folder / setup["log"])
        finally:
            bus.close()


def main() -> int:
    setup = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        return run(setup)
    except LinkError as error:
        (Path(setup["folder"]) / setup["log"]).write_text(f"{error}\n", encoding="utf-8")
        return 3


if __name__ == "__main__":
    sys.exit(main())
