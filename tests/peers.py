"""Programs of other people that judge us: mbpoll, dciodvfy, dcmtk, socat.

A machine that lacks one skips the test where everybody sees it (conftest.py counts
them at the end of the run). With DXRIG_REQUIRE_PEERS=1, as in CI, the test fails.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.project import ROOT

PACKAGES = {  # Debian's
    "dciodvfy": "dicom3tools",
    "dcmconv": "dcmtk",
    "dcmdump": "dcmtk",
    "dcmj2pnm": "dcmtk",
    "dump2dcm": "dcmtk",
    "echoscu": "dcmtk",
    "findscu": "dcmtk",
    "fusermount3": "fuse3",
    "mbpoll": "mbpoll",
    "socat": "socat",
    "storescp": "dcmtk",
    "storescu": "dcmtk",
}
MISSING = "peer missing: "  # how conftest.py knows these skips from others


def require_peer(name: str) -> str:
    """The path of the program `name`; skips the calling test, or fails it, without one."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{MISSING}{name} (apt install {PACKAGES.get(name, name)})"
    if os.environ.get("DXRIG_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_fuse() -> None:
    """A disk that can be mounted. Its programs can be installed; the right to mount can't, so
    where that lacks the test is skipped in CI, too, and counted."""
    require_peer("fusermount3")
    require_library("mfusepy")
    from rig.durability.mount import why_not

    reason = why_not()
    if reason is not None:
        pytest.skip(f"{MISSING}power cuts ({reason})")


BESIDE = ROOT / "build" / "peers"  # what tests/peers.lock brings, apart from the environment


def require_beside(name: str) -> Path:
    """The folder to import `name` from, in a process of its own; skips or fails without it."""
    if (BESIDE / name).is_dir():
        return BESIDE
    pip = "pip install --no-deps --require-hashes -t build/peers -r tests/peers.lock"
    reason = f"{MISSING}{name} ({pip})"
    if os.environ.get("DXRIG_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_spekpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importable for the rest of the calling test; skips or fails it without."""
    if importlib.util.find_spec("spekpy") is None:
        monkeypatch.setattr(sys, "path", [*sys.path, str(require_beside("spekpy"))])


def require_library(name: str) -> ModuleType:
    """An optional package; skips the calling test, or fails it where peers are required."""
    try:
        return importlib.import_module(name)
    except ImportError:
        reason = f"{MISSING}{name} (pip install {name})"
    if os.environ.get("DXRIG_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
