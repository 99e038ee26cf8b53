"""Tube heat outlives a run: by what the journal says, cooled by its age; in doubt, hot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from math import e
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firmware_py.assemble import Links, build_unit
from firmware_py.recorder.messages import intent_to_dict, report_to_dict
from firmware_py.recorder.store.journal import Journal
from firmware_py.recorder.store.tube_heat import StoredHeat, stored_heat
from firmware_py.unit import Unit
from hal.frame_pipes import frame_pipe
from hal.links import pipe
from rig.cli import main
from rig.replay import replay
from rig.replay_links import Player, RecorderReplay
from rig.run_folder import read_trace, record_header
from tests.exposures import STARTED, intent, report, unit_config
from tests.model_runs import bench, kept

TUBE = unit_config().tube  # 100 kJ, 900 s
MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path)) as journal:
        yield journal


def irradiate(
    journal: Journal, shot_id: str, at: datetime, *, mas: float | None = 2.0, beam: bool = True
) -> None:
    """70 kV, at most 3 mAs."""
    plan(journal, shot_id, at)
    detail = report_to_dict(report(shot_id, mas=mas, beam=beam))
    journal.add_dose(shot_id=shot_id, at=at, beam=beam, mas=mas, reason="fault", detail=detail)


def plan(journal: Journal, shot_id: str, at: datetime) -> None:
    journal.add_intent(shot_id=shot_id, at=at, exam_id="TEST", planned_mas=2.0, maximum_mas=3.0,
                       detail=intent_to_dict(intent(shot_id)))  # fmt: skip


def heat(path: Path, at: datetime) -> StoredHeat:
    return stored_heat(path, TUBE, at)


def test_a_bench_that_has_never_irradiated_has_a_cold_tube(path: Path) -> None:
    assert heat(path, STARTED) == StoredHeat(heat_j=0.0)


def test_a_journal_without_exposures_is_a_cold_tube(journal: Journal, path: Path) -> None:
    assert heat(path, STARTED) == StoredHeat(heat_j=0.0)


@pytest.mark.req("SR-14")
def test_every_exposure_is_its_energy_cooled_by_its_age(journal: Journal, path: Path) -> None:
    irradiate(journal, "A", STARTED)
    irradiate(journal, "B", STARTED + 15 * MINUTE, mas=1.0)
    found = heat(path, STARTED + 15 * MINUTE)
    assert found.heat_j == pytest.approx(140 / e + 70)
    assert found.doubt is None


def test_without_a_beam_nothing_is_heated(journal: Journal, path: Path) -> None:
    irradiate(journal, "A", STARTED, mas=None, beam=False)
    assert heat(path, STARTED).heat_j == 0.0


@pytest.mark.req("SR-53")
def test_an_unknown_dose_heats_with_its_maximum(journal: Journal, path: Path) -> None:
    irradiate(journal, "A", STARTED, mas=None)
    plan(journal, "B", STARTED)  # the unit was killed in the beam
    assert heat(path, STARTED).heat_j == pytest.approx(2 * 210)


def test_a_zero_is_a_known_dose(journal: Journal, path: Path) -> None:
    irradiate(journal, "A", STARTED, mas=0.0)
    assert heat(path, STARTED).heat_j == 0.0


@pytest.mark.req("SR-16")
def test_a_clock_that_went_backwards_cools_nothing(journal: Journal, path: Path) -> None:
    irradiate(journal, "A", STARTED)
    irradiate(journal, "B", STARTED + 15 * MINUTE)
    found = heat(path, STARTED - 600 * MINUTE)
    assert found.heat_j == pytest.approx(140 / e + 140)  # as when it was stored last
    assert found.doubt == "the clock is behind the exposure of 2026-01-02T03:19:05+00:00"


@pytest.mark.req("SR-16")
@pytest.mark.parametrize("content", [b"", b"this is no database" * 500])
def test_an_unreadable_journal_is_a_hot_tube(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found = heat(path, STARTED)
    assert found.heat_j == TUBE.heat_max_j
    assert found.doubt is not None
    assert found.doubt.startswith("the tube counts as hot: Reading the journal: ")


@pytest.mark.req("SR-16")
@pytest.mark.parametrize("detail", [{}, {"shot": {"technique": {"kv": None}}}])
def test_so_is_one_with_an_exposure_that_makes_no_sense(
    journal: Journal, path: Path, detail: dict[str, object]
) -> None:
    journal.add_intent(shot_id="A", at=STARTED, exam_id="TEST", planned_mas=1.0, maximum_mas=1.0,
                       detail=detail)  # fmt: skip
    assert heat(path, STARTED).heat_j == TUBE.heat_max_j


# --- who uses it


def test_a_unit_starts_with_it_and_a_replay_with_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tube that is hot when the unit starts refuses the press, then as now."""
    hot_j = 2 * TUBE.heat_max_j

    def hot_unit(*args: Any, **options: Any) -> Unit:
        return build_unit(*args, **options | {"heat_j": hot_j})

    monkeypatch.setattr("rig.model.build_unit", hot_unit)
    monkeypatch.setattr("rig.run_model.record_header", partial(record_header, heat_j=hot_j))
    folder = kept("press_with_door_open", tmp_path)
    refused = [line["because"] for line in read_trace(folder) if line["kind"] == "refused"]
    assert refused == [["DOOR_OPEN", "CHAIN_OPEN", "TUBE_HEAT"]]
    assert replay(folder).differences == ()


def test_it_counts_from_the_units_start() -> None:
    links = Links(generator=pipe()[0], room=pipe()[0], panel=frame_pipe()[0])
    recorder = RecorderReplay(Player())
    unit = build_unit(bench().unit, links, recorder, start_us=7_000_000, heat_j=12.5)
    assert (unit.memory.heat_j, unit.memory.heat_us) == (12.5, 7_000_000)


def test_plan_begins_with_the_heat_that_the_bench_has_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = tmp_path / "dxrig" / "portable"
    words = ["plan", "--kvp", "70", "--mas", "0.5", "--json"]
    assert json.loads(CliRunner().invoke(main, words).stdout)["heat_before_j"] == 0.0
    assert not state.exists()  # looking makes nothing
    state.mkdir(parents=True)
    with closing(Journal(state / "journal.db")) as journal:
        irradiate(journal, "A", datetime.now(UTC))
    found = json.loads(CliRunner().invoke(main, words).stdout)
    assert found["heat_before_j"] == pytest.approx(140, rel=0.05)
    assert found["heat_after_j"] == pytest.approx(35 + found["heat_before_j"])
    assert found["warnings"] == []
    given = CliRunner().invoke(main, [*words, "--heat-j", "10"])
    assert json.loads(given.stdout)["heat_before_j"] == 10.0


def test_plan_says_why_a_tube_counts_as_hot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    state = tmp_path / "dxrig" / "portable"
    state.mkdir(parents=True)
    (state / "journal.db").write_bytes(b"no database" * 500)
    done = CliRunner().invoke(main, ["plan", "--kvp", "70", "--mas", "0.5"])
    assert done.exit_code == 2
    assert "heat = 100035 J is above 100000 J; wait 1 s (the tube counts as hot: " in done.stderr
