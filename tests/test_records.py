"""Records of routines: what is written, and the page that is printed and signed."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from rig.exit_codes import DeviceError, UsageError
from rig.records import folder as folders
from rig.records.folder import page_again, read_record, record_folder, write_record
from rig.records.pictures import STYLES, defect_png, grey_png, window_of
from rig.records.record import (
    Device,
    Event,
    Instrument,
    RecordError,
    RoutineRecord,
    ShotRow,
    Value,
    Verdict,
    from_json,
    to_json,
)
from rig.records.words import limit_text, plain_number, value_text

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
VALUES = (
    Value(what="Level", value=3987.4, unit="counts", low=3300.0, high=4900.0, verdict="passed"),
    Value(what="Residual", value=2.4, unit="%", high=2.0, mark="S", verdict="failed"),
    Value(what="SNR", value=91, low=80.0, source="TG-150", mark="M", verdict="passed"),
    Value(what="Drift", value=0.7, unit="%", limit="at most 1 % mean", verdict="passed"),
    Value(what="Temperature", value=None, unit="°C"),
)
SHOTS = tuple(
    ShotRow(
        number=number, id=f"x-{number}", kind="flat", start=START + timedelta(minutes=number),
        kv=70.0, ma=0.5, asked_mas=0.5, mas_indicated=0.501, outcome="planned end",
    )
    for number in range(1, 4)
)  # fmt: skip


def a_record(**changes: Any) -> RoutineRecord:
    facts: dict[str, Any] = {
        "id": "20260302T093000Z-gain-1a2b3c",
        "kind": "gain",
        "title": "Gain calibration of panel P1",
        "verdict": "failed",
        "reason": "The residual is above its limit.",
        "bench": "portable",
        "bench_hash": "9f" * 32,
        "unit": Device(model="Portable 120", serial="SIM-0001"),
        "tube": "IXS120 T-4711",
        "panel": "P1",
        "rung": "wire",
        "simulated": True,
        "operator": "A. Meier",
        "started": START,
        "ended": START + timedelta(minutes=14, seconds=32),
        "software": "dxrig 0.1.0",
        "instruments": (Instrument(name="X2", serial="1", calibration_due="2027-03-01"),),
        "values": VALUES,
        "shots": SHOTS,
        "events": (Event(at=START, kind="deferral", reason="tube heat"),),
        "notes": "21 mm Al at the tube",
    }
    return RoutineRecord(**(facts | changes))


def pngs() -> dict[str, bytes]:
    ramp = np.arange(64 * 48, dtype=np.float32).reshape(64, 48)
    return {"Before": grey_png(ramp), "After": grey_png(ramp * 0 + 7)}


def html_of(tmp_path: Path, record: RoutineRecord, pictures: dict[str, bytes] | None = None) -> str:
    folder = write_record(tmp_path, record, pngs() if pictures is None else pictures)
    return (folder / "record.html").read_text(encoding="utf-8")


class Seen(HTMLParser):
    """Tags with attributes, texts inside <body> in order, and the cells of the value table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._in_body = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_body |= tag == "body"

    def handle_data(self, data: str) -> None:
        if self._in_body and data.strip():
            self.texts.append(data.strip())


def value_rows(html: str) -> list[list[str]]:
    table = re.search(r'<table class="values">.*?</table>', html, re.DOTALL)
    assert table
    rows = re.findall(r"<tr class=.*?</tr>", table[0], re.DOTALL)
    cells = (re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in rows)
    return [[re.sub(r"<.*?>", "", cell).strip() for cell in row] for row in cells]


# --- the record


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = write_record(tmp_path, a_record(), pngs())
    assert folder == record_folder(tmp_path, a_record().id)
    again = read_record(folder)
    assert replace(again, pictures={}) == a_record()
    assert list(again.pictures) == ["Before", "After"]
    for picture in again.pictures.values():
        assert hashlib.sha256((folder / picture.file).read_bytes()).hexdigest() == picture.sha256


