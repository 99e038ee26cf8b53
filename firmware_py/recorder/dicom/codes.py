"""What may be imaged: body part and view from one checked row, so they can't disagree.

Codes are those of dicom.md 2.4 (CID 4009 DX Anatomy, CID 4010 DX View), each tried with
dciodvfy there. Terms that it warns about (PHANTOM among them) have no BodyPartExamined:
the sequence is authoritative.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Region:
    code: Code
    body_part: str | None  # BodyPartExamined
    paired: bool = False


@dataclass(frozen=True, slots=True)
class View:
    code: Code
    position: str | None  # ViewPosition
    rows: str  # PatientOrientation, first value: direction of the rows
    columns: str


@dataclass(frozen=True, slots=True)
class Projection:
    name: str
    region: Region
    view: View | None  # a phantom has none

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")


_AP = View(Code("399348003", "SCT", "antero-posterior"), "AP", "L", "F")
_PA = View(Code("272479007", "SCT", "postero-anterior"), "PA", "L", "F")  # shown like AP
_LL = View(Code("399173006", "SCT", "left lateral"), "LL", "P", "F")
_RL = View(Code("399198007", "SCT", "right lateral"), "RL", "A", "F")

_CHEST = Region(Code("816094009", "SCT", "Chest"), "CHEST")
_ABDOMEN = Region(Code("818981001", "SCT", "Abdomen"), "ABDOMEN")
_PELVIS = Region(Code("816092008", "SCT", "Pelvis"), "PELVIS")
_HAND = Region(Code("85562004", "SCT", "Hand"), "HAND", paired=True)
_KNEE = Region(Code("72696002", "SCT", "Knee"), "KNEE", paired=True)
_ANKLE = Region(Code("70258002", "SCT", "Ankle joint"), "ANKLE", paired=True)
_PHANTOM = Region(Code("706342009", "SCT", "Phantom"), None)

PROJECTIONS = {
    row.name: row
    for row in (
        Projection("PHANTOM", _PHANTOM, None),
        Projection("CHEST_AP", _CHEST, _AP),
        Projection("CHEST_PA", _CHEST, _PA),
        Projection("CHEST_LL", _CHEST, _LL),
        Projection("CHEST_RL", _CHEST, _RL),
        Projection("ABDOMEN_AP", _ABDOMEN, _AP),
        Projection("PELVIS_AP", _PELVIS, _AP),
        Projection("HAND_PA", _HAND, _PA),
        Projection("KNEE_AP", _KNEE, _AP),
        Projection("ANKLE_AP", _ANKLE, _AP),
    )
}

# Purpose of reference of the source image, dicom.md 2.2.
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")


def projection(name: str) -> Projection:
    """The row of that name. Raises ValueError with the nearest one."""
    if name in PROJECTIONS:
        return PROJECTIONS[name]
    near = difflib.get_close_matches(name.upper(), PROJECTIONS, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"no projection {name!r}{hint} Known: {', '.join(PROJECTIONS)}")
