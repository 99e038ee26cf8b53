"""A panel that detects X-rays by itself: the whole unit with it, and its driver alone (F42)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware_py.recorder.archive import differences
from firmware_py.recorder.frame_file import unpack
from hal.detectors.aed_panel import Driver
from hal.frame_pipes import frame_pipe
from hal.knocks import FEEDBACK_US
from hal.now import Now
from hal.types import Outputs, PanelState
from rig.bench import load_bench
from rig.bench_names import BENCHES
from rig.exit_codes import ConfigError
from rig.judge import problems
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, load_scenario
from sim.aed_desk import AedDesk
from sim.aed_sensor import AedSensor
from sim.beam import kerma_ugy
from sim.condition import Light
from sim.detector import PanelTimes, SimPanel
from sim.filtration import SimFilter
from sim.geometry import SimGeometry
from sim.pixels import PixelModel

MS = 1_000
TEXT = (BENCHES / "variants" / "portable_aed.toml").read_text()
AED = SHIPPED / "aed"
PIXELS = PixelModel(rows_px=64, columns_px=64, pitch_mm=0.2)


def run(name: str, folder: Path | None = None) -> tuple[ModelRun, list[str]]:
    made = ModelRun(load_bench("portable_aed"), load_scenario(AED / f"{name}.toml"), folder)
    return made, problems(made.scenario.expect, made.run())


@pytest.mark.req("F42")
@pytest.mark.parametrize("name", ["aed_clean", "aed_knock_in_ready", "aed_thick_patient"])
def test_a_scenario_of_a_panel_that_detects_by_itself_holds(name: str) -> None:
    assert run(name)[1] == []


@pytest.mark.req("F42")
def test_a_knock_leaves_its_image_aside_and_the_next_exposure_has_its_own(tmp_path: Path) -> None:
    made, wrong = run("aed_knock", tmp_path)
    assert wrong == []
    told = [text for line in made.lines if line.kind == "handshake"
            for text in line.data.get("troubles", ())]  # fmt: skip
    assert set(told) == {"1 triggers without X-rays: knocks, no image is made"}
    (stray,) = (tmp_path / "exposures").glob("stray-*.raw")
    assert unpack(stray.read_bytes())[0] == b"0001.raw"
    assert differences(tmp_path / "exposures" / "aed_knock-1") == []


def test_the_dose_before_the_trigger_is_lost() -> None:
    """The beam rises for 150 ms; the panel is asked every 5 ms."""
    made, wrong = run("aed_clean")
    assert wrong == []
    world = made.rung.world
    (course,) = world.generator.courses
    (exposed,) = world.panel._kept.values()
    late_us = exposed.start_us - course.on_us
    assert 1 * MS < late_us < 60 * MS
    end_us = course.on_us + 3_000 * MS
    whole_mas = world.generator.light(course.on_us, end_us).mas
    lost_mas = world.generator.light(course.on_us, exposed.start_us).mas
    assert exposed.exposure.mas == pytest.approx(whole_mas - lost_mas)
    assert 0.0 < lost_mas < 0.01 * whole_mas


def test_a_beam_that_triggers_nothing_is_told_as_that() -> None:
    made, _ = run("aed_thick_patient")
    told = {text for line in made.lines if line.kind == "handshake"
            for text in line.data.get("troubles", ())}  # fmt: skip
    assert told == {"1 beams that triggered nothing: irradiated without an image"}
    assert made.rung.world.panel.frame_count() == 0


# --- what the panel triggers by


class Sensed:
    """A sensor in a beam of 80 kV and some mA, at 1 m, 20 cm of field on 20 cm of panel."""

    def __init__(self, ma: float = 1.0, kv: float = 80.0) -> None:
        self.ma, self.kv = ma, kv
        self.panel = SimPanel(panel_id="P", pixels=PIXELS, kerma_source=self.light)
        self.panel.phantom_name = "none"
        self.geometry = SimGeometry(sid_mm=1000.0, field_mm=(200.0, 200.0))
        self.filter = SimFilter(2.5)
        self.sensor = AedSensor(
            self.panel, self.light, geometry=self.geometry, tube_filter=self.filter,
            size_mm=(200.0, 200.0),
        )  # fmt: skip

    def light(self, from_us: int, to_us: int) -> Light:
        return Light(self.ma * (to_us - from_us) / 1e6, self.kv)

    @property
    def rate(self) -> float:
        return self.sensor.rate_ugy_per_s(10 * MS)

    @property
    def sees(self) -> bool:
        return self.sensor.sees(10 * MS)


def test_a_panel_is_triggered_by_the_kerma_rate_that_arrives() -> None:
    """78.4 uGy/mAs at 1 m (qc-and-physics.md 5.4): as many a second of 1 mA."""
    sensed = Sensed()
    assert sensed.rate == pytest.approx(78.4, rel=1e-3)
    assert sensed.panel.trigger_ugy_per_s == 1.0
    for ma, sees in ((1.01 / 78.436, True), (0.99 / 78.436, False), (0.0, False)):
        assert Sensed(ma).sees is sees
    sensed.panel.trigger_ugy_per_s = 79.0
    assert not sensed.sees


@pytest.mark.parametrize(
    ("name", "kv", "ma", "sees"),
    [("chest", 80.0, 1.0, True), ("chest", 80.0, 0.3, False), ("chest", 110.0, 0.3, True),
     ("pmma_100", 80.0, 0.5, True), ("pmma_200", 80.0, 1.0, False), ("hand", 40.0, 0.2, True)],
)  # fmt: skip
def test_a_thick_patient_needs_more_beam_to_trigger(
    name: str, kv: float, ma: float, sees: bool
) -> None:
    sensed = Sensed(ma, kv)
    sensed.panel.phantom_name = name
    assert sensed.sees is sees


def test_a_small_field_a_long_way_and_a_panel_aside_bring_less() -> None:
    whole = Sensed()
    whole.panel.phantom_name = "hand"  # the blades stand with it
    small = Sensed()
    small.panel.phantom_name = "hand"
    small.geometry.field_mm = (20.0, 20.0)
    assert small.rate < 0.02 * whole.rate
    far = Sensed()
    far.geometry.sid_mm = 2000.0
    assert far.rate == pytest.approx(kerma_ugy(80.0, 1.0, 2000.0), rel=1e-6)
    assert 0.2 < far.rate / Sensed().rate < 0.25  # and a metre of air
    aside = Sensed()
    aside.panel.in_beam = False
    assert aside.rate == 0.0


def test_a_lost_filter_triggers_the_sooner() -> None:
    bare = Sensed()
    bare.filter.lost_filtration_mm = 1.5
    assert bare.rate > 1.3 * Sensed().rate


# --- the driver, in virtual time


class Pair:
    """A driver, and a panel whose light and knocks are the test's."""

    def __init__(self, handshake: str = "pzmedical_aed", **times_us: int) -> None:
        ours, self.link = frame_pipe(latency_us=150)
        channels = {"TRIGGERED": 2}
        self.driver = Driver(
            ours, handshake=handshake, channels=channels, panel_id="P-1",
            window_us=2_000 * MS, **times_us,
        )  # fmt: skip
        self.panel = SimPanel(
            panel_id="P-1", pixels=PIXELS, kerma_source=lambda a, b: Light(0.0, 0.0),
            times=PanelTimes(t_prep_us=0, window_us=2_000 * MS),
        )  # fmt: skip
        self.light, self.t_us = False, 0
        self.desk = AedDesk(
            self.panel, lambda t_us: self.light, handshake=handshake, channels=channels
        )

    def run(self, for_ms: int, **outputs: Any) -> PanelState:
        for _ in range(for_ms):
            self.t_us += MS
            now = Now(self.t_us)
            for message in self.link.read(self.t_us):
                self.desk.receive(now, message)
            for reply in self.desk.poll(now):
                self.link.write(self.t_us, reply)
            if self.t_us % (5 * MS) == 0:
                self.driver.read(now)
                self.driver.write(now, Outputs(**outputs))
        return self.driver.sample.state

    def asked(self, for_ms: int, **more: Any) -> PanelState:
        return self.run(for_ms, prepare_panel=True, window_from_us=7, window_shot_id="S", **more)

    def armed(self) -> Pair:
        assert self.run(5_100, prepare_panel=True) is PanelState.READY
        return self

    @property
    def told(self) -> str:
        return "; ".join(self.driver.sample.troubles)