def test_the_json_has_a_schema_and_the_keys_that_programs_read() -> None:
    content = json.loads(to_json(a_record()))
    assert content["schema"] == 1
    assert {"id", "kind", "verdict", "bench_hash", "unit", "simulated", "pictures"} < set(content)
    assert content["unit"] == {"model": "Portable 120", "serial": "SIM-0001"}
    assert content["started"] == "2026-03-02T09:30:00+00:00"
    assert content["values"][1] == {
        "what": "Residual", "value": 2.4, "unit": "%", "low": None, "high": 2.0, "limit": "",
        "source": "", "mark": "S", "verdict": "failed",
    }  # fmt: skip
    assert content["shots"][0]["asked_mas"] == 0.5
    assert content["events"][0]["kind"] == "deferral"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no record"),
        ("[]", "no record"),
        ("{}", "no record"),
        ('{"schema": 2}', "has schema 2; this program reads 1"),
        ('{"schema": 1, "id": "x"}', "no record"),
    ],
)
def test_what_is_no_record_is_told(text: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        from_json(text)


def test_a_measurement_that_gave_no_number_does_not_cost_the_record(tmp_path: Path) -> None:
    values = (Value(what="SNR", value=float("nan"), low=80.0, verdict="failed"),)
    html = html_of(tmp_path, a_record(values=values))
    assert value_rows(html)[0][:4] == ["SNR", "not a number", "at least 80", "failed"]


@pytest.mark.parametrize(
    "value",
    [
        {"value": 2.1, "high": 2.0},
        {"value": 1.9, "low": 2.0},
        {"value": float("nan"), "high": 2.0},
        {"value": None, "high": 2.0},
    ],
)
def test_what_is_outside_its_limit_cannot_pass(value: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="outside its limit, yet passed"):
        Value(what="Residual", verdict="passed", **value)


def test_a_record_with_a_failed_value_cannot_pass() -> None:
    with pytest.raises(RecordError, match="can't pass: Residual"):
        a_record(verdict="passed")


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "ok"},
        {"kind": "tea"},
        {"id": "../../x"},
        {"id": ""},
        {"id": 'x"; } body { display: none'},
        {"started": datetime(2026, 3, 2)},  # noqa: DTZ001 - what must be refused
    ],
)
def test_a_record_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        a_record(**changes)


# --- its folder


def test_a_record_is_private_and_whole(tmp_path: Path) -> None:
    folder = write_record(tmp_path, a_record(), pngs())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["picture-1.png", "picture-2.png", "record.html", "record.json"]
    assert [path.name for path in folder.parent.iterdir()] == [a_record().id]


def test_a_record_is_never_overwritten(tmp_path: Path) -> None:
    folder = write_record(tmp_path, a_record())
    before = (folder / "record.json").read_bytes()
    with pytest.raises(DeviceError, match="never overwritten"):
        write_record(tmp_path, a_record(reason="another"))
    assert (folder / "record.json").read_bytes() == before


@pytest.mark.parametrize("step", ["write_file", "page", "sync_folder"])
def test_what_ends_the_writing_leaves_a_whole_record_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*args: object, **kwargs: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_record(tmp_path, a_record(), pngs())
    folder = record_folder(tmp_path, a_record().id)
    if folder.exists():
        assert page_again(folder) == (folder / "record.html").read_text(encoding="utf-8")
    assert [path for path in folder.parent.iterdir() if path != folder] == []


def test_a_record_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read: no such file"):
        read_record(tmp_path)


def test_the_page_made_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    folder = write_record(tmp_path, a_record(), pngs())
    assert page_again(folder).encode() == (folder / "record.html").read_bytes()


def test_a_page_is_not_made_with_other_pictures(tmp_path: Path) -> None:
    folder = write_record(tmp_path, a_record(), pngs())
    (folder / "picture-2.png").write_bytes(pngs()["Before"])
    with pytest.raises(UsageError, match=r"picture-2\.png: is not the picture"):
        page_again(folder)


# --- the page


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_the_verdict_is_the_first_thing_on_the_page(tmp_path: Path, verdict: Verdict) -> None:
    values = () if verdict == "passed" else VALUES
    html = html_of(tmp_path, a_record(verdict=verdict, values=values))
    assert Seen(html).texts[0] == verdict.upper()
    assert html.index("<title>" + verdict.upper()) < html.index("<body>")


def test_only_a_simulated_record_says_simulated(tmp_path: Path) -> None:
    assert Seen(html_of(tmp_path / "a", a_record())).texts.index("SIMULATED") < 4
    real = html_of(tmp_path / "b", a_record(simulated=False, rung="bench"))
    assert "SIMULATED" not in real


def test_the_page_names_who_what_when_and_with_which_software(tmp_path: Path) -> None:
    texts = Seen(html_of(tmp_path, a_record())).texts
    for text in (
        "Portable 120, serial SIM-0001", "IXS120 T-4711", "P1", "A. Meier", "portable, wire",
        "2026-03-02 09:30:00 UTC", "2026-03-02 09:44:32 UTC", "14 min 32 s", "dxrig 0.1.0",
        "sha256 " + "9f" * 32, "X2", "2027-03-01", "Performed by", "Reviewed by", "Signature",
        "tube heat", "21 mm Al at the tube", "planned end",
    ):  # fmt: skip
        assert text in texts


