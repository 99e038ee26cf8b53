"""A panel on discrete lines: the whole unit with it on the model rung, and the driver alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from firmware_py.config import FolderConfig
from firmware_py.recorder.archive import differences
from firmware_py.recorder.process import Process, read_config
from firmware_py.recorder.store.exposures import read_exposures
from hal.clock import WallClock
from hal.detectors.line_panel import Driver
from hal.detectors.line_panel_desk import Desk
from hal.device_links import ListenerLink
from hal.frame_pipes import FramesOfBytes, frame_pipe
from hal.handshakes import HANDSHAKES, TO_PANEL
from hal.links import TcpLink
from hal.now import Now
from hal.types import Outputs, PanelSample, PanelState
from rig.bench import load_bench
from rig.bench_names import BENCHES
from rig.exit_codes import ConfigError, UsageError
from rig.judge import Seen, problems
from rig.replay import replay
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, load_scenario
from rig.sim_server import SimServer
from sim.condition import Light
from sim.detector import PanelTimes, SimPanel
from sim.pixels import PixelModel
from tests.exposures import intent, report
from tests.test_recorder_process import config as config  # a fixture

MS = 1_000
PIXELS = PixelModel(rows_px=64, columns_px=64, pitch_mm=0.2)
TEXT = (BENCHES / "variants" / "portable_lines.toml").read_text()
LINES = SHIPPED / "lines"


def run(
    name: str, folder: Path | None = None, *, args: dict[str, Any] | None = None
) -> tuple[ModelRun, Seen]:
    scenario = load_scenario(LINES / f"{name}.toml")
    if args is not None:
        first = scenario.step[0].model_copy(update={"args": args})
        scenario = scenario.model_copy(update={"step": [first, *scenario.step[1:]]})
    made = ModelRun(load_bench("portable_lines"), scenario, folder)
    return made, made.run()


def handshake(made: ModelRun) -> list[tuple[int, tuple[str, ...]]]:
    """(us, active lines) at each change after start-up."""
    rows = [(line.t_us, tuple(line.data["lines"]))
            for line in made.lines
            if line.kind == "handshake" and "lines" in line.data]  # fmt: skip
    return rows[1:]


def troubles(made: ModelRun) -> list[str]:
    told: list[str] = []
    for line in made.lines:
        if line.kind == "handshake":
            told += [text for text in line.data.get("troubles", ()) if text not in told]
    return told


# --- the whole unit


@pytest.mark.parametrize("name", sorted(path.stem for path in LINES.glob("*.toml")))
def test_a_scenario_of_the_lines_holds(name: str) -> None:
    made, seen = clean() if name == "lines_clean" else run(name)
    assert problems(made.scenario.expect, seen) == []


def test_the_lines_go_as_the_document_has_them_and_the_image_comes_by_the_folder(
    tmp_path: Path,
) -> None:
    """RX_COM 120 ms after RX_REQ; RX_REQ drops one scan after the generator says that it is off."""
    made, _ = run("lines_clean", tmp_path)
    (_, off_us) = [line.t_us for line in made.lines
                   if line.kind == "generator" and line.data.get("beam_on") is False]  # fmt: skip
    rows = handshake(made)
    assert [lines for _, lines in rows] == [
        ("RX_REQ",), ("RX_REQ", "RX_COM"), ("RX_COM",), (),
    ]  # fmt: skip
    assert rows[1][0] - rows[0][0] == 120 * MS
    assert rows[2][0] == off_us + 5 * MS
    folder = tmp_path / "exposures" / "lines_clean-1"
    assert (folder / "presentation.dcm").is_file()
    assert differences(folder) == []
    made.finish()
    assert replay(tmp_path).equal


@cache
def clean() -> tuple[ModelRun, Seen]:
    """Without files; read only."""
    return run("lines_clean")


def test_a_slow_generator_is_told_by_the_document_s_time() -> None:
    """T_PRE_DELAY is 0-100 ms; an IXS answers ON at the end of its ramp, 195 ms later."""
    assert troubles(clean()[0]) == ["the X-rays began late: less of the window is left"]


@pytest.mark.req("F30", "SR-30")
@pytest.mark.parametrize(("late_us", "beams_count"), [(180 * MS, 1), (200 * MS, 0)])
def test_a_grant_counts_up_to_300_ms_and_not_later(late_us: int, beams_count: int) -> None:
    """T_PREP at the panel: 300 ms and 320; the way there and back is 15 ms at most."""
    made, _ = run("lines_grant_late", args={"late_window_us": late_us})
    assert len(made.rung.world.generator.courses) == beams_count
    late = "the panel did not enable the exposure in time"
    assert (late in troubles(made)) is (beams_count == 0)


@pytest.mark.req("F37")
def test_a_file_that_was_acquired_for_nobody_is_kept_aside_by_the_recorder(
    tmp_path: Path,
) -> None:
    made = ModelRun(
        load_bench("portable_lines"), load_scenario(LINES / "lines_clean.toml"), tmp_path
    )
    assert made.rung.folder is not None
    made.rung.folder.drop(bytes(131_072 + 4), 500 * MS, name="x.raw", write_us=0, how="in place")
    made.run()
    (stray,) = (tmp_path / "exposures").glob("stray-*.raw")
    assert b"x.raw" in stray.read_bytes()
    assert (tmp_path / "exposures" / "lines_clean-1" / "presentation.dcm").is_file()


# --- the driver and the module


class Pair:
    """A unit's driver and a panel behind its module, in virtual time."""

    def __init__(self, handshake: str = "canon_cxdi_80c", **times: int) -> None:
        names = HANDSHAKES[handshake].lines.values()
        self.channels = {name: at for at, name in enumerate(names)}
        ours, theirs = frame_pipe(latency_us=150)
        grant_us = None if HANDSHAKES[handshake].grant_us else 300 * MS
        self.driver = Driver(
            ours, handshake=handshake, channels=self.channels, panel_id="P-1",
            window_us=5_000 * MS, grant_us=grant_us, readout_us=1_000 * MS,
        )  # fmt: skip
        self.link = theirs
        self.panel = SimPanel(
            panel_id="P-1", pixels=PIXELS, kerma_source=lambda a, b: Light(0.0, 0.0),
            times=PanelTimes(**times),
        )  # fmt: skip
        self.desk = Desk(self.panel, handshake=handshake, channels=self.channels)
        self.powered, self.t_us = True, 0

    def run(self, for_ms: int, **outputs: Any) -> PanelState:
        for _ in range(for_ms):
            self.t_us += MS
            now = Now(self.t_us)
            for message in self.link.read(self.t_us):
                if self.powered:
                    self.desk.receive(now, message)
            for reply in self.desk.poll(now):
                if self.powered:
                    self.link.write(self.t_us, reply)
            if self.t_us % (5 * MS) == 0:
                self.driver.read(now)
                self.driver.write(now, Outputs(**outputs))
        return self.driver.sample.state

    def asked(self, for_ms: int, **more: Any) -> PanelState:
        return self.run(for_ms, prepare_panel=True, window_from_us=7, window_shot_id="S", **more)

    @property
    def lines(self) -> tuple[str, ...]:
        return self.driver.sample.lines or ()

    @property
    def sample(self) -> PanelSample:
        return self.driver.sample


