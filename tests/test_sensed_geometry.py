"""Collimator, distance and DAP meter on the benches that have them: a whole unit and its room."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from firmware_py.recorder.dicom import dx
from firmware_py.recorder.dicom.checks import problems
from hal.types import ExposureReport
from rig.bench import Bench, bench_of, load_bench
from rig.exit_codes import ConfigError
from rig.exposures.words import dap_text
from rig.injections import known_injection
from rig.matrix.run import run_matrix
from rig.model import aluminium_of, setting_of
from rig.replay import replay
from rig.run_model import ModelRun
from rig.scenario import Scenario, StepSection
from sim.beam import kerma_ugy
from sim.build import pixel_model
from sim.condition import Light
from sim.geometry import SimGeometry
from sim.pixels import PixelModel
from sim.script import NotOnThisBenchError, do
from sim.sensors import SimCollimator, SimDap
from tests.exposures import facts, ramp, report, unit_config
from tests.model_runs import scenario
from tests.sim_world import sim_world


@cache
def bench(name: str) -> Bench:
    return load_bench(name)


@cache
def panel(name: str) -> PixelModel:
    return pixel_model(setting_of(bench(name)))


def story(*steps: StepSection, **shot: Any) -> Scenario:
    """A beam of 100 ms, and what goes wrong in it."""
    clean = scenario("clean_by_mas")
    asked = clean.shot.model_copy(update={"beam_s": 0.1} | shot)
    return clean.model_copy(update={"shot": asked, "step": [*clean.step, *steps]})


def made(
    name: str,
    *steps: StepSection,
    folder: Path | None = None,
    until: tuple[str, int] = ("STANDBY", 2),
    **shot: Any,
) -> ModelRun:
    told = story(*steps, **shot)
    over = told.until.model_copy(update={"event": until[0], "nth": until[1]})
    told = told.model_copy(update={"until": over})
    run = ModelRun(bench(name), told, folder, pixels=panel(name))
    run.run()
    return run


REFUSED = ("RELEASE_WAIT", 2)


@cache
def clean(name: str) -> ModelRun:
    return made(name)


def step(do_: str, event: str = "start", **args: Any) -> StepSection:
    return StepSection(event=event, do=do_, args=args)


def reported(run: ModelRun) -> dict[str, Any]:
    (found,) = [line.data for line in run.lines if line.kind == "report"]
    return found


def path(run: ModelRun) -> list[str]:
    return [line.data["to"] for line in run.lines if line.kind == "state"]


# --- F27


@pytest.mark.req("SR-09", "SR-53", "F27")
def test_f27_is_answered_in_the_room_before_and_in_the_beam() -> None:
    states = ("STANDBY", "PREP", "EXPOSE")
    matrix = run_matrix(bench("room"), {"F27": known_injection("F27")}, states)
    assert [(r.state, r.moment, r.wrong) for r in matrix.failures] == []
    assert [(r.state, r.moment) for r in matrix.results] == [
        ("STANDBY", ""), ("PREP", ""), ("EXPOSE", "early"), ("EXPOSE", "middle"),
        ("EXPOSE", "late"),
    ]  # fmt: skip


@pytest.mark.req("SR-09", "F27")
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (step("geometry", sid_mm=1000.0), "SID_WRONG"),
        (step("geometry", rows_mm=600.0), "FIELD_OFF_PANEL"),
        (step("collimator", sensor_failed=True), "SID_WRONG"),
        (step("collimator", moving=True), "FIELD_OFF_PANEL"),
        (step("line", device="collimator", silent=True), "COLLIMATOR_LOST"),
        (step("power off", device="collimator"), "COLLIMATOR_LOST"),
    ],
)  # fmt: skip
def test_a_press_is_refused_with_what_is_wrong_of_the_geometry(
    wrong: StepSection, code: str
) -> None:
    run = made("room", wrong, until=REFUSED)
    assert run.seen().beams == []
    refused = [line.data["because"] for line in run.lines if line.kind == "refused"]
    assert refused == [[code]]


@pytest.mark.req("SR-09")
def test_a_tube_at_the_distance_that_was_asked_for_exposes() -> None:
    run = made("room", sid_mm=1000.0)
    assert len(run.seen().beams) == 1
    assert reported(run)["sid_mm"] == 1000.0


@pytest.mark.req("SR-09")
def test_a_collimator_that_falls_silent_in_the_beam_ends_it() -> None:
    run = made("room", step("line", "beam_on", device="collimator", silent=True),
               beam_s=1.0, until=("FAULT", 1))  # fmt: skip
    (seen,) = run.seen().beams
    assert seen.off_us is not None
    assert seen.off_us - seen.on_us <= 300_000
    assert reported(run)["fault"] == "COLLIMATOR_LOST"
    assert "field_rows_mm" not in reported(run)


# --- the meter in the beam


def test_the_meter_and_the_computed_value_agree_where_all_is_well() -> None:
    for name in ("room", "mobile"):
        found = reported(clean(name))
        assert found["dap_dgycm2"] == pytest.approx(found["calculated_dap_dgycm2"], rel=0.03), name
        assert "dap_doubt" not in found


def test_the_meter_measures_the_beam_that_there_was() -> None:
    """Kerma of the simulator's own beam at 1 m, times the field there: not the plan's.

    Of the charge, but for half of what flows in the fall: kV is on its way down there.
    """
    run = made("mobile", step("generator", ma_factor=1.1))
    (beam,) = run.seen().beams
    light_mas = beam.mas - 0.1 * 80.0 / 1e3 / 2
    area_m2 = (0.35 / 1.2) ** 2
    assert reported(run)["dap_dgycm2"] == pytest.approx(
        kerma_ugy(80.0, light_mas, aluminium_mm=2.8) * area_m2 / 10, rel=0.01
    )


def test_the_panel_sees_the_filtered_beam() -> None:
    """A metre away, without a phantom: 10 mm of aluminium pass less than half of what 2.5 pass."""
    thin, thick = (
        pixel_model(replace(setting_of(bench("mobile")), aluminium_mm=mm)) for mm in (2.5, 10.0)
    )
    dark, *lit = (
        float(np.mean(made.frame(mas, 80.0, 0, 0, "none")))
        for made, mas in ((thin, 0.0), (thin, 0.5), (thick, 0.5))
    )
    assert lit[1] - dark < 0.5 * (lit[0] - dark)


@pytest.mark.parametrize(
    ("tube", "aluminium_mm"),
    [
        ({"filter_mm": 3.1}, 3.1),
        ({"filter_mm": 0.0}, 2.5),
        ({"filter_mm": 0.3, "filter_material": "COPPER"}, 2.5),
    ],
)
def test_a_tube_whose_aluminium_no_bench_names_has_what_any_tube_has(
    tube: dict[str, Any], aluminium_mm: float
) -> None:
    assert aluminium_of(unit_config(tube=tube)) == aluminium_mm


@pytest.mark.parametrize("name", ["room", "mobile"])
def test_a_benchs_table_of_output_is_its_simulated_tubes(name: str) -> None:
    unit = load_bench(name).unit
    assert unit.dap is not None
    for kv, output_ugy in unit.dap.output_ugy_per_mas:
        one = kerma_ugy(kv, 1.0, aluminium_mm=unit.tube.filter_mm)
        assert output_ugy == pytest.approx(one, abs=0.06), kv


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("name", "wrong", "doubt"),
    [
        ("room", step("dap", dap_dead=True), "DAP_DEVIATES"),
        ("mobile", step("dap", dap_dead=True), "DAP_DEVIATES"),
        ("room", step("dap", dap_stuck=True), "DAP_DEVIATES"),
        ("room", step("dap", dap_pct=150.0), "DAP_DEVIATES"),
        ("mobile", step("dap", dap_pct=150.0), "DAP_DEVIATES"),
        ("room", step("dap", dap_no_voltage=True), "DAP_LOST"),
        ("room", step("line", device="dap", silent=True), "DAP_LOST"),
        ("room", step("line", "beam_on", device="dap", silent=True), "DAP_LOST"),
        ("room", step("reboot", "beam_on", device="dap", dark_ms=300.0), "DAP_LOST"),
        ("mobile", step("power off", device="dap"), "DAP_LOST"),
    ],
)  # fmt: skip
def test_a_meter_that_fails_is_told_and_keeps_nobody_from_a_beam(
    name: str, wrong: StepSection, doubt: str
) -> None:
    good, run = clean(name), made(name, wrong)
    found = reported(run)
    assert found["dap_doubt"] == doubt
    assert found["calculated_dap_dgycm2"] == reported(good)["calculated_dap_dgycm2"]
    assert (found["reason"], path(run)) == ("planned end", path(good))
    assert [b.off_us for b in run.seen().beams] == [b.off_us for b in good.seen().beams]


def test_a_bench_that_wants_its_meter_does_not_expose_without() -> None:
    text = bench("mobile").path.read_text().replace("required = false", "required = true")
    strict = bench_of(text, bench("mobile").path)
    off = story(step("power off", device="dap"))
    until = off.until.model_copy(update={"event": "RELEASE_WAIT", "nth": 2})
    run = ModelRun(strict, off.model_copy(update={"until": until}), pixels=panel("mobile"))
    seen = run.run()
    assert seen.beams == []
    assert [x.data["because"] for x in run.lines if x.kind == "refused"] == [["DAP_METER"]]


# --- the simulated sensors


def test_a_field_that_moves_after_the_beam_moves_no_dose() -> None:
    place = SimGeometry(sid_mm=1000.0, field_mm=(200.0, 500.0))
    meter = SimDap(
        place, lambda from_us, to_us: [Light(1.0 if from_us < 10 <= to_us else 0.0, 80.0)]
    )
    whole = meter.seen(20).dap_dgycm2
    meter.field_moves(20)
    place.move(rows_mm=20.0)
    assert whole == pytest.approx(kerma_ugy(80.0, 1.0) * 0.1 / 10)
    assert meter.seen(30).dap_dgycm2 == whole
    meter.reset(30)
    assert meter.seen(40).dap_dgycm2 == 0.0


def test_the_blades_scale_is_that_of_one_metre() -> None:
    place = SimGeometry(sid_mm=2000.0, field_mm=(300.0, 200.0))
    seen = SimCollimator(place).seen(0)
    assert (seen.sid_mm, seen.rows_mm, seen.columns_mm) == (2000.0, 150.0, 100.0)


@pytest.mark.parametrize("verb", ["collimator", "dap"])
def test_a_room_without_them_says_so(verb: str) -> None:
    args = {"collimator": {"moving": True}, "dap": {"dap_dead": True}}[verb]
    with pytest.raises(NotOnThisBenchError, match="on this bench"):
        do(sim_world().world, verb, args)
    with pytest.raises(NotOnThisBenchError, match=f"this bench has no {verb} that speaks"):
        do(sim_world().world, "line", {"device": verb, "silent": True})


# --- what is left of it


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The room with a smaller field, from start to end, and its folder."""
    folder = tmp_path_factory.mktemp("room")
    run = made("room", step("geometry", rows_mm=140.0, columns_mm=210.0), folder=folder)
    run.finish()
    return folder


