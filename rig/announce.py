"""How a command finds a running simulated bench: a file in the bench's state folder."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hal.bus import BusClient
from hal.ports import LinkError
from rig.exit_codes import DeviceError, UsageError
from rig.state_dir import bench_state, state_home, write_private


def path_of(bench_name: str) -> Path:
    return bench_state(bench_name) / "sim.json"


def announce(bench_name: str, facts: dict[str, Any]) -> None:
    write_private(path_of(bench_name), json.dumps({**facts, "pid": os.getpid()}) + "\n")


def withdraw(bench_name: str) -> None:
    """Only our own announcement: a successor may have made its own."""
    with suppress(OSError, ValueError, KeyError):
        path = path_of(bench_name)
        if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():
            path.unlink()


def running(bench_name: str) -> dict[str, Any] | None:
    """The announcement of a simulator that lives; None if there is none."""
    return _living(path_of(bench_name))


def _living(announcement: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(announcement.read_text(encoding="utf-8"))
        os.kill(int(facts["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts


def refuse_a_second(bench_name: str) -> None:
    """Commands find one simulator per bench and state folder. Raises DeviceError."""
    facts = running(bench_name)
    if facts is None or not _answers(str(facts.get("control", ""))):
        return
    raise DeviceError(
        f"a simulator of bench {bench_name} runs already (process {facts['pid']}); end that "
        "first, or give the second a state folder of its own: XDG_STATE_HOME=FOLDER dxrig sim up"
    )


def _answers(endpoint: str) -> bool:
    """Else its pid went to somebody else."""
    client = None
    try:
        client = BusClient(endpoint)
        client.ask({"schema": 1, "kind": "announcement"})
    except LinkError:
        return False
    finally:
        if client is not None:
            client.close()
    return True


def found(bench_name: str, at: Path | None) -> dict[str, Any]:
    """The simulator of this bench, or that of a file that `dxrig sim up --json` printed."""
    if at is None:
        facts = running(bench_name)
        if facts is None:
            raise DeviceError(_none(bench_name))
        return facts
    try:
        read: dict[str, Any] = json.loads(at.read_text(encoding="utf-8"))
        str(read["control"]), str(read["generator"]["url"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{at}: no announcement of `dxrig sim up --json` ({error})") from error
    return read


def _none(bench_name: str) -> str:
    files = sorted(state_home().glob("*/sim.json"))  # none of these folders may be ours
    others = [file.parent.name for file in files if _living(file)]
    there = f" (there is --bench {' or '.join(others)})" if others else ""
    start = f"start one: dxrig sim up --bench {bench_name}"
    return f"no simulator of bench {bench_name} runs{there}; {start}"
