"""`dxrig calibrate list`: the versions of a panel's calibration set, for people and programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from firmware_py.recorder.image.maps import PARTS
from firmware_py.recorder.image.set_history import Version
from firmware_py.recorder.image.sets import SetStore

HEADINGS = ("Version", "Date", "What changed", "Operator", "Valid until", "Verdict", "Current")


def set_rows(store: SetStore, at: datetime) -> list[list[str]]:
    """Newest first, a rollback as a row of its own. Raises PanelSetError."""
    current = store.current_number()
    return [_row(version, current, at) for version in reversed(store.history())]


def set_json(store: SetStore, at: datetime) -> dict[str, Any]:
    """The same, oldest first, and what is wrong among the files. Raises PanelSetError."""
    return {
        "current": store.current_number(),
        "versions": [_content(version, at) for version in store.history()],
        "problems": store.problems(),
    }


def _row(version: Version, current: int | None, at: datetime) -> list[str]:
    rolled_back = version.kind == "rollback"
    changed = f"back from {version.from_version}: {version.why}" if rolled_back else version.changed
    return [
        str(version.number),
        f"{version.at:%Y-%m-%d %H:%M}",
        changed,
        version.operator,
        "" if rolled_back else _valid_until(version, at),
        "removed to save space" if version.pruned else version.verdict,
        "current" if version.number == current and not rolled_back else "",
    ]


def _valid_until(version: Version, at: datetime) -> str:
    """As in "offset 2026-12-01 (expired), gain 2027-05-21"."""
    return ", ".join(
        f"{name} {version.parts[name].valid_until:%Y-%m-%d}"
        + (" (expired)" if at > version.parts[name].valid_until else "")
        for name in PARTS
        if name in version.parts
    )


def _content(version: Version, at: datetime) -> dict[str, Any]:
    return {
        "number": version.number,
        "kind": version.kind,
        "at": version.at.isoformat(),
        "operator": version.operator,
        "changed": version.changed,
        "from": version.from_version,
        "why": version.why,
        "verdict": version.verdict,
        "sha256": version.sha256,
        "pruned": version.pruned,
        "parts": {
            name: {
                "created": part.created.isoformat(),
                "valid_until": part.valid_until.isoformat(),
                "expired": at > part.valid_until,
            }
            for name, part in version.parts.items()
        },
    }