def test_a_run_with_five_links_replays_equal(recorded: Path) -> None:
    assert replay(recorded).differences == ()


def test_polling_in_every_scan_makes_the_same_run() -> None:
    jumping = clean("room")
    plain = ModelRun(bench("room"), story(), pixels=panel("room"), jump=False)
    plain.run()
    shown = [[line.as_json() for line in run.lines] for run in (jumping, plain)]
    assert shown[0] == shown[1]


def test_the_image_is_cut_where_the_header_says(recorded: Path) -> None:
    """140 x 210 mm are 100 x 150 pixels of 1.4 mm, in the middle of 256."""
    (file,) = recorded.glob("exposures/*/processing.dcm")
    image = pydicom.dcmread(file)
    top, bottom = image.CollimatorUpperHorizontalEdge, image.CollimatorLowerHorizontalEdge
    left, right = image.CollimatorLeftVerticalEdge, image.CollimatorRightVerticalEdge
    assert image.CollimatorShape == "RECTANGULAR"
    assert (top, bottom, left, right) == (79, 178, 54, 203)
    assert image.ExposedArea == [140, 210]
    pixels = image.pixel_array.astype(float)
    dark = np.median(pixels[:20, :20])
    rows, columns = pixels[:, 60:70].mean(axis=1), pixels[85:95, :].mean(axis=0)
    lit = [np.flatnonzero(line > dark + 0.3 * (line.max() - dark)) for line in (rows, columns)]
    edges = [edge for line in lit for edge in (line[0] + 1, line[-1] + 1)]
    assert edges == pytest.approx([top, bottom, left, right], abs=1)


