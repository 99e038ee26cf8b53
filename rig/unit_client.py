"""The running unit of a bench: where it is, and one question to it.

`stop` and `status` must answer at once: nothing here loads pydantic or numpy.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from hal.bus import BusClient
from hal.ports import LinkError
from rig.bench_names import bench_path, shown_path
from rig.exit_codes import ConfigError, DeviceError
from rig.settings import settings
from rig.state_dir import state_home, write_private

ASK_S = 1.0
BENCH_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")  # as rig.bench: it names a folder


def unit_file(state: Path) -> Path:
    return state / "unit.json"


def publish(state: Path, facts: dict[str, Any]) -> None:
    """`facts`: `pid` of the unit and `bus`, its endpoint, at least."""
    write_private(unit_file(state), json.dumps(facts) + "\n")


def withdraw(state: Path, pid: int) -> None:
    """Only the announcement of this unit: a successor may have made its own."""
    found = read_unit(state)
    if found is not None and found["pid"] == pid:
        unit_file(state).unlink(missing_ok=True)


def read_unit(state: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(unit_file(state).read_text(encoding="utf-8"))
        facts["pid"], facts["bus"] = int(facts["pid"]), str(facts["bus"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts


def bench_name(config_file: str | None, flag: str | None) -> str:
    """Of flag, environment or settings. A file is read for its name only, mistakes or not."""
    path = bench_path(settings(config_file=config_file, bench=flag).bench.value)
    try:
        name = tomllib.loads(path.read_text(encoding="utf-8"))["bench"]["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError([f"{shown_path(path)}: no bench name can be read ({error})"]) from error
    if not isinstance(name, str) or not BENCH_NAME.fullmatch(name):
        raise ConfigError([f"{shown_path(path)}: bench.name: {name!r} is no bench name"])
    return name


class RunningUnit:
    """A client of the unit that runs on a bench. DeviceError when there is none."""

    def __init__(self, bench: str) -> None:
        self.bench = bench
        facts = read_unit(state_home() / bench)
        if facts is None or not _lives(facts["pid"]):
            raise DeviceError(f"no unit of bench {bench} runs; `dxrig expose` starts one")
        self.pid: int = facts["pid"]
        self._bus = BusClient(facts["bus"])

    def ask(self, kind: str) -> dict[str, Any]:
        try:
            answer = self._bus.ask({"schema": 1, "kind": kind}, timeout_s=ASK_S)
        except LinkError:
            raise DeviceError(
                f"the unit of bench {self.bench} (process {self.pid}) does not answer; "
                "release the handswitch or press the emergency stop: they need no program"
            ) from None
        if "error" in answer:
            raise DeviceError(str(answer["error"]))
        return {key: value for key, value in answer.items() if key not in ("schema", "kind")}

    def close(self) -> None:
        self._bus.close()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except (OSError, IndexError):  # somebody else's, or no /proc
        return True
    return state != "Z"
