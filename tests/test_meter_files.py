"""Meters' files: layouts that ship, CSV and XLSX, and everything that is no such file."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from rig.exit_codes import ConfigError, UsageError
from rig.instruments.column_map import COLUMN_MAPS, ColumnMap
from rig.instruments.meter_rows import MeterFile, read_meter
from tests.meter_files import MAP, write_book

RAYSAFE = """Model,X2 base
Serial number,213456
Calibration due,2027-01-31

Date,Time of day,kVp (kV),Dose (mGy),Time (ms),HVL (mm Al),Pulses
2026-03-01,09:00:01,70.4,0.512,100.2,2.61,1
2026-03-01,09:00:41,<40,0.0013,---,,1
"""
RTI = (
    "Instrument;Black Piranha\nS/N;CB2-1234\nCalibration due;31.01.2027\n"
    "Time stamp;Tube voltage;Exposure;Exposure time;HVL;Tube charge\n"
    "01.03.2026 09:00:01;70,4;1.234,5;0,1002;2,61;0,2\n"
)
RADCAL = (
    "Serial\t98-0123\nDate/Time\tkVp\tDose\tRate\tExposure Time\n\tkV\tmR\tmR/s\tms\n"
    "03/01/2026 09:00:01 AM\t70.4\t58.5\tOL\t100.2\n"
)


def written(folder: Path, content: str | bytes, name: str = "meter.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def own_map(folder: Path, text: str = MAP) -> ColumnMap:
    return COLUMN_MAPS.load(written(folder, text, "own.toml"))


def read(folder: Path, content: str | bytes, layout: ColumnMap | None = None) -> MeterFile:
    return read_meter(written(folder, content), layout or own_map(folder))


# --- layouts that ship


def test_the_maps_that_ship_are_sound_and_say_whose_they_are() -> None:
    assert COLUMN_MAPS.shipped() == ["multidos-live", "radcal-like", "raysafe-like", "rti-like"]
    for name in COLUMN_MAPS.shipped():
        layout = COLUMN_MAPS.load(name)
        assert layout.name == name
        if name.endswith("-like"):
            assert COLUMN_MAPS.path(name).read_text().startswith("# Synthetic. ")


def test_a_raysafe_like_file_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, RAYSAFE, COLUMN_MAPS.load("raysafe-like"))
    assert (found.instrument.model, found.instrument.serial) == ("X2 base", "213456")
    assert found.instrument.calibration_due == date(2027, 1, 31)
    first, second = found.rows
    assert (first.number, second.number) == (6, 7)
    assert first.values == {
        "kv": 70.4, "dose_ugy": 512.0, "time_ms": 100.2, "hvl_mm": 2.61, "pulses_count": 1.0,
    }  # fmt: skip
    assert first.start == datetime(2026, 3, 1, 9, 0, 0, 899_800, UTC)  # its stamp is the end
    assert second.values == {"dose_ugy": 1.3, "pulses_count": 1.0}
    assert second.notes == ("kV: below 40 kV",)


def test_an_rti_like_file_is_read_with_commas_and_seconds(tmp_path: Path) -> None:
    found = read(tmp_path, RTI, COLUMN_MAPS.load("rti-like"))
    assert found.rows[0].values == pytest.approx(
        {"kv": 70.4, "dose_ugy": 1_234_500.0, "time_ms": 100.2, "hvl_mm": 2.61, "mas": 0.2}
    )


def test_a_radcal_like_file_is_read_with_its_row_of_units_and_mr(tmp_path: Path) -> None:
    found = read(tmp_path, RADCAL, COLUMN_MAPS.load("radcal-like"))
    assert found.instrument.serial == "98-0123"
    assert found.rows[0].values == pytest.approx({"kv": 70.4, "dose_ugy": 512.46, "time_ms": 100.2})
    assert found.rows[0].notes == ("dose rate: overload",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_outvotes_the_map(tmp_path: Path, encoding: str) -> None:
    text = "At,kVp,Dose\n2026-03-01T09:00:00,70,0.5\n"
    assert read(tmp_path, text.encode(encoding)).rows[0].values["kv"] == 70.0


def test_a_zone_and_its_summer_time_are_the_maps(tmp_path: Path) -> None:
    layout = own_map(tmp_path, MAP + 'zone = "Europe/Berlin"\n')
    text = "At,kVp,Dose\n2026-07-01 09:00:00,70,0.5\n"
    assert read(tmp_path, text, layout).rows[0].start == datetime(2026, 7, 1, 7, tzinfo=UTC)


def test_a_scale_of_the_map_is_on_top_of_the_unit(tmp_path: Path) -> None:
    layout = own_map(tmp_path, MAP.replace('unit = "mGy"', 'unit = "mGy"\nscale = 1.02'))
    text = "At,kVp,Dose\n2026-03-01 09:00:00,70,0.5\n"
    assert read(tmp_path, text, layout).rows[0].values["dose_ugy"] == pytest.approx(510.0)


def test_rows_out_of_order_are_sorted_and_told(tmp_path: Path) -> None:
    head = "At,kVp,Dose\n"
    one, two, three = (f"2026-03-01 09:0{n}:00,7{n},0.5\n" for n in range(3))
    newest_first = read(tmp_path, head + three + two + one)
    assert [row.number for row in newest_first.rows] == [4, 3, 2]
    assert newest_first.notes == ("the newest row stands first; read from the oldest",)
    mixed = read(tmp_path, head + two + one + three)
    assert [row.number for row in mixed.rows] == [3, 2, 4]
    assert "not in the order of time (row 3)" in mixed.notes[0]


def test_blank_rows_are_passed_over_and_a_dropped_row_is_not_even_read(tmp_path: Path) -> None:
    text = "At,kVp,Dose\n2026-03-01 09:00:00,70,1\n,,\n\nMean,70,1\n"
    with pytest.raises(ConfigError, match=r"meter.csv:5: At: 'Mean' is not an ISO 8601 time"):
        read(tmp_path, text)
    found = read_meter(tmp_path / "meter.csv", own_map(tmp_path), dropped=(5,))
    assert [row.number for row in found.rows] == [2]


# --- what can't be understood


def test_every_mistake_is_told_at_once_with_file_row_and_column(tmp_path: Path) -> None:
    text = "At,kVp,Dose\n2026-03-01 09:00:00,seventy,0.5\nyesterday,70,-0.5\n"
    with pytest.raises(ConfigError) as told:
        read(tmp_path, text)
    one, two, three = told.value.messages
    assert one.startswith(f"{tmp_path}/meter.csv:2: kVp: 'seventy' is no number")
    assert two.startswith(f"{tmp_path}/meter.csv:3: Dose: -0.5 is negative")
    assert three.startswith(f"{tmp_path}/meter.csv:3: At: 'yesterday' is not an ISO 8601 time")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"At,kVp,Dose\n", "headers in row 1 and no row of values"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "is not utf-8 text"),
        ("At,kVp,Dose\n".encode("utf-16-le"), "UTF-16 without its mark"),
        (b"At,kVp,Dose\n2026\x00,70,1\n", ":2: has NUL bytes"),
        (b"At;kVp;Dose\n", "no row has a header of the map 'own'"),
        (b"At,kV p,Doses\n", "'kVp' is missing, did you mean 'kV p'"),
        (b"At,kVp,Dose,Dose\n2026-03-01,70,1,2\n", "two columns are called 'dose'"),
        (b'At,kVp,Dose\n2026-03-01,"70,1\n', "not readable as CSV"),
        (b"At,kVp,Dose\n2026-03-01,1e99,1\n", "beyond"),
        (b"At,kVp,Dose\n2026-03-01,9e9,1\n", "beyond 1e\\+09"),
        (b"PK\x03\x04nonsense", "no readable XLSX"),
    ],
    ids=["empty", "header only", "binary", "utf-16 without mark", "NUL", "other delimiter",
         "near headers", "twice", "open quote", "huge", "too large", "no zip"],
)  # fmt: skip
def test_a_bad_file_gets_one_clear_error(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read(tmp_path, content)


def test_a_folder_a_pipe_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    layout = own_map(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("", "is a folder"), ("pipe", "no ordinary file"), ("x", "no such file")):
        with pytest.raises(UsageError, match=why):
            read_meter(tmp_path / name, layout)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('quantity = "kvp"', "own.toml:5: column\\[0\\].quantity: no quantity 'kvp'; did you mean"),
        ('unit = "mV"', "own.toml:6: column\\[0\\].unit: kv can't be in 'mV'; known: kV, V"),
        ("scale = 0", "allowed: above 0"),
        ('heading = "kVp"', "did you mean 'header'"),
    ],
)
def test_a_wrong_map_is_told_by_line_and_nearest_word(tmp_path: Path, line: str, why: str) -> None:
    key = line.split()[0]
    lines = MAP.splitlines()
    at = next((at for at, text in enumerate(lines) if text.startswith(key)), 3)
    lines[at] = line
    with pytest.raises(ConfigError, match=why):
        own_map(tmp_path, "\n".join(lines))


def test_a_map_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'raysafe-like'"):
        COLUMN_MAPS.path("raysafe")


# --- XLSX

HEADERS = ("At", "kVp", "Dose")
_HEADER_CELLS = (f'<c r="{letter}2" t="s"><v>{at}</v></c>' for at, letter in enumerate("ABC"))
HEADER_ROW = f'<row r="2">{"".join(_HEADER_CELLS)}</row>'
DATES = '<cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'


def book(folder: Path, row: str, *, before: str = "") -> Path:
    return write_book(
        folder / "meter.xlsx", before + HEADER_ROW + row, strings=HEADERS, styles=DATES
    )


def test_a_sheet_is_read_with_dates_numbers_and_cached_formulas(tmp_path: Path) -> None:
    """46082.375 days after 1899-12-30 is 2026-03-01 09:00."""
    path = book(
        tmp_path,
        '<row r="3"><c r="A3" s="1"><v>46082.375</v></c><c r="B3"><v>70.4</v></c>'
        '<c r="C3"><f>A1*2</f><v>0.512</v></c></row>',
    )
    (row,) = read_meter(path, own_map(tmp_path)).rows
    assert row.number == 3
    assert row.values == {"kv": 70.4, "dose_ugy": 512.0}
    assert row.start == datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_numbers_of_a_sheet_have_no_comma_whatever_the_map_says_of_texts(tmp_path: Path) -> None:
    path = book(
        tmp_path,
        '<row r="3"><c r="A3" t="inlineStr"><is><t>2026-03-01</t></is></c><c r="B3"><v>70.4</v></c>'
        '<c r="C3" t="inlineStr"><is><t>0,512</t></is></c></row>',
    )
    layout = own_map(tmp_path, 'decimal = ","\ndelimiter = ";"\n' + MAP)
    assert read_meter(path, layout).rows[0].values == {"kv": 70.4, "dose_ugy": 512.0}


def test_a_formula_without_a_value_is_told_and_not_taken_for_nothing(tmp_path: Path) -> None:
    path = book(
        tmp_path,
        '<row r="3"><c r="A3" t="str"><v>2026-03-01</v></c><c r="B3"><f>70+1</f></c></row>',
    )
    with pytest.raises(ConfigError, match=r"meter.xlsx:3: kVp: a formula whose value"):
        read_meter(path, own_map(tmp_path))


def test_an_entity_bomb_and_a_zip_bomb_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = own_map(tmp_path)
    bomb = write_book(tmp_path / "bomb.xlsx", "", strings=())
    with zipfile.ZipFile(tmp_path / "entity.xlsx", "w") as out, zipfile.ZipFile(bomb) as old:
        for name in old.namelist():
            text = old.read(name).decode()
            if name.endswith("sheet1.xml"):
                text = f'<!DOCTYPE x [<!ENTITY a "{"ha" * 99}">]>' + text.replace(
                    "<sheetData>", "<sheetData>&a;"
                )
            out.writestr(name, text)
    with pytest.raises(UsageError, match="document type"):
        read_meter(tmp_path / "entity.xlsx", layout)
    monkeypatch.setattr("rig.instruments.xlsx.PART_MAX_BYTES", 1000)
    write_book(tmp_path / "big.xlsx", "<row/>" * 1000)
    with pytest.raises(UsageError, match="unpacks to over"):
        read_meter(tmp_path / "big.xlsx", layout)


def test_another_sheet_and_a_cell_far_out_are_told(tmp_path: Path) -> None:
    path = book(tmp_path, "")
    with pytest.raises(UsageError, match="has no sheet 'Other'; there are: Data"):
        read_meter(path, own_map(tmp_path, 'sheet = "Other"\n' + MAP))
    far = book(tmp_path, '<row r="9999999"><c r="A9999999"><v>1</v></c></row>')
    with pytest.raises(UsageError, match="A9999999 is far out"):
        read_meter(far, own_map(tmp_path))
