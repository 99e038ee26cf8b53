"""What each driver says of itself: from which document it is, and who has ever checked it.

Read from the source text, so that a list of drivers imports none of them. The words are the
driver's own constants: SOURCE, VERIFIED, DRIVES_BEAM, and for a codec CODEC_ONLY, its reason.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from rig.bench_names import DRIVER_FOLDERS, ROOT, drivers

_WORDS = ("SOURCE", "VERIFIED", "DRIVES_BEAM", "CODEC_ONLY", "LINE")
NOT_STATED = "not stated in its file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """`drives_beam`: None where that is no question, as for a panel."""

    section: str  # of the bench file: generator | room | panel
    name: str
    source: str
    verified: str
    drives_beam: bool | None
    codec_only: str = ""
    line: str = ""

    @property
    def use(self) -> str:
        if self.section != "generator":
            return {"room": "contacts and relays", "panel": "frames"}[self.section]
        return "drives a beam" if self.drives_beam else "codec only, refuses `expose`"


def devices() -> list[Device]:
    return [_device(section, name) for section in DRIVER_FOLDERS for name in drivers(section)]


def _device(section: str, name: str) -> Device:
    path = ROOT / "hal" / DRIVER_FOLDERS[section] / f"{name}.py"
    said = _constants(path.read_text(encoding="utf-8"))
    return Device(
        section=section,
        name=name,
        source=str(said.get("SOURCE", NOT_STATED)),
        verified=str(said.get("VERIFIED", f"unverified: {NOT_STATED}")),
        drives_beam=bool(said.get("DRIVES_BEAM")) if section == "generator" else None,
        codec_only=str(said.get("CODEC_ONLY", "")),
        line=str(said.get("LINE", "")),
    )


def _constants(text: str) -> dict[str, Any]:
    """Those of `_WORDS` that the module sets to a plain value at its top level."""
    found = {}
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(target, ast.Name) and target.id in _WORDS:
            found[target.id] = ast.literal_eval(node.value)
    return found
