"""What keeps dxrig from working on this computer, each finding with its cure.

Nothing here energises, writes to or configures a device.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

from rig.bench_names import ROOT
from rig.exit_codes import DxrigError
from rig.state_dir import private_folder
from rig.version import version_line

PYTHON_MIN = (3, 11)
RESERVE_BYTES = 1 << 30  # SR-11: 1 GiB ...
RESERVE_IMAGES = 3  # ... and three images
SQLITE_FIXED = (3, 51, 3)  # "WAL-reset" bug; security-and-durability.md, storage
PACKAGES = ("click", "pydantic", "pyserial", "pymodbus", "pyzmq", "numpy", "pydicom", "transitions")


class Verdict(Enum):
    OK = "ok"
    NOTE = "note"  # works, but worth knowing
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    name: str
    verdict: Verdict
    found: str
    cure: str = ""


def computer(state: Path, image_bytes: int = 0) -> list[Finding]:
    """Findings that need no bench; `state` is the folder that must take what is recorded."""
    return [
        Finding(name="dxrig", verdict=Verdict.OK, found=version_line()),
        python_version(sys.version_info[:3]),
        *packages(),
        own_packages(),
        state_folder(state, image_bytes),
        sqlite_version(sqlite3.sqlite_version_info),
        real_time(),
        Finding(
            name="garbage collection",
            verdict=Verdict.OK,
            found="frozen by the unit after start-up, off from PREP to READOUT",
        ),
    ]


def python_version(found: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, found))
    if found >= PYTHON_MIN:
        return Finding(name="Python", verdict=Verdict.OK, found=text)
    least = ".".join(map(str, PYTHON_MIN))
    return Finding(
        name="Python", verdict=Verdict.WRONG, found=text, cure=f"install Python {least} or newer"
    )


def packages() -> list[Finding]:
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    found = [Finding(name="packages", verdict=Verdict.OK, found=", ".join(versions))]
    if missing:
        cure = "run `python3 tools/dev.py setup`"
        text = ", ".join(missing)
        found.append(Finding(name="packages missing", verdict=Verdict.WRONG, found=text, cure=cure))
    return found


def own_packages(root: Path = ROOT) -> Finding:
    """`hal`, `sim` and `rig` are other people's names on the package index, too."""
    strangers = []
    for name in ("firmware_py", "hal", "sim", "rig"):
        spec = importlib.util.find_spec(name)
        where = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if where != root:
            strangers.append(f"{name} from {where or 'nowhere'}")
    if not strangers:
        return Finding(name="own packages", verdict=Verdict.OK, found=f"all from {root}")
    return Finding(
        name="own packages",
        verdict=Verdict.WRONG,
        found=", ".join(strangers),
        cure="use a virtual environment of its own: `python3 tools/dev.py setup`",
    )


def state_folder(state: Path, image_bytes: int = 0) -> Finding:
    name = "state folder"
    try:
        private_folder(state)
        with tempfile.TemporaryFile(dir=state):
            pass
    except (OSError, DxrigError) as error:
        cure = "set XDG_STATE_HOME to a folder of yours"
        return Finding(name=name, verdict=Verdict.WRONG, found=str(error), cure=cure)
    free_bytes = shutil.disk_usage(state).free
    needed_bytes = RESERVE_BYTES + RESERVE_IMAGES * image_bytes
    text = f"{state}, {free_bytes / 1e9:.1f} GB free"
    if free_bytes >= needed_bytes:
        return Finding(name=name, verdict=Verdict.OK, found=text)
    cure = f"free space: {needed_bytes / 1e9:.1f} GB are kept in reserve (SR-11)"
    return Finding(name=name, verdict=Verdict.WRONG, found=text, cure=cure)


def sqlite_version(found: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, found))
    if found >= SQLITE_FIXED and found[:2] != (3, 52):
        return Finding(name="SQLite", verdict=Verdict.OK, found=text)
    return Finding(
        name="SQLite",
        verdict=Verdict.NOTE,
        found=f"{text}: older than the fix of the WAL-reset bug (3.51.3)",
        cure="nothing to do: the bug needs two writers, and dxrig lets one process alone write",
    )


def real_time() -> Finding:
    """Normal scheduling works; SCHED_FIFO is what survives a busy computer (performance.md)."""
    name = "real-time scheduling"
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0] if hasattr(os, "SCHED_FIFO") else 0
    if limit != 0 or _has_sys_nice():
        return Finding(name=name, verdict=Verdict.OK, found="SCHED_FIFO permitted")
    return Finding(
        name=name,
        verdict=Verdict.NOTE,
        found="SCHED_FIFO not permitted: on a busy computer scans come later",
        cure="add `YOU - rtprio 50` to /etc/security/limits.d/dxrig.conf, then log in again",
    )


def _has_sys_nice() -> bool:
    """CAP_SYS_NICE is bit 23 of the effective capabilities (capabilities(7))."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return False
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    return bool(int(line.split()[1], 16) >> 23 & 1)