def test_the_header_has_the_measured_product_and_says_so(recorded: Path) -> None:
    (file,) = recorded.glob("exposures/*/processing.dcm")
    image = pydicom.dcmread(file)
    told = json.loads(file.with_name("exposure.json").read_text())["report"]
    assert float(image.ImageAndFluoroscopyAreaDoseProduct) == told["dap_dgycm2"] > 0.0
    assert "DAP measured by a meter in the beam; calculated" in image.CommentsOnRadiationDose
    assert image.DistanceSourceToDetector == 1150
    manifest = json.loads((recorded / "run.json").read_text())
    assert manifest["dap"]["dap_dgycm2"] == told["dap_dgycm2"]
    assert manifest["dap"]["instrument"] == "independent: the meter in the beam"


MEASURED = {"dap_dgycm2": 1.05, "calculated_dap_dgycm2": 1.0}


@pytest.mark.parametrize(
    ("changed", "value", "comment"),
    [
        (MEASURED, 1.05, "DAP measured by a meter in the beam; calculated 1 dGy.cm2."),
        ({"dap_dgycm2": 1.05}, 1.05, "DAP measured by a meter in the beam."),
        ({"calculated_dap_dgycm2": 1.0, "dap_doubt": "DAP_LOST"}, 1.0,
         "DAP calculated, not measured."),
        (MEASURED | {"dap_dgycm2": 0.0, "dap_doubt": "DAP_DEVIATES"}, 1.0,
         "DAP calculated; the two DISAGREE: measured 0, calculated 1 dGy.cm2."),
        (MEASURED | {"dap_dgycm2": 2.0, "dap_doubt": "DAP_DEVIATES"}, 2.0,
         "DAP measured; the two DISAGREE: measured 2, calculated 1 dGy.cm2."),
    ],
)  # fmt: skip
def test_the_comment_says_which_of_the_two_the_value_is(
    changed: dict[str, Any], value: float, comment: str
) -> None:
    image = dx.for_processing(facts(report=report(**changed)))
    assert float(image.ImageAndFluoroscopyAreaDoseProduct) == value
    assert comment in image.CommentsOnRadiationDose
    assert len(image.CommentsOnRadiationDose) <= 1024
    assert problems(image, ramp()) == []


