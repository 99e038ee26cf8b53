"""What each driver says of itself: from which document it is, and who has ever checked it.

Read from the source text, so that a list of drivers imports none of them. The words are the
driver's own constants: SOURCE, VERIFIED, DRIVES_BEAM, and why not: CODEC_ONLY or OBSERVE_ONLY.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.bench_names import DRIVER_FOLDERS, ROOT, drivers

_WORDS = ("SOURCE", "VERIFIED", "DRIVES_BEAM", "CODEC_ONLY", "OBSERVE_ONLY", "LINE")


_USES = {
    "room": "contacts and relays",
    "panel": "frames",
    "collimator": "tells field and distance",
    "dap": "measures the dose-area product of each exposure",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """`drives_beam`: None where that is no question, as for a panel."""

    section: str  # of the bench file: generator | room | panel | ...
    name: str
    source: str
    verified: str
    drives_beam: bool | None
    codec_only: str = ""
    observe_only: str = ""
    line: str = ""

    @property
    def use(self) -> str:
        if self.section != "generator":
            return _USES[self.section]
        if self.observe_only:
            return "observe only, is never commanded"
        return "drives a beam" if self.drives_beam else "codec only, refuses `expose`"


def devices() -> list[Device]:
    """By section; what drives a beam comes before what is a codec only."""
    found = [_device(section, name) for section in DRIVER_FOLDERS for name in drivers(section)]
    order = [*DRIVER_FOLDERS]
    return sorted(found, key=lambda one: (order.index(one.section), one.drives_beam is False))


def _device(section: str, name: str) -> Device:
    said = _constants(ROOT / "hal" / DRIVER_FOLDERS[section], name)
    return Device(
        section=section,
        name=name,
        source=str(said.get("SOURCE", "not stated in its file")),
        verified=str(said.get("VERIFIED", "unverified: nothing is stated in its file")),
        drives_beam=bool(said.get("DRIVES_BEAM")) if section == "generator" else None,
        codec_only=str(said.get("CODEC_ONLY", "")),
        observe_only=str(said.get("OBSERVE_ONLY", "")),
        line=str(said.get("LINE", "")),
    )


def _constants(folder: Path, name: str) -> dict[str, Any]:
    """Those of `_WORDS` that a module sets at its top level, or takes from a file beside it."""
    found: dict[str, Any] = {}
    for node in ast.parse((folder / f"{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            taken = [alias.name for alias in node.names if alias.name in _WORDS]
            beside = _constants(folder, node.module.rpartition(".")[2]) if taken else {}
            found |= {word: beside[word] for word in taken}
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(target, ast.Name) and target.id in _WORDS:
            value = node.value
            if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
                found[target.id] = _constants(folder, value.value.id)[value.attr]
            else:
                found[target.id] = ast.literal_eval(value)
    return found
