"""Which dxrig is this: the installed version, and the commit where it runs from a checkout."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version() -> str:
    try:
        return metadata.version("dxrig")
    except metadata.PackageNotFoundError:
        return "0+uninstalled"


def commit() -> str | None:
    """Short commit, with -dirty where the tree differs from it; None outside a checkout."""
    if not (ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def version_line() -> str:
    found = commit()
    built = f"commit {found}, " if found else ""
    return f"dxrig {version()} ({built}Python {sys.version.split()[0]})"
