"""A panel's calibration set: what it is made of, its file, and why one is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_py.recorder.image import maps
from firmware_py.recorder.image.maps import PanelSetError, Part, all_parts
from tests.panel_sets import TODAY, a_set, defects_at

ONES = np.ones((8, 8), np.float32)
DATES: dict[str, Any] = {
    "created": TODAY - timedelta(days=10),
    "valid_until": TODAY + timedelta(days=80),
}
OFFSET_ONLY = {"offset": Part(**DATES)}


def days(created: int, valid_until: int) -> Part:
    """From TODAY on."""
    return Part(
        created=TODAY + timedelta(days=created), valid_until=TODAY + timedelta(days=valid_until)
    )


def refusal(panel_set: maps.PanelSet, **asked: Any) -> str:
    """Why the gate is shut; "" = it is open."""
    facts: dict[str, Any] = {"panel_id": "P1", "rows_px": 8, "columns_px": 8, "at": TODAY}
    try:
        maps.require(panel_set, **(facts | asked))
    except PanelSetError as error:
        return str(error)
    return ""


# --- the gate


def test_a_whole_set_of_today_is_let_through() -> None:
    assert refusal(a_set()) == ""
    assert refusal(a_set(), unit_serial="SIM-0001") == ""


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"panel_id": "P2"},
            "the calibration set is of panel P1, not of P2; "
            "select that panel or run `dxrig calibrate`",
        ),
        (
            {"unit_serial": "SIM-0002"},
            "the calibration set of panel P1 was made on unit SIM-0001, this is SIM-0002; "
            "run `dxrig calibrate`",
        ),
        ({"rows_px": 9}, "the calibration set of panel P1 is 8 x 8 px, not 9 x 8"),
        (
            {"at": TODAY + timedelta(days=81)},
            "the calibration set of panel P1: its offset was valid until 2026-05-21; "
            "run `dxrig calibrate offset`",
        ),
        (
            {"at": TODAY - timedelta(days=11)},
            "the calibration set of panel P1: its offset is of 2026-02-20 09:00, "
            "and now it is 2026-02-19 09:00: set the clock",
        ),
    ],
)
def test_a_set_of_another_panel_unit_matrix_or_day_is_refused(
    asked: dict[str, object], words: str
) -> None:
    assert refusal(a_set(), **asked) == words


def test_what_is_missing_is_named_with_the_routine_that_makes_it() -> None:
    begun = a_set(gain=ONES, parts=OFFSET_ONLY)
    halfway = a_set(parts=OFFSET_ONLY | {"gain": days(-1, 9)})
    only_gain = a_set(parts={"gain": days(-1, 9)})
    whose = "the calibration set of panel P1 has no"
    assert refusal(begun) == f"{whose} gain map yet; run `dxrig calibrate gain`"
    assert refusal(halfway) == f"{whose} defect map yet; run `dxrig calibrate defects`"
    assert refusal(only_gain) == f"{whose} offset map yet; run `dxrig calibrate offset`"


@pytest.mark.parametrize("name", maps.PARTS)
def test_the_part_that_ended_first_is_named_and_lag_is_one(name: str) -> None:
    parts = {**a_set().parts, "lag": days(-1, 9), name: days(-20, -5)}
    assert refusal(a_set(parts=parts)) == (
        f"the calibration set of panel P1: its {name} was valid until 2026-02-25; "
        f"run `dxrig calibrate {name}`"
    )


def test_the_last_and_the_first_moment_count_as_valid() -> None:
    assert refusal(a_set(), at=DATES["valid_until"]) == ""
    assert refusal(a_set(), at=DATES["created"]) == ""


# --- parts


def test_a_set_is_as_new_as_its_newest_part_and_ends_with_the_first() -> None:
    panel_set = a_set(
        parts={"offset": days(-1, 6), "gain": days(-90, 275), "defects": days(-90, 200)}
    )
    assert panel_set.created == TODAY - timedelta(days=1)
    assert panel_set.valid_until == TODAY + timedelta(days=6)


def test_a_set_is_complete_with_offset_gain_and_defects() -> None:
    assert a_set().complete
    assert not a_set(parts={"offset": days(0, 1), "gain": days(0, 1)}).complete
    assert not a_set(gain=ONES, parts={"offset": days(0, 1), "defects": days(0, 1)}).complete


# --- files


def whole() -> maps.PanelSet:
    """With something in every field."""
    made = all_parts(**DATES, operator="A. Meier", routine="calibrate gain")
    detail = {"frames_count": 16, "kv": 70.0, "mas": 0.5, "sid_mm": 1800, "level": 0.2}
    return a_set(
        parts=made | {"gain": replace(made["gain"], detail=detail), "lag": days(-3, 300)},
        defects=defects_at((1, 2)),
        linearity=(0.01, 0.0002),
        lag=(0.02, 0.007),
        bits_stored=16,
    )


def test_a_saved_set_is_the_set_that_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "P1.npz"
    maps.save(whole(), path)
    loaded = maps.load(path)
    assert refusal(loaded) == ""
    assert loaded.sha256 == whole().sha256
    assert loaded.parts == whole().parts
    assert (loaded.linearity, loaded.lag) == ((0.01, 0.0002), (0.02, 0.007))
    assert (loaded.unit_serial, loaded.counts_per_ugy) == ("SIM-0001", 100.0)
    assert (loaded.bits_stored, loaded.full_scale, loaded.version) == (16, 65535, 2)
    assert np.argwhere(loaded.defects).tolist() == [[1, 2]]
    assert [file.name for file in tmp_path.iterdir()] == ["P1.npz"]


@pytest.mark.parametrize(
    "changes",
    [
        {"defects": defects_at((1, 2))},
        {"linearity": (0.01, 0.0)},
        {"lag": (0.02,)},
        {"parts": a_set().parts | {"offset": replace(a_set().parts["offset"], operator="B")}},  # type: ignore[operator]
        {"unit_serial": "SIM-0002"},
    ],
)
def test_every_fact_has_a_part_in_the_checksum(changes: dict[str, object]) -> None:
    assert a_set(**changes).sha256 != a_set().sha256


def test_a_missing_set_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PanelSetError, match=r"no calibration set at .*none\.npz; run `dxrig cal"):
        maps.load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"not a set", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_set_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "P1.npz"
    path.write_bytes(content)
    with pytest.raises(PanelSetError, match="is no calibration set"):
        maps.load(path)


def edited(path: Path, **changed: Any) -> Path:
    """A sound file with some of its entries changed; facts as a dict of changes."""
    maps.save(a_set(), path)
    with np.load(path) as file:
        content = dict(file)
    if "facts" in changed:
        facts = json.loads(str(content["facts"])) | changed.pop("facts")
        content["facts"] = np.array(json.dumps(facts))
    np.savez(path, allow_pickle=False, **(content | changed))
    return path


def test_a_set_with_a_changed_pixel_or_date_is_refused(tmp_path: Path) -> None:
    gain = a_set().gain.copy()
    gain[3, 3] = 2.5
    later = {"created": "2026-02-20T09:00:00+00:00", "valid_until": "2036-01-01T00:00:00+00:00"}
    for changed in ({"gain": gain}, {"facts": {"parts": dict.fromkeys(maps.NEEDED, later)}}):
        path = edited(tmp_path / "P1.npz", **changed)
        with pytest.raises(PanelSetError, match="damaged: its content does not match its checksum"):
            maps.load(path)


def test_a_set_of_an_older_program_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = edited(tmp_path / "P1.npz", facts={"version": 1})
    with pytest.raises(PanelSetError, match=r"format 1; this program reads 2: run `dxrig calib"):
        maps.load(path)


@pytest.mark.parametrize(
    "facts",
    [
        {"parts": 7},
        {"parts": {"offset": {"created": "yesterday"}}},
        {"parts": {"offset": 3}},
        {"lag": None},
        {"linearity": [0.0]},
        {"strange": 1},
    ],
)
def test_facts_that_make_no_sense_are_no_set(tmp_path: Path, facts: dict[str, object]) -> None:
    path = edited(tmp_path / "P1.npz", facts=facts)
    with pytest.raises(PanelSetError, match="is no calibration set"):
        maps.load(path)


# --- what can't be a set


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gain": np.zeros((8, 8), np.float32)}, "gain must be above 0"),
        ({"gain": np.ones((8, 7), np.float32)}, "gain is 8 x 7, offset is 8 x 8"),
        ({"offset": np.full((8, 8), np.nan, np.float32)}, "offset is not a number"),
        ({"offset": np.zeros((8, 8))}, "offset must be rows x columns of float32, got 2-d float64"),
        ({"defects": np.ones((8, 8), np.bool_)}, "every pixel is a defect"),
        ({"parts": {}}, "parts must be some of offset, gain, defects, lag, got none"),
        ({"parts": {"dark": days(0, 1)}}, "parts must be some of .*, got dark"),
        ({"parts": OFFSET_ONLY}, "there is a gain map, but no part that says where it is from"),
        (
            {"gain": ONES, "defects": defects_at((1, 1)), "parts": OFFSET_ONLY},
            "there is a defect map, but no part",
        ),
        (
            {"parts": all_parts(created=datetime(2026, 1, 1), valid_until=TODAY)},  # noqa: DTZ001
            "dates need a time zone",
        ),
        (
            {"parts": a_set().parts | {"lag": Part(**DATES, detail={"of": object()})}},  # type: ignore[operator]
            "its facts can't be written as JSON",
        ),
        ({"counts_per_ugy": float("nan")}, "its facts can't be written as JSON"),
        ({"linearity": (-0.6, 0.0)}, r"linearity \(-0.6, 0\) must rise from 0 to full scale"),
        ({"linearity": (float("nan"), 0.0)}, "linearity .* must rise"),
        ({"lag": (0.02, -0.1)}, "lag must be shares from 0 to 1, got 0.02, -0.1"),
        ({"lag": (float("nan"),)}, "lag must be shares from 0 to 1, got nan"),
    ],
)
def test_an_impossible_set_can_not_be_made(changes: dict[str, object], words: str) -> None:
    with pytest.raises(PanelSetError, match=f"calibration set of panel P1: {words}"):
        a_set(**changes)