@pytest.mark.parametrize(
    "name", [name for name, table in HANDSHAKES.items() if not table.is_automatic]
)
def test_every_table_with_lines_opens_one_window_and_never_a_second(name: str) -> None:
    pair = Pair(name)
    pair.run(500)
    assert pair.run(500, prepare_panel=True) is PanelState.READY
    assert pair.asked(200) is PanelState.INTEGRATING
    assert pair.driver.sample.window_open_us is not None
    assert pair.asked(5_000) is PanelState.READOUT  # its own time is over, the request stands
    pair.asked(3_000)
    assert pair.panel.frame_count() == 1
    assert pair.run(2_000) is PanelState.IDLE
    assert pair.sample.window_open_us is None
    assert pair.sample.frame_count == 1


def test_of_siemens_lines_each_is_told_by_its_name() -> None:
    pair = Pair("siemens_novation")
    assert pair.run(300) is PanelState.IDLE
    assert " ".join(pair.lines) == "GEN_POWERED_ON_ DR_SYST_RDY_"
    pair.run(500, prepare_panel=True)
    pair.asked(200, beam_seen=True)
    assert pair.lines == (
        "GEN_POWERED_ON_", "DR_SYST_RDY_", "PREP_DR_DET_", "GEN_RDY_FOR_DR_EXP_",
        "DR_DET_RDY_FOR_EXP_", "X_RAY_ON_",
    )  # fmt: skip
    pair.panel.failed = True
    assert pair.asked(100) is PanelState.ERROR
    assert pair.driver.sample.faults == ("PANEL_ERROR",)