def test_a_bench_without_a_meter_says_nothing_of_one() -> None:
    image = dx.for_processing(facts())
    assert "ImageAndFluoroscopyAreaDoseProduct" not in image
    assert "DAP" not in image.CommentsOnRadiationDose


def test_a_sensed_field_larger_than_the_panel_ends_at_its_edges() -> None:
    unit = unit_config()
    wide: ExposureReport = report(sid_mm=1000.0, field_rows_mm=900.0, field_columns_mm=100.0)
    image = dx.for_processing(facts(unit=unit, report=wide))
    assert (image.CollimatorUpperHorizontalEdge, image.CollimatorLowerHorizontalEdge) == (1, 256)
    assert image.CollimatorLeftVerticalEdge > 1
    assert problems(image, ramp()) == []


@pytest.mark.parametrize(
    ("dose", "text"),
    [
        ({}, ""),
        (MEASURED, "1.050 dGy cm2 measured, 1.000 computed"),
        ({"dap_dgycm2": 1.05}, "1.050 dGy cm2 measured, not computed"),
        ({"calculated_dap_dgycm2": 1.0, "dap_doubt": "DAP_LOST"},
         "not measured, 1.000 computed; No dose-area product from the meter: it is only computed."),
    ],
)  # fmt: skip
def test_an_exposure_tells_both_values(dose: dict[str, Any], text: str) -> None:
    assert dap_text(dose) == text


# --- the bench file


def told(name: str, *changes: tuple[str, str]) -> list[str]:
    text = bench(name).path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ConfigError) as error:
        bench_of(text, bench(name).path)
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("room", ('sid = "sensed"', 'sid = "entered"'),
         'geometry.sid: "entered", but [collimator] tells the distance: write "sensed"'),
        ("mobile", ('sid = "entered"', 'sid = "sensed"'),
         'geometry.sid: "sensed" needs the section [collimator]'),
        ("room", ('"blade_lines"', '"blade_line"'),
         "collimator.driver: no driver \"blade_line\" in hal/collimators; did you mean "
         "'blade_lines'?"),
        ("mobile", ('"dap_lines"', '"multidos"'), "dap.driver: no driver \"multidos\""),
        ("mobile", ("[133.0, 169.1],", ""),
         "dap.output_ugy_per_mas: its kV must reach from the tube's 40 to 133"),
        ("mobile", ("[133.0, 169.1],", "[133.0, -1.0],"), "dap.output_ugy_per_mas: "),
    ],
)  # fmt: skip
def test_what_does_not_go_together_in_a_bench_file_is_told(
    name: str, change: tuple[str, str], wanted: str
) -> None:
    assert [line for line in told(name, change) if wanted in line]


def test_a_bench_without_them_is_the_one_that_it_was() -> None:
    """Its hash names panel sets and records: an older file's does not change with new keys."""
    text = bench("portable").path.read_text()
    known = bench_of(text.replace("sid_mm = 1000.0", 'sid_mm = 1000.0\nsid = "entered"'),
                     bench("portable").path)  # fmt: skip
    assert known.hash == bench("portable").hash
