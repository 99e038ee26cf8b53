"""How a command finds a running simulated bench: a file in the bench's state folder."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from rig.exit_codes import DeviceError, UsageError
from rig.state_dir import bench_state, write_private


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
    try:
        facts: dict[str, Any] = json.loads(path_of(bench_name).read_text(encoding="utf-8"))
        os.kill(int(facts["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts


def found(bench_name: str, at: Path | None) -> dict[str, Any]:
    """The simulator of this bench, or that of a file that `dxrig sim up --json` printed."""
    if at is None:
        facts = running(bench_name)
        if facts is None:
            raise DeviceError(
                f"no simulator of bench {bench_name} runs; start one: "
                f"dxrig sim up --bench {bench_name}"
            )
        return facts
    try:
        read: dict[str, Any] = json.loads(at.read_text(encoding="utf-8"))
        str(read["control"]), str(read["generator"]["url"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{at}: no announcement of `dxrig sim up --json` ({error})") from error
    return read