def test_a_dropped_request_leaves_within_a_scan_and_its_exchange() -> None:
    pair = Pair()
    pair.run(300, prepare_panel=True)
    pair.asked(200)
    assert "RX_COM" in pair.lines
    pair.run(12, prepare_panel=True)
    assert pair.panel.state(pair.t_us) == "readout"


def test_a_dropped_request_overtakes_a_question_that_waits_for_its_reply() -> None:
    pair = Pair()
    pair.run(300, prepare_panel=True)
    pair.asked(200)
    pair.desk._reply_us = 40 * MS
    pair.asked(10)
    pair.run(7, prepare_panel=True)
    assert pair.panel.state(pair.t_us) == "readout"


@pytest.mark.req("F29")
def test_a_grant_that_stands_unasked_is_a_fault_while_it_stands() -> None:
    """A welded RX_COM would be taken for the panel's word at the next request."""
    pair = Pair()
    pair.run(300, prepare_panel=True)
    pair.panel.request_window(pair.t_us, "nobody's")
    pair.run(300, prepare_panel=True)
    assert "PANEL_ERROR" in pair.driver.sample.faults
    pair.panel.drop_request(pair.t_us)
    pair.run(1_000, prepare_panel=True)
    assert not pair.driver.sample.faults


def test_a_request_in_vain_waits_for_the_lock_out_of_a_second() -> None:
    pair = Pair()
    pair.panel.late_window_us = 10_000 * MS
    pair.run(300, prepare_panel=True)
    assert pair.asked(250) is PanelState.READY
    assert pair.asked(100) is PanelState.RECOVER
    assert "RX_REQ" not in pair.lines
    assert pair.run(900, prepare_panel=True) is PanelState.RECOVER
    assert pair.run(200, prepare_panel=True) is PanelState.READY


def test_a_module_without_power_is_a_lost_panel_and_comes_back_with_all_lines_open() -> None:
    pair = Pair()
    pair.run(300, prepare_panel=True)
    pair.powered = False
    assert pair.run(400, prepare_panel=True) is PanelState.DISCONNECTED
    assert len(pair.lines) == 0
    pair.powered = True
    assert pair.run(400, prepare_panel=True) is PanelState.READY


@pytest.mark.wire
def test_the_same_over_a_real_port() -> None:
    """As the unit opens it: Modbus TCP, served between the scans."""
    served = ListenerLink()
    client = TcpLink("127.0.0.1", served.port)
    channels = {"RX_REQ": 0, "RX_COM": 3}
    driver = Driver(
        FramesOfBytes(client), handshake="canon_cxdi_80c", channels=channels, panel_id="P-1",
        window_us=5_000 * MS,
    )  # fmt: skip
    panel = SimPanel(
        panel_id="P-1", pixels=PIXELS, kerma_source=lambda a, b: Light(0.0, 0.0),
        times=PanelTimes(t_prep_us=0),
    )  # fmt: skip
    desk = Desk(panel, handshake="canon_cxdi_80c", channels=channels)
    clock, module = WallClock(), FramesOfBytes(served)
    outputs = Outputs(prepare_panel=True)
    for _ in range(200_000):
        now = Now(clock.now_us())
        for message in module.read(now.t_us):
            desk.receive(now, message)
        for reply in desk.poll(now):
            module.write(now.t_us, reply)
        driver.read(now)
        driver.write(now, outputs)
        if driver.sample.state is PanelState.READY and panel.state(now.t_us) == "ready":
            outputs = replace(outputs, window_from_us=7, window_shot_id="S")
        if driver.sample.state is PanelState.INTEGRATING:
            break
    client.close()
    served.close()
    assert driver.sample.lines == ("RX_REQ", "RX_COM")