def test_the_page_names_the_record_by_its_hash(tmp_path: Path) -> None:
    folder = write_record(tmp_path, a_record())
    sha256 = hashlib.sha256((folder / "record.json").read_bytes()).hexdigest()
    assert sha256 in (folder / "record.html").read_text()


def test_every_value_stands_beside_its_limit(tmp_path: Path) -> None:
    rows = value_rows(html_of(tmp_path, a_record()))
    assert [row[:4] for row in rows] == [
        ["Level", "3987\xa0counts", "3300 to 4900\xa0counts", "passed"],
        ["Residual", "2.4\xa0%", "at most 2\xa0%", "failed"],
        ["SNR", "91", "at least 80", "passed"],
        ["Drift", "0.7\xa0%", "at most 1 % mean", "passed"],
        ["Temperature", "not found", "no limit", "not judged"],
    ]


def test_a_limit_from_memory_is_visibly_unverified(tmp_path: Path) -> None:
    rows = value_rows(html_of(tmp_path, a_record()))
    assert [row[0] for row in rows if "unverified" in row[4]] == ["SNR"]
    assert rows[2][4] == "[M] unverified TG-150"


def test_the_page_asks_nobody_for_anything_and_runs_nothing(tmp_path: Path) -> None:
    html = html_of(tmp_path, a_record())
    seen = Seen(html)
    assert re.findall(r"https?:|file:|@import|url\(\s*['\"]?[^#'\"]", html) == []
    assert {tag for tag, _ in seen.tags} & {"script", "link", "iframe", "object", "form"} == set()
    for _, attributes in seen.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                assert (value or "").startswith(("data:image/png;base64,", "#"))
    assert "default-src 'none'" in html


NASTY = (
    "<b>bold</b><script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    "x" * 300,
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "line\x00end\x1b[31m \u202egnp.exe \u200b \ud800",
)


@pytest.mark.parametrize("text", NASTY)
def test_no_name_breaks_the_page(tmp_path: Path, text: str) -> None:
    plain = a_record(
        operator="N", title="N", reason="N", tube="N", panel="N", notes="N", bench="N",
        unit=Device(model="N", serial="N"), software="N", bench_hash="N", rung="N",
        instruments=(Instrument(name="N", serial="N", calibration_due="N"),),
        values=(Value(what="N", value="N", unit="N", limit="N", source="N"),),
        shots=tuple(replace(shot, id="N", kind="N", outcome="N") for shot in SHOTS),
        events=(Event(at=START, kind="N", reason="N"),),
    )  # fmt: skip
    nasty = from_json(to_json(plain).replace('"N"', json.dumps(text)))
    want = Seen(html_of(tmp_path / "plain", plain, {"N": pngs()["Before"]}))
    got = Seen(html_of(tmp_path / "nasty", nasty, {text: pngs()["Before"]}))
    assert [tag for tag, _ in got.tags] == [tag for tag, _ in want.tags]
    assert [set(one) for _, one in got.tags] == [set(one) for _, one in want.tags]
    assert not any(sign in "".join(got.texts) for sign in "\x00\x1b\u202e\ud800")


def test_a_record_with_hardly_anything_is_a_page_too(tmp_path: Path) -> None:
    bare = a_record(
        verdict="aborted", reason="", tube="", operator="", unit=Device(), bench_hash="",
        instruments=(), values=(), shots=(), events=(), notes="",
    )  # fmt: skip
    html = html_of(tmp_path, bare, {})
    assert "not stated" in html
    assert "<svg" not in html
    assert "<table class=" not in html


def test_a_chart_appears_with_two_beams(tmp_path: Path) -> None:
    assert "<svg" in html_of(tmp_path / "three", a_record())
    assert "<svg" not in html_of(tmp_path / "one", a_record(shots=SHOTS[:1]))


def test_a_long_routine_shows_every_row(tmp_path: Path) -> None:
    shots = tuple(replace(SHOTS[0], number=n, id=f"shot-{n}") for n in range(50))
    values = tuple(replace(VALUES[0], what=f"value-{n}") for n in range(60))
    html = html_of(tmp_path, a_record(shots=shots, values=values, verdict="passed"))
    assert len(value_rows(html)) == 60
    assert all(f">shot-{n}<" in html for n in range(50))