def test_it_is_ready_when_its_maker_s_time_to_arm_is_over_and_not_before() -> None:
    pair = Pair()
    assert pair.run(4_900, prepare_panel=True) is PanelState.PREPARING
    assert pair.run(200, prepare_panel=True) is PanelState.READY


def test_x_rays_that_the_generator_indicates_make_the_trigger_an_image() -> None:
    pair = Pair().armed()
    assert pair.asked(50) is PanelState.INTEGRATING
    pair.light = True
    assert pair.asked(150) is PanelState.INTEGRATING
    assert pair.asked(500, beam_seen=True) is PanelState.INTEGRATING
    pair.light = False
    assert pair.run(50, prepare_panel=True) is PanelState.READOUT
    assert pair.run(2_500, prepare_panel=True) is PanelState.RECOVER
    assert (pair.driver.sample.frame_count, pair.told) == (1, "")


@pytest.mark.req("F42")
def test_a_trigger_without_them_is_a_knock_and_the_panel_arms_again() -> None:
    pair = Pair().armed()
    pair.panel.knocked = True
    pair.run(FEEDBACK_US // MS + 100, prepare_panel=True)
    assert pair.driver.sample.state is PanelState.RECOVER
    assert pair.told.startswith("1 triggers without X-rays")
    assert pair.run(14_700, prepare_panel=True) is PanelState.PREPARING
    assert pair.run(300, prepare_panel=True) is PanelState.READY
    assert pair.driver.sample.frame_count == 0


@pytest.mark.req("F42")
def test_a_knock_in_the_window_closes_it_and_it_does_not_open_again() -> None:
    pair = Pair("rayence_aed", arm_us=100 * MS, recover_us=100 * MS)
    pair.run(300, prepare_panel=True)
    assert pair.asked(50) is PanelState.INTEGRATING
    pair.panel.knocked = True
    assert pair.asked(250) is PanelState.RECOVER
    pair.asked(6_000)
    assert pair.driver.sample.state is not PanelState.INTEGRATING


def test_a_beam_that_triggers_nothing_is_told() -> None:
    """Its field is too small for the panel, or the panel still arms: irradiated for nothing."""
    pair = Pair().armed()
    pair.asked(300, beam_seen=True)
    assert pair.told == "1 beams that triggered nothing: irradiated without an image"


# --- the bench file


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pzmedical_aed", "canon_cxdi_80c", "no such table for aed_panel"),
        ("pzmedical_aed", "rayence_aed", "recover_ms: is missing: Rayence wireless"),
        ("TRIGGERED = 0", "TRIGERED = 0", "is no line of this table; did you mean 'TRIGGERED'"),
        ("TRIGGERED = 0", "TRIGERED = 0", "TRIGGERED is missing: each line needs its channel"),
    ],
)
def test_a_line_that_does_not_fit_is_refused_with_the_reason(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(f'"{old}"', f'"{new}"').replace(f"{{ {old}", f"{{ {new}"))
    with pytest.raises(ConfigError) as caught:
        load_bench(path)
    assert any(told in line for line in caught.value.messages), caught.value.messages