# --- the recorder's process


def test_the_recorder_takes_frames_from_the_folder_of_its_bench(
    config: Path, tmp_path: Path
) -> None:
    content = json.loads(config.read_text())
    drop = tmp_path / "drop"
    drop.mkdir()
    folder = FolderConfig(path=str(drop), form="raw", corrected=False, settle_ms=100, clock_s=3600)
    content |= {"folder": folder.model_dump(), "started_at": datetime.now(UTC).isoformat()}
    panel = content["unit"]["panel"]
    shape = (panel["rows_px"], panel["columns_px"])
    content["panel_set"] = None
    config.write_text(json.dumps(content))
    process = Process(read_config(config))
    try:
        raw_shot = replace(intent("S-1").shot, raw=True)
        process._recorder.intent(replace(intent("S-1"), shot=raw_shot))
        process._recorder.report(replace(report("S-1"), shot=raw_shot))
        (drop / "a.raw").write_bytes((700).to_bytes(2, "little") * (shape[0] * shape[1]))
        for _ in range(2_000):
            process.step()
            if process._recorder.sample(process._clock.now_us()).image_saved == "S-1":
                break
            process._bus.wait(0.005)  # type: ignore[union-attr]
    finally:
        process.close()
    (row,) = read_exposures(tmp_path / "state" / "journal.db")
    assert (row.shot_id, row.missing) == ("S-1", None)


# --- the bench file


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('driver = "line_panel"', 'driver = "stream_panel"', "panel.lines: is for these only"),
        ("canon_cxdi_80c", "canon_cxdi_80", "did you mean 'canon_cxdi_80c'"),
        ("canon_cxdi_80c", "rayence_aed", 'no such table for line_panel: "rayence_aed"'),
        ("canon_cxdi_80c", "rayence", "grant_ms: is missing: Rayence wireless"),
        ("RX_COM = 0", "RX_CON = 0", "RX_COM is missing: each line needs its channel"),
        ("RX_COM = 0", "RX_CON = 0", "is no line of this table; did you mean 'RX_COM'"),
        ("[folder]", "[sim]", 'folder: is missing: driver = "line_panel" needs path'),
        ('data_url = "none"', 'data_url = "sim"', 'the images come by [folder]; write "none"'),
    ],
)
def test_lines_that_do_not_fit_are_refused_with_the_reason(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_bench(path)
    assert any(told in line for line in caught.value.messages), caught.value.messages


def test_two_lines_of_one_direction_can_t_share_a_channel(tmp_path: Path) -> None:
    names = HANDSHAKES["siemens_novation"].lines
    channels = ", ".join(f"{name} = {0 if s in TO_PANEL else at}"
                         for at, (s, name) in enumerate(names.items()))  # fmt: skip
    text = TEXT.replace("canon_cxdi_80c", "siemens_novation")
    text = text.replace("RX_REQ = 0, RX_COM = 0", channels)
    text = text.replace("device_id = 1\nread", "grant_ms = 300\nread")
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match="0 is GEN_POWERED_ON_'s channel already"):
        load_bench(tmp_path / "mine.toml")


def test_the_simulator_says_on_which_rung_such_a_panel_can_be_had(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="on the model rung only: dxrig run rig/scenarios/lines"):
        SimServer(load_bench("portable_lines"), tmp_path)


def test_the_hash_of_a_bench_without_lines_is_what_it_was() -> None:
    content = load_bench("portable").unit.panel.model_dump()
    assert "lines" not in content