def test_a_shot_of_another_day_says_so(tmp_path: Path) -> None:
    late = replace(SHOTS[0], start=START + timedelta(days=1))
    texts = Seen(html_of(tmp_path, a_record(shots=(SHOTS[0], late)))).texts
    assert "09:31:00" in texts
    assert "2026-03-03 09:30:00 UTC" in texts


def test_times_are_shown_with_their_own_offset(tmp_path: Path) -> None:
    there = START.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    texts = Seen(html_of(tmp_path, a_record(started=there))).texts
    assert "2026-03-02 06:00:00 UTC-03:30" in texts


# --- numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (1, "1"), (16.0, "16"), (0.5, "0.5"), (2.40, "2.4"), (3987.4, "3987"),
        (31240.4, "31240"), (1234567.8, "1234568"), (0.0123456, "0.01235"), (1e-7, "1e-07"),
        (-2.5, "-2.5"), (100, "100"), (1000, "1000"),
    ],
)  # fmt: skip
def test_a_number_is_shown_with_four_digits_and_no_needless_zero(number: float, text: str) -> None:
    assert plain_number(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value(what="", value=2.0004, unit="%", high=2.0), "2.0004\xa0%"),
        (Value(what="", value=2.0000000001, high=2.0), "2.0000000001"),
        (Value(what="", value=1.99999, low=2.0), "1.99999"),
        (Value(what="", value=-10.00001, low=-10.0, high=10.0), "\N{MINUS SIGN}10.00001"),
        (Value(what="", value="0 of 3", unit="%"), "0 of 3"),
    ],
)
def test_a_printed_number_lies_on_the_side_of_its_limit_where_the_value_lies(
    value: Value, text: str
) -> None:
    assert value_text(value) == text


def test_a_limit_is_never_empty() -> None:
    assert limit_text(Value(what="", value=1.0)) == "no limit"
    assert (
        limit_text(Value(what="", value=1.0, low=-10.0, high=10.0, unit="%"))
        == "\N{MINUS SIGN}10 to 10\xa0%"
    )


# --- pictures


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def test_a_picture_is_made_smaller_and_framed() -> None:
    image = opened(grey_png(np.arange(3072 * 1536, dtype=np.uint16).reshape(3072, 1536)))
    assert image.size == (351, 700)
    assert {image.getpixel(place) for place in ((0, 0), (350, 699), (0, 300))} == {0}


def test_a_window_leaves_the_outliers_out_and_may_be_shared() -> None:
    pixels = np.linspace(1000.0, 2000.0, 10_000, dtype=np.float32).reshape(100, 100)
    pixels[0, 0], pixels[5, 5] = 1e9, np.nan
    low, high = window_of(pixels)
    assert 1000.0 <= low < 1010.0
    assert 1990.0 < high <= 2000.0
    dark = opened(grey_png(np.full((100, 100), low, np.float32), (low, high)))
    assert dark.getpixel((50, 50)) == 0


@pytest.mark.parametrize("fill", [7.0, float("nan"), float("inf")])
def test_a_map_without_contrast_is_a_picture_too(fill: float) -> None:
    assert opened(grey_png(np.full((32, 32), fill, np.float32))).size == (34, 34)


def test_a_single_defect_on_a_large_panel_can_be_seen() -> None:
    mask = np.zeros((3072, 3072), np.bool_)
    mask[1536, 1024] = True
    image = np.asarray(opened(defect_png({"dead": mask})).convert("L"))
    marked = np.argwhere(image[1:459, 1:459] < 128)
    assert 9 <= len(marked) <= 49
    assert np.abs(marked.mean(axis=0) - [1536 / 3072 * 458, 1024 / 3072 * 458]).max() < 1.0


def test_a_defect_at_the_edge_stays_inside_the_frame() -> None:
    mask = np.zeros((512, 512), np.bool_)
    mask[[0, 0, 511, 511], [0, 511, 0, 511]] = True
    image = opened(defect_png({"dead": mask}, np.ones((512, 512), np.float32)))
    assert image.size[0] == 460


def test_classes_of_defects_are_told_apart_without_colour() -> None:
    assert len({style.mark for style in STYLES.values()}) == len(STYLES)
    for red, green, blue in (style.colour for style in STYLES.values()):
        assert 0.299 * red + 0.587 * green + 0.114 * blue < 128  # dark on the pale background


def test_pictures_of_the_same_map_are_the_same_bytes() -> None:
    mask = np.eye(64, dtype=np.bool_)
    assert defect_png({"noisy": mask, "mine": mask}) == defect_png({"noisy": mask, "mine": mask})
    assert pngs() == pngs()
