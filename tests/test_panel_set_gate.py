"""What a panel is corrected with: refused before anything is started, and gone back to exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from firmware_py.recorder.image.correct import correct
from firmware_py.recorder.image.maps import PanelSet, load, save
from firmware_py.recorder.image.sets import SetStore
from hal.types import Technique
from rig.cli import main
from rig.exit_codes import DONE, REFUSED, USAGE, Refused
from rig.exposure_run import expose
from rig.exposure_view import LiveLines
from rig.guards import Ports
from rig.panel_sets import current_set, set_for_exposure, store_of
from rig.run_model import valid_set
from rig.session import Session
from tests.model_runs import bench, pixels

NOW = datetime.now(UTC)  # `expose` asks the real clock
DAY = timedelta(days=1)


def good_set(made: datetime = NOW) -> PanelSet:
    return valid_set(bench(), pixels(), made)


def with_part(panel_set: PanelSet, name: str, **changes: Any) -> PanelSet:
    parts = {**panel_set.parts, name: replace(panel_set.parts[name], **changes)}
    return replace(panel_set, parts=parts)


def without(panel_set: PanelSet, name: str) -> PanelSet:
    parts = {key: part for key, part in panel_set.parts.items() if key != name}
    empty: dict[str, Any] = {
        "offset": {},
        "gain": {"gain": np.ones(panel_set.shape, np.float32)},
        "defects": {
            "defects": np.zeros(panel_set.shape, np.bool_),
            "gain": np.maximum(panel_set.gain, np.float32(0.1)),
        },
    }
    return replace(panel_set, parts=parts, **empty[name])


def ports(**facts: Any) -> Ports:
    return Ports(unit=bench().unit, simulator={"seed": 1, "uncalibrated": False} | facts)


def keep(state: Path, panel_set: PanelSet) -> SetStore:
    store = store_of(state, bench().unit)
    store.add(panel_set, changed="all", operator="A. Meier", routine="r-1", at=NOW)
    return store


def refusal(state: Path, **facts: Any) -> str:
    """Of a whole `expose`."""
    with pytest.raises(Refused) as told:
        expose(
            bench(),
            ports(**facts),
            Technique(kv=70.0, ma=1.0, mas=0.5),
            state=state,
            out=None,
            by_hand=False,
            wait_s=1.0,
            allowed=False,
            view=LiveLines("none", person=False),
        )
    assert told.value.code == REFUSED == 4
    return str(told.value)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no process may be started."""

    def started(*_: object) -> None:
        raise AssertionError("a process was started")

    for name in ("start", "start_unit", "start_recorder"):
        monkeypatch.setattr(Session, name, started)
    return tmp_path


# --- refused


def test_a_set_of_another_panels_serial_is_refused(state: Path) -> None:
    """A folder that was copied from another bench."""
    store = SetStore(store_of(state, bench().unit).folder)
    other = replace(good_set(), panel_id="SIM-PANEL-2")
    store.add(other, changed="all", operator="A. Meier", routine="r-1", at=NOW)
    assert refusal(state) == (
        "the calibration set is of panel SIM-PANEL-2, not of SIM-PANEL-1; "
        "select that panel or run `dxrig calibrate`"
    )


def test_a_set_that_was_made_on_another_unit_is_refused(state: Path) -> None:
    keep(state, replace(good_set(), unit_serial="SIM-0002"))
    assert refusal(state) == (
        "the calibration set of panel SIM-PANEL-1 was made on unit SIM-0002, this is SIM-0001; "
        "run `dxrig calibrate`"
    )


@pytest.mark.parametrize("name", ["offset", "gain", "defects"])
def test_a_set_with_an_expired_part_is_refused_with_its_date(state: Path, name: str) -> None:
    until = NOW - DAY
    keep(state, with_part(good_set(), name, valid_until=until))
    assert refusal(state) == (
        f"the calibration set of panel SIM-PANEL-1: its {name} was valid until "
        f"{until:%Y-%m-%d}; run `dxrig calibrate {name}`"
    )


@pytest.mark.parametrize(
    ("name", "map_name"),
    [("gain", "gain map"), ("defects", "defect map"), ("offset", "offset map")],
)
def test_a_set_that_is_not_complete_is_refused_with_what_to_make(
    state: Path, name: str, map_name: str
) -> None:
    keep(state, without(good_set(), name))
    assert refusal(state) == (
        f"the calibration set of panel SIM-PANEL-1 has no {map_name} yet; "
        f"run `dxrig calibrate {name}`"
    )


def test_a_set_of_tomorrow_is_a_clock_that_is_wrong(state: Path) -> None:
    keep(state, good_set(NOW + 2 * DAY))
    assert refusal(state).endswith("set the clock")


