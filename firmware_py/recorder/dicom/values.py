"""How values become DICOM text.

Numbers on DS attributes are handed to pydicom as strings: a Python 0 would be written
as "0.0", and 1/3 in 18 characters where 16 are legal (dicom.md 2.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from firmware_py.recorder.dicom.codes import Code

Fields = dict[str, object]  # keyword -> value; None = leave out; list of Fields = sequence


def decimal(value: float | None) -> str | None:
    """A DS: ten significant digits, at most 16 characters."""
    return None if value is None else f"{value:.10g}"


def pair(rows: float, columns: float) -> list[str]:
    return [f"{rows:.10g}", f"{columns:.10g}"]


def twins(value: float | None, coarse: str, fine: str) -> Fields:
    """One value as a whole number (mA, ms, mAs) and as its exact twin in micro-units.

    The whole number must be the rounded twin; a zero is left out (dicom.md 2.3).
    """
    if value is None:
        return {}
    micro = round(value * 1000)
    found: Fields = {fine: str(micro) if micro else None, coarse: str(round(micro / 1000))}
    return {key: text for key, text in found.items() if text not in (None, "0")}


def day(at: datetime) -> str:
    return at.strftime("%Y%m%d")


def time(at: datetime) -> str:
    return at.strftime("%H%M%S.%f")


def coded(code: Code) -> list[Fields]:
    """A sequence of one code."""
    return [
        {
            "CodeValue": code.value,
            "CodingSchemeDesignator": code.scheme,
            "CodeMeaning": code.meaning,
        }
    ]


def merged(modules: Sequence[Mapping[str, object]]) -> Fields:
    """All modules as one; two that disagree about an attribute are a bug."""
    found: Fields = {}
    for module in modules:
        for keyword, value in module.items():
            if found.setdefault(keyword, value) != value:
                raise ValueError(f"two modules disagree about {keyword}")
    return {keyword: value for keyword, value in found.items() if value is not None}
