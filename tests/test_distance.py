"""The distance of one exposure: what a place allows, and all that follows it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from firmware_py.recorder.dicom import dx
from firmware_py.recorder.messages import intent_from_dict, intent_to_dict, report_to_dict
from hal.types import GeometryData, Shot
from rig.bench import Bench, load_bench
from rig.cli import main
from rig.distance import inverse_square
from rig.exit_codes import UsageError
from rig.run_model import ModelRun, shot_of
from rig.scenario import ShotSection
from rig.scenario_on import cannot_show
from sim.beam import kerma_ugy
from sim.chambers import Chambers
from sim.geometry import SimGeometry
from sim.pixels import PixelModel
from sim.script import ScriptError, do
from tests.exposures import facts, intent, report
from tests.model_runs import scenario
from tests.sim_world import sim_world
from tests.test_sim_chambers import SETTING

PLACE = GeometryData(
    sid_mm=1200.0,
    sid_mm_min=1000.0,
    sid_mm_max=1800.0,
    rows_mm=358.0,
    columns_mm=358.0,
    field_rows_mm=350.0,
    field_columns_mm=350.0,
)


@cache
def mobile() -> Bench:
    return load_bench("mobile")


def planned(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["plan", "--kvp", "80", "--mas", "2.5", *words])
    return done.exit_code, done.output


# --- before anything runs


def test_a_plan_at_another_distance_says_so_with_what_the_place_allows() -> None:
    code, said = planned("--bench", "mobile", "--sid-mm", "1500")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert code == 0
    assert "receptor free at 1500 mm, no grid 1000 to 1800 mm" in lines


def test_a_plan_as_json_has_the_distance_of_this_exposure() -> None:
    own = json.loads(planned("--bench", "mobile", "--json")[1])
    other = json.loads(planned("--bench", "mobile", "--sid-mm", "1000", "--json")[1])
    assert (own["sid_mm"], other["sid_mm"]) == (1200.0, 1000.0)


@pytest.mark.parametrize(
    ("bench", "typed", "told"),
    [
        ("mobile", "1801", "sid-mm = 1801 mm is outside 1000 to 1800 mm (receptors.free); "
                           "nearest: 1800"),
        ("mobile", "-5", "sid-mm = -5 mm is outside 1000 to 1800 mm (receptors.free); "
                         "nearest: 1000"),
        ("mobile", "nan", "sid-mm must be a number, got nan"),
        ("room", "1200", "sid-mm = 1200 mm is outside 1000 to 1150 mm (receptors.table); "
                         "nearest: 1150"),
        ("portable", "1200", "sid-mm = 1200 mm: the bench file has no [receptors.free], so only "
                             "its own 1000 mm"),
    ],
)  # fmt: skip
def test_a_distance_that_the_place_has_not_is_refused_with_the_nearest(
    bench: str, typed: str, told: str
) -> None:
    done = CliRunner().invoke(
        main, ["plan", "--bench", bench, "--kvp", "80", "--ma", "10", "--ms", "100",
               "--sid-mm", typed],
    )  # fmt: skip
    assert done.exit_code == 2
    assert done.output.strip().splitlines()[-1].endswith(told) or told in done.output


def test_a_farther_tube_needs_the_inverse_square_more_charge() -> None:
    unit = mobile().unit
    assert inverse_square(unit, None) == 1.0
    assert inverse_square(unit, 1800.0) == 2.25


# --- the simulated room


def model() -> PixelModel:
    return PixelModel(rows_px=128, columns_px=128, pitch_mm=1.4, sid_mm=1000.0, objects=())


def signal(made: PixelModel, **where: Any) -> np.ndarray[Any, Any]:
    """Counts of the beam alone, in a field of 100 mm."""
    where = {"field_mm": (100.0, 100.0)} | where
    lit = made.frame(0.5, 80.0, 0, 7, **where).astype(float)
    return lit - made.frame(0.0, 80.0, 0, 7, **where)


def test_twice_as_far_the_panel_gets_a_quarter_less_what_the_air_takes() -> None:
    made = model()
    near, far = (np.median(signal(made, sid_mm=mm)[50:78, 50:78]) for mm in (1000.0, 2000.0))
    assert 0.239 < kerma_ugy(80.0, 1.0, 2000.0) / kerma_ugy(80.0, 1.0) < 0.24
    bent = 1.0 - 0.01 * near / 16383, 1.0 - 0.01 * far / 16383  # the panel's own, to first order
    shown = kerma_ugy(80.0, 1.0, 2000.0) / kerma_ugy(80.0, 1.0) * bent[1] / bent[0]
    assert far / near == pytest.approx(shown, rel=0.005)


def test_a_smaller_field_leaves_the_edges_without_beam() -> None:
    made = model()
    field = signal(made, field_mm=(70.0, 112.0))  # 50 rows, 80 columns of 1.4 mm
    lit = field > 0.5 * np.median(field[50:78, 50:78])
    assert (lit[:, 64].sum(), lit[64, :].sum()) == (50, 80)
    assert np.median(field[:38]) == pytest.approx(0.0, abs=1.0)


def test_the_chambers_see_the_distance_at_which_the_tube_stands_now() -> None:
    stands = SimGeometry(sid_mm=1000.0, field_mm=(200.0, 200.0))
    made = Chambers(SETTING, lambda: "none", geometry=stands)
    near_ugy = made._signal_ugy("centre", 80.0, 1)
    stands.move(sid_mm=1500)
    assert near_ugy == pytest.approx(kerma_ugy(80.0, 1.0))
    assert made._signal_ugy("centre", 80.0, 1) == pytest.approx(kerma_ugy(80.0, 1.0, 1500.0))
    assert kerma_ugy(80.0, 1.0, 1500.0) < near_ugy / 2.25  # and through half a metre more of air


def test_a_tube_that_moves_keeps_its_light_field_on_the_receptor() -> None:
    stands = SimGeometry(sid_mm=1000.0, field_mm=(200.0, 300.0))
    stands.move(sid_mm=2000.0)
    assert (stands.field_mm, stands.opening_mm) == ((200.0, 300.0), (100.0, 150.0))
    stands.move(rows_mm=100)
    assert (stands.field_mm, stands.opening_mm) == ((100.0, 300.0), (50.0, 150.0))


@pytest.mark.parametrize("wrong", [{"sid_mm": 299.0}, {"rows_mm": -1.0}, {"columns_mm": "wide"}])
def test_the_room_refuses_what_no_tube_can(wrong: dict[str, Any]) -> None:
    world = sim_world().world
    with pytest.raises(ScriptError, match=next(iter(wrong))):
        do(world, "geometry", wrong)
    assert (world.geometry.sid_mm, world.geometry.field_mm) == (1000.0, (200.0, 200.0))


# --- what is left of it


def test_an_exposure_at_another_distance_is_recorded_and_written_with_it(tmp_path: Path) -> None:
    story = scenario("clean_by_mas")
    story = story.model_copy(update={"shot": story.shot.model_copy(update={"sid_mm": 1500.0})})
    made = ModelRun(mobile(), story, tmp_path)
    seen = made.run()
    assert (len(seen.beams), made.rung.world.geometry.sid_mm) == (1, 1500.0)
    (record,) = (tmp_path / "exposures").glob("*/exposure.json")
    content = json.loads(record.read_text())
    assert {content[name]["shot"]["sid_mm"] for name in ("intent", "report")} == {1500.0}
    for name in ("processing", "presentation"):
        assert pydicom.dcmread(record.with_name(f"{name}.dcm")).DistanceSourceToDetector == 1500


def test_an_image_of_no_distance_of_its_own_has_the_benchs() -> None:
    assert dx.for_processing(facts()).DistanceSourceToDetector == 1000
    other = report(shot=replace(report().shot, sid_mm=1234.0))
    assert dx.for_processing(facts(report=other)).DistanceSourceToDetector == 1234


def test_a_record_says_nothing_of_a_distance_that_nobody_asked_for() -> None:
    assert "sid_mm" not in intent_to_dict(intent())["shot"]
    assert "sid_mm" not in report_to_dict(report())["shot"]
    asked = replace(intent(), shot=replace(intent().shot, sid_mm=1100.0))
    assert intent_from_dict(intent_to_dict(asked)) == asked


def test_a_scenario_may_name_a_distance() -> None:
    shot: Shot = shot_of(mobile(), ShotSection(mas=2.5, ma=100.0, sid_mm=1800.0), "s")
    assert shot.sid_mm == 1800.0
    far = scenario("clean_by_mas")
    far = far.model_copy(update={"shot": far.shot.model_copy(update={"sid_mm": 1800.0})})
    assert cannot_show(far, mobile()) is None
    assert cannot_show(far, load_bench("room")) == (
        "its receptor can't stand there: sid-mm = 1800 mm is outside 1000 to 1150 mm "
        "(receptors.table); nearest: 1150"
    )
    with pytest.raises(UsageError, match=r"sid-mm = 1900 mm is outside"):
        shot_of(mobile(), ShotSection(mas=2.5, ma=100.0, sid_mm=1900.0), "s")
