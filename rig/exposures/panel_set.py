"""The maps that an exposure's images were made with: the run's copy of them."""

from __future__ import annotations

import json
from pathlib import Path

from firmware_py.recorder.archive import RECORD, panel_set_path
from rig.exposures.stored import Stored
from rig.exposures.wrong import MISSING, NOT_AS_SAVED, wrong_file


def needed_set(one: Stored) -> tuple[Path, str] | None:
    """Where it must lie, and its sha256 over facts and arrays; None: it needs none, or a record
    that is not what was saved does not say."""
    sha256 = one.sha256.get(RECORD)
    if one.folder is None or sha256 is None or wrong_file(one.folder / RECORD, sha256):
        return None
    name = json.loads((one.folder / RECORD).read_bytes()).get("panel_set")
    return None if name is None else (panel_set_path(one.folder.parents[1], name), name)


def wrong_set(path: Path, sha256: str) -> str:
    """MISSING, NOT_AS_SAVED, or "" for a sound one."""
    from firmware_py.recorder.image import maps  # numpy: only where there are images

    try:
        return "" if maps.load(path).sha256 == sha256 else NOT_AS_SAVED
    except maps.PanelSetError:
        return NOT_AS_SAVED if path.exists() else MISSING
