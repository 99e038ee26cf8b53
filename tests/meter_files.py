"""Meters' files and exposures written by hand, for tests; XLSX books of bare XML."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firmware_py.recorder.store.journal import Journal
from rig.instruments.meter_rows import MeterRow
from rig.instruments.pairing import Pair
from rig.instruments.shots import ShotSeen

START = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKED = "http://schemas.openxmlformats.org/package/2006/relationships"

MAP = """
about = "a test's own"
[[column]]
header = "kVp"
quantity = "kv"
unit = "kV"
[[column]]
header = "Dose"
quantity = "dose_ugy"
unit = "mGy"
[when]
headers = ["At"]
"""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def shots_at(*seconds: float) -> list[ShotSeen]:
    return [
        ShotSeen(number=n, shot_id=f"x{n}", start=at(s), commanded={}, indicated={})
        for n, s in enumerate(seconds, start=1)
    ]


def rows_at(*seconds: float) -> list[MeterRow]:
    """Rows 2, 3, ...: a header is row 1."""
    return [MeterRow(number=n, start=at(s)) for n, s in enumerate(seconds, start=2)]


def paired(
    number: int, values: dict[str, float], *, kv: float = 80.0, ma: float = 1.0, mas: float = 10.0,
    ms: float | None = None, seconds: float = 0.0,
) -> Pair:  # fmt: skip
    """An exposure whose unit indicated what it was asked for."""
    shot = ShotSeen(
        number=number,
        shot_id=f"x{number}",
        start=at(seconds),
        commanded={"kv": kv, "ma": ma, "mas": mas, "ms": ms},
        indicated={"kv": kv, "ma": ma, "mas": mas, "time_ms": ms},
    )
    return Pair(row=MeterRow(number=number, values=values), shot=shot, residual_s=0.0, why="time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One exposure of a journal; `seconds` after START the beam began."""

    seconds: float
    kv: float
    ma: float
    ms: float
    indicated: dict[str, Any]


def write_journal(state: Path, made: Sequence[Made]) -> None:
    state.mkdir(parents=True)
    with closing(Journal(state / "journal.db", durable=False)) as journal:
        for number, one in enumerate(made, start=1):
            technique = {"kv": one.kv, "ma": one.ma, "mas": None, "ms": one.ms}
            planned_mas = one.ma * one.ms / 1000.0
            journal.add_intent(
                shot_id=f"x{number}", at=at(one.seconds - 3), exam_id="TEST",
                planned_mas=planned_mas, maximum_mas=5.0,
                detail={"shot": {"kind": "no receptor", "technique": technique}},
            )  # fmt: skip
            lasted_us = round(one.ms * 1000)
            journal.add_dose(
                shot_id=f"x{number}", at=at(one.seconds + one.ms / 1000.0), beam=True,
                mas=one.indicated["mas"], reason="planned end",
                detail={**one.indicated, "start_us": 1_000_000, "end_us": 1_000_000 + lasted_us},
            )  # fmt: skip


def write_book(path: Path, sheet: str, *, strings: Sequence[str] = (), styles: str = "") -> Path:
    """A book with one sheet "Data"; `sheet`: the XML inside sheetData."""
    shared = "".join(f"<si><t>{text}</t></si>" for text in strings)
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{_REL}"><sheets>'
        '<sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKED}">'
        '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{shared}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData>'
        "</worksheet>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, text)
    return path