def test_a_set_of_another_matrix_is_refused(state: Path) -> None:
    small = replace(
        good_set(),
        offset=np.zeros((8, 8), np.float32),
        gain=np.ones((8, 8), np.float32),
        defects=np.zeros((8, 8), np.bool_),
    )
    keep(state, small)
    assert refusal(state) == "the calibration set of panel SIM-PANEL-1 is 8 x 8 px, not 256 x 256"


def test_a_damaged_set_is_refused_and_no_other_is_taken(state: Path) -> None:
    store = keep(state, good_set())
    keep(state, good_set(NOW - DAY))
    content = bytearray(store.path(2).read_bytes())
    content[len(content) // 2] ^= 0x10
    store.path(2).write_bytes(content)
    told = refusal(state)
    assert str(store.path(2)) in told
    assert told.endswith("; there are: 1")


def test_a_damaged_history_is_refused(state: Path) -> None:
    store = keep(state, good_set())
    (store.folder / "sets.json").write_text("[]")
    assert refusal(state).startswith(f"{store.folder / 'sets.json'} is damaged")


def test_a_sound_file_in_the_place_of_the_set_is_refused(state: Path) -> None:
    store = keep(state, good_set())
    save(good_set(NOW - DAY), store.path(1))
    assert "is not the set that was stored as version 1" in refusal(state)


def test_a_panel_without_a_set_is_refused_with_what_to_do(state: Path) -> None:
    assert refusal(state, uncalibrated=True) == (
        "no calibration set for panel SIM-PANEL-1; "
        "run `dxrig calibrate offset`, then gain and defects"
    )


def test_a_real_panel_without_a_set_is_refused(state: Path) -> None:
    real = Ports(unit=bench().unit, simulator=None)
    with pytest.raises(Refused, match="no calibration set for panel SIM-PANEL-1"):
        set_for_exposure(bench(), real, state, state, NOW)


# --- taken


def test_a_simulated_panel_begins_with_a_valid_set_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    path = set_for_exposure(bench(), ports(), tmp_path, tmp_path, NOW)
    assert path.parent == tmp_path / "work"
    assert load(path).sha256 == good_set().sha256


def test_a_set_of_a_calibration_comes_before_the_simulators_own(tmp_path: Path) -> None:
    store = keep(tmp_path, good_set(NOW - DAY))
    for facts in ({}, {"uncalibrated": True}):
        assert set_for_exposure(bench(), ports(**facts), tmp_path, tmp_path, NOW) == store.path(1)


def test_the_last_day_still_counts(tmp_path: Path) -> None:
    keep(tmp_path, with_part(good_set(), "offset", valid_until=NOW))
    assert set_for_exposure(bench(), ports(), tmp_path, tmp_path, NOW).name == "set-0001.npz"
    with pytest.raises(Refused, match="its offset was valid until"):
        set_for_exposure(bench(), ports(), tmp_path, tmp_path, NOW + timedelta(microseconds=1))


# --- gone back


def picture(state: Path) -> bytes:
    """The same raw frame, corrected with the set that is in use."""
    current = current_set(state, bench().unit)
    assert current is not None
    raw = pixels().frame(0.5, 70.0, 1_000_000, 9001)
    return correct(raw, current[0]).pixels.tobytes()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))


@pytest.mark.usefixtures("settings")
def test_going_back_restores_the_former_picture_byte_for_byte(tmp_path: Path) -> None:
    keep(tmp_path, good_set())
    before = picture(tmp_path)
    striped = good_set()
    striped.gain[:, ::8] *= np.float32(1.05)
    keep(tmp_path, striped)
    assert picture(tmp_path) != before
    back = ("calibrate", "rollback", "--state", str(tmp_path), "--operator", "B. Kaya", "--json")
    done = CliRunner().invoke(main, [*back, "--why", "stripes since Monday"])
    assert (done.exit_code, json.loads(done.stdout)["set"]) == (DONE, 1)
    assert picture(tmp_path) == before
    again = CliRunner().invoke(main, [*back, "--why", "the stripes were the grid", "--to", "2"])
    assert (again.exit_code, json.loads(again.stdout)["set"]) == (DONE, 2)
    assert picture(tmp_path) != before


@pytest.mark.usefixtures("settings")
def test_going_back_where_nothing_was_is_refused(tmp_path: Path) -> None:
    back = ("calibrate", "rollback", "--state", str(tmp_path), "--operator", "B", "--why", "dust")
    assert CliRunner().invoke(main, back).exit_code == USAGE
    keep(tmp_path, good_set())
    done = CliRunner().invoke(main, back)
    assert done.exit_code == USAGE
    assert "version 1 was made from no other" in done.stderr
