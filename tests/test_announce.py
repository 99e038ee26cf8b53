"""How a command finds a running simulated bench, and what it says when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig import announce
from rig.exit_codes import DeviceError

START = "start one: dxrig sim up --bench portable"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "dxrig"


def told() -> str:
    with pytest.raises(DeviceError) as refused:
        announce.found("portable", None)
    return str(refused.value)


def test_without_any_simulator_the_way_to_start_one_is_told() -> None:
    assert told() == f"no simulator of bench portable runs; {START}"


def test_a_simulator_of_another_bench_that_runs_is_named() -> None:
    announce.announce("mobile", {"control": "ipc:///nowhere"})
    assert told() == f"no simulator of bench portable runs (there is --bench mobile); {START}"
    announce.announce("room", {"control": "ipc:///nowhere"})
    there = "(there is --bench mobile or room)"
    assert told() == f"no simulator of bench portable runs {there}; {START}"


def test_what_a_dead_simulator_left_behind_and_other_files_are_not_named(state: Path) -> None:
    announce.announce("mobile", {"control": "ipc:///nowhere"})
    (state / "mobile" / "sim.json").write_text('{"pid": 999999999}')
    (state / "room").mkdir()
    (state / "notes.txt").write_text("nothing")
    (state / "cabinet").mkdir()
    (state / "cabinet" / "sim.json").write_text("half a li")
    assert told() == f"no simulator of bench portable runs; {START}"
