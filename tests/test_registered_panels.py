"""A bench may have several registered panels: one is selected, and that one must answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rig.bench import Bench, bench_of, on_panel
from rig.bench_names import bench_path
from rig.cli import main
from rig.exit_codes import ConfigError, UsageError
from rig.judge import Seen
from rig.panel_sets import store_of
from rig.run_model import ModelRun
from rig.scenario import StepSection, UntilSection
from tests import model_runs

PORTABLE = bench_path("portable").read_text()


def text(also: str) -> str:
    return PORTABLE.replace("rows_px = 256", f"rows_px = 256\nalso = {also}")


def bench(also: str = '["SIM-PANEL-2", "SIM-PANEL-3"]') -> Bench:
    return bench_of(text(also), Path("three.toml"))


def run(on: Bench, **panel: Any) -> tuple[ModelRun, Seen]:
    clean = model_runs.scenario("clean_by_mas")
    step = StepSection(event="start", after_ms=0, do="panel", args=panel)
    until = UntilSection(event="STANDBY", nth=1, after_ms=2_000) if panel else clean.until
    steps = [*([step] if panel else []), *clean.step]
    return model_runs.run(clean.model_copy(update={"step": steps, "until": until}), on=on)


@pytest.mark.req("SR-50")
def test_a_selected_panel_is_the_one_of_shot_frame_and_maps(tmp_path: Path) -> None:
    second = on_panel(bench(), "SIM-PANEL-2")
    made, seen = run(second)
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)
    assert made.shot.panel_id == "SIM-PANEL-2"
    folders = {store_of(tmp_path, one.unit).folder for one in (bench(), second)}
    assert folders == {tmp_path / "panels" / name for name in ("SIM-PANEL-1", "SIM-PANEL-2")}


@pytest.mark.req("SR-50", "SR-10", "F40")
@pytest.mark.parametrize("answering", ["SIM-PANEL-2", "STRANGER"])
def test_another_panel_than_the_selected_one_is_refused_before_prep(answering: str) -> None:
    """Registered or not: the shot was set up for the one that was selected."""
    _, seen = run(bench(), wrong_id=answering)
    refused = [line["because"] for line in seen.lines if line["kind"] == "refused"]
    assert refused
    assert all("PANEL_WRONG" in because for because in refused)
    states = [line["to"] for line in seen.lines if line["kind"] == "state"]
    assert (len(seen.beams), "PREP" in states) == (0, False)


@pytest.mark.req("SR-50")
def test_a_panel_that_is_not_registered_can_not_be_selected() -> None:
    with pytest.raises(UsageError) as told:
        on_panel(bench(), "SIM-PANEL-9")
    assert str(told.value) == (
        "panel SIM-PANEL-9 is not registered on bench portable; "
        "registered: SIM-PANEL-1, SIM-PANEL-2, SIM-PANEL-3"
    )


def test_selecting_changes_the_order_and_not_who_is_registered() -> None:
    third = on_panel(bench(), "SIM-PANEL-3").unit.panel
    assert third.registered == ("SIM-PANEL-3", "SIM-PANEL-1", "SIM-PANEL-2")
    assert on_panel(bench(), "SIM-PANEL-1") == bench()


@pytest.mark.parametrize("also", ['["SIM-PANEL-1"]', '["P2", "P2"]'])
def test_a_panel_that_is_registered_twice_is_a_mistake_of_the_file(also: str) -> None:
    with pytest.raises(ConfigError, match=r"registered twice"):
        bench_of(text(also), Path("twice.toml"))


def invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, words)
    return done.exit_code, done.output


def test_the_sets_of_each_panel_are_listed_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "three.toml"
    path.write_text(text('["SIM-PANEL-2"]'))
    words = ("calibrate", "list", "--bench", str(path), "--state", str(tmp_path))
    assert invoke(*words)[1].startswith("Panel SIM-PANEL-1 was never calibrated")
    assert invoke(*words, "--panel", "SIM-PANEL-2")[1].startswith("Panel SIM-PANEL-2 was never")


@pytest.mark.req("SR-50")
def test_expose_with_a_panel_that_is_not_registered_names_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "three.toml"
    path.write_text(text('["SIM-PANEL-2"]'))
    words = ("expose", "--bench", str(path), "--kvp", "70", "--mas", "1", "--panel", "X")
    code, said = invoke(*words)
    assert code == 2
    assert "registered: SIM-PANEL-1, SIM-PANEL-2" in said
