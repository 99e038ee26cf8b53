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
from sim.condition import Light
from sim.detector import PanelTimes, SimPanel
from sim.pixels import PixelModel

MS = 1_000
TEXT = (BENCHES / "variants" / "portable_aed.toml").read_text()
AED = SHIPPED / "aed"
PIXELS = PixelModel(rows_px=64, columns_px=64, pitch_mm=0.2)


def run(name: str, folder: Path | None = None) -> tuple[ModelRun, list[str]]:
    made = ModelRun(load_bench("portable_aed"), load_scenario(AED / f"{name}.toml"), folder)
    return made, problems(made.scenario.expect, made.run())


@pytest.mark.req("F42")
@pytest.mark.parametrize("name", ["aed_clean", "aed_knock_in_ready"])
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
